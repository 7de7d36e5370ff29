"""Several satellites in one house: one wake word, mDNS that falls silent, addresses that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted import Ears, Script, Tones, quick
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.wake import Detection

from antiphon.settings import Satellites as Known
from antiphon.wire.discovery import Found
from antiphon_daemon import satellites
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.satellites import Satellites

from .conftest import quiet_settings
from .test_satellites import ABOUT, StandIn

WOKEN = RunPipeline(start_stage=PipelineStage.ASR, end_stage=PipelineStage.TTS, wake_word_name="okay_nabu").event()
NAME = "kitchen-antiphon-satellite-0123ab"


async def started(count: int) -> list[StandIn]:
    """Return so many satellites that wait for a daemon."""
    waiting = [StandIn() for _ in range(count)]
    for one in waiting:
        await one.start()
    return waiting


def place(one: StandIn) -> str:
    """Return where a satellite is."""
    return f"tcp://127.0.0.1:{one.port}"


@asynccontextmanager
async def driven(*known: StandIn, own: str | None = None) -> AsyncIterator[Satellites]:
    settings = quiet_settings(satellites=Known(discover=True, known=[place(one) for one in known]))
    driving = Satellites(Engines(Ears(), Script(quick), Tones()), settings, "0123456789ab", own=own)
    driving.start(None)
    try:
        yield driving
    finally:
        await driving.stop()


async def test_of_two_satellites_that_hear_one_wake_word_one_answers() -> None:
    one, two = await started(2)
    async with driven(one, two):
        await one.driven()
        await two.driven()
        for satellite in (one, two):
            satellite.send(Detection(name="okay_nabu", timestamp=None).event(), WOKEN)
        answers = [(await satellite.until("transcribe", "error"))[-1] for satellite in (one, two)]
        assert sorted(event.type for event in answers) == ["error", "transcribe"]
        error = next(event for event in answers if event.type == "error")
        assert error.data["code"] == "duplicate_wake_up_detected"


async def test_a_satellite_that_mdns_forgets_goes_on_while_it_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switches that filter multicast let the records of a satellite expire that is there and connected."""
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    (one,) = await started(1)
    async with driven() as driving:
        driving._changed(NAME, Found(NAME, place(one)))
        await one.driven()
        driving._changed(NAME, None)
        await asyncio.sleep(0.5)
        assert one._writer is not None, "its connection was cut"
        one.vanish()
        await asyncio.sleep(0.5)
        assert not driving._drivers, "one that is away and not announced any more is left"


async def test_a_timer_rings_at_the_satellite_that_has_another_address_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    one, moved = await started(2)
    async with driven() as driving:
        driving._changed(NAME, Found(NAME, place(one)))
        await one.driven()
        (room,) = driving._places.values()
        assert room.timers is not None
        room.timers.start(2)
        driving._changed(NAME, Found(NAME, place(moved)))
        await moved.driven()
        async with asyncio.timeout(6):
            await moved.until("timer-finished")


async def test_a_timer_that_was_told_into_a_dead_connection_rings_when_the_satellite_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told, and the satellite has been without a network for some seconds: nobody has heard it."""
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    monkeypatch.setattr(satellites, "PING_S", 0.1)
    monkeypatch.setattr(satellites, "SILENT_S", 2.0)
    (one,) = await started(1)
    async with driven(one) as driving:
        await one.driven()
        (room,) = driving._places.values()
        assert room.timers is not None
        await asyncio.sleep(0.3)
        one.pongs = False  # as if it were gone: what is sent now is lost
        room.timers.start(1)
        await one.until("timer-finished")
        await one.driven(2)
        async with asyncio.timeout(4):
            await one.until("timer-finished")


async def test_settings_that_are_taken_over_leave_the_own_satellite_and_bring_others() -> None:
    own, other = await started(2)
    async with driven(own=place(own)) as driving:
        await own.driven()
        driving.adopt(quiet_settings(satellites=Known(discover=False, known=[place(other)])))
        await other.driven()
        assert own._writer is not None


async def test_other_settings_leave_a_satellite_that_mdns_has_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    (one,) = await started(1)
    async with driven() as driving:
        driving._changed(NAME, Found(NAME, place(one)))
        await one.driven()
        driving._changed(NAME, None)
        await asyncio.sleep(0.2)
        driving.adopt(driving._settings)
        await asyncio.sleep(0.5)
        assert driving._visits, "a change of settings cut it"


async def test_a_satellite_that_announces_itself_anew_elsewhere_is_driven_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    one, moved = await started(2)
    async with driven() as driving:
        driving._changed(NAME, Found(NAME, place(one)))
        await one.driven()
        driving._changed(NAME, None)
        driving._changed(NAME, Found(NAME, place(moved)))
        await moved.driven()
        await asyncio.sleep(0.5)
        assert len(driving._visits) == 1, "one satellite, driven twice"


async def test_a_satellite_that_is_known_by_two_addresses_is_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    (one,) = await started(1)
    async with driven(one) as driving:
        await one.driven()
        driving._changed(NAME, Found(NAME, f"tcp://localhost:{one.port}"))
        await asyncio.sleep(0.5)
        assert [seen.state for seen in driving.seen()] == ["idle"]


async def test_a_known_address_where_something_else_answers_is_shown_and_tried_until_a_satellite_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    (one,) = await started(1)
    one.about = None
    async with driven(one) as driving:
        async with asyncio.timeout(5):
            while not driving.seen():
                await asyncio.sleep(0.01)
        (seen,) = driving.seen()
        assert (seen.state, seen.why) == ("away", f"{place(one)} is no satellite: correct satellites.known")
        one.about = ABOUT
        await one.driven()
        assert [seen.state for seen in driving.seen()] == ["idle"]


async def test_two_satellites_that_have_changed_their_addresses_are_both_driven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a power cut the router gives each the other's address, and neither said goodbye."""
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    one, two = await started(2)
    other = "study-antiphon-satellite-4567cd"
    async with driven() as driving:
        driving._changed(NAME, Found(NAME, place(one)))
        driving._changed(other, Found(other, place(two)))
        await one.driven()
        await two.driven()
        one.vanish()
        two.vanish()
        driving._changed(NAME, Found(NAME, place(two)))
        driving._changed(other, Found(other, place(one)))
        await one.driven(2)
        await two.driven(2)
        assert {visit.uri for visit in driving._visits.values()} == {place(one), place(two)}
