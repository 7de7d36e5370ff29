"""When each thing of a turn happened: the waterfall that `ask`, the log and the dashboard show."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

Mark: TypeAlias = Literal[
    "speech_end",
    "soft_end",
    "turn_end",
    "stt",
    "llm_first",
    "tts_first",
    "first_audio",
    "done",
    "judging",
    "judged",
    "clause",
]
MARKS: tuple[Mark, ...] = ("speech_end", "soft_end", "turn_end", "stt", "llm_first", "tts_first", "first_audio", "done")
"""The timeline that is told to everybody."""
FINER: tuple[Mark, ...] = ("judging", "judged", "clause")
"""Of use to who looks closer: the end-of-turn model began and has judged; there was something for the voice to say."""
HEARD: tuple[Mark, ...] = ("speech_end", "soft_end", "stt", "judging", "judged")
"""What is noted before there is a reply."""


class Trace:
    """The marks of one turn, in seconds of the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: dict[Mark, float] = {}
        self.revision = 0
        self.heard_ms: int | None = None
        """How much speech the turn held."""
        self.drafts = 0
        """Drafts that were begun for this turn."""
        self.wasted_ms = 0
        """How long those were worked at that came to nothing, because the speaker went on."""
        self.failure: str | None = None
        """What went wrong, if anything did: the reply is then an apology."""
        self.one_moment_ms: int | None = None
        """When "one moment" was said, from the end of speech, because the reply was late; None: it was not."""
        self.failure_unquoted: str | None = None
        """The same without words that may quote what was said."""

    def mark(self, name: Mark, *, ago_s: float = 0.0) -> None:
        """Note that `name` happened, `ago_s` seconds ago; a later draft's mark replaces an earlier one's."""
        self._at[name] = self._clock() - ago_s

    def first(self, name: Mark) -> None:
        """Note `name` unless it is noted."""
        self._at.setdefault(name, self._clock())

    def has(self, name: Mark) -> bool:
        """Return whether `name` is noted."""
        return name in self._at

    def note_moment(self) -> None:
        """Note that "one moment" is said now."""
        self.one_moment_ms = round((self._clock() - self.start) * 1000)

    def note(self, name: Mark, at: float) -> None:
        """Note that `name` happened at `at`, by this trace's clock."""
        self._at[name] = at

    def failed(self, why: str, unquoted: str | None = None) -> None:
        """Note what went wrong; `unquoted` is the same without words that may quote what was said."""
        self.failure, self.failure_unquoted = why, unquoted or why

    def copy(self) -> Trace:
        """Return it as it is now."""
        other = copy.copy(self)
        other._at = dict(self._at)
        return other

    def unanswered(self) -> Trace:
        """Return what it holds of the speech, and nothing of a reply."""
        other = Trace(self._clock)
        other._at = {name: self._at[name] for name in HEARD if name in self._at}
        other.revision, other.heard_ms = self.revision, self.heard_ms
        return other

    def renew(self, trace: Trace) -> None:
        """Take over another trace's speech, and keep one's own reply: it was begun sooner."""
        self._at |= trace._at
        self.revision, self.heard_ms = trace.revision, trace.heard_ms

    def timeline(self) -> dict[str, int | None]:
        """Return milliseconds from the end of speech, in order; None for what did not happen."""
        return self._told(MARKS)

    def finer(self) -> dict[str, int | None]:
        """Return the timeline, and what is of use to who looks closer."""
        return self._told((*MARKS, *FINER))

    def _told(self, marks: tuple[Mark, ...]) -> dict[str, int | None]:
        start = self.start
        return {name: round((self._at[name] - start) * 1000) if name in self._at else None for name in marks}

    @property
    def start(self) -> float:
        """When the speech ended, by this trace's clock; where nobody spoke, the first mark."""
        return self._at.get("speech_end", min(self._at.values(), default=0.0))
