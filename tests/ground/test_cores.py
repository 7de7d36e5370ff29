"""How many cores a process may use, by its affinity and by its control groups."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon import cores as module
from antiphon.cores import cores

ASK = "from antiphon.cores import cores; print(cores())"


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    cores.cache_clear()
    yield
    cores.cache_clear()


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the control group of a service on a machine of eight cores."""
    own = tmp_path / "system.slice" / "antiphon.service"
    own.mkdir(parents=True)
    monkeypatch.setattr(module, "CGROUPS", tmp_path)
    monkeypatch.setattr(module, "_own_group", lambda: own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return own


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="macOS binds no process to a core")
def test_a_process_that_may_run_on_one_core_counts_one() -> None:
    assert cores() <= (os.cpu_count() or 1)
    bound = subprocess.run(
        [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {ASK}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert bound.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("own", "above", "expected"),
    [
        ("max 100000", "max 100000", 8),
        ("200000 100000", "max 100000", 2),
        ("150000 100000", "400000 100000", 2),
        ("max 100000", "50000 100000", 1),
        ("1600000 100000", "", 8),
        ("nonsense", "", 8),
    ],
)
def test_a_service_that_is_given_less_time_counts_fewer(groups: Path, own: str, above: str, expected: int) -> None:
    (groups / "cpu.max").write_text(own)
    if above:
        (groups.parent / "cpu.max").write_text(above)
    assert cores() == expected


def test_where_there_are_no_control_groups_all_that_it_may_run_on_count(groups: Path) -> None:
    assert cores() == 8
