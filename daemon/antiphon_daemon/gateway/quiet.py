"""uvicorn as a part of a program that has its own signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

HANDSHAKE_S = 5.0
"""A TLS handshake that takes longer is given up."""
ACCEPTED = 64
"""So many connections are accepted at a time, and wait to be: there is a bound on all of them (`reception.py`), but it
can only drop those that it has seen."""


class Quiet(uvicorn.Server):
    """Leaves signals to the daemon, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on `sockets` as uvicorn does, and with a deadline for handshakes: it has no setting for one."""
        await self.lifespan.startup()
        loop, config = asyncio.get_running_loop(), self.config

        def protocol() -> asyncio.Protocol:
            make: Callable[..., asyncio.Protocol] = config.http_protocol_class
            return make(config=config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop)

        handshake_s = HANDSHAKE_S if config.ssl is not None else None
        self.servers = [
            await loop.create_server(
                protocol, sock=sock, ssl=config.ssl, backlog=ACCEPTED, ssl_handshake_timeout=handshake_s
            )
            for sock in sockets or ()
        ]
        self.started = True
        self.listening.set()
