"""Where a sentence may be parted without its sounding wrong, though no punctuation says so: tables by language.

A *firm* joint is one before or after a connective, at which people take breath themselves. A *loose* joint is used
only when nothing better has come for long. What belongs together (an article and its noun, a verb and its auxiliary, a
number and its unit) is no joint at all.
"""

from __future__ import annotations

import re
from enum import IntEnum


class Joint(IntEnum):
    """How well a text can be parted between two of its words."""

    NONE = 0
    LOOSE = 1
    FIRM = 2


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

# Korean.

_AUXILIARIES = re.compile(
    r"^(?:있|없|싶|계[시신셔십]|나서|나면|말[고았아]|보[니면]|해서|하[면는]|그런지|인지|말이|볼|줄|할|될)"
)
"""Verbs that lean on the connective before them: 하고 있어요, 먹고 싶어요."""

_NOUNS_GO = frozenset({
    "최고", "창고", "사고", "광고", "참고", "경고", "보고", "냉장고", "재고", "중고", "금고", "차고", "원고", "신고",
    "충고", "권고", "그리고", "학창고", "저장고", "무기고", "피고", "물고", "교통사고", "선고",
})  # fmt: skip
_NOUNS_MYEON = frozenset({
    "라면", "냉면", "화면", "표면", "측면", "반면", "장면", "가면", "도면", "수면", "지면", "전면", "정면", "국면",
    "방면", "단면", "이면", "당면", "쫄면",
})  # fmt: skip
_NOUNS_SEO = frozenset({
    "교과서", "안내서", "소개서", "허가서", "평가서", "추천서", "에서", "께서", "그래서",
})  # fmt: skip
_NOUNS_DE = frozenset({
    "가운데", "한가운데", "군데", "그런데",
})  # fmt: skip
_FIRM_ENDS = re.compile(
    r"(?:지만|으?니까|거나|든지|도록|려고|자마자|더니|므로|느라|다가|면서|으며|하며|이며|되며|으면|다면|라면|려면|때문에|동안|위해|위해서|"
    r"통해|통해서|따라|따라서|대신|덕분에|다음|후에|뒤에|전에|때에?는?|건데|기에|길래|는지라|자면|았다가|었다가)$"
)
_SEO_VOWELS = frozenset("ㅏㅐㅑㅓㅔㅕㅘㅙㅝㅞ")
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_LOOSE_ENDS = re.compile(
    r"(?:에서|에서는|에는|으로|으로는|까지|까지는|부터|에게|에게는|보다|처럼|마다|께서는|에도|한테)$"
)

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
        return _korean(previous, word)
    if language == "en" and previous[-1].isalpha() and previous.isascii():
        return _english(previous.lower(), word)
    return Joint.NONE


def leans(word: str, language: str) -> bool:
    """Return whether a word belongs to the one after it: an article, a preposition, an auxiliary."""
    return language == "en" and word.lower() in _NOT_AFTER


def _english(previous: str, word: str) -> Joint:
    plain = word.strip(".,;:!?\"'").lower()
    if plain == "that" and previous in _THAT_AFTER:
        return Joint.FIRM
    if plain in _BEFORE and word.isalpha() and previous not in _NOT_AFTER:
        return Joint.FIRM
    if plain in _LOOSE_BEFORE and word.isalpha() and previous not in _NOT_BEFORE_LOOSE:
        return Joint.LOOSE
    return Joint.NONE


def _korean(previous: str, word: str) -> Joint:
    if _AUXILIARIES.match(word) or not _hangul(word[0]):
        return Joint.NONE
    if _FIRM_ENDS.search(previous) and previous not in _NOUNS_MYEON:
        return Joint.FIRM
    last, before = previous[-1], previous[-2:-1]
    if len(previous) < 2 or not _hangul(before):
        return Joint.NONE
    if last == "고" and previous not in _NOUNS_GO and not previous.endswith(("사고", "창고", "광고")):
        return Joint.FIRM
    if last == "서" and previous not in _NOUNS_SEO and not previous.endswith(("에서", "께서")) and _open_in(before):
        return Joint.FIRM
    if last == "데" and previous not in _NOUNS_DE and (ord(before) - 0xAC00) % 28 == 4:
        return Joint.FIRM
    if last == "면" and previous not in _NOUNS_MYEON and (ord(before) - 0xAC00) % 28 in (0, 8):
        return Joint.FIRM
    return Joint.LOOSE if _LOOSE_ENDS.search(previous) else Joint.NONE


def _hangul(character: str) -> bool:
    return "가" <= character <= "힣"


def _open_in(syllable: str) -> bool:
    """Return whether the syllable is one that 서 is joined to as an ending: 해서, 가서, 와서, 려서."""
    number = ord(syllable) - 0xAC00
    return number % 28 == 0 and _VOWELS[number // 28 % 21] in _SEO_VOWELS


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
