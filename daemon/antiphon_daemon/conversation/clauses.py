"""Cuts a reply, while it is being written, into the smallest parts that can be spoken by themselves.

A cut depends on the text alone, never on how it came, and is made as soon as the word after it is known. Nothing is cut
inside a number, a date, an abbreviation, an address, a link, a short quotation or bracket, or a row of a table; a block
of code is handed on line by line. Joined, the parts are the text. Who speaks joins them again as far as there is time
(`pacing`), since whole sentences sound better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from antiphon_daemon.conversation.joints import Joint, between, leans, within
from antiphon_daemon.conversation.spoken.english_words import (
    ABBREVIATIONS,
    BEFORE_NUMBERS,
    SHORT_DAYS,
    SHORT_MONTHS,
    TITLES,
)

# Lengths are weights: a Latin letter weighs 1, a syllable or ideograph 2, for it takes twice as long to say.
SHORTEST = 4
"""A comma ends a clause that weighs so much. (`Sure, …`: the first sound waits for the first clause.)"""
FIRM_WEIGHT, FIRM_WORDS = 14, 3
"""A clause before a connective has so much, and at least so many words (in Korean two)."""
LOOSE_WEIGHT = 45
"""Without any of that a clause ends at a loose joint once it weighs so much."""
FIRST_LONGEST = 70
"""The first part, for which the listener waits, is cut where it can be once it weighs so much."""
LONGEST_CHARACTERS = 220
"""Text without an end is cut at a space near here: a synthesis costs time by its length."""
LONGEST_WORD = 600
"""A word longer than this (an address, or an attack) is cut anywhere."""
GUARDED = 120
"""A bracket or quotation that is longer than this may be cut inside: perhaps it never closes."""


class Ending(Enum):
    """What a part ends with, which decides the pause after it."""

    SENTENCE = "sentence"
    CLAUSE = "clause"
    """A comma or the like."""
    JOINT = "joint"
    """No punctuation: nobody should hear that it was cut here."""
    CODE = "code"
    """A line of a block of code: not spoken; the first one is announced."""


@dataclass(frozen=True)
class Part:
    """A part of a reply, as it was written: with the space before it."""

    text: str
    ending: Ending
    opens_code: bool = False


_PAIRS = {"(": ")", "[": "]", "“": "”", "「": "」", "『": "』", "《": "》", "〈": "〉", "（": "）", "{": "}"}
_CLOSERS = "\"'”’)]*_`」』》〉）}"
_SENTENCE_END = re.compile(r"[.!?…。！？][.!?…。！？]*[\"'”’)\]*_`」』》）]*$")
_CLAUSE_END = re.compile(r"[,;:，、；：][\"'”’)\]*_`」』》）]*$")
_DASHES = frozenset({"—", "–", "-", "--", "―"})
_CJK_STOPS, _CJK_COMMAS = "。！？", "，、；："
_LIST_NUMBER = re.compile(r"\d{1,3}[.)]$")
_NUMBER_STOP = re.compile(r"\d[.,]$")
_INITIAL = re.compile(r"(?:^|[.\s(\"“])[A-Z]\.$")
_SHORT = frozenset(
    {word.lower() for table in (ABBREVIATIONS, BEFORE_NUMBERS) for word in table if word.endswith(".")}
    | {
        f"{word}.".lower()
        for table in (TITLES, SHORT_MONTHS, SHORT_DAYS)
        for word in table
        if word not in ("Sun", "Sat")
    }
    | {"a.m.", "p.m.", "u.s.", "u.k.", "u.n.", "al.", "ave.", "blvd.", "rd.", "st.", "feat.", "v."}
)
_MAY_END = frozenset({"etc.", "inc.", "ltd.", "corp.", "co.", "jr.", "sr.", "a.m.", "p.m.", "u.s.", "u.k."})
"""Abbreviations after which a capital letter begins a sentence."""
_ALL_ABBREVIATED = frozenset(word.lower() for word in (*SHORT_DAYS, *SHORT_MONTHS, *SHORT_DAYS.values()))


class ClauseCutter:
    """Takes text as it comes and gives parts as soon as they are sure.

    Args:
        language: of the reply, an ISO 639 code; its connectives are known in English, Korean, Japanese and Chinese.
    """

    def __init__(self, language: str | None = None) -> None:
        self._language = (language or "en").lower().replace("_", "-").split("-")[0]
        self._text = ""
        self._at = 0
        self._first = True
        """No part has been given."""
        self._begin()
        self._line = True
        """Nothing but space has come in this line."""
        self._stuck = False
        """More must come before it can be told what this is."""
        self._fence = ""
        self._fence_opened = False

    def feed(self, text: str) -> Iterator[Part]:
        """Add text; yield every part that is whole now. Exhaust the iterator."""
        for start in range(0, len(text), LONGEST_CHARACTERS):  # each part copies the rest: let it be short
            self._text += text[start : start + LONGEST_CHARACTERS]
            self._stuck = False
            while self._at < len(self._text) and not self._stuck:
                part = self._code_line() if self._fence else self._step()
                if part is not None:
                    yield part

    def rest(self) -> Part | None:
        """Return what is left when the text is over."""
        left, self._text, self._at = self._text, "", 0
        code, self._fence = bool(self._fence) and not self._fence_opened, ""
        self._begin()
        return Part(left, Ending.CODE if code else Ending.SENTENCE) if left else None

    def _begin(self) -> None:
        """Forget what is known of the part that has been cut off."""
        self._weight = 0
        self._words = 0
        self._word: int | None = None
        """Where the word begins that is being read."""
        self._previous = ""
        self._end, self._end_weight, self._end_guarded = 0, 0, False
        """Where the word before it ended."""
        self._waits: Ending | None = None
        """What the word before it would end, if the next word is none that belongs to it."""
        self._space: int | None = None
        self._soft: int | None = None
        """The last places where the part could be cut if it grows too long."""
        self._open: list[tuple[str, int]] = []

    def _step(self) -> Part | None:
        """Look at one character."""
        at, character = self._at, self._text[self._at]
        if character.isspace():
            part = self._word_over(at) if self._word is not None else None
            if part is None and character == "\n" and self._end:
                part = self._cut(self._end, Ending.SENTENCE)
            if part is None:
                self._at += 1
                self._weight += bool(self._words)
                if character == "\n":
                    self._line = True
                    self._open.clear()
            return part
        if self._word is None:
            if self._line and self._line_begins(at, character):
                return None
            self._word, self._line = at, False
        elif (part := self._inside(at, character)) is not None:
            return part
        self._guard(at, character)
        self._weight += 2 if character >= "\u1100" else 1
        self._at += 1
        return self._too_long()

    # Words, with spaces between them.

    def _word_over(self, at: int) -> Part | None:
        """A word has ended before `at`. Cut before it or after it, if that is right."""
        assert self._word is not None
        word = self._text[self._word : at]
        if self._end and (part := self._before(word)) is not None:
            return part
        self._word = None
        if word == "<" and self._open:  # no tag, but a sign
            self._open.pop()
        first, previous = self._words == 0, self._previous
        self._words += 1
        self._previous, self._end, self._end_weight = word, at, self._weight
        self._end_guarded = self._guarded()
        ending = _ending(word, first=first)
        if ending is None or self._end_guarded or (word in _DASHES and (first or previous[-1].isdigit())):
            return None
        if _NUMBER_STOP.search(word) or (ending is Ending.SENTENCE and word.strip("\"'“(").lower() in _SHORT):
            self._waits = ending
            return None
        return self._cut(at, ending) if ending is Ending.SENTENCE or self._weight >= SHORTEST else None

    def _before(self, word: str) -> Part | None:
        """Cut before a word that has been read whole, if it begins something."""
        waits, self._waits = self._waits, None
        if self._end_guarded:
            return None
        if waits is not None and _goes_on(self._previous, word) is False and self._end_weight >= SHORTEST:
            return self._cut(self._end, waits)
        joint = between(self._previous, word, self._language)
        least = 2 if self._previous[-1] >= "\u1100" else FIRM_WORDS
        if joint is Joint.FIRM and self._words >= least and self._end_weight >= FIRM_WEIGHT:
            return self._cut(self._end, Ending.JOINT)
        if joint is not Joint.NONE and self._end_weight >= LOOSE_WEIGHT:
            return self._cut(self._end, Ending.JOINT)
        if joint is not Joint.NONE:
            self._soft = self._end
        bound = leans(self._previous, self._language) or self._previous.lower() in _SHORT
        if not (bound or self._previous[-1].isdigit() or word[0].isdigit()):
            self._space = self._end
        return None

    # Text without spaces.

    def _inside(self, at: int, character: str) -> Part | None:
        last = self._text[at - 1]
        if last < "\u1100" and last not in _CLOSERS and last not in "」』":
            return None
        if self._guarded() or character in _CLOSERS or character in _CJK_STOPS + _CJK_COMMAS:
            return None
        assert self._word is not None
        tail = self._text[max(self._word, at - 12) : at]
        if tail[-1] in _CLOSERS and character in "とっなの":  # what was quoted is said by somebody
            return None
        tail = tail.rstrip(_CLOSERS)
        if tail[-1:] and tail[-1] in _CJK_STOPS:
            return self._cut(at, Ending.SENTENCE)
        if tail[-1:] and tail[-1] in _CJK_COMMAS and self._weight >= SHORTEST:
            return self._cut(at, Ending.CLAUSE)
        if last < "\u3040" or "가" <= last <= "힣":
            return None
        joint, back = within(tail, character, self._script(tail))
        if joint is Joint.NONE:
            return None
        self._soft = at - back
        least = FIRM_WEIGHT if joint is Joint.FIRM else LOOSE_WEIGHT
        return self._cut(at - back, Ending.JOINT) if self._weight - 2 * back >= least else None

    def _script(self, tail: str) -> str:
        return "ja" if any("\u3040" <= c <= "\u30ff" for c in tail) else self._language

    # What must stay whole.

    def _guard(self, at: int, character: str) -> None:
        """Note what is opened and closed."""
        if self._open and character == self._open[-1][0]:
            if character == "*" and self._text[at - 1 : at] != "*":
                return
            self._open.pop()
        elif character in _PAIRS:
            self._open.append((_PAIRS[character], self._weight))
        elif character == '"':
            if at == self._word or self._text[at - 1] in "([{*":
                self._open.append(('"', self._weight))
        elif character == "`" and not any(closer == "`" for closer, _ in self._open):
            self._open.append(("`", self._weight))
        elif character == "*" and self._text[at - 1 : at] == "*" and at - 1 == self._word:
            self._open.append(("*", self._weight))
        elif character == "<":
            self._open.append((">", self._weight))

    def _guarded(self) -> bool:
        if self._open and self._weight - self._open[0][1] > GUARDED:
            self._open.clear()
        return bool(self._open)

    def _too_long(self) -> Part | None:
        if self._weight <= (FIRST_LONGEST if self._first else LONGEST_CHARACTERS):
            return None
        whole = self._weight <= LONGEST_CHARACTERS
        for place in (self._soft, self._space, None if whole else self._end or None):
            if place is not None and place > self._at // 4:
                return self._cut(place, Ending.JOINT)
        if whole:
            return None
        if self._weight > LONGEST_WORD or self._text[self._at - 1] >= "\u1100":
            return self._cut(self._at, Ending.JOINT)
        return None

    # Blocks of code, and tables.

    def _line_begins(self, at: int, character: str) -> bool:
        """Return whether the first word of a line must wait: a block of code begins, or may begin."""
        if character == "|":
            self._open = [("\n", self._weight)]
        if character not in "`~":
            return False
        mark = self._text[at : at + 3]
        if mark == character * 3:
            self._fence, self._fence_opened = mark, True
            return True
        self._stuck = mark == character * len(mark)
        return self._stuck

    def _code_line(self) -> Part | None:
        """Hand a line of code on once it is whole."""
        end = self._text.find("\n", self._at, LONGEST_WORD)
        if end < 0:
            self._at = min(len(self._text), LONGEST_WORD)
            if self._at < LONGEST_WORD:
                return None
            end = self._at - 1
        line, self._text, self._at = self._text[: end + 1], self._text[end + 1 :], 0
        opened, self._fence_opened = self._fence_opened, False
        closes = line.strip().startswith(self._fence)
        if (opened and line.count(self._fence) > 1) or (closes and not opened):
            self._fence = ""
            self._begin()
            self._line = True
        return Part(
            line,
            Ending.CODE if self._fence or (closes and not opened) else Ending.SENTENCE,
            opens_code=opened and bool(self._fence),
        )

    def _cut(self, end: int, ending: Ending) -> Part:
        """Cut off what stands before `end`. The word after it that has been read is read again."""
        text, self._text, self._at = self._text[:end], self._text[end:], 0
        self._first = False
        self._begin()
        return Part(text, ending)


def _ending(word: str, *, first: bool) -> Ending | None:
    """Return what a word ends; None for nothing."""
    if word in _DASHES:
        return Ending.CLAUSE
    if _SENTENCE_END.search(word):
        if (first and _LIST_NUMBER.fullmatch(word)) or (_INITIAL.search(word) and not word.endswith(("!", "?"))):
            return None
        return Ending.SENTENCE
    return Ending.CLAUSE if _CLAUSE_END.search(word) else None


def _goes_on(previous: str, word: str) -> bool:
    """Return whether `word` belongs to the abbreviation or number before it."""
    if _NUMBER_STOP.search(previous):
        return word[0].isdigit()
    capital = word.lstrip("\"'“(*")[:1].isupper()
    return not (capital and previous.lower() in _MAY_END and word.strip(".,").lower() not in _ALL_ABBREVIATED)
