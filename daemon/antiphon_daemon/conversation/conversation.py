"""Drives one conversation: feeds the turn machine, does what it says, and tells the peer.

Every method but `close` returns at once. Work runs in tasks that this object owns; each carries its draft's token, and
what a stale draft still says is ignored by its revision.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from antiphon.audio.pcm import RATE, Samples
from antiphon.audio.vad import Judge, SpeechBegan, SpeechPaused
from antiphon.log import spoken
from antiphon.settings import Settings
from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation import turn_types as turns
from antiphon_daemon.conversation.drafts import Draft, Drafts, Nobody, ReplyPeer, Told
from antiphon_daemon.conversation.interruptions import is_filler
from antiphon_daemon.conversation.judging import Judges
from antiphon_daemon.conversation.listening import Listening
from antiphon_daemon.conversation.manner import HOUSE, Manner
from antiphon_daemon.conversation.memory import Recollection, new_memory
from antiphon_daemon.conversation.one_moment import OneMoment
from antiphon_daemon.conversation.owned import Tasks
from antiphon_daemon.conversation.partials import FLOOR, Agreement, bare
from antiphon_daemon.conversation.shelf import Shelf
from antiphon_daemon.conversation.turns import step
from antiphon_daemon.conversation.written import Written
from antiphon_daemon.engines.contracts import EngineError, Engines, Urgency
from antiphon_daemon.engines.work import Token
from antiphon_daemon.insight import metrics
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Outcome, Recorder

GAP_S = 0.5
"""When an open stream has brought no audio for this long, time goes on without it. A network that holds audio back for
less, and then brings it all at once, does not make a pause seem longer than it was."""
HEARD = (turns.Phase.LISTENING, turns.Phase.HEARING, turns.Phase.PAUSED)
"""Phases in which a turn is heard."""
LATE_S = 0.05
"""A deadline is looked at so long after it would have come: the audio that brings it is then there."""

RISING_S = 0.13
"""A silence that has lasted long enough lasts so much longer while speech may have begun again: to be sure takes the
voice activity model a tenth of a second, and nobody is to be cut off meanwhile."""
PARKED_S = 0.8
"""A reply whose speaker went on is kept so long: if they only cleared their throat, it is still the right one."""
STOPPED_S = 8.0
"""A reply that was stopped is kept at most so long, while it is found out whether anybody meant to stop it."""
ANSWERED_MS = 1000
"""Who speaks over the last of a question answers it."""

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

    def duck(self) -> None:
        """Play the reply softly: somebody may be interrupting (only where the daemon decides that)."""
        ...

    def swell(self) -> None:
        """Play it as before."""
        ...

    @property
    def wants_partials(self) -> bool:
        """Whether `heard_so_far` is of use."""
        ...

    def heard_so_far(self, text: str) -> None:
        """`text`, to be appended to what came before in this turn, is certain although speech goes on."""
        ...


class Conversation:
    """One conversation with one peer.

    Args:
        engines: what hears, thinks and speaks.
        judge: a voice activity model of this conversation's own; it keeps state.
        memory: what was said before, None for a peer that only wants transcripts.
        place: where it is held, and what skills can do there.
        interrupts: speech over a reply stops it: the peer cancels its echo and does not decide that itself.
        heir: takes what was drafted for a turn that somebody else answers, once it is over: here only the transcript
            is wanted.
        recorder: keeps a record of each turn; None: nobody asks for one.
        gap_s: while a turn is heard, time goes on without audio after so long.
    """

    def __init__(
        self,
        engines: Engines,
        settings: Settings,
        peer: Peer,
        judge: Judge,
        memory: Recollection | None,
        *,
        voice: str | None = None,
        place: skills.Place = skills.NOWHERE,
        interrupts: bool = False,
        heir: Callable[[Draft], None] | None = None,
        recorder: Recorder | None = None,
        gap_s: float = GAP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._heir = heir
        self._gap_s = gap_s
        self._recorder = recorder
        self._answers, self._interrupts, self._resumes = True, interrupts, True
        self._drafts = Drafts(engines, settings, voice, place)
        self._tasks = Tasks(self._failed)
        self._moment = OneMoment(engines.synthesizer, peer, self._tasks.start)
        self._settings = settings
        self._peer = peer
        self._memory = memory
        self._clock = clock
        self._policy = self._policy_of(settings)
        self._state = turns.State()
        self._listening = Listening(judge, clock)
        self._draft: Draft | None = None
        self._judges = Judges(engines, self._judged, clock)
        self._parked = Shelf(PARKED_S)
        self._stopped = Shelf(STOPPED_S, longer=lambda: self._state.joined)
        self._begun, self._wasted_s = 0, 0.0
        """Drafts of the turn that goes on, and what of their time was for nothing."""
        self._prefilling = Token(urgency=Urgency.MEANWHILE)
        self._agreement = Agreement()
        self._partial: Token | None = None
        self._partial_at = 0
        self._remembered: int | None = None
        """The revision whose turn was written into memory last."""
        self._timer: asyncio.TimerHandle | None = None
        self._adopted: Settings | None = None
        self.manner = HOUSE
        """How replies are made from the next draft on."""
        self._asked: Manner | None = None
        """How the reply is made that was asked for last."""
        self._audio_at = clock()
        self.language = settings.language
        self.hints = tuple(settings.stt.hints)

    @property
    def phase(self) -> turns.Phase:
        """Where the turn stands."""
        return self._state.phase

    @property
    def listens(self) -> bool:
        """Whether a stream is open: what is heard is not ignored."""
        return self._state.open

    @property
    def resting(self) -> bool:
        """It listens, nothing is being said or done, and the room is quiet: what comes may come a moment late."""
        return self._state.phase is turns.Phase.LISTENING and not self._state.joined and self._listening.resting

    @property
    def agreed(self) -> Agreement:
        """What `heard_so_far` has told of this turn."""
        return self._agreement

    @property
    def writing(self) -> Written | None:
        """The reply that is being written or spoken, as it is written."""
        reply = self._draft.reply if self._draft is not None else None
        return reply.written if reply is not None else None

    @property
    def draft(self) -> Draft | None:
        """What is being prepared, or was committed and is being spoken."""
        return self._draft

    @property
    def now_ms(self) -> int:
        """The session's time, by which `Peer` is told when speech began and paused."""
        return self._listening.now * 1000 // RATE

    def open(self, language: str | None = None, *, by_voice: bool = False) -> None:
        """A stream of microphone audio begins; `by_voice` when speech over, or soon after, a reply began it."""
        self._follow()
        self.language = language or self._settings.language
        self._apply(turns.Opened(self._now(), by_voice))
        self._listening.open(go_on=self._state.joined)
        self._agreement, self._partial_at = Agreement(), 0
        self._audio_at = self._clock()

    def adopt(self, settings: Settings) -> None:
        """Follow other settings from the next turn on."""
        self._adopted = settings

    def behave(self, *, answers: bool, interrupts: bool, resumes: bool) -> None:
        """From the next turn on, answer turns or only transcribe them; let speech stop a reply; let one go on again."""
        self._answers, self._interrupts, self._resumes = answers, interrupts, resumes
        self._adopted = self._adopted or self._settings

    def _follow(self) -> None:
        settings, self._adopted = self._adopted, None
        if settings is not None:
            self._settings = settings
            self._drafts.settings = settings
            self._policy = self._policy_of(settings)
            self.hints = tuple(settings.stt.hints)

    def _policy_of(self, settings: Settings) -> turns.Policy:
        prepares = self._heir is not None
        answers = self._answers and self._memory is not None and not prepares
        policy = policy_of(settings, answers=answers, prepares=prepares)
        return replace(policy, interrupts=self._interrupts, resumes=self._resumes)

    def hear(self, samples: Samples) -> None:
        """Audio of the stream: mono, 16 kHz. Ignored while no stream is open."""
        if not self._state.open:
            return
        self._audio_at = self._clock()
        for event in self._listening.feed(samples):
            listening = self._state.phase is turns.Phase.LISTENING
            self._apply(_turn_event(event))
            if listening and isinstance(event, SpeechBegan):
                self._prefill()
            at_ms = event.at * 1000 // RATE
            if isinstance(event, SpeechBegan):
                self._peer.speech_began(at_ms)
            else:
                drafts = self._policy.judged and self._policy.speculate != "off"
                if drafts and self._state.phase is turns.Phase.PAUSED:
                    self._judges.listen(self._listening.utterance(self._state.began, event.at), self.language)
                self._peer.speech_paused(at_ms)
        self._fire_deadline()
        fresh = self._state.phase is turns.Phase.LISTENING and not self._state.joined
        self._listening.keep_from(None if fresh else self._state.began)
        if self._peer.wants_partials and self._state.phase is turns.Phase.HEARING:
            self._hear_meanwhile()

    def end(self) -> None:
        """The stream is over: what came is all there is."""
        self._apply(turns.Ended(self._listening.now))

    def typed(self, text: str) -> None:
        """The user wrote `text` instead of saying it."""
        self._follow()
        self._apply(turns.Stop(self._now()))
        self._apply(turns.Typed(self._now(), text))

    def answer(self, manner: Manner, text: str = "") -> None:
        """Reply although nobody said anything. Ignored while a turn is heard or a reply is spoken.

        Args:
            text: what was said last, for the skills.
        """
        self._follow()
        self._asked = manner
        self._apply(turns.Asked(self._now(), text))
        self._asked = None

    def renew(self) -> None:
        """What replies are made of has changed: one that nobody waits for yet is made anew."""
        self._parked.drop()
        draft = self._draft
        if self._state.phase is turns.Phase.PAUSED and draft is not None and draft.reply is not None:
            draft.begin_anew()
            self._respond(draft.revision, draft.text)

    def stop(self, heard_ms: int | None = None) -> None:
        """Silence: the reply, or the turn that is being heard, is given up."""
        self._apply(turns.Stop(self._now(), heard_ms))

    def played(self, heard_ms: int | None = None) -> None:
        """The peer has played the reply, all of it or `heard_ms`."""
        reply = self._draft.reply if self._draft is not None else None
        if heard_ms is not None and reply is not None and reply.heard_out(heard_ms):
            heard_ms = None
        self._apply(turns.Played(self._now(), heard_ms))

    def heard(self, ms: int) -> None:
        """The peer has played so much of the reply, which goes on: its time counts accordingly."""
        if self._state.phase in (turns.Phase.SPEAKING, turns.Phase.OVERLAP):
            self._apply(turns.ReplyBegan(self._now() - ms * RATE // 1000, self._state.revision))

    async def close(self) -> None:
        """The peer left: all work is revoked, nothing more is told to it."""
        if self._timer is not None:
            self._timer.cancel()
        FLOOR.note(self, speaks=False)
        self._give_up()
        self._stop_partial()
        self._prefilling.revoke()
        self._parked.drop()
        self._stopped.drop()
        await self._judges.close()
        await self._tasks.close()

    # What the machine says is done.

    def _apply(self, event: turns.Event) -> None:
        before = self._state.phase
        self._state, actions = step(self._policy, self._state, event)
        if self._state.phase is not before:
            log.debug("turn", phase=self._state.phase.value, by=type(event).__name__, revision=self._state.revision)
            FLOOR.note(self, speaks=self._state.phase in (turns.Phase.HEARING, turns.Phase.PAUSED))
        fresh = before is turns.Phase.OVERLAP or (before is turns.Phase.LISTENING and not self._state.joined)
        if fresh and self._state.phase is turns.Phase.HEARING:
            self._agreement, self._partial_at = Agreement(), 0
        for action in actions:
            self._do(action)
        waits = self._state.phase is turns.Phase.LISTENING and not self._state.joined
        if waits or self._state.phase is turns.Phase.IDLE:  # what came to nothing is none of the next turn's
            self._begun, self._wasted_s = 0, 0.0
        if self._state.phase is turns.Phase.THINKING and self._draft is not None:
            self._draft.token.hurry()
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
            case turns.Discard() if self._state.phase is turns.Phase.HEARING:
                self._park()
            case turns.Discard():
                self._give_up()
            case turns.Withdraw():
                self._withdraw(action.revision)
            case turns.Undo():
                self._undo(action.revision)
            case turns.StopSpeaking():
                self._peer.stop_speaking()
            case turns.Duck():
                self._peer.duck()
            case turns.Swell():
                self._peer.swell()
            case turns.Resume():
                self._resume(action)
            case turns.Remember():
                self._remember(action.heard_ms)
            case turns.AskTurnModel():
                if self._draft is not None:
                    self._tasks.start(self._judges.ask_sound(self._draft))

    def _prefill(self) -> None:
        """Speech begins: there is time until it ends."""
        if self._memory is not None and self._policy.speculate in ("reply", "speech"):
            self._prefilling.revoke()
            self._prefilling = Token(self._state.revision, urgency=Urgency.MEANWHILE)
            self._prefilling.conversation = self._memory.name
            self._tasks.start(self._drafts.prefill(self._prefilling, self._memory, self.language, self.manner))

    def _transcribe(self, revision: int) -> None:
        self._give_up()
        self._stop_partial()
        trace = Trace(self._clock)
        ended = self._state.paused or self._listening.now
        trace.mark("speech_end", ago_s=max(0, self._listening.now - ended) / RATE)
        trace.mark("soft_end")
        trace.revision = revision
        trace.heard_ms = (ended - self._state.began) * 1000 // RATE
        self._begun += 1
        self._draft = Draft(revision, trace)
        if self._memory is not None:
            self._draft.belong_to(self._memory)
        self._draft.speech_s = (ended - self._state.began) / RATE
        utterance = self._listening.utterance(self._state.began, ended)
        self._tasks.start(self._hear_all(self._draft, utterance))

    async def _hear_all(self, draft: Draft, utterance: Samples) -> None:
        heard = await self._drafts.hear(draft, utterance, self.language, self.hints)
        if heard is None:
            if draft.error is not None:
                self._apply(turns.Failed(self._now(), draft.revision))
            return
        draft.heard = heard
        text, filler = self._judge_words(heard.text)
        undecided = self._state.phase is turns.Phase.PAUSED and self._state.revision == draft.revision
        if text and undecided and self._policy.judged and not filler:
            memory = self._memory or new_memory(self._settings, self.language)
            await self._judges.ask_words(draft, memory.messages(text))
        self._apply(turns.Transcribed(self._now(), draft.revision, text, filler))
        self._judges.tell(draft)

    def _judge_words(self, text: str) -> tuple[str, bool]:
        """Return the words of the turn among those that were heard, and whether they are none beside what they stopped.

        Who goes on with the turn before is heard from its beginning; a "stop" goes on with nothing.
        """
        stopped = self._stopped.look() if self._state.stopped is not None else None
        if stopped is None or stopped.reply is None or not text:
            return text, False
        fresh = text
        if self._state.joined:
            words, before = text.split(), stopped.text.split()
            if not _same(" ".join(words[: len(before)]), stopped.text):
                return text, False
            fresh = " ".join(words[len(before) :])
            alone = skills.match(fresh, self.language) if fresh and self.manner.skills else None
            if alone is not None and not alone.text:
                return fresh, False
        heard_ms = self._state.stopped.heard_ms if self._state.stopped is not None else 0
        reply, ending = stopped.reply, stopped.reply.left_ms(heard_ms) <= ANSWERED_MS
        return text, is_filler(fresh, self.language, reply.text, reply.heard_text(heard_ms), ending=ending)

    def _judged(self, draft: Draft, likely: float) -> None:
        self._apply(turns.TurnJudged(self._now(), draft.revision, likely))

    def _respond(self, revision: int, text: str) -> None:
        draft = self._draft
        asked, self._asked = self._asked, None
        if draft is None or draft.revision != revision:  # typed or asked for: there was nothing to hear
            draft = self._draft = Draft(revision, Trace(self._clock))
            draft.trace.mark("speech_end")
            draft.trace.revision = revision
            draft.language = self.language
            draft.typed = asked is None
        assert self._memory is not None
        if asked is None and self._unpark(draft, text):
            return
        read = self._heir is not None
        told = Nobody() if read else self._told(draft)
        manner = asked or self.manner
        self._drafts.answer(draft, text, self._memory, self.language, told, read=read, manner=manner)
        assert draft.reply is not None
        draft.running = self._tasks.start(draft.reply.run())

    def _park(self) -> None:
        """The speaker goes on: keep the draft for a moment, in case they say nothing more."""
        draft, self._draft = self._draft, None
        if draft is None:
            return
        draft.wasted_s = time.monotonic() - draft.began
        self._wasted_s += draft.wasted_s
        if draft.reply is not None and not draft.reply.failed:
            draft.token.rest()
            self._parked.put(draft)
        else:
            draft.token.revoke()

    def _unpark(self, draft: Draft, text: str) -> bool:
        """Let the parked reply answer this draft if it was written to the same words; return whether it does."""
        parked = self._parked.look()
        if parked is None or parked.reply is None or parked.reply.failed or not _same(parked.text, text):
            self._parked.drop()
            return False
        self._parked.take()
        draft.token.revoke()
        self._wasted_s -= parked.wasted_s
        parked.renew(draft)
        parked.token.go_on()
        self._draft = parked
        return True

    def _withdraw(self, revision: int) -> None:
        """The turn goes on: its reply, and what memory has of it, are taken back."""
        if self._draft is not None and self._draft.revision == revision:
            acted = bool(self._draft.undo)
            self._draft.withdraw()
            if self._draft.reply is not None:
                self._draft.reply.pause()
                self._draft.reply.wind_back()
            if acted:  # its reply tells of what is undone now
                self._give_up()
            else:
                self._draft.hold()
                self._park()
        if self._remembered == revision and self._memory is not None:
            self._memory.withdraw()
            self._remembered = None

    def _undo(self, revision: int) -> None:
        """Take back what the turn did whose stopped reply is kept: its speaker does go on."""
        stopped = self._stopped.look()
        if stopped is not None and stopped.revision == revision:
            stopped.withdraw()

    def _resume(self, action: turns.Resume) -> None:
        """Let the stopped reply go on from where it was heard."""
        self._give_up()
        stopped = self._stopped.take()
        if stopped is None or stopped.reply is None or stopped.revision != action.of:
            self._apply(turns.ReplyEnded(self._now(), action.revision, 0))
            self._peer.nothing_heard()
            return
        self._withdraw(action.of)
        if stopped.turn is not None:
            stopped.turn.resume(stopped.trace)
        stopped.revision, self._draft = action.revision, stopped
        log.debug("the reply goes on", heard=spoken(action.text), from_ms=action.heard_ms)
        self._peer.turn_over(action.text, stopped.language)
        stopped.go_on()
        stopped.reply.wind_back(action.heard_ms)
        stopped.reply.release()

    def _commit(self, action: turns.Commit) -> None:
        draft = self._draft
        assert draft is not None
        self._stopped.drop()
        self._parked.drop()
        draft.trace.mark("turn_end")
        self._count(draft, answered=self._policy.answers or not action.said)
        self._record(draft, action.text if action.said else "", typed=draft.heard is None)
        if action.said:
            self._peer.turn_over(action.text, draft.language)
            if draft.turn is not None and not self._policy.answers:
                draft.turn.end(Outcome.ANSWERED)
        if self._heir is not None:
            self._draft = None
            if draft.running is not None:
                self._tasks.hand_over(draft.running)
            self._heir(draft)
            return
        draft.commit()
        if draft.reply is not None:
            draft.reply.release()
            self._moment.watch(draft, self._settings)

    def _count(self, draft: Draft, *, answered: bool) -> None:
        """The turn is over: it has the drafts that were made since it began."""
        draft.counted = answered
        if answered:
            metrics.turn_began(self._begun, self._wasted_s)
        draft.trace.drafts, draft.trace.wasted_ms = self._begun, round(self._wasted_s * 1000)
        self._begun, self._wasted_s = 0, 0.0

    def _record(self, draft: Draft, said: str, *, typed: bool = False) -> None:
        """The turn is over: keep it with the last ones."""
        if self._recorder is not None:
            draft.turn = self._recorder.began(draft.trace, typed=typed, said=said)

    def _apologise(self) -> None:
        draft = self._draft
        assert draft is not None
        error = draft.error or EngineError("stt", "hearing failed")
        self._count(draft, answered=self._policy.answers)
        if not self._policy.answers:
            self._record(draft, "")
            draft.was_heard()
            self._peer.failed(error)
            return
        apology = self._draft = Draft(draft.revision, draft.trace)
        apology.counted = draft.counted
        apology.trace.mark("turn_end")
        self._record(apology, "")
        reply = self._drafts.apologise(apology, self.language, self._told(apology))
        self._peer.turn_over("", self.language)
        reply.release()
        self._tasks.start(reply.run())

    def _remember(self, heard_ms: int | None) -> None:
        draft = self._draft
        if draft is None or draft.reply is None or self._memory is None:  # it was still being heard
            self._give_up()
            return
        self._draft = None
        log.debug("said", text=spoken(draft.reply.text), heard_ms=heard_ms)
        if draft.answer and draft.answer.starts_over:
            self._memory.forget()
        keeps = not draft.reply.failed and (draft.answer is None or draft.answer.remembered)
        if heard_ms == turns.ESTIMATE:
            heard_ms = max(0, self._now() - self._state.reply_began) * 1000 // RATE
        whole = draft.reply.text
        heard = whole if heard_ms is None else draft.reply.heard_text(heard_ms)
        draft.was_heard(None if heard_ms is None or draft.reply.heard_out(heard_ms) else draft.reply.at_ms(heard_ms))
        if keeps:
            shortened = self._memory.remember(draft.text, heard, interrupted=heard != whole, whole=whole)
            self._remembered = draft.revision
            if shortened:  # there is more time to read what is left now than when the next turn begins
                self._prefill()
        if self._state.stopped is not None and self._state.stopped.revision == draft.revision:
            draft.hold()
            draft.reply.pause()
            self._stopped.put(draft)
        else:
            draft.token.revoke()

    # Transcripts while speech goes on.

    def _hear_meanwhile(self) -> None:
        """Hear the turn so far, once a second of speech or less often, if nothing else is being heard."""
        since = max(self._state.began, self._partial_at)
        if self._partial is not None or self._listening.now - since < FLOOR.every_s(self) * RATE:
            return
        self._partial_at = self._listening.now
        self._partial = Token(self._state.revision, urgency=Urgency.MEANWHILE)
        self._tasks.start(self._hear_partial(self._partial, self._listening.utterance(self._state.began)))

    async def _hear_partial(self, token: Token, utterance: Samples) -> None:
        heard = await self._drafts.glance(token, utterance, self.language, self.hints)
        if token is not self._partial:
            return
        self._partial = None
        fresh = self._agreement.add(heard.text) if heard is not None else ""
        if fresh:
            self._peer.heard_so_far(fresh)

    def _stop_partial(self) -> None:
        if self._partial is not None:
            self._partial.revoke()
            self._partial = None

    def _give_up(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.give_up()

    # Time.

    def _now(self) -> int:
        """Bring the session's time up to date, if no audio has done so, and return it."""
        silent_s = self._clock() - self._audio_at
        gap_s = self._gap_s if self._state.phase in HEARD else GAP_S
        if silent_s > gap_s or not self._state.open:
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
            if waits and self._rises():
                return
            before = self._state
            self._apply(turns.Deadline(self._listening.now))
            if self._state == before:
                return

    def _rises(self) -> bool:
        """Return whether speech may be beginning as a silence ends."""
        late = self._listening.now - (self._state.deadline or 0)
        return self._state.open and self._listening.rising and late < RISING_S * RATE

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
        return Told(self._peer, draft, lambda make: self._apply(make(self._now())), self._clock)

    def _failed(self, error: BaseException) -> None:
        log.error("a turn failed for a reason of ours", exc_info=error)
        why = "the turn failed for a reason of ours; the log says which"
        if self._draft is not None:
            self._draft.trace.failed(why)
        self.stop()
        self._peer.failed(EngineError("llm", why))


def policy_of(settings: Settings, *, answers: bool, prepares: bool = False) -> turns.Policy:
    """Return the machine's policy from the settings."""
    turn = settings.turn

    def samples(ms: float) -> int:
        return round(ms * RATE / 1000)

    sure = turn.languages.get(settings.language)
    return turns.Policy(
        soft_end=samples(turn.soft_end_ms),
        likely_silence=samples(turn.likely_ms),
        unknown_silence=samples(turn.unknown_ms),
        longest_silence=samples(turn.silence_ms),
        likely=sure.likely if sure else turn.likely,
        unlikely=sure.unlikely if sure else turn.unlikely,
        longest=samples(turn.longest_s * 1000),
        no_speech=samples(turn.no_speech_s * 1000),
        speculate=turn.speculate,
        answers=answers,
        prepares=prepares,
    )


def _same(one: str, other: str) -> bool:
    """Return whether two transcripts have the same words."""
    return [bare(word) for word in one.split()] == [bare(word) for word in other.split()]


def _turn_event(event: SpeechBegan | SpeechPaused) -> turns.Event:
    return turns.SpeechBegan(event.at) if isinstance(event, SpeechBegan) else turns.SpeechPaused(event.at)
