"""Daemons of a test's own: settings on free ports, and the commands that start them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import yaml
from ports import free_ports

from antiphon.wire.link import LinkError, ask_info

NAMES = ("asr", "tts", "handle", "vad", "wake")


def settings_file(folder: Path, **more: Any) -> tuple[Path, dict[str, int]]:
    """Write settings for a daemon on loopback; returns the file, and the ports by name."""
    ports = dict(zip((*NAMES, "satellite", "gateway"), free_ports(len(NAMES) + 2), strict=True))
    path = folder / "config.yaml"
    given = {
        "network": {"host": "127.0.0.1", "zeroconf": False},
        "endpoints": {name: {"port": ports[name]} for name in NAMES},
        "gateway": {"port": ports["gateway"]},
        "satellite": {"port": ports["satellite"], "name": "attic"},
        **more,
    }
    path.write_text(yaml.safe_dump(given))
    return path, ports


def command(config: Path, program: str = "daemon") -> list[str]:
    """Return how a program is started, as a service does."""
    return [sys.executable, "-m", "antiphon", "--config", str(config), program]


def serves(port: int) -> bool:
    """Whether a Wyoming service answers there."""
    try:
        asyncio.run(ask_info(f"tcp://127.0.0.1:{port}", within_s=5))
    except LinkError:
        return False
    return True
