"""Says "one moment" when a reply is late, so that nobody wonders whether they were heard.

    speech ──────┤ silence ┤ the turn is over ─ ─ ─ ─┤ "One moment." ├─ ─ ─┤ the reply
                 └──────── turn.one_moment_s ────────┘

It is said once a turn, before the first sound of the reply, and is no part of it: it is not in its text nor in the
memory of the conversation, and stops with it when somebody interrupts. It is said when the engines are busy with
others, so it must not need them: its sound is made when the daemon starts (that of other voices the first time that
they are late). A reply whose first words are with the voice already is waited for a little longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias, runtime_checkable
from weakref import WeakKeyDictionary

from antiphon.settings import Deadlines, Settings
from antiphon_daemon.conversation.clauses import Ending
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.pacing import utterance
from antiphon_daemon.conversation.reply import Reply
from antiphon_daemon.conversation.speaking import silence, sound_of
from antiphon_daemon.engines.contracts import EngineError, Revoked, Synthesizer, Urgency, Work
from antiphon_daemon.engines.work import Token
from antiphon_daemon.engines.worker import revocable
from antiphon_daemon.insight import metrics

GRACE_S = 0.5
"""A turn that is over late, because it was heard late, is given so long at least."""
SOON_S = 0.8
"""A reply whose sound is expected within this, as long as "one moment" takes, is waited for instead."""
SLACK_S = 0.3
"""And so much longer: the voice may be busy with another clause."""
PAUSE_MS = 150
"""Silence behind it, when the reply follows at once."""
KEPT = 16
"""Sounds that are kept of one engine: a voice and a language each."""

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

_sounds: WeakKeyDictionary[Synthesizer, dict[tuple[str, str | None, str], bytes]] = WeakKeyDictionary()


@runtime_checkable
class Captioned(Protocol):
    """A peer that shows what is said."""

    def one_moment(self, text: str) -> None:
        """`text` is being said; the reply has begun with it, and follows."""
        ...


async def sound(synthesizer: Synthesizer, voice: str | None, language: str, deadlines: Deadlines, work: Work) -> bytes:
    """Return "one moment" as s16le mono PCM at the synthesizer's rate: made the first time, then kept.

    Raises:
        EngineError: the voice failed, is too slow, or does not speak `language`.
        Revoked: the work is no longer wanted.
    """
    kept = _sounds.setdefault(synthesizer, {})
    key = (synthesizer.name, voice, language)
    if key not in kept:
        said = utterance(message("one_moment", language), Ending.SENTENCE, language)
        blocks = sound_of(said, synthesizer, work, language=language, voice=voice, deadlines=deadlines)
        pcm = b"".join([block async for block in blocks])
        if len(kept) >= KEPT:
            kept.clear()
        kept[key] = pcm + silence(PAUSE_MS, synthesizer.rate) if pcm else b""
    return kept[key]


async def prepare(synthesizer: Synthesizer, settings: Settings) -> None:
    """Make the sound of the default voice, if it will be wanted; a voice that cannot now is asked when it is needed."""
    if settings.turn.one_moment_s:
        with contextlib.suppress(EngineError, Revoked):
            await sound(synthesizer, None, settings.language, settings.deadlines, Token(urgency=Urgency.MEANWHILE))


def forget(synthesizer: Synthesizer) -> None:
    """The engine speaks otherwise from now on: what was made is made anew."""
    _sounds.pop(synthesizer, None)


class OneMoment:
    """Watches over the replies of one conversation, one at a time.

    Args:
        peer: who hears them; told the caption if it is `Captioned`.
        spawn: runs a coroutine as a task of the conversation's.
    """

    def __init__(self, synthesizer: Synthesizer, peer: object, spawn: Spawn) -> None:
        self._synthesizer, self._peer, self._spawn = synthesizer, peer, spawn
        self._watching: asyncio.Task[None] | None = None

    def watch(self, draft: Draft, settings: Settings) -> None:
        """The turn of `draft` is over, and its reply released: say "one moment" if its sound is late."""
        if self._watching is not None:
            self._watching.cancel()
        if settings.turn.one_moment_s and draft.reply is not None:
            passed_s = (draft.trace.timeline()["turn_end"] or 0) / 1000
            wait_s = max(GRACE_S, settings.turn.one_moment_s - passed_s)
            self._watching = self._spawn(self._watch(draft, draft.reply, wait_s, settings.deadlines))

    async def _watch(self, draft: Draft, reply: Reply, wait_s: float, deadlines: Deadlines) -> None:
        with contextlib.suppress(EngineError, Revoked):
            async with revocable(draft.token):
                if await reply.sounds_within(wait_s):
                    return
                if 0 < reply.expected_s < SOON_S and await reply.sounds_within(reply.expected_s + SLACK_S):
                    return
                pcm = await sound(self._synthesizer, reply.voice, reply.language, deadlines, draft.token)
            if pcm and reply.lead_in(pcm):
                draft.trace.note_moment()
                metrics.moment()
                if isinstance(self._peer, Captioned):
                    self._peer.one_moment(message("one_moment", reply.language))
