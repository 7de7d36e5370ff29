"""What a client says it has played of a reply is what was heard of it, whoever stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from scripted import Ears, Script, Tones
from speech import espeak, silence

from antiphon.audio import vad
from antiphon_daemon.app import serving
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.gateway import session

from .client import Client, client
from .conftest import quiet_settings

WORDS = " ".join(f"w{number:02}" for number in range(100)) + "."
"""25 s: a quarter of a second each."""
STANDS_MS = 300
"""A player stands here, such as a page whose sound sleeps."""


async def long() -> AsyncIterator[str]:
    for word in WORDS.split(" "):
        yield word + " "


async def stand(one: Client, *said: int) -> None:
    """Tell for two seconds that the player stands; first, what is not so."""
    for ms in (*said, *20 * [STANDS_MS]):
        await one.send("played", ms=ms)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("way", ["typed", "voice", "cough"])
async def test_a_reply_is_remembered_and_goes_on_as_far_as_it_was_played(gateways: list[Any], way: str) -> None:
    await asyncio.to_thread(vad.load)
    model, ears = Script(long), Ears("" if way == "cough" else "what is your name")
    async with (
        serving(quiet_settings(), Engines(ears, model, Tones())),
        client(gateways[-1].port, "?barge_in=voice") as one,
    ):
        await one.send("text", content="Tell me something.")
        whole_ms = (await one.until("turn"))["reply_ms"]
        await stand(one, 20_000, 2000)
        if way == "typed":
            await one.send("text", content="Tell me something else.")
            assert (await one.until("interrupted"))["heard_ms"] == STANDS_MS
            await one.until("reply_began")
            assert model.asked[-1][2] == "w00"
            return
        sound = np.concatenate((espeak("What is your name my dear friend"), silence(2.5)))
        asking = asyncio.create_task(one.speak(sound))
        assert (await one.until("interrupted"))["heard_ms"] == STANDS_MS
        await one.until("reply_began")
        if way == "cough":
            assert whole_ms - (await one.until("turn"))["reply_ms"] < 1300, "more is skipped than was heard"
        else:
            assert len(model.asked[-1][2]) <= len("w00 w01 w02 w03 w04")
        await asking


async def test_a_player_that_stands_still_is_not_waited_for_for_ever(
    gateways: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "STANDS_S", 0.3)

    async def short() -> AsyncIterator[str]:
        yield "It is fine."

    async with serving(quiet_settings(), Engines(Ears(), Script(short), Tones())), client(gateways[-1].port) as one:
        await one.send("text", content="hello")
        await one.until("turn")
        for _ in range(40):
            await one.send("played", ms=0)
            await asyncio.sleep(0.1)
        await one.send("ping")
        await one.until("pong")
        states = [event["state"] for event in one.events if event["type"] == "state"]
        assert states[-2:] == ["speaking", "idle"]
