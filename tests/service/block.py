"""The real daemon, whose event loop can be blocked from outside: by SIGUSR2, for an hour.

block.py CONFIG
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time

from antiphon import log
from antiphon.configuration import Source, load
from antiphon_daemon.app import run


async def main(config: str | None) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, time.sleep, 3600)
    settings = load(config)
    log.configure(settings.log)
    await run(settings, Source.at(config))


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
