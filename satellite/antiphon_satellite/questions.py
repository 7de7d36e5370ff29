"""Whether a reply asks something, so that its answer is listened for without a wake word."""

from __future__ import annotations

import re
import unicodedata

from antiphon.text import composed

CLOSERS = "\"'”’»」』)]}）】*_ \t\n"
"""What may stand after the mark of a question; so may symbols, such as emoji."""
SYMBOLS = ("So", "Sk", "Cf")
VARIANT = "\ufe0f"
"""Makes a symbol an emoji."""
MARKS = ("?", "？", "؟", "⸮", ";", "՞")
"""Question marks: Latin, full-width, Arabic, reversed, Greek, Armenian."""
_ENDINGS = ("\u11b8니까", "(?<!니)까", "(?<!니)까요", "나요", "은가요", "는가요", "인가요")
KOREAN = re.compile(f"(?:{'|'.join(unicodedata.normalize('NFD', ending) for ending in _ENDINGS)})[.!~…]*$")
"""Korean questions are often written without a mark: these endings ask (-니까 alone means because)."""


def asks(text: str) -> bool:
    """Return whether `text`, a reply or the last part of one, ends with a question."""
    text = composed(text)
    while text and (text[-1] in CLOSERS + VARIANT or unicodedata.category(text[-1]) in SYMBOLS):
        text = text[:-1]
    return text.rstrip("!！").endswith(MARKS) or KOREAN.search(unicodedata.normalize("NFD", text)) is not None
