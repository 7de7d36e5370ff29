"""The table of `states.py`, row by row, and the timelines that a user would live through."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from antiphon_satellite import states
from antiphon_satellite.states import (
    REST,
    SAME,
    TABLE,
    Do,
    Drained,
    Event,
    Failed,
    Flushed,
    Grew,
    Hushed,
    Joined,
    Late,
    Left,
    Limits,
    Lost,
    Muted,
    Pressed,
    Rang,
    ReplyBegan,
    ReplyEnded,
    Row,
    Situation,
    SpeechBegan,
    SpeechFaded,
    SpeechLasted,
    Spoke,
    State,
    Synthesized,
    Transcribed,
    Unmuted,
    VoiceStopped,
    Woke,
    rest,
    step,
)

LIMITS = Limits()
AT = 100.0
DETAILS: dict[type[Event], dict[str, Any]] = {
    Woke: {"name": "okay_nabu", "since": 7},
    Spoke: {"since": 7},
    SpeechLasted: {"since": 7},
    Pressed: {"since": 7},
    Synthesized: {"asks": False},
    Failed: {"code": "stt-stream-failed"},
    Grew: {"left_s": 2.0},
    ReplyEnded: {"left_s": 2.0},
}
KEPT = {
    states.reply_kept: State.SPEAKING,
    states.announcement_kept: State.ANNOUNCING,
    states.ring_kept: State.RINGING,
    states.keeping: State.SPEAKING,
}
EVENTS = Event.__subclasses__()
ATREST = (State.IDLE, State.MUTED, State.DISCONNECTED)


def situation_for(row: Row) -> tuple[Situation, Event]:
    """Return a situation and an event in which this row, and no earlier one, applies."""
    details = dict(DETAILS.get(row.event, {}))
    if row.guard is states.silent:
        details["code"] = "duplicate_wake_up_detected"
    if row.guard is states.of_old_reply:
        details["code"] = "tts-not-supported"
    if row.guard in KEPT and row.event is Failed:
        details["code"] = states.UNHEARD
    event = row.event(AT, **details)
    now = Situation(
        state=row.state,
        deadline=None if row.state in ATREST else AT + 1,
        run_until=AT + 50 if row.guard is states.alive else 0.0,
        driven=row.state is not State.DISCONNECTED,
        muted=row.state is State.MUTED or row.guard is states.deaf,
        asks=row.guard is states.asking,
        kept=KEPT.get(row.guard) if row.guard else None,
        kept_until=AT + 3 if row.guard in KEPT else 0.0,
    )
    return now, event


@pytest.mark.parametrize(
    "row", TABLE, ids=lambda row: f"{row.state.value}-{row.event.__name__}-{row.guard and row.guard.__name__}"
)
def test_the_machine_does_what_the_table_says(row: Row) -> None:
    now, event = situation_for(row)
    after, actions = step(now, event, LIMITS)
    assert actions == row.actions
    if row.next is SAME:
        assert (after.state, after.deadline) == (now.state, now.deadline)
    elif row.next is REST:
        assert after.state is rest(after)
    else:
        assert after.state is row.next


@pytest.mark.parametrize("state", [state for state in State if state not in ATREST])
def test_every_state_but_those_of_rest_has_a_deadline_and_it_leads_out(state: State) -> None:
    entered = states.deadline(state, Late(AT), LIMITS)
    assert entered is not None
    assert entered > AT
    now = Situation(state=state, deadline=entered, driven=True)
    for _ in range(4):  # streaming goes on to waiting, whose deadline then counts
        now, _ = step(now, Late(now.deadline or AT), LIMITS)
        if now.state in ATREST:
            break
    assert now.state in ATREST
    assert now.deadline is None


@pytest.mark.parametrize(
    "fault", [Failed(AT, "intent-failed"), Left(AT), Lost(AT), Muted(AT)], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("state", [State.STREAMING, State.WAITING, State.THINKING, State.SPEAKING])
def test_every_fault_of_a_turn_leads_to_rest_with_a_notice(state: State, fault: Event) -> None:
    after, actions = step(Situation(state=state, deadline=AT + 1, driven=True), fault, LIMITS)
    assert after.state in ATREST
    assert {Do.CUE_FAILED, Do.CUE_MUTED} & set(actions)
    assert not {Do.MARK, Do.RUN} & set(actions)


def run(*events: Event, start: Situation | None = None) -> tuple[Situation, list[tuple[State, tuple[Do, ...]]]]:
    now = start or Situation(state=State.IDLE, driven=True)
    seen = []
    for event in events:
        now, actions = step(now, event, LIMITS)
        seen.append((now.state, actions))
    return now, seen


def play(*events: Event, start: Situation | None = None) -> list[tuple[State, tuple[Do, ...]]]:
    return run(*events, start=start)[1]


def test_a_turn_from_the_wake_word_to_the_end_of_the_reply() -> None:
    seen = play(
        Woke(1, "okay_nabu", 0),
        VoiceStopped(3),
        Transcribed(3.2),
        Synthesized(3.5, asks=False),
        ReplyBegan(3.6),
        Grew(3.7, 2.0),
        ReplyEnded(3.7, 2.0),
        Drained(5.7),
    )
    assert [state for state, _ in seen] == [
        State.STREAMING,
        State.WAITING,
        State.THINKING,
        State.THINKING,
        State.SPEAKING,
        State.SPEAKING,
        State.SPEAKING,
        State.IDLE,
    ]
    assert seen[0][1][:3] == (Do.MARK, Do.DETECTION, Do.RUN)
    assert seen[-1][1] == (Do.PLAYED,)


def test_a_question_is_followed_up_without_detection_and_only_when_somebody_speaks() -> None:
    asked = (
        Pressed(1, 0),
        Transcribed(2),
        Synthesized(2.1, asks=True),
        ReplyBegan(2.2),
        ReplyEnded(2.3, 1.0),
        Drained(3),
    )
    seen = play(*asked, Spoke(4, 0))
    assert [state for state, _ in seen[-2:]] == [State.LISTENING, State.STREAMING]
    assert seen[-1][1] == (Do.MARK, Do.RUN)
    assert play(*asked, Late(8))[-1] == (State.IDLE, ())


def test_the_run_end_race_an_interruption_before_synthesize_asks_for_no_run() -> None:
    """Race: a run asked for while Home Assistant's run is alive is thrown away with all its sound."""
    seen = play(Pressed(1, 0), Transcribed(2), ReplyBegan(2.5), Woke(3, "okay_nabu", 5))
    state, actions = seen[-1]
    assert state is State.HOLDING
    assert Do.RUN not in actions
    assert {Do.SHELVE, Do.PLAYED, Do.MARK} <= set(actions)
    assert Do.DETECTION not in actions


