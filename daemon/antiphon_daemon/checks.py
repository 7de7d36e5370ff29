"""The daemon's part of `antiphon doctor`: ports, engines and models, Ollama."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any
from urllib.parse import urlsplit

from antiphon.checks import Check
from antiphon.settings import Settings
from antiphon.wire.link import LinkError, ask_info
from antiphon.wire.server import ListenError, Server
from antiphon_daemon.endpoints.info import plain_language, vad_info
from antiphon_daemon.endpoints.vad import VadHandler
from antiphon_daemon.engines.build import build_responder, build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import EngineError, Synthesizer


async def run(settings: Settings) -> list[Check]:
    """Check everything the daemon needs."""
    ports = [await _port(name, settings) for name in ("asr", "tts", "handle", "vad")]
    engines = [
        *await _engine("speech to text", build_transcriber(settings), lambda e: e.languages, settings, "stt.model"),
        *await _engine("language model", build_responder(settings), None, settings, ""),
        *await _engine("voice", build_synthesizer(settings), _spoken, settings, "tts.voice"),
    ]
    return [*ports, *engines, await _ollama(settings)]


def _spoken(synthesizer: Synthesizer) -> list[str]:
    return [plain_language(language) or "" for voice in synthesizer.voices for language in voice.languages]


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


async def _engine(
    title: str,
    building: Coroutine[Any, Any, Any],
    languages: Callable[[Any], Collection[str]] | None,
    settings: Settings,
    setting: str,
) -> list[Check]:
    """Load an engine, and check that it knows the language of the house."""
    began = time.monotonic()
    try:
        engine = await building
    except EngineError as error:
        return [Check(title, False, str(error), "Mend that, or choose another engine in config.yaml.")]
    took_s = time.monotonic() - began
    checks = [Check(title, True, f"{engine.name}, loaded and tried in {took_s:.1f} s")]
    if languages is not None and settings.language not in languages(engine):
        says = f"{engine.name} does not know {settings.language!r}"
        checks.append(Check(f"{title}, language", False, says, f"Set {setting} to one that does."))
    await engine.close()
    return checks


async def _ollama(settings: Settings) -> Check:
    """Look for Ollama even when it is not the engine: many people have it and could use it."""
    url = urlsplit(settings.llm.url)
    used = settings.llm.engine == "ollama"
    try:
        async with asyncio.timeout(2):
            port = url.port or (443 if url.scheme == "https" else 80)
            _, writer = await asyncio.open_connection(url.hostname, port)
        writer.close()
    except (OSError, TimeoutError, ValueError):
        mend = "Start it (ollama serve), or set llm.url." if used else "Not needed: the embedded model answers."
        return Check("Ollama", False if used else None, f"does not answer at {settings.llm.url}", mend)
    return Check(
        "Ollama", True, f"answers at {settings.llm.url}" + ("" if used else "; llm.engine: ollama would use it")
    )
