"""How much one HTTP request may bring, how long it may take, and how many are answered at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 1024 * 1024
"""The longest body where nothing else is said."""
PIECE_S = 10.0
"""A body that brings nothing for so long is not waited for."""
WHOLE_S = 120.0
"""A body is there within this: a large file over slow Wi-Fi takes half of it."""
SEND_S = 30.0
"""A client that takes nothing for so long is gone."""
RETRY_S = 2
ALWAYS = ("/health", "/metrics")
"""Answered however many requests there are: who watches over the daemon is not to take a crowd for a fault."""

log = structlog.get_logger(__name__)


class Bounds:
    """Stands between the doors and the application.

    Args:
        most: so many requests are answered at once, beside `ALWAYS`.
        bodies: the longest body of single paths, in bytes.
        abort: drops the connection of a client.
    """

    def __init__(
        self, app: ASGIApp, most: int, bodies: Mapping[str, int], abort: Callable[[tuple[str, int]], None]
    ) -> None:
        self._app, self._most, self._bodies, self._abort = app, most, bodies, abort
        self.inside = 0
        """Requests that are being answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, within its bounds."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self.inside >= self._most and scope["path"] not in ALWAYS:
            why = f"{self.inside} requests are being answered: ask again in a moment"
            await _refuse(503, "too_many_requests", why, scope, receive, send)
            return
        one = Bounded(scope, receive, send, self._bodies.get(scope["path"], BODY_BYTES), self._abort)
        if one.announced > one.most:
            await _refuse(413, "too_large", one.too_large, scope, receive, send)
            return
        self.inside += 1
        try:
            await self._app(scope, one.receive, one.send)
        finally:
            self.inside -= 1


class Bounded:
    """One request."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, most: int, abort: Callable[[tuple[str, int]], None]
    ) -> None:
        self._scope, self._receive, self._send, self._abort = scope, receive, send, abort
        self.most = most
        self._left = most
        self._until = asyncio.get_running_loop().time() + WHOLE_S
        self._whole = False
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        self.announced = int(length) if length.isdigit() else 0
        """How long the body is to be, if that is said."""
        self.too_large = f"the request is larger than {most} bytes"

    async def receive(self) -> Message:
        """Return the next piece of the body, and when it is whole, whatever comes.

        Raises:
            HTTPException: it is longer than it may be, or does not come.
        """
        if self._whole:
            return await self._receive()
        left_s = self._until - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(PIECE_S, max(0.0, left_s))):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the rest of the request does not come") from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._left < 0:
                raise HTTPException(413, self.too_large)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; a client that does not take it is dropped."""
        try:
            async with asyncio.timeout(SEND_S):
                await self._send(message)
        except TimeoutError:
            log.warning("a client is dropped", why=f"it takes nothing for {SEND_S:g} s")
            self._drop()

    def _drop(self) -> None:
        if (client := self._scope.get("client")) is not None:
            self._abort((client[0], client[1]))


async def _refuse(status: int, code: str, why: str, scope: Scope, receive: Receive, send: Send) -> None:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    headers = {"Retry-After": str(RETRY_S)} if status == 503 else None
    body = {"error": {"code": code, "message": why, "type": kind, "param": None}}
    await JSONResponse(body, status, headers)(scope, receive, send)
