"""What another machine on the network is told of Wyoming services, with the `zeroconf` library alone: a line for each.

    observer.py 4|6|46

It sees announcements over IPv4, IPv6 or both. A line is an object: `what` (added, updated, removed), `name`, and what
was resolved at that moment: `addresses`, `port`. `stop` on standard input ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys

from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

WYOMING = "_wyoming._tcp.local."
VERSIONS = {"4": IPVersion.V4Only, "6": IPVersion.V6Only, "46": IPVersion.All}


async def main() -> None:
    resolving: set[asyncio.Task[None]] = set()

    async def tell(zeroconf: Zeroconf, what: str, name: str) -> None:
        info = AsyncServiceInfo(WYOMING, name)
        found = what != "removed" and await info.async_request(zeroconf, 3000)
        addresses = sorted(info.parsed_addresses()) if found else []
        told = {"what": what, "name": name.removesuffix(f".{WYOMING}"), "addresses": addresses, "port": info.port}
        print(json.dumps(told), flush=True)

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        task = asyncio.get_running_loop().create_task(tell(zeroconf, state_change.name.lower(), name))
        resolving.add(task)
        task.add_done_callback(resolving.discard)

    listening = AsyncZeroconf(ip_version=VERSIONS[sys.argv[1]])
    browser = AsyncServiceBrowser(listening.zeroconf, WYOMING, handlers=[changed])
    print("{}", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await browser.async_cancel()
    await listening.async_close()


asyncio.run(main())
