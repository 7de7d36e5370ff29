"""Keeps the daemon's memory to what it needs, and notices an engine that hangs.

What has been freed goes back to the system: the C library keeps what loading the models and making a reply took, for
next time; of 770 MB resident some 80 are free. Most of it lies in the heaps that it gives to every thread, each with
its own gaps: with one for all, a job in each engine leaves 680 MB resident instead of 765, and takes as long. And what
is there from the start to the end is no business of Python's garbage collector: with everything that is loaded to look
through, one of its looks would hold the event loop for 50 to 150 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import time

from antiphon_daemon.engines.rush import RUSH, Job, Rush

EVERY_S = 60.0
"""What turns have freed is given back so often, at most: the next turn takes it again, which costs some 10 ms."""
HUNG_S = 600.0
"""Who has been told to stop and still works after so long will never end: one window of the largest Whisper on the
slowest machine, which nothing can stop, takes a quarter of that."""
LOOK_S = 10.0

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


async def hung(rush: Rush = RUSH, *, after_s: float = HUNG_S, look_s: float = LOOK_S) -> str:
    """Return the name of the first thread that hangs: what was asked of it was given up `after_s` seconds ago."""
    since: dict[Job, float] = {}
    while True:
        await asyncio.sleep(look_s)
        now = time.monotonic()
        since = {job: since.get(job, now) for job in rush.given_up()}
        for job, at in since.items():
            if now - at >= after_s:
                return job.thread
