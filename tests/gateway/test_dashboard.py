"""What the dashboard tells of real turns, whom it tells, and what a reader may not do to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import stand_in
from pydantic import SecretStr
from scripted import Ears, Script, quick
from speech import Say, silence
from starlette.types import Message
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.wire.link import open_link
from antiphon_daemon.app import serving
from antiphon_daemon.conversation.across import MATCHES
from antiphon_daemon.engines.contracts import Engines, Synthesizer
from antiphon_daemon.gateway import dashboard
from antiphon_daemon.gateway.feed import Feed
from antiphon_daemon.insight.trace import Trace

from . import realtime_client
from .client import client
from .conftest import quiet_settings
from .events import reader
from .test_doors import TOKEN, get, opened

Running = tuple[int, Any, Any]
LONG = "Tell me a long story about the sea and the ships that sail on it."


def end_of_speech(sound: Samples) -> float:
    """Return where the last loud sample lies, in seconds."""
    return float(np.flatnonzero(np.abs(sound) > 0.02)[-1]) / RATE


async def endless() -> AsyncIterator[str]:
    while True:
        yield "And then there was another ship upon the sea. "
        await asyncio.sleep(0.05)


async def test_the_waterfall_of_a_spoken_turn_adds_up_to_what_its_client_measures(running: Running, say: Say) -> None:
    port = running[0]
    question = np.concatenate((silence(0.3), say("What is the capital of France?"), silence(1.2)))
    async with reader(port) as events, client(port) as one:
        before = (await events.until("snapshot"))["count"]
        began = time.monotonic()
        asking = asyncio.create_task(one.speak(question))
        await one.until("transcript")
        over = time.monotonic()
        await one.until("sound")
        heard = time.monotonic()
        told = await one.until("turn")
        await asking
        await one.send("played")
        turn = await events.until("turn", outcome="answered")
        assert (turn["number"], turn["peer"]["kind"], turn["typed"]) == (before + 1, "websocket", False)
        timeline, stages = turn["timeline"], turn["stages"]
        assert {name: timeline[name] for name in told["timeline"]} == told["timeline"]
        assert (turn["speech_ms"], turn["reply_ms"]) == (told["heard_ms"], pytest.approx(told["reply_ms"], abs=20))
        assert set(stages) - {"turn_model"} == {"hold", "stt", "llm", "clause", "tts", "first_audio"}
        assert stages["hold"] == [0, timeline["turn_end"]]
        assert stages["first_audio"] == [0, timeline["first_audio"]]
        assert stages["stt"][1] == stages["llm"][0], "one stage begins where the one before ends"
        assert stages["llm"][1] == stages["clause"][0]
        assert stages["clause"][1] == stages["tts"][0]
        assert stages["tts"][1] <= timeline["first_audio"]
        if "turn_model" in stages:  # a machine with too much to do does without it
            assert 0 <= stages["turn_model"][0] <= stages["turn_model"][1]
        silent_at = began + end_of_speech(question)
        assert (heard - over) * 1000 == pytest.approx(timeline["first_audio"] - timeline["turn_end"], abs=150)
        assert (heard - silent_at) * 1000 == pytest.approx(timeline["first_audio"], abs=350)
        whole = (await get(port, "/dashboard/data")).json()
        assert whole["turns"][-1] == turn
        assert whole["summary"]["stages"]["first_audio"]["n"] >= 1
        kinds = [kind for kind, _ in events.events]
        assert kinds.count("turn") >= 3, "it is told when it begins, sounds, is written and is over"


async def test_a_typed_turn_and_one_that_is_interrupted(running: Running) -> None:
    port = running[0]
    async with reader(port) as events, client(port) as one:
        await events.until("snapshot")
        sent = time.monotonic()
        await one.send("text", content=LONG)
        await one.until("sound")
        took_ms = (time.monotonic() - sent) * 1000
        begun = await events.until("turn", outcome="open")
        await one.send("played", ms=200)
        await one.send("barge_in")
        turn = await events.until("turn", number=begun["number"], outcome="interrupted")
        assert (turn["typed"], turn["speech_ms"], turn["hit"]) == (True, None, None)
        assert turn["heard_ms"] == 200
        assert "hold" not in turn["stages"]
        assert turn["timeline"]["first_audio"] == pytest.approx(took_ms, abs=150)


async def test_the_state_of_the_house_is_told_as_it_is(running: Running) -> None:
    port = running[0]
    async with client(port) as one, reader(port) as events:
        await events.until("snapshot")
        state = await events.until("state")
        assert "turns" not in state
        (session,) = [peer for peer in state["peers"] if peer["kind"] == "websocket"]
        assert (session["name"], session["state"]) == (f"127.0.0.1:{one.socket.local_address[1]}", "idle")
        engines = {engine["stage"]: engine for engine in state["engines"]}
        assert list(engines) == ["stt", "turn", "llm", "tts"]
        assert all(engine["load"]["waiting"] == 0 and engine["well"] for engine in engines.values())
        process = state["process"]
        assert process["rss_bytes"] > 50_000_000
        assert 10 < process["descriptors"] <= process["descriptors_most"]
        assert process["uptime_s"] > 0
        while state["process"]["loop"]["last_ms"] is None:
            state = await events.until("state")
        assert 0 <= state["process"]["loop"]["last_ms"] <= state["process"]["loop"]["most_ms"]


async def test_a_turn_whose_peer_leaves_is_not_open_for_ever(gateways: list[Any], voice: Synthesizer) -> None:
    await asyncio.to_thread(vad.load)
    async with serving(quiet_settings(), Engines(Ears(), Script(endless), voice)):
        port = gateways[-1].port
        async with reader(port) as events:
            await events.until("snapshot")
            async with client(port) as one:
                await one.send("text", content="Hello there!")
                await one.until("sound")
            assert (await events.until("turn", outcome="left"))["failure"] is None


async def test_a_turn_whose_hearing_fails_says_why(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    await asyncio.to_thread(vad.load)
    async with serving(quiet_settings(), Engines(Ears(fails=9), Script(quick), voice)):
        port = gateways[-1].port
        async with reader(port) as events, client(port) as one:
            await events.until("snapshot")
            await one.speak(np.concatenate((silence(0.2), say("How are you today?"))), paced=False)
            await one.send("end")
            await one.until("turn")
            await one.send("played")
            turn = await events.until("turn", outcome="failed")
            assert turn["failure"] == "the model has failed"
            assert (await get(port, "/dashboard/data")).json()["summary"]["failed"] == 1


async def test_turns_of_other_peoples_pipelines_are_told_as_far_as_they_are_known(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    """Three requests are three turns, until the peer has the habit by which one is prepared for the next."""
    await asyncio.to_thread(vad.load)
    engines, sound = Engines(Ears(), Script(quick), voice), say("Good morning to you.")
    async with serving(quiet_settings(), engines) as servers, contextlib.AsyncExitStack() as linked:
        port = gateways[-1].port
        pipeline = await stand_in.Pipeline.over(servers)
        asr = await linked.enter_async_context(await open_link(f"tcp://127.0.0.1:{servers['asr'].port}"))
        for _ in range(MATCHES):
            await asr.send(Transcribe(language="en"))
            await asr.send(AudioStart(rate=RATE, width=2, channels=1))
            await asr.send(AudioChunk(rate=RATE, width=2, channels=1, audio=to_bytes(sound)))
            await asr.send(AudioStop())
            while (await asr.receive()).type != "transcript-stop":
                pass
            await rest_of(pipeline)
        async with asyncio.timeout(10):  # connections that the peer has closed may yet be leaving
            while len((data := (await get(port, "/dashboard/data")).json())["peers"]) != 1:
                await asyncio.sleep(0.02)
        assert [(peer["kind"], peer["state"]) for peer in data["peers"]] == [("asr", "connected")]
        assert [turn["peer"]["kind"] for turn in data["turns"]] == ["asr", "handle", "tts"] * MATCHES
        assert {turn["outcome"] for turn in data["turns"]} == {"answered"}
        found = [set(turn["stages"]) for turn in data["turns"]]
        assert "stt" in found[0]
        assert found[1] == {"llm"} or found[1] == {"llm", "clause"}
        assert found[2] == {"tts", "first_audio"}
        await stand_in.hear(pipeline.stt, stand_in.microphone(sound), "en")
        await rest_of(pipeline)
        *_, before, turn = (await get(port, "/dashboard/data")).json()["turns"]
        assert (before["number"], turn["number"]) == (3 * MATCHES, 3 * MATCHES + 1)
        assert (turn["peer"]["kind"], turn["outcome"]) == ("asr", "answered")
        assert {"hold", "stt", "llm", "tts", "first_audio"} <= set(turn["stages"])


async def rest_of(pipeline: stand_in.Pipeline) -> None:
    """Ask for the answer to what was heard, and for its sound."""
    reply, _ = await stand_in.answer(pipeline.conversation, "hello there", "en", {"conversation_id": "kitchen"})
    assert [pcm async for _, pcm in stand_in.speak(pipeline.tts, reply)]


async def test_a_turn_of_the_realtime_api_is_told_too(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice) as gateway, reader(gateway.port) as events:
        await events.until("snapshot")
        async with realtime_client.client(gateway.port) as one:
            await one.write("Hello there!")
            await one.send("response.create")
            await one.until("response.done")
            turn = await events.until("turn", outcome="answered")
            assert (turn["peer"]["kind"], turn["typed"]) == ("realtime", True)
            assert {"llm", "tts", "first_audio"} <= set(turn["stages"])
            (peer,) = (await get(gateway.port, "/dashboard/data")).json()["peers"]
            assert (peer["kind"], peer["state"]) == ("realtime", "idle")


@pytest.mark.parametrize("asked", [False, True])
async def test_words_are_shown_only_where_they_are_asked_for(
    gateways: list[Any], voice: Synthesizer, asked: bool
) -> None:
    async with opened(gateways, voice, transcripts=asked) as gateway, reader(gateway.port) as events:
        async with client(gateway.port) as one:
            await one.send("text", content="Order a pizza")
            await one.until("turn")
            await one.send("played")
            await events.until("turn", outcome="answered")
        data = (await get(gateway.port, "/dashboard/data")).text
        said = json.dumps(events.events) + data
        assert ("pizza" in said, "It is fine." in said) == (asked, asked)


async def test_the_page_is_open_and_what_it_shows_is_not(gateways: list[Any], voice: Synthesizer) -> None:
    shown = {"authorization": f"Bearer {TOKEN}"}
    async with opened(gateways, voice, host="0.0.0.0", token=SecretStr(TOKEN)) as gateway:
        port = gateway.port
        page = await get(port, "/dashboard")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        files = set(re.findall(r'(?:href|src)="(dashboard/[^"]+)"', page.text))
        assert len(files) >= 3
        for file in files:
            assert (await get(port, f"/{file}")).status_code == 200
        folder = f"/{files.pop().rsplit('/', 1)[0]}"
        for path in (
            "/dashboard/data",
            "/dashboard/events",
            f"{folder}/../data",
            f"{folder}/%2e%2e/data",
            "/dashboard//",
        ):
            assert (await get(port, path)).status_code in (401, 404), path
        assert (await get(port, "/dashboard/data")).status_code == 401
        assert (await get(port, "/dashboard/data", authorization="Bearer wrong")).status_code == 401
        assert (await get(port, "/dashboard/data", **shown)).status_code == 200
        async with reader(port, **shown) as events:
            await events.until("snapshot")


async def test_only_so_many_dashboards_are_open_at_once(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "READERS", 1)
    async with opened(gateways, voice) as gateway:
        async with reader(gateway.port) as events:
            await events.until("snapshot")
            answer = await get(gateway.port, "/dashboard/events")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "too_many_readers")
        async with asyncio.timeout(10):
            while gateway.feeds:
                await asyncio.sleep(0.02)
        assert not gateway.turns._watchers, "who left is told nothing more"


async def test_a_daemon_that_ends_says_goodbye_to_its_dashboards(gateways: list[Any], voice: Synthesizer) -> None:
    async with contextlib.AsyncExitStack() as reading:
        async with opened(gateways, voice) as gateway:
            events = await reading.enter_async_context(reader(gateway.port))
            await events.until("snapshot")
        assert await events.until("goodbye") == {"reason": "the daemon ends"}
        with pytest.raises(EOFError):
            await events.next()


async def test_a_reader_that_takes_nothing_costs_no_memory_and_is_told_what_it_missed(
    gateways: list[Any], voice: Synthesizer
) -> None:
    async with opened(gateways, voice) as gateway:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", gateway.port))
        await loop.sock_sendall(slow, b"GET /dashboard/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(10):
            while not gateway.feeds:
                await asyncio.sleep(0.01)
        (feed,) = gateway.feeds
        async with asyncio.timeout(30):
            while feed.lost < 10:
                for _ in range(200):
                    gateway.turns.of("satellite", "k" * 200).began(Trace())
                await asyncio.sleep(0)
        assert feed.waiting <= 128
        got = b""
        async with asyncio.timeout(30):
            while b"event: lost\ndata: " not in got:
                got = got[-200:] + await loop.sock_recv(slow, 1 << 20)
        assert int(got.split(b'{"events": ')[1].split(b"}")[0]) >= 10
        slow.close()


class Slow:
    """An ASGI `send` that takes one message each time that it is let."""

    def __init__(self) -> None:
        self.may = asyncio.Semaphore(0)
        self.got: list[str] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self.may.acquire()
            self.got.append(message["body"].decode())

    async def taken(self, count: int) -> list[str]:
        before = len(self.got)
        for _ in range(count):
            self.may.release()
        async with asyncio.timeout(5):
            while len(self.got) < before + count:
                await asyncio.sleep(0)
        return [re.sub(r"id: \d+\n", "", one).strip() for one in self.got[before:]]


async def stays() -> Message:
    return await asyncio.get_running_loop().create_future()


async def test_a_slow_reader_loses_the_oldest_and_gets_the_news_of_each_thing_once() -> None:
    aborted: list[bool] = []
    feed, slow = Feed(lambda: aborted.append(True), most=3), Slow()
    serving_it = asyncio.create_task(feed({}, stays, slow))
    feed.put("first", 0)
    await asyncio.sleep(0.01)  # it is being sent, and waits no more
    for number in range(5):
        feed.put("turn", {"number": number})
    for value in range(9):
        feed.put("state", lambda value=value: value, key="state")
    assert feed.waiting == 3
    first, lost, *rest = await slow.taken(5)
    assert first == "event: first\ndata: 0"
    assert lost == 'event: lost\ndata: {"events": 3}'
    assert rest == ['event: turn\ndata: {"number": 3}', 'event: turn\ndata: {"number": 4}', "event: state\ndata: 8"]
    feed.put("turn", {})
    feed.end("it ends")
    assert await slow.taken(2) == ['event: goodbye\ndata: {"reason": "it ends"}', ""]
    await serving_it
    assert feed.over.done()
    assert not aborted


async def test_a_reader_that_takes_nothing_for_long_is_dropped() -> None:
    aborted: list[bool] = []
    feed = Feed(lambda: aborted.append(True), send_s=0.05)
    feed.put("turn", {})
    async with asyncio.timeout(5):
        await feed({}, stays, Slow())
    assert aborted == [True]
