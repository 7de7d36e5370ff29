"""What comes from another program, piece by piece: each in time, and none once nobody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from typing import TypeVar

from antiphon_daemon.engines.contracts import Work
from antiphon_daemon.engines.worker import revocable

T = TypeVar("T")


async def timely(
    pieces: AsyncGenerator[T, None], work: Work, within_s: float, told: Callable[[], AbstractContextManager[None]]
) -> AsyncGenerator[T, None]:
    """Yield the pieces; closing this closes them.

    Args:
        within_s: seconds that each may take.
        told: makes what turns whatever goes wrong, a `TimeoutError` too, into an `EngineError`.

    Raises:
        EngineError: one failed, or took too long.
        Revoked: the work was given up.
    """
    async with aclosing(pieces):
        while True:
            async with revocable(work):
                with told():
                    async with asyncio.timeout(within_s):
                        piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece
