"""A Wyoming client that never waits for ever: connecting, sending and asking all have deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info

from antiphon.wire.frames import HEADER_BYTES, FrameError, encode_event, parse, read_event

SEND_S = 10.0
HELD_BYTES = 16 * 1024
"""What waits in this process, and about as much in the system, where a link holds little: half a second of a reply."""


class LinkError(Exception):
    """The peer cannot be reached, left, or said something that is not Wyoming; the message names it."""


class Link:
    """One connection to a Wyoming service or satellite. Made by `open_link`."""

    def __init__(self, uri: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.uri = uri
        self._reader, self._writer = reader, writer
        address = writer.get_extra_info("peername") or ("?", 0)
        self.peer = f"{address[0]}:{address[1]}"
        """The address and port that were connected to."""

    async def send(self, event: Event | Eventable) -> None:
        """Send one event.

        Raises:
            LinkError: the peer has left or takes nothing for `SEND_S`.
        """
        whole = event if isinstance(event, Event) else event.event()
        try:
            self._writer.write(encode_event(whole))
            async with asyncio.timeout(SEND_S):
                await self._writer.drain()
        except TimeoutError:
            raise LinkError(f"{self.uri} has taken nothing for {SEND_S:.0f} s") from None
        except (ConnectionError, OSError) as error:
            raise LinkError(f"{self.uri} has left: {error}") from None

    def send_nowait(self, event: Event | Eventable) -> None:
        """Send one small event without waiting for the peer to take it, before what others wait to send."""
        if not self._writer.is_closing():
            self._writer.write(encode_event(event if isinstance(event, Event) else event.event()))

    async def receive(self, within_s: float | None = None) -> Event:
        """Return the next event.

        Raises:
            LinkError: the peer left, sent something malformed, or nothing within `within_s` seconds.
        """
        try:
            async with asyncio.timeout(within_s):
                event = await read_event(self._reader)
        except TimeoutError as error:  # ours, or the system's for a connection that is dead
            why = f"said nothing for {within_s:g} s" if within_s is not None else f"left: {error}"
            raise LinkError(f"{self.uri} has {why}") from None
        except FrameError as error:
            raise LinkError(f"{self.uri}: {error}") from None
        except (ConnectionError, OSError) as error:
            raise LinkError(f"{self.uri} has left: {error}") from None
        if event is None:
            raise LinkError(f"{self.uri} has closed the connection")
        return event

    def must_acknowledge(self, within_s: float) -> None:
        """Have the system end the connection when what is sent is not acknowledged for so long (Linux)."""
        option = getattr(socket, "TCP_USER_TIMEOUT", None)
        if option is not None:
            self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, round(within_s * 1000))

    def hold_little(self) -> None:
        """Let little wait on this side for a slow network: what is urgent soon goes out, the rest waits in `send`."""
        self._writer.transport.set_write_buffer_limits(HELD_BYTES)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HELD_BYTES)

    def abort(self) -> None:
        """Drop the connection at once; whoever receives gets `LinkError`."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(ConnectionError, OSError, TimeoutError):
            async with asyncio.timeout(SEND_S):
                await self._writer.wait_closed()

    async def __aenter__(self) -> Link:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def here(host: str) -> str:
    """Return the address under which this machine's own programs are reached that listen on `host`."""
    if host in ("", "0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


async def open_link(uri: str, *, within_s: float = 5.0) -> Link:
    """Connect to `tcp://host:port`.

    Raises:
        LinkError: nobody answers there within `within_s` seconds.
    """
    host, _, port = uri.removeprefix("tcp://").rpartition(":")
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=HEADER_BYTES)
    except TimeoutError:
        raise LinkError(f"{uri} does not answer within {within_s:g} s") from None
    except OSError as error:
        raise LinkError(f"{uri} cannot be reached: {_why(error)}") from None
    return Link(uri, reader, writer)


def _why(error: OSError) -> str:
    """Return why a connection was not made: asyncio says `Connect call failed`, whether refused or without a route."""
    if isinstance(error, socket.gaierror) or error.errno is None:  # a name has errors of its own numbers
        return error.strerror or str(error)
    return os.strerror(error.errno)


async def ask_info(uri: str, *, within_s: float = 5.0) -> Info:
    """Return what the service at `uri` says of itself.

    Raises:
        LinkError: it cannot be reached, or does not answer `describe` within `within_s` seconds.
    """
    async with await open_link(uri, within_s=within_s) as link:
        await link.send(Describe())
        try:
            async with asyncio.timeout(within_s):
                while True:
                    event = await link.receive()
                    if Info.is_type(event.type):
                        return parse(Info, event)
                    if Error.is_type(event.type):
                        raise LinkError(f"{uri} answers: {event.data.get('text')}")
        except TimeoutError:
            raise LinkError(f"{uri} does not describe itself within {within_s:g} s") from None
        except FrameError as error:
            raise LinkError(f"{uri}: {error}") from None
