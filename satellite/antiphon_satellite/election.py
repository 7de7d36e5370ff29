"""Which of several controllers drives the satellite.

A controller is a pair: the peer's host, and the id it gives with `run-satellite` (our daemons give one, Home Assistant
gives none). One is active: the one that the settings name, else one without an id (a person added the satellite there),
else a daemon; among equals, the one that is active, else the one that came first. Another takes over only while the
satellite is at rest, or when the active one has gone. A pair that connects again replaces its connection before, which
is half-open.

Where each wake word calls an assistant of its own, a controller belongs to one of the endpoints. Those of the endpoint
that was called last come before all others; when nobody drives that one, another answers rather than nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True)
class Pair:
    """Who a controller is."""

    host: str
    id: str | None


@dataclass(eq=False)
class Candidate(Generic[P]):
    """A controller and its connection."""

    pair: Pair
    peer: P
    endpoint: int = 0
    """The wake word whose port it came to."""


class Election(Generic[P]):
    """The controllers that are connected, in the order they came.

    Args:
        wanted: the host or the id that the settings name; empty for none.
    """

    def __init__(self, wanted: str = "") -> None:
        self._wanted = wanted
        self.candidates: list[Candidate[P]] = []
        self.active: Candidate[P] | None = None
        self._called = 0

    def call(self, endpoint: int) -> None:
        """The wake word of an endpoint was heard. Then call `elect`."""
        self._called = endpoint

    def best(self, endpoint: int) -> Candidate[P] | None:
        """Return who drives the satellite, or would if this endpoint's word were heard."""
        if self.active is not None and self.active.endpoint == endpoint:
            return self.active
        return min((one for one in self.candidates if one.endpoint == endpoint), key=self._rank, default=None)

    def prefer(self, wanted: str) -> None:
        """Name another host or id. Then call `elect`."""
        self._wanted = wanted

    def join(
        self, newcomer: Candidate[P], lives: Callable[[Candidate[P]], bool] = lambda _: False
    ) -> Candidate[P] | None:
        """Add a controller; returns the half-open connection that it replaces, if any. Then call `elect`.

        Args:
            lives: whether a connection of the same pair is certainly not half-open: then it is another program's.
        """
        same = (newcomer.pair, newcomer.endpoint)
        before = next((one for one in self.candidates if (one.pair, one.endpoint) == same and not lives(one)), None)
        if before is not None:
            self.leave(before)
        self.candidates.append(newcomer)
        return before

    def leave(self, gone: Candidate[P]) -> None:
        """Remove a controller. Then call `elect`."""
        if gone in self.candidates:
            self.candidates.remove(gone)
        if self.active is gone:
            self.active = None

    def elect(self, *, at_rest: bool) -> Candidate[P] | None:
        """Return who is active from now on."""
        best = min(self.candidates, key=self._rank, default=None)
        if self.active is None or (at_rest and best is not None and self._rank(best) < self._rank(self.active)):
            self.active = best
        return self.active

    def _rank(self, candidate: Candidate[P]) -> tuple[bool, int]:
        elsewhere = candidate.endpoint != self._called
        if self._wanted and self._wanted in (candidate.pair.host, candidate.pair.id):
            return elsewhere, 0
        return elsewhere, 1 if candidate.pair.id is None else 2
