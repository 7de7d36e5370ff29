"""What is prepared for a turn before it is over: its transcript, its reply, the reply's sound.

A draft is pure: nothing of it is heard, remembered or done until it is committed, and discarding it leaves no trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Protocol

import structlog

from antiphon.audio.pcm import RATE, Samples
from antiphon.log import spoken
from antiphon.settings import Settings
from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation import turn_types as turns
from antiphon_daemon.conversation.circles import uncircled
from antiphon_daemon.conversation.manner import HOUSE, Manner
from antiphon_daemon.conversation.memory import Recollection
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.reply import PARTS_AHEAD, Listener, Reply
from antiphon_daemon.conversation.tool_calls import written
from antiphon_daemon.engines.contracts import EngineError, Engines, Revoked, Tool, ToolCall, Transcript, Urgency, Work
from antiphon_daemon.engines.llm.tools import uses_tools
from antiphon_daemon.engines.work import Token
from antiphon_daemon.insight import metrics
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Outcome, Turn

DRY_S = 0.1
"""A listener that has had nothing to play for so long was not hearing the reply."""
TOKEN_LETTERS = 8
"""Few tokens are longer: a delta of more letters is taken for several."""

log = structlog.get_logger(__name__)


class ReplyPeer(Protocol):
    """Who hears a committed reply."""

    def reply_began(self, rate: int) -> None:
        """Sound of `rate` Hz (s16le, mono) follows."""
        ...

    def reply_sound(self, pcm: bytes) -> None: ...

    def reply_written(self, text: str) -> None:
        """The whole reply is `text`; it comes when all its sound has been given."""
        ...

    def reply_ended(self, trace: Trace) -> None: ...

    def failed(self, error: EngineError) -> None:
        """The turn is over with an error that could not be spoken."""
        ...


class Draft:
    """What is being prepared, or was committed, under one revision."""

    def __init__(self, revision: int, trace: Trace) -> None:
        self.revision = revision
        self.token = Token(revision, urgency=Urgency.DRAFT)
        self.trace = trace
        self.turn: Turn | None = None
        """The record of its turn, once that is over; None: nobody keeps one."""
        self.text = ""
        self.began = time.monotonic()
        self.wasted_s = 0.0
        """How long it was worked at before the speaker went on."""
        self.typed = False
        """It was written, not said: the answer may be read."""
        self.committed = asyncio.Event()
        """Set as long as its turn is over: what it would do may be done."""
        self.counted = False
        """Its turn is one of those that were over and answered (`metrics`)."""
        self.undo: list[skills.Undo] = []
        """Takes back what was done."""
        self.language: str | None = None
        self.reply: Reply | None = None
        self.running: asyncio.Task[None] | None = None
        """Writes and speaks the reply; revoking `token` ends it."""
        self.answer: skills.Answer | None = None
        self.calls: list[ToolCall] = []
        """What the model asks of the peer's own tools."""
        self.shortened = False
        """The reply was cut at the longest that the peer wants."""
        self.error: EngineError | None = None
        self.speech_s = 0.0
        """From the first to the last speech of the turn."""
        self.heard: Transcript | None = None
        self.sound: float | None = None
        """The end-of-turn model's probability that the turn is over."""
        self.ended: float | None = None
        """The language model's probability that its words are all."""

    def renew(self, draft: Draft) -> None:
        """Stand for another draft, whose words are the same: its revision and its times, but this one's reply."""
        self.revision = self.token.revision = draft.revision
        self.speech_s, self.heard, self.sound, self.ended = draft.speech_s, draft.heard, draft.sound, draft.ended
        self.trace.renew(draft.trace)

    def begin_anew(self) -> None:
        """Give up its reply: the same words are to be answered otherwise."""
        self.token.revoke()
        self.token = Token(self.revision, urgency=Urgency.DRAFT)
        self.trace = self.trace.unanswered()
        self.reply, self.running, self.answer = None, None, None
        self.calls, self.shortened = [], False

    def belong_to(self, memory: Recollection) -> None:
        """Be a turn of this conversation."""
        self.token.conversation = memory.name

    def commit(self) -> None:
        """The turn is over: do what the answer does, and let the model act, and its tools run."""
        self.go_on()
        if self.answer is not None and (undo := self.answer.commit()) is not None:
            self.undo.append(undo)

    def hold(self) -> None:
        """The turn may go on after all: what has not been done yet is not done until it is over again."""
        self.committed.clear()
        self.token.unsettle()

    def go_on(self) -> None:
        """The turn was over, and is answered: what waited for that may be done."""
        self.token.settle()
        self.committed.set()

    def give_up(self) -> None:
        """Have nothing work at it any more; if its turn is being answered, nobody waits for the rest."""
        self.token.revoke()
        if self.turn is not None:
            self.turn.leave()

    async def drop(self) -> None:
        """Give it up, and wait until nothing works at it."""
        self.give_up()
        if self.running is not None:
            await asyncio.gather(self.running, return_exceptions=True)

    def withdraw(self) -> None:
        """The turn goes on after all: take back what was done."""
        while self.undo:
            self.undo.pop()()
        if self.counted:
            self.counted = False
            metrics.turn_withdrawn()
        if self.turn is not None:
            self.turn.end(Outcome.WITHDRAWN)

    def was_heard(self, heard_ms: int | None = None) -> None:
        """Its turn is over: all of the reply was heard, or `heard_ms` of it."""
        if self.turn is not None:
            outcome = Outcome.ANSWERED if heard_ms is None else Outcome.INTERRUPTED
            self.turn.end(outcome, heard_ms=heard_ms, answered=self.reply.text if self.reply is not None else "")


