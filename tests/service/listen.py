"""Prints a line for every Antiphon service that mDNS brings (+) or takes back (-), until it is ended."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from antiphon.wire.discovery import Found, Mdns


def tell(instance: str, found: Found | None) -> None:
    print("+" if found else "-", instance, flush=True)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        mdns = Mdns(Path(folder))
        await mdns.start()
        mdns.browse(tell)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
