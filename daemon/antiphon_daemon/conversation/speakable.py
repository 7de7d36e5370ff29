"""What a language model writes, made fit to be spoken: no markup, no addresses, no pictures."""

from __future__ import annotations

import re
import unicodedata

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_ADDRESS = re.compile(r"https?://\S+")
_FENCE = re.compile(r"```[^\n]*\n?|```")
_LINE_MARK = re.compile(r"(?m)^\s*(?:#{1,6}\s+|[-*+•]\s+|>\s+|\|)")
_RULE = re.compile(r"(?m)^\s*(?:[-*_]\s*){3,}$")
_EMPHASIS = re.compile(r"(\*\*\*|\*\*|\*|__|~~|`)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_LEFT_OVER = re.compile(r"[*`~|#_\\<>{}\[\]]+")
_SPACE = re.compile(r"\s+")


def speakable(text: str) -> str:
    """Return `text` as a voice should say it (NFC); empty when nothing in it can be said."""
    text = unicodedata.normalize("NFC", text)
    for pattern, replacement in ((_FENCE, " "), (_LINK, r"\1"), (_ADDRESS, " "), (_RULE, " "), (_LINE_MARK, "")):
        text = pattern.sub(replacement, text)
    text = _EMPHASIS.sub(r"\2", text)
    text = "".join(" " if _picture(character) else character for character in text)
    text = _SPACE.sub(" ", _LEFT_OVER.sub(" ", text)).strip()
    return text if any(character.isalnum() for character in text) else ""


def _picture(character: str) -> bool:
    return unicodedata.category(character) in ("So", "Sk", "Cs", "Co", "Cf", "Cn") or character in "\ufe0f\u200d"