class Nobody:
    """Hears nothing of a reply."""

    def reply_began(self, rate: int) -> None: ...

    def reply_sound(self, pcm: bytes) -> None: ...

    def reply_written(self, text: str) -> None: ...

    def reply_ended(self, samples: int) -> None: ...

    def reply_failed(self, error: EngineError) -> None: ...


class Told:
    """Passes a reply on to the peer, and its begin and end to the machine, as long as its draft is wanted.

    Args:
        tell: applies the event that a function makes of the session's time.
    """

    def __init__(
        self,
        peer: ReplyPeer,
        draft: Draft,
        tell: Callable[[Callable[[int], turns.Event]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peer, self._draft, self._tell, self._clock = peer, draft, tell, clock
        self._counted = False
        self._rate, self._began, self._given_s = 1, 0.0, 0.0

    def reply_began(self, rate: int) -> None:
        if self._draft.token.wanted():
            self._rate, self._began, self._given_s = rate, self._clock(), 0.0
            self._count()
            self._peer.reply_began(rate)
            if self._draft.turn is not None:
                self._draft.turn.changed()
            self._tell(lambda now: turns.ReplyBegan(now, self._draft.revision))

    def reply_sound(self, pcm: bytes) -> None:
        if self._draft.token.wanted():
            self._count()
            self._keep_time()
            self._given_s += len(pcm) / 2 / self._rate
            self._peer.reply_sound(pcm)

    def _count(self) -> None:
        """Count the reply once its own sound begins, not what was said while it was waited for."""
        if not self._counted and self._draft.trace.has("first_audio"):
            self._counted = True
            metrics.reply_began(self._draft.trace)

    def _keep_time(self) -> None:
        """Tell the machine when the listener had run dry: what it takes for heard is what has passed since then."""
        dry_s = self._clock() - self._began - self._given_s
        if dry_s > DRY_S:
            self._began += dry_s
            played = round(self._given_s * RATE)
            self._tell(lambda now: turns.ReplyBegan(now - played, self._draft.revision))

    def reply_written(self, text: str) -> None:
        if self._draft.token.wanted():
            self._peer.reply_written(text)

    def reply_ended(self, samples: int) -> None:
        if self._draft.token.wanted():
            metrics.reply_ended(self._draft.trace.failure is not None)
            self._peer.reply_ended(self._draft.trace)
            if self._draft.turn is not None:
                self._draft.turn.written(samples * 1000 // RATE)
            self._tell(lambda now: turns.ReplyEnded(now, self._draft.revision, samples))

    def reply_failed(self, error: EngineError) -> None:
        if self._draft.token.wanted():
            metrics.reply_ended(failed=True)
            self._peer.failed(error)
            self._tell(lambda now: turns.ReplyEnded(now, self._draft.revision, 0))


class Drafts:
    """Has drafts made by the engines."""

    def __init__(
        self, engines: Engines, settings: Settings, voice: str | None, place: skills.Place = skills.NOWHERE
    ) -> None:
        self._engines, self._voice, self._place = engines, voice, place
        self.settings = settings
        """Those that the next draft is made by."""

    async def hear(self, draft: Draft, utterance: Samples, language: str, hints: Sequence[str]) -> Transcript | None:
        """Return what was said; None when the draft was revoked, or (then `draft.error` is set) hearing failed."""
        within_s = self.settings.deadlines.stt_s
        try:
            async with asyncio.timeout(within_s):
                heard = await self._engines.transcriber.transcribe(
                    utterance, draft.token, language=language, hints=hints
                )
        except (EngineError, Revoked, TimeoutError) as error:
            if not draft.token.wanted():
                return None
            draft.token.revoke()
            late = EngineError("stt", f"there was no transcript within {within_s:g} s")
            draft.error = error if isinstance(error, EngineError) else late
            draft.trace.failed(str(draft.error), draft.error.unquoted)
            log.error("hearing failed", why=draft.error.for_log)
            return None
        draft.trace.mark("stt")
        draft.language = heard.language or language
        log.debug("heard", text=spoken(heard.text), revision=draft.revision, avg_logprob=heard.avg_logprob)
        return heard

    async def glance(self, work: Work, utterance: Samples, language: str, hints: Sequence[str]) -> Transcript | None:
        """Return what was said so far, for nobody to rely on; None when it was given up or failed."""
        try:
            return await self._engines.transcriber.transcribe(utterance, work, language=language, hints=hints)
        except (EngineError, Revoked):
            return None

    async def prefill(self, work: Work, memory: Recollection, language: str, manner: Manner = HOUSE) -> None:
        """Have the model read what it will be told before the question, so that the reply begins sooner."""
        responder = self._engines.responder
        tools = self._tools(manner, language, [])
        with contextlib.suppress(EngineError, Revoked):
            await responder.prefill(memory.messages("")[:-1], work, tools=tools)

    def answer(
        self,
        draft: Draft,
        text: str,
        memory: Recollection,
        language: str,
        listener: Listener,
        *,
        read: bool = False,
        manner: Manner = HOUSE,
    ) -> None:
        """Give the draft the reply to `text`, ready to run: a skill's answer, or else the language model's.

        Args:
            read: somebody reads it to its end, and may ask for its sound then: in the asker's language, as if typed.
        """
        draft.typed = draft.typed or read
        draft.text = text
        draft.belong_to(memory)
        draft.token.language = draft.language or language
        draft.answer = skills.match(
            text if manner.skills else "",
            language,
            self._place,
            memory.last_reply,
            answer_in=(lambda asked: asked) if draft.typed else self._voice_language,
        )
        if draft.answer is None:
            words, spoken_in, aloud = self._written(draft, text, memory, language, manner), language, True
        else:
            words, spoken_in = _said(draft.answer.text), draft.answer.language
            aloud = bool(draft.answer.text) and not (draft.typed and spoken_in != self._voice_language(spoken_in))
            draft.language = spoken_in if draft.typed else draft.language
        draft.reply = self._reply(
            words,
            draft,
            spoken_in,
            listener,
            self.settings.turn.speculate == "speech",
            aloud=aloud and manner.aloud,
            parts_ahead=0 if read else PARTS_AHEAD,
            voice=manner.voice,
            speed=manner.speed,
        )

    def apologise(self, draft: Draft, language: str, listener: Listener) -> Reply:
        """Return the reply that says that hearing failed; it is not remembered."""
        known = language in self._engines.transcriber.languages
        spoken_in = self._voice_language(language)
        words = _said(message("stt" if known else "unknown_language", spoken_in))
        draft.reply = self._reply(words, draft, spoken_in, listener, early_speech=True)
        draft.reply.failed = True
        return draft.reply

    def _voice_language(self, language: str) -> str:
        """Return `language` if a voice speaks it, else the language of the first voice: an apology must be heard."""
        spoken_by = [tag.split("-")[0].split("_")[0] for v in self._engines.synthesizer.voices for tag in v.languages]
        return language if language in spoken_by or not spoken_by else spoken_by[0]

    def _reply(
        self,
        words: AsyncGenerator[str, None],
        draft: Draft,
        language: str,
        listener: Listener,
        early_speech: bool,
        aloud: bool = True,
        parts_ahead: int = PARTS_AHEAD,
        voice: str | None = None,
        speed: float = 1.0,
    ) -> Reply:
        return Reply(
            words,
            self._engines.synthesizer,
            listener,
            draft.token,
            language=language,
            voice=voice or self._voice,
            deadlines=self.settings.deadlines,
            trace=draft.trace,
            early_speech=early_speech,
            aloud=aloud,
            speed=speed,
            parts_ahead=parts_ahead,
            acted=lambda: bool(draft.calls),
        )

    def _tools(self, manner: Manner, language: str, undo: list[skills.Undo]) -> Sequence[Tool]:
        if manner.tools or not manner.skills or not uses_tools(self._engines.responder):
            return manner.tools
        return skills.tools(self._place, language, undo)

    def _written(
        self, draft: Draft, text: str, memory: Recollection, language: str, manner: Manner
    ) -> AsyncGenerator[str, None]:
        words = written(
            self._engines.responder,
            memory.messages(text) if manner.messages is None else manner.messages,
            draft.token,
            self.settings.deadlines,
            tools=self._tools(manner, language, draft.undo),
            committed=draft.committed,
            handed=draft.calls if manner.tools else None,
            forced=manner.forced,
        )
        if manner.tokens is not None:
            words = _shortened(words, manner.tokens, draft)
        return uncircled(words, partial(_circled, draft)) if manner.aloud else words


async def _shortened(words: AsyncGenerator[str, None], tokens: int, draft: Draft) -> AsyncGenerator[str, None]:
    """Yield what comes, until it is about so many tokens: with every engine a delta is one, or a few."""
    async with contextlib.aclosing(words):
        async for delta in words:
            if tokens <= 0:
                draft.shortened = True
                return
            tokens -= max(1, len(delta) // TOKEN_LETTERS)
            yield delta


def _circled(draft: Draft) -> None:
    log.info("the language model goes round in a circle: its reply ends here", revision=draft.revision)


async def _said(text: str) -> AsyncGenerator[str, None]:
    if text:
        yield text
