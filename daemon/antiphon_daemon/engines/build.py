"""Builds the three engines that the settings name: loaded off the event loop, warmed, ready for the first real call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from antiphon.settings import Settings
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import Responder, Synthesizer, Transcriber, TurnModel

if TYPE_CHECKING:
    from antiphon_daemon.engines.llm.ollama import Ollama


async def build_transcriber(settings: Settings) -> Transcriber:
    """Return the engine that hears.

    Raises:
        EngineMissing: its package or its embedded model is not installed.
        EngineError: the model cannot be loaded.
    """

    def load() -> Transcriber:
        catalogue.require("stt", "faster_whisper", "faster-whisper")
        from antiphon_daemon.engines.stt.faster_whisper import FasterWhisper

        return FasterWhisper(settings.stt)

    return await asyncio.to_thread(load)


async def build_responder(settings: Settings) -> Responder:
    """Return the engine that thinks.

    A server that does not run is no error here: it may be started later, and each reply says so until it is.

    Raises:
        EngineMissing: its package or its embedded model is not installed.
        EngineError: the model cannot be loaded, or none is named.
    """

    def load_ollama() -> Ollama:
        catalogue.require("llm", "ollama", "ollama")
        from antiphon_daemon.engines.llm.ollama import Ollama

        return Ollama(settings.llm, connect_s=settings.deadlines.connect_s)

    def load_embedded() -> Responder:
        catalogue.require("llm", "xllamacpp", "llama")
        from antiphon_daemon.engines.llm.embedded import Embedded

        return Embedded(settings.llm)

    if settings.llm.engine == "ollama":
        server = await asyncio.to_thread(load_ollama)
        await server.warm()
        return server
    return await asyncio.to_thread(load_embedded)


async def build_synthesizer(settings: Settings) -> Synthesizer:
    """Return the engine that speaks.

    Raises:
        EngineMissing: its package or its embedded voice is not installed.
        EngineError: the voice cannot be loaded.
    """

    def load() -> Synthesizer:
        catalogue.require("tts", "piper", "piper")
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
        catalogue.require("turn", "onnxruntime", "smart-turn")
        catalogue.require("turn", "faster_whisper", "smart-turn")
        from antiphon_daemon.engines.turn.smart_turn import SmartTurn

        return SmartTurn()

    return await asyncio.to_thread(load) if settings.turn.model == "smart_turn" else None
