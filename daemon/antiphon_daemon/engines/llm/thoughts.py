"""Leaves out what a model thinks before it answers, where a server passes it on inside the text.

Most servers send thoughts apart from the reply. Others leave them in it, between tags and at its very beginning; there
alone they are looked for, so that a reply may speak of such a tag.
"""

from __future__ import annotations

from enum import Enum

TAGS = {"<think>": "</think>", "<thinking>": "</thinking>", "[THINK]": "[/THINK]"}


class _Part(Enum):
    BEGINNING = 1
    THOUGHT = 2
    REPLY = 3


class Thoughts:
    """The filter of one reply: `feed` each piece, then `rest`."""

    def __init__(self) -> None:
        self._part = _Part.BEGINNING
        self._held = ""
        self._end = ""
        self.thought = False
        """Whether there were any thoughts."""

    def feed(self, piece: str) -> str:
        """Return what can be spoken now; a tag that may still be on its way is held back."""
        if self._part is _Part.REPLY:
            return piece
        self._held += piece
        self._advance()
        return self.rest() if self._replies() else ""

    def rest(self) -> str:
        """Return what was held back: the reply is over. A thought that never ended is not spoken."""
        held, self._held = self._held, ""
        return "" if self._part is _Part.THOUGHT else held

    def _replies(self) -> bool:
        return self._part is _Part.REPLY

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
            self._part = _Part.REPLY

    def _leave(self) -> None:
        before, end, after = self._held.partition(self._end)
        if not end:
            self._held = before[-len(self._end) :]
        elif reply := after.lstrip():
            self._part, self._held = _Part.REPLY, reply
