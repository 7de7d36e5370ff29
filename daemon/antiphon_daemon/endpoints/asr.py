"""The `asr` endpoint: sound in, one transcript out, and the end of the turn found by itself.

    transcribe{language?} · audio-start · audio-chunk… · (audio-stop)  →  transcript-start · -chunk · transcript · -stop

The transcript is sent as soon as the turn is over, without waiting for `audio-stop`; what comes after it is dropped
until the next `transcribe` or `audio-start`. A failure is an `error` event, never silence.

With `whole: true` in `transcribe` the peer has found the ends of the utterance: all of it is heard, up to `audio-stop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Converter, Samples
from antiphon.settings import Settings
from antiphon.wire.frames import parse
from antiphon.wire.server import Connection, Refusal
from antiphon_daemon.conversation.across import Across, Key
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.endpoints.info import plain_language
from antiphon_daemon.endpoints.sound import converter
from antiphon_daemon.engines.contracts import EngineError, Engines, Fault
from antiphon_daemon.engines.work import Token
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Outcome, Recorder

LONGEST_TURNS = 2.0
"""An utterance whose ends the peer has found may be so many times `turn.longest_s` long: two turns may be joined."""


class AsrHandler:
    """One connection: any number of utterances, one after another."""

    def __init__(
        self, peer: Connection, engines: Engines, settings: Settings, across: Across, recorder: Recorder
    ) -> None:
        self._peer, self._across, self._recorder = peer, across, recorder
        self._engines, self._settings = engines, settings
        self._language: str | None = None
        self._converter: Converter | None = None
        self._conversation: Conversation | None = None
        self._hearing = False
        """A stream is open."""
        self._asked = False
        """A transcript was asked for, and none has been sent."""
        self._started = False
        """Its beginning has been sent."""
        self._whole: Whole | None = None
        """The utterance whose ends the peer has found."""

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if Transcribe.is_type(event.type):
            self._begin()
            request = parse(Transcribe, event)
            self._language = self._known(plain_language(request.language))
            if event.data.get("whole") is True:
                self._whole = Whole(self._engines, self._settings, self._language, request.transcript_names or ())
        elif AudioStart.is_type(event.type):
            start = parse(AudioStart, event)
            self._open(start.rate, start.width, start.channels)
        elif AudioChunk.is_type(event.type):
            await self._hear(parse(AudioChunk, event))
        elif AudioStop.is_type(event.type):
            await self._hear_whole() if self._whole is not None else self._stop()

    async def gone(self) -> None:
        """The peer left: its work is given up."""
        if self._conversation is not None:
            await self._conversation.close()

    def _begin(self) -> None:
        """Forget the utterance before: what it may still become answers nothing any more."""
        self._converter, self._hearing, self._asked, self._started = None, False, True, False
        self._whole = None
        if self._conversation is not None:
            self._conversation.stop()

    def _stop(self) -> None:
        """The sound is over. One that was asked for and never came is an empty transcript."""
        if self._hearing and self._conversation is not None:
            if self._converter is not None:
                self._conversation.hear(self._converter.end())
            self._conversation.end()
        elif self._asked:
            self.nothing_heard()

    def _known(self, language: str | None) -> str | None:
        languages = self._engines.transcriber.languages
        if language is None or language in languages:
            return language
        name = self._engines.transcriber.name
        raise Refusal(
            f"{name} does not know the language {language!r}, only {', '.join(sorted(languages))}", "language"
        )

    def _open(self, rate: int, width: int, channels: int) -> None:
        self._converter = converter(rate, width, channels)
        if self._whole is not None:
            return
        if self._conversation is None:
            self._conversation = self._new_conversation()
        self._hearing = True
        self._conversation.open(self._language)

    def _new_conversation(self) -> Conversation:
        """Return one that only hears; for a peer that then asks for replies, one that drafts them too."""
        peer = self._across.of(self._peer.host)
        if not peer.prepares(self._settings):
            return Conversation(self._engines, self._settings, self, vad.load(), None, recorder=self._recorder)
        language = self._language or self._settings.language
        memory = peer.memory(new_memory(self._settings, language))

        def leave(draft: Draft) -> None:
            if draft.reply is not None:
                peer.drafts.put(Key.of(draft.text, language, memory.messages(draft.text)), draft)

        settings = peer.limited(self._settings)
        judge, recorder = vad.load(), self._recorder
        return Conversation(
            self._engines, settings, self, judge, memory, voice=peer.voice, heir=leave, recorder=recorder
        )

    async def _hear(self, chunk: AudioChunk) -> None:
        if self._converter is None:
            self._open(chunk.rate, chunk.width, chunk.channels)
        assert self._converter is not None
        samples = self._converter.feed(chunk.audio)
        if self._whole is not None:
            self._whole.add(samples)
            return
        for start in range(0, len(samples), RATE):  # a chunk may hold half a minute: others are let in between
            if self._hearing and self._conversation is not None:
                self._conversation.hear(samples[start : start + RATE])
                await asyncio.sleep(0)

    async def _hear_whole(self) -> None:
        """Transcribe what the peer has sent."""
        assert self._whole is not None
        whole, self._whole = self._whole, None
        if self._converter is not None:
            whole.add(self._converter.end())
        trace = Trace()
        trace.mark("speech_end")
        trace.mark("soft_end")
        try:
            text, language = await whole.text()
        except EngineError as error:
            trace.failed(str(error), error.unquoted)
            self._recorder.began(trace).end(Outcome.FAILED)
            self.failed(error)
        else:
            trace.mark("stt")
            trace.heard_ms = whole.ms
            self._recorder.began(trace, said=text).end(Outcome.ANSWERED)
            self._asked = False
            self._send(text, text, language)

    # What the conversation tells (see `Peer`).

    def speech_began(self, at_ms: int) -> None: ...

    def speech_paused(self, at_ms: int) -> None: ...

    def turn_over(self, text: str, language: str | None) -> None:
        """Send the transcript."""
        self._hearing = self._asked = False
        rest = text
        if self._started and self._conversation is not None:
            rest = self._conversation.agreed.rest(text)
        if text:
            self._across.of(self._peer.host).replies.gave(text)
        self._send(text, rest, language)

    def _send(self, text: str, rest: str, language: str | None) -> None:
        """Send the transcript; `rest` is what has not been sent of it."""
        if not self._started:
            self._peer.send_nowait(TranscriptStart(language=language))
        self._started = False
        if rest:
            self._peer.send_nowait(TranscriptChunk(text=rest))
        self._peer.send_nowait(Transcript(text=text, language=language))
        self._peer.send_nowait(TranscriptStop())

    def nothing_heard(self) -> None:
        """Send an empty transcript, which every client understands as that."""
        self.turn_over("", self._language)

    def failed(self, error: EngineError) -> None:
        """Send the error."""
        self._hearing = self._asked = False
        self._peer.send_nowait(Error(text=str(error), code=f"{error.stage}-failed"))

    wants_partials = True

    def heard_so_far(self, text: str) -> None:
        """Send what is certain already."""
        if not self._started:
            self._started = True
            self._peer.send_nowait(TranscriptStart(language=self._language))
        self._peer.send_nowait(TranscriptChunk(text=text))

    def stop_speaking(self) -> None: ...

    def duck(self) -> None: ...

    def swell(self) -> None: ...

    def reply_began(self, rate: int) -> None: ...

    def reply_sound(self, pcm: bytes) -> None: ...

    def reply_written(self, text: str) -> None: ...

    def reply_ended(self, trace: Trace) -> None: ...


class Whole:
    """An utterance whose ends are known to the peer.

    Args:
        language: what it is in, if that is known.
        names: words that are likely in it.
    """

    def __init__(self, engines: Engines, settings: Settings, language: str | None, names: Sequence[str]) -> None:
        self._engines, self._settings = engines, settings
        self._language, self._names = language or settings.language, names
        self._parts: list[Samples] = []
        self._room = round(LONGEST_TURNS * settings.turn.longest_s * RATE)

    def add(self, samples: Samples) -> None:
        """Add sound; beyond its bound it is dropped."""
        self._room -= len(samples)
        if self._room >= 0:
            self._parts.append(samples)

    @property
    def ms(self) -> int:
        """How long it is."""
        return sum(len(part) for part in self._parts) * 1000 // RATE

    async def text(self) -> tuple[str, str | None]:
        """Return what is said in it, and in which language.

        Raises:
            EngineError: it is too long, or the engine failed or is too slow.
        """
        if self._room < 0:
            raise EngineError("stt", "The utterance is too long: raise turn.longest_s.", Fault.REFUSED)
        audio = np.concatenate(self._parts) if self._parts else np.empty(0, dtype=np.float32)
        work, within_s = Token(), self._settings.deadlines.stt_s
        hints = (*self._settings.stt.hints, *self._names)
        try:
            async with asyncio.timeout(within_s):
                heard = await self._engines.transcriber.transcribe(audio, work, language=self._language, hints=hints)
        except TimeoutError:
            raise EngineError("stt", f"there was no transcript within {within_s:g} s") from None
        finally:
            work.revoke()
        return heard.text, heard.language
