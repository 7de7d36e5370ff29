"""The button: Enter on a terminal, or SIGUSR1 (from a GPIO script, a desktop shortcut, a remote control)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def button(pressed: Callable[[], None]) -> Iterator[None]:
    """Call `pressed` on the loop whenever the button is pressed, inside the `with` block."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, pressed)
    reading = _read_terminal(loop, pressed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        if reading is not None:
            loop.remove_reader(reading)


def _read_terminal(loop: asyncio.AbstractEventLoop, pressed: Callable[[], None]) -> int | None:
    """Watch standard input if it is a terminal that we stand in front of; returns what is watched."""
    try:
        terminal = sys.stdin.fileno()
        if not sys.stdin.isatty() or os.getpgrp() != os.tcgetpgrp(terminal):
            return None  # in the background, reading would stop the process
    except (OSError, ValueError, AttributeError):
        return None

    def entered() -> None:
        if os.read(terminal, 1024):
            pressed()
        else:
            loop.remove_reader(terminal)

    loop.add_reader(terminal, entered)
    return terminal
