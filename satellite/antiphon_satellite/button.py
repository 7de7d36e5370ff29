"""The button: Enter on a terminal, or SIGUSR1 (from a GPIO script, a desktop shortcut, a remote control)."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator

BOUNCE_S = 0.05
"""A contact that closes may do so several times: signals that follow one another so soon are one press."""
BEHIND_S = 1.0
"""Sent to the background, it looks this often whether it stands in front again when there are keys for others."""


@contextlib.contextmanager
def button(pressed: Callable[[], None]) -> Iterator[None]:
    """Call `pressed` on the loop whenever the button is pressed, inside the `with` block."""
    loop = asyncio.get_running_loop()
    last = -math.inf

    def signalled() -> None:
        nonlocal last
        before, last = last, loop.time()
        if last - before > BOUNCE_S:
            pressed()

    loop.add_signal_handler(signal.SIGUSR1, signalled)
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
        if not sys.stdin.isatty() or not _in_front(terminal):
            return None
    except (OSError, ValueError, AttributeError):
        return None

    def entered() -> None:
        keys = b""
        with contextlib.suppress(OSError):  # the terminal is gone
            if not _in_front(terminal):
                loop.remove_reader(terminal)
                loop.call_later(BEHIND_S, loop.add_reader, terminal, entered)
                return
            keys = os.read(terminal, 1024)
        if keys:
            pressed()
        else:
            loop.remove_reader(terminal)

    loop.add_reader(terminal, entered)
    return terminal


def _in_front(terminal: int) -> bool:
    """Return whether the terminal's keys are ours: in the background, reading would stop the process."""
    return os.getpgrp() == os.tcgetpgrp(terminal)
