"""How much is spoken at a time: as much as there is time for, so that the gap between two clauses is never heard.

The first clause is spoken alone, since the first sound waits for it. Of what follows, parts are joined up to the end of
their sentence, as long as the whole will be ready before the sound that is already there has been played. On a slow
machine, or with a slow language model, that is little at first and grows; on a quick one it is whole sentences at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from antiphon_daemon.conversation.clauses import LONGEST_CHARACTERS, Ending, Part
from antiphon_daemon.conversation.spoken import Spoken, spoken
from antiphon_daemon.conversation.spoken.markup import code_block
from antiphon_daemon.engines.contracts import Synthesizer

MARGIN_S = 0.12
"""A clause should be ready so long before it is needed: machines have other things to do."""
FIXED_WEIGHT = 10
"""The shortest clause costs as much as so many more letters would."""
FIRST_GUESS_S = 0.008
"""Seconds of work for a letter, before any has been measured."""
LEARNED = 0.3
"""How much the newest measurement counts."""

PAUSES_MS = {Ending.SENTENCE: 280, Ending.CLAUSE: 120, Ending.JOINT: 0, Ending.CODE: 0}
"""Silence after a part, when another follows."""

_STOPS = frozenset(".,!?…:;—–-。！？、，；：")
_CLOSERS = "\"'”’)」』》"


@dataclass(frozen=True)
class Utterance:
    """What is synthesised at once."""

    spoken: Spoken
    ending: Ending

    @property
    def pause_ms(self) -> int:
        """The silence after it, when something follows."""
        return PAUSES_MS[self.ending] if self.spoken.text else 0


class Pace:
    """How fast a voice works on this machine, learned from what it has said."""

    def __init__(self) -> None:
        self._letter_s = FIRST_GUESS_S

    def needs_s(self, letters: int) -> float:
        """Return about how long before it is to be heard a text of so many letters must be begun."""
        return (letters + FIXED_WEIGHT) * self._letter_s

    def took(self, letters: int, seconds: float) -> None:
        """Learn from one synthesis: how long it was before it could be played to its end without a gap."""
        measured = seconds / (letters + FIXED_WEIGHT)
        self._letter_s += LEARNED * (measured - self._letter_s)


_paces: WeakKeyDictionary[Synthesizer, Pace] = WeakKeyDictionary()


def pace_of(synthesizer: Synthesizer) -> Pace:
    """Return the pace of an engine: one for all that it says."""
    return _paces.setdefault(synthesizer, Pace())


def letters(text: str) -> int:
    """Return the length of a text in letters; a syllable or ideograph counts for two."""
    return sum(2 if character >= "\u1100" else 1 for character in text)


class Utterances:
    """Joins the parts of a queue to what is spoken at a time.

    Args:
        parts: ended by None.
        ahead_s: returns how many seconds of sound are there that have not been played.
    """

    def __init__(
        self, parts: asyncio.Queue[Part | None], pace: Pace, language: str | None, ahead_s: Callable[[], float]
    ) -> None:
        self._parts, self._pace, self._language, self._ahead_s = parts, pace, language, ahead_s
        self._next: Part | None = None
        self._over = False

    async def next(self) -> Utterance | None:
        """Return what to say next; None when the reply is over. Cancelling this loses nothing."""
        if self._next is None and not self._over:
            self._next = await self._parts.get()
        first, self._next = self._next, None
        if first is None:
            self._over = True
            return None
        text, ending = first.text, first.ending
        while ending not in (Ending.SENTENCE, Ending.CODE) and not self._over:
            self._next = await self._in_time(text)
            if self._next is None or not self._fits(text + self._next.text) or self._next.ending is Ending.CODE:
                break
            text, ending, self._next = text + self._next.text, self._next.ending, None
        return utterance(text, ending, self._language, opens_code=first.opens_code)

    async def _in_time(self, text: str) -> Part | None:
        """Return the next part if it comes before `text` must be spoken."""
        spare_s = self._ahead_s() - self._pace.needs_s(letters(text)) - MARGIN_S
        if spare_s <= 0:
            return None
        try:
            async with asyncio.timeout(spare_s):
                part = await self._parts.get()
        except TimeoutError:
            return None
        self._over = part is None
        return part

    def _fits(self, text: str) -> bool:
        size = letters(text)
        return size <= LONGEST_CHARACTERS and self._pace.needs_s(size) + MARGIN_S <= self._ahead_s()


def utterance(text: str, ending: Ending, language: str | None, *, opens_code: bool = False) -> Utterance:
    """Return what is said for a piece of the written reply."""
    if ending is Ending.CODE:
        said = code_block(language) if opens_code else ""
        return Utterance(Spoken(text, said, tuple(len(text) for _ in said)), Ending.SENTENCE if said else ending)
    form = spoken(text, language)
    if form.text and form.text.rstrip(_CLOSERS)[-1:] not in _STOPS:
        # A voice ends a text as it is punctuated. Where a sentence goes on, a comma keeps its pitch up.
        stop = "." if ending is Ending.SENTENCE else ","
        form = Spoken(form.written, form.text + stop, (*form.ends, len(form.written)))
    return Utterance(form, ending)
