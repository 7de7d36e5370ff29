"""Ten thousand random and mutated frames to a satellite: it does not crash, leak or get stuck."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from hostile import attack
from satellite_rig import eventually, rig
from structlog.testing import capture_logs

from antiphon.wire.link import ask_info
from antiphon_satellite.states import State


@pytest.mark.timeout(300)
async def test_hostile_frames_harm_nobody() -> None:
    process = psutil.Process()
    async with rig() as house:
        server = house.satellite.service.server
        await ask_info(f"tcp://127.0.0.1:{house.port}")
        await eventually(lambda: server.connections == 0, 10)
        fds, tasks = process.num_fds(), len(asyncio.all_tasks())
        with capture_logs() as logs:
            await asyncio.to_thread(attack, [house.port])
        assert not [line for line in logs if line["event"] == "handler failed"], "a bad frame was not seen as one"
        await ask_info(f"tcp://127.0.0.1:{house.port}")
        await eventually(lambda: server.connections == 0, 30)
        assert process.num_fds() <= fds + 2
        assert len(asyncio.all_tasks()) <= tasks + 1
        await eventually(lambda: house.satellite.state in (State.DISCONNECTED, State.MUTED), 90)
        async with house.controller("antiphon/honest"):
            await eventually(lambda: house.satellite.state in (State.IDLE, State.MUTED), 10)
