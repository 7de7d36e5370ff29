"""What can be seen of the sound devices at no cost, so that PortAudio need not be asked.

PortAudio learns of devices only when it is initialised, which costs tens of milliseconds and cannot be done while a
stream is open. So a change is noticed here, twice a second, by what the system shows:

- Linux: the list of ALSA's cards, ALSA's configuration, and the sockets of the sound servers;
- macOS: the ids of the devices and which are the defaults, asked of CoreAudio.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CARDS = Path("/proc/asound/cards")


@dataclass(frozen=True)
class Surroundings:
    """Two that are equal mean that nothing has changed. The values mean nothing else."""

    source: Hashable = None
    """Stands for the default microphone."""
    sink: Hashable = None
    """Stands for the default speaker."""
    devices: Hashable = None
    """Stands for all devices."""


def look() -> Surroundings:
    """Return what the system shows now; never waits."""
    if sys.platform == "darwin":
        core = _core_audio()
        return Surroundings(core.default(b"dIn "), core.default(b"dOut"), core.devices())
    shown = (_cards(), *(_stamp(path) for path in (*_configurations(), *_sockets())))
    return Surroundings(shown, shown, shown)


# Linux: any of it may make another device the default one.


def _cards() -> str:
    try:
        return CARDS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _configurations() -> list[Path]:
    home = Path(os.environ.get("HOME", "/"))
    named = os.environ.get("ALSA_CONFIG_PATH", "").split(":")
    return [*(Path(path) for path in named if path), Path("/etc/asound.conf"), home / ".asoundrc"]


def _sockets() -> list[Path]:
    """Return where the sockets of PulseAudio and PipeWire lie, if they run."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    given = os.environ.get("PULSE_SERVER", "").split()
    servers = [Path(server.removeprefix("unix:")) for server in given if server.startswith(("unix:", "/"))]
    pulse = Path(os.environ.get("PULSE_RUNTIME_PATH") or runtime / "pulse") / "native"
    pipewire = Path(os.environ.get("PIPEWIRE_RUNTIME_DIR") or runtime) / "pipewire-0"
    return [*servers, pulse, pipewire, Path("/var/run/pulse/native")]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


# macOS.

FRAMEWORK = "/System/Library/Frameworks/CoreAudio.framework/CoreAudio"
SYSTEM_OBJECT = 1
DEVICES_MOST = 256


class _Address(ctypes.Structure):
    """AudioObjectPropertyAddress."""

    _fields_ = [("selector", ctypes.c_uint32), ("scope", ctypes.c_uint32), ("element", ctypes.c_uint32)]


class _CoreAudio:
    """The few properties of CoreAudio's system object that are asked here (AudioHardware.h)."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(FRAMEWORK)
        # Without a run loop of its own thread (`rnlp`, null), a program that runs none is told old values for ever.
        nothing = ctypes.c_void_p(None)
        self._library.AudioObjectSetPropertyData(
            ctypes.c_uint32(SYSTEM_OBJECT),
            ctypes.byref(_address(b"rnlp")),
            ctypes.c_uint32(0),
            None,
            ctypes.c_uint32(ctypes.sizeof(nothing)),
            ctypes.byref(nothing),
        )

    def default(self, selector: bytes) -> int:
        """Return the id of a default device: `dIn ` or `dOut`; 0 for none."""
        found = ctypes.c_uint32(0)
        return found.value if self._ask(selector, found) else 0

    def devices(self) -> tuple[int, ...]:
        """Return the ids of all devices."""
        found = (ctypes.c_uint32 * DEVICES_MOST)()
        size = self._ask(b"dev#", found)
        return tuple(found[: size // ctypes.sizeof(ctypes.c_uint32)])

    def _ask(self, selector: bytes, into: Any) -> int:
        """Fill `into` with a property; return how many bytes it has, 0 for a refusal."""
        size = ctypes.c_uint32(ctypes.sizeof(into))
        failed = self._library.AudioObjectGetPropertyData(
            ctypes.c_uint32(SYSTEM_OBJECT),
            ctypes.byref(_address(selector)),
            ctypes.c_uint32(0),
            None,
            ctypes.byref(size),
            ctypes.byref(into),
        )
        return 0 if failed else int(size.value)


def _address(selector: bytes) -> _Address:
    """Return the address of a global property by its four-letter name."""
    return _Address(int.from_bytes(selector, "big"), int.from_bytes(b"glob", "big"), 0)


@cache
def _core_audio() -> _CoreAudio:
    return _CoreAudio()
