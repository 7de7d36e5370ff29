"""Ten thousand random and mutated frames to each service: no crash, no leak, the next honest client is served."""

from __future__ import annotations

import asyncio
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

    def at_rest() -> tuple[int, int]:
        """Wait until every connection has been cleared away; return file descriptors and the loop's tasks."""
        end = time.monotonic() + 30
        while any(server.connections for server in daemon.servers.values()):
            assert time.monotonic() < end, "connections of peers that left are still held"
            time.sleep(0.05)

        async def count() -> int:
            return len(asyncio.all_tasks())

        return process.num_fds(), daemon.on_its_loop(count)

    for name in daemon.servers:
        asyncio.run(ask_info(daemon.uri(name)))
    fds, tasks = at_rest()
    with capture_logs() as logs:
        attack([server.port for server in daemon.servers.values()])
    assert not [line for line in logs if line["event"] == "handler failed"], "a frame was not understood as a bad one"
    for name in daemon.servers:
        asyncio.run(ask_info(daemon.uri(name)))
    fds_after, tasks_after = at_rest()
    assert fds_after <= fds + 2
    assert tasks_after <= tasks + 1
    text = "What is the capital of Spain?"
    assert plain(asyncio.run(transcribe(daemon, say(text)))) == plain(text)
