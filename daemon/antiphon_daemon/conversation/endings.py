"""How likely a turn is over, by everything that tells: the words, the sound of the voice, their length.

Each piece of evidence moves the log-odds by a weight; what is unknown moves nothing. The weights were fitted to the
utterances of `antiphon bench turns` (two thirds of them; synthetic speech), except that of the voice's intonation,
which means little in synthetic speech and more in people's. Korean ends its sentences with what its verbs end with, so
there the words' last syllables decide.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from antiphon.text import composed
from antiphon_daemon.conversation import korean_endings
from antiphon_daemon.conversation.korean_endings import Ending

SURE = 0.97
"""A sentence that a skill understands, or a reply of one or two known words."""

# The weights, in log-odds.
BIAS = -3.4
SOUND, USUAL_SOUND = 0.2, 1.2
"""For each unit of the end-of-turn model's own log-odds, from the usual: it believes more often than it doubts."""
CERTAINTY = 0.4
"""For each unit of the transcript's average log-probability: a word that was cut in two is heard badly."""
CLOSED, ASKED, DANGLING = 0.3, 0.1, -1.2
"""The transcript ends with a mark, with a question mark, with a word that wants another."""
WORDS, LENGTH = 1.7, 3.2
"""For six words, and for 1.6 s of speech: few turns are shorter, and most pauses come early."""
ENDED, USUAL_ENDED = 0.65, -1.3
"""For each unit of the logarithm of the chance that the language model would end the sentence here, from the usual."""
KOREAN_END, KOREAN_HOLD = 3.6, -3.5
_KOREAN = {Ending.CLOSES: KOREAN_END, Ending.HOLDS: KOREAN_HOLD, Ending.EITHER: 0.0}

MOST_WORDS, MOST_SPEECH_S = 6, 1.6


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_DANGLING = {
    "en": _listed(
        "a an the of to in on at for with from by about into between and or but nor so because if when while than as "
        "that which who whose what how why where is are was were am be been do does did have has had can could will "
        "would shall should may might must my your his her its our their this these those some any every no not very "
        "more most please i you he she we they it's there there's let's um uh er"
    )
}
"""Words after which a sentence goes on."""

_SHORT = {
    "en": _listed("yes no yeah yep nope okay ok stop cancel thanks hello hi") | {"thank you", "never mind"},
    "ko": _listed(
        "네 예 응 아니 아니요 아뇨 그만 취소 정지 중지 멈춰 됐어 그래 좋아 싫어 오케이 고마워 감사합니다 안녕 "
        "안녕하세요"
    ),
}
"""Whole turns of a word or two."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a turn that has fallen silent. What is unknown is None."""

    text: str
    language: str | None
    speech_s: float
    """From its first to its last speech."""
    avg_logprob: float | None = None
    sound: float | None = None
    """The end-of-turn model's probability."""
    ended: float | None = None
    """The language model's probability that the sentence ends here."""
    understood: bool = False
    """A skill knows what to do with it."""


def probability(evidence: Evidence) -> float:
    """Return how likely the turn is over (0 to 1)."""
    text = composed(evidence.text).strip()
    language = (evidence.language or "").split("-")[0]
    bare = _bare(text)
    if evidence.understood or bare in _SHORT.get(language, ()):
        return SURE
    odds = BIAS + LENGTH * min(1.0, evidence.speech_s / MOST_SPEECH_S) + _words(text, bare, language)
    if evidence.avg_logprob is not None:
        odds += CERTAINTY * max(-3.0, evidence.avg_logprob)
    if evidence.sound is not None:
        odds += SOUND * (_log_odds(evidence.sound) - USUAL_SOUND)
    if evidence.ended is not None:
        odds += ENDED * (math.log(evidence.ended + 1e-3) - USUAL_ENDED)
    return 1 / (1 + math.exp(-odds))


def _words(text: str, bare: str, language: str) -> float:
    """Return what the words themselves say."""
    words = bare.split()
    odds = WORDS * min(len(words), MOST_WORDS) / MOST_WORDS
    if text.endswith(("...", "…", ",", "，", "、", "-", "–", "—", ":")):
        return odds + DANGLING + (min(0.0, _korean(bare, asked=False)) if language == "ko" else 0.0)
    if text.endswith((".", "!", "?", "。", "？", "！")):
        odds += CLOSED + (ASKED if text.endswith(("?", "？")) else 0.0)
    if language == "ko":
        return odds + _korean(bare, asked=text.endswith("?"))
    if words and words[-1] in _DANGLING.get(language, ()):
        odds += DANGLING
    return odds


def _korean(bare: str, *, asked: bool) -> float:
    """Return what the last syllables say: endings close a sentence, connectives and particles hold it open."""
    return KOREAN_END if asked else _KOREAN[korean_endings.ending(bare)]


def _bare(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s']+", " ", text.casefold()).split())


def _log_odds(chance: float) -> float:
    return math.log((chance + 0.01) / (1.01 - chance))
