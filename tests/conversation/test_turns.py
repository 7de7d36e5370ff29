"""The turn machine, played as timelines. A line of a script is (event, phase after it, names of the actions)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from antiphon_daemon.conversation.turn_types import (
    PLAYED_SLACK,
    RATE,
    Action,
    Apologise,
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
    Stop,
    StopSpeaking,
    Swell,
    Transcribe,
    Transcribed,
    TurnJudged,
    Typed,
    Undo,
    Withdraw,
)
from antiphon_daemon.conversation.turns import step

POLICY = Policy(
    soft_end=3200,
    unknown_silence=9600,
    likely_silence=4800,
    longest_silence=16_000,
    longest=60 * RATE,
    no_speech=8 * RATE,
)


def play(policy: Policy, *events: Event) -> tuple[State, list[Action]]:
    """Return the state after the events and all actions on the way."""
    state, done = State(), []
    for event in events:
        state, actions = step(policy, state, event)
        done += actions
    return state, done


def heard(policy: Policy = POLICY, text: str = "hello") -> tuple[State, list[Action]]:
    """Play a turn up to its draft's transcript: speech from 1000 to 20000, soft end, `text`."""
    return play(
        policy,
        Opened(0),
        SpeechBegan(1000),
        SpeechPaused(20_000),
        Deadline(23_200),
        Transcribed(24_000, 2, text),
    )


def test_a_turn_is_prepared_in_its_silence_and_let_out_at_its_end() -> None:
    state, actions = heard()
    assert state.phase is Phase.PAUSED
    assert actions == [Transcribe(2), AskTurnModel(2), Respond(2, "hello")]
    assert state.deadline == 29_600
    state, actions = step(POLICY, state, Deadline(29_600))
    assert state.phase is Phase.THINKING
    assert actions == (Commit(2, "hello"),)
    state, _ = step(POLICY, state, ReplyBegan(29_700, 2))
    assert state.phase is Phase.SPEAKING
    state, _ = step(POLICY, state, ReplyEnded(30_000, 2, 16_000))
    assert state.deadline == 29_700 + 16_000 + PLAYED_SLACK
    state, actions = step(POLICY, state, Played(46_000))
    assert (state.phase, actions, state.stopped) == (Phase.IDLE, (Remember(2, None),), None)


def test_speech_that_resumes_discards_the_draft_and_stays_one_utterance() -> None:
    state, _ = heard()
    state, actions = step(POLICY, state, SpeechBegan(25_000))
    assert (state.phase, actions) == (Phase.HEARING, (Discard(2),))
    assert state.began == 1000
    assert state.deadline == 1000 + POLICY.longest, "pauses make no turn longer"
    state, actions = step(POLICY, state, SpeechPaused(40_000))
    state, actions = step(POLICY, state, Deadline(43_200))
    assert actions == (Transcribe(4), AskTurnModel(4))
    assert state.began == 1000


def test_what_a_stale_draft_says_changes_nothing() -> None:
    state, _ = heard()
    state, _ = step(POLICY, state, SpeechBegan(25_000))
    for late in (Transcribed(26_000, 2, "old"), ReplyBegan(26_000, 2), ReplyEnded(26_000, 2, 5), Failed(26_000, 2)):
        assert step(POLICY, state, late) == (state, ())


def test_a_transcript_that_is_late_is_waited_for() -> None:
    state, _ = play(POLICY, Opened(0), SpeechBegan(1000), SpeechPaused(20_000), Deadline(23_200))
    state, actions = step(POLICY, state, Deadline(29_600))
    assert (state.phase, actions) == (Phase.THINKING, ())
    state, actions = step(POLICY, state, Transcribed(31_000, 2, "hello"))
    assert actions == (Respond(2, "hello"), Commit(2, "hello"))


