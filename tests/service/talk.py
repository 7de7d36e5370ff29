"""Asks every endpoint of a daemon on this host's usual ports for its work, and prints what came as one JSON object."""

from __future__ import annotations

import asyncio
import json

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.handle import Handled
from wyoming.tts import Synthesize

from antiphon.wire.link import open_link


async def ask(port: int, *events: Event, until: str) -> list[Event]:
    """Send events to a port and return what comes back, up to `until` or an error."""
    async with await open_link(f"tcp://127.0.0.1:{port}") as link:
        for event in events:
            await link.send(event)
        came: list[Event] = []
        async with asyncio.timeout(60):
            while not came or came[-1].type not in (until, Error(text="").event().type):
                came.append(await link.receive())
        return came


async def main() -> None:
    spoken = await ask(10200, Synthesize(text="What is the capital of Spain?").event(), until="audio-stop")
    sound = [event for event in spoken if AudioChunk.is_type(event.type)]
    rate = AudioChunk.from_event(sound[0]).rate
    start = AudioStart(rate=rate, width=2, channels=1).event()
    heard = await ask(10300, Transcribe().event(), start, *sound, AudioStop().event(), until="transcript")
    said = await ask(10500, Transcript(text="What is the capital of Spain?").event(), until="handled")
    print(json.dumps({"heard": heard[-1].data.get("text"), "answered": Handled.from_event(said[-1]).text}))


asyncio.run(main())
