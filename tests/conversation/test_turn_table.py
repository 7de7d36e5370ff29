"""Every row of the turn machine's table: as it is written in `turns.py`, so it happens, and nothing else does."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from antiphon_daemon.conversation import turns
from antiphon_daemon.conversation.turn_types import (
    RATE,
    Asked,
    Deadline,
    Ended,
    Event,
    Failed,
    Opened,
    Phase,
    Played,
    Policy,
    ReplyBegan,
    ReplyEnded,
    SpeechBegan,
    SpeechPaused,
    State,
    Stop,
    Stopped,
    Transcribed,
    TurnJudged,
    Typed,
)

POLICY = Policy(interrupts=True)
AT, N = 10 * RATE, 7
SOFT = State(Phase.PAUSED, N, open=True, began=AT - RATE, paused=AT, deadline=AT + POLICY.soft_end)
DRAFTED = replace(SOFT, drafted=True, deadline=AT + POLICY.unknown_silence)
READY = replace(DRAFTED, text="hello", responding=True)
STOPPED = Stopped(5, 400, AT - RATE // 4, AT - 3 * RATE, AT - RATE // 2)
THINKS = replace(READY, phase=Phase.THINKING, committed=AT, deadline=None)
SPEAKS = replace(THINKS, phase=Phase.SPEAKING, reply_began=AT)
STATES = {
    "at rest": State(Phase.IDLE, N),
    "at rest, after a stopped reply": State(Phase.IDLE, N, stopped=STOPPED),
    "listening": State(Phase.LISTENING, N, open=True, deadline=AT),
    "listening, after a stopped reply": State(Phase.LISTENING, N, open=True, deadline=AT, stopped=STOPPED),
    "hearing": State(Phase.HEARING, N, open=True, began=AT - RATE, deadline=AT + RATE),
    "paused": SOFT,
    "paused, drafted": DRAFTED,
    "paused, ready": READY,
    "paused, silence": replace(DRAFTED, text=""),
    "paused, a filler": replace(DRAFTED, text="mm", filler=True, stopped=STOPPED),
    "thinking, unheard": replace(DRAFTED, phase=Phase.THINKING, deadline=None),
    "thinking, unheard, after a stopped reply": replace(DRAFTED, phase=Phase.THINKING, deadline=None, stopped=STOPPED),
    "paused, drafted, going on": replace(DRAFTED, joined=True, stopped=STOPPED),
    "thinking, unheard, going on": replace(DRAFTED, phase=Phase.THINKING, deadline=None, joined=True, stopped=STOPPED),
    "thinking": THINKS,
    "speaking": SPEAKS,
    "speaking, nobody listens": replace(SPEAKS, open=False),
    "overlap": replace(SPEAKS, phase=Phase.OVERLAP, over=AT, committed=AT - 2 * RATE, deadline=AT + POLICY.lasting),
    "overlap, soon": replace(SPEAKS, phase=Phase.OVERLAP, over=AT, deadline=AT + POLICY.lasting),
}


@dataclass(frozen=True)
class Row:
    """What one event does."""

    state: str
    event: Event
    next: Phase
    actions: str = ""


P, L = Phase, AT + POLICY.unknown_silence
ROWS = (
    Row("at rest", Opened(AT), P.LISTENING),
    Row("at rest, after a stopped reply", Opened(AT, by_voice=True), P.LISTENING, "Withdraw"),
    Row("at rest", Typed(AT, "hello"), P.THINKING, "Respond Commit"),
    Row("at rest", Asked(AT, "hello"), P.THINKING, "Respond Commit"),
    Row("listening", Asked(AT), P.THINKING, "Respond Commit"),
    Row("listening", SpeechBegan(AT), P.HEARING),
    Row("listening", Ended(AT), P.IDLE, "NothingHeard"),
    Row("listening, after a stopped reply", Ended(AT), P.THINKING, "Resume"),
    Row("listening", Deadline(AT), P.IDLE, "NothingHeard"),
    Row("listening, after a stopped reply", Deadline(AT), P.THINKING, "Resume"),
    Row("listening", Typed(AT, "hello"), P.THINKING, "Respond Commit"),
    Row("hearing", SpeechPaused(AT), P.PAUSED),
    Row("hearing", Ended(AT), P.THINKING, "Transcribe"),
    Row("hearing", Deadline(AT), P.THINKING, "Transcribe"),
    Row("paused, ready", SpeechBegan(AT), P.HEARING, "Discard"),
    Row("paused", Deadline(AT + POLICY.soft_end), P.PAUSED, "Transcribe AskTurnModel"),
    Row("paused, ready", Deadline(L), P.THINKING, "Commit"),
    Row("paused, silence", Deadline(L), P.LISTENING),
    Row("paused, a filler", Deadline(L), P.THINKING, "Resume"),
    Row("paused, drafted", Deadline(L), P.THINKING),
    Row("paused, ready", Ended(AT + 1), P.THINKING, "Commit"),
    Row("paused, drafted", Transcribed(AT + 1, N, "hello"), P.PAUSED, "Respond"),
    Row("paused, drafted, going on", Transcribed(AT + 1, N, "hello"), P.PAUSED, "Undo Respond"),
    Row("paused, ready", TurnJudged(AT + 1, N, 0.9), P.PAUSED),
    Row("paused, drafted", Failed(AT + 1, N), P.PAUSED),
    Row("thinking, unheard", Transcribed(AT, N, "hello"), P.THINKING, "Respond Commit"),
    Row("thinking, unheard, after a stopped reply", Transcribed(AT, N, "mm", True), P.THINKING, "Resume"),
    Row("thinking, unheard, going on", Transcribed(AT, N, "hello"), P.THINKING, "Undo Respond Commit"),
    Row("thinking, unheard", Transcribed(AT, N, ""), P.IDLE, "NothingHeard"),
    Row("thinking, unheard", Failed(AT, N), P.THINKING, "Apologise"),
    Row("thinking", ReplyBegan(AT, N), P.SPEAKING),
    Row("thinking", ReplyEnded(AT, N, 0), P.IDLE, "Remember"),
    Row("thinking", SpeechBegan(AT), P.HEARING, "Withdraw"),
    Row("thinking", Opened(AT), P.LISTENING, "Withdraw"),
    Row("speaking", ReplyBegan(AT + 1, N), P.SPEAKING),
    Row("speaking", ReplyEnded(AT, N, RATE), P.SPEAKING),
    Row("speaking", Played(AT), P.IDLE, "Remember"),
    Row("speaking", Deadline(AT), P.IDLE, "Remember"),
    Row("speaking", SpeechBegan(AT), P.OVERLAP, "Duck"),
    Row("speaking", Opened(AT), P.LISTENING, "StopSpeaking Remember"),
    Row("speaking, nobody listens", Opened(AT), P.SPEAKING),
    Row("overlap", SpeechPaused(AT), P.SPEAKING, "Swell"),
    Row("overlap", Deadline(AT), P.HEARING, "StopSpeaking Remember"),
    Row("overlap, soon", Deadline(AT + POLICY.lasting), P.HEARING, "StopSpeaking Remember Withdraw"),
    Row("overlap", Ended(AT), P.THINKING, "StopSpeaking Remember Transcribe"),
    Row("overlap", ReplyBegan(AT + 1, N), P.OVERLAP),
    Row("overlap", ReplyEnded(AT, N, RATE), P.OVERLAP),
    Row("overlap", Played(AT), P.HEARING, "Remember"),
    Row("overlap", Opened(AT), P.LISTENING, "StopSpeaking Remember"),
    Row("hearing", Opened(AT), P.LISTENING),
    Row("paused, ready", Opened(AT), P.LISTENING, "Discard"),
    Row("listening", Opened(AT), P.LISTENING),
    Row("hearing", Stop(AT), P.IDLE),
    Row("listening", Stop(AT), P.IDLE),
    Row("paused, ready", Stop(AT), P.IDLE, "Discard"),
    Row("thinking", Stop(AT), P.IDLE, "StopSpeaking Remember"),
    Row("speaking", Stop(AT), P.IDLE, "StopSpeaking Remember"),
    Row("overlap", Stop(AT), P.IDLE, "StopSpeaking Remember"),
)
EVENTS = (
    Opened(AT), SpeechBegan(AT), SpeechPaused(AT), Ended(AT), TurnJudged(AT, N, 0.9), Transcribed(AT, N, "hello"),
    ReplyBegan(AT, N), ReplyEnded(AT, N, RATE), Played(AT), Typed(AT, "hello"), Asked(AT), Stop(AT), Failed(AT, N),
    Deadline(AT),
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.state}-{type(row.event).__name__}")
def test_the_machine_does_what_the_table_says(row: Row) -> None:
    before = STATES[row.state]
    after, actions = turns.step(POLICY, before, row.event)
    assert after.phase is row.next
    assert [type(action).__name__ for action in actions] == row.actions.split()
    assert (after, actions) != (before, ()), "a row of the table changes something"


def written() -> set[tuple[str, str]]:
    """Return the phases and events of the table's rows as they are written."""
    rows = re.findall(r"^\| ([A-Z]{4,}) +\| (\w+) +\| [A-Z]{4,} +\|", turns.__doc__ or "", re.MULTILINE)
    phases = [phase.name for phase in Phase]
    others = {(phase, "Opened") for phase in phases} | {(phase, "Stop") for phase in phases if phase != "IDLE"}
    return set(rows) | others