def test_a_transcript_is_waited_for_as_long_as_the_longest_silence() -> None:
    state, _ = play(POLICY, Opened(0), SpeechBegan(1000), SpeechPaused(20_000), Deadline(23_200))
    assert (state.phase, state.deadline) == (Phase.PAUSED, 20_000 + POLICY.longest_silence)


def test_a_cough_is_no_turn_and_listening_goes_on() -> None:
    state, actions = heard(text="")
    assert actions == [Transcribe(2), AskTurnModel(2)]
    state, actions = step(POLICY, state, Deadline(29_600))
    assert (state.phase, actions) == (Phase.LISTENING, ())
    assert state.deadline == 29_600 + POLICY.no_speech


def test_nobody_speaks() -> None:
    state, actions = play(POLICY, Opened(0), Deadline(POLICY.no_speech))
    assert (state.phase, actions) == (Phase.IDLE, [NothingHeard()])


@pytest.mark.parametrize("speculate", ["off", "transcript", "reply", "speech"])
def test_how_far_a_draft_goes(speculate: str) -> None:
    policy = replace(POLICY, speculate=speculate)  # type: ignore[arg-type]
    state, actions = play(policy, Opened(0), SpeechBegan(1000), SpeechPaused(20_000))
    assert state.deadline == (29_600 if speculate == "off" else 23_200)
    state, actions = step(policy, state, Deadline(state.deadline or 0))
    if speculate == "off":
        assert (state.phase, actions) == (Phase.THINKING, (Transcribe(2),))
        return
    state, actions = step(policy, state, Transcribed(24_000, 2, "hello"))
    assert actions == ((Respond(2, "hello"),) if speculate in ("reply", "speech") else ())
    state, actions = step(policy, state, Deadline(29_600))
    assert actions[-1] == Commit(2, "hello")


@pytest.mark.parametrize(
    ("likely", "deadline"), [(0.9, 24_800), (0.85, 24_800), (0.4, 36_000), (0.1, 36_000), (0.625, 30_400)]
)
def test_the_end_comes_sooner_or_later_as_likely_as_the_turn_is_over(likely: float, deadline: int) -> None:
    state, _ = heard()
    state, _ = step(POLICY, state, TurnJudged(24_100, 2, likely))
    assert state.deadline == deadline


def test_a_judgement_that_comes_after_its_silence_ends_the_turn_now_and_a_later_one_counts_instead() -> None:
    state, _ = heard()
    state, _ = step(POLICY, state, TurnJudged(26_000, 2, 0.9))
    assert state.deadline == 26_000
    state, _ = step(POLICY, state, TurnJudged(26_000, 2, 0.1))
    assert state.deadline == 36_000


@pytest.mark.parametrize(
    ("before", "phase", "actions"),
    [
        ((Opened(0),), Phase.IDLE, [NothingHeard()]),
        ((Opened(0), SpeechBegan(1)), Phase.THINKING, [Transcribe(2)]),
        ((Opened(0), SpeechBegan(1), SpeechPaused(9000)), Phase.THINKING, [Transcribe(2)]),
    ],
)
def test_the_stream_ends(before: tuple[Event, ...], phase: Phase, actions: list[Action]) -> None:
    state, _ = play(POLICY, *before)
    state, done = step(POLICY, state, Ended(10_000))
    assert (state.phase, list(done)) == (phase, actions)
    assert not state.open


def test_the_stream_ends_when_the_draft_is_ready_or_was_silence() -> None:
    state, _ = heard()
    assert step(POLICY, state, Ended(25_000))[1] == (Commit(2, "hello"),)
    state, _ = heard(text="")
    assert step(POLICY, state, Ended(25_000))[1] == (NothingHeard(),)


def test_someone_who_never_stops_is_answered_after_the_longest_turn() -> None:
    state, _ = play(POLICY, Opened(0), SpeechBegan(1000))
    assert state.deadline == 1000 + POLICY.longest
    state, actions = step(POLICY, state, Deadline(state.deadline or 0))
    assert (state.phase, actions, state.open) == (Phase.THINKING, (Transcribe(2),), False)
    assert step(POLICY, state, SpeechBegan(2_000_000)) == (state, ())