@pytest.mark.parametrize("over", [Synthesized(4, asks=False), Failed(4, "intent-failed")])
def test_a_held_interruption_goes_on_when_the_run_is_over(over: Event) -> None:
    seen = play(Pressed(1, 0), Transcribed(2), Woke(3, "okay_nabu", 5), over)
    assert seen[-2][0] is State.HOLDING
    assert seen[-1][0] is State.STREAMING
    assert Do.RUN in seen[-1][1]
    assert Do.CUE_FAILED not in seen[-1][1]


def test_an_interruption_after_synthesize_asks_for_a_run_at_once() -> None:
    state, actions = play(Pressed(1, 0), Transcribed(2), Synthesized(2.2, asks=False), ReplyBegan(2.5), Pressed(3, 5))[
        -1
    ]
    assert state is State.STREAMING
    assert actions.index(Do.FLUSH) < actions.index(Do.PLAYED) < actions.index(Do.RUN)


def test_a_run_that_never_ends_costs_the_connection_not_the_satellite() -> None:
    state, actions = play(Pressed(1, 0), Transcribed(2), Pressed(3, 5), Late(11))[-1]
    assert state is State.IDLE
    assert {Do.CUE_FAILED, Do.DROP_PEER} <= set(actions)


def test_a_duplicate_wake_up_is_silent() -> None:
    state, actions = play(Woke(1, "okay_nabu", 0), Failed(1.1, "duplicate_wake_up_detected"))[-1]
    assert (state, actions) == (State.IDLE, (Do.FORGET,))


def test_a_failed_synthesis_of_the_interrupted_run_does_not_end_the_new_one() -> None:
    state, actions = play(
        Pressed(1, 0), Transcribed(2), Synthesized(2.2, asks=False), Pressed(2.3, 5), Failed(2.5, "tts-not-supported")
    )[-1]
    assert (state, actions) == (State.STREAMING, (Do.FORGIVE,))


