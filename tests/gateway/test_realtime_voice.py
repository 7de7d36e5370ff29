"""`/v1/realtime` on a daemon with the embedded models: spoken turns, and functions that a small model must call."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
from speech import Say, silence

from antiphon.audio.pcm import RATE
from antiphon_daemon.engines.work import Token

from .realtime_client import client

Running = tuple[int, Any, Any]
LIGHT = {
    "type": "function",
    "name": "set_light",
    "description": "Turns a light on or off.",
    "parameters": {
        "type": "object",
        "properties": {"room": {"type": "string"}, "on": {"type": "boolean"}},
        "required": ["room", "on"],
    },
}


def words(text: str) -> set[str]:
    return {word.strip(".,!?").lower() for word in text.split()}


async def test_a_spoken_question_is_answered_with_sound_that_says_its_transcript(running: Running, say: Say) -> None:
    port, engines, _ = running
    async with client(port) as one:
        semantic = {"turn_detection": {"type": "semantic_vad"}, "transcription": {"model": "whisper-1"}}
        await one.update(audio={"input": semantic})
        question = np.concatenate((silence(0.3), say("What is the capital of France?"), silence(2.5)))
        asking = asyncio.create_task(one.speak(question))
        heard = await one.until("conversation.item.input_audio_transcription.completed")
        assert {"capital", "of"} <= words(heard["transcript"])
        deltas = [event["delta"] for event in one.of("conversation.item.input_audio_transcription.delta")]
        assert words("".join(deltas)) <= words(heard["transcript"]) | {""}
        response = (await one.until("response.done"))["response"]
        await asking
        assert response["status"] == "completed"
        text = response["output"][0]["content"][0]["transcript"]
        back = await engines.transcriber.transcribe(one.sound()[: 20 * RATE], Token(), language="en")
        same = words(back.text) & words(text)
        assert len(same) >= 0.6 * len(words(back.text)), (back.text, text)


async def test_a_model_that_was_never_taught_calls_a_function_when_it_must(running: Running) -> None:
    async with client(running[0]) as one:
        await one.update(tools=[LIGHT], output_modalities=["text"])
        await one.write("Turn on the light in the kitchen, please.")
        forced = {"type": "function", "name": "set_light"}
        await one.send("response.create", response={"tool_choice": forced})
        response = (await one.until("response.done"))["response"]
        assert response["status"] == "completed", response["status_details"]
        (call,) = response["output"]
        assert (call["type"], call["name"]) == ("function_call", "set_light")
        arguments = json.loads(call["arguments"])
        assert isinstance(arguments["room"], str)
        assert isinstance(arguments["on"], bool)
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "The light is on."}
        await one.send("conversation.item.create", item=output)
        await one.send("response.create", response={"tool_choice": "none"})
        after = (await one.until("response.done"))["response"]
        assert after["status"] == "completed", after["status_details"]
        assert after["output"][0]["content"][0]["text"]
