"""The `vad` endpoint: sound in, `voice-started` and `voice-stopped` out, in milliseconds of the stream.

It is for our own satellites and for tests; it is not announced, since Home Assistant knows no such service.
"""

from __future__ import annotations

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.vad import VoiceStarted, VoiceStopped

from antiphon.audio.pcm import RATE, Converter, Samples
from antiphon.audio.vad import SpeechBegan, SpeechTracker, load
from antiphon.wire.frames import parse
from antiphon.wire.server import Connection
from antiphon_daemon.endpoints.sound import converter


class VadHandler:
    """One connection: any number of streams, one after another."""

    def __init__(self, peer: Connection) -> None:
        self._peer = peer
        self._converter: Converter | None = None
        self._tracker: SpeechTracker | None = None

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if AudioStart.is_type(event.type):
            start = parse(AudioStart, event)
            self._open(start.rate, start.width, start.channels)
        elif AudioChunk.is_type(event.type):
            await self._hear(parse(AudioChunk, event))
        elif AudioStop.is_type(event.type):
            if self._converter is not None:
                await self._follow(self._converter.end())
            tracker, self._converter, self._tracker = self._tracker, None, None
            if tracker is not None and tracker.speaking:
                await self._peer.send(VoiceStopped(timestamp=tracker.position * 1000 // RATE))

    async def gone(self) -> None:
        """The peer left; nothing is held for it."""

    def _open(self, rate: int, width: int, channels: int) -> None:
        self._converter = converter(rate, width, channels)
        self._tracker = SpeechTracker(load())

    async def _hear(self, chunk: AudioChunk) -> None:
        if self._converter is None:
            self._open(chunk.rate, chunk.width, chunk.channels)
        assert self._converter is not None
        await self._follow(self._converter.feed(chunk.audio))

    async def _follow(self, samples: Samples) -> None:
        assert self._tracker is not None
        for event in self._tracker.feed(samples):
            at_ms = event.at * 1000 // RATE
            began = isinstance(event, SpeechBegan)
            await self._peer.send(VoiceStarted(timestamp=at_ms) if began else VoiceStopped(timestamp=at_ms))