def test_after_mute_in_the_middle_of_a_turn_the_next_turn_waits_for_the_old_run() -> None:
    seen = play(Pressed(1, 0), Muted(2), Unmuted(3), Pressed(4, 0))
    assert [state for state, _ in seen] == [State.STREAMING, State.MUTED, State.IDLE, State.HOLDING]


SPOKEN = (Pressed(1, 0), Transcribed(2), Synthesized(2.2, asks=False), ReplyBegan(2.5), ReplyEnded(2.6, 20.0))
STOPPED = (Do.SHELVE, Do.DROP_REPLY, Do.PLAYED)
NOTHING = states.UNHEARD


def test_a_cough_over_the_reply_pauses_it_and_changes_nothing_else() -> None:
    seen = play(*SPOKEN, SpeechBegan(4), SpeechFaded(4.3), Drained(22))
    assert seen[-3:] == [(State.SPEAKING, (Do.DUCK,)), (State.SPEAKING, (Do.SWELL,)), (State.IDLE, (Do.PLAYED,))]


def test_speech_that_lasts_stops_the_reply_and_starts_a_turn_without_detection_or_cue() -> None:
    seen = play(*SPOKEN, SpeechBegan(4), SpeechLasted(4.2, 9))
    assert seen[-1] == (State.STREAMING, (*STOPPED, Do.MARK, Do.RUN))


def test_speech_over_a_reply_that_is_still_being_made_waits_for_the_run_before() -> None:
    seen = play(Pressed(1, 0), Transcribed(2), ReplyBegan(2.5), SpeechLasted(3, 9), Failed(3.1, "interrupted"))
    assert seen[-2] == (State.HOLDING, (*STOPPED, Do.CUT, Do.MARK))
    assert seen[-1][0] is State.STREAMING
    assert Do.RUN in seen[-1][1]


def test_an_interruption_in_which_nothing_was_said_takes_the_reply_up_again() -> None:
    seen = play(*SPOKEN, SpeechLasted(4, 9), Hushed(6), Failed(6.5, NOTHING), ReplyEnded(6.5, 18.0), Drained(25))
    assert seen[-4:] == [
        (State.WAITING, (Do.END_SPEECH,)),
        (State.SPEAKING, (Do.RESUME,)),
        (State.SPEAKING, (Do.FINISH,)),
        (State.IDLE, (Do.PLAYED,)),
    ]


def test_a_reply_is_taken_up_again_and_again_but_not_after_five_seconds() -> None:
    once = (SpeechLasted(4, 9), Failed(5, NOTHING), SpeechLasted(6, 9), Failed(7, NOTHING))
    assert [state for state, _ in play(*SPOKEN, *once)[-4:]] == [State.STREAMING, State.SPEAKING] * 2
    state, actions = play(*SPOKEN, SpeechLasted(4, 9), Failed(9.5, NOTHING))[-1]
    assert state is State.IDLE
    assert Do.RESUME not in actions


def test_a_reply_is_not_taken_up_after_the_button_or_another_error_or_when_told_to_stop() -> None:
    assert Do.RESUME not in play(*SPOKEN, Pressed(4, 9), Failed(5, NOTHING))[-1][1]
    assert Do.RESUME not in play(*SPOKEN, SpeechLasted(4, 9), Failed(5, "intent-failed"))[-1][1]
    assert play(*SPOKEN, SpeechLasted(4, 9), Failed(5, "interrupted"))[-1] == (State.IDLE, (Do.FORGET,))


def test_a_new_reply_is_not_mixed_up_with_the_one_that_was_stopped() -> None:
    turn = (SpeechLasted(4, 9), Transcribed(6), ReplyBegan(6.1), Synthesized(6.2, asks=False), Drained(8))
    after, _ = run(*SPOKEN, *turn)
    assert after.kept is None


def test_an_announcement_goes_on_after_a_cough_as_an_announcement() -> None:
    seen = play(ReplyBegan(1), ReplyEnded(1, 9.0), SpeechLasted(2, 9), Failed(3, NOTHING))
    assert seen[-1] == (State.ANNOUNCING, (Do.FORGET, Do.RESUME))


def test_speech_over_a_ringing_timer_starts_a_turn_and_it_rings_again_if_nothing_was_said() -> None:
    seen = play(Rang(1), SpeechBegan(2), SpeechLasted(2.2, 9), Failed(4, NOTHING), SpeechLasted(6, 9))
    assert seen[1] == (State.RINGING, (Do.DUCK,))
    assert seen[2] == (State.STREAMING, (Do.SHELVE, Do.MARK, Do.RUN))
    assert seen[3] == (State.RINGING, (Do.FORGET, Do.RING))
    assert play(Rang(1), SpeechLasted(2, 9), Failed(4, "interrupted"))[-1] == (State.IDLE, (Do.FORGET,))


