"""Leaves out what a model thinks before it answers, where a server passes it on inside the text.

Most servers send thoughts apart from the reply. Others leave them in it, between tags and at its very beginning; there
alone they are looked for, so that a reply may speak of such a tag. Some models are told by their template to begin with
a thought: then the server leaves only the end of it in the text. That is found out by the first reply, whose thought
has been spoken by then, and kept in mind for those that follow.
"""

from __future__ import annotations

from enum import Enum

import structlog

TAGS = {"<think>": "</think>", "<thinking>": "</thinking>", "[THINK]": "[/THINK]"}
LONGEST = max(map(len, TAGS.values()))

log = structlog.get_logger(__name__)


class Habit:
    """How a model's thoughts come: one for all its replies."""

    def __init__(self) -> None:
        self.end = ""
        """The tag that ends thoughts which no tag begins; empty: they have not been seen."""

    def learn(self, end: str) -> None:
        """The model ends with this tag a thought that it did not begin."""
        if not self.end:
            log.warning(
                "the model's thoughts have no beginning, and some were spoken: the next ones are left out", end=end
            )
        self.end = end


class _Part(Enum):
    BEGINNING = 1
    THOUGHT = 2
    REPLY = 3


class Thoughts:
    """The filter of one reply: `feed` each piece, then `rest`."""

    def __init__(self, habit: Habit | None = None) -> None:
        self._habit = habit or Habit()
        self._part = _Part.BEGINNING
        self._held = ""
        self._end = ""
        self._said = ""
        """The end of what was spoken."""
        self._named = False
        """The reply itself speaks of a tag."""
        self.thought = False
        """Whether there were any thoughts."""

    def feed(self, piece: str) -> str:
        """Return what can be spoken now; a tag that may still be on its way is held back."""
        if not self._replies():
            self._held += piece
            self._advance()
            if not self._replies():
                return ""
            piece, self._held = self._held, ""
        return piece if self.thought or self._named else self._unbegun(piece)

    def rest(self, *, cut: bool = False) -> str:
        """Return what was held back: the reply is over. A thought that never ended is not spoken.

        Args:
            cut: the reply is longer than what was wanted, and not at its end.
        """
        held, self._held = self._held, ""
        if self._part is not _Part.THOUGHT:
            return held
        if self.thought or cut:
            self.thought = True
            return ""
        self._habit.end = ""  # the model did not think this time
        return held

    def _replies(self) -> bool:
        return self._part is _Part.REPLY

    def _unbegun(self, piece: str) -> str:
        """Return what of a piece follows a thought that no tag began, or else all of it."""
        text = self._said + piece
        for begin, end in TAGS.items():
            before, found, after = text.partition(end)
            if begin in before:
                self._named = True
                return piece
            if found:
                self._habit.learn(end)
                self.thought = True
                return after.lstrip()
        self._said = text[-LONGEST:]
        return piece

    def _advance(self) -> None:
        if self._part is _Part.BEGINNING:
            self._begin(self._held.lstrip())
        if self._part is _Part.THOUGHT:
            self._leave()

    def _begin(self, text: str) -> None:
        for tag, end in TAGS.items():
            if text.startswith(tag):
                self._part, self._end, self.thought = _Part.THOUGHT, end, True
                self._held = text.removeprefix(tag)
                return
        if text and not any(tag.startswith(text) for tag in TAGS):
            self._end = "" if self.thought else self._habit.end
            self._part = _Part.THOUGHT if self._end else _Part.REPLY

    def _leave(self) -> None:
        before, end, after = self._held.partition(self._end)
        if end:
            self.thought = True
            if reply := after.lstrip():
                self._part, self._held = _Part.REPLY, reply
        elif self.thought:
            self._held = before[-len(self._end) :]
