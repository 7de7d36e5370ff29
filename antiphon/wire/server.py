"""A Wyoming server that one bad peer cannot hurt.

Each connection has a reader and a worker. The reader never waits for work: it answers `describe` and `ping` at once
and queues the rest; the worker hands events to the handler one after another. When the peer leaves, the worker is
cancelled. A malformed frame closes its connection after an `error` event; a handler's failure becomes an `error` event.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Protocol

import structlog
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from antiphon.settings import Network
from antiphon.wire.frames import HEADER_BYTES, FrameError, encode_event, parse, read_event

QUEUED_EVENTS = 2048
"""What waits for a handler at most, some 20 s of 10 ms chunks. Then the oldest microphone audio is dropped."""
SLICE_S = 0.01
"""How long a connection's events are handled before other tasks get their turn."""
QUEUED_BYTES = 8 * 1024 * 1024
PLACE_BYTES = 64
"""What an element of a list or a field of an object takes, besides the text that it is."""
SEND_S = 10.0
"""A peer that takes nothing for this long is gone."""

log = structlog.get_logger(__name__)


class ListenError(Exception):
    """A port cannot be listened on; the message says why and what mends it."""


class Refusal(Exception):
    """A handler refuses a request; the peer gets the message as an `error` event with `code`."""

    def __init__(self, message: str, code: str = "refused") -> None:
        super().__init__(message)
        self.code = code


class Handler(Protocol):
    """What a server does with one connection."""

    async def handle(self, event: Event) -> None:
        """Act on one event (never `describe` or `ping`). It is cancelled when the peer leaves.

        Raises:
            Refusal: the peer is told why.
        """
        ...

    async def gone(self) -> None:
        """The peer left: free what the connection held."""
        ...


class Connection:
    """One peer of a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        address = writer.get_extra_info("peername") or ("?", 0)
        self.host: str = str(address[0]).removeprefix("::ffff:")
        """The peer's address, without the port."""
        self.name = f"{self.host}:{address[1]}"
        """The peer's address and port."""
        self.since = time.monotonic()
        """When it connected."""
        self.heard_at = asyncio.get_running_loop().time()
        """When the last event came, on the loop's clock."""
        self.pings = 0
        """Pings that came."""

    async def send(self, event: Event | Eventable) -> None:
        """Send one event whole, whatever other tasks send.

        Raises:
            ConnectionError: the peer has left, or takes nothing any more.
        """
        whole = event if isinstance(event, Event) else event.event()
        self._writer.write(encode_event(whole))
        try:
            async with asyncio.timeout(SEND_S):
                await self._writer.drain()
        except ConnectionError:
            raise
        except TimeoutError:  # ours, or the system's for a connection that is dead
            self.abort()
            raise ConnectionResetError(f"{self.name} has taken nothing for {SEND_S:.0f} s") from None
        except OSError as error:  # there is no way to it any more
            raise ConnectionResetError(f"{self.name} cannot be reached: {error}") from None

    def send_nowait(self, event: Event | Eventable) -> None:
        """Queue one event without waiting for the peer to take it: for small events from code that must not wait."""
        if not self._writer.is_closing():
            self._writer.write(encode_event(event if isinstance(event, Event) else event.event()))

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()


class Inbox:
    """Events between reader and worker. Full, it drops the oldest microphone audio, which is worth least."""

    def __init__(self, most: int = QUEUED_EVENTS, most_bytes: int = QUEUED_BYTES) -> None:
        self._events: deque[Event] = deque()
        self._most, self._most_bytes = most, most_bytes
        self._bytes = 0
        self._filled = asyncio.Event()

    def put(self, event: Event) -> bool:
        """Add an event; returns False when there is no room and nothing that may be dropped."""
        self._events.append(event)
        self._bytes += _weight(event)
        while len(self._events) > self._most or self._bytes > self._most_bytes:
            oldest = next((at for at, queued in enumerate(self._events) if queued.type == "audio-chunk"), None)
            if oldest is None:
                return False
            self._bytes -= _weight(self._events[oldest])
            del self._events[oldest]
        self._filled.set()
        return True

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._events

    @property
    def crowded(self) -> bool:
        """Whether half of the room is taken."""
        return len(self._events) > self._most // 2 or self._bytes > self._most_bytes // 2

    async def get(self) -> Event:
        """Return the oldest event, waiting for one."""
        while not self._events:
            self._filled.clear()
            await self._filled.wait()
        event = self._events.popleft()
        self._bytes -= _weight(event)
        return event


def _weight(event: Event) -> int:
    """Return about how many bytes an event holds."""
    return 200 + len(event.payload or b"") + _held(event.data)


def _held(data: Any) -> int:
    """Return about how many bytes data holds: of lists and objects much more than their JSON has."""
    held, left = 0, [data]
    while left:
        match left.pop():
            case str() as text:
                held += len(text)
            case list() as values:
                held += PLACE_BYTES * len(values)
                left += values
            case dict() as fields:
                held += PLACE_BYTES * len(fields)
                left += (*fields, *fields.values())
    return held


