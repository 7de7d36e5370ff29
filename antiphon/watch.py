"""Reads the settings again when their file changes, when a stronger one appears, or on SIGHUP.

The file is looked at, not listened to: that also works on bind mounts and network drives, and costs one `stat`. A file
is read once it has stayed the same from one look to the next, so that one in the middle of being written is not taken.
A wrong file is told as at the start, and what is in force stays.
"""

from __future__ import annotations

import asyncio

import structlog

from antiphon.configuration import SettingsError, Source, load, look
from antiphon.life import Life
from antiphon.live import Live
from antiphon.notify import Notifier

LOOK_S = 1.0

log = structlog.get_logger(__name__)


async def watch(source: Source, live: Live, life: Life, notifier: Notifier, *, status: str) -> None:
    """Keep `live` to the settings file until cancelled.

    Args:
        source: where `live` came from.
        status: what the service manager is told once new settings are in force.
    """
    taken = seen = source.seen
    while True:
        told = await _told(life)
        before, seen = seen, await asyncio.to_thread(look, source.config)
        if told or (seen == before and seen != taken):
            taken = seen
            notifier.reloading()
            await _read(source.config, live)
            notifier.ready(status)


async def _told(life: Life) -> bool:
    """Wait for the next look; returns True at once when a signal asks for the settings to be read."""
    try:
        async with asyncio.timeout(LOOK_S):
            await life.again.wait()
    except TimeoutError:
        return False
    life.again.clear()
    return True


async def _read(config: str | None, live: Live) -> None:
    try:
        await live.change(await asyncio.to_thread(load, config))
    except SettingsError as error:
        for line in str(error).splitlines():
            log.error(f"the settings stay as they were: {line}")
    except Exception:  # the edge: a fault of ours must not end what runs
        log.exception("new settings could not be taken")
