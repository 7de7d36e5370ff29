"""`POST /v1/audio/transcriptions`: a recording in, its words out.

The recording is read, cut at its pauses and heard part by part, each as patient work: a live turn goes first.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.datastructures import FormData, UploadFile

from antiphon.audio import vad
from antiphon.audio.pcm import RATE
from antiphon_daemon.engines.contracts import EngineError, Revoked, Transcript, Urgency
from antiphon_daemon.engines.work import Token
from antiphon_daemon.gateway.rest import asking, captions
from antiphon_daemon.gateway.rest.errors import ApiError, of_engine
from antiphon_daemon.gateway.rest.files import blocks
from antiphon_daemon.gateway.rest.house import RestHouse
from antiphon_daemon.gateway.rest.line import Line, following, unless_gone
from antiphon_daemon.gateway.rest.models import Catalogue
from antiphon_daemon.gateway.rest.parts import Cutter, Part
from antiphon_daemon.gateway.rest.streamed import EVENTS, Streamed, event
from antiphon_daemon.insight import metrics

FILE_BYTES = 25 * 1024 * 1024
"""The longest file, as OpenAI's."""
LONGEST_S = 2 * 3600.0
"""The longest recording."""
PART_WAITS_S = 60.0
"""A part of a recording may wait so long for its turn and be heard, besides the deadline of a live one."""
FIELDS = 64
HINT_LETTERS = 400
"""The end of a prompt that is longer is what counts, as with OpenAI."""
FORMATS = ("json", "text", "verbose_json", "srt", "vtt")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Asked:
    """What a request wants."""

    file: BinaryIO
    form: str
    stream: bool
    language: str | None
    hints: tuple[str, ...]
    segments: bool
    """Whether the times of its parts are wanted."""


@dataclass
class Found:
    """What was heard of a recording."""

    parts: list[tuple[Part, Transcript]] = field(default_factory=list)
    duration_s: float = 0.0
    language: str | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(heard.text for _, heard in self.parts)


