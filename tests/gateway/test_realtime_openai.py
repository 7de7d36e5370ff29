"""The official `openai` package holds conversations with `/v1/realtime`, as its documentation has them.

It is installed without its extra `realtime`, which wants an older `websockets` than the gateway has: it works with it.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from http_servers import END, OpenAiServer, event
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from scripted import Ears
from speech import Say, silence

from antiphon.audio.pcm import RATE, Samples, resample, to_samples
from antiphon.settings import Llm
from antiphon_daemon.engines.contracts import Engines, Synthesizer
from antiphon_daemon.engines.llm.openai_api import OpenAiApi

from .realtime_client import opened, pcm24

Running = tuple[int, Any, Any]
WAIT_S = 30.0
EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Talker:
    """A program on the official client: it reads events, and plays and truncates as the documentation says."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.events: list[Any] = []

    async def until(self, *kinds: str) -> Any:
        while True:
            async with asyncio.timeout(WAIT_S):
                self.events.append(await self.connection.recv())
            EVENTS.validate_python(self.events[-1].to_dict())  # which the client itself does not
            assert self.events[-1].type != "error", self.events[-1]
            if self.events[-1].type in kinds:
                return self.events[-1]

    async def speak(self, sound: Samples) -> None:
        pcm, clock = pcm24(sound), asyncio.get_running_loop().time
        began = clock()
        for at in range(0, len(pcm), 4800):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm[at : at + 4800]).decode())
            await asyncio.sleep(max(0.0, began + at / 48_000 - clock()))

    async def write(self, text: str) -> None:
        item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.connection.conversation.item.create(item=item)

    def sound(self) -> Samples:
        deltas = [base64.b64decode(one.delta) for one in self.events if one.type == "response.output_audio.delta"]
        return resample(to_samples(b"".join(deltas)), 24_000, RATE)


@asynccontextmanager
async def talker(port: int) -> AsyncIterator[Talker]:
    http = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
    async with http.realtime.connect(model="gpt-realtime") as connection:
        one = Talker(connection)
        await one.until("session.created")
        yield one
    await http.close()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


async def test_a_spoken_conversation_with_an_interruption_and_its_truncation(running: Running, say: Say) -> None:
    async with talker(running[0]) as one:
        await one.connection.session.update(
            session={
                "type": "realtime",
                "instructions": "Tell long stories.",
                "audio": {"input": {"transcription": {"model": "whisper-1"}}},
            }
        )
        await one.until("session.updated")
        question = say("Tell me a long story about the sea and the ships that sail on it.")
        asking = asyncio.create_task(one.speak(np.concatenate((silence(0.3), question, silence(1.0)))))
        heard = await one.until("conversation.item.input_audio_transcription.completed")
        assert "story" in heard.transcript
        first = await one.until("response.output_audio.delta")
        await asking
        played = asyncio.get_running_loop().time()
        asking = asyncio.create_task(one.speak(np.concatenate((say("Stop. What is your name?"), silence(1.2)))))
        await one.until("input_audio_buffer.speech_started")
        heard_ms = round((asyncio.get_running_loop().time() - played) * 1000)
        await one.connection.conversation.item.truncate(item_id=first.item_id, content_index=0, audio_end_ms=heard_ms)
        cut = await one.until("conversation.item.truncated")
        assert 0 < cut.audio_end_ms <= heard_ms
        await one.connection.conversation.item.retrieve(item_id=first.item_id)
        item = (await one.until("conversation.item.retrieved")).item
        whole = "".join(e.delta for e in one.events if e.type == "response.output_audio_transcript.delta")
        assert whole.startswith(item.content[0].transcript)
        assert len(item.content[0].transcript) < len(whole)
        heard = await one.until("conversation.item.input_audio_transcription.completed")
        assert "name" in heard.transcript
        done = (await one.until("response.done")).response
        if done.status == "cancelled":  # the first, if it was still being made
            done = (await one.until("response.done")).response
        assert done.status == "completed"
        await asking


