"""Cuts a reply, while it is being written, into what is spoken at a time.

The first clause is short, because the first sound waits for it; after that whole sentences, which sound better. Nothing
is cut inside a number, an abbreviation or a decimal point, and what is left at the end is spoken too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FIRST_CHARACTERS = 12
"""The first clause has at least so many characters before a comma ends it."""
ABBREVIATION_CHARACTERS = 12
LONGEST_CHARACTERS = 220
"""Text without an end is cut at a space near here: a synthesis costs time by its length."""

SLICE_CHARACTERS = 1000

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”’）]*|\n+")
_CLAUSE_END = re.compile(r"[,;:—–](?=\s)|[，、；：]")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|No|e\.g|i\.e|a\.m|p\.m|approx|Jr|Sr)|\b[A-Z])\.$")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,3}\.$")


class ClauseCutter:
    """Takes text as it comes and gives clauses as soon as they are sure."""

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    def feed(self, text: str) -> Iterator[str]:
        """Add text; yield every clause that is whole now. Exhaust the iterator."""
        for start in range(0, len(text), SLICE_CHARACTERS):  # each clause copies the rest: let it be short
            self._text += text[start : start + SLICE_CHARACTERS]
            yield from self._whole()

    def _whole(self) -> Iterator[str]:
        while (end := self._end()) is not None:
            clause, self._text = self._text[:end].strip(), self._text[end:].lstrip()
            if clause:
                self._first = False
                yield clause

    def rest(self) -> str:
        """Return what is left when the text is over."""
        text, self._text = self._text.strip(), ""
        return text

    def _end(self) -> int | None:
        window = self._text[: LONGEST_CHARACTERS + 1]
        sentence = next((m.end() for m in _SENTENCE_END.finditer(window) if not _protected(window, m.end())), None)
        if self._first:
            clause = next((m.end() for m in _CLAUSE_END.finditer(window) if m.start() >= FIRST_CHARACTERS), None)
            if clause is not None and (sentence is None or clause < sentence):
                return clause
        if sentence is None and len(self._text) > LONGEST_CHARACTERS:
            return self._forced()
        return sentence

    def _forced(self) -> int:
        window = self._text[:LONGEST_CHARACTERS]
        clauses = [m.end() for m in _CLAUSE_END.finditer(window) if m.end() > LONGEST_CHARACTERS // 3]
        if clauses:
            return clauses[-1]
        space = window.rfind(" ", LONGEST_CHARACTERS // 3)
        return space + 1 if space > 0 else LONGEST_CHARACTERS


def _protected(text: str, end: int) -> bool:
    """Return whether the full stop before `end` ends no sentence."""
    start = max(0, end - ABBREVIATION_CHARACTERS)
    tail = text[start:end]
    return bool(_ABBREVIATION.search(tail) or _LIST_NUMBER.search(tail if start == 0 else f" {tail}"))
