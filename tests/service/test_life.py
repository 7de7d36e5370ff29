"""What befalls a program that runs for long: killed, no room on the disk, nowhere to keep anything, a lost terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from daemons import command, serves, settings_file

pytestmark = pytest.mark.timeout(120)


def until(true: Callable[[], bool], process: subprocess.Popen[bytes], within_s: float = 60) -> None:
    """Wait until something is true, as long as the process runs."""
    end = time.monotonic() + within_s
    while not true():
        assert process.poll() is None, f"it has ended with {process.returncode}"
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_daemon_that_was_killed_starts_again_at_once(tmp_path: Path) -> None:
    config, ports = settings_file(tmp_path)
    for _ in range(2):
        process = subprocess.Popen(command(config), stdin=subprocess.DEVNULL)
        try:
            until(lambda: serves(ports["handle"]), process)
        finally:
            process.kill()
            process.wait(10)


def test_a_full_disk_and_a_state_folder_that_cannot_be_keep_nobody_from_serving(tmp_path: Path) -> None:
    """`/dev/full` is a disk without room, for the log; a file stands where the state folder should be."""
    config, ports = settings_file(tmp_path)
    (tmp_path / "file").write_text("")
    environment = {**os.environ, "ANTIPHON_STATE": str(tmp_path / "file" / "state")}
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(command(config), env=environment, stdin=subprocess.DEVNULL, stderr=full)
    try:
        until(lambda: serves(ports["handle"]), process)
        process.terminate()
        process.wait(10)
        assert process.returncode == 0
    finally:
        process.kill()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command(config, "satellite"), env=environment, stdin=subprocess.DEVNULL, stderr=log)
    try:
        until(lambda: serves(ports["satellite"]), process)
    finally:
        process.kill()
        process.wait(10)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_terminal_that_is_closed_ends_what_was_started_in_it(tmp_path: Path) -> None:
    """Else SIGHUP, which reads the settings again, would leave a satellite behind that nobody sees and that hears."""
    config, ports = settings_file(tmp_path)
    program = command(config, "satellite")
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.execv(program[0], program)
    try:
        end = time.monotonic() + 30
        while not serves(ports["satellite"]):
            assert time.monotonic() < end
        os.kill(pid, signal.SIGHUP)  # with the terminal still there: it goes on
        time.sleep(1)
        assert serves(ports["satellite"])
        os.close(terminal)
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            assert time.monotonic() < end + 10
            time.sleep(0.1)
        assert not serves(ports["satellite"])
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


HANGS = """
import asyncio, threading
from antiphon.life import Life

async def main():
    life = Life(leave_s=0.2)
    life.fail()
    await life.ended.wait()
    await asyncio.to_thread(threading.Event().wait)

asyncio.run(main())
"""
"""A program that cannot go on, nor end: a thread of its hangs."""


def test_what_hangs_leaves_with_an_error_so_that_it_is_started_again() -> None:
    assert subprocess.run([sys.executable, "-c", HANGS], timeout=30, capture_output=True, check=False).returncode == 1
