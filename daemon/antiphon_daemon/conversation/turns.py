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

How long the silence must be is `Policy.hold`: short when the turn is believed over, long when it is not.

A reply that is stopped before its end is kept for a while (`State.stopped`). If the turn that stopped it turns out to
be none (a cough, an "mm", the reply's own echo), it goes on from where it stopped (`Resume`). If the speaker goes on
within a second of the end of their turn, they had not finished: the turn is withdrawn and its sound joined to theirs;
what it has done is taken back once there are words (`Undo`), for a cough takes nothing back.

| phase     | event        | next      | actions                                                           |
| --------- | ------------ | --------- | ----------------------------------------------------------------- |
| IDLE      | Opened       | LISTENING | deadline: nobody speaks                                           |
| IDLE      | Opened       | LISTENING | by voice, soon after a stopped reply: Withdraw, the turn goes on  |
| IDLE      | Typed        | THINKING  | Respond, Commit                                                   |
| IDLE      | Asked        | THINKING  | Respond, Commit (nothing was said)                                |
| LISTENING | SpeechBegan  | HEARING   | deadline: longest turn                                            |
| LISTENING | Ended        | IDLE      | NothingHeard; with a stopped reply: THINKING, Resume              |
| LISTENING | Deadline     | IDLE      | NothingHeard; with a stopped reply: THINKING, Resume              |
| LISTENING | Typed        | THINKING  | Respond, Commit                                                   |
| LISTENING | Asked        | THINKING  | Respond, Commit; the stream stays open where speech interrupts    |
| HEARING   | SpeechPaused | PAUSED    | deadline: soft end                                                |
| HEARING   | Ended        | THINKING  | Transcribe                                                        |
| HEARING   | Deadline     | THINKING  | Transcribe (the longest turn)                                     |
| PAUSED    | SpeechBegan  | HEARING   | Discard the draft                                                 |
| PAUSED    | Deadline     | PAUSED    | Transcribe, AskTurnModel (the soft end)                           |
| PAUSED    | Deadline     | THINKING  | (the end) Commit if heard; if nothing was: LISTENING, or Resume   |
| PAUSED    | Ended        | THINKING  | as at the end                                                     |
| PAUSED    | Transcribed  | PAUSED    | Respond, if drafts may go that far; deadline: nothing is judged   |
| PAUSED    | Transcribed  | PAUSED    | of a turn that goes on with one before: Undo, Respond             |
| PAUSED    | TurnJudged   | PAUSED    | deadline: sooner or later, as likely as the turn is over          |
| PAUSED    | Failed       | PAUSED    | the draft is dropped; at the end it is heard once more            |
| THINKING  | Transcribed  | THINKING  | Respond, Commit; a filler: Resume; nothing: IDLE, NothingHeard    |
| THINKING  | Failed       | THINKING  | Apologise (a reply like any other, but not remembered)            |
| THINKING  | ReplyBegan   | SPEAKING  |                                                                   |
| THINKING  | ReplyEnded   | IDLE      | Remember (a reply without sound)                                  |
| THINKING  | SpeechBegan  | HEARING   | Withdraw, if the stream is open: the user goes on, one utterance  |
| SPEAKING  | ReplyBegan   | SPEAKING  | (its time counts from here: the listener ran dry, or says so)     |
| SPEAKING  | ReplyEnded   | SPEAKING  | deadline: the reply has been played                               |
| SPEAKING  | Played       | IDLE      | Remember what was heard; stopped, unless that was all             |
| SPEAKING  | Deadline     | IDLE      | Remember all                                                      |
| SPEAKING  | SpeechBegan  | OVERLAP   | Duck, if the policy interrupts; deadline: the speech lasts        |
| SPEAKING  | Opened       | LISTENING | StopSpeaking, Remember what was heard (the satellite interrupted) |
| SPEAKING  | Opened       | SPEAKING  | of a reply to no sound (typed, resumed), if the policy interrupts |
| OVERLAP   | SpeechPaused | SPEAKING  | Swell                                                             |
| OVERLAP   | Deadline     | HEARING   | StopSpeaking, Remember what was heard; stopped                    |
| OVERLAP   | Deadline     | HEARING   | soon after the turn: Withdraw, too; the turn goes on              |
| OVERLAP   | Ended        | THINKING  | as at the deadline; Transcribe                                    |
| OVERLAP   | ReplyBegan   | OVERLAP   |                                                                   |
| OVERLAP   | ReplyEnded   | OVERLAP   |                                                                   |
| OVERLAP   | Played       | HEARING   | Remember what was heard                                           |
| OVERLAP   | Opened       | LISTENING | StopSpeaking, Remember what was heard                             |
| THINKING  | Opened       | LISTENING | Withdraw                                                          |
| any other | Opened       | LISTENING | Discard                                                           |
| any       | Stop         | IDLE      | StopSpeaking or Discard; Remember what was heard                  |

What is not in the table changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from antiphon_daemon.conversation.turn_types import (
    ESTIMATE,
    PLAYED_SLACK,
    RATE,
    Action,
    Apologise,
    Asked,
    AskTurnModel,
    Commit,
    Deadline,
    Discard,
    Duck,
    Ended,
    Event,
    Failed,
    NothingHeard,
    Opened,
    Phase,
    Played,
    Policy,
    Remember,
    ReplyBegan,
    ReplyEnded,
    Respond,
    Resume,
    SpeechBegan,
    SpeechPaused,
    State,
    Step,
    Stop,
    Stopped,
    StopSpeaking,
    Swell,
    Transcribe,
    Transcribed,
    TurnJudged,
    Typed,
    Undo,
    Withdraw,
)


def step(policy: Policy, state: State, event: Event) -> Step:
    """Return the state after `event` and what is to be done now, in order."""
    if getattr(event, "revision", state.revision) != state.revision:
        return state, ()
    match event:
        case Opened():
            return _open(policy, state, event)
        case Stop():
            return _stop(policy, state, event)
        case Typed() if state.phase in (Phase.IDLE, Phase.LISTENING) and event.text.strip():
            state = replace(_next(state), stopped=None, joined=False, began=event.at)
            return _answer(policy, state, event.text.strip(), event.at)
        case Asked() if state.phase in (Phase.IDLE, Phase.LISTENING):
            return _asked(policy, state, event)
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
        case Phase.OVERLAP:
            return _overlap(policy, state, event)
    return state, ()


def _open(policy: Policy, state: State, event: Opened) -> Step:
    if policy.interrupts and state.phase is Phase.SPEAKING and not state.open:
        # From now on speech can interrupt it; the stream alone does not. What was heard before is forgotten.
        return replace(state, open=True, began=event.at), ()
    actions: tuple[Action, ...] = ()
    match state.phase:
        case Phase.SPEAKING | Phase.OVERLAP:
            state = _stopped(policy, state, event.at, ESTIMATE)
            actions = (StopSpeaking(state.revision), Remember(state.revision, ESTIMATE))
        case Phase.THINKING:
            actions = (Withdraw(state.revision),)
        case Phase.PAUSED | Phase.HEARING:
            actions = _discard(state)
    stopped = state.stopped
    if stopped is None or not event.by_voice or event.at > stopped.at + policy.kept:
        return _listen(policy, replace(state, stopped=None), event.at), actions
    state = replace(_listen(policy, state, event.at), deadline=event.at + policy.no_speech_over)
    if _goes_on(policy, stopped, event.at):
        return replace(state, joined=True, began=stopped.began), (*actions, Withdraw(stopped.revision))
    return state, actions


def _stop(policy: Policy, state: State, event: Stop) -> Step:
    heard = ESTIMATE if event.heard_ms is None else event.heard_ms
    match state.phase:
        case Phase.SPEAKING | Phase.OVERLAP:
            stopped = _stopped(policy, state, event.at, heard)
            return _idle(stopped), (StopSpeaking(state.revision), Remember(state.revision, heard))
        case Phase.THINKING:
            stopped = _stopped(policy, state, event.at, 0)
            return _idle(stopped), (StopSpeaking(state.revision), Remember(state.revision, 0))
        case Phase.IDLE:
            return state, ()
    return _idle(state), _discard(state)


def _listening(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case SpeechBegan():
            began = state.began if state.joined else event.at
            return replace(state, phase=Phase.HEARING, began=began, deadline=event.at + policy.longest), ()
        case Ended() | Deadline():
            return _nothing(state, event.at)
    return state, ()


def _hearing(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case SpeechPaused():
            deadline = event.at + (policy.soft_end if policy.speculate != "off" else policy.unknown_silence)
            return replace(state, phase=Phase.PAUSED, paused=event.at, deadline=deadline), ()
        case Ended() | Deadline():
            return _transcribe(replace(state, paused=event.at), event.at, still_open=False)
    return state, ()


def _paused(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case SpeechBegan():
            longest = state.began + policy.longest
            state, discarded = replace(state, phase=Phase.HEARING, deadline=longest), _discard(state)
            return replace(_next(state), open=True), discarded
        case Deadline() if event.at < state.paused + policy.unknown_silence and not state.drafted:
            state = replace(_next(state), drafted=True, deadline=state.paused + policy.longest_silence)
            return state, (Transcribe(state.revision), AskTurnModel(state.revision))
        case Deadline() | Ended():
            return _end(policy, replace(state, open=isinstance(event, Deadline)), event.at)
        case Transcribed():
            deadline = max(event.at, state.paused + policy.unknown_silence)
            state = replace(state, text=event.text, filler=event.filler, deadline=deadline)
            if _is_none(state):
                return replace(state, deadline=max(event.at, state.paused + policy.likely_silence)), ()
            replies = (policy.answers or policy.prepares) and policy.speculate in ("reply", "speech")
            if event.text and replies:
                undo = _undo(state)
                state = replace(state, responding=True, stopped=None if undo else state.stopped)
                return state, (*undo, Respond(state.revision, event.text))
        case Failed():
            return replace(_next(state), deadline=state.paused + policy.unknown_silence), ()
        case TurnJudged():
            return replace(state, deadline=max(event.at, state.paused + policy.hold(event.probability))), ()
    return state, ()


def _end(policy: Policy, state: State, at: int) -> Step:
    """The silence has lasted: what was drafted counts, or is waited for, or is begun now."""
    if not state.drafted:
        return _transcribe(state, at, still_open=state.open)
    if state.text is None:
        return replace(state, phase=Phase.THINKING, committed=at, deadline=None), ()
    if _is_none(state):
        return _nothing(state, at)
    if state.text:
        return _answer(policy, state, state.text, at)
    if state.open:  # a cough: go on listening
        return _listen(policy, state, state.paused + policy.unknown_silence), ()
    return _nothing(state, at)


def _thinking(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case Transcribed():
            state = replace(state, text=event.text, filler=event.filler)
            if _is_none(state) or not event.text:
                return _nothing(state, event.at)
            return _answer(policy, state, event.text, event.at)
        case Failed() if policy.answers:
            return state, (Apologise(state.revision),)
        case Failed():
            return _idle(state), (Apologise(state.revision),)
        case ReplyBegan():
            return replace(state, phase=Phase.SPEAKING, reply_began=event.at, reply_until=None), ()
        case ReplyEnded():
            return _idle(state), (Remember(state.revision),)
        case SpeechBegan() if state.open:
            revision, longest = state.revision, state.began + policy.longest
            return replace(_next(state), phase=Phase.HEARING, deadline=longest), (Withdraw(revision),)
    return state, ()


def _speaking(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case ReplyBegan():
            return _counted_from(state, event.at), ()
        case ReplyEnded():
            until = state.reply_began + event.samples + PLAYED_SLACK
            return replace(state, reply_until=until, deadline=until), ()
        case Played():
            played = state if event.heard_ms is None else _stopped(policy, state, event.at, event.heard_ms)
            return _idle(played), (Remember(state.revision, event.heard_ms),)
        case Deadline():
            return _idle(state), (Remember(state.revision),)
        case SpeechBegan() if policy.interrupts and state.open:
            deadline = event.at + policy.lasting
            return replace(state, phase=Phase.OVERLAP, over=event.at, deadline=deadline), (Duck(),)
    return state, ()


def _overlap(policy: Policy, state: State, event: Event) -> Step:
    match event:
        case ReplyBegan():
            return _counted_from(state, event.at), ()
        case SpeechPaused():
            return replace(state, phase=Phase.SPEAKING, deadline=state.reply_until), (Swell(),)
        case ReplyEnded():
            return replace(state, reply_until=state.reply_began + event.samples + PLAYED_SLACK), ()
        case Played():
            return _hear_over(policy, state), (Remember(state.revision, event.heard_ms),)
        case Deadline():
            return _interrupted(policy, state, event.at)
        case Ended():
            state, actions = _interrupted(policy, state, event.at)
            state, heard = _hearing(policy, state, event)
            return state, (*actions, *heard)
    return state, ()


def _counted_from(state: State, at: int) -> State:
    """The reply's time counts from `at`; once all of it has gone out, its end is expected accordingly."""
    if state.reply_until is None:
        return replace(state, reply_began=at)
    until = state.reply_until + at - state.reply_began
    deadline = until if state.phase is Phase.SPEAKING else state.deadline
    return replace(state, reply_began=at, reply_until=until, deadline=deadline)


def _interrupted(policy: Policy, state: State, at: int) -> Step:
    """The speech over the reply is meant."""
    actions = (StopSpeaking(state.revision), Remember(state.revision, ESTIMATE))
    over, state = state.over, _stopped(policy, state, at, ESTIMATE)
    if state.stopped is not None and _goes_on(policy, state.stopped, over):
        began, revision = state.stopped.began, state.revision
        return _hear_over(policy, replace(state, over=began), joined=True), (*actions, Withdraw(revision))
    return _hear_over(policy, state), actions


def _goes_on(policy: Policy, stopped: Stopped, at: int) -> bool:
    """Return whether who speaks at `at`, over what was said, had not finished; who wrote had."""
    soon = at <= stopped.committed + policy.merge and stopped.heard_ms * RATE < policy.merge * 1000
    return soon and stopped.began < stopped.committed


def _hear_over(policy: Policy, state: State, *, joined: bool = False) -> State:
    """The speech over the reply is the next turn, or goes on with the one before."""
    began = state.over
    return replace(_next(state), phase=Phase.HEARING, began=began, joined=joined, deadline=began + policy.longest)


def _is_none(state: State) -> bool:
    """Return whether what was heard over a stopped reply is no turn."""
    return state.stopped is not None and (state.filler or state.text == "")


def _nothing(state: State, at: int) -> Step:
    """Nothing was said: a reply that was stopped for it goes on; else the stream is over."""
    stopped = state.stopped
    if stopped is None:
        return _idle(state), (NothingHeard(),)
    text = state.text or ""
    state = replace(_next(state), phase=Phase.THINKING, responding=True, open=False, joined=False, stopped=None)
    state = replace(state, began=stopped.began, committed=at, deadline=None)
    return state, (Resume(state.revision, stopped.revision, stopped.heard_ms, text),)


def _stopped(policy: Policy, state: State, at: int, heard_ms: int) -> State:
    """The reply is stopped; how far it was heard, where the listener does not tell, is what has passed since."""
    if not policy.resumes:
        return state
    if heard_ms == ESTIMATE:
        heard_ms = max(0, at - state.reply_began) * 1000 // RATE
    return replace(state, stopped=Stopped(state.revision, heard_ms, at, state.began, state.committed))


def _next(state: State) -> State:
    """The next revision, with nothing drafted yet."""
    return replace(state, revision=state.revision + 1, drafted=False, text=None, filler=False, responding=False)


def _idle(state: State) -> State:
    return replace(_next(state), phase=Phase.IDLE, open=False, joined=False, deadline=None)


def _listen(policy: Policy, state: State, at: int) -> State:
    deadline = at + policy.no_speech
    return replace(_next(state), phase=Phase.LISTENING, open=True, joined=False, began=at, deadline=deadline)


def _discard(state: State) -> tuple[Action, ...]:
    return (Discard(state.revision),) if state.drafted else ()


def _transcribe(state: State, at: int, *, still_open: bool) -> Step:
    state = replace(_next(state), phase=Phase.THINKING, drafted=True, open=still_open, committed=at, deadline=None)
    return state, (Transcribe(state.revision),)


def _asked(policy: Policy, state: State, event: Asked) -> Step:
    """A reply without a turn; what is said from now on is the next turn."""
    state = replace(_next(state), phase=Phase.THINKING, text=event.text, responding=True, stopped=None, joined=False)
    state = replace(state, open=state.open and policy.interrupts, began=event.at, committed=event.at, deadline=None)
    return state, (Respond(state.revision, event.text), Commit(state.revision, event.text, said=False))


def _answer(policy: Policy, state: State, text: str, at: int) -> Step:
    """Commit to `text`; its reply is written now unless a draft already writes it."""
    commit = Commit(state.revision, text)
    if not policy.answers:
        return _idle(state), (commit,)
    respond = () if state.responding else (*_undo(state), Respond(state.revision, text))
    state = replace(state, phase=Phase.THINKING, text=text, responding=True, stopped=None)
    return replace(state, committed=at, deadline=None), (*respond, commit)


def _undo(state: State) -> tuple[Action, ...]:
    """The turn goes on with the one before, as there are words: what that has done is taken back."""
    return (Undo(state.stopped.revision),) if state.joined and state.stopped is not None else ()
