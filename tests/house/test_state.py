"""Both programs need nothing that is kept: no room on the disk, no folder to write to, no log that can be written."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from ports import free_port

from antiphon.wire.link import LinkError, ask_info

READY_S = 60.0

pytestmark = [
    pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit (util-linux) is not installed"),
    pytest.mark.timeout(180),
]


def until_described(port: int) -> None:
    end = time.monotonic() + READY_S
    while True:
        try:
            asyncio.run(ask_info(f"tcp://127.0.0.1:{port}", within_s=2))
            return
        except LinkError:
            assert time.monotonic() < end
            time.sleep(0.1)


def command(folder: Path, program: str, ports: dict[str, int]) -> list[str]:
    """Return how to start a program for which no file can grow, as on a disk that is full."""
    config = folder / "config.yaml"
    settings = {
        "log": {"format": "json"},
        "network": {"host": "127.0.0.1"},
        "endpoints": {name: {"port": ports[name]} for name in ("asr", "tts", "handle", "vad", "wake")},
        "satellite": {"port": ports["satellite"], "name": "here", "start": "button"},
        "satellites": {"discover": False},
    }
    config.write_text(yaml.safe_dump(settings))
    return ["prlimit", "--fsize=0", sys.executable, "-m", "antiphon", "--config", str(config), program]


@pytest.mark.parametrize(("program", "endpoint"), [("daemon", "asr"), ("satellite", "satellite")])
@pytest.mark.parametrize("where", ["full", "unwritable"])
def test_without_room_or_a_folder_it_starts_with_a_passing_identity_and_says_so_once(
    tmp_path: Path, program: str, endpoint: str, where: str
) -> None:
    ports = {name: free_port() for name in ("asr", "tts", "handle", "vad", "wake", "satellite")}
    (tmp_path / "file").touch()
    state = tmp_path / "state" if where == "full" else tmp_path / "file" / "state"
    nowhere = {"PULSE_SERVER": f"unix:{tmp_path}/none", "PIPEWIRE_REMOTE": str(tmp_path / "none")}
    environment = {**os.environ, **nowhere, "ANTIPHON_STATE": str(state)}
    process = subprocess.Popen(
        command(tmp_path, program, ports), env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        until_described(ports[endpoint])
        time.sleep(1)  # mDNS, which needs the identity too, comes after the port
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=15)
    finally:
        process.kill()
    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert [event.startswith("identity cannot be kept") for event in events].count(True) == 1, said


def test_a_log_on_a_full_disk_stops_no_program(tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("asr", "tts", "handle", "vad", "wake", "satellite")}
    environment = {**os.environ, "PULSE_SERVER": f"unix:{tmp_path}/none", "ANTIPHON_STATE": str(tmp_path / "state")}
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            command(tmp_path, "satellite", ports), env=environment, stdin=subprocess.DEVNULL, stderr=full
        )
    try:
        until_described(ports["satellite"])
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
