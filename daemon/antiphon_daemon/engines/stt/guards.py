"""What Whisper invents when nobody spoke, and how it is told from speech.

Whisper was trained on subtitles: given silence or noise it writes what stands in subtitles, or goes round in a circle.
Each guard here needs evidence besides the words, for people do say "thank you".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from antiphon.audio.pcm import RATE, Samples, level_db
from antiphon.text import composed

SILENCE_DB = -60.0
"""Sound whose loudest frame is below this is silence: the model is not asked."""

SHORTEST_S = 0.1
"""Nobody says a word in less."""

QUIET_DB = -40.0
SHORT_S = 2.0
"""Sound that is quieter or shorter than this may well be an invention where the words are a known one."""

NO_SPEECH = 0.6
LOW_LOGPROB = -1.0
"""Only both together tell that nobody spoke: noise gives 0.7 to 1.0 and −1.0 to −2.2, spoken commands below 0.3 and
above −1.0 (Whisper tiny, windows of 10 and 30 s)."""

SURE_LOGPROB = -0.6
SURE_WORDS = 4
"""An answer with a better average than this and so many words, which does not go round in a circle, comes from speech:
no such answer of 455 windows with speech had a no-speech probability above 0.3, and none of 165 with noise was such an
answer (tiny.en, windows of 6 to 30 s)."""

HIGH_COMPRESSION = 2.4
"""Text that zlib shrinks this much goes round in a circle."""

HURRIED_TOKENS_PER_S = 8
"""Faster than people speak: who says the same thing three times is believed, unless there was no time to."""

LETTERS_PER_TOKEN = 4
"""About so many, where a model does not tell its tokens."""

_FRAME = RATE * 30 // 1000

_KNOWN = re.compile(
    r"you|(thanks|thank you)( so much| very much)? for (watching|listening)( and)?.*|(please )?(like and )?subscribe.*"
    r"|see you (in the )?next (time|video)|subtitles by .*|.*amara ?org.*|www .*"
    r"|ご視聴ありがとうございました|字幕.*|谢谢观看|请不吝点赞.*"
)
_KNOWN_KOREAN = re.compile(
    r"(오늘도|지금까지|끝까지|항상|늘|저희|이?영상을?)*(시청|구독|영상봐|끝까지봐|끝까지들어)(해)?주셔서"
    r"(정말|너무|대단히|진심으로)?(감사합니다|감사드립니다|감사해요|고맙습니다|고마워요)"
    r"|.*(구독.*(좋아요|알림설정)|(좋아요|알림설정).*구독).*|(구독|알림설정)[과을도]?(꼭|한번)?(부탁|눌러|해주세요).*"
    r"|(그럼)?(우리는?|저는)?다음(영상|시간|편)에서?(또|다시)*(만나|뵙|뵐|봬|찾아).*"
    r"|.{0,14}(mbc|kbs|sbs|ytn|jtbc|연합)뉴스[가-힣]{2,4}(입니다|이었습니다|였습니다)"
    r"|(지금까지)?(날씨|이시각세계|뉴스)였습니다"
    r"|한글자막(by.*|제공.*|제작.*)?|(한국어)?자막(by|제공|제작|번역|편집).*|번역및자막.*"
    r"|([이본]영상은)?유료광고[를가]?포함.*"
)
"""Without spaces: Whisper puts them as it likes. What a person may ask for ("한글 자막 켜 줘") is none of these."""
_CAPTION = re.compile(r"[\[(（【♪*][^\])）】♪*]*[\])）】♪*]")
"""A sound that is described, as `[음악]` or `(applause)`, is no speech."""
LONGEST_INVENTION = 200
"""Characters: what stands in subtitles is short."""
_SENTENCES = re.compile(r"[.!?…。！？\n]+")


@dataclass(frozen=True)
class Heard:
    """What the model made of one window."""

    text: str
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    tokens: int
    complete: bool
    """It came to an end by itself, before the most tokens that can be spoken in the time."""
    window_s: float


def unscored(text: str, duration_s: float) -> Heard:
    """Return what a model has heard that tells nothing but the words."""
    return Heard(text, 0.0, 0.0, 0.0, len(text) // LETTERS_PER_TOKEN + 1, True, duration_s)


def loudest_db(audio: Samples) -> float:
    """Return the level of the loudest 30 ms of `audio`, in dB of full scale."""
    whole = len(audio) - len(audio) % _FRAME
    if not whole:
        return level_db(audio)
    powers = np.square(audio[:whole].reshape(-1, _FRAME)).mean(axis=1)
    return float(10 * np.log10(max(1e-12, float(np.max(powers)))))


def nobody_spoke(heard: Heard) -> bool:
    """Return whether the model itself doubts that there was speech."""
    return heard.no_speech_prob > NO_SPEECH and heard.avg_logprob < LOW_LOGPROB


def looks_wrong(heard: Heard) -> bool:
    """Return whether a short window's answer should be asked of the full one."""
    return (
        not heard.complete
        or heard.avg_logprob < LOW_LOGPROB
        or heard.compression_ratio > HIGH_COMPRESSION
        or heard.no_speech_prob > NO_SPEECH
        or repetition(heard.text)[1] > 1
    )


def surely_spoken(heard: Heard) -> bool:
    """Return whether an answer needs no no-speech probability to be believed (it may not have been asked for yet)."""
    sure = heard.avg_logprob > SURE_LOGPROB and len(heard.text.split()) >= SURE_WORDS
    return sure and not looks_wrong(heard) and not known(heard.text)


def kept(heard: Heard, duration_s: float, peak_db: float) -> str:
    """Return the text that is to be believed: empty for an invention, once round for a circle."""
    if nobody_spoke(heard) or not any(c.isalnum() for c in heard.text):
        return ""
    unit, times = repetition(heard.text)
    if heard.no_speech_prob > NO_SPEECH and (heard.compression_ratio > HIGH_COMPRESSION or not heard.complete):
        return ""
    if _CAPTION.fullmatch(heard.text.strip()):
        return ""
    if (duration_s < SHORT_S or peak_db < QUIET_DB) and known(unit):
        return ""
    circle = times > 2 and (not heard.complete or heard.tokens > HURRIED_TOKENS_PER_S * duration_s)
    return unit if circle else heard.text


def known(text: str) -> bool:
    """Return whether `text` is an invention that is known, or several in a row."""
    if len(text) > LONGEST_INVENTION:
        return False
    sentences = [text] if _known(text) else [one for one in _SENTENCES.split(text) if plain(one)]
    return all(map(_known, sentences))


def _known(text: str) -> bool:
    bare = plain(text)
    return bool(_KNOWN.fullmatch(bare) or _KNOWN_KOREAN.fullmatch(bare.replace(" ", "")))


def repetition(text: str) -> tuple[str, int]:
    """Return the shortest run of words that `text` merely repeats, and how often; a torn last round does not count."""
    words = text.split()
    bare = [plain(word) for word in words]
    for size in range(1, len(words) // 2 + 1):
        if all(bare[i] == bare[i % size] for i in range(len(bare))):
            return " ".join(words[:size]), len(words) // size
    return text, 1


def plain(text: str) -> str:
    """Return `text` in lower case with nothing but letters, digits and single spaces."""
    return " ".join(re.sub(r"[^\w]+", " ", composed(text).casefold()).split())