class Server:
    """Listens on one port and runs a `Handler` for each connection."""

    def __init__(
        self,
        name: str,
        port: int,
        *,
        info: Callable[[], Info],
        handler: Callable[[Connection], Handler],
        network: Network,
    ) -> None:
        self.name = name
        self._wanted_port = port
        self._info = info
        self._handler = handler
        self.admit(network)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._peers: set[Connection] = set()

    @property
    def port(self) -> int:
        """The port that is listened on (chosen by the system when 0 was asked for)."""
        if self._server is None:
            return self._wanted_port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many peers are connected now."""
        return len(self._tasks)

    @property
    def peers(self) -> Sequence[Connection]:
        """Those that were let in."""
        return tuple(self._peers)

    def admit(self, network: Network) -> None:
        """From now on, admit whom `network` allows, and as many as it says; its host is that of the next `start`."""
        self._network = network
        self._allowed = [ip_network(text) for text in network.allow]

    async def start(self) -> None:
        """Listen.

        Raises:
            ListenError: the port is taken or not allowed.
        """
        listener = listen(self.name, self._network.host, self._wanted_port)
        self._server = await asyncio.start_server(self._accepted, sock=listener, limit=HEADER_BYTES)

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (connected := writer.get_extra_info("socket")) is not None:  # a peer that vanished is noticed some day
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        task = asyncio.get_running_loop().create_task(self._serve(Connection(reader, writer), reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, peer: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler: Handler | None = None
        try:
            self._admit(peer)
            self._peers.add(peer)
            handler = self._handler(peer)
            await self._converse(peer, reader, handler)
        except (FrameError, Refusal) as fault:
            log.warning("peer refused", server=self.name, peer=peer.name, why=str(fault))
            with contextlib.suppress(ConnectionError):
                await peer.send(Error(text=str(fault), code=getattr(fault, "code", "bad-frame")))
        except OSError:
            pass  # the peer left, or the network to it: every connection ends with one of these
        finally:
            self._peers.discard(peer)
            if handler is not None:
                await handler.gone()
            writer.close()
            with contextlib.suppress(OSError):
                async with asyncio.timeout(SEND_S):
                    await writer.wait_closed()

    def _admit(self, peer: Connection) -> None:
        if not allowed(peer.host, self._allowed):
            raise Refusal(f"{peer.host} is not on a private network: network.allow can admit it", "not-allowed")
        if len(self._tasks) > self._network.connections:
            raise Refusal(f"more than {self._network.connections} connections", "too-many-connections")

    async def _converse(self, peer: Connection, reader: asyncio.StreamReader, handler: Handler) -> None:
        inbox = Inbox()
        worker = asyncio.create_task(self._work(peer, inbox, handler))
        reading = asyncio.create_task(self._read(peer, reader, inbox))
        try:
            done, _ = await asyncio.wait((worker, reading), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (worker, reading):
                task.cancel()
            await asyncio.gather(worker, reading, return_exceptions=True)

    async def _read(self, peer: Connection, reader: asyncio.StreamReader, inbox: Inbox) -> None:
        while (event := await read_event(reader)) is not None:
            peer.heard_at = asyncio.get_running_loop().time()
            if Describe.is_type(event.type):
                await peer.send(self._info())
            elif Ping.is_type(event.type):
                peer.pings += 1
                await peer.send(Pong(text=parse(Ping, event).text))
            elif not inbox.put(event):
                raise Refusal(f"more than {QUEUED_EVENTS} events wait to be handled", "too-many-events")
            elif inbox.crowded:  # the stream gives what it has without a pause: let the worker keep up with it
                await asyncio.sleep(0)

    async def _work(self, peer: Connection, inbox: Inbox, handler: Handler) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            if inbox.empty:
                began = loop.time()
            event = await inbox.get()
            try:
                await handler.handle(event)
            except Refusal as refusal:
                await peer.send(Error(text=str(refusal), code=refusal.code))
            except (FrameError, ConnectionError):
                raise
            except Exception:  # the edge: a fault of ours is told to the peer and logged, and harms nobody else
                log.exception("handler failed", server=self.name, peer=peer.name, event_type=event.type)
                text = f"{event.type} failed for a reason of ours; the log says which"
                await peer.send(Error(text=text, code="internal"))
            if loop.time() - began > SLICE_S:  # a peer that sends a whole recording must not keep the others waiting
                await asyncio.sleep(0)
                began = loop.time()


def allowed(host: str, admitted: Sequence[IPv4Network | IPv6Network] = ()) -> bool:
    """Return whether a peer at `host` may connect: this machine, private networks, and what is admitted besides."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    near = address.is_loopback or address.is_private or address.is_link_local
    return near or any(address in network for network in admitted)


def listen(name: str, host: str, port: int) -> socket.socket:
    """Return a socket that listens for `name`, on `host` (empty: on every interface).

    Raises:
        ListenError: the port is taken or not allowed.
    """
    try:
        return _listener(host, port)
    except OSError as error:
        why = f"cannot be listened on: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            why = "is in use by another program: stop it, or set another port"
        elif error.errno == errno.EACCES:
            why = "needs more rights: set a port above 1023"
        raise ListenError(f"port {port} ({name}) {why}") from None


def _listener(host: str, port: int) -> socket.socket:
    """Return a listening socket: on `host`, or on every interface, IPv4 and IPv6 under one port where both exist."""
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return socket.create_server(("", port))
