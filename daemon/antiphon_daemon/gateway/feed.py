"""Server-sent events to one reader: bounded, and a reader that is slow loses the oldest and is told.

    id: 7
    event: turn
    data: {…}

A reader that takes nothing for `SEND_S` is dropped.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send

MOST = 128
"""Messages that wait for a reader."""
SEND_S = 10.0
"""A reader that takes nothing for so long is gone."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a proxy (nginx) that gathers what comes would hold it back
    (b"x-content-type-options", b"nosniff"),
]

log = structlog.get_logger(__name__)


class Feed:
    """What waits for one reader, as an ASGI response that sends it.

    A message may replace one of the same `key` that still waits: a slow reader gets the news of a thing once.

    Args:
        abort: drops the connection at once.
    """

    def __init__(self, abort: Callable[[], None], *, most: int = MOST, send_s: float = SEND_S) -> None:
        self._abort, self._most, self._send_s = abort, most, send_s
        self._waiting: deque[tuple[object, str, Any]] = deque()
        self._filled = asyncio.Event()
        self.lost = 0
        """Messages that were left out since the reader was told so last."""
        self._last = False
        self._number = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when nothing more is sent."""

    def put(self, kind: str, data: Any, key: object = None) -> None:
        """Queue an event; the oldest makes room, and the reader is told how many did.

        Args:
            data: for JSON; a function is called when it is sent.
        """
        if self._last:
            return
        if key is not None:
            self._waiting = deque(one for one in self._waiting if one[0] != key)
        self._waiting.append((key, kind, data))
        while len(self._waiting) > self._most:
            self._waiting.popleft()
            self.lost += 1
        self._filled.set()

    def end(self, reason: str) -> None:
        """Say goodbye; what waits is forgotten."""
        self._waiting.clear()
        self.put("goodbye", {"reason": reason})
        self._last = True

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what comes, until the reader leaves, is dropped, or `end` was called."""
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except TimeoutError:
            log.warning("a reader of events is dropped", why=f"it takes nothing for {self._send_s:g} s")
            self._abort()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self.over.set_result(None)

    async def _send_all(self, send: Send) -> None:
        while True:
            for message in self._taken():
                async with asyncio.timeout(self._send_s):
                    await send({"type": "http.response.body", "body": message, "more_body": True})
            if self._last and not self._waiting:
                await send({"type": "http.response.body", "body": b""})
                return
            self._filled.clear()
            await self._filled.wait()

    def _taken(self) -> Iterator[bytes]:
        """Yield what waits, as it goes out; first how much was lost before it."""
        while self._waiting:
            if self.lost:
                lost, self.lost = self.lost, 0
                yield self._written("lost", {"events": lost})
            if self._waiting:  # who is slow may have been told goodbye meanwhile
                _, kind, data = self._waiting.popleft()
                yield self._written(kind, data() if callable(data) else data)

    def _written(self, kind: str, data: Any) -> bytes:
        self._number += 1
        return f"id: {self._number}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
