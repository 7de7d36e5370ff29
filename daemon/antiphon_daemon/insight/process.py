"""What this process takes of its machine: memory, descriptors, threads, time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from antiphon_daemon.insight import metrics

LOOK_S = 0.5
"""The event loop's lateness is looked at so often while somebody watches."""
KEPT = 120
"""So many looks are kept: a minute of them."""
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts, in bytes."""

_OWN = Path("/proc/self")


def usage() -> dict[str, Any]:
    """Return memory in bytes, open descriptors and their limit, threads, seconds of CPU and since the start.

    What this system does not tell is None. Reads files: not for an event loop.
    """
    times = os.times()
    return {
        "rss_bytes": _rss(),
        "rss_most_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT,
        "descriptors": _descriptors(),
        "descriptors_most": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "threads": threading.active_count(),
        "cpu_s": round(times.user + times.system, 1),
        "uptime_s": round(time.monotonic() - metrics.STARTED),
    }


def _rss() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((_OWN / "statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return None


def _descriptors() -> int | None:
    for folder in (_OWN / "fd", Path("/dev/fd")):
        with contextlib.suppress(OSError):
            return len(list(folder.iterdir())) - 1  # that of looking itself
    return None


class Lag:
    """How late an event loop is: a timer that should ring every `LOOK_S` seconds, while somebody watches."""

    def __init__(self) -> None:
        self._late_s: deque[float] = deque(maxlen=KEPT)
        self._timer: asyncio.TimerHandle | None = None
        self._watching = 0

    def start(self) -> None:
        """Somebody watches."""
        self._watching += 1
        if self._timer is None:
            self._late_s.clear()
            self._set()

    def stop(self) -> None:
        """They watch no more."""
        self._watching -= 1
        if self._watching == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def told(self) -> dict[str, float | None]:
        """Return the last and the longest lateness of the last minute, in ms; None before there is one."""
        last, most = (self._late_s[-1], max(self._late_s)) if self._late_s else (None, None)
        return {"last_ms": _ms(last), "most_ms": _ms(most)}

    def _set(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_S, self._look, loop.time() + LOOK_S)

    def _look(self, due: float) -> None:
        self._late_s.append(max(0.0, asyncio.get_running_loop().time() - due))
        self._set()


def _ms(seconds: float | None) -> float | None:
    return round(seconds * 1000, 1) if seconds is not None else None
