"""Keeps the daemon's memory to what it needs: what has been freed goes back to the system.

The C library keeps what loading the models and making a reply took, for next time: of 770 MB resident some 80 are free.
Most of it lies in the heaps that it gives to every thread, each with its own gaps: with one for all, a job in each
engine leaves 680 MB resident instead of 765, and takes as long. And what is there from the start to the end is no
business of Python's garbage collector: with everything that is loaded to look through, one of its looks would hold the
event loop for 50 to 150 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc

from antiphon_daemon.engines.rush import RUSH, Rush

EVERY_S = 60.0
"""What turns have freed is given back so often, at most: the next turn takes it again, which costs some 10 ms."""

_ARENA_MAX = -8
"""What GNU's `malloc.h` calls M_ARENA_MAX."""


def share_heap() -> None:
    """Have all threads that are still to come allocate from one heap: before the engines start theirs."""
    with contextlib.suppress(AttributeError, OSError):  # another C library than GNU's: their threads share already
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def settle() -> None:
    """Loading is over: drop what it left, and let what stays be. Blocks for some 0.1 s: before anybody is served."""
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Give memory back that is free. Blocks for some 15 ms, without the interpreter's lock: not for an event loop."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library than GNU's: they keep less
        return
    trim(0)


async def keep(every_s: float = EVERY_S, rush: Rush = RUSH) -> None:
    """Give memory back now and then, when no engine works. Runs until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        if not rush.busy:
            await asyncio.to_thread(give_back)
