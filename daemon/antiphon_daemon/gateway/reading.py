"""WebSockets as they are read: ahead of what is done with them, but not far."""

from __future__ import annotations

import asyncio
from asyncio import BaseTransport
from typing import Any, cast

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from antiphon_daemon.gateway.outbox import MESSAGE_BYTES
from antiphon_daemon.gateway.sound import MESSAGE_COST

REST = "antiphon.rest"
"""The extension of a WebSocket's scope by which its session has it rest: `Reading.rest`."""
REST_S = 0.08
"""Who hears nothing is read so seldom: speech that begins then is heard so much later, and its end is not."""
AHEAD_BYTES = 16 * 1024
"""So much may wait for the session, some 0.4 s of sound, before no more is read. Empty messages count too, as in
`Outbox`."""


class Reading(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which would stop reading after every message, and go on when the session has taken it.

    For fifty little messages a second from each of thirty microphones that is more work than reading them. And of those
    that hear nothing each message is work: while one rests, what has come is read now and then, and sound in one piece.
    """

    ahead = 0
    """Bytes that wait for the session; of text that is not ASCII some are counted until it has taken all."""

    _piece_most = 0
    """Resting: sound is put together up to so many bytes."""
    _piece: tuple[bytes, ...] = ()
    _wakes: asyncio.TimerHandle | None = None

    def rest(self, most: int) -> None:
        """Read now and then, and put sound together up to `most` bytes; with 0, read at once again."""
        self._piece_most = most
        if not most and self._wakes is not None:
            self._wake()

    def _wake(self) -> None:
        if self._wakes is not None:
            self._wakes.cancel()
            self._wakes = None
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_connect(self, event: Request) -> None:
        """Let the session know how it may rest."""
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][REST] = {"rest": self.rest}

    def data_received(self, data: bytes) -> None:
        """Take what came; while the session rests, no more for a while, unless a message is long and still comes."""
        super().data_received(data)
        self._hand_on()
        rests = self._piece_most and len(data) < AHEAD_BYTES and not self.conn.reader.buffer
        if rests and self._wakes is None and not self.transport.is_closing():
            self.transport.pause_reading()
            self._wakes = self.loop.call_later(REST_S, self._wake)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        if self._wakes is not None:
            self._wakes.cancel()
        super().connection_lost(exc)

    def connection_made(self, transport: BaseTransport) -> None:
        """Take no more at a time than may wait: asyncio would take a quarter of a megabyte, which may be 40 000 frames,
        and nobody else would be served before they are all parsed."""
        if hasattr(transport, "max_size"):
            transport.max_size = AHEAD_BYTES
        super().connection_made(transport)

    def send_receive_event_to_app(self) -> None:
        """Queue a message for the session, and stop reading if there is much; sound may wait for what comes with it.

        Messages that cost a session more than their length stay apart.
        """
        if self._piece_most:
            size = sum(map(len, self.frames))
            if sum(map(len, self._piece)) + size > self._piece_most:
                self._hand_on()
            if self.curr_msg_data_type == "bytes" and MESSAGE_COST <= size <= self._piece_most and not size % 2:
                self._piece += tuple(self.frames)
                self.frames = []
                return
        self._hand_on()
        self._queue()

    def _hand_on(self) -> None:
        if self._piece:
            now, kind = self.frames, self.curr_msg_data_type
            self.frames, self.curr_msg_data_type, self._piece = list(self._piece), "bytes", ()
            self._queue()
            self.frames, self.curr_msg_data_type = now, kind

    def _queue(self) -> None:
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
