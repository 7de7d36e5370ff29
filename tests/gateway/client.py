"""A client of `/ws`, written from docs/websocket.md."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from antiphon.audio.pcm import RATE, Samples, resample, to_bytes, to_samples

BLOCK = RATE // 50
WAIT_S = 30.0


class Client:
    """One connection: what came, in order; its sound apart."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.chunks: list[bytes] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def next(self) -> dict[str, Any]:
        """Return the next message; sound is {"type": "sound"}."""
        async with asyncio.timeout(WAIT_S):
            message = await self.socket.recv()
        if isinstance(message, bytes):
            self.chunks.append(message)
            return {"type": "sound"}
        self.events.append(json.loads(message))
        return self.events[-1]

    async def until(self, *kinds: str, **fields: Any) -> dict[str, Any]:
        """Return the first message of one of these kinds that has these fields."""
        while True:
            event = await self.next()
            if event["type"] in kinds and all(event.get(key) == value for key, value in fields.items()):
                return event

    async def speak(self, sound: Samples, *, paced: bool = True) -> None:
        """Send sound as a microphone brings it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        for at in range(0, len(sound), BLOCK):
            await self.socket.send(to_bytes(sound[at : at + BLOCK]))
            if paced:
                await asyncio.sleep(max(0.0, began + at / RATE - clock()))

    def heard(self) -> Samples:
        """Return the sound that came: each message is a whole WAV file of its own."""
        parts = []
        for chunk in self.chunks:
            with wave.open(io.BytesIO(chunk)) as file:
                assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
                rate = file.getframerate()
                parts.append(to_samples(file.readframes(file.getnframes())))
        return resample(np.concatenate(parts), rate, RATE)

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


@asynccontextmanager
async def client(port: int, query: str = "", **options: Any) -> AsyncIterator[Client]:
    async with connect(f"ws://127.0.0.1:{port}/ws{query}", max_size=None, proxy=None, **options) as socket:
        one = Client(socket)
        assert (await one.next())["type"] == "hello"
        yield one
