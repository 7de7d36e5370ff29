"""Tells a service manager how the program is doing: ready, reloading, stopping, and that its event loop still turns.

    READY=1 · STATUS=… · RELOADING=1 · STOPPING=1 · WATCHDOG=1 · EXTEND_TIMEOUT_USEC=…

The protocol is systemd's (sd_notify(3)): datagrams to the socket that `NOTIFY_SOCKET` names. Without that variable
nothing is sent. launchd needs no word: it keeps alive what it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Coroutine, MutableMapping

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What a manager says to the process that it started, and to nobody else: children must not inherit it."""
START_S = 30.0
"""A start may go on for so long after the last sign of life: what hangs is noticed, what downloads is not hurried."""
SIGN_S = 10.0
"""How often a start that goes on is told."""


class Notifier:
    """The line to the service manager, if there is one. Nothing here waits or fails: a lost datagram is lost.

    Args:
        environment: is read, and relieved of `VARIABLES`, so that no child takes them for its own.
    """

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        address, interval_us, pid = (given.pop(name, "") for name in VARIABLES)
        self._socket = _connected(address)
        ours = pid in ("", str(os.getpid()))
        self.watchdog_s = int(interval_us) / 1e6 if self._socket and ours and interval_us.isdecimal() else 0.0
        """The manager kills the program when it has seen no sign of life for so long; 0: it does not watch."""

    def ready(self, status: str) -> None:
        """The program serves (or serves again, after a reload)."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Say in one line what it does."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """The settings are read again; `ready` follows."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The program ends, as it was told to."""
        self._send("STOPPING=1", "STATUS=Ending")

    @contextlib.asynccontextmanager
    async def starting(self, status: str) -> AsyncIterator[None]:
        """Give signs of life while the program starts: a model may be loaded, or fetched, for minutes."""
        self.status(status)
        async with _beside(self._repeat(f"EXTEND_TIMEOUT_USEC={round(START_S * 1e6)}", SIGN_S)):
            yield

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Give the watchdog signs of life from this event loop: a loop that is blocked gives none, and is killed."""
        async with _beside(self._repeat("WATCHDOG=1", self.watchdog_s / 3) if self.watchdog_s else None):
            yield

    async def _repeat(self, sign: str, every_s: float) -> None:
        while self._socket is not None:
            self._send(sign)
            await asyncio.sleep(every_s)

    def _send(self, *fields: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send("\n".join(fields).encode())


def _connected(address: str) -> socket.socket | None:
    """Return a socket to the manager; None where there is none. `@` stands for the zero byte of an abstract name."""
    if not address.startswith(("/", "@")):
        return None
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        line.setblocking(False)
        line.connect("\0" + address[1:] if address.startswith("@") else address)
    except OSError:
        line.close()
        return None
    return line


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[None, None, None] | None) -> AsyncIterator[None]:
    """Run a coroutine beside the body, and end it with the body."""
    task = asyncio.ensure_future(work) if work is not None else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
