"""Ports for the programs that tests start.

They lie below those that the kernel gives to whoever asks for any (from 32768 on Linux, from 49152 on a Mac), and each
process of pytest has its own: between the choice and the start of a program no other test and no connection takes one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket

FIRST, LAST = 20_000, 32_000


def _own() -> range:
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (LAST - FIRST) // count
    return range(FIRST + number * size, FIRST + (number + 1) * size)


_OWN = _own()
# Two runs at a time on one machine begin at different places.
_NEXT = itertools.islice(itertools.cycle(_OWN), random.randrange(len(_OWN)), None)


def free_port() -> int:
    """Return a port that nobody listens on, and that no other test is given for a long time."""
    for port in itertools.islice(_NEXT, len(_OWN)):
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            return port
    raise OSError(f"no port from {_OWN.start} to {_OWN.stop - 1} is free")


def free_ports(count: int) -> list[int]:
    """Return so many of them."""
    return [free_port() for _ in range(count)]
