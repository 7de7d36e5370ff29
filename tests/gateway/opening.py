"""A gateway with settings of the test's own, whose engines follow a script, and how to knock at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from scripted import Ears, Script, quick
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from antiphon.audio import vad
from antiphon.settings import Gateway
from antiphon_daemon.app import serving
from antiphon_daemon.engines.contracts import Engines, Synthesizer, Transcriber

from .conftest import quiet_settings


@asynccontextmanager
async def opened(
    gateways: list[Any], voice: Synthesizer, *, ears: Transcriber | None = None, **settings: Any
) -> AsyncIterator[Any]:
    await asyncio.to_thread(vad.load)
    given = quiet_settings(Gateway(**{"port": 0, **settings}))
    async with serving(given, Engines(ears or Ears(), Script(quick), voice)):
        yield gateways[-1]


async def get(port: int, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}{path}", headers=headers)


async def refused(port: int, query: str = "", **options: Any) -> tuple[int, str]:
    """Return status and code of a refused WebSocket."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"ws://127.0.0.1:{port}/ws{query}", proxy=None, **options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}")["error"]["code"]
