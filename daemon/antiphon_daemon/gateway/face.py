"""The gateway's life: it listens, says whether the daemon is ready, and says goodbye.

FastAPI, uvicorn and the rest are an extra (`gateway`), imported when it starts and not before.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from antiphon.settings import Settings
from antiphon.wire.server import ListenError, listen
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.gateway.realtime.secrets import Secrets
from antiphon_daemon.gateway.renewal import NO_PASSWORD, Files, renew
from antiphon_daemon.insight.peers import Seen
from antiphon_daemon.insight.turns import Turns

if TYPE_CHECKING:
    from antiphon_daemon.gateway.doors import Doors
    from antiphon_daemon.gateway.feed import Feed
    from antiphon_daemon.gateway.proxies import Proxies
    from antiphon_daemon.gateway.quiet import Quiet
    from antiphon_daemon.gateway.served import Served

FRAME_MOST = 16 * 1024 * 1024
"""A frame beyond this ends the connection: it is not even read. Below it, beyond the settings' bound: an error."""
LEAVE_S = 1
"""Connections have so long to end once goodbye was said."""
GOODBYE_S = 0.5
"""Sessions have so long to take the goodbye."""
PING_S = 20.0
"""Clients are pinged so often, and have so long to answer: one that vanished is noticed."""
ANSWERED = 80
"""HTTP requests that are answered at once: programs that wait in line (2 x 18) and dashboards (8) leave room."""
IDLE = 128
"""Connections beside the WebSockets."""

log = structlog.get_logger(__name__)


class GatewayError(Exception):
    """It cannot be opened; the message is one sentence that says why and what mends it."""


class Gateway:
    """The HTTP and WebSocket face of one daemon.

    Args:
        folder: where what must outlive a restart is kept.
        connections: tells the Wyoming connections of each endpoint.
        turns: the last turns of this daemon.
        peers: tells the satellites and the Wyoming peers.
    """

    def __init__(
        self,
        engines: Engines,
        settings: Settings,
        folder: Path,
        connections: Callable[[], Mapping[str, int]],
        turns: Turns,
        peers: Callable[[], Sequence[Seen]],
    ) -> None:
        self.engines, self.settings, self.connections = engines, settings, connections
        self.turns, self.peers = turns, peers
        turns.keep_words(settings.gateway.transcripts)
        self.feeds: set[Feed] = set()
        """The dashboards that are open."""
        self.sessions: set[Served] = set()
        self.secrets = Secrets()
        self.why_not = "the daemon is starting"
        """Why it is not ready; empty when it is."""
        self._folder = folder
        self._doors: Doors | None = None
        self._proxies: Proxies | None = None
        self._server: Quiet | None = None
        self._serving: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self.port = settings.gateway.port
        """The port that is listened on, once it is."""

    async def start(self) -> None:
        """Listen.

        Raises:
            GatewayError: the extra is missing, the port is taken, or the token or the certificate cannot be used.
        """
        wanted = self.settings.gateway
        files = Files(wanted.certificate, wanted.key)
        seen = await asyncio.to_thread(files.look)
        server = await asyncio.to_thread(self._make)
        try:
            sock = await asyncio.to_thread(listen, "gateway", wanted.host, wanted.port)
        except ListenError as error:
            raise GatewayError(str(error)) from None
        self.port = int(sock.getsockname()[1])
        self._server = server
        self._serving = asyncio.create_task(server.serve(sockets=[sock]), name="gateway")
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait((listening, self._serving), return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if server.config.ssl is not None:
            self._renewing = asyncio.create_task(renew(server.config.ssl, files, seen), name="certificate")

    def ready(self) -> None:
        """All else serves."""
        self.why_not = ""

    def ending(self) -> None:
        """The daemon ends: probes are told so, and no session begins."""
        self.why_not = "the daemon is ending"

    def adopt(self, settings: Settings) -> None:
        """Follow other settings; where it listens stays."""
        self.settings = settings
        self.turns.keep_words(settings.gateway.transcripts)
        if self._doors is not None:
            self._doors.admit(settings.network)
        for session in self.sessions:
            session.adopt(settings)

    async def stop(self) -> None:
        """Say goodbye to every session and stop listening."""
        self.ending()
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        for session in self.sessions:
            session.goodbye()
        for feed in self.feeds:
            feed.end("the daemon ends")
        if self._server is None or self._serving is None:
            return
        if leaving := [*(session.over for session in self.sessions), *(feed.over for feed in self.feeds)]:
            await asyncio.wait(leaving, timeout=GOODBYE_S)
        self._server.should_exit = True
        try:
            await asyncio.shield(self._serving)
        finally:
            self._serving.cancel()

    def guests(self) -> Sequence[Seen]:
        """Return who talks through the gateway."""
        return [session.seen() for session in self.sessions]

    def abort(self, client: tuple[str, int]) -> None:
        """Drop the connection of a client at once, whatever it has not taken."""
        for connection in list(self._server.server_state.connections) if self._server is not None else ():
            transport = connection.transport
            peer: Any = transport.get_extra_info("peername")
            if peer is not None and peer[1] == client[1] and (peer[0] == client[0] or self._is_proxy(peer[0])):
                transport.abort()

    def _is_proxy(self, host: str) -> bool:
        return self._proxies is not None and self._proxies.trusts(host)

    def _make(self) -> Quiet:
        """Build the application and its server; takes a while, and reads files."""
        wanted = self.settings.gateway
        try:
            import uvicorn

            from antiphon_daemon.gateway.bounds import Bounds
            from antiphon_daemon.gateway.doors import DoorError, Doors, needed_token
            from antiphon_daemon.gateway.proxies import Proxies
            from antiphon_daemon.gateway.quiet import Quiet
            from antiphon_daemon.gateway.reading import Reading
            from antiphon_daemon.gateway.reception import Reception, receiving
            from antiphon_daemon.gateway.web import BODIES, make_app
        except ImportError as error:
            raise GatewayError(f"{error.name} is not installed: install antiphon-daemon[gateway]") from None

        try:
            token = needed_token(wanted, self._folder)
        except DoorError as error:
            raise GatewayError(str(error)) from None
        bounds = Bounds(make_app(self), ANSWERED, BODIES, self.abort)
        self._doors = Doors(bounds, wanted, self.settings.network, token, self.secrets)
        self._proxies = Proxies(self._doors, wanted.proxies)
        config = uvicorn.Config(
            self._proxies,
            http=receiving(Reception(wanted.sessions + IDLE)),
            ws=Reading,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws_max_size=FRAME_MOST,
            ws_ping_interval=PING_S,
            ws_ping_timeout=PING_S,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=LEAVE_S,
            ssl_certfile=wanted.certificate or None,
            ssl_keyfile=wanted.key or None,
            ssl_keyfile_password=NO_PASSWORD,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or error
            raise GatewayError(f"gateway.certificate or gateway.key cannot be used: {why}") from None
        return Quiet(config)
