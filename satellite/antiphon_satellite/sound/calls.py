"""Calls that may never return, made so that nothing waits for them longer than it wants to.

With a sound server that is frozen, every call into PortAudio hangs until it goes on: each is made in a thread of its
own, which dies with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

CALL_S = 5.0
"""A call into PortAudio that takes longer will never return."""

T = TypeVar("T")


def begin(function: Callable[[], T]) -> asyncio.Future[T]:
    """Call something that may never return, in a thread of its own, which dies with the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    done.add_done_callback(_notice)

    def work() -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - handed to who awaits
            tell(loop, partial(_settle, done, None, error))
        else:
            tell(loop, partial(_settle, done, result, None))

    threading.Thread(target=work, name="sound", daemon=True).start()
    return done


async def within(done: asyncio.Future[T], longest_s: float = CALL_S) -> T:
    """Return the result of a call that `begin` began.

    Raises:
        TimeoutError: it has not returned in time; it goes on.
    """
    async with asyncio.timeout(longest_s):
        return await asyncio.shield(done)


def tell(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call a function on the loop, from any thread; nothing happens when the loop has ended."""
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        loop.call_soon_threadsafe(function)


def _notice(done: asyncio.Future[T]) -> None:
    """Take a failure as seen: who awaited it may have left, and asyncio would log it with a traceback."""
    if not done.cancelled():
        done.exception()


def _settle(done: asyncio.Future[T], result: T | None, error: Exception | None) -> None:
    if done.cancelled():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)  # type: ignore[arg-type]  # None only where T is
