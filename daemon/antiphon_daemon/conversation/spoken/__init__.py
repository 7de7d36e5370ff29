"""What is written, as a voice should say it: no markup, no addresses, numbers and signs in words.

    spoken("It is **25°C** at 3:30 p.m.", "en").text == "It is twenty-five degrees Celsius at three thirty P.M."
    spoken("사과 3개", "ko").text == "사과 세 개"

Markup is taken off in every language; numbers, signs and abbreviations are put into words in English and Korean, and
left to the voice in others.
"""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.text import composed
from antiphon_daemon.conversation.spoken import english, korean, markup
from antiphon_daemon.conversation.spoken.mapped import Mapped

ROUNDS = 4
"""What was inside a markup may be markup again (`&amp;lt;`): looked at again until nothing changes, so many times."""

__all__ = ["Spoken", "spoken"]


@dataclass(frozen=True)
class Spoken:
    """A text and how it is said."""

    written: str
    """NFC."""
    text: str
    """To be said; empty when nothing in it can be."""
    ends: tuple[int, ...]
    """For each character of `text`, how much of `written` has been said once it has."""

    def heard(self, share: float) -> str:
        """Return the words of `written` that were heard when `share` (0 to 1) of its sound was."""
        if share >= 1 or not self.ends:
            return self.written if share >= 1 else ""
        position = int(share * len(self.ends))
        return whole_words(self.written, self.ends[position - 1]) if position > 0 else ""


def whole_words(text: str, end: int) -> str:
    """Return `text` up to `end`, without a last word that would be torn."""
    if end >= len(text) or text[end].isspace():
        return text[:end].rstrip()
    while end and not text[end - 1].isspace():
        end -= 1
    return text[:end].rstrip()


def spoken(text: str, language: str | None) -> Spoken:
    """Return how `text` is said. Time and memory are in proportion to its length."""
    written = composed(text)
    mapped = Mapped(written)
    for _ in range(ROUNDS):
        before = mapped.text
        _say(mapped, language_of(mapped.text, language))
        if mapped.text == before:
            break
    if not any(character.isalnum() for character in mapped.text):
        return Spoken(written, "", ())
    return Spoken(written, mapped.text, tuple(mapped.ends))


def language_of(text: str, language: str | None) -> str:
    """Return the language whose words `text` is in: that of the house, unless its letters say otherwise.

    A Korean word in an English sentence (`The word for apple is 사과`) does not make it Korean.
    """
    hangul = sum("\uac00" <= character <= "\ud7a3" for character in text)
    house = (language or "en").lower().replace("_", "-").split("-")[0]
    if hangul and (
        house == "ko" or 2 * hangul >= sum(character.isascii() and character.isalpha() for character in text)
    ):
        return "ko"
    latin_words = sum(
        1 for word in text.split() if len(word) > 1 and word[0].isascii() and word.strip(".,!?").isalpha()
    )
    return "en" if house == "ko" and latin_words >= 3 else house


def _say(mapped: Mapped, language: str) -> None:
    markup.take_off(mapped, language)
    if language == "en":
        english.put_in_words(mapped)
    elif language == "ko":
        korean.put_in_words(mapped)
    markup.sweep(mapped)
