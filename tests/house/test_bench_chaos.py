"""Five parts of a house under Home Assistant are killed, one after another: nobody waits in vain, and all come back."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter

import pytest

from antiphon.configuration import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import chaos
from _parts import Line
from virtual_sound import VirtualSound

KILLS = 5
SEED = 5


@pytest.mark.skipif(not VirtualSound.available(), reason="PulseAudio is not installed")
@pytest.mark.timeout(300)
def test_each_part_is_killed_and_every_turn_ends_with_a_reply_or_an_error() -> None:
    found, _ = asyncio.run(chaos.measure(KILLS, SEED, lambda _: None))
    assert sorted(found["killed"]) == sorted(["daemon", "satellite", "controller", "sound server", "language model"])
    assert found["which"] == []
    assert found["not_back"] == []
    assert found["not_answered_after"] == []
    assert found["overdue"] == []
    assert found["tracebacks"] == 0
    assert found["turns"] > KILLS
    assert found["answered"] + found["apologised"] + found["lost"] == found["turns"]
    assert found["recovery_max_s"] <= chaos.BACK_S


def test_every_part_dies_at_every_moment_equally_often_and_by_the_seed() -> None:
    planned = chaos.plan(100, random.Random(SEED))
    assert set(Counter(planned).values()) == {5}
    assert len(Counter(planned)) == 20
    assert planned == chaos.plan(100, random.Random(SEED))
    assert planned != chaos.plan(100, random.Random(SEED + 1))


def test_a_state_beyond_its_deadline_is_told() -> None:
    def state(at: float, now: str) -> Line:
        return Line(at, {"event": "state", "now": now})

    late = chaos.LONGEST_S["waiting"] + 5
    assert chaos.overdue([state(0, "waiting"), state(late, "idle")]) == ["waiting for 35 s"]
    assert chaos.overdue([state(0, "waiting"), state(5, "thinking"), state(late, "idle"), state(999, "idle")]) == []
