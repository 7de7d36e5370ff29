"""Gathers what tells whether a turn is over: the sound of the voice, and what a language model thinks of the words.

A judge that is missing, fails or is slow is one voice less, never a fault of the turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from antiphon.audio.pcm import Samples
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.endings import Evidence, probability
from antiphon_daemon.engines.contracts import EngineError, Engines, Message, Revoked
from antiphon_daemon.engines.work import Token

WITHIN_S = 0.5
"""A judgement that takes longer comes too late to matter."""

log = structlog.get_logger(__name__)


class Judges:
    """Asks the judges about one draft after another.

    Args:
        judged: told a draft and the probability that its turn is over, once its words are known and each time that
            more is.
        clock: that of the drafts' traces.
    """

    def __init__(
        self, engines: Engines, judged: Callable[[Draft, float], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engines = engines
        self._judged = judged
        self._clock = clock
        self._began = self._ended = 0.0
        """When the end-of-turn model began to listen, and when it had judged."""
        self._work = Token()
        self._listening: asyncio.Task[float | None] | None = None

    def listen(self, utterance: Samples, language: str | None) -> None:
        """Speech fell silent: have the end-of-turn model listen before there is a draft.

        Nothing else works yet; side by side with the ears, on two cores, it would make them a third slower.
        """
        if self._engines.turn is not None:
            self._work.revoke()
            self._work = Token()
            self._began = self._clock()
            finished = self._engines.turn.finished(utterance, self._work, language=language)
            self._listening = asyncio.create_task(_asked(finished))
            self._listening.add_done_callback(self._heard_out)

    async def ask_sound(self, draft: Draft) -> None:
        """Ask what the end-of-turn model has made of it."""
        if self._listening is not None:
            began, listening = self._began, self._listening
            draft.sound = await asyncio.shield(listening)
            if draft.sound is not None and listening is self._listening:
                # Sound that comes late makes the end of speech seem later than it was.
                draft.trace.note("judging", max(began, draft.trace.start))
                draft.trace.note("judged", max(self._ended, draft.trace.start))
            self.tell(draft)

    def _heard_out(self, listening: asyncio.Task[float | None]) -> None:
        if listening is self._listening:
            self._ended = self._clock()

    async def close(self) -> None:
        """Ask nobody any more."""
        self._work.revoke()
        if self._listening is not None:
            await asyncio.gather(self._listening, return_exceptions=True)

    async def ask_words(self, draft: Draft, messages: Sequence[Message]) -> None:
        """Ask the language model what it thinks of the words; the reply to the same messages is then begun sooner."""
        if self._engines.words is None or self._engines.turn is None:
            return
        work = Token(draft.revision, urgency=draft.token.urgency())
        work.conversation = draft.token.conversation
        forget = draft.token.on_revoked(work.revoke)
        try:
            draft.ended = await _asked(self._engines.words.ended(messages, work))
        finally:
            work.revoke()  # one that is too slow is not to keep the model from the reply
            forget()

    def tell(self, draft: Draft) -> None:
        """Tell the probability by what is known so far; nothing while the words are not."""
        if draft.heard is None or self._engines.turn is None or not draft.token.wanted():
            return
        evidence = Evidence(
            draft.heard.text,
            draft.language,
            draft.speech_s,
            avg_logprob=draft.heard.avg_logprob,
            sound=draft.sound,
            ended=draft.ended,
            understood=draft.answer is not None and not draft.answer.asks,
        )
        likely = probability(evidence)
        log.debug("judged", likely=round(likely, 2), sound=draft.sound, ended=draft.ended, revision=draft.revision)
        self._judged(draft, likely)


async def _asked(judgement: Awaitable[float | None]) -> float | None:
    try:
        async with asyncio.timeout(WITHIN_S):
            return await judgement
    except (EngineError, Revoked, TimeoutError) as error:
        log.debug("a judge is silent", why=type(error).__name__)
        return None
