"""The `asr` endpoint: sound in, one transcript out, and the end of the turn found by itself.

    transcribe{language?} · audio-start · audio-chunk… · (audio-stop)  →  transcript-start · -chunk · transcript · -stop

The transcript is sent as soon as the turn is over, without waiting for `audio-stop`; what comes after it is dropped
until the next `transcribe` or `audio-start`. A failure is an `error` event, never silence.
"""

from __future__ import annotations

import asyncio

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Converter
from antiphon.settings import Settings
from antiphon.wire.frames import parse
from antiphon.wire.server import Connection, Refusal
from antiphon_daemon.conversation.across import Across, Key
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.endpoints.info import plain_language
from antiphon_daemon.endpoints.sound import converter
from antiphon_daemon.engines.contracts import EngineError, Engines
from antiphon_daemon.insight.trace import Trace


class AsrHandler:
    """One connection: any number of utterances, one after another."""

    def __init__(self, peer: Connection, engines: Engines, settings: Settings, across: Across) -> None:
        self._peer, self._across = peer, across
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

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if Transcribe.is_type(event.type):
            self._begin()
            self._language = self._known(plain_language(parse(Transcribe, event).language))
        elif AudioStart.is_type(event.type):
            start = parse(AudioStart, event)
            self._open(start.rate, start.width, start.channels)
        elif AudioChunk.is_type(event.type):
            await self._hear(parse(AudioChunk, event))
        elif AudioStop.is_type(event.type):
            self._stop()

    async def gone(self) -> None:
        """The peer left: its work is given up."""
        if self._conversation is not None:
            await self._conversation.close()

    def _begin(self) -> None:
        """Forget the utterance before: what it may still become answers nothing any more."""
        self._converter, self._hearing, self._asked, self._started = None, False, True, False
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
        if self._conversation is None:
            self._conversation = self._new_conversation()
        self._hearing = True
        self._conversation.open(self._language)

    def _new_conversation(self) -> Conversation:
        """Return one that only hears; for a peer that then asks for replies, one that drafts them too."""
        peer = self._across.of(self._peer.host)
        if not peer.prepares(self._settings):
            return Conversation(self._engines, self._settings, self, vad.load(), None)
        language = self._language or self._settings.language
        memory = peer.memory(new_memory(self._settings, language))

        def leave(draft: Draft) -> None:
            if draft.reply is not None:
                peer.drafts.put(Key.of(draft.text, language, memory.messages(draft.text)), draft)

        settings = peer.limited(self._settings)
        return Conversation(self._engines, settings, self, vad.load(), memory, voice=peer.voice, heir=leave)

    async def _hear(self, chunk: AudioChunk) -> None:
        if self._converter is None:
            self._open(chunk.rate, chunk.width, chunk.channels)
        assert self._converter is not None
        samples = self._converter.feed(chunk.audio)
        for start in range(0, len(samples), RATE):  # a chunk may hold half a minute: others are let in between
            if self._hearing and self._conversation is not None:
                self._conversation.hear(samples[start : start + RATE])
                await asyncio.sleep(0)

    # What the conversation tells (see `Peer`).

    def speech_began(self, at_ms: int) -> None: ...

    def speech_paused(self, at_ms: int) -> None: ...

    def turn_over(self, text: str, language: str | None) -> None:
        """Send the transcript."""
        self._hearing = self._asked = False
        rest = text
        if self._started and self._conversation is not None:
            rest = self._conversation.agreed.rest(text)
        else:
            self._peer.send_nowait(TranscriptStart(language=language))
        self._started = False
        if rest:
            self._peer.send_nowait(TranscriptChunk(text=rest))
        if text:
            self._across.of(self._peer.host).replies.gave(text)
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
