"""The `wake` endpoint: sound in, the wake word that was heard out.

    detect{names?} · audio-start · audio-chunk… · audio-stop  →  detection{name, timestamp} or not-detected

It is for satellites that stream all they hear to Home Assistant. Ours listen for their wake words themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.wake import Detect, Detection, NotDetected

from antiphon.audio.pcm import RATE, Converter, Samples, to_bytes
from antiphon.audio.wake import WakeError, WakeWords, available
from antiphon.wire.frames import parse
from antiphon.wire.server import Connection, Refusal
from antiphon_daemon.endpoints.sound import converter

MOST_WORDS = 8


class WakeHandler:
    """One connection: any number of streams, one after another."""

    def __init__(self, peer: Connection) -> None:
        self._peer = peer
        self._names: Sequence[str] = ()
        self._converter: Converter | None = None
        self._words: WakeWords | None = None
        self._heard = self._position = 0

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if Detect.is_type(event.type):
            self._names = self._known(parse(Detect, event).names or ())
            self._converter = None
        elif AudioStart.is_type(event.type):
            start = parse(AudioStart, event)
            await self._open(start.rate, start.width, start.channels)
        elif AudioChunk.is_type(event.type):
            await self._hear(parse(AudioChunk, event))
        elif AudioStop.is_type(event.type):
            if self._converter is not None:
                await self._listen(self._converter.end())
                if not self._heard:
                    await self._peer.send(NotDetected())
            self._converter = None

    async def gone(self) -> None:
        """The peer left; nothing is held for it."""

    def _known(self, names: Sequence[str]) -> Sequence[str]:
        known = available()
        if strange := [name for name in names if name not in known]:
            raise Refusal(f"There is no wake word {strange[0]!r} here, only {', '.join(known)}", "wake-word")
        return list(dict.fromkeys(names))[:MOST_WORDS]

    async def _open(self, rate: int, width: int, channels: int) -> None:
        self._converter = converter(rate, width, channels)
        self._heard = self._position = 0
        try:
            self._words = await asyncio.to_thread(WakeWords, self._names or available())
        except WakeError as error:
            self._converter = None
            raise Refusal(str(error), "wake-word") from None

    async def _hear(self, chunk: AudioChunk) -> None:
        if self._converter is None:
            await self._open(chunk.rate, chunk.width, chunk.channels)
        assert self._converter is not None
        await self._listen(self._converter.feed(chunk.audio))

    async def _listen(self, samples: Samples) -> None:
        assert self._words is not None
        for start in range(0, len(samples), RATE):  # a chunk may hold half a minute: others are let in between
            part = samples[start : start + RATE]
            self._position += len(part)
            for word in self._words.feed(to_bytes(part)):
                self._heard += 1
                await self._peer.send(Detection(name=word.name, timestamp=self._position * 1000 // RATE))
            await asyncio.sleep(0)
