"""Where a sentence may be parted without its sounding wrong, though no punctuation says so: tables by language.

A *firm* joint is one before or after a connective, at which people take breath themselves. A *loose* joint is used
only when nothing better has come for long. What belongs together (an article and its noun, a verb and its auxiliary, a
number and its unit) is no joint at all.
"""

from __future__ import annotations

import re

from antiphon_daemon.conversation import korean_joints
from antiphon_daemon.conversation.korean_joints import Joint

__all__ = ["Joint", "between", "leans", "within"]


# English.

_BEFORE = frozenset({
    "and", "but", "because", "which", "although", "though", "whereas", "while", "unless", "until", "since", "when",
    "where", "who", "or",
})  # fmt: skip
"""Words that a clause may begin with."""

_NOT_AFTER = frozenset({
    "a", "an", "the", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our", "their", "no",
    "every", "each", "some", "any", "both", "either", "neither", "between", "of", "in", "on", "at", "to", "for",
    "from", "with", "by", "as", "than", "into", "about", "over", "under", "after", "before", "if", "even", "only",
    "just", "not", "is", "am", "are", "was", "were", "be", "been", "being", "do", "does", "did", "have", "has", "had",
    "will", "would", "can", "could", "may", "might", "must", "shall", "should", "i", "you", "he", "she", "it", "we",
    "they", "who", "which", "whose", "what", "how", "very", "too", "so", "more", "most", "less", "one", "two",
    "three", "four", "five", "six", "seven", "eight", "nine", "ten", "and", "or", "but", "know", "see", "tell", "ask",
    "say", "says", "said", "matter", "rule", "black", "bread", "romeo", "back",
})  # fmt: skip
"""After these a connective is part of what came before (`of which`, `even when`, `two and a half`)."""

_THAT_AFTER = frozenset({
    "think", "believe", "know", "means", "mean", "hope", "sure", "found", "shows", "suggests", "note", "remember",
    "noticed", "heard", "understand", "see", "said", "say", "says", "likely", "true", "possible", "important",
    "clear",
})  # fmt: skip
"""After these a clause with `that` follows."""

_LOOSE_BEFORE = frozenset(
    ["with", "from", "during", "through", "without", "within", "across", "despite", "among", "along", "around", "under"]
)
"""Prepositions that begin a phrase of their own, rarely part of a verb."""

_NOT_BEFORE_LOOSE = _NOT_AFTER | frozenset(["look", "wait", "come", "get", "made", "go", "walk", "run", "pass", "all"])

# Japanese and Chinese.

_JAPANESE_FIRM = re.compile(
    r"(?:ので|のに|けど|けれど|けれども|ながら|ですが|ますが|ですから|ますから|だから|ために|ためには|たら|れば|ますし|ですし|まして|してから)$"
)
_JAPANESE_LOOSE = re.compile(r"[はがをにでもと]$")
_JAPANESE_HEAD = re.compile(r"[\u4e00-\u9fff\u30a0-\u30ff]")
_CHINESE_FIRM = frozenset({
    "但是", "因为", "所以", "而且", "如果", "不过", "然后", "并且", "虽然", "可是", "或者", "还有", "其中", "同时",
    "因此", "另外", "由于", "当然",
})  # fmt: skip


def between(previous: str, word: str, language: str) -> Joint:
    """Return the joint between two words that a space parts (their punctuation included)."""
    if not previous or not word or previous[-1].isdigit() or word[0].isdigit():
        return Joint.NONE
    if "가" <= previous[-1] <= "힣":
        return korean_joints.between(previous, word)
    if language == "en" and previous[-1].isalpha() and previous.isascii():
        return _english(previous.lower(), word)
    return Joint.NONE


def leans(word: str, language: str) -> bool:
    """Return whether a word belongs to the one after it: an article, a preposition, an auxiliary."""
    return korean_joints.leans(word) or (language == "en" and word.lower() in _NOT_AFTER)


def _english(previous: str, word: str) -> Joint:
    plain = word.strip(".,;:!?\"'").lower()
    if plain == "that" and previous in _THAT_AFTER:
        return Joint.FIRM
    if plain in _BEFORE and word.isalpha() and previous not in _NOT_AFTER:
        return Joint.FIRM
    if plain in _LOOSE_BEFORE and word.isalpha() and previous not in _NOT_BEFORE_LOOSE:
        return Joint.LOOSE
    return Joint.NONE


def within(before: str, character: str, language: str) -> tuple[Joint, int]:
    """Return the joint in a text without spaces that `character` reveals, and how many characters before it that is."""
    if language == "ja":
        if _JAPANESE_HEAD.match(character):
            if _JAPANESE_FIRM.search(before):
                return Joint.FIRM, 0
            if _JAPANESE_LOOSE.search(before):
                return Joint.LOOSE, 0
    elif language == "zh" and before[-1:] + character in _CHINESE_FIRM:
        return Joint.FIRM, 1
    return Joint.NONE, 0