class TranscriptionDesk:
    """Answers the requests."""

    def __init__(self, house: RestHouse, models: Catalogue) -> None:
        self._house, self._models = house, models
        self._line = Line()

    async def transcribe(self, request: Request) -> Response:
        """Answer one request."""
        asking.ready(self._house)
        form = await asking.form(request, FIELDS)
        streamed: Streamed | None = None
        try:
            asked, work, found = self._asked(form), Token(urgency=Urgency.PATIENT), Found()
            if asked.stream:
                streamed = await self._streamed(request, asked, found, work, form)
                return streamed
            await unless_gone(request, self._hear_all(asked, found, work), work)
            return _answer(asked, found)
        finally:
            if streamed is None:
                await form.close()

    def _asked(self, form: FormData) -> Asked:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise ApiError(400, "There is no file: send one as the form field `file`.", param="file")
        if file.size is not None and file.size > FILE_BYTES:
            raise ApiError(413, f"The file is larger than {FILE_BYTES >> 20} MB.", param="file", code="file_too_large")
        self._models.check(asking.text(form, "model"), "transcription")
        kind = asking.choice(form, "response_format", FORMATS)
        stream = asking.choice(form, "stream", ("false", "true")) == "true"
        times = asking.several(form, "timestamp_granularities")
        if wrong := [time for time in times if time != "segment"]:
            message = f"Times are told for segments, not for {wrong[0]}s: the engine does not tell them."
            raise ApiError(400, message, param="timestamp_granularities")
        if times and kind != "verbose_json":
            message = "With timestamp_granularities goes response_format=verbose_json."
            raise ApiError(400, message, param="timestamp_granularities")
        if stream and kind not in ("json", "text"):
            raise ApiError(400, f"Of {kind} there is no stream: leave stream out.", param="response_format")
        if asking.several(form, "include"):
            raise ApiError(
                400, "The engine tells no probabilities of single words: leave include out.", param="include"
            )
        if any(asking.several(form, name) for name in ("known_speaker_names", "known_speaker_references")):
            raise ApiError(400, "Speakers are not told apart here.", param="known_speaker_names")
        prompt = asking.text(form, "prompt", "").strip()[-HINT_LETTERS:].rstrip(".")
        words = tuple(word.strip() for word in asking.several(form, "keywords") if word.strip())
        hints = (prompt, *words) if prompt else words
        return Asked(file.file, kind, stream, self._language(form), hints, kind not in ("json", "text"))

    def _language(self, form: FormData) -> str | None:
        """Return the language that a request names; None: the engine is to find it."""
        named = asking.several(form, "languages")
        asked = asking.text(form, "language", "") or (named[0] if len(named) == 1 else "")
        if not asked:
            return None
        code = asked.lower().replace("_", "-").split("-")[0]
        engine = self._house.engines.transcriber
        if code not in engine.languages:
            known = ", ".join(sorted(engine.languages))
            message = f"The model {engine.name} does not know the language {asked!r}, only: {known}."
            raise ApiError(400, message, param="language")
        return code

    async def _streamed(self, request: Request, asked: Asked, found: Found, work: Token, form: FormData) -> Streamed:
        """Return the answer in events, which closes the form at its end; an error before the first is raised."""
        parts = self._hear(asked, found, work)

        async def events(said: tuple[Part, Transcript] | None) -> AsyncGenerator[bytes, None]:
            try:
                while said is not None:
                    space = " " if len(found.parts) > 1 else ""
                    yield event(type="transcript.text.delta", delta=space + said[1].text)
                    said = await following(parts)
            except ApiError as error:
                yield event(type="error", **error.body)
                return
            usage = {"type": "duration", "seconds": math.ceil(found.duration_s)}
            yield event(type="transcript.text.done", text=found.text, usage=usage)

        async def free() -> None:
            work.revoke()
            await parts.aclose()
            await form.close()

        return Streamed(events(await unless_gone(request, following(parts), work)), EVENTS, free)

    async def _hear_all(self, asked: Asked, found: Found, work: Token) -> None:
        async with aclosing(self._hear(asked, found, work)) as parts:
            async for _ in parts:
                pass

    async def _hear(self, asked: Asked, found: Found, work: Token) -> AsyncGenerator[tuple[Part, Transcript], None]:
        """Yield the parts of a recording in which something is said.

        Raises:
            ApiError: it cannot be read, or the engine fails.
        """
        found.language = asked.language
        async with self._line.turn():
            metrics.COUNTS.transcriptions += 1
            reading = _read(asked.file, found)
            while (parts := await asyncio.to_thread(next, reading, None)) is not None:
                for part in parts:
                    heard = await self._hear_part(part, asked, found.language, work)
                    if heard.text:
                        found.language = found.language or heard.language
                        found.parts.append((part, heard))
                        yield part, heard

    async def _hear_part(self, part: Part, asked: Asked, language: str | None, work: Token) -> Transcript:
        settings = self._house.settings
        within_s = settings.deadlines.stt_s + PART_WAITS_S
        try:
            async with asyncio.timeout(within_s):
                return await self._house.engines.transcriber.transcribe(
                    part.samples, work, language=language, hints=(*settings.stt.hints, *asked.hints)
                )
        except TimeoutError:
            raise ApiError(503, f"There was no transcript within {within_s:g} s.", code="stt_failed") from None
        except EngineError as error:
            log.error("a recording is not heard", why=error.for_log)
            raise of_engine(error) from None
        except Revoked:
            raise ApiError(503, "The engine has been stopped.", code="stt_failed") from None


def _read(file: BinaryIO, found: Found) -> Iterator[list[Part]]:
    """Yield the parts of a recording, block by block. Each step blocks."""
    cutter, count = Cutter(vad.load()), 0
    for block in blocks(file, LONGEST_S):
        count += len(block)
        found.duration_s = count / RATE
        yield list(cutter.feed(block))
    if not count:
        raise ApiError(400, "The file holds no sound.", param="file", code="invalid_file")
    yield list(cutter.end())


def _answer(asked: Asked, found: Found) -> Response:
    if asked.form == "text":
        return PlainTextResponse(found.text + "\n")
    cues = [(part.start_s, part.end_s, heard.text) for part, heard in found.parts]
    if asked.form == "srt":
        return PlainTextResponse(captions.srt(cues), media_type="application/x-subrip")
    if asked.form == "vtt":
        return PlainTextResponse(captions.vtt(cues), media_type="text/vtt")
    usage = {"type": "duration", "seconds": math.ceil(found.duration_s)}
    if asked.form == "json":
        return JSONResponse({"text": found.text, "usage": usage})
    return JSONResponse(
        {
            "task": "transcribe",
            "language": found.language,
            "duration": round(found.duration_s, 3),
            "text": found.text,
            "segments": [_segment(at, part, heard) for at, (part, heard) in enumerate(found.parts)],
            "usage": usage,
        }
    )


def _segment(at: int, part: Part, heard: Transcript) -> dict[str, Any]:
    """Return a part as OpenAI tells segments; what the engine does not tell is null, and of tokens it tells none."""
    return {
        "id": at,
        "seek": round(part.start_s * 100),
        "start": round(part.start_s, 3),
        "end": round(part.end_s, 3),
        "text": heard.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": heard.avg_logprob,
        "compression_ratio": heard.compression_ratio,
        "no_speech_prob": heard.no_speech_prob,
    }
