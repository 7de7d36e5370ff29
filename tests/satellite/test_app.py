"""The program as a service manager sees it: it starts without sound, serves, and ends at once when told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ports import free_port
from wyoming.info import Info

from antiphon.wire.link import LinkError, ask_info

PROGRAM = "from antiphon.cli import main; main()"


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    config = folder / "config.yaml"
    config.write_text(f"network: {{host: 127.0.0.1, zeroconf: false}}\nsatellite: {{port: {port}, name: attic}}\n")
    nowhere = {"PULSE_SERVER": f"unix:{folder}/none", "PIPEWIRE_REMOTE": str(folder / "none")}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--config", str(config), "satellite"],
        env={**os.environ, **nowhere},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


async def described(port: int, within_s: float = 15.0) -> Info:
    end = time.monotonic() + within_s
    while True:
        try:
            return await ask_info(f"tcp://127.0.0.1:{port}")
        except LinkError:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_without_a_sound_device_and_ends_when_told(tmp_path: Path, signum: signal.Signals) -> None:
    port = free_port()
    process = start(tmp_path, port)
    try:
        info = await described(port)
        assert info.satellite is not None
        assert info.satellite.name == "attic"
        started = time.monotonic()
        process.send_signal(signum)
        assert await asyncio.to_thread(process.wait, 10) == 0
        assert time.monotonic() - started < 5
    finally:
        process.kill()


async def test_a_port_in_use_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(tmp_path, taken.getsockname()[1])
        _, said = await asyncio.to_thread(process.communicate, None, 20)
    assert process.returncode == 1
    assert "is in use by another program" in said.decode()
    assert "Traceback" not in said.decode()
