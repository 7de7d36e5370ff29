"""How busy the threads of an engine were lately."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

LOAD_S = 60
"""How busy threads are is told for the last so many seconds."""


class Meter:
    """How long of the last `LOAD_S` seconds something was being worked at. Thread-safe.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made = clock()
        self._since = 0.0
        self._spans: dict[int, float] = {}
        """What was spent in each second of the clock that is not too long ago."""
        self.running = 0
        """Jobs that are being worked at."""

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count the body as work."""
        with self._lock:
            if self.running == 0:
                self._since = self._clock()
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1
                if self.running == 0:
                    self._add(self._since, self._clock())

    def busy(self) -> float:
        """Return the share of the time, 0 to 1."""
        with self._lock:
            now = self._clock()
            if self.running:
                self._add(self._since, now)
                self._since = now
            spent = sum(span for second, span in self._spans.items() if second + 0.5 > now - LOAD_S)
        return min(1.0, spent / min(LOAD_S, max(1.0, now - self._made)))

    def _add(self, begin: float, end: float) -> None:
        begin = max(begin, end - LOAD_S)
        while begin < end:
            second = int(begin)
            until = min(end, second + 1.0)
            self._spans[second] = self._spans.get(second, 0.0) + until - begin
            begin = until
        if len(self._spans) > 2 * LOAD_S:
            self._spans = {second: span for second, span in self._spans.items() if second > end - LOAD_S}
