"""Several wake words, each an assistant of its own: one port, device and pipeline of Home Assistant for each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from satellite_rig import Controller, Rig, eventually, pitch_level, rig
from speech import Say, silence

from antiphon.settings import Satellite as Settings
from antiphon.wire.link import ask_info
from antiphon_satellite.service import shares
from antiphon_satellite.states import State

WORDS = {"words": ["okay_nabu", "hey_jarvis"], "assistants": "each"}


@contextlib.asynccontextmanager
async def two(**how: Any) -> AsyncIterator[tuple[Rig, Controller, Controller]]:
    """A satellite with two wake words, and Home Assistant at each."""
    async with (
        rig(start="wake", wake=WORDS) as place,
        place.controller(**how) as nabu,
        place.controller(endpoint=1, **how) as jarvis,
    ):
        await place.until(State.IDLE)
        await eventually(lambda: len(place.satellite.service._election.candidates) == 2)
        yield place, nabu, jarvis


async def test_each_word_is_a_satellite_of_its_own() -> None:
    async with rig(start="wake", wake=WORDS) as place:
        infos = [await ask_info(f"tcp://127.0.0.1:{port}") for port in place.ports]
        kinds = place.satellite.service.announced()
    known = [info.satellite for info in infos if info.satellite]
    assert [one.name for one in known] == ["kitchen (Okay Nabu)", "kitchen (Hey Jarvis)"]
    assert [one.active_wake_words for one in known] == [["okay_nabu"], ["hey_jarvis"]]
    assert kinds == {"satellite": place.ports[0], "satellite-hey-jarvis": place.ports[1]}


async def test_the_word_chooses_who_answers(say: Say) -> None:
    # Who answers thinks a moment: sound that is on its way as the run ends is lost rightly.
    async with two(answer="it is late", think_s=0.5) as (place, nabu, jarvis):
        place.card.say(say("Hey Jarvis."))
        await jarvis.expect("run-pipeline", within_s=6)
        assert jarvis.of("detection")[0].data["name"] == "hey_jarvis"
        assert jarvis.of("run-pipeline")[0].data["wake_word_name"] == "hey_jarvis"
        await jarvis.expect("played", within_s=8)
        await place.until(State.IDLE)
        place.card.say(say("Okay Nabu."))
        await nabu.expect("played", within_s=8)
        assert len(jarvis.of("run-pipeline")) == len(nabu.of("run-pipeline")) == 1
        assert nabu.races == jarvis.races == nabu.lost_chunks == jarvis.lost_chunks == 0


async def test_another_word_over_a_reply_ends_it_and_calls_the_other(say: Say) -> None:
    async with two() as (place, nabu, jarvis):
        place.card.say(say("Okay Nabu."))
        await nabu.expect("run-pipeline", within_s=6)
        await nabu.transcript("tell me a story")
        await nabu.synthesize("once upon a time")
        await nabu.sound(20)
        await place.until(State.SPEAKING)
        place.card.say(say("Hey Jarvis."))
        await jarvis.expect("run-pipeline", within_s=6)
        assert place.satellite.state is State.STREAMING
        await nabu.expect("played")
        assert nabu.of("played")[0].data["heard_ms"] < 8000, "its story is not heard to the end"
        assert len(nabu.of("run-pipeline")) == 1


async def test_the_reply_of_a_turn_that_the_other_word_ended_is_never_played(say: Say) -> None:
    async with two() as (place, nabu, jarvis):
        place.card.say(say("Okay Nabu."))
        await nabu.expect("run-pipeline", within_s=6)
        await nabu.transcript("tell me a story")
        await place.until(State.THINKING)
        place.card.say(say("Hey Jarvis."))
        await jarvis.expect("run-pipeline", within_s=6)
        await jarvis.error("stt-no-text-recognized")
        await place.until(State.IDLE)
        played = len(place.card.played)
        await nabu.synthesize("once upon a time")
        await nabu.sound(0.5)
        await asyncio.sleep(0.7)
        assert place.satellite.state is State.IDLE
        assert pitch_level(place.card.played[played:], 440) < 0.1, "but for the cue"


async def test_a_word_whose_assistant_is_away_is_answered_by_the_other(say: Say) -> None:
    async with rig(start="wake", wake=WORDS) as place, place.controller(answer="it is late") as nabu:
        await place.until(State.IDLE)
        place.card.say(say("Hey Jarvis."))
        await nabu.expect("played", within_s=8)


async def test_muted_for_one_it_is_muted_for_all_until_that_one_is_back(say: Say) -> None:
    async with two(answer="it is late") as (place, nabu, jarvis):
        await jarvis.link.send(_event("pause-satellite"))
        await place.until(State.MUTED)
        place.card.say(say("Okay Nabu."))
        place.card.say(silence(0.5))
        await eventually(lambda: len(place.card._said) == 0, 6)
        assert not nabu.of("run-pipeline")
        await jarvis.link.send(_event("run-satellite"))
        await place.until(State.IDLE)
        place.card.say(say("Okay Nabu."))
        await nabu.expect("played", within_s=8)


async def test_an_assistant_that_is_called_back_is_asked_for_no_run_while_its_last_one_lives() -> None:
    """Trap 1, by way of another assistant's word: whose run was left alive is in the middle of it still."""
    words = {"words": ["okay_nabu", "hey_jarvis"], "assistants": "each"}
    async with (
        rig(start="wake", wake=words) as place,
        place.controller(answer="A long story.", think_s=4.0) as nabu,
        place.controller(answer="No.", endpoint=1) as jarvis,
    ):
        await place.until(State.IDLE)
        one = place.satellite
        one.woke("okay_nabu", one.microphone.position)
        await place.until(State.THINKING, within_s=5)
        one.woke("hey_jarvis", one.microphone.position)
        await jarvis.expect("run-pipeline")
        await place.until(State.THINKING, State.SPEAKING, within_s=5)
        one.woke("okay_nabu", one.microphone.position)
        await asyncio.sleep(1)
        assert nabu.races == 0


def test_one_port_serves_all_words_where_that_is_wanted() -> None:
    from antiphon.audio.wake import Word

    words = [Word("okay_nabu", "Okay Nabu", ["en"]), Word("hey_jarvis", "Hey Jarvis", ["en"])]
    assert shares(Settings(), words) == [words]
    assert shares(Settings(wake=WORDS), words) == [[words[0]], [words[1]]]
    assert shares(Settings(wake=WORDS), []) == [[]], "started by a voice or a button"


def _event(kind: str) -> Any:
    from wyoming.event import Event

    return Event(kind)
