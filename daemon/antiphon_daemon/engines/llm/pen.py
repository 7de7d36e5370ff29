"""Who of several conversations has the language model write: the most urgent, one for each thread it writes with.

llama.cpp writes all of them in one loop, and with few threads the next token of each comes as much later as there are
conversations. Who shares so lets all wait for their first words; who takes turns lets the first have them at once, and
nobody later than before. To stop and go on costs as much as a token or two, for what was written is in the cache.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from antiphon_daemon.engines.contracts import Revoked, Urgency, Work
from antiphon_daemon.engines.rush import LOOK_S, RUSH, Rush
from antiphon_daemon.engines.work import rank

TURN_TOKENS = 16
"""Who writes goes on for so many tokens while others wait that are as urgent: a first clause has no more."""
LEAST_TOKENS = 4
"""And for so many, once its prompt is read, while others wait that are more urgent, or have nothing to hear yet while
this one has: else going on would cost more than what is written. What nobody waits for stops at once."""

VOICED_S = 0.3
"""A reply whose first sound is being made is not written on for so long, at most: both share the cores."""


@dataclass(eq=False)
class Writer:
    """Somebody who writes, or waits for it."""

    work: Work
    came_at: float
    written: int = 0
    """Tokens since it may write."""
    reading: bool = False
    """Some of its prompt has been read, and there is more."""


class Pens:
    """So many pens. Thread-safe."""

    def __init__(self, count: int, rush: Rush = RUSH, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = count
        self._rush, self._clock = rush, clock
        self._waiting: list[Writer] = []
        self._freed = threading.Condition()

    @contextlib.contextmanager
    def taken(
        self, work: Work, wanted: Callable[[], bool] | None = None, *, within_s: float = math.inf
    ) -> Iterator[Writer]:
        """Give a pen to whoever `work` is for while the body lasts, once nobody goes before it (`work.rank`).

        Args:
            wanted: whether it is still wanted; None: as long as the work is. Whoever changes that calls `look`.
            within_s: how long it is of use to wait.

        Raises:
            Revoked: it is not wanted any more, or has waited so long.
        """
        writer = Writer(work, self._clock())
        with self._freed:
            self._waiting.append(writer)
            try:
                while not self._may_begin(writer):
                    left_s = writer.came_at + within_s - self._clock()
                    if left_s <= 0 or not (wanted or work.wanted)():
                        raise Revoked
                    self._freed.wait(min(LOOK_S, left_s))  # urgency changes with time, and tells nobody
                self._free -= 1
            finally:
                self._waiting.remove(writer)
                self._freed.notify_all()  # whoever was behind it is first now
        try:
            yield writer
        finally:
            with self._freed:
                self._free += 1
                self._freed.notify_all()

    def look(self) -> None:
        """Have everybody who waits look again."""
        with self._freed:
            self._freed.notify_all()

    def wanted(self, writer: Writer) -> bool:
        """Return whether who writes is to let somebody else write now."""
        urgency, served = writer.work.urgency(), writer.work.due() is not None
        if urgency < Urgency.AHEAD and writer.written < LEAST_TOKENS and not writer.reading:
            return False
        now = self._clock()
        again = rank(writer.work, now)
        with self._freed:
            before = [other for other in self._waiting if rank(other.work, other.came_at) < again]
        return (
            any(other.work.urgency() < urgency or (served and other.work.due() is None) for other in before)
            or (writer.written >= TURN_TOKENS and bool(before))
            or self._rush.holds_back(urgency, now)
            or self._voiced(writer.work)
        )

    def _may_begin(self, writer: Writer) -> bool:
        now = self._clock()
        ready = [one for one in self._waiting if now - one.came_at > VOICED_S or not self._voiced(one.work)]
        first = min(ready, key=lambda one: rank(one.work, one.came_at), default=None)
        free = self._free > 0 and first is writer
        return free and not self._rush.holds_back(writer.work.urgency(), writer.came_at)

    def _voiced(self, work: Work) -> bool:
        """Return whether another engine is making the first of it that can be heard: what follows can wait so long."""
        return work.due() is None and self._rush.engines_at(work) > 1
