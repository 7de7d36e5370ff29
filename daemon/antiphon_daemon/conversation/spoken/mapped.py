"""Text on its way from what is written to what is said, which never forgets where each of its characters comes from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

Replacement: TypeAlias = str | Callable[[re.Match[str]], str | None]
"""What a match becomes: a text (taken as it is), or a function of the match; None leaves it alone."""


class Mapped:
    """A text under replacement.

    Attributes:
        text: as it is now.
        ends: for each character of it, how much of the written text has been said once it has.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.ends = list(range(1, len(text) + 1))

    def sub(self, pattern: re.Pattern[str], replacement: Replacement) -> None:
        """Replace every match. A new text shares the written one of its match evenly among its characters."""
        pieces: list[str] = []
        ends: list[int] = []
        done = 0
        for match in pattern.finditer(self.text):
            new = replacement if isinstance(replacement, str) else replacement(match)
            if new is None:
                continue
            start, end = match.span()
            pieces += (self.text[done:start], new)
            ends += self.ends[done:start]
            ends += _spread(self.ends[start - 1] if start else 0, self.ends[end - 1] if end else 0, len(new))
            done = end
        if pieces:
            self.text = "".join((*pieces, self.text[done:]))
            self.ends = ends + self.ends[done:]

    def strip(self, left: int, right: str) -> None:
        """Remove the first `left` characters, and at the end all of those in `right`."""
        end = len(self.text.rstrip(right))
        self.text, self.ends = self.text[left:end], self.ends[left:end]


def _spread(start: int, end: int, count: int) -> list[int]:
    return [start + (end - start) * (number + 1) // count for number in range(count)]
