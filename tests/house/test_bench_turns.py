"""The arithmetic of `bench turns`: what one way in is later than another adds up from the parts of the waterfall."""

from __future__ import annotations

import sys

from antiphon.configuration import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import load
import soak
from _corpus import Utterance
from _difference import difference, parts_of
from _turn import Result

from antiphon_daemon.insight.trace import Trace

SAID = Utterance("a.wav", "hello", "joe", 2.0)


def answered(first_audio_s: float, *, wire_s: float = 0.02, **stages: float) -> Result:
    """Return a turn whose draft was ready in time, but for what `stages` say."""
    whole = {"soft_end": 0.1, "stt": 0.25, "llm_first": 0.35, "tts_first": 0.45, "turn_end": 0.5, **stages}
    whole["first_audio"] = max(whole["turn_end"], whole["tts_first"])
    result = Result(SAID, drafts=1)
    assert result.came([10.0 + whole["turn_end"]], [10.0 + first_audio_s], 10.0)
    result.waterfall({name: at * 1000 for name, at in whole.items()}, 0)
    return result


def test_a_cut_off_is_a_turn_or_a_sound_before_the_labelled_end() -> None:
    for over_at, sound_at in (([9.9, 10.5], [10.6]), ([10.5], [9.9])):
        result = Result(SAID)
        assert not result.came(over_at, sound_at, 10.0)
        assert result.cut_off
        assert result.first_audio_s is None


def test_the_parts_of_a_turn_are_its_time_to_the_first_sound() -> None:
    late = answered(0.64, tts_first=0.6)
    assert not late.hit
    parts = parts_of(late)
    assert parts is not None
    assert {part: round(value * 1000) for part, value in parts.items()} == {
        "hold": 500,
        "not_ready": 100,
        "out": 0,
        "wire": 40,
    }
    assert parts_of(Result(SAID)) is None


def test_what_is_later_is_told_by_where_it_comes_from() -> None:
    ws = [answered(0.56, turn_end=0.53), answered(0.67, stt=0.4, llm_first=0.5, tts_first=0.62)]
    ours = [answered(0.51), answered(0.51)]
    found = difference([*ws, Result(SAID)], [*ours, answered(0.51)], "ws", "the conversation")
    assert (found["pairs"], found["later_mean_ms"]) == (2, 105)
    assert found["parts_mean_ms"] == {"hold": 15, "not_ready": 60, "out": 0, "wire": 30}
    assert sum(found["parts_mean_ms"].values()) == found["later_mean_ms"]
    assert found["steps_mean_ms"] == {"stt": 75, "llm": 0, "tts": 10}
    assert found["says"].startswith("ws answers +105 ms against the conversation in the mean of 2 turns: the reply is")


def test_a_way_in_that_tells_no_waterfall_is_compared_all_the_same() -> None:
    bare = Result(SAID)
    bare.came([10.52], [10.6], 10.0)
    found = difference([bare], [answered(0.51)], "realtime", "the conversation")
    assert (found["later_p50_ms"], found["hold_mean_ms"]) == (90, 20)
    assert found["says"].endswith("taken for over +20 ms, and what follows +70 ms; it tells no waterfall.")


def test_an_apology_is_no_answer() -> None:
    result = Result(SAID)
    assert not result.came([10.5], [10.6], 10.0, "the language model cannot be reached")
    assert (result.first_audio_s, result.cut_off) == (None, False)
    tally = soak.Tally()
    ears, trace = soak.Ears(tally), Trace()
    trace.failed("the language model cannot be reached")
    ears.fresh()
    ears.reply_ended(trace)
    assert tally.apologies.total() == 1


def test_a_daemon_that_does_not_answer_is_in_no_budget() -> None:
    results = [answered(0.5), *(Result(SAID) for _ in range(11))]
    found = load.figures(load.Spoken(4, results=results))
    assert (found["unanswered"], found["within_budget"]) == (11, False)