def test_the_user_goes_on_before_the_reply_is_heard() -> None:
    state, _ = heard()
    state, _ = step(POLICY, state, Deadline(29_600))
    state, actions = step(POLICY, state, SpeechBegan(30_000))
    assert (state.phase, actions, state.began) == (Phase.HEARING, (Withdraw(2),), 1000)
    assert state.deadline == 1000 + POLICY.longest, "it is one turn, and no longer than one"


def test_hearing_fails_once_and_is_tried_again_at_the_end() -> None:
    state, _ = play(POLICY, Opened(0), SpeechBegan(1000), SpeechPaused(20_000), Deadline(23_200))
    state, actions = step(POLICY, state, Failed(24_000, 2))
    assert (state.phase, actions, state.deadline) == (Phase.PAUSED, (), 29_600)
    state, actions = step(POLICY, state, Deadline(29_600))
    assert (state.phase, actions) == (Phase.THINKING, (Transcribe(4),))
    state, actions = step(POLICY, state, Failed(30_000, 4))
    assert (state.phase, actions) == (Phase.THINKING, (Apologise(4),))
    state, _ = step(POLICY, state, ReplyBegan(31_000, 4))
    assert state.phase is Phase.SPEAKING


def speaking() -> State:
    state, _ = heard()
    state, _ = step(POLICY, state, Deadline(29_600))
    return step(POLICY, state, ReplyBegan(29_700, 2))[0]


def test_a_reply_nobody_says_was_played_is_remembered_whole_in_the_end() -> None:
    state, _ = step(POLICY, speaking(), ReplyEnded(30_000, 2, 16_000))
    state, actions = step(POLICY, state, Deadline(state.deadline or 0))
    assert (state.phase, actions) == (Phase.IDLE, (Remember(2, None),))


def test_a_reply_is_over_as_late_as_the_listener_says_that_it_began() -> None:
    state, _ = step(POLICY, speaking(), ReplyEnded(30_000, 2, 160_000))
    late, actions = step(POLICY, state, ReplyBegan(state.reply_began + 8_000, 2))
    assert (late.phase, actions) == (Phase.SPEAKING, ())
    assert late.deadline == late.reply_until == (state.deadline or 0) + 8_000
    decides = replace(POLICY, interrupts=True)
    over, _ = step(decides, replace(state, open=True), SpeechBegan(40_000))
    later, _ = step(decides, over, ReplyBegan(state.reply_began + 8_000, 2))
    assert later.deadline == over.deadline, "how long the speech has lasted is another matter"
    assert step(decides, later, SpeechPaused(42_000))[0].deadline == late.deadline


def test_a_reply_that_ends_while_somebody_coughs_over_it_is_over_when_it_has_been_played() -> None:
    decides = replace(POLICY, interrupts=True)
    over, _ = step(decides, replace(speaking(), open=True), SpeechBegan(60_000))
    state, actions = step(decides, over, ReplyEnded(61_000, 2, 160_000))
    assert (state.phase, actions, state.deadline) == (Phase.OVERLAP, (), over.deadline)
    assert step(decides, state, SpeechPaused(62_000))[0].deadline == over.reply_began + 160_000 + PLAYED_SLACK


@pytest.mark.parametrize("ended", [False, True], ids=["still coming", "all there"])
def test_what_was_heard_is_estimated_from_where_the_listener_says_that_it_began(ended: bool) -> None:
    state = speaking()
    if ended:
        state, _ = step(POLICY, state, ReplyEnded(30_000, 2, 160_000))
    state, _ = step(POLICY, state, ReplyBegan(state.reply_began + 24_000, 2))
    state, _ = step(POLICY, state, Opened(speaking().reply_began + 48_000, by_voice=True))
    assert state.stopped is not None
    assert state.stopped.heard_ms == 1500


