"""Whole conversations with model servers that die in the middle of a reply and come back.

With Ollama's API: the real daemon and satellite on a virtual sound card. With llama.cpp's own server: the conversation
in this process, with the real ears and voice. Both servers are processes over the real embedded model, and are killed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from model_servers import NAME, ModelServer
from ports import free_ports
from speech import Say, silence
from test_conversation import READY_S, RECORD_RATE, House, satellite
from virtual_sound import VirtualSound

from antiphon.audio import vad, wav
from antiphon.audio.pcm import RATE, Samples, resample, to_samples
from antiphon.settings import Llm, Settings
from antiphon_daemon.app import build_engines
from antiphon_daemon.ask import Asker, Turn
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.engines.work import Token

pytestmark = pytest.mark.timeout(240)

QUESTION = "What is the capital of Spain?"
STORY = "Tell me a very long story about the sea."
END_S = 3.0
"""The apology and the silence after it last about so long."""
SOME_S = 3.0
APOLOGY = message("llm", "en")


@pytest.fixture
def ollama() -> Iterator[ModelServer]:
    (port,) = free_ports(1)
    server = ModelServer("ollama", port)
    server.start()
    yield server
    server.kill()


@pytest.mark.skipif(not VirtualSound.available(), reason="PulseAudio is not installed")
def test_with_ollama_a_spoken_conversation_outlives_the_server(tmp_path: Path, ollama: ModelServer, say: Say) -> None:
    with VirtualSound() as sound:
        house = House(sound, tmp_path)
        house.settings["llm"] = {"engine": "ollama", "model": NAME, "url": ollama.url, "temperature": 0}
        with house.program("daemon"):
            house.until_serving()
            with satellite(house, start="voice"):
                house.talk(say(QUESTION))
                said, heard = interrupted(house, say(STORY), ollama)
                assert said.endswith(APOLOGY)
                assert len(said) > len(APOLOGY) + 10, "it died in the middle"
                assert "language model" in heard.lower()
                before = len(house.log("daemon"))
                ollama.start()
                house.until_logged("daemon", "language model is back", before)
                house.talk(say(QUESTION))


def interrupted(house: House, spoken: Samples, server: ModelServer) -> tuple[str, str]:
    """Say something, and kill the server when the reply is heard; return what was said, and what that sounded like."""
    question, raw = house.folder / "story.wav", house.folder / "story.raw"
    wav.write(question, np.concatenate((silence(0.3), spoken, silence(0.5))))
    before = len(house.log("daemon"))
    recording = house.sound.record(raw, RECORD_RATE)
    try:
        house.sound.say(question)
        house.until_logged("daemon", '"phase": "speaking"', before)
        server.kill()
        house.until_logged("daemon", '"event": "said"', before)
        time.sleep(0.3)
    finally:
        recording.terminate()
        recording.wait(10)
    lines = [json.loads(line) for line in house.log("daemon")[before:].splitlines()]
    said = next(line["text"] for line in lines if line["event"] == "said")
    heard = resample(to_samples(raw.read_bytes()), RECORD_RATE, RATE)
    # The end alone: the smallest Whisper often writes the first of two sentences and leaves the other out.
    end = heard[-round(END_S * RATE) :]
    return said, asyncio.run(house.transcribe(np.concatenate((end, silence(0.3)))))


class Talk:
    """A conversation by sound in this process."""

    def __init__(self, engines: Engines, settings: Settings) -> None:
        self.engines = engines
        self.asker = Asker()
        self.conversation = Conversation(engines, settings, self.asker, vad.load(), new_memory(settings, "en"))

    async def say(self, sound: Samples) -> Turn:
        """Say something; returns when some of the reply has been given."""
        turn = self.asker.begin()
        self.conversation.open()
        for at in range(0, len(sound), RATE // 50):
            self.conversation.hear(sound[at : at + RATE // 50])
            await asyncio.sleep(0)
        self.conversation.end()
        async with asyncio.timeout(READY_S):
            while sum(map(len, turn.sound)) < SOME_S * 2 * self.engines.synthesizer.rate and not turn.reply:
                await asyncio.sleep(0.01)
        return turn

    async def over(self) -> None:
        """Wait for the end of the reply."""
        async with asyncio.timeout(READY_S):
            await self.asker.done.wait()
        self.conversation.played()

    async def heard(self, turn: Turn, part: slice) -> str:
        """Return a part of the reply, in samples, as ears hear it."""
        sound = resample(to_samples(b"".join(turn.sound)), turn.rate, RATE)[part]
        return (await self.engines.transcriber.transcribe(sound, Token(), language="en")).text


@pytest.fixture
async def llama() -> AsyncIterator[ModelServer]:
    (port,) = free_ports(1)
    server = ModelServer("llama", port)
    await asyncio.to_thread(server.start)
    yield server
    server.kill()


async def test_with_openais_api_a_spoken_conversation_outlives_the_server(llama: ModelServer, say: Say) -> None:
    # The model would end its story early: it is told never to.
    endless = Llm(engine="openai_api", url=llama.url, temperature=0, reply_tokens=3500, body={"ignore_eos": True})
    settings = Settings(llm=endless)
    engines = await build_engines(settings)
    talk = Talk(engines, settings)
    try:
        turn = await talk.say(say(STORY))
        assert turn.failure is None
        llama.kill()
        await talk.over()
        assert turn.reply.endswith(APOLOGY)
        assert len(turn.reply) > len(APOLOGY) + 10, "it died in the middle"
        assert "broke off" in str(turn.failure)
        assert "language model" in (await talk.heard(turn, slice(-6 * RATE, None))).lower()
        turn = await talk.say(say(QUESTION))
        await talk.over()
        assert turn.reply == APOLOGY, "it is still dead"
        assert "start its server" in str(turn.failure)
        await asyncio.to_thread(llama.start)
        turn = await talk.say(say(QUESTION))
        assert turn.failure is None, "it is asked again at once"
        assert "madrid" in (await talk.heard(turn, slice(0, 6 * RATE))).lower()
        assert await asyncio.to_thread(llama.writes)
        talk.conversation.stop()
        async with asyncio.timeout(15):  # written to its end it would take far longer
            while await asyncio.to_thread(llama.writes):
                await asyncio.sleep(0.05)
        assert not turn.reply, "it was stopped in the middle"
    finally:
        await talk.conversation.close()
        await engines.close()
