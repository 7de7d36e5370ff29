"""The timers of one place: set, asked about, changed, and rung where they were set.

    set ──► RUNNING ──(time is up)──► RINGING ──(stopped, or long enough)──► gone
              │  ▲                       ▲
        paused▼  │resumed                │ is told to the bell, or to the next one that is there
             PAUSED

Whoever can ring attaches a `Bell`. A timer whose time is up while no bell is there rings when one comes, if that is
soon; what is older than `LATE_S` is only logged. One that was due while the machine slept rings when it wakes.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import structlog

from antiphon.elapsed import elapsed_s

AT_MOST = 32
"""Timers of one place."""
LONGEST_S = 86_400
RING_S = 60.0
"""A satellite rings no longer than this."""
LATE_S = 600.0
"""A timer that could not ring for so long need not ring any more."""
LOST_S = 15.0
"""What rang so shortly before its bell went may have been lost with it: it takes that long to see that one is gone."""
LOOK_S = 5.0
"""How often it is looked at the latest whether one is due: what the machine slept is not waited for once more."""

log = structlog.get_logger(__name__)


class Status(Enum):
    """Where a timer stands."""

    RUNNING = "running"
    PAUSED = "paused"
    RINGING = "ringing"


@dataclass
class Timer:
    """One timer."""

    id: str
    total_s: int
    """What it was set for."""
    name: str | None
    status: Status
    due: float
    """When its time is up, seconds on the clock of its `Timers`; while it is paused, what is left."""
    told: bool = False
    """A bell knows that its time is up."""


class Bell(Protocol):
    """What rings: told of every change. Nothing here waits."""

    def timer_started(self, timer: Timer) -> None: ...

    def timer_updated(self, timer: Timer, left_s: int) -> None: ...

    def timer_cancelled(self, timer: Timer) -> None: ...

    def timer_finished(self, timer: Timer) -> None: ...


class Timers:
    """The timers of one place. `close` ends them.

    Args:
        clock: seconds; also those that the machine slept.
    """

    def __init__(self, clock: Callable[[], float] = elapsed_s) -> None:
        self._clock = clock
        self._timers: dict[str, Timer] = {}
        self._bell: Bell | None = None
        self._wake: asyncio.TimerHandle | None = None

    @property
    def set(self) -> list[Timer]:
        """Those that run or are paused, the one with least time left first."""
        waiting = [timer for timer in self._timers.values() if timer.status is not Status.RINGING]
        return sorted(waiting, key=self.left_s)

    @property
    def ringing(self) -> list[Timer]:
        """Those whose time is up and that nobody has stopped."""
        return [timer for timer in self._timers.values() if timer.status is Status.RINGING]

    def left_s(self, timer: Timer) -> int:
        """Return the seconds that are left, rounded up: a timer that was just set has all of them."""
        left = timer.due if timer.status is Status.PAUSED else timer.due - self._clock()
        return max(0, -int(-left // 1))

    def attach(self, bell: Bell) -> None:
        """From now on `bell` is told; what is due and not too old rings at once."""
        self._advance()
        self._bell = bell
        self._advance()

    def detach(self, bell: Bell) -> None:
        """`bell` cannot ring any more; what it rang just now may have been lost with it: the next one rings it again.

        What it rang before then was heard, and may have been silenced there, of which nobody tells.
        """
        if self._bell is bell:
            self._bell = None
            for timer in self.ringing:
                timer.told = timer.told and self._clock() - timer.due >= LOST_S
            self._plan()

    def start(self, total_s: int, name: str | None = None) -> Timer | None:
        """Set a timer; None when there are too many."""
        if len(self.set) >= AT_MOST:
            return None
        timer = Timer(uuid.uuid4().hex, total_s, name, Status.RUNNING, self._clock() + total_s)
        self._timers[timer.id] = timer
        self._tell(lambda bell: bell.timer_started(timer))
        self._plan()
        return timer

    def cancel(self, timer: Timer) -> None:
        """End a timer, running or ringing; nothing happens when it is gone already."""
        if self._timers.pop(timer.id, None) is not None:
            self._tell(lambda bell: bell.timer_cancelled(timer))
            self._plan()

    def restore(self, timers: Iterable[Timer]) -> None:
        """Take back that these were cancelled."""
        for timer in timers:
            self._timers[timer.id] = timer
            self._tell(lambda bell, timer=timer: bell.timer_started(timer))  # type: ignore[misc]
        self._advance()

    def calm(self) -> None:
        """Stop what rings."""
        for timer in self.ringing:
            self.cancel(timer)

    def change(self, timer: Timer, by_s: int) -> None:
        """Give a timer more time, or less (but not so little that it would be over)."""
        if timer.status is not Status.RINGING and self.left_s(timer) + by_s > 0:
            timer.due += by_s
            timer.total_s = max(1, timer.total_s + by_s)
            self._changed(timer)

    def pause(self, timer: Timer) -> None:
        """Stop a timer's time."""
        if timer.status is Status.RUNNING:
            timer.status, timer.due = Status.PAUSED, timer.due - self._clock()
            self._changed(timer)

    def resume(self, timer: Timer) -> None:
        """Let a paused timer go on."""
        if timer.status is Status.PAUSED:
            timer.status, timer.due = Status.RUNNING, timer.due + self._clock()
            self._changed(timer)

    def close(self) -> None:
        """End all of them without a word."""
        self._timers.clear()
        self._bell = None
        self._plan()

    def _changed(self, timer: Timer) -> None:
        self._tell(lambda bell: bell.timer_updated(timer, self.left_s(timer)))
        self._plan()

    def _tell(self, what: Callable[[Bell], None]) -> None:
        if self._bell is not None:
            what(self._bell)

    def _advance(self) -> None:
        """Ring what is due, forget what has rung, and wake up for what comes next."""
        now = self._clock()
        for timer in list(self._timers.values()):
            if timer.status is Status.RUNNING and timer.due <= now:
                timer.status = Status.RINGING
            if timer.status is not Status.RINGING:
                continue
            if not timer.told and self._bell is None and now - timer.due >= LATE_S:
                log.warning("a timer's time was up, and nothing was there to ring", late_s=round(now - timer.due))
                del self._timers[timer.id]
            elif timer.told and now - timer.due >= RING_S:
                del self._timers[timer.id]
            elif not timer.told and self._bell is not None:
                timer.told, timer.due = True, now
                self._bell.timer_finished(timer)
        self._plan()

    def _plan(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        due = [self._next(timer) for timer in self._timers.values() if timer.status is not Status.PAUSED]
        if due:
            wait_s = min(max(0.0, min(due) - self._clock()), LOOK_S) + 0.001  # what waits, sleeps with the machine
            self._wake = asyncio.get_running_loop().call_later(wait_s, self._advance)

    def _next(self, timer: Timer) -> float:
        if timer.status is Status.RUNNING:
            return timer.due
        return timer.due + (RING_S if timer.told else LATE_S)
