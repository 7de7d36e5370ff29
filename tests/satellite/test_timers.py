"""The real satellite and the real daemon's side of it, with the embedded models: timers by voice, and their ring.

Only the sound card is stood in for; it keeps real time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from satellite_rig import Rig, eventually, rig
from speech import Say, silence

from antiphon.audio.pcm import Samples
from antiphon.settings import Llm, Settings
from antiphon.settings import Satellites as Known
from antiphon_daemon.app import build_engines
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.satellites import Satellites, Visit
from antiphon_satellite.states import Limits, State

LIMITS = Limits(follow_up_s=0)

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    built = asyncio.run(build_engines(Settings(llm=Llm(temperature=0))))
    yield built
    asyncio.run(built.close())


@asynccontextmanager
async def house(engines: Engines) -> AsyncIterator[tuple[Rig, Satellites]]:
    """A satellite at rest that a daemon drives."""
    async with rig(limits=LIMITS) as one:
        known = Known(discover=False, known=[f"tcp://127.0.0.1:{one.port}"])
        settings = Settings(network={"host": "127.0.0.1", "zeroconf": False}, satellites=known)  # type: ignore[arg-type]
        driving = Satellites(engines, settings, "0123456789ab")
        driving.start(None)
        try:
            await one.until(State.IDLE, within_s=10)
            yield one, driving
        finally:
            await driving.stop()


async def talk(one: Rig, spoken: Samples) -> None:
    """Press the button, say something, and wait until the satellite is at rest again."""
    one.satellite.press()
    one.card.say(np.concatenate((silence(0.2), spoken, silence(0.2))))
    await one.until(State.STREAMING)
    await one.until(State.IDLE, State.RINGING, within_s=30)


def lengths(driving: Satellites) -> list[int]:
    (place,) = driving._places.values()
    assert place.timers is not None
    return [timer.total_s for timer in place.timers.set]


async def test_a_timer_is_set_asked_about_and_cancelled_by_voice(engines: Engines, say: Say) -> None:
    async with house(engines) as (one, driving):
        (memory,) = driving._memories.values()
        await talk(one, say("Set a timer for ten minutes."))
        assert lengths(driving) == [600]
        await talk(one, say("How long is left?"))
        await eventually(lambda: (memory.last_reply or "").endswith("left."))
        assert lengths(driving) == [600]
        await talk(one, say("Cancel it."))  # which the smallest Whisper also hears as "Can't sell it."
        assert lengths(driving) == []
        assert one.satellite.state is State.IDLE


def visit(driving: Satellites) -> Visit:
    (place,) = driving._places.values()
    assert isinstance(place.hands, Visit)
    return place.hands


async def test_a_timer_rings_and_stop_ends_it(engines: Engines) -> None:
    """What `stop` does to a satellite that rings, however it was said."""
    async with house(engines) as (one, driving):
        visit(driving)._conversation.typed("set a timer for one second")
        await one.until(State.ANNOUNCING, within_s=10)
        await one.until(State.RINGING, within_s=10)
        before = len(one.card.played)
        await eventually(lambda: float(np.max(np.abs(one.card.played[before:]), initial=0.0)) > 0.01)
        visit(driving)._conversation.typed("stop")
        await one.until(State.IDLE)
        await asyncio.sleep(0.5)
        assert one.satellite.speaker.silent
        assert one.satellite.state is State.IDLE


async def test_a_timer_that_finishes_while_stop_is_said_never_rings(engines: Engines, say: Say) -> None:
    """The race: the timer is up while the satellite streams, so its ring waits; "stop" must end that too."""
    async with house(engines) as (one, driving):
        one.satellite.press()
        await one.until(State.STREAMING)
        (place,) = driving._places.values()
        assert place.timers is not None
        place.timers.start(1)
        await eventually(lambda: bool(one.satellite._timers_due), 10)
        one.card.say(np.concatenate((silence(0.2), say("Stop."), silence(0.2))))
        await one.until(State.IDLE, within_s=30)
        assert place.timers.ringing == []
        await asyncio.sleep(0.5)
        assert one.satellite.state is State.IDLE


async def test_cancelling_one_timer_does_not_silence_another(engines: Engines) -> None:
    async with house(engines) as (one, driving):
        (place,) = driving._places.values()
        assert place.timers is not None
        rings, runs = place.timers.start(1), place.timers.start(600)
        assert rings is not None
        assert runs is not None
        await one.until(State.RINGING, within_s=10)
        place.timers.cancel(runs)
        await asyncio.sleep(0.5)
        assert one.satellite.state is State.RINGING
        place.timers.cancel(rings)
        await one.until(State.IDLE)


async def test_the_volume_is_changed_from_what_it_was(engines: Engines) -> None:
    async with house(engines) as (one, driving):
        (place,) = driving._places.values()
        await eventually(lambda: place.volume == 80)
        visit(driving)._conversation.typed("volume down")
        await eventually(lambda: one.satellite.speaker.volume == 70, 10)
        visit(driving)._conversation.typed("음소거")
        await eventually(lambda: one.satellite.speaker.volume == 0, 10)
        visit(driving)._conversation.typed("unmute")
        await eventually(lambda: one.satellite.speaker.volume == 70, 10)
        visit(driving)._conversation.typed("stop listening")
        await eventually(lambda: one.satellite._now.muted, 10)
        one.satellite.press()
        await one.until(State.ANNOUNCING, State.IDLE, State.MUTED)
