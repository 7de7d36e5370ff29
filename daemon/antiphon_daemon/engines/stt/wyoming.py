"""Speech to text by another maker's Wyoming service.

transcribe{name?, language?, transcript_names?} · audio-start · audio-chunk… · audio-stop  →  transcript
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from wyoming.asr import Transcribe
from wyoming.asr import Transcript as Heard
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.info import AsrProgram, Info

from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.settings import Deadlines, Settings, Stt
from antiphon.wire.frames import parse
from antiphon.wire.link import Link, LinkError
from antiphon_daemon.engines.contracts import EngineError, Transcript, Work
from antiphon_daemon.engines.stt.guards import SHORTEST_S, SILENCE_DB, loudest_db
from antiphon_daemon.engines.work import Token
from antiphon_daemon.engines.worker import revocable
from antiphon_daemon.engines.wyoming import OWN_SHARE, Service, answer, installed, listed, plain

CHUNK = RATE // 10
"""Samples in one event."""


class WyomingTranscriber:
    """A `Transcriber` on a Wyoming service.

    Args:
        settings: the address; the model, where the service has several.
        deadlines: how long connecting and an answer may take.
        language: the language of the house, which is taken to be known until the service has said which are.

    Raises:
        EngineError: no address is set.
    """

    def __init__(self, settings: Stt, deadlines: Deadlines, language: str) -> None:
        self._service = Service("stt", settings.url, deadlines.connect_s)
        self._model = "" if settings.model == "embedded" else settings.model
        self._within_s = deadlines.stt_s * OWN_SHARE
        self.name = f"wyoming {settings.url}"
        self.languages: tuple[str, ...] = (language,)
        self._tags: dict[str, str] = {}
        """How the service writes its languages: some know `en-US` alone."""
        self._described = False

    def follow(self, settings: Settings) -> None:
        """Take over how long an answer may take."""
        self._within_s = settings.deadlines.stt_s * OWN_SHARE

    async def start(self) -> None:
        """Ask the service what it is; one that is away is asked again when it is needed.

        Raises:
            EngineError: it is there, but has no such model, or is no speech to text.
        """
        await self._service.introduce(self._learn, away="speech to text is away")

    async def check(self) -> None:
        """See that the service is there, and have it hear something.

        Raises:
            EngineError: it is not, or does not answer.
        """
        await self._describe()
        noise = np.random.default_rng(0).normal(0, 0.01, RATE).astype(np.float32)
        await self.transcribe(noise, Token(), language=None)

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        """Return what is said in `audio`; the service is not asked about silence or a click."""
        duration_s = len(audio) / RATE
        if duration_s < SHORTEST_S or loudest_db(audio) < SILENCE_DB:
            return Transcript("", language and plain(language), duration_s=duration_s)
        async with revocable(work):
            with self._service.told(work, self._within_s):
                async with asyncio.timeout(self._within_s):
                    if not self._described:
                        await self._describe()
                    tag = self._known(language)
                    heard = await self._ask(audio, work, tag, hints)
        spoken_in = heard.language or tag
        return Transcript(heard.text.strip(), spoken_in and plain(spoken_in), duration_s=duration_s)

    async def close(self) -> None:
        """Nothing is held between requests."""

    async def _describe(self) -> None:
        self._learn(await self._service.info())

    def _learn(self, info: Info) -> None:
        """Take over what the service says of itself.

        Raises:
            EngineError: it has no such model, or is no speech to text.
        """
        programs = installed(info.asr)
        if not programs:
            raise self._service.failure(f"{self._service.url} has no speech to text")
        program = programs[0]
        models = installed(program.models)
        if self._model and models:
            models = [one for one in models if one.name == self._model]
            if not models:
                raise self._no_model(program)
        self.name = f"wyoming {' '.join((program.name, *(one.name for one in models[:1])))}"
        self._tags = {}
        for tag in (tag for one in models for tag in one.languages):
            if (code := plain(tag)) == tag or code not in self._tags:
                self._tags[code] = tag
        self.languages = tuple(self._tags) or self.languages
        self._described = True

    def _no_model(self, program: AsrProgram) -> EngineError:
        known = listed(one.name for one in program.models)
        says = f"The service at {self._service.url} has no model {self._model}, only {known}: correct stt.model."
        return EngineError("stt", says)

    def _known(self, language: str | None) -> str | None:
        """Return a language as the service writes it.

        Raises:
            EngineError: it does not know it.
        """
        if language is None or (code := plain(language)) in self.languages:
            return language and self._tags.get(code, code)
        says = f"{self.name} does not know the language {code}, only {listed(self.languages)}: name another stt.model."
        raise EngineError("stt", says)

    async def _ask(self, audio: Samples, work: Work, language: str | None, hints: Sequence[str]) -> Heard:
        """Send all of the sound at once, and return what comes back.

        Raises:
            LinkError: the service left or is away; it is asked anew what it is, next time.
            Refused: it answers `error`.
        """
        try:
            async with self._service.connected(work) as link:
                sending = asyncio.create_task(self._send(link, audio, language, hints))
                try:
                    while not Heard.is_type((event := await answer(link)).type):
                        pass
                    return parse(Heard, event)
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)  # why it broke is what the answer tells
        except LinkError:
            self._described = False
            raise

    async def _send(self, link: Link, audio: Samples, language: str | None, hints: Sequence[str]) -> None:
        request = Transcribe(name=self._model or None, language=language, transcript_names=list(hints) or None).event()
        request.data["whole"] = True  # tells an Antiphon not to look for the end before `audio-stop` (docs/wire.md)
        await link.send(request)
        await link.send(AudioStart(rate=RATE, width=2, channels=1, timestamp=0))
        for at in range(0, len(audio), CHUNK):
            pcm = to_bytes(audio[at : at + CHUNK])
            await link.send(AudioChunk(rate=RATE, width=2, channels=1, audio=pcm, timestamp=at * 1000 // RATE))
        await link.send(AudioStop(timestamp=len(audio) * 1000 // RATE))
