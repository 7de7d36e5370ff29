"""A service manager of the test's own, for what systemd would do: it hears NOTIFY_SOCKET, and its watchdog bites.

A program that gives no sign of life for `watchdog_s` after it was ready is killed by SIGABRT and started again, as
`WatchdogSec=` and `Restart=on-failure` have it. What it says is kept in order.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

START_S = 60.0


class Supervisor:
    """Keeps one program running while the context lasts."""

    def __init__(self, command: Sequence[str], folder: Path, *, watchdog_s: float = 30.0) -> None:
        self._command, self._folder, self._watchdog_s = command, folder, watchdog_s
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(str(folder / "notify"))
        self._line.settimeout(0.1)
        self._changed = threading.Condition()
        self._ended = False
        self._signed_at: float | None = None
        self.process: subprocess.Popen[bytes]
        self.said: list[str] = []
        """Every field it has sent, but signs of life."""
        self.readies = 0
        self.bites = 0
        """How often the watchdog has killed it."""

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._folder / "log").read_text(errors="replace")

    def until_ready(self, times: int = 1) -> None:
        """Wait until it has been ready so often."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.readies >= times, START_S), self.log[-2000:]

    def until_said(self, field: str) -> None:
        """Wait until it has sent this."""
        with self._changed:
            assert self._changed.wait_for(lambda: field in self.said, START_S), self.log[-2000:]

    def stop(self) -> float:
        """Tell it to end; returns how many seconds it took, and fails if it took more than ten."""
        self._ended = True
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(10)
        return time.monotonic() - began

    def __enter__(self) -> Supervisor:
        self._start()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self.process.kill()
        self.process.wait(10)
        self._listener.join(10)
        self._line.close()

    def _start(self) -> None:
        given = {"NOTIFY_SOCKET": str(self._folder / "notify"), "WATCHDOG_USEC": str(round(self._watchdog_s * 1e6))}
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env={**os.environ, **given}, stdin=subprocess.DEVNULL, stderr=log
            )

    def _listen(self) -> None:
        while self.process.poll() is None or not self._ended:
            try:
                fields = self._line.recv(4096).decode().split("\n")
            except TimeoutError:
                fields = []
            if fields:
                self._hear(fields)
            if self._signed_at is not None and time.monotonic() - self._signed_at > self._watchdog_s:
                self._bite()

    def _hear(self, fields: list[str]) -> None:
        with self._changed:
            if "READY=1" in fields:
                self.readies += 1
            if {"READY=1", "WATCHDOG=1"} & set(fields):
                self._signed_at = time.monotonic()
            if "STOPPING=1" in fields:
                self._signed_at = None
            self.said += [field for field in fields if field != "WATCHDOG=1"]
            self._changed.notify_all()

    def _bite(self) -> None:
        self._signed_at = None
        self.bites += 1
        self.process.send_signal(signal.SIGABRT)
        self.process.wait(10)
        if not self._ended:
            self._start()
