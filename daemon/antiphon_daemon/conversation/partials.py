"""Transcripts while somebody still speaks: only what two hearings in a row agree on, and never taken back.

Local agreement: a word is given out once two successive hearings of the growing sound have it, and everything before
it, in common. The newest word is held back, for it is the one that the next sound changes.
"""

from __future__ import annotations

import re

EVERY_S = 1.0
"""Speech between two hearings: each costs the machine as much as the final one."""
AMONG_OTHERS_S = 3.0
"""The same while somebody else speaks too: their turn may end in the middle of such a hearing, and wait for it."""


class Floor:
    """Who is speaking, in all conversations of a process."""

    def __init__(self) -> None:
        self._speakers: set[object] = set()

    def note(self, who: object, *, speaks: bool) -> None:
        """Somebody speaks (pauses are part of it), or does not any more."""
        if speaks:
            self._speakers.add(who)
        else:
            self._speakers.discard(who)

    def every_s(self, who: object) -> float:
        """Return how much speech lies between two hearings of this one at the moment."""
        return AMONG_OTHERS_S if self._speakers - {who} else EVERY_S


FLOOR = Floor()
"""That of this process."""


class Agreement:
    """What is agreed on so far."""

    def __init__(self) -> None:
        self._before: list[str] = []
        self._given: list[str] = []

    @property
    def text(self) -> str:
        """All that was given out."""
        return " ".join(self._given)

    def add(self, text: str) -> str:
        """Take the next hearing; return what is new in agreement, to be appended as it is (empty: nothing)."""
        words = text.split()
        agreed = 0
        for old, new in zip(self._before, words[:-1], strict=False):
            if bare(old) != bare(new):
                break
            agreed += 1
        self._before = words
        if agreed <= len(self._given) or not _begins_with(words, self._given):
            return ""
        fresh = words[len(self._given) : agreed]
        lead = " " if self._given else ""
        self._given += fresh
        return lead + " ".join(fresh)

    def rest(self, text: str) -> str:
        """Return what the final transcript adds to what was given; empty where the two do not agree."""
        words = text.split()
        if not _begins_with(words, self._given):
            return ""
        fresh = " ".join(words[len(self._given) :])
        return f" {fresh}" if fresh and self._given else fresh


def bare(word: str) -> str:
    """Return a word without case and punctuation."""
    return re.sub(r"\W+", "", word.casefold())


def _begins_with(words: list[str], given: list[str]) -> bool:
    return len(words) >= len(given) and all(bare(a) == bare(b) for a, b in zip(words, given, strict=False))
