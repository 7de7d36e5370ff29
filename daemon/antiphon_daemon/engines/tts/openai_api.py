"""Speech behind OpenAI's speech endpoint: speaches, Kokoro-FastAPI, LocalAI, OpenAI and others; played as it comes."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Any

from antiphon.settings import Deadlines, Settings, Tts
from antiphon_daemon.engines.contracts import EngineError, Voice, Work
from antiphon_daemon.engines.openai_audio import AudioServer, hung_up
from antiphon_daemon.engines.timely import timely
from antiphon_daemon.engines.tts.wav import WavError, WavReader
from antiphon_daemon.engines.work import Token
from antiphon_daemon.engines.wyoming import OWN_SHARE

RATE = 24_000
"""What every voice is given out at: OpenAI's own."""

LIKELY = ("tts", "kokoro", "piper", "speech", "orpheus", "supertonic")
"""Parts of the names of models that speak."""

VOICE = "alloy"
"""Asked for where no voice is named; other makers' servers know OpenAI's names as well as their own."""

LONGEST_TEXT = 4_000
"""Characters in one request; OpenAI takes 4096."""

READY = "Ready."
"""Said once, unheard, when the server is checked."""


class OpenAiSynthesizer:
    """A `Synthesizer` on a server that is compatible with OpenAI's.

    It is asked for a WAV, which says its own rate, and streams it where the server does.

    Args:
        settings: the server's address, key and model; the voice (`embedded`: OpenAI's first) and the speed.
        deadlines: how long connecting and each piece of sound may take, and how long a reply may be.
        language: the language of the house, which is taken to be spoken: the server does not tell which are.

    Raises:
        EngineError: no server is named, or `tts.ca_file` is no certificate.
    """

    def __init__(self, settings: Tts, deadlines: Deadlines, language: str) -> None:
        self._server = AudioServer("tts", settings, deadlines, LIKELY)
        self._settings = settings
        self._language = language
        self._obey(deadlines)
        self.rate = RATE

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"{self._server.name} {self._voice}"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voice of the settings; any other that the server has can be asked for."""
        return (Voice(self._voice, (self._language,)),)

    @property
    def _voice(self) -> str:
        return VOICE if self._settings.voice == "embedded" else self._settings.voice

    async def check(self) -> None:
        """See that the server is there, and have it say something.

        Raises:
            EngineError: it is not, or makes no sound.
        """
        async for _ in self.speak(READY, Token(), voice=None, language=None):
            pass

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Yield PCM as it comes from the server; nothing where there is nothing to say."""
        given = 0
        if not any(one.isalnum() for one in text):
            return
        for piece in textwrap.wrap(text, LONGEST_TEXT, replace_whitespace=False, drop_whitespace=False):
            sound = self._sound(piece, work, voice or self._voice)
            told = partial(self._server.told, work, self._within_s)
            async with aclosing(timely(sound, work, self._within_s, told)) as blocks:
                async for block in blocks:
                    if (given := given + len(block)) > self._most:
                        raise EngineError("tts", f"The server at {self._server.url} speaks without an end.")
                    if block:
                        yield block
        if not given:
            raise self._server.stranger("it makes no sound")

    def follow(self, settings: Settings) -> None:
        """Take over how long each piece of sound may take, and how long a reply may be."""
        self._obey(settings.deadlines)

    async def tune(self, settings: Tts) -> None:
        """Speak with another voice or speed from the next sentence on."""
        self._settings = settings

    async def close(self) -> None:
        """Close the connections."""
        await self._server.client.close()

    def _obey(self, deadlines: Deadlines) -> None:
        self._within_s = deadlines.tts_first_s * OWN_SHARE
        self._most = round(deadlines.reply_s * RATE) * 2

    async def _sound(self, text: str, work: Work, voice: str) -> AsyncGenerator[bytes, None]:
        """Yield PCM at `RATE`; an empty block where something has come that makes no sound yet."""
        speed = {} if self._settings.speed == 1 else {"speed": self._settings.speed}
        create: Any = self._server.client.audio.speech.with_streaming_response.create
        asked = create(model=await self._server.choose(), voice=voice, input=text, response_format="wav", **speed)
        wav = WavReader(RATE)
        async with AsyncExitStack() as answering:  # leaving it hangs up: the server stops
            answer = await answering.enter_async_context(asked)
            answering.enter_context(hung_up(answer.http_response, work))
            kind = answer.headers.get("content-type", "")
            if kind.startswith(("text/", "application/json")):
                raise self._server.stranger(f"it answers {kind} where sound should be")
            try:
                async for block in answer.iter_bytes():
                    yield wav.feed(block)
                yield wav.end()
            except WavError as error:
                raise self._unusable(error) from error

    def _unusable(self, error: WavError) -> EngineError:
        return EngineError("tts", f"The server at {self._server.url} sends {error}: take another tts.model or server.")
