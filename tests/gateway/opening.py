"""A gateway with settings of the test's own, whose engines follow a script, and how to knock at it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
from in_thread import in_thread
from scripted import Ears, Script, quick
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from antiphon.audio import vad
from antiphon.settings import Gateway
from antiphon_daemon.app import serving
from antiphon_daemon.engines.contracts import Engines, Synthesizer, Transcriber

from .conftest import _seen, quiet_settings


@asynccontextmanager
async def opened(
    gateways: list[Any], voice: Synthesizer, *, ears: Transcriber | None = None, **settings: Any
) -> AsyncIterator[Any]:
    await asyncio.to_thread(vad.load)
    given = quiet_settings(Gateway(**{"port": 0, **settings}))
    async with serving(given, Engines(ears or Ears(), Script(quick), voice)):
        yield gateways[-1]


@contextmanager
def daemon(voice: Synthesizer, **gateway: Any) -> Iterator[Any]:
    """Return the gateway of a daemon in a thread of its own."""

    @asynccontextmanager
    async def live() -> AsyncIterator[Any]:
        with pytest.MonkeyPatch.context() as patch:
            async with opened(_seen(patch), voice, **gateway) as one:
                yield one

    with in_thread(live) as one:
        yield one


async def narrow(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket by hand over a connection that holds little: who does not read it fills it soon."""
    thin = socket.socket()
    thin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    thin.setblocking(False)
    await asyncio.get_running_loop().sock_connect(thin, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=thin, limit=1024)
    asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(f"{asked}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def get(port: int, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}{path}", headers=headers)


async def refused(port: int, query: str = "", *, path: str = "/ws", **options: Any) -> tuple[int, str]:
    """Return status and code of a refused WebSocket."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{port}{path}{query}", proxy=None, **options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}")["error"]["code"]
