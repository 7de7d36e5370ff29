"""Speech made by another maker's Wyoming service.

synthesize{text, voice?}  →  audio-start · audio-chunk… · audio-stop
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial

from wyoming.audio import AudioChunk, AudioStop
from wyoming.info import Info
from wyoming.tts import Synthesize, SynthesizeVoice

from antiphon.audio.pcm import Converter, Format, to_bytes
from antiphon.settings import Deadlines, Settings, Tts
from antiphon.wire.frames import parse
from antiphon.wire.link import LinkError
from antiphon_daemon.engines.contracts import EngineError, Voice, Work
from antiphon_daemon.engines.timely import timely
from antiphon_daemon.engines.work import Token
from antiphon_daemon.engines.wyoming import OWN_SHARE, Service, answer, installed, listed, plain

RATE = 22_050
"""What every voice is given out at, whatever the service sends."""

READY = "Ready."
"""Said once, unheard, when the service is checked."""


class WyomingSynthesizer:
    """A `Synthesizer` on a Wyoming service.

    A voice is asked for by its name, or by its and a speaker's as `name/speaker`; where none is named, in the settings
    or by who asks, the service takes its own.

    Args:
        settings: the address; the voice and speaker, where the service has several.
        deadlines: how long connecting and each piece of sound may take, and how long a reply may be.
        language: the language of the house, which is taken to be spoken until the service has said which are.

    Raises:
        EngineError: no address is set.
    """

    def __init__(self, settings: Tts, deadlines: Deadlines, language: str) -> None:
        self._service = Service("tts", settings.url, deadlines.connect_s)
        self._settings = settings
        self._obey(deadlines)
        self._program = settings.url
        self._voices: tuple[Voice, ...] = (Voice(self._voice or "default", (language,)),)
        self._described = False
        self.rate = RATE

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"wyoming {self._program} {self._voice}".strip()

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voices of the service, the one of the settings first."""
        return tuple(sorted(self._voices, key=lambda one: one.name != self._voice))

    async def start(self) -> None:
        """Ask the service what it is; one that is away is asked again when it is needed.

        Raises:
            EngineError: it is there, but has no such voice, or is no text to speech.
        """
        await self._service.introduce(self._learn, away="the voice is away")

    async def check(self) -> None:
        """See that the service is there, and have it say something.

        Raises:
            EngineError: it is not, or makes no sound.
        """
        await self._describe()
        sound = b"".join([pcm async for pcm in self.speak(READY, Token(), voice=None, language=None)])
        if not sound:
            raise self._service.failure(f"{self._service.url} makes no sound")

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Yield PCM as it comes from the service."""
        sound = self._sound(text, work, voice, language)
        told = partial(self._service.told, work, self._within_s)
        async with aclosing(timely(sound, work, self._within_s, told)) as blocks:
            async for block in blocks:
                yield block

    def follow(self, settings: Settings) -> None:
        """Take over how long each piece of sound may take, and how long a reply may be."""
        self._obey(settings.deadlines)

    def _obey(self, deadlines: Deadlines) -> None:
        self._within_s = deadlines.tts_first_s * OWN_SHARE
        self._most = round(deadlines.reply_s * RATE)

    async def tune(self, settings: Tts) -> None:
        """Speak with another voice or speaker from the next sentence on; the speed is the service's own."""
        if self._described:
            self._find(settings, None)
        self._settings = settings

    async def close(self) -> None:
        """Nothing is held between requests."""

    @property
    def _voice(self) -> str:
        return "" if self._settings.voice == "embedded" else self._settings.voice

    async def _describe(self) -> None:
        self._learn(await self._service.info())

    def _learn(self, info: Info) -> None:
        """Take over what the service says of itself.

        Raises:
            EngineError: it has no such voice, or is no text to speech.
        """
        programs = installed(info.tts)
        if not programs:
            raise self._service.failure(f"{self._service.url} has no text to speech")
        program = programs[0]
        self._program = program.name
        voices = [
            Voice(
                one.name,
                tuple(dict.fromkeys(plain(tag) for tag in one.languages)),
                tuple(speaker.name for speaker in one.speakers or ()),
            )
            for one in installed(program.voices)
        ]
        self._voices = tuple(voices) or self._voices
        self._find(self._settings, None)
        self._described = True

    def _find(self, settings: Tts, asked: str | None) -> tuple[Voice | None, str]:
        """Return the voice that is asked for and its speaker; None for the service's own.

        Raises:
            EngineError: there is no such voice, or speaker.
        """
        own = "" if settings.voice == "embedded" else settings.voice
        name, speaker = asked or own, "" if asked and asked != own else settings.speaker
        if not name:
            return None, speaker
        voices = {one.name: one for one in self._voices}
        if name not in voices and "/" in name:
            name, _, speaker = name.rpartition("/")
        if name not in voices:
            where = "" if asked else ": correct tts.voice"
            raise EngineError("tts", f"There is no voice {name} at {self._service.url}, only {listed(voices)}{where}.")
        found = voices[name]
        if speaker and found.speakers and speaker not in found.speakers:
            says = f"The voice {name} has no speaker {speaker}, only {listed(found.speakers)}."
            raise EngineError("tts", says)
        return found, speaker

    def _asked(self, voice: str | None, language: str | None) -> SynthesizeVoice | None:
        """Return the voice as the protocol has it.

        Raises:
            EngineError: there is no such voice, or it does not speak `language`.
        """
        found, speaker = self._find(self._settings, voice)
        spoken = found.languages if found else [tag for one in self._voices for tag in one.languages]
        if language and spoken and plain(language) not in spoken:
            what = f"The voice {found.name}" if found else f"The service at {self._service.url}"
            says = f"{what} speaks {listed(dict.fromkeys(spoken))}, not {language}: name a voice for it as tts.voice."
            raise EngineError("tts", says)
        if found is None and not language:
            return None
        return SynthesizeVoice(found.name if found else None, language and plain(language), speaker or None)

    async def _sound(
        self, text: str, work: Work, voice: str | None, language: str | None
    ) -> AsyncGenerator[bytes, None]:
        """Yield PCM at `RATE`.

        Raises:
            LinkError: the service left or is away; it is asked anew what it is, next time.
            FormatError: its sound cannot be used.
            Refused: it answers `error`.
        """
        try:
            if not self._described:
                await self._describe()
            request = Synthesize(text=text, voice=self._asked(voice, language))
            async with self._service.connected(work) as link:
                await link.send(request)
                given, converter = 0, None
                while not AudioStop.is_type((event := await answer(link)).type):
                    if not AudioChunk.is_type(event.type):
                        continue
                    chunk = parse(AudioChunk, event)
                    form = Format(chunk.rate, chunk.width, chunk.channels)
                    if converter is None or converter.form != form:
                        rest = to_bytes(converter.end()) if converter is not None else b""
                        converter = Converter(form, RATE)
                    else:
                        rest = b""
                    pcm = rest + to_bytes(converter.feed(chunk.audio))
                    if (given := given + len(pcm) // 2) > self._most:
                        raise self._service.failure(f"{self._service.url} speaks without an end")
                    if pcm:
                        yield pcm
            if converter is not None and (pcm := to_bytes(converter.end())):
                yield pcm
        except LinkError:
            self._described = False
            raise
