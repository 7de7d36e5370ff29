"""`POST /v1/audio/speech`: a text in, its sound out, from the first clause on while the rest is still being made."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import Request
from fastapi.responses import Response

from antiphon.text import composed
from antiphon_daemon.conversation.clauses import ClauseCutter, Part
from antiphon_daemon.conversation.pacing import Utterances, pace_of
from antiphon_daemon.conversation.speaking import silence, sound_of
from antiphon_daemon.engines.contracts import EngineError, Revoked, Urgency, Voice
from antiphon_daemon.engines.work import Token
from antiphon_daemon.gateway.rest import asking
from antiphon_daemon.gateway.rest.errors import ApiError, of_engine
from antiphon_daemon.gateway.rest.files import MEDIA, Encoder
from antiphon_daemon.gateway.rest.house import RestHouse
from antiphon_daemon.gateway.rest.line import Line, following, unless_gone
from antiphon_daemon.gateway.rest.models import Catalogue
from antiphon_daemon.gateway.rest.streamed import EVENTS, Streamed, event
from antiphon_daemon.insight import metrics

LETTERS = 4096
"""The longest text, as OpenAI's."""
SLOWEST, FASTEST = 0.25, 4.0
OTHERS = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)
"""OpenAI's own voices: who asks for one gets the voice of the house."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Asked:
    """What a request wants."""

    text: str
    voice: str | None
    language: str | None
    """What the voice speaks."""
    form: str
    events: bool
    speed: float


class SpeechDesk:
    """Answers the requests."""

    def __init__(self, house: RestHouse, models: Catalogue) -> None:
        self._house, self._models = house, models
        self._line = Line()

    async def speak(self, request: Request) -> Response:
        """Answer one request."""
        asking.ready(self._house)
        asked = self._asked(await asking.body(request))
        work = Token(urgency=Urgency.PATIENT)
        sound = self._file(asked, work)
        try:
            first = await unless_gone(request, following(sound), work)
        except BaseException:
            await sound.aclose()
            raise
        assert first is not None  # where there is nothing to say it was refused

        async def free() -> None:
            work.revoke()
            await sound.aclose()

        if asked.events:
            return Streamed(self._events(first, sound), EVENTS, free)
        return Streamed(self._bytes(first, sound, request), MEDIA[asked.form], free)

    def _asked(self, body: dict[str, Any]) -> Asked:
        text = body.get("input")
        if not isinstance(text, str) or not text.strip():
            raise ApiError(400, "There is nothing to say: input is a text.", param="input")
        if len(text) > LETTERS:
            message = f"The text has {len(text)} letters: at most {LETTERS} are spoken at a time."
            raise ApiError(400, message, param="input", code="string_above_max_length")
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise ApiError(400, "The field model is missing, or is no text.", param="model")
        self._models.check(model, "speech")
        form, stream = body.get("response_format") or "mp3", body.get("stream_format") or "audio"
        for name, value, known in (("response_format", form, MEDIA), ("stream_format", stream, ("audio", "sse"))):
            if not isinstance(value, str) or value not in known:
                raise ApiError(400, f"There is no {name} {value!r}, only: {', '.join(known)}.", param=name)
        speed = body.get("speed", 1.0)
        if speed is None:
            speed = 1.0
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not SLOWEST <= speed <= FASTEST:
            raise ApiError(400, f"The speed is a number from {SLOWEST} to {FASTEST}.", param="speed")
        voice, language = self._voice(body.get("voice"))
        plain = composed(text.encode("utf-8", "replace").decode())
        return Asked(plain, voice, language, str(form), stream == "sse", float(speed))

    def _voice(self, asked: Any) -> tuple[str | None, str | None]:
        """Return the name of the voice that is asked for, None for that of the house, and what it speaks."""
        name = asked.get("id") if isinstance(asked, dict) else asked
        voices = self._house.engines.synthesizer.voices
        if name is None or (isinstance(name, str) and name in OTHERS):
            return None, _language(voices[0]) if voices else None
        for voice in voices:
            if name in (voice.name, *voice.speakers, *(f"{voice.name}/{speaker}" for speaker in voice.speakers)):
                return str(name), _language(voice)
        known = ", ".join(_names(voice) for voice in voices)
        message = f"There is no voice {name!r} here, only: {known} (and OpenAI's names, for the first of them)."
        raise ApiError(400, message, param="voice", code="voice_not_found")

    async def _file(self, asked: Asked, work: Token) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the file that says the text.

        Raises:
            ApiError: it cannot be said.
        """
        rate = self._house.engines.synthesizer.rate
        async with self._line.turn():
            metrics.COUNTS.speeches += 1
            encoder = Encoder(asked.form, rate)
            try:
                async with aclosing(self._sound(asked, work)) as blocks:
                    async for pcm in blocks:
                        if ready := encoder.feed(pcm):
                            yield ready
                if rest := encoder.end():
                    yield rest
            except EngineError as error:
                log.error("a text is not spoken", why=error.for_log)
                raise of_engine(error) from None
            except Revoked:
                raise ApiError(503, "The voice has been stopped.", code="tts_failed") from None
            finally:
                work.revoke()
                encoder.close()

    async def _sound(self, asked: Asked, work: Token) -> AsyncGenerator[bytes, None]:
        """Yield the text as PCM: clause by clause, and the pauses between."""
        engine, settings = self._house.engines.synthesizer, self._house.settings
        language = asked.language or settings.language
        began: float | None = None
        samples, pause_ms, said = 0, 0.0, False

        def ahead_s() -> float:
            return samples / engine.rate - (time.monotonic() - began if began is not None else 0.0)

        parts = await _parts(asked.text, language)
        utterances = Utterances(parts, pace_of(engine), language, ahead_s)
        while (one := await utterances.next()) is not None:
            if one.spoken.text and said and pause_ms:
                samples += round(engine.rate * pause_ms / 1000)
                yield silence(pause_ms, engine.rate)
                pause_ms = 0.0
            spoken = sound_of(
                one,
                engine,
                work,
                language=None,
                voice=asked.voice,
                deadlines=settings.deadlines,
                speed=asked.speed,
            )
            async with aclosing(spoken) as blocks:
                async for pcm in blocks:
                    began = began if began is not None else time.monotonic()
                    said = True
                    samples += len(pcm) // 2
                    yield pcm
            pause_ms = one.pause_ms / asked.speed or pause_ms
        if not said:
            raise ApiError(400, "There is nothing in the text that can be spoken.", param="input")

    async def _bytes(
        self, first: bytes, sound: AsyncGenerator[bytes, None], request: Request
    ) -> AsyncGenerator[bytes, None]:
        """Yield the file. When the voice fails on the way, the connection breaks: what came is not the whole."""
        yield first
        try:
            async for block in sound:
                yield block
        except ApiError as error:
            log.error("a file stays unfinished", why=str(error))
            if (client := request.client) is not None:
                self._house.abort((client.host, client.port))

    async def _events(self, first: bytes, sound: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the file in events."""
        block: bytes | None = first
        try:
            while block is not None:
                yield event(type="speech.audio.delta", audio=base64.b64encode(block).decode())
                block = await following(sound)
        except ApiError as error:
            yield event(type="error", **error.body)
            return
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}  # none are counted
        yield event(type="speech.audio.done", usage=usage)


async def _parts(text: str, language: str) -> asyncio.Queue[Part | None]:
    """Return the parts of a text, all of them: it is bounded."""
    parts: asyncio.Queue[Part | None] = asyncio.Queue()
    cutter = ClauseCutter(language)
    for part in cutter.feed(text):
        parts.put_nowait(part)
        await asyncio.sleep(0)  # a long text must not keep others waiting
    if (rest := cutter.rest()) is not None:
        parts.put_nowait(rest)
    parts.put_nowait(None)
    return parts


def _names(voice: Voice) -> str:
    return voice.name if not voice.speakers else f"{voice.name} ({', '.join(voice.speakers)})"


def _language(voice: Voice) -> str | None:
    return re.split("[-_]", voice.languages[0].lower())[0] if voice.languages else None
