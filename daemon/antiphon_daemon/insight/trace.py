"""When each thing of a turn happened: the waterfall that `ask`, the log and the dashboard show."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

Mark: TypeAlias = Literal["speech_end", "soft_end", "turn_end", "stt", "llm_first", "tts_first", "first_audio", "done"]
MARKS: tuple[Mark, ...] = ("speech_end", "soft_end", "turn_end", "stt", "llm_first", "tts_first", "first_audio", "done")


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
        self.one_moment_ms = round((self._clock() - self._start) * 1000)

    def renew(self, trace: Trace) -> None:
        """Take over another trace's speech, and keep one's own reply: it was begun sooner."""
        self._at |= trace._at
        self.revision, self.heard_ms = trace.revision, trace.heard_ms

    def timeline(self) -> dict[str, int | None]:
        """Return milliseconds from the end of speech, in order; None for what did not happen."""
        start = self._start
        return {name: round((self._at[name] - start) * 1000) if name in self._at else None for name in MARKS}

    @property
    def _start(self) -> float:
        return self._at.get("speech_end", min(self._at.values(), default=0.0))
