"""The token that cancels: work that is revoked is finished nowhere, at no hop and in no engine."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable

from antiphon_daemon.engines.contracts import Urgency, Work

AMPLE_S = 2.0
"""Who has so much left to hear can wait for the rest: long enough for the clauses that others wait for."""
MAKING_S = 0.8
"""More of a reply takes so long to be made: so long before the listener has heard what there is, it is due."""


def rank(work: Work, came_at: float) -> tuple[Urgency, float]:
    """Return what orders those who wait since `came_at` (monotonic): the most urgent first, and among equals that which
    is due first. Where there is nothing to hear yet, that is when they came."""
    due = work.due()
    return work.urgency(), came_at if due is None else due - MAKING_S


class Token:
    """A `Work` (see `contracts.py`). Thread-safe; revoking is final and idempotent."""

    def __init__(self, revision: int = 0, response_id: str | None = None, *, urgency: Urgency = Urgency.TURN) -> None:
        self.revision = revision
        self.response_id = response_id or f"resp_{uuid.uuid4().hex[:12]}"
        self.conversation: str | None = None
        self.language: str | None = None
        self._settled = False
        self._urgency = urgency
        self._lasts_until = -math.inf
        self._lock = threading.Lock()
        self._revoked = False
        self._closers: list[Callable[[], None]] = []

    def wanted(self) -> bool:
        """Return False once `revoke` was called."""
        return not self._revoked

    def settled(self) -> bool:
        """Return whether the turn is over (see `settle`)."""
        return self._settled

    def settle(self) -> None:
        """The turn is over: what is asked from now on may act."""
        self._settled = True
        self.hurry()

    def unsettle(self) -> None:
        """The turn goes on after all: what is asked from now on may not act."""
        self._settled = False

    def hurry(self) -> None:
        """Somebody waits for it now."""
        self._urgency = Urgency.TURN

    def rest(self) -> None:
        """Nobody waits for it for now."""
        self._urgency = Urgency.MEANWHILE

    def go_on(self) -> None:
        """It may be waited for again."""
        self._urgency = Urgency.DRAFT

    def urgency(self) -> Urgency:
        """Return how urgent it is now."""
        ample = time.monotonic() < self._lasts_until - AMPLE_S
        return max(self._urgency, Urgency.AHEAD) if ample else self._urgency

    def due(self) -> float | None:
        """Return until when what is there lasts (monotonic seconds); None: there is nothing yet."""
        return self._lasts_until if self._lasts_until > -math.inf else None

    def lasts_until(self, at: float) -> None:
        """What is there lasts until `at` (monotonic seconds)."""
        self._lasts_until = at

    def on_revoked(self, closer: Callable[[], None]) -> Callable[[], None]:
        """Call `closer` when revoked (at once if it has been); returns a function that takes it back."""
        with self._lock:
            if not self._revoked:
                self._closers.append(closer)
                return lambda: self._forget(closer)
        closer()
        return lambda: None

    def revoke(self) -> None:
        """Give the work up: every closer is called once, in the order they came."""
        with self._lock:
            self._revoked = True
            closers, self._closers = self._closers, []
        for closer in closers:
            closer()

    def _forget(self, closer: Callable[[], None]) -> None:
        with self._lock:
            if closer in self._closers:
                self._closers.remove(closer)
