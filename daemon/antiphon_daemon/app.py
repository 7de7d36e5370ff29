"""The daemon: built from the settings, started, announced, and ended in good order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from antiphon.audio import vad
from antiphon.configuration import state_dir
from antiphon.settings import Settings
from antiphon.wire.discovery import Mdns, identity
from antiphon.wire.server import Server
from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.endpoints import info
from antiphon_daemon.endpoints.asr import AsrHandler
from antiphon_daemon.endpoints.handle import HandleHandler, Memories
from antiphon_daemon.endpoints.tts import TtsHandler
from antiphon_daemon.endpoints.vad import VadHandler
from antiphon_daemon.engines.build import build_responder, build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import EngineError, Engines, Revoked
from antiphon_daemon.engines.work import Token
from antiphon_daemon.satellites import Satellites

UNANNOUNCED = ("vad",)
"""Endpoints that only our own satellites use."""

log = structlog.get_logger(__name__)


async def build_engines(settings: Settings) -> Engines:
    """Load and warm the engines, all at once.

    Raises:
        EngineError: one of them is not installed or cannot be loaded.
    """
    async with contextlib.AsyncExitStack() as built:
        hearing = asyncio.create_task(build_transcriber(settings))
        thinking = asyncio.create_task(build_responder(settings))
        speaking = asyncio.create_task(build_synthesizer(settings))
        await asyncio.wait((hearing, thinking, speaking))
        for task in (hearing, thinking, speaking):
            if task.exception() is None:
                built.push_async_callback(task.result().close)
        engines = Engines(hearing.result(), thinking.result(), speaking.result())
        await _warm_prompt(engines, settings)
        await asyncio.to_thread(vad.load)
        await asyncio.to_thread(skills.load)
        built.pop_all()
    return engines


async def _warm_prompt(engines: Engines, settings: Settings) -> None:
    """Have the model read the system prompt before the first question: its cache then begins with it."""
    work = Token()
    reply = engines.responder.respond(new_memory(settings, settings.language).messages("Hello"), work)
    with contextlib.suppress(EngineError, Revoked, StopAsyncIteration, TimeoutError):
        async with asyncio.timeout(settings.deadlines.connect_s):
            await anext(reply)
    work.revoke()


def make_servers(settings: Settings, engines: Engines) -> dict[str, Server]:
    """Return a server for each endpoint that is switched on, by its name."""
    ports, memories = settings.endpoints, Memories(settings)
    asr_info = info.asr_info(engines.transcriber, settings.language)
    tts_info = info.tts_info(engines.synthesizer)
    handle_info = info.handle_info(engines.responder, settings.language)
    vad_info = info.vad_info()
    network = settings.network
    servers = {
        "asr": Server(
            "asr",
            ports.asr.port,
            info=lambda: asr_info,
            handler=lambda peer: AsrHandler(peer, engines, settings),
            network=network,
        ),
        "tts": Server(
            "tts",
            ports.tts.port,
            info=lambda: tts_info,
            handler=lambda peer: TtsHandler(peer, engines.synthesizer, settings),
            network=network,
        ),
        "handle": Server(
            "handle",
            ports.handle.port,
            info=lambda: handle_info,
            handler=lambda peer: HandleHandler(peer, engines.responder, memories, settings),
            network=network,
        ),
        "vad": Server("vad", ports.vad.port, info=lambda: vad_info, handler=VadHandler, network=network),
    }
    return {name: server for name, server in servers.items() if getattr(ports, name).enabled}


@asynccontextmanager
async def serving(settings: Settings, engines: Engines) -> AsyncIterator[dict[str, Server]]:
    """Serve every endpoint and drive the satellites while the context lasts.

    Raises:
        ListenError: a port is taken.
    """
    servers = make_servers(settings, engines)
    folder = await asyncio.to_thread(state_dir)
    mdns = await asyncio.to_thread(Mdns, folder, settings.network.host) if settings.network.zeroconf else None
    satellites = Satellites(engines, settings, await asyncio.to_thread(identity, folder))
    async with contextlib.AsyncExitStack() as stack:
        for server in servers.values():
            stack.push_async_callback(server.stop)
            await server.start()
        if mdns is not None:
            stack.push_async_callback(mdns.stop)
            await mdns.start()
            for name, server in servers.items():
                if name not in UNANNOUNCED:
                    await mdns.announce(name, server.port)
        stack.push_async_callback(satellites.stop)
        satellites.start(mdns)
        log.info("ready", **{name: server.port for name, server in servers.items()})
        yield servers


async def run(settings: Settings) -> None:
    """Run the daemon until SIGINT or SIGTERM.

    Raises:
        EngineError: an engine cannot be loaded.
        ListenError: a port is taken.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    engines = await build_engines(settings)
    try:
        async with serving(settings, engines):
            await ended.wait()
            log.info("ending")
    finally:
        await engines.close()
