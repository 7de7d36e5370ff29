"""The daemon's part of `antiphon doctor`: ports, engines and models, and Ollama where it could be used."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from antiphon.checks import Check
from antiphon.settings import Settings
from antiphon.wire.link import LinkError, ask_info, here
from antiphon.wire.server import ListenError, Server
from antiphon_daemon import other_side
from antiphon_daemon.endpoints.info import is_ours, names, vad_info
from antiphon_daemon.endpoints.vad import VadHandler
from antiphon_daemon.engines import auto, available
from antiphon_daemon.engines.build import build_synthesizer, build_transcriber, load_backends
from antiphon_daemon.engines.contracts import EngineError, Remote, Stage
from antiphon_daemon.engines.llm.health import Backend
from antiphon_daemon.engines.models import SETTINGS
from antiphon_daemon.gateway import check as gateway
from antiphon_daemon.languages import mend, spoken

LOADING_S = 60.0
"""A server may take so long to load its model while somebody waits for the doctor."""

OLLAMA_PORT = 11434
"""Where Ollama listens when nobody says otherwise."""

CHOOSE = "Mend that, or choose another engine in config.yaml."
ANOTHER = "Another one answers meanwhile."


async def run(settings: Settings) -> list[Check]:
    """Check everything the daemon needs."""
    ports = [await _port(name, settings) for name in ("asr", "tts", "handle", "vad", "wake")]
    engines = [
        *await _engine("speech to text", build_transcriber(settings), lambda e: e.languages, settings, "stt"),
        *await asyncio.to_thread(_gpu, settings),
        *await _models(settings),
        *await _engine("voice", build_synthesizer(settings), spoken, settings, "tts"),
    ]
    chosen = await asyncio.to_thread(_chosen, settings)
    other = await other_side.run(settings) if settings.home_assistant.url else ()
    known = await asyncio.gather(*(_satellite(uri, settings) for uri in settings.satellites.known))
    return [*ports, *await gateway.run(settings), *chosen, *engines, *known, *other]


def _chosen(settings: Settings) -> list[Check]:
    """Tell what `engine: auto` takes; where it takes nothing, the check of the engine says why."""
    found: list[Check] = []
    for stage in auto.STAGES:
        with contextlib.suppress(EngineError):
            _, chosen = auto.resolve(settings, (stage,))
            found += [Check(f"{stage}.engine: auto", True, one.why) for one in chosen]
    return found


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
        mend = f"Set endpoints.{name}.port to another, or stop that program."
        try:
            said = await ask_info(f"tcp://{here(settings.network.host)}:{endpoint.port}", within_s=2)
        except LinkError:
            return Check(title, False, str(error), mend)
        if not is_ours(name, said):
            return Check(title, False, f"another Wyoming service has it: {names(said) or 'of no name'}", mend)
        return Check(title, True, "a Wyoming service of ours answers there: the daemon is running")
    return Check(title, True, "is free")


async def _satellite(uri: str, settings: Settings) -> Check:
    """Look for a satellite that the settings name; others work without it."""
    title = f"satellite {uri}"
    mend = "Start it there, or correct satellites.known: the daemon tries it again and again."
    try:
        said = await ask_info(uri, within_s=settings.deadlines.connect_s)
    except LinkError as error:
        return Check(title, None, str(error), mend)
    if said.satellite is None or not said.satellite.installed:
        return Check(title, None, f"what answers there is no satellite: {names(said) or 'of no name'}", mend)
    return Check(title, True, f"{said.satellite.name} answers")


async def _engine(
    title: str,
    building: Coroutine[Any, Any, Any],
    languages: Callable[[Any], Collection[str]],
    settings: Settings,
    stage: Stage,
) -> list[Check]:
    """Load an engine, and check that it knows the language of the house."""
    began = time.monotonic()
    try:
        engine = await building
        if isinstance(engine, Remote):
            await engine.check()
    except EngineError as error:
        return [Check(title, False, str(error), CHOOSE)]
    took_s = time.monotonic() - began
    checks = [Check(title, True, f"{engine.name}, loaded and tried in {took_s:.1f} s")]
    if settings.language not in languages(engine):
        says = f"{engine.name} does not know {settings.language!r}"
        does = f"Set {SETTINGS[stage]} to one that does: {mend(stage, settings.language)}"
        checks.append(Check(f"{title}, language", False, says, does))
    await engine.close()
    return checks


def _gpu(settings: Settings) -> list[Check]:
    """Tell of a GPU that hearing could use, and does not for want of a library."""
    if settings.stt.device != "auto" or settings.stt.engine not in ("auto", "faster_whisper"):
        return []
    if available.missing("stt", "faster_whisper"):
        return []
    from antiphon_daemon.engines.stt import cuda

    why = cuda.missing() if cuda.present() else ""
    return [Check("GPU", None, f"hearing is computed on the CPU. {why}.")] if why else []


async def _models(settings: Settings) -> list[Check]:
    """Look at each language model of the chain: one that does not work matters if no other does."""
    try:
        backends = await asyncio.to_thread(load_backends, settings)
    except EngineError as error:
        return [Check("language model", False, str(error), CHOOSE)]
    found = [await _model(backend) for backend in backends]
    works = any(wrong is None for _, wrong in found)
    checks = []
    for place, (says, wrong) in enumerate(found, 1):
        title = "language model" if len(found) == 1 else f"language model {place}"
        if wrong is None:
            checks.append(Check(title, True, says))
        else:
            checks.append(Check(title, None if works else False, wrong, ANOTHER if works else CHOOSE))
    if not any(one.engine == "ollama" for one in settings.llm.chain):
        checks.append(await _ollama())
    return checks


async def _model(backend: Backend) -> tuple[str, str | None]:
    """Ask and warm a language model; return what is said when it works, and what is wrong with it."""
    wrong = None
    try:
        async with asyncio.timeout(LOADING_S):
            await backend.check()
            await backend.warm()
    except TimeoutError:
        wrong = f"{backend.name} is not loaded within {LOADING_S:.0f} s: see what its server does."
    except EngineError as error:
        wrong = str(error)
    await backend.close()
    return f"{backend.name}, loaded and tried", wrong


async def _ollama() -> Check:
    """Look for Ollama where it is no engine: many people have it and could use it."""
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection("127.0.0.1", OLLAMA_PORT)
        writer.close()
    except (OSError, TimeoutError):
        return Check("Ollama", None, "does not run on this machine", "Not needed: the models above answer.")
    return Check("Ollama", True, "answers on this machine; llm.engine: ollama, or auto, would use it")
