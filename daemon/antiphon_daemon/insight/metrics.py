"""Counts of what this process has done, for whoever asks (`/metrics`): turns, drafts and how soon replies began."""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from antiphon_daemon.insight.trace import Trace

BUCKETS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.2, 2.0, 5.0, 10.0)
"""Upper bounds of the times to the first sound; the budget is 0.6 s at half, 0.9 s at 95 of 100 turns."""

Outcome: TypeAlias = Literal["reply", "house", "failed", "empty"]
"""What became of a request to the `handle` endpoint: answered, handed over to Home Assistant, failed, nothing asked."""


@dataclass
class Times:
    """How often something took how long."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    """A count for each of `BUCKETS_S`, and beyond."""
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds


@dataclass
class Counts:
    """What has happened since the process began."""

    turns: int = 0
    """Turns that were over and answered."""
    withdrawn: int = 0
    """Those of them whose speaker had not finished: the next turn holds them."""
    failed: int = 0
    """Replies that an engine's failure ended, or turned into an apology."""
    drafts: int = 0
    hits: int = 0
    """Replies whose first sound was there when the turn was over."""
    wasted_s: float = 0.0
    """Work at drafts that came to nothing."""
    moments: int = 0
    """Replies so late that "one moment" was said before them."""
    first_audio: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    """Replies by the time from the end of speech to their first sound: a count for each of `BUCKETS_S`, and beyond."""
    first_audio_s: float = 0.0
    """All those times together."""
    handled: dict[Outcome, int] = field(default_factory=lambda: {"reply": 0, "house": 0, "failed": 0, "empty": 0})
    """Requests to the `handle` endpoint, by what became of them."""
    handled_first: Times = field(default_factory=Times)
    """From such a request to the first words of its reply."""
    transcriptions: int = 0
    """Recordings of programs that were heard (`/v1/audio/transcriptions`)."""
    speeches: int = 0
    """Texts of programs that were spoken (`/v1/audio/speech`)."""


COUNTS = Counts()
"""Of this process, all its conversations together."""
STARTED = time.monotonic()
"""When the process began, about: this module comes with the program."""


def turn_began(drafts: int, wasted_s: float) -> None:
    """A turn is over and its reply may be heard; so many drafts were made for it."""
    COUNTS.turns += 1
    COUNTS.drafts += drafts
    COUNTS.wasted_s += max(0.0, wasted_s)


def turn_withdrawn() -> None:
    """The speaker of a turn that had begun goes on."""
    COUNTS.withdrawn += 1


def reply_began(trace: Trace) -> None:
    """The first sound of a reply goes out."""
    at = trace.timeline()
    first, spoken, over = at["first_audio"], at["tts_first"], at["turn_end"]
    if first is not None:
        COUNTS.first_audio[bisect_left(BUCKETS_S, first / 1000)] += 1
        COUNTS.first_audio_s += first / 1000
    if spoken is not None and over is not None and spoken <= over:
        COUNTS.hits += 1


def moment() -> None:
    """ "One moment" was said."""
    COUNTS.moments += 1


def reply_ended(failed: bool) -> None:
    """A reply is whole, or has `failed`."""
    COUNTS.failed += failed


def handled(outcome: Outcome) -> None:
    """A request to the `handle` endpoint is over."""
    COUNTS.handled[outcome] += 1


def handled_first(seconds: float) -> None:
    """The first words of its reply go out."""
    COUNTS.handled_first.add(seconds)
