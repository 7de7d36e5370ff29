"""Starts and stops the satellite: devices, machine, port, mDNS."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from antiphon.audio.wake import WakeError
from antiphon.log import divert_libraries
from antiphon.settings import Settings
from antiphon.wire.server import ListenError
from antiphon_satellite.button import button
from antiphon_satellite.satellite import Satellite
from antiphon_satellite.sound.devices import Devices

STOP_S = 4.0
"""Goodbyes take no longer than this; a service manager waits a little more."""

ONE_THREAD = ("OMP_THREAD_LIMIT", "1")
"""Read by OpenMP when the voice detector's library is loaded. Its model is so small that the four threads it asks for
mostly wait for each other: on two cores they take 10 % of a core, and four times as long, where one takes 2 %."""

log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Run the satellite until SIGINT or SIGTERM; returns the exit code."""
    os.environ.setdefault(*ONE_THREAD)
    divert_libraries()
    try:
        asyncio.run(_until_told(settings))
    except (WakeError, ListenError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


async def _until_told(settings: Settings) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, told.set)
    await serve(settings, told)


async def serve(settings: Settings, told: asyncio.Event) -> None:
    """Run the satellite until `told` is set.

    Raises:
        WakeError: a wake word cannot be listened for.
        ListenError: the port cannot be listened on.
    """
    satellite = Satellite(settings)
    devices = Devices(settings.satellite.sound, satellite.microphone, satellite.speaker, satellite.sound_changed)
    server = satellite.service.server
    await server.start()
    async with AsyncExitStack() as leaving:
        leaving.push_async_callback(_within, server.stop)
        leaving.enter_context(button(satellite.press))
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(satellite.run()), group.create_task(devices.run())]
            if settings.network.zeroconf:
                running.append(group.create_task(_announce(settings, server.port)))
            log.info("satellite ready", port=server.port, wake_words=[word.phrase for word in satellite.ears.words])
            await told.wait()
            for task in running:
                task.cancel()


async def _announce(settings: Settings, port: int) -> None:
    """Be found over mDNS for as long as this runs."""
    from antiphon.configuration import state_dir
    from antiphon.wire.discovery import Mdns

    mdns = await asyncio.to_thread(lambda: Mdns(state_dir(), settings.network.host))
    try:
        await mdns.start()
        await mdns.announce("satellite", port)
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
