"""Asks a gateway on another machine for everything, with each of some tokens (empty: none): `knock.py URL TOKEN…`.

Prints what came of it as JSON, a line for each token: statuses, and of a WebSocket "open" when it greets.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

PAGES = ("/", "/health", "/metrics", "/v1/models", "/dashboard/data", "/nothing")
SHELLS = ("/client", "/dashboard")
"""They hold nothing of the house, and ask for the token themselves."""
SOCKETS = ("/ws", "/v1/realtime")
GUESSES_S = 2.5
"""After many wrong tokens the right one is not listened to either, for a moment."""
SAYS = {"model": "tts-1", "input": "Good evening.", "response_format": "flac"}


async def knock(url: str, token: str) -> dict[str, int | str]:
    """Return what came of each."""
    found: dict[str, int | str] = {}
    shown = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=url, headers=shown, trust_env=False, timeout=30) as http:
        for path in (*PAGES, *SHELLS):
            found[path] = (await http.get(path)).status_code
        spoken = await http.post("/v1/audio/speech", json=SAYS)
        found["speech"] = spoken.status_code
        found["secret"] = (await http.post("/v1/realtime/client_secrets", json={})).status_code
        file = {"file": ("x.flac", spoken.content)}
        heard = await http.post("/v1/audio/transcriptions", data={"model": "whisper-1"}, files=file)
        found["transcription"] = heard.status_code
        found["text"] = heard.json().get("text", "")
    for path in SOCKETS:
        query = f"?token={token}" if token else ""
        try:
            async with connect(f"ws://{urlsplit(url).netloc}{path}{query}", proxy=None) as socket:
                await socket.recv()
                found[path] = "open"
        except InvalidStatus as refused:
            found[path] = refused.response.status_code
    return found


for shown in sys.argv[2:]:
    print(json.dumps(asyncio.run(knock(sys.argv[1], shown))))
    time.sleep(GUESSES_S)
