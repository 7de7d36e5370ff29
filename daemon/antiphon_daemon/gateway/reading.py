"""WebSockets as they are read: ahead of what is done with them, but not far."""

from __future__ import annotations

import asyncio
from asyncio import BaseTransport
from typing import Any, cast

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from antiphon_daemon.gateway.outbox import MESSAGE_BYTES

AHEAD_BYTES = 16 * 1024
"""So much may wait for the session, some 0.4 s of sound, before no more is read. Empty messages count too, as in
`Outbox`."""


class Reading(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which would stop reading after every message, and go on when the session has taken it.

    For fifty little messages a second from each of thirty microphones that is more work than reading them.
    """

    ahead = 0
    """Bytes that wait for the session; of text that is not ASCII some are counted until it has taken all."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Take no more at a time than may wait: asyncio would take a quarter of a megabyte, which may be 40 000 frames,
        and nobody else would be served before they are all parsed."""
        if hasattr(transport, "max_size"):
            transport.max_size = AHEAD_BYTES
        super().connection_made(transport)

    def send_receive_event_to_app(self) -> None:
        """Queue a message for the session, and stop reading if there is much."""
        self.ahead += sum(map(len, self.frames)) + MESSAGE_BYTES
        paused, self.read_paused = self.read_paused, True  # what uvicorn does not do twice
        super().send_receive_event_to_app()
        self.read_paused = paused
        if not paused and self.ahead > AHEAD_BYTES and not self.queue.empty():
            self.read_paused = True
            self.transport.pause_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message; others have their turn in between."""
        if not self.queue.empty():
            await asyncio.sleep(0)
        message: Any = await super().receive()
        taken = len(message.get("bytes") or message.get("text") or "") + MESSAGE_BYTES
        self.ahead = 0 if self.queue.empty() else self.ahead - taken
        return cast(ASGIReceiveEvent, message)
