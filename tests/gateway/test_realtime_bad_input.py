"""What no client should send to `/v1/realtime`, and who may not send at all: told why, and the session lives."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from scripted import Ears, Script, quick
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from antiphon_daemon.engines.contracts import Engines, Synthesizer
from antiphon_daemon.gateway.outbox import Outbox
from antiphon_daemon.gateway.realtime import session as sessions

from .opening import narrow, refused
from .realtime_client import client, opened

PATH = "/v1/realtime"
Running = tuple[int, Any, Any]
TOKEN = "open-sesame"


def append(audio: str) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": audio})


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x01\x02\x03\x04", "invalid_event"),
        ("RIFF, as text", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[1]", "invalid_event"),
        ('{"audio": "AAAA"}', "invalid_event"),
        ('{"type": ["session.update"]}', "invalid_event"),
        ('{"type": "response.audio.start"}', "unknown_event"),
        ('{"type": "output_audio_buffer.clear"}', "unsupported"),
        ('{"type": "session.update"}', "missing_required_parameter"),
        ('{"type": "session.update", "session": 5}', "invalid_type"),
        ('{"type": "input_audio_buffer.append"}', "missing_required_parameter"),
        ('{"type": "input_audio_buffer.append", "audio": 5}', "invalid_type"),
        (append("this is not base64"), "invalid_base64"),
        (append("AAA"), "invalid_base64"),
        (append(base64.b64encode(b"\x01\x02\x03").decode()), "invalid_audio"),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty"),
        ('{"type": "response.cancel"}', "response_cancel_not_active"),
        ('{"type": "response.cancel", "response_id": 5}', "invalid_type"),
        ('{"type": "response.create", "response": []}', "invalid_type"),
        ('{"type": "response.create", "response": {"conversation": "other"}}', "invalid_value"),
        ('{"type": "conversation.item.create"}', "missing_required_parameter"),
        ('{"type": "conversation.item.create", "item": {"type": "song"}}', "invalid_value"),
        ('{"type": "conversation.item.delete", "item_id": "nobody"}', "item_delete_invalid_item_id"),
        ('{"type": "conversation.item.retrieve", "item_id": "nobody"}', "item_retrieve_invalid_item_id"),
        ('{"type": "conversation.item.truncate", "item_id": "nobody"}', "item_truncate_invalid_item_id"),
        (append("A" * 10_000_000), "too_large"),
        (bytes(10_000_000), "invalid_event"),
    ],
    ids=lambda value: str(value[:60]),
)
async def test_what_cannot_be_used_is_an_error_and_the_session_lives(
    running: Running, message: str | bytes, code: str
) -> None:
    async with client(running[0]) as one:
        await one.socket.send(message)
        error = await one.error()
        assert error["code"] == code
        assert error["message"]
        assert set(error) == {"type", "code", "message", "param", "event_id"}
        await one.alive()


async def test_half_a_surrogate_is_no_fault(running: Running) -> None:
    async with client(running[0]) as one:
        text = '{"type": "input_text", "text": "\\ud800 hello"}'
        item = f'{{"type": "message", "role": "user", "content": [{text}]}}'
        await one.socket.send(f'{{"type": "conversation.item.create", "item": {item}}}')
        assert "hello" in (await one.until("conversation.item.done"))["item"]["content"][0]["text"]
        await one.socket.send('{"type": "conversation.item.fetch", "event_id": "\\ud83d"}')
        assert (await one.error())["event_id"] == "\ufffd"
        beside = '{"conversation": "none", "metadata": {"for": "\\ud83d..."}, "input": []}'
        await one.socket.send(f'{{"type": "response.create", "response": {beside}}}')
        assert (await one.until("response.done"))["response"]["metadata"] == {"for": "\ufffd..."}
        await one.alive()


async def test_a_flood_of_sound_is_left_out_and_said_once_a_second(running: Running) -> None:
    async with client(running[0]) as one:
        await one.update(audio={"input": {"turn_detection": None}})
        for _ in range(40):
            await one.append(bytes(48_000 * 8))
        while (await one.error())["code"] != "rate_limit_exceeded":
            pass
        await asyncio.sleep(1.5)
        await one.alive()
        codes = [event["error"]["code"] for event in one.of("error")]
        assert set(codes) == {"rate_limit_exceeded"}
        assert codes.count("rate_limit_exceeded") <= 4


async def test_of_sound_that_is_never_committed_no_more_than_the_longest_turn_is_kept(running: Running) -> None:
    async with client(running[0]) as one:
        await one.update(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
        for _ in range(10):
            await one.append(bytes(48_000 * 8))
        await one.send("input_audio_buffer.commit")
        heard = await one.until("conversation.item.input_audio_transcription.completed")
        assert abs(heard["usage"]["seconds"] - 60) < 0.1
        assert not one.of("error")


async def test_a_client_that_never_reads_is_dropped_and_others_are_served(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[float] = []

    def impatient(most_bytes: int) -> Outbox:
        made.append(0.3 if not made else 10.0)
        return Outbox(most_bytes, made[-1])

    monkeypatch.setattr(sessions, "Outbox", impatient)
    async with opened(gateways, Engines(Ears(), Script(quick), voice)) as gateway:
        _, writer = await narrow(gateway.port, PATH)
        async with asyncio.timeout(10):
            while not gateway.sessions:
                await asyncio.sleep(0.01)
        (stuck,) = gateway.sessions
        async with client(gateway.port) as other:
            for _ in range(200):  # more than the system's buffers hold
                stuck._talk.say("response.output_audio.delta", sound=True, delta="A" * 60_000)
            async with asyncio.timeout(20):
                await stuck.over
            await other.alive()
        writer.close()


async def test_a_session_that_ends_frees_all_it_held(running: Running) -> None:
    gateway = running[2]
    async with client(running[0]) as one:
        await one.write("Tell me a long story about the sea.")
        await one.send("response.create")
        await one.send("response.create", response={"conversation": "none"})
        await one.until("response.output_audio.delta")
        (session,) = [session for session in gateway.sessions if hasattr(session, "_replies")]
    async with asyncio.timeout(10):
        await asyncio.wrap_future(_over(session))
    assert session not in gateway.sessions
    assert not session._replies._tasks
    assert not session._talk.conversation._tasks


def _over(session: Any) -> Any:
    """Return when a session of another loop is over."""

    async def wait() -> None:
        await session.over

    return asyncio.run_coroutine_threadsafe(wait(), session.over.get_loop())


async def test_a_daemon_that_ends_closes_the_session(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, Engines(Ears(), Script(quick), voice)) as gateway:
        leaving = await connect(f"ws://127.0.0.1:{gateway.port}/v1/realtime", proxy=None)
        await leaving.recv()
    with pytest.raises(ConnectionClosed):
        await leaving.recv()
    assert leaving.close_code == 1001


# Who may come in.


async def post(port: int, body: Any, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        address = f"http://127.0.0.1:{port}/v1/realtime/client_secrets"
        return await http.post(address, json=body, headers=headers)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_client_secret_opens_the_realtime_door_alone_and_holds_its_session(
    gateways: list[Any], voice: Synthesizer
) -> None:
    engines = Engines(Ears(), Script(quick), voice)
    async with opened(gateways, engines, host="0.0.0.0", token=SecretStr(TOKEN)) as gateway:
        assert (await post(gateway.port, {})).status_code == 401
        session = {"type": "realtime", "instructions": "Speak like a sailor."}
        made = await post(gateway.port, {"session": session, "expires_after": {"seconds": 60}}, **bearer(TOKEN))
        assert made.status_code == 200
        secret = made.json()
        assert secret["session"]["instructions"] == "Speak like a sailor."
        assert secret["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
        assert secret["expires_at"] > 1_700_000_000
        key = secret["value"]
        protocols: Any = ["realtime", f"openai-insecure-api-key.{key}"]
        for options in ({"additional_headers": bearer(key)}, {"subprotocols": protocols}):
            async with client(gateway.port, **options) as one:
                assert one.events[0]["session"]["instructions"] == "Speak like a sailor."
                assert one.socket.subprotocol == ("realtime" if "subprotocols" in options else None)
        async with client(gateway.port, additional_headers=bearer(TOKEN)) as one:
            assert one.events[0]["session"]["instructions"] != "Speak like a sailor."
        assert await refused(gateway.port, additional_headers=bearer(key)) == (401, "token_needed")
        assert (await post(gateway.port, {}, **bearer(key))).status_code == 401
        assert await refused(gateway.port, path=PATH, additional_headers=bearer("ek_other")) == (401, "token_needed")
        assert await refused(gateway.port, path=PATH) == (401, "token_needed")


async def test_secrets_that_cannot_be_made_and_sessions_that_cannot_be_had(
    gateways: list[Any], voice: Synthesizer
) -> None:
    async with opened(gateways, Engines(Ears(), Script(quick), voice), sessions=1) as gateway:
        for body, param in (
            ({"session": {"colour": "red"}}, "session.colour"),
            ({"session": 5}, "session"),
            ({"expires_after": {"seconds": 5}}, "expires_after.seconds"),
            ([], None),
        ):
            answer = await post(gateway.port, body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        form = await post(gateway.port, {}, **{"content-type": "text/plain"})
        assert form.json()["error"]["code"] == "invalid_content_type", "a page elsewhere may post that unasked"
        assert await refused(gateway.port, path=PATH, additional_headers=bearer("ek_past")) == (401, "invalid_api_key")
        async with client(gateway.port):
            assert await refused(gateway.port, path=PATH) == (503, "too_many_sessions")
        gateway.why_not = "the daemon is ending"
        assert await refused(gateway.port, path=PATH) == (503, "not_ready")
        assert await refused(gateway.port, path=PATH, origin="http://evil.example") == (403, "foreign_origin")
