"""Builds the three engines that the settings name: loaded off the event loop, warmed, ready for the first real call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from antiphon.settings import Llm, Settings
from antiphon_daemon.engines import auto, available
from antiphon_daemon.engines.contracts import (
    EngineError,
    Responder,
    Stage,
    Synthesizer,
    Transcriber,
    TurnModel,
    WordJudge,
)
from antiphon_daemon.engines.llm.remote import wrong_proxy

if TYPE_CHECKING:
    from antiphon_daemon.engines.llm.health import Backend

_importing = threading.Lock()
"""Engines are loaded side by side but imported one by one: two that need the same package would lock each other out."""


async def resolved(settings: Settings, stage: Stage) -> Settings:
    """Return settings that name the engine of a stage where these say `auto`.

    Raises:
        EngineMissing: nothing that is here knows the language of the house.
    """
    if getattr(settings, stage).engine != "auto":
        return settings
    named = await asyncio.to_thread(auto.resolve, settings, (stage,))
    return named[0]


async def build_transcriber(settings: Settings) -> Transcriber:
    """Return the engine that hears.

    A service that does not run is no error here: it may be started later, and each turn says so until it is.

    Raises:
        EngineMissing: its package or its embedded model is not installed.
        EngineError: the model cannot be loaded, or a setting cannot be used.
    """
    settings = await resolved(settings, "stt")
    if settings.stt.engine == "wyoming":
        from antiphon_daemon.engines.stt.wyoming import WyomingTranscriber

        far = WyomingTranscriber(settings.stt, settings.deadlines, settings.language)
        await far.start()
        return far

    def load() -> Transcriber:
        available.require("stt", settings.stt.engine)
        if settings.stt.engine == "mlx_whisper":
            with _importing:
                from antiphon_daemon.engines.stt.mlx_whisper import MlxWhisper

            return MlxWhisper(settings.stt)
        if settings.stt.engine == "openai_whisper":
            with _importing:
                from antiphon_daemon.engines.stt.openai_whisper import OpenAiWhisper

            return OpenAiWhisper(settings.stt)
        if settings.stt.engine == "vosk":
            with _importing:
                from antiphon_daemon.engines.stt.vosk import Vosk

            return Vosk(settings.stt, settings.language)
        if settings.stt.engine == "sherpa_onnx":
            with _importing:
                from antiphon_daemon.engines.stt.sherpa_onnx import load as load_sherpa_onnx

            return load_sherpa_onnx(settings.stt, settings.language)
        if settings.stt.engine == "openai_api":
            with _importing:
                from antiphon_daemon.engines.stt.openai_api import OpenAiTranscriber

            return OpenAiTranscriber(settings.stt, settings.deadlines)
        with _importing:
            from antiphon_daemon.engines.stt.faster_whisper import FasterWhisper

        return FasterWhisper(settings.stt)

    return await asyncio.to_thread(load)


async def build_responder(settings: Settings) -> Responder:
    """Return the engine that thinks.

    A server that does not run is no error here: it may be started later, and each reply says so until it is.

    Raises:
        EngineMissing: its package or its embedded model is not installed.
        EngineError: the model cannot be loaded, or a setting cannot be used.
    """

    settings = await resolved(settings, "llm")
    backends = await asyncio.to_thread(load_backends, settings)
    if len(backends) == 1 and settings.llm.chain[0].engine == "embedded":
        return backends[0]
    from antiphon_daemon.engines.llm.chain import Chain

    chain = Chain(backends, first_s=settings.deadlines.llm_first_s)
    await chain.start()
    return chain


def word_judge(responder: Responder) -> WordJudge | None:
    """Return the model among those of `responder` that can judge a sentence; None where none runs in this process."""
    members: Sequence[Responder] = getattr(responder, "members", (responder,))
    return next((member for member in members if isinstance(member, WordJudge)), None)


def load_backends(settings: Settings) -> list[Backend]:
    """Return the language models of `llm` in the order they are asked. Blocks while it loads.

    Raises:
        EngineMissing: a package or the embedded model is not installed.
        EngineError: a model cannot be loaded, or a setting cannot be used.
    """
    settings, _ = auto.resolve(settings, ("llm",))
    chosen: list[Llm] = []
    for one in settings.llm.chain:
        if one not in chosen:
            chosen.append(one)
    return [_load_backend(one, settings, last=one is chosen[-1]) for one in chosen]


def _load_backend(llm: Llm, settings: Settings, *, last: bool) -> Backend:
    connect_s = settings.deadlines.connect_s
    available.require("llm", llm.engine)
    if llm.engine == "homeassistant":
        with _importing:
            from antiphon_daemon.engines.llm.homeassistant import HomeAssistantAgent

        return HomeAssistantAgent(llm, settings.home_assistant, others=not last, connect_s=connect_s)
    if llm.engine == "ollama":
        if wrong := wrong_proxy():  # its package makes a client when it is imported
            raise EngineError("llm", f"Ollama cannot be asked: {wrong}")
        with _importing:
            from antiphon_daemon.engines.llm.ollama import Ollama

        return Ollama(llm, connect_s=connect_s)
    if llm.engine == "openai_api":
        with _importing:
            from antiphon_daemon.engines.llm.openai_api import OpenAiApi

        return OpenAiApi(llm, connect_s=connect_s)
    with _importing:
        from antiphon_daemon.engines.llm.embedded import Embedded

    return Embedded(llm)


async def build_synthesizer(settings: Settings) -> Synthesizer:
    """Return the engine that speaks.

    A service that does not run is no error here: it may be started later, and each reply says so until it is.

    Raises:
        EngineMissing: its package or its embedded voice is not installed.
        EngineError: the voice cannot be loaded, or a setting cannot be used.
    """
    settings = await resolved(settings, "tts")
    if settings.tts.engine == "wyoming":
        from antiphon_daemon.engines.tts.wyoming import WyomingSynthesizer

        far = WyomingSynthesizer(settings.tts, settings.deadlines, settings.language)
        await far.start()
        return far

    def load() -> Synthesizer:
        available.require("tts", settings.tts.engine)
        if settings.tts.engine == "espeak":
            from antiphon_daemon.engines.tts.espeak import Espeak

            return Espeak(settings.tts, settings.language)
        if settings.tts.engine == "kokoro":
            with _importing:
                from antiphon_daemon.engines.tts.kokoro import Kokoro

            return Kokoro(settings.tts, settings.language)
        if settings.tts.engine == "supertonic":
            with _importing:
                from antiphon_daemon.engines.tts.supertonic import Supertonic

            return Supertonic(settings.tts, settings.language)
        if settings.tts.engine == "coqui":
            with _importing:
                from antiphon_daemon.engines.tts.coqui import Coqui

            return Coqui(settings.tts, settings.language)
        if settings.tts.engine == "openai_api":
            with _importing:
                from antiphon_daemon.engines.tts.openai_api import OpenAiSynthesizer

            return OpenAiSynthesizer(settings.tts, settings.deadlines, settings.language)
        with _importing:
            from antiphon_daemon.engines.tts.piper import Piper

        return Piper(settings.tts)

    return await asyncio.to_thread(load)


async def build_turn_model(settings: Settings) -> TurnModel | None:
    """Return the engine that judges the sound of a turn's end; None where silence alone decides.

    Raises:
        EngineMissing: its package or its embedded model is not installed.
        EngineError: the model cannot be loaded.
    """

    def load() -> TurnModel:
        available.require("turn", "smart_turn")
        with _importing:
            from antiphon_daemon.engines.turn.smart_turn import SmartTurn

        return SmartTurn()

    return await asyncio.to_thread(load) if settings.turn.model == "smart_turn" else None
