"""Two people who talk for two minutes at three times the speed, interrupt, cough and go on: nobody is left waiting."""

from __future__ import annotations

import asyncio
import sys

import pytest

from antiphon.configuration import ROOT, load

sys.path.insert(0, str(ROOT / "bench"))

import soak

MINUTES = 2.0
GROWTH_MB = 60.0
"""Engines still fill their caches in the first minutes; what leaks with every turn would be seen."""


@pytest.mark.timeout(300)
def test_every_turn_is_answered_and_nothing_grows() -> None:
    found, tally = asyncio.run(soak.measure(load(None), MINUTES, lambda _: None))
    assert found["stuck"] == []
    assert found["turns"] > 20
    assert len(tally.kinds) >= 4
    assert found["rss_growth_mb"] < GROWTH_MB
    assert abs(found["fd_growth"]) < 8
