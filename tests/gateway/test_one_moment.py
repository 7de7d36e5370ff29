"""A client of `/ws` that waits for a slow model hears "one moment"; a Home Assistant at the same daemon never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import stand_in
from scripted import Ears, Script, Tones

from antiphon.audio import vad
from antiphon.settings import Turn
from antiphon_daemon.app import serving
from antiphon_daemon.conversation import one_moment
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.engines.contracts import Engines

from . import realtime_client
from .client import client
from .conftest import quiet_settings


async def test_on_the_wire(gateways: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_moment, "GRACE_S", 0.0)
    await asyncio.to_thread(vad.load)
    go, asked = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[str]:
        asked.set()
        await go.wait()
        yield "It is fine."

    voice = Tones()
    lead_ms = len(voice.sound(message("one_moment", "en"))) // 2 * 1000 // voice.rate + one_moment.PAUSE_MS
    settings = quiet_settings(turn=Turn(one_moment_s=0.05))
    async with serving(settings, Engines(Ears(), Script(slowly), voice)) as servers:
        async with client(gateways[-1].port) as one:
            await one.send("text", content="hello")
            assert (await one.until("one_moment"))["text"] == "One moment."
            assert one.kinds().index("reply_began") < one.kinds().index("one_moment")
            assert len(one.heard()) == lead_ms * 16
            go.set()
            turn = await one.until("turn")
            assert turn["one_moment_ms"] <= turn["timeline"]["first_audio"]
            assert turn["reply_ms"] == lead_ms + 20 * len("It is fine.")
            assert next(event for event in one.events if event["type"] == "reply")["text"] == "It is fine."
            assert one.kinds().count("one_moment") == one.kinds().count("reply_began") == 1
            go.clear()
            asked.clear()
            await one.send("text", content="and you?")
            await one.until("one_moment")
            await one.send("barge_in")
            await one.until("interrupted")
            await one.until("state", state="idle")
        pipeline = await stand_in.Pipeline.over(servers)
        go.clear()
        asked.clear()
        said = len(voice.texts)
        answering = asyncio.create_task(stand_in.answer(pipeline.conversation, "hello", "en", {"conversation_id": "a"}))
        await asyncio.wait_for(asked.wait(), 30)
        await asyncio.sleep(0.2)
        go.set()
        reply, _ = await answering
        pcm = b"".join([block async for _, block in stand_in.speak(pipeline.tts, reply, None)])
        assert (reply, pcm) == ("It is fine.", voice.sound("It is fine."))
        assert voice.texts[said:] == ["It is fine."]


async def test_a_realtime_client_that_truncates_counts_it(gateways: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_moment, "GRACE_S", 0.0)
    go = asyncio.Event()

    async def slowly() -> AsyncIterator[str]:
        await go.wait()
        yield "It is fine. And so on."

    voice = Tones()
    lead_ms = len(voice.sound(message("one_moment", "en"))) // 2 * 1000 // voice.rate + one_moment.PAUSE_MS
    settings = quiet_settings(turn=Turn(one_moment_s=0.05))
    async with (
        serving(settings, Engines(Ears(), Script(slowly), voice)),
        realtime_client.client(gateways[-1].port) as one,
    ):
        await one.write("hello")
        await one.send("response.create")
        item_id = (await one.until("response.output_audio.delta"))["item_id"]
        assert one.of("response.output_audio_transcript.delta") == []
        go.set()
        done = await one.until("response.done")
        assert done["response"]["status"] == "completed"
        end = {"content_index": 0, "audio_end_ms": lead_ms + 20 * len("It is ")}
        await one.send("conversation.item.truncate", item_id=item_id, **end)
        await one.until("conversation.item.truncated")
        await one.send("conversation.item.retrieve", item_id=item_id)
        item = (await one.until("conversation.item.retrieved"))["item"]
        assert item["content"][0]["transcript"] == "It is"
