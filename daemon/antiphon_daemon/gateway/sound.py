"""Sound on the wire of `/ws`: PCM in, little WAV files out, and how much of what comes is too much."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator

WAV_MS = 400
"""A WAV chunk is at most so long: what was sent when the user interrupts is little."""
MESSAGE_COST = 256
"""Each message counts as so many bytes at least: small ones are not free."""


def wav_chunks(pcm: bytes, rate: int) -> Iterator[bytes]:
    """Yield s16le mono PCM as whole WAV files of `WAV_MS` at most, to be played one after another."""
    size = rate * WAV_MS // 1000 * 2
    for start in range(0, len(pcm), size):
        block = pcm[start : start + size]
        head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(block), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", len(block))  # fmt: skip # noqa: E501
        yield head + block


class Allowance:
    """So many (bytes, tries) a second, and a burst.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, per_s: int, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left, self._at = float(burst), clock()

    def has(self, count: int) -> bool:
        """Return whether `count` more would be within bounds."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        return count <= self._left

    def take(self, count: int) -> bool:
        """Return whether `count` more are within bounds; if they are not, none is counted."""
        if not self.has(count):
            return False
        self._left -= count
        return True
