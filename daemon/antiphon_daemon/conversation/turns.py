"""When a turn begins, pauses, ends and is interrupted: one pure function, one table.

`step(policy, state, event) -> (state, actions)`. No await, no I/O, no model, no clock: time is session samples
(16 kHz), stamped on every event by the driver, which also fires `Deadline` when `state.deadline` has come.

      speech ────────────┤ silence ─────────────┤
                         ^ soft end              ^ the turn is over
      HEARING ───────────┤ PAUSED ───────────────┤ THINKING ──┤ SPEAKING ──┤ IDLE
                           draft, revision n ────┴ Commit(n)
                           … or Discard(n) when speech resumes: HEARING, and the next draft is n+1

A draft is what may be done before the turn is over: `Transcribe`, then `Respond`. Nothing of it is heard, remembered or
acted on before `Commit`. One revision number decides what is stale: an event that carries another than the state's is
ignored.

| phase     | event        | next      | actions                                                           |
| --------- | ------------ | --------- | ----------------------------------------------------------------- |
| IDLE      | Opened       | LISTENING | deadline: nobody speaks                                           |
| IDLE      | Typed        | THINKING  | Respond, Commit                                                   |
| LISTENING | SpeechBegan  | HEARING   | deadline: longest turn                                            |
| LISTENING | Ended        | IDLE      | NothingHeard                                                      |
| LISTENING | Deadline     | IDLE      | NothingHeard                                                      |
| LISTENING | Typed        | THINKING  | Respond, Commit                                                   |
| HEARING   | SpeechPaused | PAUSED    | deadline: soft end                                                |
| HEARING   | Ended        | THINKING  | Transcribe                                                        |
| HEARING   | Deadline     | THINKING  | Transcribe (the longest turn)                                     |
| PAUSED    | SpeechBegan  | HEARING   | Discard the draft                                                 |
| PAUSED    | Deadline     | PAUSED    | Transcribe, AskTurnModel (the soft end)                           |
| PAUSED    | Deadline     | THINKING  | (the end) Commit if heard; if nothing was: LISTENING              |
| PAUSED    | Ended        | THINKING  | as at the end                                                     |
| PAUSED    | Transcribed  | PAUSED    | Respond, if drafts may go that far                                |
| PAUSED    | TurnJudged   | PAUSED    | the end comes sooner when the turn is likely over                 |
| PAUSED    | Failed       | PAUSED    | the draft is dropped; at the end it is heard once more            |
| THINKING  | Transcribed  | THINKING  | Respond, Commit; if nothing was heard: IDLE, NothingHeard         |
| THINKING  | Failed       | THINKING  | Apologise (a reply like any other, but not remembered)            |
| THINKING  | ReplyBegan   | SPEAKING  |                                                                   |
| THINKING  | ReplyEnded   | IDLE      | Remember (a reply without sound)                                  |
| THINKING  | SpeechBegan  | HEARING   | Withdraw, if the stream is open: the user goes on, one utterance  |
| SPEAKING  | ReplyEnded   | SPEAKING  | deadline: the reply has been played                               |
| SPEAKING  | Played       | IDLE      | Remember what was heard                                           |
| SPEAKING  | Deadline     | IDLE      | Remember all                                                      |
| SPEAKING  | SpeechBegan  | HEARING   | StopSpeaking, Remember what was heard, if the policy interrupts   |
| SPEAKING  | Opened       | LISTENING | StopSpeaking, Remember what was heard (the satellite interrupted) |
| THINKING  | Opened       | LISTENING | Withdraw                                                          |
| any other | Opened       | LISTENING | Discard                                                           |
| any       | Stop         | IDLE      | StopSpeaking or Discard; Remember what was heard                  |

What is not in the table changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal, TypeAlias

RATE = 16_000
PLAYED_SLACK = 3 * RATE
"""After a reply should have been played, its `Played` is waited for this long."""


class Phase(Enum):
    """Where a turn stands."""

    IDLE = "idle"
    LISTENING = "listening"
    HEARING = "hearing"
    PAUSED = "paused"
    THINKING = "thinking"
    SPEAKING = "speaking"


@dataclass(frozen=True)
class Policy:
    """When a turn ends. Durations are in samples."""

    soft_end: int = RATE // 5
    """Silence that begins a draft."""
    silence: int = RATE * 6 // 10
    """Silence that ends a turn."""
    likely_silence: int = RATE * 6 // 10
    """Silence that ends a turn which the end-of-turn model believes over."""
    likely: float = 0.5
    """Probability from which it is believed over."""
    longest: int = RATE * 60
    no_speech: int = RATE * 8
    speculate: Literal["off", "transcript", "reply", "speech"] = "speech"
    interrupts: bool = False
    """Speech over a reply interrupts it here: for peers that cancel echo and cannot decide themselves."""
    answers: bool = True
    """False: a turn is over when it is transcribed (speech to text for other people's pipelines)."""


@dataclass(frozen=True)
class State:
    """All that is known of a session's turn."""

    phase: Phase = Phase.IDLE
    revision: int = 0
    """The draft or response that counts; rises with each."""
    drafted: bool = False
    """A draft of this revision was begun."""
    text: str | None = None
    """What it heard; None until it is known."""
    responding: bool = False
    open: bool = False
    """Microphone audio is coming."""
    began: int = 0
    """Where the turn's speech began."""
    paused: int = 0
    """Where it fell silent last."""
    reply_began: int = 0
    deadline: int | None = None
    """When the driver fires `Deadline`."""


@dataclass(frozen=True)
class Opened:
    """A stream of microphone audio began."""

    at: int


@dataclass(frozen=True)
class SpeechBegan:
    at: int


@dataclass(frozen=True)
class SpeechPaused:
    """Speech fell silent at `at`, a little while ago."""

    at: int


@dataclass(frozen=True)
class Ended:
    """The stream ended: what came is all there is."""

    at: int


@dataclass(frozen=True)
class TurnJudged:
    """The end-of-turn model's probability that the turn is over."""

    at: int
    revision: int
    probability: float


@dataclass(frozen=True)
class Transcribed:
    at: int
    revision: int
    text: str


@dataclass(frozen=True)
class ReplyBegan:
    """The first sound of the committed reply went out."""

    at: int
    revision: int


@dataclass(frozen=True)
class ReplyEnded:
    """The last sound of the reply went out; all of it lasts `samples`."""

    at: int
    revision: int
    samples: int


@dataclass(frozen=True)
class Played:
    """The peer has played the reply, or stopped it after `heard_ms`."""

    at: int
    heard_ms: int | None = None


@dataclass(frozen=True)
class Typed:
    at: int
    text: str


@dataclass(frozen=True)
class Stop:
    """The user or the peer wants silence; `heard_ms` of the reply were heard, if known."""

    at: int
    heard_ms: int | None = None


@dataclass(frozen=True)
class Failed:
    """This hearing of the turn failed: there is no text to answer."""

    at: int
    revision: int


@dataclass(frozen=True)
class Deadline:
    at: int


Event: TypeAlias = (
    Opened
    | SpeechBegan
    | SpeechPaused
    | Ended
    | TurnJudged
    | Transcribed
    | ReplyBegan
    | ReplyEnded
    | Played
    | Typed
    | Stop
    | Failed
    | Deadline
)


@dataclass(frozen=True)
class Transcribe:
    """Hear the turn so far."""

    revision: int


@dataclass(frozen=True)
class AskTurnModel:
    revision: int


@dataclass(frozen=True)
class Respond:
    """Write and speak the reply to `text`, silently until `Commit`."""

    revision: int
    text: str


@dataclass(frozen=True)
class Commit:
    """The turn is over: `text` was said, and its reply may be heard."""

    revision: int
    text: str


@dataclass(frozen=True)
class Discard:
    """Nothing of this draft is wanted any more; no trace of it stays."""

    revision: int


@dataclass(frozen=True)
class Withdraw:
    """A committed reply that nobody heard is taken back; the turn goes on."""

    revision: int


@dataclass(frozen=True)
class StopSpeaking:
    revision: int


@dataclass(frozen=True)
class Remember:
    """Write the turn into memory: all of the reply, or what was heard of it in `heard_ms`, or (-1) as estimated."""

    revision: int
    heard_ms: int | None = None


@dataclass(frozen=True)
class NothingHeard:
    """The stream held nothing to answer."""


@dataclass(frozen=True)
class Apologise:
    """Say that hearing failed (or, to a pipeline of others, send the error)."""

    revision: int


Action: TypeAlias = (
    Transcribe
    | AskTurnModel
    | Respond
    | Commit
    | Discard
    | Withdraw
    | StopSpeaking
    | Remember
    | NothingHeard
    | Apologise
)
Step: TypeAlias = tuple[State, tuple[Action, ...]]

ESTIMATE = -1
"""`heard_ms` of a reply whose listener does not tell how far it was played."""


def step(policy: Policy, state: State, event: Event) -> Step:
    """Return the state after `event` and what is to be done now, in order."""
    revision = getattr(event, "revision", state.revision)
    if revision != state.revision:
        return state, ()
    match event:
        case Opened():
            return _open(policy, state, event)
        case Stop():
            return _stop(state, event)
        case Typed() if state.phase in (Phase.IDLE, Phase.LISTENING) and event.text.strip():
            return _answer(policy, _next(state), event.text.strip())
    match state.phase:
        case Phase.LISTENING:
            return _listening(policy, state, event)
        case Phase.HEARING:
            return _hearing(policy, state, event)
        case Phase.PAUSED:
            return _paused(policy, state, event)
        case Phase.THINKING:
            return _thinking(policy, state, event)
        case Phase.SPEAKING:
            return _speaking(policy, state, event)
    return state, ()


def _open(policy: Policy, state: State, event: Opened) -> Step:
    actions: tuple[Action, ...] = ()
    match state.phase:
        case Phase.SPEAKING:
            actions = (StopSpeaking(state.revision), Remember(state.revision, ESTIMATE))
        case Phase.THINKING:
            actions = (Withdraw(state.revision),)
        case Phase.PAUSED | Phase.HEARING:
            actions = _discard(state)
    return _listen(policy, state, event.at), actions


def _stop(state: State, event: Stop) -> Step:
    heard = ESTIMATE if event.heard_ms is None else event.heard_ms
    match state.phase:
        case Phase.SPEAKING:
            return _idle(state), (StopSpeaking(state.revision), Remember(state.revision, heard))
        case Phase.THINKING:
            return _idle(state), (StopSpeaking(state.revision), Remember(state.revision, 0))
        case Phase.IDLE:
            return state, ()
    return _idle(state), _discard(state)


def _listening(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case SpeechBegan():
            state = replace(state, phase=Phase.HEARING, began=event.at, deadline=event.at + policy.longest)
            return state, ()
        case Ended() | Deadline():
            return _idle(state), (NothingHeard(),)
    return state, ()


def _hearing(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case SpeechPaused():
            deadline = event.at + (policy.soft_end if policy.speculate != "off" else policy.silence)
            return replace(state, phase=Phase.PAUSED, paused=event.at, deadline=deadline), ()
        case Ended() | Deadline():
            return _transcribe(replace(state, paused=event.at), still_open=False)
    return state, ()


def _paused(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case SpeechBegan():
            longest = state.began + policy.longest
            state, discarded = replace(state, phase=Phase.HEARING, deadline=longest), _discard(state)
            return replace(_next(state), open=True), discarded
        case Deadline() if event.at < state.paused + policy.silence and not state.drafted:
            state = replace(_next(state), drafted=True, deadline=state.paused + policy.silence)
            return state, (Transcribe(state.revision), AskTurnModel(state.revision))
        case Deadline() | Ended():
            return _end(policy, replace(state, open=isinstance(event, Deadline)))
        case Transcribed():
            state = replace(state, text=event.text)
            if event.text and policy.answers and policy.speculate in ("reply", "speech"):
                return replace(state, responding=True), (Respond(state.revision, event.text),)
        case Failed():
            return replace(_next(state), deadline=state.paused + policy.silence), ()
        case TurnJudged() if event.probability >= policy.likely:
            sooner = max(event.at, state.paused + policy.likely_silence)
            return replace(state, deadline=min(sooner, state.deadline or sooner)), ()
    return state, ()


def _end(policy: Policy, state: State) -> Step:
    """The silence has lasted: what was drafted counts, or is waited for, or is begun now."""
    if not state.drafted:
        return _transcribe(state, still_open=state.open)
    if state.text is None:
        return replace(state, phase=Phase.THINKING, deadline=None), ()
    if state.text:
        return _answer(policy, state, state.text)
    if state.open:  # a cough: go on listening
        return _listen(policy, state, state.paused + policy.silence), ()
    return _idle(state), (NothingHeard(),)


def _thinking(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case Transcribed() if event.text:
            return _answer(policy, replace(state, text=event.text), event.text)
        case Transcribed():
            return _idle(state), (NothingHeard(),)
        case Failed() if policy.answers:
            return state, (Apologise(state.revision),)
        case Failed():
            return _idle(state), (Apologise(state.revision),)
        case ReplyBegan():
            return replace(state, phase=Phase.SPEAKING, reply_began=event.at), ()
        case ReplyEnded():
            return _idle(state), (Remember(state.revision),)
        case SpeechBegan() if state.open:
            revision = state.revision
            longest = state.began + policy.longest
            state = replace(_next(state), phase=Phase.HEARING, deadline=longest)
            return state, (Withdraw(revision),)
    return state, ()


def _speaking(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case ReplyEnded():
            return replace(state, deadline=state.reply_began + event.samples + PLAYED_SLACK), ()
        case Played():
            return _idle(state), (Remember(state.revision, event.heard_ms),)
        case Deadline():
            return _idle(state), (Remember(state.revision),)
        case SpeechBegan() if policy.interrupts and state.open:
            actions = (StopSpeaking(state.revision), Remember(state.revision, ESTIMATE))
            state = replace(_next(state), phase=Phase.HEARING, began=event.at, deadline=event.at + policy.longest)
            return state, actions
    return state, ()


def _next(state: State) -> State:
    """The next revision, with nothing drafted yet."""
    return replace(state, revision=state.revision + 1, drafted=False, text=None, responding=False)


def _idle(state: State) -> State:
    return replace(_next(state), phase=Phase.IDLE, open=False, deadline=None)


def _listen(policy: Policy, state: State, at: int) -> State:
    return replace(_next(state), phase=Phase.LISTENING, open=True, began=at, deadline=at + policy.no_speech)


def _discard(state: State) -> tuple[Action, ...]:
    return (Discard(state.revision),) if state.drafted else ()


def _transcribe(state: State, *, still_open: bool) -> Step:
    state = replace(_next(state), phase=Phase.THINKING, drafted=True, open=still_open, deadline=None)
    return state, (Transcribe(state.revision),)


def _answer(policy: Policy, state: State, text: str) -> Step:
    """Commit to `text`; its reply is written now unless a draft already writes it."""
    commit = Commit(state.revision, text)
    if not policy.answers:
        return _idle(state), (commit,)
    respond = () if state.responding else (Respond(state.revision, text),)
    return replace(state, phase=Phase.THINKING, text=text, responding=True, deadline=None), (*respond, commit)
