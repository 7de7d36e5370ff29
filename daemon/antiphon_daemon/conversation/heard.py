"""Which words of a reply were heard, by how far its sound was played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from antiphon_daemon.conversation.spoken import Spoken

END_MS = 80
"""A speaker's count of what it played is not exact to the sample."""


@dataclass
class Clause:
    """What was spoken at once."""

    spoken: Spoken
    samples: int = 0
    pause: int = 0
    """Samples of silence after it."""

    @property
    def text(self) -> str:
        """As it was written."""
        return self.spoken.written


def length(clauses: Sequence[Clause]) -> int:
    """Return the samples that clauses take, with their pauses."""
    return sum(clause.samples + clause.pause for clause in clauses)


def heard_text(clauses: Sequence[Clause], samples: float, rate: int, *, whole: bool = True) -> str:
    """Return the words that were heard in the first `samples` of the sound; all, if only `END_MS` are missing.

    Args:
        whole: there is no more of it in the making.
    """
    left, there = samples, length(clauses)
    if left >= there - END_MS * rate / 1000:
        if whole:
            return "".join(clause.text for clause in clauses).strip()
        left = there
    heard = ""
    for clause in clauses:
        if left < clause.samples or (clause.spoken.text and not clause.samples):
            heard += clause.spoken.heard(left / clause.samples) if clause.samples else ""
            break
        heard += clause.text
        left -= clause.samples + clause.pause
        if left < 0:
            break
    return heard.strip()