async def test_written_and_manual_turns(running: Running, say: Say) -> None:
    async with talker(running[0]) as one:
        await one.connection.session.update(
            session={
                "type": "realtime",
                "output_modalities": ["text"],
                "audio": {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}},
            }
        )
        updated = await one.until("session.updated")
        assert updated.session.audio.input.turn_detection is None
        await one.write("What is the capital of France?")
        await one.connection.response.create()
        text = await one.until("response.output_text.done")
        assert text.text
        assert (await one.until("response.done")).response.status == "completed"
        await one.speak(say("What is your name?"))
        await one.connection.input_audio_buffer.commit()
        await one.connection.response.create(response={"output_modalities": ["audio"]})
        heard = await one.until("conversation.item.input_audio_transcription.completed")
        assert "name" in heard.transcript
        assert (await one.until("response.done")).response.output[0].content[0].transcript
        assert len(one.sound()) > RATE // 2


async def test_a_model_behind_openais_api_chooses_functions_and_is_told_what_came_of_them(
    gateways: list[Any], voice: Synthesizer
) -> None:
    call = {"index": 0, "id": "call_7", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    async with OpenAiServer() as server:
        model = OpenAiApi(Llm(engine="openai_api", url=f"{server.url}/v1"))
        async with opened(gateways, Engines(Ears(), model, voice)) as gateway, talker(gateway.port) as one:
            await one.connection.session.update(
                session={"type": "realtime", "tools": [WEATHER], "output_modalities": ["text"]}
            )
            await one.until("session.updated")
            server.script = [event(tool_calls=[call]), event(finish="tool_calls"), END]
            await one.write("What is the weather in Paris?")
            await one.connection.response.create()
            made = await one.until("response.function_call_arguments.done")
            assert (made.name, made.call_id, made.arguments) == ("weather", "call_7", '{"city": "Paris"}')
            await one.until("response.done")
            assert server.asked[-1]["tools"][0]["function"]["name"] == "weather"
            assert "tool_choice" not in server.asked[-1]
            server.script = [event("It is sunny."), event(finish="stop"), END]
            output: Any = {"type": "function_call_output", "call_id": "call_7", "output": "sunny"}
            await one.connection.conversation.item.create(item=output)
            await one.connection.response.create()
            assert (await one.until("response.output_text.done")).text == "It is sunny."
            await one.until("response.done")
            asked, told = server.asked[-1]["messages"][-2:]
            assert asked["tool_calls"][0]["id"] == told["tool_call_id"] == "call_7"
            assert told["content"] == "sunny"
            server.script = [event(tool_calls=[call]), event(finish="tool_calls"), END]
            await one.connection.response.create(response={"tool_choice": "required"})
            await one.until("response.function_call_arguments.done")
            assert server.asked[-1]["tool_choice"] == "required"
            await one.until("response.done")
        await model.close()


async def test_a_client_secret_is_made_by_the_official_client(gateways: list[Any], voice: Synthesizer) -> None:
    async with OpenAiServer() as server:
        model = OpenAiApi(Llm(engine="openai_api", url=f"{server.url}/v1"))
        async with opened(gateways, Engines(Ears(), model, voice)) as gateway:
            http = AsyncOpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key="none")
            made = await http.realtime.client_secrets.create(
                session={"type": "realtime", "instructions": "Be brief."}, expires_after={"seconds": 30}
            )
            listening = await http.realtime.client_secrets.create(session={"type": "transcription"})
            assert (listening.session.type, listening.session.audio.input.transcription) == ("transcription", None)
            await http.close()
            page = AsyncOpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key=made.value)
            async with page.realtime.connect(model="gpt-realtime") as connection:
                created: Any = await connection.recv()
                assert created.session.instructions == "Be brief."
            await page.close()
            listener = AsyncOpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key=listening.value)
            async with listener.realtime.connect(model="whisper-1") as connection:
                created = await connection.recv()
                assert created.session.type == "transcription"
            await listener.close()
        await model.close()
