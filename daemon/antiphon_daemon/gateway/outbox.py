"""What waits for a client to take it: bounded, and a client that takes nothing is dropped."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from antiphon.text import whole

SEND_S = 10.0
"""A client that takes nothing for so long is gone."""
MOST_BYTES = 16 * 1024 * 1024
"""What may wait for a client: the longest reply, at 22 kHz."""
MESSAGE_BYTES = 200
"""What a message costs besides its bytes."""


class Stuck(Exception):
    """The client takes nothing."""


class Outbox:
    """Messages in order, JSON as text and sound as bytes."""

    def __init__(self, most_bytes: int = MOST_BYTES, send_s: float = SEND_S) -> None:
        self._waiting: deque[tuple[str | bytes, bool]] = deque()
        """Messages, and whether they are sound."""
        self._most, self._send_s = most_bytes, send_s
        self.bytes = 0
        """What waits now."""
        self._filled = asyncio.Event()
        self._full = False
        self._last = False

    def say(self, kind: str, **fields: Any) -> None:
        """Queue a JSON message."""
        self.put(json.dumps({"type": kind, **fields}, ensure_ascii=False))

    def put(self, message: str | bytes, *, sound: bool | None = None) -> None:
        """Queue a message; beyond the bound everything is forgotten, and `send_all` ends.

        Half a character, as a model may write one into a call and a client into an id, could not be sent.

        Args:
            sound: whether `drop_sound` is to forget it; None: if it is bytes.
        """
        if self._full or self._last:
            return
        if isinstance(message, str):
            message = whole(message)
        self._waiting.append((message, isinstance(message, bytes) if sound is None else sound))
        self.bytes += len(message) + MESSAGE_BYTES
        if self.bytes > self._most:
            self._full = True
            self._waiting.clear()
        self._filled.set()

    def drop_sound(self) -> None:
        """Forget the sound that was not sent yet: it is not to be heard."""
        self._waiting = deque(waiting for waiting in self._waiting if not waiting[1])
        self.bytes = sum(len(message) + MESSAGE_BYTES for message, _ in self._waiting)

    def end(self) -> None:
        """What waits is the last; `send_all` ends after it."""
        self._last = True
        self._filled.set()

    async def send_all(self, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
        """Send what comes, until `end`.

        Raises:
            Stuck: the client takes nothing for long, or more waits than may.
        """
        while True:
            if self._full:
                raise Stuck("more waits for it than may")
            if not self._waiting:
                if self._last:
                    return
                self._filled.clear()
                await self._filled.wait()
                continue
            message, _ = self._waiting.popleft()
            self.bytes -= len(message) + MESSAGE_BYTES
            key = "text" if isinstance(message, str) else "bytes"
            try:
                async with asyncio.timeout(self._send_s):
                    await send({"type": "websocket.send", key: message})
            except TimeoutError:
                raise Stuck(f"it takes nothing for {self._send_s:g} s") from None
