"""A satellite and a daemon, with a bad network between them."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from alone import ALONE
from bad_network import BadNetwork, bad_network
from satellite_rig import Rig, eventually, rig
from scripted import Ears, Script, Tones
from speech import Say, silence

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Satellites as Known
from antiphon.settings import Settings
from antiphon_daemon import satellites
from antiphon_daemon.conversation import turns
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.satellites import Satellites
from antiphon_satellite.states import Limits, State

WORDS = ("north", "river", "stone", "lantern", "garden", "winter", "silver", "window", "forest", "morning", "bridge")


def story(words: int) -> str:
    """A text of so many words, without a circle in it."""
    return " ".join(random.Random(1).choices(WORDS, k=words)).capitalize() + "."


@asynccontextmanager
async def house(text: str, ears: Ears | None = None, **satellite: Any) -> AsyncIterator[tuple[Rig, BadNetwork, Script]]:
    """A satellite, and a daemon that answers `text` (20 ms of tone a letter)."""

    async def reply() -> AsyncIterator[str]:
        yield text

    model = Script(reply)
    async with rig(Limits(follow_up_s=0.0), **satellite) as one, bad_network(one.port) as network:
        settings = Settings(**{**ALONE, "satellites": Known(discover=False, known=[f"tcp://127.0.0.1:{network.port}"])})
        driving = Satellites(Engines(ears or Ears(), model, Tones()), settings, "0123456789ab")
        driving.start(None)
        try:
            await one.until(State.IDLE)
            yield one, network, model
        finally:
            await driving.stop()


async def ask(one: Rig, sound: Samples) -> None:
    """Press the button and say something; returns when the reply has begun."""
    one.satellite.press()
    one.card.say(sound)
    await one.until(State.SPEAKING, within_s=15)


async def test_a_reply_for_which_the_network_is_slow_is_heard_to_its_end(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race: what asks whether the satellite is still there waits behind the reply, for longer than is waited."""
    monkeypatch.setattr(satellites, "PING_S", 0.5)
    monkeypatch.setattr(satellites, "SILENT_S", 3.0)
    async with house(story(70)) as (one, network, _):
        network.there.bits_per_s = 350_000
        await ask(one, say("Tell me a story."))
        await one.until(State.IDLE, within_s=30)
        assert network.connections == 2, "the one that asked what it is, and the one that drives it"


async def test_a_reply_that_the_network_is_too_slow_for_has_few_gaps(say: Say) -> None:
    async with house(story(25), sound={"cues": False}) as (one, network, _):
        network.there.bits_per_s = 220_000
        await ask(one, say("Tell me a story."))
        await one.until(State.IDLE, within_s=30)
        assert gaps(one.card.played) <= 16  # with a word cut in pieces at each block there are some fifty


async def test_who_interrupts_is_heard_at_once_however_much_of_the_reply_waits_for_the_network(say: Say) -> None:
    async with house(story(70)) as (one, network, _):
        network.there.bits_per_s = 350_000
        await ask(one, say("Tell me a story."))
        await asyncio.sleep(1.0)
        one.satellite.press()
        await one.until(State.STREAMING, within_s=2)


async def test_what_a_slow_network_has_not_brought_is_not_taken_for_heard(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race: the reply would have been played long ago, and who interrupts it has heard half of it."""
    monkeypatch.setattr(turns, "PLAYED_SLACK", RATE // 2)
    whole = story(30)
    async with house(whole) as (one, network, model):
        network.there.bits_per_s = 140_000
        await ask(one, say("Tell me a story."))
        await asyncio.sleep(whole_s(whole) + 1.2)
        one.satellite.press()
        one.card.say(say("And then?"))
        await one.until(State.STREAMING, within_s=8)
        await one.until(State.SPEAKING, within_s=15)
        _, _, heard, _ = model.asked[-1]
        assert 0.2 * len(whole) < len(heard) < 0.8 * len(whole)


async def test_a_reply_that_goes_on_after_a_cough_is_whole_however_slow_the_network(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race: the cough comes when the reply would have been played long ago, and what waited of it is forgotten."""
    monkeypatch.setattr(turns, "PLAYED_SLACK", RATE // 2)
    whole, ears = story(50), Ears()
    async with house(whole, ears, sound={"cues": False}) as (one, network, _):
        network.there.bits_per_s = 100_000
        await ask(one, say("Tell me a story."))
        await asyncio.sleep(whole_s(whole) + 1.2)
        ears.text = ""
        one.card.say(say("Hm, hm, hm, hm."))
        await one.until(State.HOLDING, within_s=5)
        await asyncio.sleep(0.3)
        network.there.bits_per_s = 0
        await one.until(State.STREAMING, within_s=5)
        await one.until(State.SPEAKING, within_s=15)
        await one.until(State.IDLE, within_s=30)
        assert sounded_s(one.card.played) > whole_s(whole) - 0.5


async def test_a_pause_is_not_longer_because_the_network_stands_still(say: Say) -> None:
    """The race: the network stands still in a pause, and what was said after it comes when the turn was answered."""
    ears = Ears()
    async with house("Very well.", ears) as (one, network, model):
        first, rest = say("Remind me of"), say("my sister's birthday on Friday.")
        one.satellite.press()
        one.card.say(np.concatenate((first, silence(0.5), rest)))
        await eventually(lambda: bool(ears.heard), 10)  # the pause has begun
        network.back.hold()
        await asyncio.sleep(1.5)
        assert one.satellite.state is State.STREAMING
        network.back.go_on()
        await one.until(State.SPEAKING, within_s=20)
        assert ears.heard[-1] > len(first) + len(rest)
        assert len(model.asked[-1]) == 2


async def test_a_reply_that_was_heard_is_remembered_though_the_connection_is_lost(say: Say) -> None:
    async with house(story(30)) as (one, network, model):
        await ask(one, say("Tell me a story."))
        await asyncio.sleep(1.0)
        network.reset()
        await one.until(State.DISCONNECTED)
        await one.until(State.IDLE, within_s=10)
        await ask(one, say("And then?"))
        assert len(model.asked[-1]) == 4, model.asked[-1]


def whole_s(text: str) -> float:
    """Return how long it takes to say a text."""
    return len(text) * 0.02


def sounded_s(played: Samples, rate: int = 24_000) -> float:
    """Return for how long there was sound."""
    size = rate // 100
    return sum(bool(np.any(np.abs(played[at : at + size]) > 0.01)) for at in range(0, len(played), size)) / 100


def gaps(played: Samples, rate: int = 24_000) -> int:
    """Return how often the sound stopped for more than 5 ms."""
    size = rate // 200
    sounds = [bool(np.any(np.abs(played[at : at + size]) > 0.01)) for at in range(0, len(played) - size, size)]
    return sum(1 for before, after in itertools.pairwise(sounds) if before and not after)
