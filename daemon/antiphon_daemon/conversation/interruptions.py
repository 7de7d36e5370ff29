"""Whether what was heard over a reply is a turn: an "mm" is none, and neither is the reply's own echo."""

from __future__ import annotations

from antiphon_daemon.engines.stt.guards import plain

LONGEST_FILLER_WORDS = 3
ECHO_SHARE = 0.8
"""A transcript is an echo if so many of its words come, in order, from what was being said; one word never is."""


def _listed(phrases: str) -> frozenset[str]:
    return frozenset(phrase.strip() for phrase in phrases.split(","))


_FILLERS = {
    "en": _listed(
        "yeah, yes, yep, yup, uh huh, uhhuh, mm, mmm, mhm, mm hmm, hmm, hm, ah, aha, oh, okay, ok, right, i see, sure, "
        "really, wow, got it, good, great, nice, uh, um, all right, alright, of course, exactly, true, huh"
    ),
    "ko": _listed(
        "네, 네네, 예, 예예, 응, 응응, 어, 어어, 음, 음음, 아, 아아, 오, 와, "
        "그래, 그래요, 그렇구나, 그렇군요, 그렇지, "
        "맞아, 맞아요, 아하, 아네, 아그래, 아그렇구나, 오케이, 좋아, 좋아요, 진짜, 정말, 흠, 으응, 으음, 그쵸, 그죠, "
        "그렇죠, 그렇네, 그렇네요, 그러네, 그러게, 그러게요, 우와, 오호"
    ),
}
"""What listeners say to show that they listen."""


def is_filler(text: str, language: str | None, reply: str) -> bool:
    """Return whether `text`, heard over `reply`, only acknowledges or repeats it."""
    said = plain(text)
    if not said:
        return True
    known = _FILLERS.get((language or "en").split("-")[0], _FILLERS["en"])
    words = said.split()
    if len(words) <= LONGEST_FILLER_WORDS and (said in known or "".join(words) in known):
        return True
    if len(words) <= LONGEST_FILLER_WORDS and all(word in known for word in words):
        return True
    return _echoes(words, plain(reply).split())


def _echoes(words: list[str], said: list[str]) -> bool:
    """Return whether the words are, nearly all and in order, a stretch of what was said."""
    if len(words) < 2 or len(said) < 2:
        return False
    at = 0
    found = 0
    for word in words:
        if word in said[at : at + 2 * len(words)]:
            at = said.index(word, at) + 1
            found += 1
    return found >= ECHO_SHARE * len(words)
