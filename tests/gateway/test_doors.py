"""Who is let in, who is not, what probes see, and how it ends: over real sockets, with engines that follow a script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from antiphon.settings import Gateway, Network
from antiphon_daemon.engines.contracts import Synthesizer
from antiphon_daemon.gateway import session as sessions
from antiphon_daemon.gateway.doors import DoorError, Doors, needed_token
from antiphon_daemon.gateway.outbox import Outbox, Stuck

from .client import client
from .opening import get, narrow, opened, refused

TOKEN = "open-sesame"


async def test_pages_for_people_probes_and_prometheus(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice) as gateway:
        whole = (await get(gateway.port, "/")).json()
        assert whole["engines"]["llm"]["model"] == "script"
        assert whole["languages"]["hears"] == ["en"]
        assert whole["voices"]
        assert whole["version"]
        ready = await get(gateway.port, "/health")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.head(f"http://127.0.0.1:{gateway.port}/health")).status_code == 200
        before = counted((await get(gateway.port, "/metrics")).text)
        async with client(gateway.port) as one:
            await one.send("text", content="Hello there!")
            await one.until("turn")
            after = counted((await get(gateway.port, "/metrics")).text)
        assert after["antiphon_turns_total"] == before["antiphon_turns_total"] + 1
        assert after["antiphon_first_audio_seconds_count"] == before["antiphon_first_audio_seconds_count"] + 1
        assert (before["antiphon_sessions"], after["antiphon_sessions"]) == (0, 1)
        assert 'antiphon_connections{endpoint="asr"}' in after
        assert (await get(gateway.port, "/nothing")).status_code == 404


def counted(text: str) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in lines}


async def test_probes_are_told_that_it_starts_and_ends(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice) as gateway:
        for why in ("the daemon is starting", "the daemon is ending"):
            gateway.why_not = why
            answer = await get(gateway.port, "/health")
            assert (answer.status_code, answer.json()["reason"]) == (503, why)
            assert await refused(gateway.port) == (503, "not_ready")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", "file://"])
async def test_a_foreign_page_may_not_connect(gateways: list[Any], voice: Synthesizer, origin: str) -> None:
    async with opened(gateways, voice) as gateway:
        assert await refused(gateway.port, origin=origin) == (403, "foreign_origin")


async def test_pages_of_this_host_and_listed_ones_may(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice, origins=["https://house.example"]) as gateway:
        for origin in (f"http://127.0.0.1:{gateway.port}", "https://house.example", "https://House.example:443"):
            async with client(gateway.port, origin=origin):
                pass


async def test_a_name_that_a_page_made_up_for_this_machine_opens_nothing(
    gateways: list[Any], voice: Synthesizer
) -> None:
    async with opened(gateways, voice) as gateway:
        for host in ("evil.example", f"evil.example:{gateway.port}", "["):
            assert (await get(gateway.port, "/", host=host)).status_code == 421


async def test_beyond_this_machine_nothing_answers_without_the_token(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice, host="0.0.0.0", token=SecretStr(TOKEN)) as gateway:
        for path in ("/", "/health", "/metrics", "/nothing"):
            assert (await get(gateway.port, path)).status_code == 401
            assert (await get(gateway.port, path, authorization="Bearer wrong")).status_code == 401
            assert (await get(gateway.port, f"{path}?token={TOKEN}")).status_code == 401
        assert (await get(gateway.port, "/", authorization=f"Bearer {TOKEN}")).status_code == 200
        assert await refused(gateway.port) == (401, "token_needed")
        assert await refused(gateway.port, "?token=wrong") == (401, "token_needed")
        async with client(gateway.port, f"?token={TOKEN}"):
            pass
        async with client(gateway.port, additional_headers={"Authorization": f"Bearer {TOKEN}"}):
            pass


async def test_a_token_may_hold_letters_of_any_language(gateways: list[Any], voice: Synthesizer) -> None:
    """The last one's last byte is one that Unicode counts among the blanks."""
    for token, encodings in (("열려라 참깨", ("utf-8",)), ("voilà", ("utf-8", "latin-1"))):
        async with opened(gateways, voice, token=SecretStr(token)) as gateway:
            for encoding in encodings:
                shown = f"Bearer {token}".encode(encoding)
                async with httpx.AsyncClient(trust_env=False, headers={b"Authorization": shown}) as http:
                    answer = await http.get(f"http://127.0.0.1:{gateway.port}/")
                    assert answer.status_code == 200, (token, encoding)
            async with client(gateway.port, f"?token={quote(token)}"):
                pass