def test_each_row_that_is_written_is_tried_and_no_other_is() -> None:
    assert {(STATES[row.state].phase.name, type(row.event).__name__) for row in ROWS} == written()


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_is_in_no_row_changes_nothing(name: str, event: Event) -> None:
    state = STATES[name]
    if (state.phase.name, type(event).__name__) not in written():
        assert turns.step(POLICY, state, event) == (state, ())


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_is_stale_changes_nothing(name: str, event: Event) -> None:
    if hasattr(event, "revision"):
        assert turns.step(POLICY, STATES[name], replace(event, revision=N - 1)) == (STATES[name], ())  # type: ignore[call-arg]


@pytest.mark.parametrize("name", STATES)
def test_where_somebody_waits_there_is_a_deadline_or_work_that_ends(name: str) -> None:
    """Listening, hearing, a pause and an overlap end by themselves; thinking ends with its work."""
    for event in EVENTS:
        after, _ = turns.step(POLICY, STATES[name], event)
        if after.phase in (P.LISTENING, P.HEARING, P.PAUSED, P.OVERLAP) and after != STATES[name]:
            assert after.deadline is not None


def test_a_reply_that_was_asked_for_was_said_by_nobody_and_is_made_where_turns_are_not_answered() -> None:
    policy = replace(POLICY, answers=False)
    after, (respond, commit) = turns.step(policy, STATES["listening"], Asked(AT, "hello"))
    assert (respond, commit) == (turns.Respond(N + 1, "hello"), turns.Commit(N + 1, "hello", said=False))
    assert after.open
    deaf, _ = turns.step(replace(policy, interrupts=False), STATES["listening"], Asked(AT))
    assert not deaf.open, "where speech does not interrupt, none is heard over the reply"


@pytest.mark.parametrize(("name", "event"), [("speaking", Stop(AT)), ("overlap", Deadline(AT)), ("thinking", Stop(AT))])
def test_a_reply_that_was_thrown_away_does_not_go_on(name: str, event: Event) -> None:
    after, _ = turns.step(replace(POLICY, resumes=False), STATES[name], event)
    assert after.stopped is None
