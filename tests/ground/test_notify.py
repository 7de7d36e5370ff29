"""What a service manager hears: over a socket of either kind, from the loop alone, and from no child."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.notify import VARIABLES, Notifier


@contextlib.contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """The manager's end of the line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind("\0" + address[1:] if address.startswith("@") else address)
        line.settimeout(10)
        yield line


def heard(line: socket.socket) -> list[str]:
    return line.recv(4096).decode().split("\n")


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@antiphon-{os.getpid()}-{time.monotonic_ns()}"


def test_ready_reloading_and_stopping_are_told(address: str) -> None:
    with manager(address) as line:
        notifier = Notifier({"NOTIFY_SOCKET": address})
        notifier.ready("Serving")
        assert heard(line) == ["READY=1", "STATUS=Serving"]
        notifier.reloading()
        reloading, at = heard(line)
        assert reloading == "RELOADING=1"
        assert at.startswith("MONOTONIC_USEC=")
        notifier.stopping()
        assert "STOPPING=1" in heard(line)


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "vsock:2:1", "@"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"} if address else {})
    notifier.ready("Serving")
    assert notifier.watchdog_s == 0


def test_a_manager_that_has_gone_or_is_full_harms_nothing(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with manager(address):
        notifier = Notifier({"NOTIFY_SOCKET": address})
        for _ in range(10_000):  # nobody reads: the socket fills up, and nothing may wait for it
            notifier.status("Serving")
    notifier.stopping()


def test_children_do_not_inherit_the_line() -> None:
    environment = {"NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "LANG": "C"}
    Notifier(environment)
    assert environment == {"LANG": "C"}
    program = "from antiphon_satellite.hooks import GIVEN; print(sorted(GIVEN))"
    given = {**os.environ, "NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": "1000000"}
    ran = subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True, check=True)
    assert not any(name in ran.stdout for name in VARIABLES)
    assert "PATH" in ran.stdout


def test_the_watchdog_of_another_process_is_not_fed(tmp_path: Path) -> None:
    with manager(str(tmp_path / "notify")):
        given = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        assert Notifier({**given, "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 3
        assert Notifier({**given, "WATCHDOG_PID": str(os.getpid() + 1)}).watchdog_s == 0


async def test_a_blocked_loop_gives_no_signs_of_life(tmp_path: Path) -> None:
    with manager(str(tmp_path / "notify")) as line:
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "150000"})
        async with notifier.watched():
            assert await asyncio.to_thread(heard, line) == ["WATCHDOG=1"]
            assert await asyncio.to_thread(heard, line) == ["WATCHDOG=1"]
            line.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard(line)
            time.sleep(0.5)  # noqa: ASYNC251 - the loop is blocked: that is what is tested
            with pytest.raises(BlockingIOError):
                heard(line)
            line.setblocking(True)
            assert await asyncio.to_thread(heard, line) == ["WATCHDOG=1"]


async def test_a_long_start_is_told_to_go_on(tmp_path: Path) -> None:
    with manager(str(tmp_path / "notify")) as line:
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        async with notifier.starting("Loading the models"):
            assert heard(line) == ["STATUS=Loading the models"]
            sign = await asyncio.to_thread(heard, line)
        assert sign == ["EXTEND_TIMEOUT_USEC=30000000"]
