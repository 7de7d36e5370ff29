"""Builds the three engines that the settings name: loaded off the event loop, warmed, ready for the first real call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from antiphon.settings import Llm, Settings
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import Responder, Synthesizer, Transcriber, TurnModel, WordJudge

if TYPE_CHECKING:
    from antiphon_daemon.engines.llm.health import Backend

_importing = threading.Lock()
"""Engines are loaded side by side but imported one by one: two that need the same package would lock each other out."""


async def build_transcriber(settings: Settings) -> Transcriber:
    """Return the engine that hears.

    A service that does not run is no error here: it may be started later, and each turn says so until it is.

    Raises:
        EngineMissing: its package or its embedded model is not installed.
        EngineError: the model cannot be loaded, or a setting cannot be used.
    """
    if settings.stt.engine == "wyoming":
        from antiphon_daemon.engines.stt.wyoming import WyomingTranscriber

        far = WyomingTranscriber(settings.stt, settings.deadlines, settings.language)
        await far.start()
        return far

    def load() -> Transcriber:
        catalogue.require("stt", "faster_whisper", "faster-whisper")
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
    chosen: list[Llm] = []
    for one in settings.llm.chain:
        if one not in chosen:
            chosen.append(one)
    return [_load_backend(one, settings, last=one is chosen[-1]) for one in chosen]


def _load_backend(llm: Llm, settings: Settings, *, last: bool) -> Backend:
    connect_s = settings.deadlines.connect_s
    if llm.engine == "homeassistant":
        catalogue.require("llm", "httpx2", "home-assistant")
        catalogue.require("llm", "websockets", "home-assistant")
        with _importing:
            from antiphon_daemon.engines.llm.homeassistant import HomeAssistantAgent

        return HomeAssistantAgent(llm, settings.home_assistant, others=not last, connect_s=connect_s)
    if llm.engine == "ollama":
        catalogue.require("llm", "ollama", "ollama")
        with _importing:
            from antiphon_daemon.engines.llm.ollama import Ollama

        return Ollama(llm, connect_s=connect_s)
    if llm.engine == "openai_api":
        catalogue.require("llm", "openai", "openai")
        with _importing:
            from antiphon_daemon.engines.llm.openai_api import OpenAiApi

        return OpenAiApi(llm, connect_s=connect_s)
    catalogue.require("llm", "xllamacpp", "llama")
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
    if settings.tts.engine == "wyoming":
        from antiphon_daemon.engines.tts.wyoming import WyomingSynthesizer

        far = WyomingSynthesizer(settings.tts, settings.deadlines, settings.language)
        await far.start()
        return far

    def load() -> Synthesizer:
        catalogue.require("tts", "piper", "piper")
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
        catalogue.require("turn", "onnxruntime", "smart-turn")
        catalogue.require("turn", "faster_whisper", "smart-turn")
        with _importing:
            from antiphon_daemon.engines.turn.smart_turn import SmartTurn

        return SmartTurn()

    return await asyncio.to_thread(load) if settings.turn.model == "smart_turn" else None
