"""Ten thousand random and mutated frames to each service: no crash, no leak, the next honest client is served."""

from __future__ import annotations

import asyncio
import math
import time

import psutil
import pytest
from hostile import attack
from speech import Say
from structlog.testing import capture_logs

from antiphon.wire.link import ask_info

from .conftest import Running
from .test_services import plain, transcribe


@pytest.mark.timeout(300)
def test_hostile_frames_harm_nobody(daemon: Running, say: Say) -> None:
    process = psutil.Process()

    async def count() -> int:
        return len(asyncio.all_tasks())

    def at_rest(fds: float = math.inf, tasks: float = math.inf) -> tuple[int, int]:
        """Wait until every connection has been cleared away; return file descriptors and the loop's tasks.

        A socket is closed a moment after its connection no longer counts: what is open has half a minute to be at most
        this much.
        """
        end = time.monotonic() + 30
        while any(server.connections for server in daemon.servers.values()):
            assert time.monotonic() < end, "connections of peers that left are still held"
            time.sleep(0.05)
        while process.num_fds() > fds or daemon.on_its_loop(count) > tasks:
            assert time.monotonic() < end, f"still open: {process.open_files()} {process.net_connections()}"
            time.sleep(0.05)
        return process.num_fds(), daemon.on_its_loop(count)

    for name in daemon.servers:
        asyncio.run(ask_info(daemon.uri(name)))
    fds, tasks = at_rest()
    with capture_logs() as logs:
        attack([server.port for server in daemon.servers.values()])
    assert not [line for line in logs if line["event"] == "handler failed"], "a frame was not understood as a bad one"
    for name in daemon.servers:
        asyncio.run(ask_info(daemon.uri(name)))
    at_rest(fds + 2, tasks + 1)
    text = "What is the capital of Spain?"
    assert plain(asyncio.run(transcribe(daemon, say(text)))) == plain(text)
