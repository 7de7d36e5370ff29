"""A client of `/v1/realtime` that knows nothing but the events of OpenAI's documentation: raw `websockets`."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples, resample, to_bytes, to_samples
from antiphon.settings import Gateway
from antiphon_daemon.app import serving
from antiphon_daemon.engines.contracts import Engines

from .conftest import quiet_settings

WIRE_RATE = 24_000
BLOCK_MS = 40
WAIT_S = 30.0

Event = dict[str, Any]


def pcm24(sound: Samples) -> bytes:
    """Return sound of 16 kHz as the PCM that the API takes."""
    return to_bytes(resample(sound, RATE, WIRE_RATE))


class Client:
    """One connection: every event that came, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[Event] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def update(self, **session: Any) -> Event:
        """Change the session; return its fields."""
        await self.send("session.update", session={"type": "realtime", **session})
        return (await self.until("session.updated"))["session"]  # type: ignore[no-any-return]

    async def next(self) -> Event:
        async with asyncio.timeout(WAIT_S):
            message = await self.socket.recv()
        self.events.append(json.loads(message))
        return self.events[-1]

    async def until(self, *kinds: str, **fields: Any) -> Event:
        """Return the first event of one of these kinds that has these fields."""
        while True:
            event = await self.next()
            if event["type"] in kinds and all(event.get(key) == value for key, value in fields.items()):
                return event

    async def error(self) -> Event:
        return (await self.until("error"))["error"]  # type: ignore[no-any-return]

    async def alive(self) -> None:
        """See that the session answers."""
        await self.send("input_audio_buffer.clear")
        await self.until("input_audio_buffer.cleared")

    async def write(self, text: str, role: str = "user", **fields: Any) -> Event:
        """Put a message into the conversation; return its item."""
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": text}]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": role, "content": content, **fields}
        )
        return (await self.until("conversation.item.done"))["item"]  # type: ignore[no-any-return]

    async def append(self, sound: bytes) -> None:
        await self.send("input_audio_buffer.append", audio=base64.b64encode(sound).decode())

    async def speak(self, sound: Samples, *, paced: bool = True) -> None:
        """Send sound as a microphone brings it, or at once."""
        pcm, clock = pcm24(sound), asyncio.get_running_loop().time
        size = WIRE_RATE * BLOCK_MS // 1000 * 2
        began = clock()
        for number, at in enumerate(range(0, len(pcm), size)):
            await self.append(pcm[at : at + size])
            if paced:
                await asyncio.sleep(max(0.0, began + number * BLOCK_MS / 1000 - clock()))

    def kinds(self, prefix: str = "") -> list[str]:
        return [event["type"] for event in self.events if event["type"].startswith(prefix)]

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    def sound(self, response_id: str | None = None) -> Samples:
        """Return the sound that came, as samples of 16 kHz."""
        deltas = [
            base64.b64decode(event["delta"])
            for event in self.of("response.output_audio.delta")
            if response_id in (None, event["response_id"])
        ]
        pcm = b"".join(deltas)
        return resample(to_samples(pcm), WIRE_RATE, RATE) if pcm else np.empty(0, dtype=np.float32)


@asynccontextmanager
async def client(port: int, query: str = "", **options: Any) -> AsyncIterator[Client]:
    address = f"ws://127.0.0.1:{port}/v1/realtime{query}"
    async with connect(address, max_size=2**20, proxy=None, **options) as socket:
        one = Client(socket)
        assert (await one.next())["type"] == "session.created"
        yield one


@asynccontextmanager
async def opened(gateways: list[Any], engines: Engines, **settings: Any) -> AsyncIterator[Any]:
    """Give the gateway of a daemon with these engines."""
    await asyncio.to_thread(vad.load)
    async with serving(quiet_settings(Gateway(**{"port": 0, **settings})), engines):
        yield gateways[-1]
