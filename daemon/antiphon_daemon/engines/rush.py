"""Whether somebody waits for what is being worked at, in whichever engine.

The engines of a process share its cores. While one works at what somebody waits for, the others begin nothing of which
there is enough for now: on two cores the rest of one speaker's reply would make the next speaker's twice as late.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from antiphon_daemon.engines.contracts import Urgency, Work

LOOK_S = 0.05
"""Urgency changes with time, and tells nobody: so often it is looked at again."""
NEXT_S = 0.03
"""What was done for somebody is followed by what another engine does for them, within so long: what can wait is not to
begin just in between, and share the cores with it."""
HOLD_S = 3.0
"""Nothing is held back for longer at a time: the deadlines of those who read what comes are longer (`Deadlines`)."""


@dataclass(frozen=True, eq=False)
class Job:
    """One piece of work that an engine has begun."""

    thread: str
    """The name of the thread that works at it."""


class Rush:
    """What is being worked at. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: dict[Job, Work] = {}
        self._next_until = -math.inf
        """Something may follow until then on what was done for somebody."""
        self.changes = 0

    @contextlib.contextmanager
    def working(self, work: Work) -> Iterator[None]:
        """Count the body as done for this work, whose urgency may change meanwhile."""
        key, done = Job(threading.current_thread().name), False
        with self._changed:
            self._running[key] = work
        try:
            yield
            done = True
        finally:
            with self._changed:
                del self._running[key]
                if done and work.wanted() and work.urgency() < Urgency.AHEAD:
                    self._next_until = time.monotonic() + NEXT_S
            self.changed()

    def holds_back(self, urgency: Urgency, since: float) -> bool:
        """Return whether what is no more urgent than this, and has waited `since` (monotonic), is to wait on."""
        now = time.monotonic()
        if urgency < Urgency.AHEAD or now - since > HOLD_S:
            return False
        with self._changed:
            running, follows = list(self._running.values()), now < self._next_until
        return follows or any(one.urgency() < Urgency.AHEAD for one in running)

    @property
    def busy(self) -> bool:
        """Whether any engine works."""
        return bool(self._running)

    def given_up(self) -> list[Job]:
        """Return what engines still work at although nobody wants it any more."""
        with self._changed:
            return [job for job, work in self._running.items() if not work.wanted()]

    def engines_at(self, work: Work) -> int:
        """Return how many engines work for this at the moment."""
        with self._changed:
            return sum(one is work for one in self._running.values())

    def wait(self, seen: int) -> None:
        """Return when something may have changed since `changes` was `seen`."""
        with self._changed:
            if self.changes == seen:
                self._changed.wait(LOOK_S)

    def changed(self) -> None:
        """Have everybody who waits look again."""
        with self._changed:
            self.changes += 1
            self._changed.notify_all()


RUSH = Rush()
"""That of this process."""
