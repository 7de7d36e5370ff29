"""Cuts a text into what a voice says in one go, for voices that make the sound of a piece only when all of it is made.

Whole sentences sound better than parts, and the first sound comes sooner the shorter the first piece is: a sentence is
cut at its commas once it is long, and elsewhere only when it is longer than the voice can say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

AMPLE = 80
"""So much of a sentence is said in one go; a longer one is cut at the comma before it. A letter weighs 1, a syllable or
ideograph of Korean, Chinese or Japanese 2, since it takes twice as long to say."""
LONGEST = 220
"""More is said in one go by no voice: without a comma it is cut at a space, or anywhere."""

SENTENCE_PAUSE_S = 0.25
CLAUSE_PAUSE_S = 0.1

LETTERS = 16
"""So many letters that stand alone (`A. B. C.`) are said in one go: with an abbreviation of more than 80 bytes
espeak-ng (1.51, 1.52) writes beyond the end of its memory (`CheckDottedAbbrev`), and the process is gone."""

_SENTENCE, _CLAUSE = frozenset(".!?…。！？"), frozenset(",;:，、；：")
_SENTENCE_END = re.compile(r"(?<=[.!?…])(?<!\b[A-Z]\.)\s+|(?<=[。！？])\s*")
"""A letter that stands alone (`P.M.`, `U.S.`, `J. K.`) ends none."""
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+|(?<=[，、；：])\s*")
_LETTERS = re.compile(rf"(?:(?<![^\W\d_])[^\W\d_](?![^\W\d_])[\W\d_]*){{{LETTERS}}}")
_WIDE = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


def pieces(text: str) -> Iterator[str]:
    """Yield what can be spoken of `text`, piece by piece; characters that cannot be printed become spaces."""
    for line in text.splitlines():
        plain = "".join(c if c.isprintable() else " " for c in line)
        for sentence in _SENTENCE_END.split(plain):
            for part in _parts(sentence):
                if any(c.isalnum() for c in part):
                    yield from letters_apart(part)


def letters_apart(text: str) -> Iterator[str]:
    """Yield `text`, cut wherever more than `LETTERS` that stand alone would follow each other."""
    start = 0
    for letters in _LETTERS.finditer(text):
        yield text[start : letters.end()]
        start = letters.end()
    if start < len(text) or not text:
        yield text[start:]


def pause_s(piece: str) -> float:
    """Return the seconds of silence between a piece and the next one."""
    end = piece.rstrip("\"'”’)]»」』")[-1:]
    return SENTENCE_PAUSE_S if end in _SENTENCE else CLAUSE_PAUSE_S if end in _CLAUSE else 0.0


def weight(text: str) -> int:
    """Return how long it takes to say: about its Latin letters."""
    return len(text) + len(_WIDE.findall(text))


def _parts(sentence: str) -> Iterator[str]:
    for part in _packed(_CLAUSE_END.split(sentence), AMPLE):
        if weight(part) <= LONGEST:
            yield part
        else:
            most = LONGEST // 2  # in letters that weigh 2
            yield from _packed(
                (word[at : at + most] for word in part.split() for at in range(0, len(word), most)), LONGEST
            )


def _packed(parts: Iterable[str], most: int) -> Iterator[str]:
    """Yield the parts, as many together as weigh no more than `most`."""
    held = ""
    for part in parts:
        if held and weight(held) + weight(part) >= most:
            yield held
            held = part
        else:
            held = f"{held} {part}" if held else part
    yield held
