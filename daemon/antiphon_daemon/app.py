"""The daemon: built from the settings, started, announced, and ended in good order."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from wyoming.info import Info

from antiphon.audio import vad
from antiphon.configuration import Source, state_dir
from antiphon.life import LEAVE_S, Life
from antiphon.live import Live, Refused, Scope
from antiphon.notify import Notifier
from antiphon.settings import OWN_SATELLITE, Settings
from antiphon.watch import watch
from antiphon.wire.discovery import Mdns, identity
from antiphon.wire.server import Server
from antiphon_daemon import housekeeping
from antiphon_daemon.conversation import one_moment, skills
from antiphon_daemon.conversation.across import Across
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.conversation.skills import house
from antiphon_daemon.endpoints import info
from antiphon_daemon.endpoints.asr import AsrHandler
from antiphon_daemon.endpoints.handle import HandleHandler, Memories
from antiphon_daemon.endpoints.tts import TtsHandler
from antiphon_daemon.endpoints.vad import VadHandler
from antiphon_daemon.endpoints.wake import WakeHandler
from antiphon_daemon.engines import auto
from antiphon_daemon.engines.build import (
    build_responder,
    build_synthesizer,
    build_transcriber,
    build_turn_model,
    resolved,
    word_judge,
)
from antiphon_daemon.engines.contracts import EngineError, Engines, Following, Tunable
from antiphon_daemon.engines.work import Token
from antiphon_daemon.gateway.face import Gateway, GatewayError
from antiphon_daemon.insight.peers import Seen
from antiphon_daemon.insight.turns import Turns
from antiphon_daemon.languages import unsuited
from antiphon_daemon.names import HouseNames
from antiphon_daemon.satellites import Satellites

UNANNOUNCED = ("vad",)
"""Endpoints that only our own satellites use."""
LOADING_S = 0.2
"""A daemon that is told to end while it loads its models has nobody to say goodbye to; loading cannot be stopped."""
GOODBYE_S = 1.5
"""What saying goodbye to satellites, to the network or to peers may take each; all of it stays within `LEAVE_S`."""

SCOPE = Scope(
    live=(
        "log",
        "network.allow",
        "network.connections",
        "gateway.transcripts",
        "stt.hints",
        "tts.voice",
        "tts.speaker",
        "tts.speed",
        "models",
        "turn",
        "conversation",
        "home_assistant.control",
        "home_assistant.names_told",
        "home_assistant.names_heard",
        "deadlines",
        "satellites",
    ),
    fixed=(
        "language",
        "network",
        "endpoints",
        "gateway",
        "stt",
        "llm",
        "tts",
        "turn.model",
        "home_assistant",
        "satellite.wake",
    ),
)
"""What of the settings concerns the daemon."""

log = structlog.get_logger(__name__)


async def build_engines(settings: Settings) -> Engines:
    """Load and warm the engines, all at once.

    Raises:
        EngineError: one of them is not installed or cannot be loaded.
    """
    settings, chosen = await asyncio.to_thread(auto.resolve, settings)
    for one in chosen:
        log.info("engine chosen", stage=one.stage, engine=one.engine, why=one.why)
    async with contextlib.AsyncExitStack() as built:
        hearing = asyncio.create_task(build_transcriber(settings))
        thinking = asyncio.create_task(build_responder(settings))
        speaking = asyncio.create_task(build_synthesizer(settings))
        judging = asyncio.create_task(build_turn_model(settings))
        await asyncio.wait((hearing, thinking, speaking, judging))
        for task in (hearing, thinking, speaking, judging):
            engine = None if task.exception() else task.result()
            if engine is not None:
                built.push_async_callback(engine.close)
        responder = thinking.result()
        judges = judging.result(), word_judge(responder)
        engines = Engines(hearing.result(), responder, speaking.result(), *judges, {one.stage: one for one in chosen})
        await _warm_prompt(engines, settings)
        await one_moment.prepare(engines.synthesizer, settings)
        await asyncio.to_thread(vad.load)
        await asyncio.to_thread(skills.load)
        await asyncio.to_thread(house.load)
        built.pop_all()
    return engines


async def _warm_prompt(engines: Engines, settings: Settings) -> None:
    """Have the model read the system prompt before the first question: its cache then begins with it."""
    prompt = new_memory(settings, settings.language).messages("")[:-1]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.deadlines.connect_s):
            await engines.responder.prefill(prompt, Token())


def make_servers(live: Live, engines: Engines, memories: Memories, across: Across, turns: Turns) -> dict[str, Server]:
    """Return a server for each endpoint that is switched on, by its name."""
    settings = live.settings
    ports = settings.endpoints

    def handle_info() -> Info:
        control = live.settings.home_assistant.control
        return info.handle_info(engines.responder, settings.language, control=control)

    vad_info = info.vad_info()
    wake_info = info.wake_info() if ports.wake.enabled else vad_info
    network = settings.network
    servers = {
        "asr": Server(
            "asr",
            ports.asr.port,
            info=lambda: info.asr_info(engines.transcriber, settings.language),
            handler=lambda peer: AsrHandler(peer, engines, live.settings, across, turns.of("asr", peer.host)),
            network=network,
        ),
        "tts": Server(
            "tts",
            ports.tts.port,
            info=lambda: info.tts_info(engines.synthesizer),
            handler=lambda peer: TtsHandler(
                peer, engines.synthesizer, live.settings, across, turns.of("tts", peer.host)
            ),
            network=network,
        ),
        "handle": Server(
            "handle",
            ports.handle.port,
            info=handle_info,
            handler=lambda peer: HandleHandler(
                peer, engines, memories, across, live.settings, turns.of("handle", peer.host)
            ),
            network=network,
        ),
        "vad": Server("vad", ports.vad.port, info=lambda: vad_info, handler=VadHandler, network=network),
        "wake": Server("wake", ports.wake.port, info=lambda: wake_info, handler=WakeHandler, network=network),
    }
    return {name: server for name, server in servers.items() if getattr(ports, name).enabled}


@asynccontextmanager
async def serving(settings: Settings, engines: Engines, live: Live | None = None) -> AsyncIterator[dict[str, Server]]:
    """Serve every endpoint and drive the satellites while the context lasts.

    Args:
        live: holds `settings` and changes them; None: they stay.

    Raises:
        ListenError: a port is taken.
    """
    live = live or Live(settings, SCOPE)
    memories, across, turns = Memories(settings), Across(), Turns()
    servers = await asyncio.to_thread(make_servers, live, engines, memories, across, turns)
    folder = await asyncio.to_thread(state_dir)
    mdns = await asyncio.to_thread(Mdns, folder, settings.network.host) if settings.network.zeroconf else None
    satellites = Satellites(
        engines, settings, await asyncio.to_thread(identity, folder), turns, own=os.environ.get(OWN_SATELLITE)
    )

    def connections() -> dict[str, int]:
        return {name: server.connections for name, server in servers.items()}

    def peers() -> list[Seen]:
        return [*satellites.seen(), *(one for name, server in servers.items() for one in _seen(name, server))]

    gateway = Gateway(engines, settings, folder, connections, turns, peers)

    async def adopt(now: Settings, changed: frozenset[str]) -> None:
        for server in servers.values():
            server.admit(now.network)
        memories.adopt(now)
        satellites.adopt(now)
        gateway.adopt(now)
        for engine in (engines.transcriber, engines.responder, engines.synthesizer):
            if isinstance(engine, Following):
                engine.follow(now)

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(across.close)
        stack.push_async_callback(_within, gateway.stop)
        ports = await _open(gateway)
        for server in servers.values():
            stack.push_async_callback(_within, server.stop)
            await server.start()
        if mdns is not None:
            stack.push_async_callback(_within, mdns.stop)
            await mdns.start()
            for name, server in servers.items():
                if name not in UNANNOUNCED:
                    await mdns.announce(name, server.port)
        stack.push_async_callback(_within, satellites.stop)
        satellites.start(mdns)
        live.follow(lambda now, changed: _tune(engines, now, changed))
        live.follow(adopt)
        names = HouseNames(live)
        stack.push_async_callback(names.stop)
        names.start()
        log.info("ready", **{name: server.port for name, server in servers.items()}, **ports)
        stack.callback(gateway.ending)
        gateway.ready()
        yield servers


def _seen(name: str, server: Server) -> list[Seen]:
    """Return the peers of an endpoint."""
    return [Seen(name, peer.host, peer.name, "connected", peer.since) for peer in server.peers]


async def _open(gateway: Gateway) -> dict[str, int]:
    """Open the gateway if it is wanted; return its port. Where it cannot be opened, voice goes on without it."""
    if not gateway.settings.gateway.enabled:
        return {}
    try:
        await gateway.start()
    except GatewayError as error:
        log.error("no browser or program is served: the gateway stays closed", why=str(error))
        return {}
    return {"gateway": gateway.port}


async def _tune(engines: Engines, now: Settings, changed: frozenset[str]) -> None:
    """Let the voice follow its settings.

    Raises:
        Refused: it cannot; the one before goes on.
    """
    if not any(key.startswith("tts.") for key in changed):
        return
    voice = engines.synthesizer
    if not isinstance(voice, Tunable):
        raise Refused(f"{voice.name} takes another voice or speed only at a restart", "tts")
    chosen = engines.chosen.get("tts")
    try:
        tts = (await resolved(now, "tts")).tts
        if chosen is not None and tts.engine != chosen.engine:
            raise Refused(f"{tts.engine} would speak now, and {chosen.engine} does: it takes a restart", "tts")
        await voice.tune(tts)
        one_moment.forget(voice)
    except EngineError as error:
        raise Refused(str(error), "tts") from None


async def _within(stop: Callable[[], Awaitable[None]]) -> None:
    """Call an async function that says goodbye, for `GOODBYE_S` at most: those that come after it must get theirs."""
    try:
        async with asyncio.timeout(GOODBYE_S):
            await stop()
    except TimeoutError:
        log.warning("a goodbye takes too long: left without")


async def run(settings: Settings, source: Source | None = None) -> None:
    """Run the daemon until SIGINT or SIGTERM.

    Args:
        source: where the settings came from; None: they are not watched.

    Raises:
        EngineError: an engine cannot be loaded.
        ListenError: a port is taken.
    """
    housekeeping.share_heap()
    life, notifier, live = Life(LOADING_S), Notifier(), Live(settings, SCOPE)
    async with notifier.starting("Loading the models"):
        engines = await build_engines(settings)
        await asyncio.to_thread(housekeeping.settle)
    for sentence in unsuited(engines, settings):
        log.warning(sentence)
    life.leave_s = LEAVE_S
    try:
        if life.ended.is_set():
            return
        async with serving(settings, engines, live) as servers:
            status = "Serving " + ", ".join(f"{name} on {server.port}" for name, server in servers.items())
            notifier.ready(status)
            async with notifier.watched(), asyncio.TaskGroup() as group:
                tasks = [group.create_task(housekeeping.keep()), group.create_task(_leave_if_hung(life))]
                if source is not None:
                    tasks.append(group.create_task(watch(source, live, life, notifier, status=status)))
                await life.ended.wait()
                for task in tasks:
                    task.cancel()
            notifier.stopping()
            log.info("ending")
    finally:
        await engines.close()
    if life.code:
        raise SystemExit(life.code)


async def _leave_if_hung(life: Life) -> None:
    """End with an error once an engine hangs: nothing but another process mends that, and a service manager has one."""
    thread = await housekeeping.hung()
    log.error("an engine hangs, and was told to stop ten minutes ago: ending, to be started again", thread=thread)
    life.fail()
