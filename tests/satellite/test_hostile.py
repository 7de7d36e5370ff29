"""Ten thousand random and mutated frames to a satellite: it does not crash, leak or get stuck."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from hostile import attack
from satellite_rig import eventually, rig
from structlog.testing import capture_logs
from wyoming.event import Event

from antiphon.wire.link import ask_info
from antiphon_satellite.satellite import TIMER_CHARACTERS, TIMERS
from antiphon_satellite.states import State
from antiphon_satellite.streams import OPEN


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


async def test_what_a_controller_may_leave_behind_is_bounded() -> None:
    """Timers that finish and sounds that never end are told apart up to a number, also those of one that only waits."""
    start = Event("audio-start", {"rate": 16_000, "width": 2, "channels": 1, "timestamp": 0})
    async with rig() as house, house.controller("antiphon/one"), house.controller("antiphon/other") as other:
        await eventually(lambda: len(house.satellite.service._election.candidates) == 2)
        with capture_logs() as logs:
            for number in range(TIMERS + 50):
                await other.link.send(Event("timer-finished", {"id": f"{number}{'x' * 1000}"}))
            await house.until(State.RINGING)
            for _ in range(500):
                await other.link.send(start)
            await other.link.send(Event("describe"))
            await asyncio.sleep(1)
        assert max(len(one.peer.refused) for one in house.satellite.service._election.candidates) <= OPEN
        assert len(house.satellite._timers_rung) == TIMERS
        assert max(map(len, house.satellite._timers_rung)) <= TIMER_CHARACTERS
        assert len([line for line in logs if line["event"].startswith("a sound is not played")]) == 1
