"""Responses that are sent as they come."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

EVENTS = "text/event-stream"


class Streamed(StreamingResponse):
    """Sends what a generator yields; however that ends, also when the client leaves, all it held is freed.

    Args:
        free: frees it.
    """

    def __init__(
        self, items: AsyncGenerator[bytes, None], media_type: str, free: Callable[[], Awaitable[None]]
    ) -> None:
        # A proxy that collects what it passes on would hold the first sound back.
        super().__init__(items, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=media_type)
        self._items, self._free = items, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._items.aclose()
            await self._free()


def event(**fields: Any) -> bytes:
    """Return one server-sent event."""
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n".encode()
