"""Connections that say nothing, say it slowly, say too much, and come by the thousand."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psutil
import pytest

from antiphon_daemon.engines.contracts import Synthesizer
from antiphon_daemon.gateway import bounds, dashboard, face, quiet, reception
from antiphon_daemon.gateway.rest import line

from .client import client
from .opening import get, opened

HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CROWD = """
import socket, sys
crowd = []
for _ in range(int(sys.argv[2])):
    one = socket.socket()
    try:
        one.connect(("127.0.0.1", int(sys.argv[1])))
        one.sendall(b"GET / HTTP/1.1\\r\\n")
    except OSError:
        pass
    crowd.append(one)
print("here", flush=True)
sys.stdin.read()
"""
"""Opens so many connections, says half of a line on each, and holds them until its input ends."""


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what comes before the connection ends."""
    async with asyncio.timeout(30):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: local"])
async def test_who_says_nothing_or_not_all_of_it_is_not_waited_for(
    gateways: list[Any], voice: Synthesizer, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "HEAD_S", 0.3)
    async with opened(gateways, voice) as gateway, connected(gateway.port) as (reader, writer):
        writer.write(said)
        assert await ended(reader) == b""
        assert not gateway._server.server_state.connections


async def test_one_letter_now_and_then_is_not_enough(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "HEAD_S", 0.5)
    async with opened(gateways, voice) as gateway, connected(gateway.port) as (reader, writer):
        ending = asyncio.create_task(ended(reader))
        with contextlib.suppress(ConnectionError):
            while not ending.done():
                writer.write(b"x")
                await asyncio.sleep(0.05)
        assert await ending == b""


async def test_a_second_request_on_a_connection_has_its_own_time(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "HEAD_S", 0.4)
    async with opened(gateways, voice) as gateway, connected(gateway.port) as (reader, writer):
        for _ in range(4):
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head
            await reader.readuntil(b"}")
            await asyncio.sleep(0.2)
        writer.write(b"GET /hea")
        assert await ended(reader) == b""


async def test_a_body_that_does_not_come_is_not_waited_for(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "PIECE_S", 0.3)
    async with opened(gateways, voice) as gateway, connected(gateway.port) as (reader, writer):
        writer.write(HEAD + b'Content-Length: 500\r\n\r\n{"model"')
        assert b" 408 " in await reader.readline()


async def test_a_body_that_trickles_has_an_end(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "WHOLE_S", 0.5)
    monkeypatch.setattr(reception, "HEAD_S", 0.5)
    async with opened(gateways, voice) as gateway, connected(gateway.port) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 500000\r\n\r\n")
        answer = asyncio.create_task(reader.readline())  # what comes after it may be lost: we still write
        while not answer.done():
            writer.write(b" ")
            await asyncio.sleep(0.02)
        assert b" 408 " in await answer


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/nothing", "/health"])
async def test_a_body_that_is_too_long_is_not_read(gateways: list[Any], voice: Synthesizer, path: str) -> None:
    async with opened(gateways, voice) as gateway, connected(gateway.port) as (reader, writer):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n"
        writer.write(head.encode())
        assert b" 413 " in await reader.readline()


async def test_a_thousand_connections_keep_nobody_out_and_are_freed(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice, sessions=4) as gateway:
        assert (await get(gateway.port, "/health")).status_code == 200
        async with client(gateway.port) as talking:
            await talking.send("ping")
            await talking.until("pong")
            here = psutil.Process()
            before = here.num_fds()
            crowd = await asyncio.create_subprocess_exec(
                sys.executable, "-SE", "-c", CROWD, str(gateway.port), "1000",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert crowd.stdout is not None
            assert crowd.stdin is not None
            async with asyncio.timeout(60):
                assert await crowd.stdout.readline() == b"here\n"
            most = before + 4 + face.IDLE + 20
            assert here.num_fds() < most + quiet.ACCEPTED
            async with asyncio.timeout(30):
                while here.num_fds() >= most:
                    await asyncio.sleep(0)
            assert (await get(gateway.port, "/health")).status_code == 200
            await talking.send("ping")
            await talking.until("pong")
            crowd.stdin.close()
            await crowd.wait()
            async with asyncio.timeout(30):
                while here.num_fds() > before:
                    await asyncio.sleep(0.05)
        assert not gateway._server.config.http_protocol_class.reception._waiting


async def test_no_more_requests_are_answered_at_once_than_may_be(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face, "ANSWERED", 2)
    async with opened(gateways, voice) as gateway, contextlib.AsyncExitStack() as held:
        for _ in range(2):
            _, writer = await held.enter_async_context(connected(gateway.port))
            writer.write(HEAD + b"Content-Length: 500\r\n\r\n")
        async with asyncio.timeout(30):
            while (answer := await get(gateway.port, "/")).status_code == 200:
                await asyncio.sleep(0.01)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["error"]["code"] == "too_many_requests"
        for path in ("/health", "/metrics"):
            assert (await get(gateway.port, path)).status_code == 200, "who watches over it sees it fail"
        await held.aclose()
        async with asyncio.timeout(30):
            while (await get(gateway.port, "/")).status_code != 200:
                await asyncio.sleep(0.01)


def test_programs_that_wait_in_line_and_dashboards_keep_nobody_out() -> None:
    lines = 2 * (line.AT_ONCE + line.WAITING)
    assert lines + dashboard.READERS + 32 <= face.ANSWERED


async def test_what_is_refused_at_the_door_is_not_read_for_ever(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "HEAD_S", 0.4)
    async with opened(gateways, voice) as gateway, connected(gateway.port) as (reader, writer):
        writer.write(HEAD + b"Origin: http://evil.example\r\nContent-Length: 500000\r\n\r\n")
        assert b" 403 " in await reader.readline()
        ending = asyncio.create_task(ended(reader))
        with contextlib.suppress(ConnectionError):
            while not ending.done():
                writer.write(b" " * 100)
                await asyncio.sleep(0.02)
        await ending


async def test_hundreds_of_quick_requests_are_answered(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice) as gateway:
        limits = httpx.Limits(max_connections=20)
        async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=60) as http:
            asked = (http.get(f"http://127.0.0.1:{gateway.port}/health") for _ in range(200))
            assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
