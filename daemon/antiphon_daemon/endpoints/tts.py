"""The `tts` endpoint: text in, speech out, while more text may still come.

    synthesize{text, voice?}  →  audio-start · audio-chunk… · audio-stop
    synthesize-start{voice?} · synthesize-chunk{text}… · (synthesize) · synthesize-stop  →  … · synthesize-stopped

A `synthesize` inside a stream repeats its whole text for old servers and is ignored. Of SSML (`text_format`, or a text
that begins with `<speak`) only the words are spoken. Text is spoken clause by clause,
so the first sound does not wait for the last word; what follows is whole sentences, as far as there is time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
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
from antiphon.text import Composer
from antiphon.wire.frames import parse
from antiphon.wire.server import Connection
from antiphon_daemon.conversation.across import Across
from antiphon_daemon.conversation.clauses import ClauseCutter, Part
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.pacing import Utterance, Utterances, pace_of
from antiphon_daemon.conversation.speaking import silence, sound_of
from antiphon_daemon.conversation.spoken import ssml
from antiphon_daemon.endpoints.info import plain_language
from antiphon_daemon.engines.contracts import EngineError, Revoked, Synthesizer
from antiphon_daemon.engines.work import Token
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Outcome, Recorder, Turn

CHUNK_MS = 100
"""Sound in one event."""
PARTS_WAITING = 256
"""Parts of a stream that may wait to be spoken; then the peer's next event waits."""


