"""A satellite whose settings change while it runs."""

from __future__ import annotations

from typing import Any

from satellite_rig import eventually, rig

from antiphon.live import Live
from antiphon.settings import Settings
from antiphon.wire.link import ask_info
from antiphon_satellite.app import SCOPE
from antiphon_satellite.states import State


def settings(port: int, **satellite: Any) -> Settings:
    given = {"port": port, "name": "kitchen", "start": "button", **satellite}
    return Settings(network={"host": "127.0.0.1", "zeroconf": False}, satellite=given)  # type: ignore[arg-type]


def live_of(one: Any) -> Live:
    live = Live(settings(0), SCOPE)
    live.follow(one.satellite.adopt)
    return live


async def test_name_room_and_volume_follow() -> None:
    async with rig() as one, one.controller("antiphon/daemon") as daemon:
        live = live_of(one)
        await one.until(State.IDLE)
        await live.change(settings(0, name="cellar", area="Below", sound={"volume": 40}))
        info = await ask_info(f"tcp://127.0.0.1:{one.port}")
        assert info.satellite is not None
        assert (info.satellite.name, info.satellite.area) == ("cellar", "Below")
        assert one.satellite.speaker.volume == 40
        await daemon.extra("antiphon.volume", percent=15)
        await eventually(lambda: one.satellite.speaker.volume == 15)
        await live.change(settings(0, name="attic", sound={"volume": 40}))
        assert one.satellite.speaker.volume == 15  # what was not changed stays where the controller has put it


async def test_a_question_is_followed_up_or_not() -> None:
    async with rig() as one, one.controller(answer="And you?", reply_s=0.2) as house:
        live = live_of(one)
        await live.change(settings(0, follow_up=False))
        await one.until(State.IDLE)
        one.satellite.press()
        await house.expect("played")
        await one.until(State.IDLE)
        await live.change(settings(0, follow_up=True))
        one.satellite.press()
        await one.until(State.LISTENING, within_s=5)


async def test_the_controller_that_is_named_takes_over_at_rest() -> None:
    async with rig() as one, one.controller("antiphon/first") as first, one.controller("antiphon/second") as second:
        await one.until(State.IDLE)
        live = live_of(one)
        for each in (first, second):
            await each.expect("info")  # asked for after `run-satellite`: by then it is one of those that may drive
        for name in ("antiphon/second", "antiphon/first"):
            await live.change(settings(0, controller=name))
            assert one.satellite.service.active is not None
            assert name in one.satellite.service.active.name


async def test_hooks_follow(tmp_path: Any) -> None:
    async with rig() as one:
        live = live_of(one)
        await live.change(settings(0, hooks={"muted": f"touch {tmp_path}/muted"}))
        one.satellite.mute(on=True)
        await eventually((tmp_path / "muted").exists)