def test_a_reply_may_begin_right_after_the_transcript_while_the_microphone_goes_out() -> None:
    seen = play(Pressed(1, 0), Transcribed(3), ReplyBegan(3), VoiceStopped(3))
    assert [state for state, _ in seen[1:]] == [State.THINKING, State.SPEAKING, State.SPEAKING]
    assert Do.END_SPEECH in seen[1][1]


def test_the_table_has_a_use_for_every_state_event_and_action() -> None:
    """`test_the_machine_does_what_the_table_says` applies every row; nothing is left that no row names."""
    rows = {(row.state, row.event) for row in TABLE}
    assert {state for state, _ in rows} == set(State)
    assert {event for _, event in rows} == set(EVENTS)
    assert {action for row in TABLE for action in row.actions} == set(Do)


def test_muted_it_plays_announcements_and_comes_back_to_muted() -> None:
    start = Situation(state=State.MUTED, driven=True, muted=True)
    seen = play(ReplyBegan(1), ReplyEnded(1.1, 1.0), Drained(2.2), Woke(3, "okay_nabu", 0), start=start)
    assert [state for state, _ in seen] == [State.ANNOUNCING, State.ANNOUNCING, State.MUTED, State.MUTED]


def test_who_speaks_to_a_satellite_without_controller_is_told() -> None:
    now = Situation()
    assert step(now, Woke(1, "okay_nabu", 0), LIMITS)[1] == (Do.CUE_FAILED,)
    assert step(now, Joined(2), LIMITS)[0].state is State.IDLE


def test_the_deadline_of_a_reply_moves_with_what_is_left_of_it() -> None:
    now = Situation(state=State.SPEAKING, deadline=10.0, driven=True)
    now, _ = step(now, Grew(5, 40.0), LIMITS)
    assert now.deadline == 5 + 40.0 + LIMITS.gap_s
    now, _ = step(now, ReplyEnded(6, 39.0), LIMITS)
    assert now.deadline == 6 + 39.0 + LIMITS.slack_s


def test_no_row_is_hidden_by_an_earlier_one() -> None:
    seen: set[tuple[State, type[Event]]] = set()
    for row in TABLE:
        assert (row.state, row.event) not in seen, row
        if row.guard is None:
            seen.add((row.state, row.event))


def test_a_question_that_was_stopped_for_nothing_is_followed_up() -> None:
    question = (Pressed(1, 0), Transcribed(2), Synthesized(2.5, asks=True), ReplyBegan(3), ReplyEnded(3, 9.0))
    cough = (SpeechLasted(4, 9), Failed(5, NOTHING))
    assert play(*question, *cough, Drained(12))[-1][0] is State.LISTENING
    held = (Pressed(1, 0), Transcribed(2), ReplyBegan(2.5), SpeechLasted(3, 9), Synthesized(3.1, asks=True))
    assert play(*held, Failed(4, NOTHING), Drained(12))[-1][0] is State.LISTENING
    assert play(*SPOKEN, *cough, Drained(12))[-1][0] is State.IDLE


@pytest.mark.parametrize("plays", [ReplyBegan(1), Rang(1)])
def test_muted_what_is_played_goes_on_and_is_not_left_paused(plays: Event) -> None:
    state, actions = play(plays, SpeechBegan(2), Muted(2.1))[-1]
    assert (state, actions) == (State.ANNOUNCING if isinstance(plays, ReplyBegan) else State.RINGING, (Do.SWELL,))


TURN = (State.STREAMING, State.WAITING, State.THINKING, State.SPEAKING, State.HOLDING, State.LISTENING)
SOUNDS = (State.SPEAKING, State.ANNOUNCING)
HEARS = (State.STREAMING, State.HOLDING)
INTERRUPTS = (Woke, Pressed, SpeechLasted)


