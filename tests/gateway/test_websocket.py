"""A client that knows nothing but docs/websocket.md talks with a real daemon, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from scripted import Ears, Script, Tones
from speech import Say, silence

from antiphon.audio.pcm import RATE, to_bytes
from antiphon_daemon.app import serving
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.engines.work import Token

from .client import client
from .conftest import quiet_settings

Running = tuple[int, Any, Any]
LONG = "Tell me a long story about the sea and the ships that sail on it."


def words(text: str) -> list[str]:
    return [word.strip(".,!?").lower() for word in text.split()]


async def only(gateway: Any) -> Any:
    """Return the one session: those of tests before may yet be leaving."""
    async with asyncio.timeout(5):
        while len(gateway.sessions) != 1:
            await asyncio.sleep(0.02)
    return next(iter(gateway.sessions))


async def test_a_spoken_question_is_answered_with_sound_that_says_its_caption(running: Running, say: Say) -> None:
    port, engines, _ = running
    async with client(port) as one:
        question = np.concatenate((silence(0.3), say("What is the capital of France?"), silence(0.2)))
        asking = asyncio.create_task(one.speak(question))
        transcript = await one.until("transcript")
        await asking
        assert {"capital", "of"} <= set(words(transcript["text"]))
        turn = await one.until("turn")
        assert turn["failure"] is None
        assert turn["timeline"]["first_audio"] > 0
        assert turn["heard_ms"] > 500
        reply = next(event for event in one.events if event["type"] == "reply")["text"]
        assert words("".join(event["delta"] for event in one.events if event["type"] == "reply_delta")) == words(reply)
        sound = one.heard()
        assert abs(len(sound) * 1000 // RATE - turn["reply_ms"]) < 20
        back = await engines.transcriber.transcribe(sound[: 20 * RATE], Token(), language="en")
        same = set(words(back.text)) & set(words(reply))
        assert len(same) >= 0.6 * len(set(words(back.text))), (back.text, reply)
        states = [event["state"] for event in one.events if event["type"] == "state"]
        assert states[:3] == ["idle", "listening", "hearing"]
        assert "speaking" in states[3:]
        assert one.kinds().index("reply_began") < one.kinds().index("reply")


async def test_a_quiet_room_may_be_read_late_and_what_is_said_in_it_is_heard_whole(running: Running, say: Say) -> None:
    async with client(running[0]) as one:
        session = await only(running[2])
        await one.speak(silence(2.6))
        assert session.rests
        await one.send("ping")
        await one.until("pong")
        asking = asyncio.create_task(one.speak(np.concatenate((say("What is the capital of France?"), silence(0.5)))))
        await one.until("state", state="hearing")
        assert not session.rests
        assert words((await one.until("transcript"))["text"])[:4] == ["what", "is", "the", "capital"]
        await asking


async def test_a_recording_sent_at_once_is_heard_to_its_end(running: Running, say: Say) -> None:
    async with client(running[0]) as one:
        await one.speak(np.concatenate((silence(0.2), say("How are you today?"))), paced=False)
        await one.send("end")
        assert words((await one.until("transcript"))["text"])
        await one.until("turn")


async def test_one_who_interrupts_hears_no_more_and_is_heard_next(running: Running, say: Say) -> None:
    async with client(running[0]) as one:
        await one.send("text", content=LONG)
        await one.until("sound")
        await one.send("played", ms=200)
        await one.send("barge_in")
        stopped = await one.until("interrupted")
        assert stopped["heard_ms"] == 200
        got = len(one.chunks)
        await one.until("state", state="idle")
        await one.send("ping")
        await one.until("pong")
        await asyncio.sleep(0.5)
        await one.send("ping")
        await one.until("pong")
        assert len(one.chunks) == got, "sound came after the interruption"
        asking = asyncio.create_task(one.speak(np.concatenate((say("What is your name?"), silence(1.2)))))
        assert "name" in words((await one.until("transcript"))["text"])
        await asking


async def test_speech_over_a_reply_stops_it_where_the_client_cancels_its_echo(running: Running, say: Say) -> None:
    async with client(running[0], "?barge_in=voice") as one:
        question = np.concatenate((silence(0.3), say(LONG), silence(0.5)))
        asking = asyncio.create_task(one.speak(question))
        await one.until("reply_began")
        await asking
        asking = asyncio.create_task(one.speak(np.concatenate((say("What is your name?"), silence(1.5)))))
        await one.until("interrupted")
        assert "name" in words((await one.until("transcript"))["text"])
        await asking


async def test_what_is_typed_is_answered_aloud(running: Running) -> None:
    async with client(running[0]) as one:
        await one.send("text", content="What time is it?")
        assert (await one.until("transcript"))["text"] == "What time is it?"
        await one.until("turn")
        assert one.chunks
        assert one.heard().size > RATE // 2
        await one.send("played")
        await one.until("state", state="idle")


async def test_a_client_that_tells_nothing_of_playing_is_heard_again_once_the_reply_is_over(running: Running) -> None:
    async with client(running[0]) as one:
        await one.send("text", content="What time is it?")
        turn = await one.until("turn")
        began = asyncio.get_running_loop().time()
        await one.until("state", state="idle")
        assert asyncio.get_running_loop().time() - began < turn["reply_ms"] / 1000 + 1.0


async def test_a_timer_is_stopped_by_its_id(running: Running) -> None:
    async with client(running[0]) as one:
        await one.send("text", content="Set a timer for ten minutes.")
        timer = await one.until("timer", event="started")
        await one.send("timer_stop", id="another")
        await one.send("timer_stop", id=timer["id"])
        assert (await one.until("timer"))["event"] == "cancelled"
        await one.send("timer_stop", id=timer["id"])
        await one.send("ping")
        await one.until("pong")
        assert "error" not in one.kinds()


async def test_reset_forgets_what_was_said(running: Running) -> None:
    async with client(running[0]) as one:
        await one.send("text", content="Hello there!")
        await one.until("turn")
        await one.send("played")
        await one.until("state", state="idle")
        session = await only(running[2])
        assert session._memory.goes_on
        await one.send("reset")
        await one.until("reset")
        assert not session._memory.goes_on


async def test_a_session_that_ends_frees_all_it_held(running: Running) -> None:
    gateway = running[2]
    async with client(running[0]) as one:
        await one.send("text", content="Set a timer for ten minutes.")
        await one.until("timer", event="started")
        session = await only(gateway)
        await one.send("text", content=LONG)
        await one.until("reply_began")
    async with asyncio.timeout(5):
        while gateway.sessions:
            await asyncio.sleep(0.02)
    assert not session._timers.set
    assert not session._conversation._tasks
    assert session._captions is None or session._captions.done()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x01\x02\x03", "half_sample"),
        ("UklGRiQAAABXQVZF", "not_json"),
        ("[1, 2]", "not_json"),
        ("[" * 100_000, "not_json"),
        ('{"type": "sing"}', "unknown_type"),
        ('{"content": "hello"}', "unknown_type"),
        ('{"type": ["text"]}', "unknown_type"),
        ('{"type": "text"}', "bad_message"),
        ('{"type": "text", "content": 5}', "bad_message"),
        ('{"type": "text", "content": "' + "a" * 5000 + '"}', "bad_message"),
        ('{"type": "played", "ms": NaN}', "bad_message"),
        ('{"type": "played", "ms": -1}', "bad_message"),
        ('{"type": "barge_in", "ms": "soon"}', "bad_message"),
        ('{"type": "timer_stop"}', "bad_message"),
        (bytes(10_000_000), "too_large"),
        ('{"type": "text", "content": "' + "a" * 2_000_000 + '"}', "too_large"),
    ],
    ids=lambda value: str(value[:24]),
)
async def test_what_cannot_be_used_is_an_error_and_the_session_lives(
    running: Running, message: str | bytes, code: str
) -> None:
    async with client(running[0]) as one:
        await one.socket.send(message)
        error = await one.until("error")
        assert error["code"] == code
        assert error["message"]
        await one.send("ping")
        await one.until("pong")


async def test_half_a_surrogate_is_no_fault(running: Running) -> None:
    async with client(running[0]) as one:
        await one.socket.send('{"type": "text", "content": "\\ud800 hello"}')
        await one.until("transcript")
        await one.until("turn")


async def test_a_model_that_writes_half_a_character_ends_no_session(gateways: list[Any]) -> None:
    async def halves() -> AsyncIterator[str]:
        for text in ("Hello \ud83d", "\ude00 there, my ", "\ud800 friend."):
            yield text

    async with serving(quiet_settings(), Engines(Ears(), Script(halves), Tones())), client(gateways[0].port) as one:
        await one.send("text", content="Tell me something about the sea.")
        assert (await one.until("reply"))["text"] == "Hello 😀 there, my \ufffd friend."
        await one.until("turn")


async def test_out_of_order_messages_change_nothing(running: Running) -> None:
    async with client(running[0]) as one:
        for kind in ("played", "barge_in", "end", "reset", "end", "played", "ping"):
            await one.send(kind)
        await one.until("pong")
        assert "error" not in one.kinds()


async def test_a_flood_of_sound_is_left_out_and_said_once_a_second(running: Running) -> None:
    async with client(running[0]) as one:
        for _ in range(40):
            await one.socket.send(to_bytes(silence(8)))
        await one.send("ping")
        assert (await one.until("error"))["code"] == "too_fast"
        await asyncio.sleep(1.5)
        await one.send("ping")
        await one.until("pong")
        assert one.kinds().count("error") <= 4
