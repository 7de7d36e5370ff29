"""Whether CTranslate2 can compute on a GPU of NVIDIA's here: beside the card and its driver it needs cuBLAS of CUDA 12.

Its wheels bring everything else. cuBLAS is the system's, or the extra `cuda`'s: that one lies among Python's packages,
where no library is looked for, so it is loaded beforehand.
"""

from __future__ import annotations

import contextlib
import ctypes
from importlib.util import find_spec
from pathlib import Path

import ctranslate2

from antiphon_daemon.engines import catalogue

PACKAGE, LIBRARIES = "nvidia.cublas", ("libcublasLt.so.12", "libcublas.so.12")
"""The second needs the first."""


def present() -> bool:
    """Return whether there is a GPU, and a driver for it."""
    return bool(ctranslate2.get_cuda_device_count())


def missing() -> str:
    """Return what a GPU that is present lacks, and what brings it; empty: nothing is known to be lacking."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            for name in LIBRARIES:
                ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
            return ""
    try:
        ctypes.CDLL(LIBRARIES[-1])
    except OSError:
        return f"The GPU needs cuBLAS of CUDA 12 ({LIBRARIES[-1]}): install it with: {catalogue.install('cuda')}"
    return ""


def _folders() -> list[Path]:
    try:
        spec = find_spec(PACKAGE)
    except ModuleNotFoundError:  # nothing of NVIDIA's is installed
        return []
    return [Path(folder, "lib") for folder in (spec.submodule_search_locations or ())] if spec else []
