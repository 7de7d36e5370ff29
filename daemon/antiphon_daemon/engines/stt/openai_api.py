"""Speech to text behind OpenAI's transcriptions: speaches, vLLM, LocalAI, whisper.cpp's server, OpenAI and others."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import openai

from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.settings import Deadlines, Settings, Stt
from antiphon_daemon.engines import models
from antiphon_daemon.engines.contracts import EngineError, Transcript, Work
from antiphon_daemon.engines.llm.remote import reason
from antiphon_daemon.engines.openai_audio import AudioServer
from antiphon_daemon.engines.stt.guards import Heard, kept, loudest_db, unscored
from antiphon_daemon.engines.stt.streams import nothing_in
from antiphon_daemon.engines.stt.whisper_languages import LANGUAGES, code
from antiphon_daemon.engines.work import Token
from antiphon_daemon.engines.worker import revocable
from antiphon_daemon.engines.wyoming import OWN_SHARE, plain

LIKELY = ("whisper", "transcribe", "asr", "stt", "parakeet", "voxtral")
"""Parts of the names of models that hear."""


class OpenAiTranscriber:
    """A `Transcriber` on a server that is compatible with OpenAI's.

    The whole answer is asked for with its scores (`verbose_json`), so that what Whisper invents when nobody spoke can
    be told from speech; a server that has no such form is asked for the text alone from then on.

    Args:
        settings: the server's address, key and model. Without a name it is the only one of the server that hears.
        deadlines: how long connecting and an answer may take.

    Raises:
        EngineError: no server is named, or `stt.ca_file` is no certificate.
    """

    def __init__(self, settings: Stt, deadlines: Deadlines) -> None:
        self._server = AudioServer("stt", settings, deadlines, LIKELY)
        self._hints = settings.hints
        self._within_s = deadlines.stt_s * OWN_SHARE
        self._scores = True
        self.name = self._server.name

    @property
    def languages(self) -> Sequence[str]:
        """Those that Whisper knows; English alone for a model whose name says so."""
        return ("en",) if self._server.model.endswith(".en") else tuple(LANGUAGES)

    def follow(self, settings: Settings) -> None:
        """Take over the hints, and how long an answer may take."""
        self._hints = settings.stt.hints
        self._within_s = settings.deadlines.stt_s * OWN_SHARE

    async def check(self) -> None:
        """See that the server is there, and have it hear something.

        Raises:
            EngineError: it is not, or does not answer.
        """
        noise = np.random.default_rng(0).normal(0, 0.01, RATE).astype(np.float32)
        await self.transcribe(noise, Token(), language=None)

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        """Return what is said in `audio`; the server is not asked about silence or a click."""
        spoken = plain(language) if language else None
        if nothing_in(audio):
            return Transcript("", spoken, duration_s=len(audio) / RATE)
        async with revocable(work):  # being cancelled hangs up: the server stops
            with self._server.told(work, self._within_s):
                async with asyncio.timeout(self._within_s):
                    model = await self._server.choose()
                    self.name = self._server.name
                    self._check_language(spoken)
                    given: dict[str, Any] = {"model": model, "file": ("speech.wav", _wav(audio), "audio/wav")}
                    if spoken:
                        given["language"] = spoken
                    if words := (*self._hints, *hints):
                        given["prompt"] = f"{', '.join(dict.fromkeys(words))}."
                    answer = await self._ask(given)
        return self._transcript(answer, audio, spoken)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.client.close()

    async def _ask(self, given: dict[str, Any]) -> Any:
        create: Any = self._server.client.audio.transcriptions.create
        if self._scores:
            try:
                return await create(**given, response_format="verbose_json")
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                why = reason(error.message, error.body)
                if "response_format" not in why and "verbose_json" not in why:
                    raise
                self._scores = False
        return await create(**given, response_format="json")

    def _check_language(self, language: str | None) -> None:
        if language is None or language in self.languages:
            return
        if self.languages == ("en",):
            offered = models.offer("stt", language)
            says = f"The model {self._server.model} knows English only, not {language}: name another as stt.model"
            raise EngineError("stt", f"{says}{f', or use one here: {offered}' if offered else '.'}")
        says = f"The model {self._server.model} does not know the language {language}: correct language in config.yaml."
        raise EngineError("stt", says)

    def _transcript(self, answer: Any, audio: Samples, language: str | None) -> Transcript:
        """Return what is to be believed of an answer.

        Raises:
            EngineError: it is none.
        """
        text = answer if isinstance(answer, str) else getattr(answer, "text", None)
        if not isinstance(text, str) or text.lstrip()[:1] in ("<", "{"):
            raise self._server.stranger("a transcription has no text")
        parts = getattr(answer, "segments", None) or ()
        duration_s = len(audio) / RATE
        heard = _heard(text.strip(), parts, duration_s)
        scored = any(_number(part, "avg_logprob", None) is not None for part in parts)
        said = getattr(answer, "language", None)
        return Transcript(
            kept(heard, duration_s, loudest_db(audio)),
            language or (code(said) if isinstance(said, str) else None),
            avg_logprob=heard.avg_logprob if scored else None,
            no_speech_prob=heard.no_speech_prob if scored else None,
            compression_ratio=heard.compression_ratio if scored else None,
            tokens=heard.tokens if scored else None,
            duration_s=duration_s,
        )


def _heard(text: str, parts: Sequence[Any], duration_s: float) -> Heard:
    """Return an answer with its scores: of its parts the mean score and the worst signs.

    A part weighs as much as it has tokens.
    """
    plainly = unscored(text, duration_s)
    if not parts:
        return plainly
    tokens = [max(1, len(getattr(part, "tokens", None) or ())) for part in parts]
    scores = [_number(part, "avg_logprob", 0.0) or 0.0 for part in parts]
    return replace(
        plainly,
        avg_logprob=sum(score * size for score, size in zip(scores, tokens, strict=True)) / sum(tokens),
        no_speech_prob=min(_number(part, "no_speech_prob", 0.0) or 0.0 for part in parts),
        compression_ratio=max(_number(part, "compression_ratio", 0.0) or 0.0 for part in parts),
        tokens=max(sum(tokens), plainly.tokens),
    )


def _number(part: Any, name: str, otherwise: float | None) -> float | None:
    value = getattr(part, name, None)
    return float(value) if isinstance(value, (int, float)) else otherwise


def _wav(audio: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(to_bytes(audio))
    return file.getvalue()
