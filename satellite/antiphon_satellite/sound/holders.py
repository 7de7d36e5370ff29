"""Who holds a sound device, as Linux tells it under /proc/asound; elsewhere nobody can be named.

ALSA lends a device to one program at a time. `card*/pcm*{c,p}/sub*/status` says `closed`, or the thread that opened it
(`owner_pid`).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DIRECTION = {"input": "c", "output": "p"}
"""ALSA's capture and playback."""


@dataclass(frozen=True)
class Holder:
    """A program that has a device open."""

    program: str
    pid: int


def holders(kind: str, device: str = "", proc: Path = Path("/proc")) -> list[Holder]:
    """Return the other programs that hold devices of a kind (input or output).

    Args:
        device: a device as PortAudio calls it; when its name holds ALSA's address, `(hw:1,0)`, only that one counts.
    """
    card, number = "*", "*"
    if address := re.search(r"\(hw:(\d+),(\d+)\)", device):
        card, number = address.groups()
    found = []
    for status in sorted(proc.glob(f"asound/card{card}/pcm{number}{DIRECTION[kind]}/sub*/status")):
        with contextlib.suppress(OSError, ValueError):
            owner = re.search(r"^owner_pid\s*:\s*(\d+)", status.read_text(), re.MULTILINE)
            if owner and (holder := _program(int(owner[1]), proc)).pid != os.getpid():
                found.append(holder)
    return list(dict.fromkeys(found))


def named(found: Sequence[Holder]) -> str:
    """Return them as a sentence names them; empty for none."""
    return " and ".join(f"{one.program} (process {one.pid})" for one in found)


def _program(thread: int, proc: Path) -> Holder:
    """Return the program that a thread is of."""
    status = (proc / str(thread) / "status").read_text()
    leader = re.search(r"^Tgid:\s*(\d+)", status, re.MULTILINE)
    pid = int(leader[1]) if leader else thread
    return Holder((proc / str(pid) / "comm").read_text().strip(), pid)
