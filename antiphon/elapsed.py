"""Time that goes on while the machine sleeps, for what people wait for: a timer, a conversation that is forgotten."""

from __future__ import annotations

import sys
import time

_CLOCK = time.CLOCK_MONOTONIC if sys.platform == "darwin" else time.CLOCK_BOOTTIME
"""`time.monotonic` stands still in a laptop's sleep, on Linux as on macOS."""


def elapsed_s() -> float:
    """Return seconds since some moment; setting the machine's time does not change them."""
    return time.clock_gettime(_CLOCK)


def slept_s() -> float:
    """Return how long the machine has slept since it was started: what `time.monotonic` has left out."""
    return elapsed_s() - time.monotonic()