async def test_a_page_is_open_under_its_address_with_a_slash_too(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice, token=SecretStr(TOKEN)) as gateway:
        for page in ("client", "dashboard"):
            answer = await get(gateway.port, f"/{page}/")
            assert answer.status_code == 307
            assert answer.headers["location"].endswith(f"/{page}")
            assert (await get(gateway.port, f"/{page}/data")).status_code == 401


def test_the_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    everywhere = Gateway(host="")
    token = needed_token(everywhere, tmp_path)
    assert token is not None
    assert len(token) > 30
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert needed_token(everywhere, tmp_path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert needed_token(Gateway(), tmp_path) is None


def test_a_token_that_cannot_be_kept_leaves_the_door_shut(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DoorError, match="set gateway.token_file"):
        needed_token(Gateway(host=""), tmp_path / "file")


async def test_peers_beyond_private_networks_are_not_let_in() -> None:
    doors = Doors(lambda *_: None, Gateway(host=""), Network(), TOKEN)  # type: ignore[arg-type,return-value]
    scope = {"type": "http", "path": "/", "headers": [(b"authorization", f"Bearer {TOKEN}".encode())]}
    refused = doors._refused({**scope, "client": ("8.8.8.8", 1)})
    assert refused is not None
    assert refused.code == "not_allowed"
    assert doors._refused({**scope, "client": ("192.168.1.5", 1)}) is None


async def test_voice_goes_on_where_the_gateway_cannot_open(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice) as first:
        for settings in ({"port": first.port}, {"certificate": "/nowhere.pem"}, {"enabled": False}):
            async with opened(gateways, voice, **settings) as closed:
                assert closed._server is None
        assert (await get(first.port, "/health")).status_code == 200


async def test_no_more_sessions_than_the_settings_allow(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice, sessions=1) as gateway:
        async with client(gateway.port):
            assert await refused(gateway.port) == (503, "too_many_sessions")
        async with asyncio.timeout(5):
            while gateway.sessions:
                await asyncio.sleep(0.01)
        async with client(gateway.port):
            pass


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?language=tlh", "unknown_language"),
        ("?voice=nobody", "unknown_voice"),
        ("?barge_in=maybe", "unknown_barge_in"),
    ],
)
async def test_what_cannot_be_had_is_refused(gateways: list[Any], voice: Synthesizer, query: str, code: str) -> None:
    async with opened(gateways, voice) as gateway:
        assert await refused(gateway.port, query) == (400, code)


async def test_a_daemon_that_ends_says_goodbye(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice) as gateway:
        leaving = await connect(f"ws://127.0.0.1:{gateway.port}/ws", proxy=None)
        await leaving.recv()
    said = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            said.append(json.loads(await leaving.recv())["type"])
    assert said[-1] == "goodbye"
    assert leaving.close_code == 1001


async def test_a_client_that_never_reads_is_dropped(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "Outbox", lambda: Outbox(send_s=0.3))
    async with opened(gateways, voice, bytes_per_s=16_000_000) as gateway:
        _, writer = await narrow(gateway.port, "/ws")
        async with asyncio.timeout(5):
            while not gateway.sessions:
                await asyncio.sleep(0.01)
        (one,) = gateway.sessions
        for _ in range(200):  # more than the system's buffers hold: 12 MB
            one._outbox.put(bytes(60_000))
        async with asyncio.timeout(10):
            while gateway.sessions:
                await asyncio.sleep(0.02)
        assert one.over.done()
        writer.close()


async def test_more_than_may_wait_is_forgotten_at_once() -> None:
    box = Outbox(most_bytes=10_000)
    for _ in range(1000):
        box.put(bytes(1000))
    assert not box._waiting
    with pytest.raises(Stuck):
        await box.send_all(lambda message: asyncio.sleep(60))