def test_a_reply_that_is_still_coming_is_not_over_when_the_one_before_would_have_been() -> None:
    state, _ = step(POLICY, speaking(), ReplyEnded(30_000, 2, 16_000))
    state, _ = step(POLICY, state, Played(46_000))
    state, _ = step(POLICY, state, Typed(47_000, "and tomorrow?"))
    for at in (48_000, 52_000):  # its first sound, and then the listener says that it was played from later on
        state, _ = step(POLICY, state, ReplyBegan(at, state.revision))
        assert (state.phase, state.deadline) == (Phase.SPEAKING, None)


def test_a_reply_without_sound_ends_the_turn() -> None:
    state, _ = heard()
    state, _ = step(POLICY, state, Deadline(29_600))
    state, actions = step(POLICY, state, ReplyEnded(30_000, 2, 0))
    assert (state.phase, actions) == (Phase.IDLE, (Remember(2, None),))


def test_stop_and_interruption() -> None:
    assert step(POLICY, speaking(), Stop(40_000, 700))[1] == (StopSpeaking(2), Remember(2, 700))
    assert step(POLICY, speaking(), Stop(40_000))[1] == (StopSpeaking(2), Remember(2, -1))
    state, actions = step(POLICY, speaking(), Opened(40_000))
    assert (state.phase, actions) == (Phase.LISTENING, (StopSpeaking(2), Remember(2, -1)))
    state, _ = heard()
    assert step(POLICY, state, Stop(25_000))[1] == (Discard(2),)
    state, _ = step(POLICY, state, Deadline(29_600))
    assert step(POLICY, state, Stop(30_000))[1] == (StopSpeaking(2), Remember(2, 0))
    assert step(POLICY, state, Opened(30_000))[1] == (Withdraw(2),)
    assert step(POLICY, State(), Stop(0)) == (State(), ())


def test_speech_over_a_reply_interrupts_only_where_the_policy_says_so() -> None:
    state = replace(speaking(), open=True)
    assert step(POLICY, state, SpeechBegan(60_000)) == (state, ())
    decides = replace(POLICY, interrupts=True)
    over, actions = step(decides, state, SpeechBegan(60_000))
    assert (over.phase, actions, over.deadline) == (Phase.OVERLAP, (Duck(),), 64_800)
    back, actions = step(decides, over, SpeechPaused(62_000))
    assert (back.phase, actions, back.deadline) == (Phase.SPEAKING, (Swell(),), state.reply_until)
    state, actions = step(decides, over, Deadline(64_800))
    assert (state.phase, actions, state.began) == (Phase.HEARING, (StopSpeaking(2), Remember(2, -1)), 60_000)
    assert state.deadline == 60_000 + POLICY.longest


def test_a_stream_that_is_opened_over_a_reply_stops_it_only_where_the_satellite_decides() -> None:
    spoken = replace(speaking(), open=False)
    state, actions = step(POLICY, spoken, Opened(60_000))
    assert (state.phase, actions) == (Phase.LISTENING, (StopSpeaking(2), Remember(2, -1)))
    decides = replace(POLICY, interrupts=True)
    state, actions = step(decides, spoken, Opened(60_000))
    assert (state.phase, actions, state.began) == (Phase.SPEAKING, (), 60_000)
    assert step(decides, state, SpeechBegan(61_000))[1] == (Duck(),), "from now on speech interrupts it"


def test_speech_over_a_reply_soon_after_the_turn_goes_on_with_it() -> None:
    decides = replace(POLICY, interrupts=True)
    state, _ = step(decides, replace(speaking(), open=True), SpeechBegan(40_000))
    state, actions = step(decides, state, Deadline(44_800))
    assert (state.phase, state.joined, state.began) == (Phase.HEARING, True, 1000)
    assert actions == (StopSpeaking(2), Remember(2, -1), Withdraw(2))
    written = replace(speaking(), open=True, began=speaking().committed)
    state, _ = step(decides, written, SpeechBegan(40_000))
    state, actions = step(decides, state, Deadline(44_800))
    assert (state.joined, state.began, len(actions)) == (False, 40_000, 2), "who has typed goes on with nothing"


