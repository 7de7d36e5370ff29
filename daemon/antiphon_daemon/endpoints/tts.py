"""The `tts` endpoint: text in, speech out, while more text may still come.

    synthesize{text, voice?}  →  audio-start · audio-chunk… · audio-stop
    synthesize-start{voice?} · synthesize-chunk{text}… · (synthesize) · synthesize-stop  →  … · synthesize-stopped

A `synthesize` inside a stream repeats its whole text for old servers and is ignored. Text is spoken clause by clause,
so the first sound does not wait for the last word.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from antiphon.settings import Settings
from antiphon.wire.frames import parse
from antiphon.wire.server import Connection
from antiphon_daemon.conversation.clauses import ClauseCutter
from antiphon_daemon.conversation.reply import limited
from antiphon_daemon.conversation.speakable import speakable
from antiphon_daemon.endpoints.info import plain_language
from antiphon_daemon.engines.contracts import EngineError, Revoked, Synthesizer
from antiphon_daemon.engines.work import Token

CHUNK_MS = 100
"""Sound in one event."""
CLAUSES_WAITING = 256
"""Clauses of a stream that may wait to be spoken; then the peer's next event waits."""


class TtsHandler:
    """One connection: any number of requests, one after another."""

    def __init__(self, peer: Connection, engine: Synthesizer, settings: Settings) -> None:
        self._peer, self._engine, self._settings = peer, engine, settings
        self._work = Token()
        self._cutter = ClauseCutter()
        self._clauses: asyncio.Queue[str | None] = asyncio.Queue(CLAUSES_WAITING)
        self._speaking: asyncio.Task[None] | None = None

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if SynthesizeStart.is_type(event.type):
            await self._end()
            self._begin(parse(SynthesizeStart, event).voice)
        elif SynthesizeChunk.is_type(event.type):
            if self._speaking is not None:
                await self._add(parse(SynthesizeChunk, event).text)
        elif SynthesizeStop.is_type(event.type):
            await self._end()
            await self._peer.send(SynthesizeStopped())
        elif Synthesize.is_type(event.type) and self._speaking is None:
            request = parse(Synthesize, event)
            self._begin(request.voice)
            await self._add(request.text)
            await self._end()

    async def gone(self) -> None:
        """The peer left: what is being spoken is given up."""
        self._work.revoke()
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)

    def _begin(self, voice: SynthesizeVoice | None) -> None:
        self._cutter = ClauseCutter()
        self._clauses = asyncio.Queue(CLAUSES_WAITING)
        self._speaking = asyncio.create_task(self._speak_all(self._clauses, voice))

    async def _add(self, text: str) -> None:
        for clause in self._cutter.feed(text):
            await self._put(clause)
            await asyncio.sleep(0)  # a long text must not keep others waiting

    async def _put(self, clause: str | None) -> None:
        """Hand a clause over, unless the speaking has ended with an error and takes none any more."""
        assert self._speaking is not None
        putting = asyncio.ensure_future(self._clauses.put(clause))
        try:
            await asyncio.wait((putting, self._speaking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()

    async def _end(self) -> None:
        if self._speaking is None:
            return
        try:
            if rest := self._cutter.rest():
                await self._put(rest)
            await self._put(None)
            await self._speaking
        finally:
            if self._speaking.done():
                self._speaking = None

    async def _speak_all(self, clauses: asyncio.Queue[str | None], voice: SynthesizeVoice | None) -> None:
        rate = self._engine.rate
        name = voice.name if voice else None
        if voice and voice.speaker:
            name = f"{name or self._engine.voices[0].name}/{voice.speaker}"
        language = plain_language(voice.language) if voice else None
        sent_ms = 0
        await self._peer.send(AudioStart(rate=rate, width=2, channels=1, timestamp=0))
        try:
            while (clause := await clauses.get()) is not None:
                if text := speakable(clause):
                    sent_ms = await self._speak(text, name, language, sent_ms)
        except EngineError as error:
            await self._peer.send(Error(text=str(error), code="tts-failed"))
        except Revoked:
            await self._peer.send(Error(text="The voice has been stopped", code="tts-failed"))
        await self._peer.send(AudioStop(timestamp=sent_ms))

    async def _speak(self, text: str, voice: str | None, language: str | None, sent_ms: int) -> int:
        rate, within_s = self._engine.rate, self._settings.deadlines.tts_first_s
        size = rate * CHUNK_MS // 1000 * 2
        sound = self._engine.speak(text, self._work, voice=voice, language=language)
        late = EngineError("tts", "the voice is too slow")
        async with aclosing(limited(sound, within_s, within_s, lambda: late)) as blocks:
            async for pcm in blocks:
                for start in range(0, len(pcm), size):
                    block = pcm[start : start + size]
                    await self._peer.send(AudioChunk(rate=rate, width=2, channels=1, audio=block, timestamp=sent_ms))
                    sent_ms += len(block) // 2 * 1000 // rate
        return sent_ms