def moments() -> Iterator[tuple[Situation, Event, Situation, tuple[Do, ...]]]:
    """Yield what every event does in every state, with a run that is alive or not, and something kept or nothing."""
    events = [event(AT, **DETAILS.get(event, {})) for event in EVENTS]
    events += [Failed(AT, code) for code in (NOTHING, "interrupted", "tts-not-supported")]
    for state in State:
        for alive, kept in itertools.product((False, True), (None, *KEPT.values())):
            now = Situation(
                state=state,
                deadline=None if state in ATREST else AT + 1,
                run_until=AT + 50 if alive else 0.0,
                driven=state is not State.DISCONNECTED,
                muted=state is State.MUTED,
                kept=kept if state in (State.STREAMING, State.WAITING) else None,
                kept_until=AT + 3,
            )
            for event in events:
                yield now, event, *step(now, event, LIMITS)


def test_what_is_played_is_heard_out_or_silenced_before_anything_else_and_its_sender_knows() -> None:
    for now, event, after, actions in moments():
        if now.state in SOUNDS and after.state not in SOUNDS:
            ends = {Do.PLAYED} if isinstance(event, Drained) else {Do.PLAYED, Do.DROP_REPLY}
            assert isinstance(event, Drained) or {Do.FLUSH, Do.SHELVE} & set(actions), (now, event)
            assert isinstance(event, Left) or ends <= set(actions), (now, event)
        if now.state is State.RINGING and after.state is not State.RINGING:
            assert {Do.CALM, Do.SHELVE} & set(actions), (now, event)


def test_the_microphone_is_kept_from_where_a_turn_begins_and_let_go_when_nobody_is_heard() -> None:
    for now, event, after, actions in moments():
        if now.state in HEARS and after.state not in HEARS:
            assert {Do.END_SPEECH, Do.FORGET, Do.ABANDON} & set(actions), (now, event)
        if now.state not in HEARS and after.state in HEARS:
            assert Do.MARK in actions, (now, event)
            assert (Do.CUE_HEARD in actions) is isinstance(event, Woke | Pressed), "who has spoken knows it"
        if after.state is State.STREAMING and now.state is not State.STREAMING:
            assert actions.index(Do.RUN) > (actions.index(Do.MARK) if Do.MARK in actions else -1), (now, event)
        elif after.state is not State.STREAMING:
            assert Do.RUN not in actions, (now, event)


def test_an_interruption_is_held_while_the_run_before_is_alive_and_its_reply_is_not_heard() -> None:
    held = 0
    for now, event, after, actions in moments():
        begins = now.state not in (*HEARS, State.LISTENING, State.RINGING) and isinstance(event, Woke | Pressed | Spoke)
        if begins and after.state in HEARS and now.state is not State.WAITING:
            assert (after.state is State.HOLDING) is (now.run_until > AT), (now, event)
        if now.state is not State.HOLDING and after.state is State.HOLDING:
            held += 1
            assert {Do.CUT, Do.DROP_REPLY} <= set(actions), (now, event)
    assert held


def test_who_interrupts_what_is_played_is_always_heard_and_a_ringing_timer_falls_silent() -> None:
    for now, event, after, actions in moments():
        if now.state in SOUNDS and isinstance(event, INTERRUPTS):
            assert after.state in HEARS, (now, event)
            assert (Do.SHELVE in actions) is not isinstance(event, Pressed), "the button means it: nothing is kept"
        if now.state in (*SOUNDS, State.RINGING) and isinstance(event, SpeechBegan | SpeechFaded):
            assert actions == ((Do.DUCK,) if isinstance(event, SpeechBegan) else (Do.SWELL,))
        if now.state is State.RINGING and isinstance(event, Woke | Pressed | Flushed):
            assert (after.state, actions) == (State.IDLE, (Do.CALM,))


def test_a_wake_word_at_rest_is_told_to_the_controller_and_one_without_controller_is_refused_aloud() -> None:
    for now, event, after, actions in moments():
        if now.state in (State.IDLE, State.LISTENING) and isinstance(event, Woke | Pressed | Spoke):
            assert after.state in HEARS, (now, event)
        if now.state in (State.IDLE, State.LISTENING) and isinstance(event, Woke) and Do.RUN in actions:
            assert actions.index(Do.DETECTION) < actions.index(Do.RUN)
        if now.state is State.DISCONNECTED and isinstance(event, Woke | Pressed):
            assert actions == (Do.CUE_FAILED,)


def test_sound_that_comes_is_played_and_a_timer_rings_now_or_later_in_every_state() -> None:
    for now, event, after, actions in moments():
        if isinstance(event, ReplyBegan):
            assert after.state in SOUNDS, now
            assert Do.PLAY in actions, now
        if isinstance(event, Rang) and now.state is not State.RINGING:
            assert actions == ((Do.RING,) if after.state is State.RINGING else (Do.LATER,)), now
            assert now.state not in (*ATREST, State.LISTENING) or after.state is State.RINGING, now
        if isinstance(event, ReplyEnded) and now.state in SOUNDS:
            assert actions == (Do.FINISH,)