@pytest.mark.parametrize("text", ["", "mm"])
def test_a_stream_that_ends_over_a_reply_is_heard_at_once(text: str) -> None:
    decides = replace(POLICY, interrupts=True)
    state, _ = step(decides, replace(speaking(), open=True), SpeechBegan(60_000))
    state, actions = step(decides, state, Ended(62_000))
    assert (state.phase, state.began, state.paused) == (Phase.THINKING, 60_000, 62_000)
    assert actions == (StopSpeaking(2), Remember(2, -1), Transcribe(state.revision))
    state, actions = step(decides, state, Transcribed(63_000, state.revision, text, filler=True))
    assert actions[0] == Resume(state.revision, 2, 2018, text)


def stopped(heard_ms: int = 5000, at: int = 120_000) -> State:
    """A reply that the satellite stopped after `heard_ms`."""
    state, actions = step(POLICY, speaking(), Played(at, heard_ms))
    assert (state.phase, actions) == (Phase.IDLE, (Remember(2, heard_ms),))
    return state


@pytest.mark.parametrize("text", ["", "yeah"])
def test_a_cough_or_an_mm_over_a_reply_lets_it_go_on(text: str) -> None:
    state, actions = step(POLICY, stopped(), Opened(121_000, by_voice=True))
    assert (state.phase, actions) == (Phase.LISTENING, ())
    state, _ = step(POLICY, state, SpeechBegan(121_500))
    state, _ = step(POLICY, state, SpeechPaused(126_000))
    state, _ = step(POLICY, state, Deadline(129_200))
    state, actions = step(POLICY, state, Transcribed(130_000, state.revision, text, filler=bool(text)))
    assert (actions, state.deadline) == ((), 126_000 + POLICY.likely_silence), "no longer than after a sentence"
    state, actions = step(POLICY, state, Deadline(130_800))
    assert (state.phase, actions) == (Phase.THINKING, (Resume(state.revision, 2, 5000, text),))
    assert (state.stopped, state.began, state.committed) == (None, 1000, 130_800)
    assert step(POLICY, state, SpeechBegan(130_900)) == (state, ()), "the stream is over"
    state, _ = step(POLICY, state, ReplyBegan(131_000, state.revision))
    assert (state.phase, state.deadline) == (Phase.SPEAKING, None), "it lasts as long as it lasts"


def test_a_turn_over_a_reply_ends_it_for_good() -> None:
    state, _ = step(POLICY, stopped(), Opened(121_000, by_voice=True))
    state, _ = step(POLICY, state, SpeechBegan(121_500))
    state, _ = step(POLICY, state, Ended(140_000))
    state, actions = step(POLICY, state, Transcribed(141_000, state.revision, "stop that"))
    assert actions == (Respond(state.revision, "stop that"), Commit(state.revision, "stop that"))
    assert state.stopped is None


@pytest.mark.parametrize(("at", "by_voice"), [(121_000, False), (120_000 + POLICY.kept + 1, True)])
def test_a_button_or_a_late_voice_goes_on_with_nothing(at: int, by_voice: bool) -> None:
    state, actions = step(POLICY, stopped(), Opened(at, by_voice))
    assert (state.stopped, actions) == (None, ())
    assert step(POLICY, state, Deadline(at + POLICY.no_speech))[1] == (NothingHeard(),)


