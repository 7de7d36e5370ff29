"""The timers of a place, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from antiphon_daemon.conversation.skills.timers import AT_MOST, LATE_S, RING_S, Status, Timer, Timers


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Notes:
    """A bell that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.left: list[int] = []

    def timer_started(self, timer: Timer) -> None:
        self.told.append(("started", timer.id))

    def timer_updated(self, timer: Timer, left_s: int) -> None:
        self.told.append((timer.status.value, timer.id))
        self.left.append(left_s)

    def timer_cancelled(self, timer: Timer) -> None:
        self.told.append(("cancelled", timer.id))

    def timer_finished(self, timer: Timer) -> None:
        self.told.append(("finished", timer.id))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timers(clock: Clock) -> AsyncIterator[Timers]:
    one = Timers(clock)
    yield one
    one.close()


def pass_time(timers: Timers, clock: Clock, seconds: float) -> None:
    """Move the clock, and do what the loop's timer would."""
    clock.now += seconds
    timers._advance()


async def test_a_timer_counts_down_and_rings_once(timers: Timers, clock: Clock) -> None:
    bell = Notes()
    timers.attach(bell)
    timer = timers.start(600, "pasta")
    assert timer is not None
    assert timers.left_s(timer) == 600
    pass_time(timers, clock, 0.4)
    assert timers.left_s(timer) == 600, "what is begun counts"
    pass_time(timers, clock, 599.5)
    assert bell.kinds == ["started"]
    pass_time(timers, clock, 0.2)
    pass_time(timers, clock, 5)
    assert bell.kinds == ["started", "finished"]
    assert timers.set == []
    assert timers.ringing == [timer]


async def test_the_loop_wakes_for_a_timer_by_itself() -> None:
    timers, bell = Timers(), Notes()
    timers.attach(bell)
    timers.start(1)
    async with asyncio.timeout(10):
        while "finished" not in bell.kinds:
            await asyncio.sleep(0.01)
    timers.close()


async def test_several_timers_are_told_apart_and_ordered_by_what_is_left(timers: Timers, clock: Clock) -> None:
    long, short = timers.start(600), timers.start(60)
    assert long is not None
    assert short is not None
    assert timers.set == [short, long]
    timers.change(short, 600)
    assert timers.set == [long, short]
    assert short.total_s == 660


async def test_a_paused_timer_stands_still(timers: Timers, clock: Clock) -> None:
    bell = Notes()
    timers.attach(bell)
    timer = timers.start(100)
    assert timer is not None
    pass_time(timers, clock, 40)
    timers.pause(timer)
    pass_time(timers, clock, 10_000)
    assert (timer.status, timers.left_s(timer)) == (Status.PAUSED, 60)
    timers.change(timer, 30)
    assert timers.left_s(timer) == 90
    timers.resume(timer)
    pass_time(timers, clock, 89)
    assert "finished" not in bell.kinds
    pass_time(timers, clock, 2)
    assert bell.kinds == ["started", "paused", "paused", "running", "finished"]
    assert bell.left == [60, 90, 90]


async def test_a_timer_cannot_be_made_to_have_been_over(timers: Timers, clock: Clock) -> None:
    timer = timers.start(100)
    assert timer is not None
    timers.change(timer, -100)
    assert timers.left_s(timer) == 100
    timers.change(timer, -99)
    assert timers.left_s(timer) == 1


async def test_what_is_cancelled_twice_is_told_once_and_can_be_taken_back(timers: Timers, clock: Clock) -> None:
    bell = Notes()
    timers.attach(bell)
    timer = timers.start(100)
    assert timer is not None
    timers.cancel(timer)
    timers.cancel(timer)
    assert bell.kinds == ["started", "cancelled"]
    timers.restore([timer])
    pass_time(timers, clock, 101)
    assert bell.kinds == ["started", "cancelled", "started", "finished"]


async def test_a_ringing_timer_is_calmed_or_forgotten_by_itself(timers: Timers, clock: Clock) -> None:
    bell = Notes()
    timers.attach(bell)
    timers.start(10)
    pass_time(timers, clock, 11)
    timers.calm()
    assert bell.kinds == ["started", "finished", "cancelled"]
    assert timers.ringing == []
    timers.start(10)
    pass_time(timers, clock, 11)
    pass_time(timers, clock, RING_S + 1)
    assert timers.ringing == []
    assert bell.kinds[3:] == ["started", "finished"]


async def test_a_satellite_that_was_away_rings_when_it_is_back(timers: Timers, clock: Clock) -> None:
    bell = Notes()
    timers.attach(bell)
    timers.start(60)
    timers.detach(bell)
    pass_time(timers, clock, 100)
    assert bell.kinds == ["started"]
    back = Notes()
    timers.attach(back)
    assert back.kinds == ["finished"]


async def test_a_satellite_that_was_away_for_long_does_not_ring_any_more(timers: Timers, clock: Clock) -> None:
    timers.start(60)
    pass_time(timers, clock, 60)
    pass_time(timers, clock, LATE_S)
    bell = Notes()
    timers.attach(bell)
    assert bell.kinds == []
    assert timers.ringing == []


async def test_an_old_connection_that_ends_late_does_not_silence_the_new_one(timers: Timers, clock: Clock) -> None:
    """The race: a satellite is back before the end of its old connection was noticed."""
    old, new = Notes(), Notes()
    timers.attach(old)
    timers.attach(new)
    timers.detach(old)
    timers.start(5)
    assert new.kinds == ["started"]


async def test_there_are_never_more_than_so_many(timers: Timers) -> None:
    assert all(timers.start(100) for _ in range(AT_MOST))
    assert timers.start(100) is None
    assert len(timers.set) == AT_MOST


async def test_what_was_due_while_the_machine_slept_rings_when_it_wakes(timers: Timers, clock: Clock) -> None:
    timers.attach(Notes())
    timers.start(600)
    pass_time(timers, clock, 8 * 3600)
    assert [timer.total_s for timer in timers.ringing] == [600]


async def test_a_sleeping_machine_is_noticed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon_daemon.conversation.skills.timers.LOOK_S", 0.02)
    timers = Timers(clock)
    timers.start(600)
    clock.now += 700  # the loop's own clock has stood still
    await asyncio.sleep(0.1)
    assert timers.ringing
    timers.close()


async def test_what_has_rung_for_long_does_not_ring_again_at_the_next_bell(timers: Timers, clock: Clock) -> None:
    first, second = Notes(), Notes()
    timers.attach(first)
    timers.start(10)
    pass_time(timers, clock, 11)
    clock.now += 40
    timers.detach(first)
    timers.attach(second)
    assert second.kinds == []