def test_every_turn_that_comes_to_nothing_is_told_aloud_and_a_stuck_peer_is_let_go() -> None:
    for now, event, after, actions in moments():
        stuck = isinstance(event, Late) and now.state not in (State.STREAMING, State.LISTENING, State.RINGING)
        if now.state in (*TURN, State.ANNOUNCING, State.RINGING) and (isinstance(event, Lost) or stuck):
            assert after.state is State.IDLE, (now, event)
            assert Do.CUE_FAILED in actions, (now, event)
            assert stuck is False or (Do.DROP_PEER in actions) is (now.state in (State.WAITING, State.HOLDING))
        if now.state in (State.IDLE, *TURN) and isinstance(event, Left):
            assert after.state is State.DISCONNECTED, now
            assert now.state is State.IDLE or Do.CUE_FAILED in actions, now


def test_the_microphone_can_be_switched_off_in_every_state_and_is_told_to_be() -> None:
    for now, event, after, actions in moments():
        if isinstance(event, Muted):
            assert after.muted
            if now.state in (State.ANNOUNCING, State.RINGING):
                assert (after.state, actions) == (now.state, (Do.SWELL,)), "what is played is no turn"
            elif now.state is not State.MUTED:
                assert after.state is State.MUTED
                assert Do.CUE_MUTED in actions


def test_the_controller_can_silence_whatever_is_played_or_being_made() -> None:
    for now, event, after, actions in moments():
        if isinstance(event, Flushed) and now.state in (*SOUNDS, State.WAITING, State.THINKING):
            assert after.state is State.IDLE, now
            assert Do.DROP_REPLY in actions, now
            assert ({Do.FLUSH, Do.CUT} & set(actions)) == ({Do.FLUSH} if now.state in SOUNDS else {Do.CUT})


@pytest.mark.parametrize("state", [State.STREAMING, State.WAITING])
@pytest.mark.parametrize("kept", [State.SPEAKING, State.ANNOUNCING, State.RINGING])
def test_what_was_stopped_for_nothing_goes_on_as_what_it_was(state: State, kept: State) -> None:
    now = Situation(state=state, deadline=AT + 9, driven=True, kept=kept, kept_until=AT + 1)
    after, actions = step(now, Failed(AT, NOTHING), LIMITS)
    assert (after.state, actions[-1]) == (kept, Do.RING if kept is State.RINGING else Do.RESUME)
    assert (Do.FORGET in actions) is (state is State.STREAMING)
    assert step(now, Transcribed(AT), LIMITS)[1][-1] is Do.CUE_THINKING
    assert step(now, Failed(AT + 1, NOTHING), LIMITS)[0].state is State.IDLE


def test_who_speaks_while_a_reply_is_made_is_heard_at_once_and_that_reply_is_not_heard() -> None:
    for now, event, after, actions in moments():
        if now.state in (State.WAITING, State.THINKING) and isinstance(event, Woke | Pressed):
            assert after.state in HEARS, (now, event)
            assert Do.DROP_REPLY in actions, (now, event)
        if now.state is State.STREAMING and isinstance(event, Pressed):
            assert (after.state, actions) == (State.WAITING, (Do.END_SPEECH,)), "pressed again, it was all"


@pytest.mark.parametrize("event", INTERRUPTS)
def test_where_no_turn_can_begin_whoever_interrupts_an_announcement_only_silences_it(event: type[Event]) -> None:
    for muted, driven in ((True, True), (False, False)):
        now = Situation(state=State.ANNOUNCING, deadline=AT + 9, run_until=AT + 9, driven=driven, muted=muted)
        after, actions = step(now, event(AT, **DETAILS[event]), LIMITS)
        assert after.state is rest(now)
        assert actions == (Do.FLUSH, Do.DROP_REPLY, Do.PLAYED)


def test_the_sender_of_a_question_knows_when_it_was_heard_to_its_end() -> None:
    now = Situation(state=State.SPEAKING, deadline=AT + 9, driven=True, asks=True)
    after, actions = step(now, Drained(AT), LIMITS)
    assert (after.state, actions) == (State.LISTENING, (Do.PLAYED,))
