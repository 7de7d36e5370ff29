"""Ten thousand random and mutated frames to each service: no crash, no leak, the next honest client is served."""

from __future__ import annotations

import asyncio
import time

import psutil
import pytest
from hostile import CONVERSATION, talk
from hypothesis import HealthCheck, given, settings
from speech import Say
from structlog.testing import capture_logs

from antiphon.wire.link import ask_info

from .conftest import Running
from .test_services import plain, transcribe

EXAMPLES = 500
"""Of twenty frames each."""


@pytest.mark.timeout(300)
def test_hostile_frames_harm_nobody(daemon: Running, say: Say) -> None:
    process = psutil.Process()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(CONVERSATION)
    def attack(frames: list[bytes]) -> None:
        for server in daemon.servers.values():
            talk(server.port, frames)

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
        attack()
    assert not [line for line in logs if line["event"] == "handler failed"], "a frame was not understood as a bad one"
    for name in daemon.servers:
        asyncio.run(ask_info(daemon.uri(name)))
    fds_after, tasks_after = at_rest()
    assert fds_after <= fds + 2
    assert tasks_after <= tasks + 1
    text = "What is the capital of France?"
    assert plain(asyncio.run(transcribe(daemon, say(text)))) == plain(text)
