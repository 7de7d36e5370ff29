"""Who waits for the engines: so many requests work at once, some more wait, and the rest are turned away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import Request

from antiphon_daemon.engines.work import Token
from antiphon_daemon.gateway.rest.errors import ApiError, ClientLeft

T = TypeVar("T")

AT_ONCE = 2
WAITING = 16


class Line:
    """The requests of one kind.

    Args:
        at_once: so many are worked at.
        waiting: so many more may wait for their turn.
    """

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self.inside = 0
        """Requests that are worked at or wait."""

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and keep it while the body lasts.

        Raises:
            ApiError: too many wait.
        """
        if self.inside >= self._most:
            message = f"{self.inside} requests like this are being worked at: ask again in a moment."
            raise ApiError(429, message, code="rate_limit_exceeded")
        self.inside += 1
        try:
            async with self._turns:
                yield
        finally:
            self.inside -= 1


async def unless_gone(request: Request, working: Coroutine[Any, Any, T], work: Token) -> T:
    """Return what `working` does; when the client leaves before, its work is revoked.

    Raises:
        ClientLeft: it has left.
    """
    task = asyncio.create_task(working)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft
        return task.result()
    finally:
        if not task.done():
            work.revoke()
        for one in (task, leaving):
            one.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    """Wait until the client leaves; its request has been read to the end."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def following(items: AsyncGenerator[T, None]) -> T | None:
    """Return the next item; None at the end."""
    return await anext(items, None)
