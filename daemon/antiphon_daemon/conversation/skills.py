"""The sentences that need no language model. So far one: forgetting the conversation.

A skill only says what it would do; the conversation does it when the turn is committed, never in a draft.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from antiphon_daemon.conversation.messages import message


@dataclass(frozen=True)
class Answer:
    """What a skill says, and what it does once the turn is over."""

    text: str
    starts_over: bool = False


_START_OVER = {
    "en": {"start over", "lets start over", "please start over", "forget everything", "forget this conversation"},
    "ko": {"처음부터다시", "처음부터다시시작해", "처음부터다시하자", "대화초기화", "다시시작하자", "다잊어줘"},
}


def match(text: str, language: str | None) -> Answer | None:
    """Return the answer to `text` if a skill knows it. Every language's sentences are known in every conversation."""
    plain = "".join(c for c in unicodedata.normalize("NFC", text).lower() if c.isalnum() or c.isspace())
    words = " ".join(plain.split())
    if words in _START_OVER["en"] or words.replace(" ", "") in _START_OVER["ko"]:
        return Answer(message("started_over", language), starts_over=True)
    return None