class TtsHandler:
    """One connection: any number of requests, one after another."""

    def __init__(
        self, peer: Connection, engine: Synthesizer, settings: Settings, across: Across, recorder: Recorder
    ) -> None:
        self._peer, self._engine, self._settings, self._across = peer, engine, settings, across
        self._recorder = recorder
        self._voice: str | None = None
        self._said_in = settings.language
        self._known: asyncio.Future[Draft | None] | None = None
        """The reply that `handle` left, with its sound, if the request's first text is that."""
        self._work = Token()
        self._ssml: ssml.Ssml | None = None
        self._cutter, self._composer = ClauseCutter(), Composer()
        self._parts: asyncio.Queue[Part | None] = asyncio.Queue(PARTS_WAITING)
        self._speaking: asyncio.Task[None] | None = None

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if SynthesizeStart.is_type(event.type):
            await self._end()
            start = parse(SynthesizeStart, event)
            self._begin(start.voice, start.text_format)
        elif SynthesizeChunk.is_type(event.type):
            if self._speaking is not None:
                await self._add(parse(SynthesizeChunk, event).text)
        elif SynthesizeStop.is_type(event.type):
            await self._end()
            await self._peer.send(SynthesizeStopped())
        elif Synthesize.is_type(event.type) and self._speaking is None:
            request = parse(Synthesize, event)
            self._begin(request.voice, request.text_format)
            await self._add(request.text)
            await self._end()

    async def gone(self) -> None:
        """The peer left: what is being spoken is given up."""
        self._work.revoke()
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)

    def _begin(self, voice: SynthesizeVoice | None, text_format: str | None) -> None:
        self._ssml = ssml.Ssml() if text_format == "ssml" else None
        language = plain_language(voice.language) if voice else None
        self._voice = voice.name if voice else None
        if voice and voice.speaker:
            self._voice = f"{self._voice or self._engine.voices[0].name}/{voice.speaker}"
        self._known = asyncio.get_running_loop().create_future()
        self._said_in = language or self._language_of(voice.name if voice else None)
        self._cutter, self._composer = ClauseCutter(self._said_in), Composer()
        self._parts = asyncio.Queue(PARTS_WAITING)
        self._speaking = asyncio.create_task(
            self._speak_all(Speech(self._peer, self._engine.rate), self._known, language)
        )

    def _language_of(self, voice: str | None) -> str:
        """Return what a voice is taken to speak: Home Assistant names voices alone."""
        house = self._settings.language
        spoken = next((one.languages for one in self._engine.voices if one.name == voice), ())
        return house if house in spoken or not spoken else spoken[0]

    async def _add(self, text: str) -> None:
        if self._known is not None and not self._known.done():
            self._known.set_result(self._across.of(self._peer.host).sound(text, self._voice))
            if self._known.result() is not None:
                return
            if ssml.BEGINS.match(text):
                self._ssml = self._ssml or ssml.Ssml()
        if self._ssml is not None:
            text = self._ssml.feed(text)
        await self._cut(self._composer.feed(text))

    async def _cut(self, text: str) -> None:
        for part in self._cutter.feed(text):
            await self._put(part)
            await asyncio.sleep(0)  # a long text must not keep others waiting

    async def _put(self, part: Part | None) -> None:
        """Hand a part over, unless the speaking has ended with an error and takes none any more."""
        assert self._speaking is not None
        putting = asyncio.ensure_future(self._parts.put(part))
        try:
            await asyncio.wait((putting, self._speaking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()

    async def _end(self) -> None:
        if self._speaking is None:
            return
        try:
            if self._known is not None and not self._known.done():
                self._known.set_result(None)
            await self._cut(self._composer.feed(self._ssml.rest() if self._ssml else "") + self._composer.rest())
            if rest := self._cutter.rest():
                await self._put(rest)
            await self._put(None)
            await self._speaking
        finally:
            if self._speaking.done():
                self._speaking = None

    async def _speak_all(self, speech: Speech, known: Awaitable[Draft | None], language: str | None) -> None:
        utterances = Utterances(self._parts, pace_of(self._engine), self._said_in, lambda: speech.ahead_s)
        speech.trace.mark("speech_end")
        await speech.start()
        draft = await known
        turn, trace = self._record(draft, speech)
        try:
            if draft is not None:
                await self._pass_on(draft, speech)
            while (one := await utterances.next()) is not None:
                trace.first("clause")
                await self._speak(one, speech, self._voice, language)
        except EngineError as error:
            trace.failed(str(error), error.unquoted)
            await self._peer.send(Error(text=str(error), code="tts-failed"))
        except Revoked:
            trace.failed("The voice has been stopped")
            await self._peer.send(Error(text="The voice has been stopped", code="tts-failed"))
        else:
            trace.mark("done")
            turn.written(speech.sent_ms)
            turn.end(Outcome.ANSWERED)
        finally:
            if trace.failure is not None:
                turn.end(Outcome.FAILED)
            turn.leave()
        await speech.stop()

    def _record(self, draft: Draft | None, speech: Speech) -> tuple[Turn, Trace]:
        """Go on with the record of the turn whose reply this is, or begin one."""
        turn = draft.turn if draft is not None else None
        if draft is None or turn is None:
            return self._recorder.began(speech.trace, typed=True), speech.trace
        draft.turn = None  # what is left of it is told here
        turn.resume(draft.trace)
        return turn, draft.trace

    async def _pass_on(self, draft: Draft, speech: Speech) -> None:
        """Send the sound of a reply that is there already, or growing."""
        assert draft.reply is not None
        onward = Onward()
        draft.reply.release(onward)
        try:
            while (pcm := await onward.sound.get()) is not None:
                await speech.sound(pcm)
        finally:
            await draft.drop()
        if onward.error is not None:
            raise onward.error

    async def _speak(self, one: Utterance, speech: Speech, voice: str | None, language: str | None) -> None:
        if one.spoken.text:
            await speech.pause()
        deadlines = self._settings.deadlines
        sound = sound_of(one, self._engine, self._work, language=language, voice=voice, deadlines=deadlines)
        async with aclosing(sound) as blocks:
            async for pcm in blocks:
                await speech.sound(pcm)
        speech.pause_ms = one.pause_ms or speech.pause_ms


class Onward:
    """Hears a reply, for a task that sends it on."""

    def __init__(self) -> None:
        self.sound: asyncio.Queue[bytes | None] = asyncio.Queue()
        """Ended by None; as bounded as the reply is."""
        self.error: EngineError | None = None

    def reply_began(self, rate: int) -> None: ...

    def reply_sound(self, pcm: bytes) -> None:
        self.sound.put_nowait(pcm)

    def reply_written(self, text: str) -> None: ...

    def reply_ended(self, samples: int) -> None:
        self.sound.put_nowait(None)

    def reply_failed(self, error: EngineError) -> None:
        self.error = error
        self.sound.put_nowait(None)


class Speech:
    """The sound of one request on its way to the peer."""

    def __init__(self, peer: Connection, rate: int) -> None:
        self._peer, self._rate = peer, rate
        self.trace = Trace()
        self._began: float | None = None
        self._samples = 0
        self.pause_ms = 0
        """Due before the next sound."""

    @property
    def ahead_s(self) -> float:
        """Seconds of sound that have not been played if the peer plays it as it comes."""
        played_s = time.monotonic() - self._began if self._began is not None else 0.0
        return self._samples / self._rate - played_s

    async def start(self) -> None:
        await self._peer.send(AudioStart(rate=self._rate, width=2, channels=1, timestamp=0))

    async def pause(self) -> None:
        """Send the pause that is due."""
        if self._began is not None and self.pause_ms:
            await self.sound(silence(self.pause_ms, self._rate))
        self.pause_ms = 0

    async def sound(self, pcm: bytes) -> None:
        """Send sound, in events of `CHUNK_MS`."""
        if self._began is None:
            self._began = time.monotonic()
            self.trace.mark("tts_first")
            self.trace.mark("first_audio")
        size = self._rate * CHUNK_MS // 1000 * 2
        for start in range(0, len(pcm), size):
            block = pcm[start : start + size]
            chunk = AudioChunk(rate=self._rate, width=2, channels=1, audio=block, timestamp=self.sent_ms)
            await self._peer.send(chunk)
            self._samples += len(block) // 2

    async def stop(self) -> None:
        await self._peer.send(AudioStop(timestamp=self.sent_ms))

    @property
    def sent_ms(self) -> int:
        """How long the sound is that was sent."""
        return self._samples * 1000 // self._rate
