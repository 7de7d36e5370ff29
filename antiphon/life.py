"""What a running program is told by signals: end (SIGINT, SIGTERM), or read the settings again (SIGHUP).

A hang-up of the terminal that it was started in ends it too: else it would go on, unseen, with the microphone open.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import structlog

log = structlog.get_logger(__name__)

LEAVE_S = 4.5
"""A program that was told to end has left after so long, whatever still holds it; service managers wait for more."""


class Life:
    """Listens for the signals from its making on, on the running loop.

    Args:
        leave_s: the process is gone so long after it was told to end; None: it takes the time it needs.
    """

    def __init__(self, leave_s: float | None = None) -> None:
        self.ended = asyncio.Event()
        """It was told to end."""
        self.again = asyncio.Event()
        """It was told to read its settings again; who does so clears it."""
        self.leave_s = leave_s
        self.code = 0
        """How the process ends: 1 where something went wrong, and a service manager is to start it again."""
        self._terminal = _has_terminal()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.end)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup has asked for that
            loop.add_signal_handler(signal.SIGHUP, self._hung_up)

    def fail(self) -> None:
        """Tell it to end, for it cannot go on."""
        self.code = 1
        self.end()

    def end(self) -> None:
        """Tell it to end."""
        if not self.ended.is_set() and self.leave_s is not None:
            guard = threading.Timer(self.leave_s, self._leave)
            guard.daemon = True
            guard.start()
        self.ended.set()

    def _leave(self) -> None:
        """End the process: a model that is in the middle of a long step cannot be asked to stop."""
        log.warning("left without waiting for what still runs")
        os._exit(self.code)

    def _hung_up(self) -> None:
        if self._terminal and not _has_terminal():
            self.end()
        else:
            self.again.set()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
