"""The GPU of Apple silicon, which all engines that compute with MLX share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx

_lock = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Hold the GPU: the body's MLX work is the only one of this process, and done when it ends.

    Metal's command buffers are not made for several threads: where hearing and speaking overlapped, processes were
    aborted (huggingface/speech-to-speech issues 377 and 386, Blaizzy/mlx-audio pull request 594). What the body freed
    goes back to the system, else MLX would keep a buffer for each length of sound.
    """
    with _lock:
        try:
            yield
        finally:
            mx.synchronize()
            mx.clear_cache()
