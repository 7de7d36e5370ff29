"""Text in one form: composed, whatever keyboard, file system or model it came from.

macOS and some keyboards give Hangul in its parts (NFD), old encodings give half-width letters, an input method that was
left half-way gives letters by themselves (`ㅎㅏㄴ`). Words are compared, cut and spoken as syllables, so each edge that
takes text composes it. Names of files are left as they are.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from typing import Any

HELD_MOST = 64
"""So many characters wait at most for what may be joined to them."""

_LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_TAILS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
_TWO_VOWELS = {"ㅗㅏ": "ㅘ", "ㅗㅐ": "ㅙ", "ㅗㅣ": "ㅚ", "ㅜㅓ": "ㅝ", "ㅜㅔ": "ㅞ", "ㅜㅣ": "ㅟ", "ㅡㅣ": "ㅢ"}

_WIDTHS = {
    code: chr(int(unicodedata.decomposition(chr(code)).split()[1], 16))
    for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B), *range(0xFFA1, 0xFFDD))
    if unicodedata.decomposition(chr(code))
} | dict.fromkeys((0x115F, 0x1160, 0x3164, 0xFFA0))
"""Half-width Hangul, full-width digits and Latin letters; letters that only fill a place are removed."""
_LETTERS = re.compile(
    f"([{_LEADS}])({'|'.join(_TWO_VOWELS)}|[{_VOWELS}])([{_TAILS[1:]}](?![{_VOWELS}]))?"  # 하나, not 한ㅏ
)
_OPEN = re.compile(
    r"[\ud800-\udbff]$|"
    r"[^\n]?[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\ud7b0-\ud7ff\uffa0-\uffdc\u0300-\u036f\u3099\u309a]+$"
)
_HALF = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal does something at, or writes what follows in another direction; not tab and new line."""


def composed(text: str) -> str:
    """Return `text` in NFC, with every Hangul letter in its syllable; what is composed stays the same."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _LETTERS.sub(_syllable, whole(text).translate(_WIDTHS)))


def whole(text: str) -> str:
    """Return `text` without halves of characters, which JSON may hold (`"\\ud83d"`) and nothing can be sent that does.

    Two that belong together are joined; one by itself becomes U+FFFD.
    """
    if text.isascii() or not _HALF.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def shown(text: str) -> str:
    """Return `text` as a terminal may be given it, whoever wrote it: what would command the terminal is spelled out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Composer:
    """Composes text that comes in pieces, wherever they are cut.

    A Latin letter does not wait for an accent, lest every piece of a word be late.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what is sure: all but the end, if what comes next may belong to it."""
        text = self._held + piece
        self._held = ""
        if text.isascii():
            return text
        waits = _OPEN.search(text, max(0, len(text) - HELD_MOST))
        start = waits.start() if waits else len(text) - (_is_open(text[-1:]))
        self._held = text[start:]
        return composed(text[:start])

    def rest(self) -> str:
        """Return what is left when the text is over."""
        held, self._held = self._held, ""
        return composed(held)


def json_line(value: Any) -> str:
    """Return JSON as standard output can take it: letters by themselves, or escaped where it has none for them."""
    said = json.dumps(value, ensure_ascii=False)
    try:
        said.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return json.dumps(value)
    return said


def _syllable(match: re.Match[str]) -> str:
    lead, vowel, tail = match[1], _TWO_VOWELS.get(match[2], match[2]), match[3] or " "
    return chr(0xAC00 + (_LEADS.index(lead) * 21 + _VOWELS.index(vowel)) * 28 + _TAILS.index(tail))


def _is_open(character: str) -> bool:
    """Return whether this is a syllable that a final consonant may be joined to."""
    return "가" <= character <= "힣" and (ord(character) - 0xAC00) % 28 == 0
