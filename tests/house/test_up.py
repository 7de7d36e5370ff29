"""`antiphon up`: one command, both programs, with and without sound; and what ends them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from ports import free_port
from virtual_sound import VirtualSound

from antiphon.wire.link import LinkError, ask_info

pytestmark = pytest.mark.timeout(180)


def started(folder: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """Start `antiphon up` on ports of its own."""
    ports = {name: free_port() for name in ("asr", "tts", "handle", "vad", "wake", "satellite")}
    config = folder / "config.yaml"
    settings = {
        "network": {"host": "127.0.0.1", "zeroconf": False},
        "endpoints": {name: {"port": ports[name]} for name in ("asr", "tts", "handle", "vad", "wake")},
        "satellite": {"port": ports["satellite"], "name": "here"},
    }
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "antiphon", "--config", str(config), "up"]
    given = {**environment, "PYTHONUNBUFFERED": "1", "ANTIPHON_STATE": str(folder)}
    return subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True), ports


def until_ready(process: subprocess.Popen[str]) -> str:
    """Return the line that says that it is ready."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Ready"):
            return line
    raise AssertionError(f"it has ended with {process.wait()}")


def serves(port: int) -> bool:
    try:
        asyncio.run(ask_info(f"tcp://127.0.0.1:{port}", within_s=2))
    except LinkError:
        return False
    return True


def ended(process: subprocess.Popen[str], ports: dict[str, int]) -> None:
    """End it as Ctrl-C does: everything goes, in order."""
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    assert not any(serves(port) for port in ports.values())


def test_without_a_microphone_the_services_are_up_and_it_says_so(tmp_path: Path) -> None:
    nowhere = {"HOME": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/none"}
    process, ports = started(tmp_path, {**os.environ, **nowhere})
    try:
        line = until_ready(process)
        assert "without a microphone" in line or Path("/proc/asound/card0").exists()
        assert all(serves(ports[name]) for name in ("asr", "tts", "handle", "vad", "wake"))
        ended(process, ports)
    finally:
        process.kill()


@pytest.mark.skipif(not VirtualSound.available(), reason="PulseAudio is not installed")
def test_with_sound_both_run_and_one_that_falls_takes_the_other_along(tmp_path: Path) -> None:
    import psutil

    with VirtualSound() as sound:
        process, ports = started(tmp_path, sound.environment)
        try:
            assert "okay nabu" in until_ready(process)
            end = time.monotonic() + 30
            while not serves(ports["satellite"]):
                assert time.monotonic() < end
            ended(process, ports)
        finally:
            process.kill()
        process, ports = started(tmp_path, sound.environment)
        try:
            until_ready(process)
            children = psutil.Process(process.pid).children()
            assert len(children) == 2
            children[0].kill()
            assert process.wait(15) != 0
            assert not any(child.is_running() and child.status() != "zombie" for child in children)
        finally:
            process.kill()
