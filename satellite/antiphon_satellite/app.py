"""Starts and stops the satellite: devices, machine, port, mDNS."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from antiphon.audio.wake import WakeError
from antiphon.configuration import Source, state_dir
from antiphon.life import LEAVE_S, Life
from antiphon.live import Live, Scope
from antiphon.log import divert_libraries
from antiphon.notify import Notifier
from antiphon.settings import Settings
from antiphon.watch import watch
from antiphon.wire.server import ListenError
from antiphon_satellite.button import button
from antiphon_satellite.satellite import Satellite
from antiphon_satellite.sound.devices import Devices

STOP_S = 2.0
"""A goodbye takes no longer than this."""
SCOPE = Scope(
    live=(
        "log",
        "network.allow",
        "network.connections",
        "turn.longest_s",
        "satellite.name",
        "satellite.area",
        "satellite.sound.volume",
        "satellite.sound.cues",
        "satellite.hooks",
        "satellite.follow_up",
        "satellite.follow_up_s",
        "satellite.controller",
    ),
    fixed=("network", "satellite"),
)
"""What of the settings concerns the satellite."""

ONE_THREAD = ("OMP_THREAD_LIMIT", "1")
"""Read by OpenMP when the voice detector's library is loaded. Its model is so small that the four threads it asks for
mostly wait for each other: on two cores they take 10 % of a core, and four times as long, where one takes 2 %."""

log = structlog.get_logger(__name__)


def run(settings: Settings, source: Source | None = None) -> int:
    """Run the satellite until SIGINT or SIGTERM; returns the exit code.

    Args:
        source: where the settings came from; None: they are not watched.
    """
    os.environ.setdefault(*ONE_THREAD)
    divert_libraries()
    try:
        asyncio.run(_until_told(settings, source))
    except (WakeError, ListenError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


async def _until_told(settings: Settings, source: Source | None) -> None:
    life, notifier = Life(LEAVE_S), Notifier()
    async with notifier.starting("Starting"):
        satellite = Satellite(settings)
    await serve(satellite, Live(settings, SCOPE), source, life, notifier)


async def serve(satellite: Satellite, live: Live, source: Source | None, life: Life, notifier: Notifier) -> None:
    """Run the satellite until it is told to end.

    Raises:
        WakeError: a wake word cannot be listened for.
        ListenError: the port cannot be listened on.
    """
    settings = live.settings
    live.follow(satellite.adopt)
    devices = Devices(settings.satellite.sound, satellite.microphone, satellite.speaker, satellite.sound_changed)
    service = satellite.service
    await service.start()
    async with AsyncExitStack() as leaving:
        leaving.push_async_callback(_within, service.stop)
        leaving.enter_context(button(satellite.press))
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(satellite.run()), group.create_task(devices.run())]
            if settings.network.zeroconf:
                running.append(group.create_task(_announce(settings, service.announced())))
            ports = [server.port for server in service.servers]
            log.info("satellite ready", ports=ports, wake_words=[word.phrase for word in satellite.ears.words])
            status = f"Listening on {', '.join(map(str, ports))}"
            notifier.ready(status)
            if source is not None:
                running.append(group.create_task(watch(source, live, life, notifier, status=status)))
            async with notifier.watched():
                await life.ended.wait()
                notifier.stopping()
            for task in running:
                task.cancel()


async def _announce(settings: Settings, kinds: dict[str, int]) -> None:
    """Be found over mDNS for as long as this runs."""
    from antiphon.wire.discovery import Mdns

    mdns = await asyncio.to_thread(lambda: Mdns(state_dir(), settings.network.host))
    try:
        await mdns.start()
        for kind, port in kinds.items():
            await mdns.announce(kind, port)
        await asyncio.get_running_loop().create_future()
    finally:
        await _within(mdns.stop)


async def _within(stop: Callable[[], Awaitable[None]]) -> None:
    """Call an async function that ends something, for `STOP_S` at most."""
    try:
        async with asyncio.timeout(STOP_S):
            await stop()
    except TimeoutError:
        log.warning("leaving takes too long: left")
