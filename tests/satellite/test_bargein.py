"""Interrupting, in a room where the microphone hears the speaker: the real satellite, and sound on one clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from room import Place, active_level, in_room, room, run
from satellite_rig import loudest
from speech import cough, espeak
from wyoming.event import Event

from antiphon.audio.pcm import RATE, Samples, level_db, resample, to_samples
from antiphon.audio.vad import load, speech_bounds
from antiphon_satellite.sound.echo import AFTER_S
from antiphon_satellite.states import UNHEARD, State

Say = Callable[[str], Samples]

STORY = "There once was a dragon who lived on a hill above a small town, and every evening he looked at the lamps."
LIVING_ROOM = room(0.35)


def story(say: Say) -> Samples:
    """Return a reply of six seconds: mono, 22050 Hz."""
    return resample(say(STORY), RATE, 22_050)


@asynccontextmanager
async def speaking(
    say: Say, *, warm: bool = True, card: dict[str, Any] | None = None, **how: Any
) -> AsyncIterator[Place]:
    """A satellite that has just begun a reply; `warm`: it has spoken one before."""
    level = active_level(story(say)) * 0.64
    async with in_room(LIVING_ROOM, card={"echo_db": -6.0, "reply_level": level, **(card or {})}, **how) as place:
        if warm:
            await reply(place, say)
            await to_its_end(place, say)
        await reply(place, say)
        yield place


async def reply(place: Place, say: Say) -> None:
    """Have a turn and begin its reply."""
    place.satellite.press()
    runs = len(place.home.of("run-pipeline")) + 1
    await place.until(lambda: len(place.home.of("run-pipeline")) >= runs)
    await asyncio.sleep(0.5)
    await answer(place, say)


async def to_its_end(place: Place, say: Say) -> None:
    """Wait until the reply was heard to its end."""
    played = len(place.home.of("played"))
    await place.until_state(State.IDLE, within_s=10)
    await place.until(lambda: len(place.home.of("played")) > played, 1)
    assert place.home.of("played")[-1].data["heard_ms"] == pytest.approx(len(story(say)) / 22.05, abs=20)


async def answer(place: Place, say: Say) -> None:
    """Answer the run as Home Assistant does."""
    await place.home.transcript("tell me a story")
    await place.home.synthesize(STORY)
    await place.until_state(State.THINKING)
    await place.speak(story(say))
    before = len(place.card.played)
    await place.until(lambda: bool(np.any(place.card.played[before:])))


async def interrupted(place: Place, text: str = "wait a moment please", level_db: float = -26.0) -> None:
    """Speak over the reply and wait for the turn that this begins."""
    place.card.say(espeak(text), level_db)
    await place.until_state(State.STREAMING, within_s=2.0)


def test_speech_over_a_reply_stops_it_and_is_heard_from_before_its_beginning(say: Say) -> None:
    async def scene() -> None:
        async with speaking(say) as place:
            await asyncio.sleep(1.0)
            runs = len(place.home.of("run-pipeline"))
            played = len(place.home.of("played"))
            await interrupted(place)
            await place.until(lambda: len(place.home.of("run-pipeline")) > runs)
            heard_ms = place.home.of("played")[played].data["heard_ms"]
            assert 1000 < heard_ms < 1600
            assert not np.any(place.card.played[-2400:]), "it is silent"
            assert place.home.races == 0
            assert place.home.kinds[-2:] == ["played", "run-pipeline"], "no detection: nobody said the wake word"
            await place.until(lambda: len(place.home.heard[-1]) > 2 * 32_000)
            heard = to_samples(place.home.heard[-1])
            bounds = speech_bounds(heard, load(light=True))
            assert bounds is not None
            assert bounds[1] - bounds[0] > 0.7 * RATE

    run(scene())


def test_a_cough_pauses_the_reply_and_it_goes_on_from_the_same_sample(say: Say) -> None:
    async def scene() -> None:
        async with speaking(say) as place:
            await asyncio.sleep(1.0)
            runs = len(place.home.of("run-pipeline"))
            place.card.say(cough(), -20.0)
            await to_its_end(place, say)
            assert len(place.home.of("run-pipeline")) == runs

    run(scene())


def test_an_interruption_in_which_nothing_is_recognised_lets_the_reply_go_on(say: Say) -> None:
    """Under Home Assistant too: the satellite itself ends the speech when it has heard that nobody speaks."""

    async def scene() -> None:
        async with speaking(say) as place:
            await asyncio.sleep(0.8)
            await interrupted(place, "mm hm")
            ends = len(place.home.of("audio-stop"))
            await place.until(lambda: len(place.home.of("audio-stop")) > ends, 3)
            assert place.satellite.state is State.WAITING
            await place.home.error(UNHEARD)
            await place.until_state(State.SPEAKING)
            assert place.home.of("played")[-1].data["heard_ms"] < 1800
            await to_its_end(place, say)

    run(scene())


@pytest.mark.parametrize("echo_db", [-20.0, 0.0])
def test_its_own_voice_neither_pauses_nor_stops_it_not_even_at_first(say: Say, echo_db: float) -> None:
    async def scene() -> None:
        ducks: list[float] = []
        async with speaking(say, warm=False, card={"echo_db": echo_db}) as place:
            place.satellite.speaker.duck = lambda: ducks.append(0.0)  # type: ignore[method-assign]
            for _ in range(2):
                await to_its_end(place, say)
                await reply(place, say)
            await to_its_end(place, say)
            assert not ducks

    run(scene())


def test_a_reply_is_interrupted_in_its_first_syllable_and_twice_in_a_row(say: Say) -> None:
    async def scene() -> None:
        async with speaking(say) as place:
            await interrupted(place, "no, the other one")
            await asyncio.sleep(1.5)
            await answer(place, say)
            await interrupted(place, "stop it please")
            await place.until(lambda: len(place.home.of("run-pipeline")) == 4)
            first, second = (event.data["heard_ms"] for event in place.home.of("played")[-2:])
            assert 0 < first < 500
            assert 0 < second < 500
            assert place.home.races == 0

    run(scene())


def test_speech_that_begins_over_the_last_sound_of_a_reply_is_heard(say: Say) -> None:
    """Race: the reply ends while it is not yet clear whether somebody speaks."""

    async def scene() -> None:
        async with speaking(say) as place:
            left = place.satellite.speaker.left_s
            await asyncio.sleep(left - 0.25)
            runs = len(place.home.of("run-pipeline"))
            place.card.say(espeak("what about tomorrow"))
            await place.until(lambda: len(place.home.of("run-pipeline")) > runs, 2)
            assert place.home.races == 0

    run(scene())


@pytest.mark.parametrize(
    "card",
    [{"drift_ppm": 200.0}, {"out_latency_s": 0.6, "told_latency_s": 0.1}, {"told_latency_s": 1.5}],
    ids=["clocks that drift", "a delay that nobody tells", "a delay that is not there"],
)
def test_clocks_that_drift_and_devices_that_tell_wrong_delays(say: Say, card: dict[str, Any]) -> None:
    async def scene() -> None:
        async with speaking(say, warm=False, card=card) as place:
            for _ in range(2):
                await to_its_end(place, say)
                await reply(place, say)
            await asyncio.sleep(1.0)
            await interrupted(place)

    run(scene())


def test_lost_sound_and_devices_that_are_opened_again(say: Say) -> None:
    async def scene() -> None:
        async with speaking(say) as place:
            await asyncio.sleep(2.0)
            place.card.deaf_blocks = 4
            await to_its_end(place, say)
            place.satellite.speaker.opened(24_000, 0.1)
            for _ in range(2):
                await reply(place, say)
                await to_its_end(place, say)
            await reply(place, say)
            await asyncio.sleep(1.0)
            await interrupted(place)

    run(scene())


def test_with_300_ms_of_jitter_on_the_network_an_interruption_is_answered(say: Say) -> None:
    async def scene() -> None:
        async with speaking(say) as place:
            rng = np.random.default_rng(2)
            take, send = place.home._take, place.home.link.send

            async def late_take(event: Event) -> None:
                if event.type not in ("audio-chunk", "pong"):
                    await asyncio.sleep(float(rng.uniform(0, 0.3)))
                await take(event)

            async def late_send(event: Any) -> None:
                if getattr(event, "type", "") in ("transcript", "synthesize", "error"):
                    await asyncio.sleep(float(rng.uniform(0, 0.3)))
                await send(event)

            place.home._take, place.home.link.send = late_take, late_send  # type: ignore[method-assign]
            for _ in range(2):
                await asyncio.sleep(1.0)
                runs = len(place.home.of("run-pipeline"))
                await interrupted(place)
                await place.until(lambda runs=runs: len(place.home.of("run-pipeline")) > runs)
                await asyncio.sleep(1.0)
                await answer(place, say)
            await to_its_end(place, say)
            assert place.home.races == 0

    run(scene())


def test_speech_over_a_ringing_timer_is_a_turn_and_it_rings_again_if_nothing_was_said(say: Say) -> None:
    async def scene() -> None:
        async with speaking(say, warm=False) as place:
            await to_its_end(place, say)
            runs = len(place.home.of("run-pipeline"))
            await place.home.link.send(Event("timer-finished", {"id": "tea"}))
            await place.until_state(State.RINGING)
            await asyncio.sleep(3.0)
            assert place.satellite.state is State.RINGING, "its own bell is no speech"
            await interrupted(place, "mm hm")
            await place.until(lambda: len(place.home.of("run-pipeline")) == runs + 1)
            await place.home.error(UNHEARD)
            await place.until_state(State.RINGING)
            await asyncio.sleep(1.5)
            await interrupted(place, "stop")
            await place.until(lambda: len(place.home.of("run-pipeline")) == runs + 2)
            await place.home.error("interrupted")
            await place.until_state(State.IDLE)
            quiet = len(place.card.played)
            await asyncio.sleep(2.0)
            assert not np.any(place.card.played[quiet + 4800 :])

    run(scene())


@pytest.mark.parametrize("barge_in", ["wake", "off"])
def test_where_a_voice_may_not_interrupt_it_does_not(say: Say, barge_in: str) -> None:
    async def scene() -> None:
        async with speaking(say, warm=False, barge_in=barge_in) as place:
            await asyncio.sleep(0.5)
            place.card.say(espeak("wait a moment please"))
            await asyncio.sleep(2.0)
            assert place.satellite.state is State.SPEAKING
            place.card.say(say("Okay nabu."))
            await asyncio.sleep(1.8)
            assert (place.satellite.state is State.SPEAKING) == (barge_in == "off")

    run(scene())


def test_nothing_runs_while_it_is_quiet(say: Say) -> None:
    async def scene() -> None:
        async with in_room(LIVING_ROOM) as place:
            echo, ears = place.satellite.echo, place.satellite.ears
            place.card.say(espeak("somebody talks about the weather"))
            await asyncio.sleep(3.0)
            assert not echo.running
            assert echo._processor is None
            assert ears._voice is None
            await place.home.speak(story(say)[:22_050])
            await place.until(lambda: echo.running)
            await place.until_state(State.IDLE)
            await asyncio.sleep(AFTER_S + 0.5)
            assert not echo.running

    run(scene())


def test_what_is_sent_while_it_speaks_holds_the_person_and_little_of_itself(say: Say) -> None:
    async def scene() -> None:
        async with speaking(say, card={"echo_db": 0.0}) as place:
            await asyncio.sleep(1.5)
            alone = place.satellite.microphone.take(place.satellite.microphone.position - RATE)
            assert level_db(to_samples(await alone.next() or b"")) < -45, "an echo of -26 dB is hidden"
            place.satellite.microphone.release()
            await interrupted(place)
            await place.until(lambda: len(place.home.heard[-1]) > 32_000)
            assert loudest(place.home.heard[-1]) > 0.1

    run(scene())
