"""Programs that a benchmark starts, waits for, weighs and always ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from antiphon.wire.link import LinkError, ask_info

READY_S = 60.0
END_S = 10.0
POLL_S = 0.02
SAMPLE_S = 1.0
MB = 1e6
PORTS = range(12_000, 20_000)
"""For programs that are measured: below those that the kernel gives to whoever asks for any."""


class Unmeasured(Exception):
    """Something cannot be measured here; the message says what and why."""


@dataclass
class Program:
    """A program that runs."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    """What it has said on standard error."""
    began: float = field(default_factory=time.monotonic)

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def last_words(self) -> str:
        return (self.said.strip().splitlines() or ["without a word"])[-1]

    def must_run(self) -> None:
        """Raise `Unmeasured` if it has ended."""
        status = self.process.poll()
        if status is not None:
            how = f" by {signal.Signals(-status).name}" if status < 0 else f", with status {status}"
            raise Unmeasured(f"{self.name} has ended by itself{how}")

    async def described(self, uris: Sequence[str]) -> float:
        """Return the seconds from its start until every one of these addresses has answered `describe`.

        Raises:
            Unmeasured: it has ended, or does not answer within `READY_S`.
        """
        for uri in uris:
            while True:
                self.must_run()
                try:
                    await ask_info(uri, within_s=2)
                    break
                except LinkError as error:
                    if time.monotonic() - self.began > READY_S:
                        raise Unmeasured(f"{self.name} is not ready within {READY_S:.0f} s: {error}") from None
                    await asyncio.sleep(POLL_S)
        return time.monotonic() - self.began

    async def until_said(self, words: str, within_s: float) -> None:
        """Wait until its log contains `words`.

        Raises:
            Unmeasured: it has not said so in time, or has ended.
        """
        end = time.monotonic() + within_s
        while words not in self.said:
            self.must_run()
            if time.monotonic() > end:
                raise Unmeasured(f"{self.name} has not said {words!r} within {within_s:.0f} s")
            await asyncio.sleep(0.1)


@contextmanager
def program(name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Program]:
    """Run a program while the context lasts; then it is asked to end, and killed if it does not.

    Raises:
        Unmeasured: something could not be measured inside the context; the last words of the log are added.
    """
    path = folder / f"{name}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
    one = Program(name, process, path)
    try:
        yield one
    except (Unmeasured, LinkError) as error:
        raise Unmeasured(f"{error} (the log of {name} ends: {one.last_words})") from None
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process: first by asking."""
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Usage:
    """What a process and its children took."""

    cpu_percent: float
    """Of one core."""
    rss_mb: float
    """Resident at the end."""
    peak_mb: float
    """Resident at most, looked at once a second."""
    pss_mb: float | None
    """Resident, with shared pages divided among those who share them; None where the system does not tell."""
    threads: int


async def usage(pid: int, seconds: float) -> Usage:
    """Watch a process for some seconds (0: just look).

    Raises:
        Unmeasured: it has ended meanwhile.
    """
    try:
        root = psutil.Process(pid)
        before, began, peak = cpu_s(root), time.monotonic(), 0.0
        while (left := began + seconds - time.monotonic()) > 0:
            peak = max(peak, _rss_mb(root))
            await asyncio.sleep(min(SAMPLE_S, left))
        took, passed = cpu_s(root) - before, time.monotonic() - began
        rss = _rss_mb(root)
        threads = sum(one.num_threads() for one in _family(root))
        return Usage(100 * took / passed, rss, max(peak, rss), _pss_mb(root), threads)
    except psutil.NoSuchProcess:
        raise Unmeasured(f"process {pid} has ended while it was measured") from None


def _family(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def cpu_s(root: psutil.Process) -> float:
    """CPU seconds of the process, its children, and the children that have ended (`cpu_times` counts those)."""
    return sum(sum(one.cpu_times()[:4]) for one in _family(root))


def _rss_mb(root: psutil.Process) -> float:
    return sum(one.memory_info().rss for one in _family(root)) / MB


def _pss_mb(root: psutil.Process) -> float | None:
    try:
        return sum(one.memory_full_info().pss for one in _family(root)) / MB
    except (AttributeError, psutil.AccessDenied):
        return None


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens on now, and that the kernel gives to no connection meanwhile."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise Unmeasured("this machine has no ports left")


def clean_environment(folder: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without the user's settings, with its state in `folder`."""
    given = os.environ if base is None else base
    kept = {name: value for name, value in given.items() if not name.upper().startswith("ANTIPHON_")}
    return {**kept, "ANTIPHON_STATE": str(folder), "XDG_CONFIG_HOME": str(folder)}
