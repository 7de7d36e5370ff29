"""A client of a WebSocket, whatever is spoken over it: it is read, written to, and let go in good order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from antiphon.settings import Settings
from antiphon_daemon.conversation.turn_types import Phase
from antiphon_daemon.gateway.outbox import Outbox, Stuck
from antiphon_daemon.gateway.reading import REST
from antiphon_daemon.insight.peers import Seen

GOING_AWAY = 1001

log = structlog.get_logger(__name__)


class Served:
    """One client, from its coming to its leaving.

    Args:
        outbox: what waits for it.
        abort: drops the connection at once.
    """

    kind: str
    """The way in."""

    def __init__(self, websocket: WebSocket, outbox: Outbox, abort: Callable[[], None]) -> None:
        self._socket, self._outbox, self._abort = websocket, outbox, abort
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when nothing of it is left."""
        self._since = time.monotonic()

    @property
    def phase(self) -> Phase:
        """Where its turn stands."""
        raise NotImplementedError

    @property
    def rests(self) -> int:
        """How much sound (bytes) may come in one piece, and a moment late, for there is nothing to hear; 0: none."""
        return 0

    def seen(self) -> Seen:
        """Return how it stands with the client."""
        name = peer_name(self._socket)
        return Seen(self.kind, name, name, self.phase.value, self._since)

    def adopt(self, settings: Settings) -> None:
        """Follow other settings from the next turn on."""
        raise NotImplementedError

    def goodbye(self) -> None:
        """The daemon ends: fall silent, say so, and close."""
        raise NotImplementedError

    async def opened(self) -> None:
        """It is there: greet it."""

    async def take(self, message: Mapping[str, Any]) -> None:
        """Do what a message asks for; `message` has `text` or `bytes`. Raises only what is a fault of ours."""
        raise NotImplementedError

    def fault(self) -> None:
        """Tell that a message came to nothing for a reason of ours, which the log has."""
        raise NotImplementedError

    async def free(self) -> None:
        """It is gone: let go of all that is held for it."""
        raise NotImplementedError

    async def run(self) -> None:
        """Serve the client until it leaves, is dropped, or `goodbye` was said."""
        await self.opened()
        sending = asyncio.create_task(self._outbox.send_all(self._socket.send))
        reading = asyncio.create_task(self._read_all())
        try:
            await asyncio.wait((sending, reading), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
                with contextlib.suppress(RuntimeError):  # it has left meanwhile
                    await self._socket.close(GOING_AWAY, "the daemon ends")
            else:
                reading.result()
        except Stuck as stuck:
            log.warning("a client is dropped", why=str(stuck))
            self._abort()
        except WebSocketDisconnect:
            pass
        finally:
            for task in (sending, reading):
                task.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)
            await self.free()
            self.over.set_result(None)

    async def _read_all(self) -> None:
        rest: Callable[[int], None] = self._socket.scope["extensions"][REST]["rest"]
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                await self.take(message)
            except Exception:  # the edge: a fault of ours is told and logged, and the session goes on
                log.exception("a message failed")
                self.fault()
            rest(self.rests)


def peer_name(websocket: WebSocket) -> str:
    """Return what a client is known by: where it connects from."""
    client = websocket.client
    return f"{client.host}:{client.port}" if client is not None else "?"
