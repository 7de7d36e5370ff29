"""What the doctor says of ports and satellites: whose they are, and whether they are there."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from ports import free_port
from scripted import Ears, Script, Tones, quick
from wyoming.info import AsrProgram, Attribution, Info

from antiphon.settings import Endpoint, Endpoints, Satellites
from antiphon.wire.server import Server
from antiphon_daemon.checks import _port, _satellite
from antiphon_daemon.endpoints import info
from antiphon_daemon.endpoints.vad import VadHandler

from .conftest import quiet_settings
from .test_satellites import StandIn

OTHER = Info(asr=[AsrProgram("faster-whisper", Attribution("another maker", ""), True, None, None, [])])


@asynccontextmanager
async def served(says: Callable[[], Info]) -> AsyncIterator[int]:
    """Serve a Wyoming service that only describes itself; gives its port."""
    server = Server("asr", 0, info=says, handler=VadHandler, network=quiet_settings().network)
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("asr", lambda: info.asr_info(Ears(), "en")),
        ("tts", lambda: info.tts_info(Tones())),
        ("handle", lambda: info.handle_info(Script(quick), "en", control=True)),
        ("wake", info.wake_info),
        ("vad", info.vad_info),
    ],
)
async def test_a_port_of_ours_is_told_from_one_that_another_makers_service_has(
    name: str, says: Callable[[], Info]
) -> None:
    async with served(says) as ours, served(lambda: OTHER) as other:
        for port, works in ((ours, True), (other, False)):
            settings = quiet_settings(endpoints=Endpoints(**{name: Endpoint(port=port)}))
            check = await _port(name, settings)
            assert check.ok is works
            assert ("the daemon is running" in check.says) is works
        assert check.says == "another Wyoming service has it: faster-whisper"
        assert f"endpoints.{name}.port" in check.mend


async def test_satellites_that_the_settings_name_are_asked_whether_they_are_there() -> None:
    there = StandIn()
    await there.start()
    gone = free_port()
    settings = quiet_settings(satellites=Satellites(discover=False))
    async with served(lambda: OTHER) as other:
        found = [await _satellite(f"tcp://127.0.0.1:{port}", settings) for port in (there.port, gone, other)]
    assert [check.ok for check in found] == [True, None, None]
    assert found[0].says == "stand-in answers"
    assert found[1].says == f"tcp://127.0.0.1:{gone} cannot be reached: Connection refused"
    assert found[2].says == "what answers there is no satellite: faster-whisper"
    assert "satellites.known" in found[1].mend


async def test_a_satellite_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = quiet_settings(deadlines={"connect_s": 0.2})
        check = await _satellite(f"tcp://127.0.0.1:{silent.getsockname()[1]}", settings)
    assert (check.ok, "does not describe itself within 0.2 s" in check.says) == (None, True)