def test_who_goes_on_at_once_had_not_finished() -> None:
    committed = speaking().committed
    state, _ = step(POLICY, speaking(), Played(committed + 8_000, 300))
    state, actions = step(POLICY, state, Opened(committed + 9_000, by_voice=True))
    assert (state.phase, actions, state.joined, state.began) == (Phase.LISTENING, (Withdraw(2),), True, 1000)
    state, _ = step(POLICY, state, SpeechBegan(committed + 9_500))
    assert (state.phase, state.began) == (Phase.HEARING, 1000)


@pytest.mark.parametrize(("heard_ms", "joined"), [(500, True), (1000, False)])
def test_a_voice_over_a_reply_that_is_none_lets_it_go_on_from_where_it_was_stopped(heard_ms: int, joined: bool) -> None:
    at = speaking().reply_began + heard_ms * RATE // 1000
    state, actions = step(POLICY, speaking(), Opened(at, by_voice=True))
    assert actions == (StopSpeaking(2), Remember(2, -1), *((Withdraw(2),) if joined else ()))
    assert (state.phase, state.joined, state.deadline) == (Phase.LISTENING, joined, at + POLICY.no_speech_over)
    state, actions = step(POLICY, state, Deadline(at + POLICY.no_speech_over))
    assert actions == (Resume(state.revision, 2, heard_ms, ""),)


def test_who_speaks_long_after_the_turn_begins_another_though_little_of_a_late_reply_was_heard() -> None:
    committed = speaking().committed
    state, _ = step(POLICY, speaking(), Played(committed + 40_000, 300))
    state, actions = step(POLICY, state, Opened(committed + 41_000, by_voice=True))
    assert (actions, state.joined) == ((), False)


def test_a_stream_that_is_opened_anew_goes_on_with_nothing_and_one_that_is_over_waits_for_nothing() -> None:
    committed = speaking().committed
    state, _ = step(POLICY, speaking(), Played(committed + 8_000, 300))
    state, _ = step(POLICY, state, Opened(committed + 9_000, by_voice=True))
    assert (state.joined, state.open) == (True, True)
    again, _ = step(POLICY, state, Opened(committed + 10_000))
    assert (again.joined, again.open, again.began) == (False, True, committed + 10_000)
    over, _ = step(POLICY, state, Stop(committed + 10_000))
    assert (over.joined, over.open, over.deadline) == (False, False, None)


@pytest.mark.parametrize("joined", [True, False], ids=["goes on", "another turn"])
def test_a_reply_whose_turn_was_taken_back_does_not_go_on_though_nothing_more_is_said(joined: bool) -> None:
    committed = speaking().committed
    state, _ = step(POLICY, speaking(), Played(committed + 8_000, 300 if joined else 1000))
    state, _ = step(POLICY, state, Opened(committed + 9_000, by_voice=True))
    assert state.joined is joined
    for began, text in ((committed + 9_500, "hello and"), (committed + 40_000, "")):
        state, _ = step(POLICY, state, SpeechBegan(began))
        state, _ = step(POLICY, state, SpeechPaused(began + 10_000))
        state, _ = step(POLICY, state, Deadline(began + 13_200))
        state, actions = step(POLICY, state, Transcribed(began + 14_000, state.revision, text))
        undone = (Undo(2),) if joined else ()
        assert actions == ((*undone, Respond(state.revision, text)) if text else ())
    state, actions = step(POLICY, state, Deadline(committed + 40_000 + 10_000 + POLICY.unknown_silence))
    if joined:
        assert (state.phase, actions) == (Phase.LISTENING, ())
    else:
        assert actions == (Resume(state.revision, 2, 1000, ""),)


def test_who_has_typed_and_then_speaks_over_the_reply_begins_a_turn_of_their_own() -> None:
    state, _ = step(POLICY, speaking(), Played(120_000))
    state, _ = step(POLICY, state, Typed(130_000, "and tomorrow?"))
    state, _ = step(POLICY, state, ReplyBegan(131_000, state.revision))
    state, actions = step(POLICY, state, Opened(132_000, by_voice=True))
    assert (actions[-1], state.joined) == (Remember(state.revision - 1, -1), False)


