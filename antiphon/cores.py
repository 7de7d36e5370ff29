"""How many cores this process may use: those of a container or of a service are fewer than the machine's."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
"""Where control groups of version 2 are mounted."""


@cache
def cores() -> int:
    """Return for how many cores to divide work up: no more than the process may run on, nor than its time is worth.

    A container of two cores on a machine of sixteen sees sixteen; threads for all of them would wait for each other.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(_own_group())
    return max(1, min(allowed, math.ceil(quota))) if math.isfinite(quota) else allowed


def _own_group() -> Path:
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    return CGROUPS / own.lstrip("/")


def _quota(group: Path) -> float:
    """Return how many cores' time a control group gets, which is the least that it or one above it is given."""
    least = math.inf
    for folder in (group, *group.parents):
        try:
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
            least = min(least, int(quota) / int(period))
        except (OSError, ValueError):  # no limit is set ("max"), or there is none to be set
            pass
        if folder == CGROUPS:
            break
    return least
