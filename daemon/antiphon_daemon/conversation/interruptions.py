"""Whether what was heard over a reply is a turn: an "mm" is none, and neither is the reply's own echo."""

from __future__ import annotations

import re
from itertools import groupby

from antiphon_daemon.engines.stt.guards import plain

LONGEST_FILLER_WORDS = 3
ECHO_SHARE = 0.8
"""A transcript is an echo if so many of its words come, in order, from what was being said; one word never is."""
ECHO_BEYOND = 1
"""So many words more, before and after those that were being said, may be in it."""
_DRAWN = re.compile(r"(.)\1{2,}")
"""A sound that is drawn out: `hmmmm`, `네네네`, `하하하하`."""
_CLOSING = " \n\"')]}\u201d\u2019\u300d\u300f"


def _listed(phrases: str) -> frozenset[str]:
    return frozenset(phrase.strip() for phrase in phrases.split(","))


_ANSWERS = {
    "en": _listed(
        "yeah, yea, yes, yep, yup, uh huh, uhhuh, mhm, mm hmm, okay, ok, right, sure, good, great, all right, alright, "
        "of course, exactly, true, absolutely, definitely, perfect, fine"
    ),
    "ko": _listed(
        "네, 네네, 예, 예예, 응, 응응, 어, 어어, 으응, 그래, 그래요, 그렇지, 맞아, 맞아요, 아네, 아그래, 오케이, "
        "좋아, 좋아요, 그쵸, 그죠, 그렇죠, 그치, 그럼, 그럼요, 넵, 옙, 엉, 맞네, 맞네요, 맞습니다, 그렇습니다, "
        "알겠어, 알겠어요, 알겠습니다"
    ),
}
"""What listeners say to show that they listen, and answer a question with."""
_MURMURS = {
    "en": _listed(
        "mm, mmm, hmm, hm, mmhmm, mhmm, ah, ahh, aha, oh, ohh, ooh, i see, really, wow, whoa, got it, gotcha, nice, "
        "cool, interesting, awesome, makes sense, oh my, oh my god, oh my gosh, uh, uhh, um, umm, er, huh, ha, haha, "
        "ha ha, hehe"
    ),
    "ko": _listed(
        "음, 음음, 아, 아아, 오, 와, 그렇구나, 그렇군요, 아하, 아그렇구나, 진짜, 정말, 흠, 으음, "
        "그렇네, 그렇네요, 그러네, 그러게, 그러게요, 우와, 오호, 오오, 와아, 어머, 어머나, 아이고, 아이구, 에구, "
        "세상에, 헐, 대박, 하하, 호호, 히히, 허허, 그랬구나, 그랬군요, 진짜요, 정말요, 좋네, 좋네요, 신기하다, "
        "신기하네, 재밌네, 으흠, 흐음"
    ),
}
"""What they say to show that they listen, and that answers nothing."""


def is_filler(text: str, language: str | None, reply: str, heard: str, *, ending: bool = False) -> bool:
    """Return whether `text`, heard over `reply`, only acknowledges or repeats it.

    Args:
        heard: what was heard of the reply when it was stopped.
        ending: that was nearly all: to a question, a "yes" is an answer then.
    """
    said = plain(text)
    if not said:
        return True
    asked = ending and reply.rstrip(_CLOSING).endswith(("?", "\uff1f"))
    tag = (language or "en").split("-")[0]
    tag = tag if tag in _MURMURS else "en"
    known = _MURMURS[tag] if asked else _MURMURS[tag] | _ANSWERS[tag]
    words = said.split()
    murmured = [word for word, _ in groupby(_DRAWN.sub(r"\1\1", word) for word in words)]
    if len(murmured) <= LONGEST_FILLER_WORDS and (
        {said, "".join(words), " ".join(murmured), "".join(murmured)} & known or all(word in known for word in murmured)
    ):
        return True
    until = len(plain(heard).split())
    around = slice(max(0, until - len(words) - ECHO_BEYOND), until + ECHO_BEYOND)
    return _echoes(words, plain(reply).split()[around])


def _echoes(words: list[str], said: list[str]) -> bool:
    """Return whether the words are, nearly all and in order, a stretch of what was said."""
    if len(words) < 2:
        return False
    at = 0
    found = 0
    for word in words:
        if word in said[at:]:
            at = said.index(word, at) + 1
            found += 1
    return found >= ECHO_SHARE * len(words)