def test_a_voice_where_no_reply_was_stopped_begins_a_turn_like_any_other() -> None:
    state, actions = play(POLICY, Opened(0, by_voice=True))
    assert (state.phase, actions, state.deadline) == (Phase.LISTENING, [], POLICY.no_speech)


def test_who_has_heard_a_second_of_the_reply_begins_a_turn_of_their_own() -> None:
    committed = speaking().committed
    state, _ = step(POLICY, speaking(), Played(committed + 8_000, 1000))
    state, actions = step(POLICY, state, Opened(committed + 9_000, by_voice=True))
    assert (actions, state.joined) == ((), False)


def test_nobody_speaks_after_an_interruption_and_the_reply_goes_on() -> None:
    state, _ = step(POLICY, stopped(), Opened(121_000, by_voice=True))
    assert state.deadline == 121_000 + POLICY.no_speech_over
    state, actions = step(POLICY, state, Deadline(state.deadline))
    assert actions == (Resume(state.revision, 2, 5000, ""),)


def test_a_reply_that_ends_while_somebody_speaks_over_it_was_heard() -> None:
    decides = replace(POLICY, interrupts=True)
    state, _ = step(decides, replace(speaking(), open=True), SpeechBegan(40_000))
    state, actions = step(decides, state, Played(42_000))
    assert (state.phase, actions, state.began) == (Phase.HEARING, (Remember(2, None),), 40_000)


def test_a_new_stream_gives_up_what_was_being_heard() -> None:
    state, _ = heard()
    state, actions = step(POLICY, state, Opened(25_000))
    assert (state.phase, actions) == (Phase.LISTENING, (Discard(2),))


def test_typed_text_is_a_turn_that_is_over() -> None:
    state, actions = play(POLICY, Typed(0, "  hello "))
    assert (state.phase, actions) == (Phase.THINKING, [Respond(1, "hello"), Commit(1, "hello")])
    assert play(POLICY, Typed(0, "  ")) == (State(), [])
    state, actions = play(POLICY, Opened(0), Typed(5, "hello"))
    assert actions == [Respond(2, "hello"), Commit(2, "hello")]


def test_other_peoples_pipelines_only_want_the_transcript() -> None:
    policy = replace(POLICY, answers=False)
    state, actions = heard(policy)
    assert actions == [Transcribe(2), AskTurnModel(2)]
    state, actions = step(policy, state, Deadline(29_600))
    assert (state.phase, actions) == (Phase.IDLE, (Commit(2, "hello"),))
    state, _ = play(policy, Opened(0), SpeechBegan(1), Ended(9000))
    state, actions = step(policy, state, Failed(9500, 2))
    assert (state.phase, actions) == (Phase.IDLE, (Apologise(2),)), "nothing is said that would have to be played"
    prepares = replace(policy, prepares=True)
    state, actions = heard(prepares)
    assert actions[-1] == Respond(2, "hello"), "somebody else may ask for the reply soon"
    assert step(prepares, state, Deadline(29_600))[1] == (Commit(2, "hello"),)


def test_thinking_that_hears_nothing_ends_the_turn() -> None:
    state, _ = play(POLICY, Opened(0), SpeechBegan(1), Ended(9000))
    assert step(POLICY, state, Transcribed(9500, 2, ""))[1] == (NothingHeard(),)


def test_what_is_not_in_the_table_changes_nothing() -> None:
    events = [SpeechBegan(5), SpeechPaused(5), Ended(5), Played(5), Deadline(5), TurnJudged(5, 0, 0.9)]
    for event in events:
        assert step(POLICY, State(), event) == (State(), ())
    hearing, _ = play(POLICY, Opened(0), SpeechBegan(1000))
    for event in (SpeechBegan(5), Played(5), TurnJudged(5, 1, 0.9), Typed(5, "hello")):
        assert step(POLICY, hearing, event) == (hearing, ())
