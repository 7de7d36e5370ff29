"""The daemon's part of `antiphon doctor`: ports, engines and models, Ollama."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from antiphon.checks import Check
from antiphon.settings import Settings
from antiphon.wire.link import LinkError, ask_info
from antiphon.wire.server import ListenError, Server
from antiphon_daemon.endpoints.info import vad_info
from antiphon_daemon.endpoints.vad import VadHandler
from antiphon_daemon.engines.build import build_responder, build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import EngineError


async def run(settings: Settings) -> list[Check]:
    """Check everything the daemon needs."""
    ports = [await _port(name, settings) for name in ("asr", "tts", "handle", "vad")]
    engines = [
        await _engine("speech to text", build_transcriber(settings)),
        await _engine("language model", build_responder(settings)),
        await _engine("voice", build_synthesizer(settings)),
    ]
    language = await _language(settings)
    return [*ports, *engines, *language, await _ollama(settings)]


async def _port(name: str, settings: Settings) -> Check:
    endpoint = getattr(settings.endpoints, name)
    title = f"port {endpoint.port} ({name})"
    if not endpoint.enabled:
        return Check(title, None, "is switched off")
    server = Server(name, endpoint.port, info=vad_info, handler=VadHandler, network=settings.network)
    try:
        await server.start()
        await server.stop()
    except ListenError as error:
        try:
            await ask_info(f"tcp://127.0.0.1:{endpoint.port}", within_s=2)
        except LinkError:
            return Check(title, False, str(error), f"Set endpoints.{name}.port to another, or stop that program.")
        return Check(title, True, "a Wyoming service answers there: the daemon is running")
    return Check(title, True, "is free")


async def _engine(title: str, building: Coroutine[Any, Any, Any]) -> Check:
    began = time.monotonic()
    try:
        engine = await building
    except EngineError as error:
        return Check(title, False, str(error), "Mend that, or choose another engine in config.yaml.")
    took_s = time.monotonic() - began
    name = engine.name
    await engine.close()
    return Check(title, True, f"{name}, loaded and tried in {took_s:.1f} s")


async def _language(settings: Settings) -> list[Check]:
    """Check that the models know the language of the house."""
    try:
        transcriber = await build_transcriber(settings)
    except EngineError:
        return []
    languages = transcriber.languages
    name = transcriber.name
    await transcriber.close()
    if settings.language in languages:
        return [Check("language", True, f"{name} hears {settings.language}")]
    mend = "Set stt.model to a model that knows it, such as small."
    return [Check("language", False, f"{name} does not hear {settings.language!r}", mend)]


async def _ollama(settings: Settings) -> Check:
    """Look for Ollama even when it is not the engine: many people have it and could use it."""
    host, _, port = settings.llm.url.rpartition("://")[2].partition("/")[0].rpartition(":")
    used = settings.llm.engine == "ollama"
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.close()
    except (OSError, TimeoutError, ValueError):
        mend = "Start it (ollama serve), or set llm.url." if used else "Not needed: the embedded model answers."
        return Check("Ollama", False if used else None, f"does not answer at {settings.llm.url}", mend)
    return Check(
        "Ollama", True, f"answers at {settings.llm.url}" + ("" if used else "; llm.engine: ollama would use it")
    )
