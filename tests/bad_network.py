"""A bad network: a proxy for one port that is late, slow, stands still and delivers all at once, loses and resets.

What it holds itself, and what the system holds for it, is little: whoever sends through it is held up as by a real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

HELD_BYTES = 4096
"""What each socket of the proxy may hold."""
PIECE_BYTES = 2048


class Lane:
    """One direction of all connections.

    Attributes:
        bits_per_s: how fast it is; 0: as fast as it goes.
        delay_s: how late everything comes; up to `jitter_s` more.
        lost: what comes is thrown away.
    """

    def __init__(self) -> None:
        self.bits_per_s, self.delay_s, self.jitter_s, self.lost = 0.0, 0.0, 0.0, False
        self._moves = asyncio.Event()
        self._moves.set()

    def hold(self) -> None:
        """Stand still: what comes waits, without bound."""
        self._moves.clear()

    def go_on(self) -> None:
        """Deliver what has waited, all at once."""
        self._moves.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection's bytes until it ends."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(waiting, writer))
        loop = asyncio.get_running_loop()
        free = loop.time()
        try:
            while piece := await reader.read(PIECE_BYTES):
                if self.bits_per_s:
                    free = max(free, loop.time()) + len(piece) * 8 / self.bits_per_s
                    await asyncio.sleep(free - loop.time())
                waiting.put_nowait((loop.time() + self.delay_s + random.uniform(0, self.jitter_s), piece))
            await waiting.join()
        finally:
            delivering.cancel()

    async def _deliver(self, waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, piece = await waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._moves.wait()
            if not self.lost:
                writer.write(piece)
                await writer.drain()
            waiting.task_done()


class BadNetwork:
    """A port that leads to another one. `there` carries what those say who connect, `back` what they are answered."""

    def __init__(self, port: int) -> None:
        self.there, self.back = Lane(), Lane()
        self.connections = 0
        """How many came, in all."""
        self.comes_from = "127.0.0.1"
        """The address from which the next connections come."""
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD_BYTES)
        self.port = int(self._listener.getsockname()[1])
        self._open: set[asyncio.StreamWriter] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        onward = socket.socket()
        onward.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            onward.setsockopt(socket.SOL_SOCKET, option, HELD_BYTES)
        onward.bind((self.comes_from, 0))
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_connect(onward, ("127.0.0.1", self._to))
            answers, asks = await asyncio.open_connection(sock=onward, limit=PIECE_BYTES)
            both = {writer, asks}
            self._open |= both
            ways = [
                asyncio.create_task(self.there.carry(reader, asks)),
                asyncio.create_task(self.back.carry(answers, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                self._open -= both
                for end in both:
                    end.transport.abort()

    def reset(self) -> None:
        """Reset all connections."""
        for end in self._open:
            end.transport.abort()

    async def run(self) -> None:
        """Carry until cancelled."""
        server = await asyncio.start_server(self._serve, sock=self._listener, limit=PIECE_BYTES)
        try:
            await server.serve_forever()
        finally:
            self.reset()


@contextlib.asynccontextmanager
async def bad_network(port: int) -> AsyncIterator[BadNetwork]:
    """A proxy for a port of this machine."""
    one = BadNetwork(port)
    running = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
