"""A daemon whose settings change: satellites are joined and left; turns, prompts and who may come follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted import Ears, Script, quick
from speech import Say, silence
from structlog.testing import capture_logs
from wyoming.asr import Transcript
from wyoming.audio import AudioStop
from wyoming.error import Error

from antiphon.live import Live
from antiphon.settings import Conversation, Deadlines, Network, Settings, Stt, Tts, Turn
from antiphon.settings import Satellites as Known
from antiphon.wire import server as wire
from antiphon.wire.link import open_link
from antiphon.wire.server import Server
from antiphon_daemon.app import SCOPE, serving
from antiphon_daemon.engines.contracts import Engines, Synthesizer
from antiphon_daemon.engines.work import Token

from .conftest import quiet_settings
from .test_satellites import RUN, StandIn


@asynccontextmanager
async def daemon(
    voice: Synthesizer, model: Script, ears: Ears | None = None
) -> AsyncIterator[tuple[Live, dict[str, Server]]]:
    settings = quiet_settings()
    live = Live(settings, SCOPE)
    async with serving(settings, Engines(ears or Ears(), model, voice), live) as servers:
        yield live, servers


async def answered(port: int, text: str) -> None:
    async with await open_link(f"tcp://127.0.0.1:{port}") as link:
        await link.send(Transcript(text=text, context={"conversation_id": "one"}))
        async with asyncio.timeout(20):
            while (await link.receive()).type != "handled":
                pass


async def test_satellites_that_are_named_are_joined_and_others_left(voice: Synthesizer) -> None:
    satellite = StandIn()
    await satellite.start()
    named = Known(discover=False, known=[f"tcp://127.0.0.1:{satellite.port}"])
    async with daemon(voice, Script(quick)) as (live, _):
        await live.change(quiet_settings(satellites=named))
        await satellite.driven()
        await live.change(quiet_settings())
        await satellite.left()
        await live.change(quiet_settings(satellites=named))
        await satellite.driven(2)
    await satellite.stop()


async def test_a_satellite_that_stays_follows_from_its_next_turn_on(voice: Synthesizer, say: Say) -> None:
    satellite, model = StandIn(), Script(quick)
    await satellite.start()
    named = Known(discover=False, known=[f"tcp://127.0.0.1:{satellite.port}"])
    async with daemon(voice, model) as (live, _):
        await live.change(quiet_settings(satellites=named))
        await satellite.driven()
        told = Conversation(prompt="Answer like a pirate.")
        await live.change(quiet_settings(satellites=named, conversation=told, turn=Turn(no_speech_s=1)))
        satellite.send(RUN)
        satellite.say(say("What is the capital of France?"))
        satellite.send(AudioStop().event())
        await satellite.until("audio-stop", "error")
        assert model.asked[-1][0] == "Answer like a pirate."
        satellite.send(RUN)
        satellite.say(silence(2))  # too short for the eight seconds of before
        assert (await satellite.until("error"))[-1].data["code"] == "stt-no-text-recognized"
        assert satellite.runs == 1
    await satellite.stop()


async def test_a_conversation_that_goes_on_gets_the_new_prompt_and_forgets_nothing(voice: Synthesizer) -> None:
    model = Script(quick)
    async with daemon(voice, model) as (live, servers):
        await answered(servers["handle"].port, "One")
        await live.change(quiet_settings(conversation=Conversation(prompt="Be brief.")))
        await answered(servers["handle"].port, "Two")
        assert model.asked[-1] == ["Be brief.", "One", "It is fine.", "Two"]


async def test_who_is_admitted_changes_for_those_who_come(voice: Synthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "allowed", lambda host, admitted=(): bool(admitted))  # as if we came from a VPN
    async with daemon(voice, Script(quick)) as (live, servers):
        async with await open_link(f"tcp://127.0.0.1:{servers['handle'].port}") as link:
            assert Error.from_event(await link.receive()).code == "not-allowed"
        network = Network(host="127.0.0.1", zeroconf=False, allow=["100.64.0.0/10"])
        await live.change(quiet_settings(network=network))
        await answered(servers["handle"].port, "One")


async def test_engines_follow_what_they_were_made_with(voice: Synthesizer) -> None:
    class Followers(Ears):
        hints: tuple[str, ...] = ()
        stt_s = 0.0

        def follow(self, settings: Settings) -> None:
            self.hints, self.stt_s = tuple(settings.stt.hints), settings.deadlines.stt_s

    ears = Followers()
    async with daemon(voice, Script(quick), ears) as (live, _):
        await live.change(quiet_settings(stt=Stt(hints=["Seo-yeon"]), deadlines=Deadlines(stt_s=40)))
        assert (ears.hints, ears.stt_s) == (("Seo-yeon",), 40)
        await live.change(quiet_settings(deadlines=Deadlines(stt_s=40)))
        assert ears.hints == ()


async def spoken_s(voice: Synthesizer) -> float:
    said = [block async for block in voice.speak("What a fine day it is.", Token(), voice=None, language="en")]
    return sum(len(block) for block in said) / 2 / voice.rate


async def test_the_voice_follows_and_a_voice_that_is_not_there_leaves_the_one_before(voice: Synthesizer) -> None:
    async with daemon(voice, Script(quick)) as (live, _):
        usual_s = await spoken_s(voice)
        await live.change(quiet_settings(tts=Tts(speed=2)))
        quick_s = await spoken_s(voice)
        assert quick_s < 0.75 * usual_s
        with capture_logs() as logs:
            await live.change(quiet_settings(tts=Tts(speed=2, voice="/nowhere/voice.onnx")))
        assert any("is not taken" in log["event"] and "/nowhere/voice.onnx" in log["event"] for log in logs)
        assert live.settings.tts == Tts(speed=2)
        assert await spoken_s(voice) < 0.75 * usual_s
        await live.change(quiet_settings())
        assert await spoken_s(voice) > quick_s
