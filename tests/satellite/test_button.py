"""The button on a terminal: Enter presses it in front, and behind the keys are other programs'."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

from antiphon_satellite.button import BOUNCE_S, button

PROGRAM = """
import asyncio
from antiphon_satellite.button import button

async def main():
    with button(lambda: print("it was pressed", flush=True)):
        print("it waits", flush=True)
        await asyncio.sleep(30)

asyncio.run(main())
"""


def shows(terminal: int, words: str, within_s: float = 10.0) -> bool:
    """Return whether the terminal shows these words in time."""
    shown, end = "", time.monotonic() + within_s
    while words not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return words in shown


async def test_a_contact_that_bounces_presses_once() -> None:
    pressed = 0

    def press() -> None:
        nonlocal pressed
        pressed += 1

    with button(press):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(0.01)
        assert pressed == 1
        await asyncio.sleep(2 * BOUNCE_S)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(0.01)
    assert pressed == 2


def test_in_the_background_the_keys_do_not_stop_it_and_in_front_again_enter_presses(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    shell, terminal = pty.fork()
    if shell == 0:
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    try:
        os.write(terminal, f"{sys.executable} {program}\n".encode())
        assert shows(terminal, "it waits")
        os.write(terminal, b"\n")
        assert shows(terminal, "it was pressed")
        os.write(terminal, b"\x1a")
        assert shows(terminal, "Stopped")
        os.write(terminal, b"bg; echo be'hind'\n")
        assert shows(terminal, "behind")
        time.sleep(0.5)
        os.write(terminal, b"echo typed; sleep 1; jobs\n")
        assert shows(terminal, "Running")
        os.write(terminal, b"fg\n")
        time.sleep(1.5)
        os.write(terminal, b"\n")
        assert shows(terminal, "it was pressed")
    finally:
        os.kill(shell, signal.SIGKILL)
        os.waitpid(shell, 0)
        os.close(terminal)
