"""Whether a language model goes round in a circle: small ones do, and would say the same thing for minutes."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import AsyncGenerator, Callable

import numpy as np

from antiphon.text import composed

ROUNDS = 3
WEIGHT = 120
"""A circle has gone round so often, and has so much text (a Latin letter weighs 1, a syllable or ideograph 2): some
nine seconds. What is repeated on purpose, such as a chorus, is shorter, or has something else in between."""
LONGEST = 400
"""Letters of a round, at most."""
MORE = 120
"""Characters that are let through at most after that, for a sentence to end."""
PIECE = 16
"""Characters that are looked at together, where more come at once."""

_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’)\]」』》）]*|\n")
_SIZES = np.arange(1, LONGEST + 1)


class Circle:
    """Follows a text as it is written. Nothing counts but letters and digits."""

    def __init__(self) -> None:
        self._last = np.zeros(LONGEST, dtype=np.int32)
        """The last letters, the newest first."""
        self._alike = np.zeros(LONGEST, dtype=np.int32)
        """For each length of a round: how many of the last letters are as they were one round before."""
        self._weights = [0]
        """Of the text up to each letter."""

    def closed(self, text: str) -> bool:
        """Add text; return whether it goes round in a circle by now."""
        letters = [letter for letter in composed(text).casefold() if letter.isalnum()]
        return any(self._add(letter) for letter in letters)

    def _add(self, letter: str) -> bool:
        self._weights.append(self._weights[-1] + (2 if unicodedata.east_asian_width(letter) in "WF" else 1))
        self._alike = (self._alike + 1) * (self._last == ord(letter))
        self._last = np.concatenate(([ord(letter)], self._last[:-1]))
        (round_again,) = np.nonzero(self._alike >= (ROUNDS - 1) * _SIZES)
        lengths = self._alike[round_again] + _SIZES[round_again]
        return any(self._weights[-1] - self._weights[-1 - int(length)] >= WEIGHT for length in lengths)


async def uncircled(words: AsyncGenerator[str, None], tell: Callable[[], None]) -> AsyncGenerator[str, None]:
    """Yield the words until they go round in a circle, and then to the end of the sentence.

    Args:
        tell: called when they are ended by that.
    """
    circle, more = Circle(), 0
    async with contextlib.aclosing(words):
        async for delta in words:
            for start in range(0, len(delta), PIECE):
                piece = delta[start : start + PIECE]
                more += len(piece) if more else int(circle.closed(piece))
                end = _SENTENCE_END.search(piece) if more else None
                yield piece[: end.end()] if end else piece
                if end or more > MORE:
                    tell()
                    return
