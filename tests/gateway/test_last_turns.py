"""What is kept of the last turns, what is not, and what is counted from it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from antiphon.audio.pcm import Samples
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.judging import Judges
from antiphon_daemon.engines.contracts import EngineError, Engines, Work
from antiphon_daemon.insight.spans import spans
from antiphon_daemon.insight.stages import percentile, summary
from antiphon_daemon.insight.trace import Mark, Trace
from antiphon_daemon.insight.turns import MOST, Outcome, Turn, Turns

SECRET = "order a pizza"


def trace(**marks: float) -> Trace:
    """Return a trace whose marks lie so many seconds after the end of speech."""
    made = Trace(lambda: 0.0)
    for name, at in marks.items():
        mark: Mark = name  # type: ignore[assignment]
        made.note(mark, 100.0 + at)
    return made


SPOKEN = {
    "speech_end": 0.0,
    "judging": 0.03,
    "soft_end": 0.1,
    "stt": 0.25,
    "judged": 0.28,
    "llm_first": 0.3,
    "clause": 0.36,
    "tts_first": 0.45,
    "turn_end": 0.5,
    "first_audio": 0.5,
}


def spoken(turns: Turns, first_audio: float = 0.5, **changes: float) -> Turn:
    return turns.of("websocket", "desk").began(trace(**{**SPOKEN, "first_audio": first_audio, **changes}))


def test_the_last_hundred_turns_are_kept_and_no_more() -> None:
    turns = Turns()
    for _ in range(MOST + 20):
        spoken(turns).end(Outcome.ANSWERED)
    assert [turn.number for turn in turns] == list(range(21, MOST + 21))
    assert turns.count == MOST + 20


def test_nothing_that_was_said_is_kept_unless_it_is_asked_for() -> None:
    turns = Turns()
    turn = turns.of("satellite", "kitchen").began(trace(**SPOKEN), said=SECRET)
    turn.end(Outcome.ANSWERED, answered=SECRET)
    assert "pizza" not in json.dumps(turn.record())
    assert "pizza" not in str(vars(turn))
    turns.keep_words(True)
    turn = turns.of("satellite", "kitchen").began(trace(**SPOKEN), said=SECRET)
    turn.end(Outcome.ANSWERED, answered="A pizza it is.")
    assert (turn.record()["said"], turn.record()["answered"]) == (SECRET, "A pizza it is.")
    turns.keep_words(False)
    assert "pizza" not in json.dumps([turn.record() for turn in turns])


def test_an_error_that_quotes_what_was_said_does_not_quote_it_here() -> None:
    turns = Turns()
    error = EngineError("llm", f"The server failed ({SECRET}).", quoted=SECRET)
    turn = spoken(turns)
    turn.trace.failed(str(error), error.unquoted)
    turn.end(Outcome.ANSWERED)
    assert turn.record()["failure"] == "The server failed (…)."
    assert turn.outcome is Outcome.FAILED
    turns.keep_words(True)
    assert turn.record()["failure"] == str(error)


def test_what_comes_later_changes_no_turn_that_is_over() -> None:
    """A draft that was taken back answers the next turn with the same trace: the record of the first stays."""
    turns, times = Turns(), trace(**SPOKEN)
    first = turns.of("satellite", "kitchen").began(times)
    first.end(Outcome.WITHDRAWN)
    before = first.record()
    times.renew(trace(**{**SPOKEN, "speech_end": 2.0, "turn_end": 2.6}))
    second = turns.of("satellite", "kitchen").began(times)
    assert first.record() == before
    assert second.record()["stages"]["hold"] == (0, 600)


def test_a_stopped_reply_that_goes_on_is_one_turn() -> None:
    turns = Turns()
    turn = spoken(turns)
    times = turn.trace
    turn.end(Outcome.INTERRUPTED, heard_ms=700)
    assert (turn.record()["outcome"], turn.record()["heard_ms"]) == ("interrupted", 700)
    turn.resume(times)
    turn.end(Outcome.ANSWERED)
    assert (turn.record()["outcome"], turn.record()["heard_ms"]) == ("answered", None)
    assert len(list(turns)) == 1


def test_who_leaves_ends_an_open_turn_and_no_other() -> None:
    turns = Turns()
    one, other = spoken(turns), spoken(turns)
    other.end(Outcome.ANSWERED)
    for turn in (one, other):
        turn.leave()
    assert (one.outcome, other.outcome) == (Outcome.LEFT, Outcome.ANSWERED)


def test_the_stages_of_a_turn_follow_each_other() -> None:
    found = spans(trace(**SPOKEN).finer())
    assert found == {
        "hold": (0, 500),
        "stt": (100, 250),
        "turn_model": (30, 280),
        "llm": (250, 300),
        "clause": (300, 360),
        "tts": (360, 450),
        "first_audio": (0, 500),
    }


def test_a_reply_that_was_there_before_its_question_has_no_negative_time() -> None:
    """The speaker cleared their throat: the parked reply is older than the transcript that it now answers."""
    found = spans(trace(**{**SPOKEN, "llm_first": -0.4, "clause": -0.3, "tts_first": -0.2}).finer())
    assert found["llm"] == (-400, -400)
    assert found["tts"] == (-300, -200)


@pytest.mark.parametrize(("share", "value"), [(0.5, 10), (0.95, 19), (1.0, 20)])
def test_percentiles_are_by_nearest_rank(share: float, value: int) -> None:
    assert percentile(list(range(1, 21)), share) == value
    assert percentile([7], share) == 7


def test_what_the_turns_have_in_common() -> None:
    turns = Turns()
    for first_audio in (0.5, 0.6, 0.9):
        spoken(turns, first_audio).end(Outcome.ANSWERED)
    spoken(turns, 1.4, tts_first=1.3).end(Outcome.INTERRUPTED, heard_ms=300)
    spoken(turns, 9.0).end(Outcome.WITHDRAWN)
    typed = turns.of("handle", "desk").began(trace(speech_end=0.0, llm_first=0.7, first_audio=0.8), typed=True)
    typed.trace.failed("it failed")
    typed.end(Outcome.ANSWERED)
    told = summary(turns)
    assert told["turns"] == 5
    assert told["stages"]["first_audio"] == {"n": 4, "p50_ms": 600, "p95_ms": 1400}
    assert told["stages"]["llm"]["n"] == 5
    assert (told["hits"], told["could_hit"]) == (3, 4)
    assert (told["interrupted"], told["failed"]) == (1, 1)


def test_who_watches_is_told_of_each_change_until_they_leave() -> None:
    turns = Turns()
    told: list[str] = []
    unwatch = turns.watch(lambda turn: told.append(turn.outcome.value))
    turn = spoken(turns)
    turn.written(1200)
    turn.end(Outcome.ANSWERED)
    unwatch()
    spoken(turns)
    assert told == ["open", "open", "answered"]


@pytest.mark.parametrize(("ended_ago_s", "span"), [(0.03, (30, 230)), (-0.05, (0, 150))])
async def test_the_turn_model_is_seen_to_work_before_there_is_a_draft(
    ended_ago_s: float, span: tuple[int, int]
) -> None:
    """But never before the end of speech, which sound that comes late makes seem later than it was."""
    now = [10.0]

    class Model:
        name = "model"

        async def finished(self, audio: Samples, work: Work, *, language: str | None) -> float:
            now[0] += 0.2
            return 0.9

        async def close(self) -> None: ...

    nobody: Any = None
    judges = Judges(Engines(nobody, nobody, nobody, Model()), lambda *_: None, lambda: now[0])
    judges.listen(np.zeros(16, dtype=np.float32), "en")
    draft = Draft(1, Trace(lambda: now[0]))
    draft.trace.mark("speech_end", ago_s=ended_ago_s)
    await judges.ask_sound(draft)
    now[0] += 5.0
    assert draft.sound == 0.9
    assert spans(draft.trace.finer())["turn_model"] == span
    await judges.close()
