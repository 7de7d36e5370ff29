"""What the doctor says of the satellite that runs here, and of what the microphone heard of its tone."""

from __future__ import annotations

import asyncio
import socket

import numpy as np
import pytest
from satellite_rig import rig
from wyoming.info import Attribution, Info
from wyoming.info import Satellite as About

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Network, Satellite, Settings
from antiphon.wire.server import Server
from antiphon_satellite import checks
from antiphon_satellite.states import State


def settings(port: int) -> Settings:
    return Settings(network=Network(host="127.0.0.1", zeroconf=False), satellite=Satellite(port=port))


async def test_a_satellite_that_nobody_drives_is_said_to_be_alone() -> None:
    async with rig() as one:
        alone = await checks._running(settings(one.port))
        assert (alone.ok, alone.says) == (False, f"runs on port {one.port}, and nobody drives it")
        assert "satellites.known" in alone.mend
        async with one.controller():
            await one.until(State.IDLE)
            assert (await checks._running(settings(one.port))).ok is True
        await one.until(State.DISCONNECTED)
        assert (await checks._running(settings(one.port))).ok is False


async def test_a_port_that_something_else_has_is_not_said_to_be_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        taken = await checks._running(settings(port))
        assert (taken.ok, f"port {port} (satellite) is in use" in taken.says) == (False, True)
    free = await checks._running(settings(port))
    assert (free.ok, free.says) == (None, f"none runs here on port {port}")


async def test_another_makers_satellite_on_our_port_is_not_taken_for_ours() -> None:
    about = About("another", Attribution("another maker", ""), True, None, None)

    class Deaf:
        async def handle(self, event: object) -> None:
            await asyncio.sleep(0)

        async def gone(self) -> None:
            await asyncio.sleep(0)

    network = Network(host="127.0.0.1", zeroconf=False)
    server = Server("other", 0, info=lambda: Info(satellite=about), handler=lambda _: Deaf(), network=network)
    await server.start()
    port = server.port
    other = await checks._running(settings(port))
    await server.stop()
    assert (other.ok, other.says) == (False, f"port {port} is used by something else")


@pytest.mark.parametrize(
    ("loudness", "ok", "says"),
    [
        (0.0, None, "hears nothing at all"),
        (0.0001, None, "very faintly"),
        (0.01, True, "heard the speaker's tone"),
        (0.5, True, "heard the speaker's tone"),
        (1.0, True, "heard the speaker's tone"),
        (4.0, None, "overdriven"),
    ],
)
def test_a_microphone_that_is_too_quiet_or_overdriven_is_not_said_to_work(
    loudness: float, ok: bool | None, says: str
) -> None:
    noise = 1e-5 * np.random.default_rng(1).standard_normal(RATE) * (loudness > 0)
    tone = np.zeros(RATE)
    tone[1600:8000] = loudness * 0.9 * np.sin(2 * np.pi * checks.TONE_HZ * np.arange(6400) / RATE)

    def card(heard: Samples) -> Samples:
        return np.clip(heard, -1, 1).astype(np.float32)

    check = checks._judge(card(noise[: RATE // 2]), card(noise + tone))
    assert (check.ok, says in check.says) == (ok, True), check.says
