"""What starts a turn, with real speech: the wake word, a voice, and what the turn then begins with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from satellite_rig import QUIET, eventually, rig

from antiphon.audio.pcm import RATE, Samples, level_db, to_samples
from antiphon.audio.vad import load, speech_bounds
from antiphon_satellite.interruption import Heard
from antiphon_satellite.questions import asks
from antiphon_satellite.states import State
from antiphon_satellite.voice import Told

Say = Callable[[str], Samples]


async def test_the_wake_word_starts_a_turn_that_begins_with_what_is_said_right_after(say: Say) -> None:
    async with rig(start="wake") as one, one.controller() as home:
        await one.until(State.IDLE)
        one.card.say(say("Okay nabu, turn on the light."))
        await home.expect("run-pipeline", within_s=5)
        assert home.kinds[:2] == ["detection", "run-pipeline"]
        assert home.of("detection")[0].data["name"] == "okay_nabu"
        await eventually(lambda: len(home.heard[0]) > 1.5 * 32_000, 4)
        heard = to_samples(home.heard[0])
        whole = say("Okay nabu, turn on the light.")
        bounds = speech_bounds(heard, load(light=True))
        assert bounds is not None
        after_comma = 0.64 * RATE  # turn on the light
        assert bounds[1] - bounds[0] > after_comma * 0.6
        assert len(heard) / RATE < len(whole) / RATE + 1.0


@pytest.mark.parametrize(("controller", "quiet_s"), [(None, 0.5), ("antiphon/ours", 0.0)])
async def test_others_hear_silence_before_what_follows_the_wake_word(
    say: Say, controller: str | None, quiet_s: float
) -> None:
    """With the 0.25 s that lie before the turn they have 0.75 s until what is heard now; our daemon needs none."""
    async with rig(start="wake") as one, one.controller(controller) as home:
        await one.until(State.IDLE)
        hiss = np.random.default_rng(9).normal(0, 0.001, 12 * RATE).astype(np.float32)
        speech = say("Okay nabu, turn on the light.")
        hiss[: len(speech)] += speech
        one.card.say(hiss)
        await home.expect("run-pipeline", within_s=5)
        await eventually(lambda: len(home.heard[0]) > 1.2 * 32_000, 4)
        sounding = np.flatnonzero(to_samples(home.heard[0]))
        assert sounding[0] / RATE == pytest.approx(quiet_s, abs=0.01)


async def test_other_speech_starts_nothing_in_wake_word_mode(say: Say) -> None:
    async with rig(start="wake") as one, one.controller() as home:
        await one.until(State.IDLE)
        speech = say("What time is it in the kitchen?")
        one.card.say(speech)
        await eventually(lambda: one.satellite.microphone.position > len(speech) + RATE, 6)
        assert home.kinds == []


async def test_in_voice_mode_a_turn_begins_before_the_speech_and_tells_no_detection(say: Say) -> None:
    async with rig(start="voice") as one, one.controller() as home:
        await one.until(State.IDLE)
        await eventually(lambda: one.satellite.microphone.position > RATE)
        one.card.say(say("What time is it?"))
        await home.expect("run-pipeline", within_s=4)
        assert home.kinds == ["run-pipeline"]
        await eventually(lambda: len(home.heard[0]) > 1.2 * 32_000, 3)
        heard = to_samples(home.heard[0])
        assert level_db(heard[: RATE // 2]) < -60, "silence first: nothing of the speech is lost"
        assert level_db(heard) > -40


async def test_an_answer_is_heard_without_the_wake_word(say: Say) -> None:
    async with rig(start="wake") as one, one.controller(answer="Which room?", transcribe_after_s=1.0) as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await one.until(State.LISTENING, within_s=4)
        one.card.say(say("The kitchen."))
        await home.expect("run-pipeline", 2, within_s=4)
        assert "detection" not in home.kinds
        await eventually(lambda: len(home.heard[1]) > 0.8 * 32_000, 3)
        assert level_db(to_samples(home.heard[1])) > -40


async def test_the_wake_word_interrupts_a_reply(say: Say) -> None:
    async with rig(QUIET, start="wake") as one, one.controller(answer="A story.", reply_s=20.0) as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await one.until(State.SPEAKING, within_s=4)
        one.card.say(say("Okay nabu, stop."))
        await home.expect("played", within_s=5)
        await home.expect("run-pipeline", 2)
        assert home.races == 0
        assert "detection" not in home.kinds


async def test_muted_it_hears_nothing(say: Say) -> None:
    async with rig(start="wake", muted=True) as one, one.controller() as home:
        speech = np.concatenate((say("Okay nabu."), np.zeros(RATE // 2, dtype=np.float32)))
        one.card.say(speech)
        await eventually(lambda: one.satellite.microphone.position > len(speech), 5)
        assert home.kinds == []
        one.satellite.press()
        await one.until(State.IDLE)


async def test_muted_and_unmuted_over_an_announcement_it_hears_nothing_and_then_again() -> None:
    async with rig(start="wake") as one, one.controller() as home:
        await one.until(State.IDLE)
        await home.sound(2.0)
        await one.until(State.ANNOUNCING)
        voice = one.satellite.ears._voice
        assert voice is not None
        one.satellite.mute(on=True)
        one.satellite.ears._told(Told(voice.generation, Heard.LASTED, 0))
        assert one.satellite.state is State.ANNOUNCING
        one.satellite.mute(on=False)
        one.satellite.ears._told(Told(voice.generation, Heard.LASTED, 0))
        await one.until(State.STREAMING)


@pytest.mark.parametrize(
    "text",
    [
        "Which room?",
        'He said "why?"',
        "어느 방을 말씀하시나요",
        "불을 켤까요.",
        "무엇입니까",
        "どの部屋？",
        "Sure? ",
        "How can I help? 😊",
        "Really?!",
    ],
)
def test_what_asks(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize("text", ["It is noon.", "", "네, 켰어요.", "그러니까.", "집에 가요.", "Really? No."])
def test_what_does_not_ask(text: str) -> None:
    assert not asks(text)
