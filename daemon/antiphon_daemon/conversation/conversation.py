"""Drives one conversation: feeds the turn machine, does what it says, and tells the peer.

Every method but `close` returns at once. Work runs in tasks that this object owns; each carries its draft's token, and
what a stale draft still says is ignored by its revision.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from antiphon.audio.pcm import RATE, Samples
from antiphon.audio.vad import Judge, SpeechBegan, SpeechPaused
from antiphon.log import spoken
from antiphon.settings import Settings
from antiphon_daemon.conversation import skills, turns
from antiphon_daemon.conversation.drafts import Draft, Drafts, ReplyPeer, Told
from antiphon_daemon.conversation.listening import Listening
from antiphon_daemon.conversation.memory import Memory
from antiphon_daemon.engines.contracts import EngineError, Engines
from antiphon_daemon.insight.trace import Trace

GAP_S = 0.5
"""When an open stream has brought no audio for this long, time goes on without it. A network that holds audio back for
less, and then brings it all at once, does not make a pause seem longer than it was."""
LATE_S = 0.05
"""A deadline is looked at so long after it would have come: the audio that brings it is then there."""

log = structlog.get_logger(__name__)


class Peer(ReplyPeer, Protocol):
    """Who the conversation is with. Nothing here waits: what takes time is queued behind it."""

    def speech_began(self, at_ms: int) -> None: ...

    def speech_paused(self, at_ms: int) -> None: ...

    def turn_over(self, text: str, language: str | None) -> None:
        """The turn is committed: `text` was said (empty when hearing failed, and an apology follows)."""
        ...

    def nothing_heard(self) -> None:
        """The stream held nothing to answer, and is over."""
        ...

    def stop_speaking(self) -> None:
        """What was given of the reply is not to be played any further."""
        ...


class Conversation:
    """One conversation with one peer.

    Args:
        engines: what hears, thinks and speaks.
        judge: a voice activity model of this conversation's own; it keeps state.
        memory: what was said before, None for a peer that only wants transcripts.
        place: where it is held, and what skills can do there.
    """

    def __init__(
        self,
        engines: Engines,
        settings: Settings,
        peer: Peer,
        judge: Judge,
        memory: Memory | None,
        *,
        voice: str | None = None,
        place: skills.Place = skills.NOWHERE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._drafts = Drafts(engines, settings, voice, place)
        self._settings = settings
        self._peer = peer
        self._memory = memory
        self._clock = clock
        self._policy = policy_of(settings, answers=memory is not None)
        self._state = turns.State()
        self._listening = Listening(judge, clock)
        self._draft: Draft | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._audio_at = clock()
        self.language = settings.language
        self.hints = tuple(settings.stt.hints)

    @property
    def phase(self) -> turns.Phase:
        """Where the turn stands."""
        return self._state.phase

    def open(self, language: str | None = None) -> None:
        """A stream of microphone audio begins."""
        self.language = language or self._settings.language
        self._apply(turns.Opened(self._now()))
        self._listening.open()
        self._audio_at = self._clock()

    def hear(self, samples: Samples) -> None:
        """Audio of the stream: mono, 16 kHz. Ignored while no stream is open."""
        if not self._state.open:
            return
        self._audio_at = self._clock()
        for event in self._listening.feed(samples):
            self._apply(_turn_event(event))
            at_ms = event.at * 1000 // RATE
            if isinstance(event, SpeechBegan):
                self._peer.speech_began(at_ms)
            else:
                self._peer.speech_paused(at_ms)
        self._fire_deadline()
        self._listening.keep_from(None if self._state.phase is turns.Phase.LISTENING else self._state.began)

    def end(self) -> None:
        """The stream is over: what came is all there is."""
        self._apply(turns.Ended(self._listening.now))

    def typed(self, text: str) -> None:
        """The user wrote `text` instead of saying it."""
        self._apply(turns.Stop(self._now()))
        self._apply(turns.Typed(self._now(), text))

    def stop(self, heard_ms: int | None = None) -> None:
        """Silence: the reply, or the turn that is being heard, is given up."""
        self._apply(turns.Stop(self._now(), heard_ms))

    def played(self, heard_ms: int | None = None) -> None:
        """The peer has played the reply, all of it or `heard_ms`."""
        self._apply(turns.Played(self._now(), heard_ms))

    async def close(self) -> None:
        """The peer left: all work is revoked, nothing more is told to it."""
        if self._timer is not None:
            self._timer.cancel()
        self._give_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What the machine says is done.

    def _apply(self, event: turns.Event) -> None:
        before = self._state.phase
        self._state, actions = turns.step(self._policy, self._state, event)
        if self._state.phase is not before:
            log.debug("turn", phase=self._state.phase.value, by=type(event).__name__, revision=self._state.revision)
        for action in actions:
            self._do(action)
        self._watch_deadline()

    def _do(self, action: turns.Action) -> None:
        match action:
            case turns.Transcribe():
                self._transcribe(action.revision)
            case turns.Respond():
                self._respond(action.revision, action.text)
            case turns.Commit():
                self._commit(action)
            case turns.Apologise():
                self._apologise()
            case turns.NothingHeard():
                self._give_up()
                self._peer.nothing_heard()
            case turns.Discard():
                self._give_up()
            case turns.Withdraw():
                if self._draft is not None:
                    self._draft.withdraw()
                self._give_up()
            case turns.StopSpeaking():
                self._peer.stop_speaking()
                if self._draft is not None:
                    self._draft.token.revoke()
            case turns.Remember():
                self._remember(action.heard_ms)
            case turns.AskTurnModel():
                pass  # there is no end-of-turn model yet: silence alone decides

    def _transcribe(self, revision: int) -> None:
        self._give_up()
        trace = Trace(self._clock)
        ended = self._state.paused or self._listening.now
        trace.mark("speech_end", ago_s=max(0, self._listening.now - ended) / RATE)
        trace.mark("soft_end")
        trace.revision = revision
        trace.heard_ms = (ended - self._state.began) * 1000 // RATE
        self._draft = Draft(revision, trace)
        utterance = self._listening.utterance(self._state.began, ended)
        self._spawn(self._hear_all(self._draft, utterance))

    async def _hear_all(self, draft: Draft, utterance: Samples) -> None:
        heard = await self._drafts.hear(draft, utterance, self.language, self.hints)
        if heard is not None:
            self._apply(turns.Transcribed(self._now(), draft.revision, heard.text))
        elif draft.error is not None:
            self._apply(turns.Failed(self._now(), draft.revision))

    def _respond(self, revision: int, text: str) -> None:
        draft = self._draft
        if draft is None or draft.revision != revision:  # typed: there was nothing to hear
            draft = self._draft = Draft(revision, Trace(self._clock))
            draft.trace.mark("speech_end")
            draft.trace.revision = revision
            draft.language = self.language
            draft.typed = True
        assert self._memory is not None
        self._drafts.answer(draft, text, self._memory, self.language, self._told(draft))
        assert draft.reply is not None
        self._spawn(draft.reply.run())

    def _commit(self, action: turns.Commit) -> None:
        draft = self._draft
        assert draft is not None
        draft.trace.mark("turn_end")
        self._peer.turn_over(action.text, draft.language)
        draft.commit()
        if draft.reply is not None:
            draft.reply.release()

    def _apologise(self) -> None:
        draft = self._draft
        assert draft is not None
        error = draft.error or EngineError("stt", "hearing failed")
        if self._memory is None:
            self._peer.failed(error)
            return
        apology = self._draft = Draft(draft.revision, draft.trace)
        apology.trace.mark("turn_end")
        reply = self._drafts.apologise(apology, self.language, self._told(apology))
        self._peer.turn_over("", self.language)
        reply.release()
        self._spawn(reply.run())

    def _remember(self, heard_ms: int | None) -> None:
        draft, self._draft = self._draft, None
        if draft is None or draft.reply is None or self._memory is None:
            return
        draft.token.revoke()
        log.debug("said", text=spoken(draft.reply.text), heard_ms=heard_ms)
        if draft.answer and draft.answer.starts_over:
            self._memory.forget()
        if draft.reply.failed or not draft.text or (draft.answer and not draft.answer.remembered):
            return
        if heard_ms == turns.ESTIMATE:
            heard_ms = max(0, self._now() - self._state.reply_began) * 1000 // RATE
        if heard_ms is None:
            self._memory.remember(draft.text, draft.reply.text)
        else:
            heard = draft.reply.heard_text(heard_ms)
            whole = draft.reply.text
            self._memory.remember(draft.text, heard, interrupted=heard != whole, whole=whole)

    def _give_up(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.token.revoke()

    # Time.

    def _now(self) -> int:
        """Bring the session's time up to date, if no audio has done so, and return it."""
        silent_s = self._clock() - self._audio_at
        if silent_s > GAP_S or not self._state.open:
            self._listening.pass_time(round(silent_s * RATE))
            self._audio_at = self._clock()
        return self._listening.now

    def _fire_deadline(self) -> None:
        """Fire what is due. A recording that comes faster than sound is not judged by its pauses."""
        while self._state.deadline is not None and self._listening.now >= self._state.deadline:
            waits = self._state.phase in (turns.Phase.PAUSED, turns.Phase.LISTENING)
            full = self._listening.now > self._state.began + self._policy.longest
            if waits and self._state.open and not full and not self._listening.live:
                return
            before = self._state
            self._apply(turns.Deadline(self._listening.now))
            if self._state == before:
                return

    def _watch_deadline(self) -> None:
        """Wake up for the deadline in case no audio comes that would bring it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._state.deadline is not None:
            wait_s = max(0.0, (self._state.deadline - self._listening.now) / RATE) + LATE_S
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._now()
        self._fire_deadline()
        if self._timer is None:
            self._watch_deadline()

    def _told(self, draft: Draft) -> Told:
        return Told(self._peer, draft, lambda make: self._apply(make(self._now())))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a turn failed for a reason of ours", exc_info=error)
            self.stop()
            self._peer.failed(EngineError("llm", "the turn failed for a reason of ours; the log says which"))


def policy_of(settings: Settings, *, answers: bool) -> turns.Policy:
    """Return the machine's policy from the settings."""
    turn = settings.turn

    def samples(ms: float) -> int:
        return round(ms * RATE / 1000)

    return turns.Policy(
        soft_end=samples(turn.soft_end_ms),
        silence=samples(turn.silence_ms),
        likely_silence=samples(turn.silence_ms),
        longest=samples(turn.longest_s * 1000),
        no_speech=samples(turn.no_speech_s * 1000),
        speculate=turn.speculate,
        answers=answers,
    )


def _turn_event(event: SpeechBegan | SpeechPaused) -> turns.Event:
    return turns.SpeechBegan(event.at) if isinstance(event, SpeechBegan) else turns.SpeechPaused(event.at)
