"""Under a service manager: ready means serving, a blocked loop is noticed, and the end comes soon and in good order."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from daemons import NAMES, command, serves, settings_file
from supervisor import Supervisor
from wyoming.audio import AudioChunk
from wyoming.tts import Synthesize

from antiphon.wire.link import Link, LinkError, open_link

BLOCK = Path(__file__).parent / "block.py"
LONG = "The quick brown fox jumps over the lazy dog, and then it looks for another dog to jump over. " * 40

pytestmark = pytest.mark.timeout(180)


async def forever(link: Link) -> None:
    """Take what comes, until the daemon leaves."""
    while True:
        await link.receive()


def test_the_daemon_is_ready_when_it_serves_and_ends_in_the_middle_of_a_reply(tmp_path: Path) -> None:
    config, ports = settings_file(tmp_path)
    with Supervisor(command(config), tmp_path) as manager:
        manager.until_ready()
        assert all(serves(ports[name]) for name in NAMES)
        assert manager.said[0] == "STATUS=Loading the models"
        assert f"STATUS=Serving asr on {ports['asr']}" in "\n".join(manager.said)

        async def talk_and_stop() -> float:
            async with await open_link(f"tcp://127.0.0.1:{ports['tts']}") as link:
                await link.send(Synthesize(text=LONG))
                while not AudioChunk.is_type((await link.receive()).type):
                    pass
                stopping = asyncio.create_task(asyncio.to_thread(manager.stop))
                with pytest.raises(LinkError, match="has left|closed the connection"):
                    await forever(link)
                return await stopping

        assert asyncio.run(talk_and_stop()) < 5
        assert manager.process.returncode == 0
        assert not any(serves(ports[name]) for name in NAMES)
    assert "STOPPING=1" in manager.said
    assert '"ending"' in manager.log
    assert "Traceback" not in manager.log


def test_it_ends_soon_while_its_models_are_being_loaded(tmp_path: Path) -> None:
    config, _ = settings_file(tmp_path)
    with Supervisor(command(config), tmp_path) as manager:
        manager.until_said("STATUS=Loading the models")
        manager.stop()
        assert manager.process.returncode == 0
        assert manager.readies == 0


def test_a_blocked_loop_is_killed_and_the_daemon_serves_again(tmp_path: Path) -> None:
    config, ports = settings_file(tmp_path)
    with Supervisor([sys.executable, str(BLOCK), str(config)], tmp_path, watchdog_s=5) as manager:
        manager.until_ready()
        manager.process.send_signal(signal.SIGUSR2)
        manager.until_ready(2)
        assert manager.bites >= 1
        assert all(serves(ports[name]) for name in NAMES)


def test_new_settings_are_told_and_a_second_daemon_says_what_is_wrong(tmp_path: Path) -> None:
    config, ports = settings_file(tmp_path)
    with Supervisor(command(config), tmp_path) as manager:
        manager.until_ready()
        second = subprocess.run(command(config), capture_output=True, text=True, check=False, timeout=60)
        assert second.returncode == 1
        assert (
            second.stderr.strip().splitlines()[-1].startswith(f"Error: port {ports['asr']} (asr) is in use by another")
        )
        assert "Traceback" not in second.stderr
        config.write_text(config.read_text() + "turn: {silence_ms: 777}\ntts: {speed: 1.5}\nstt: {threads: 1}\n")
        manager.until_ready(2)
        assert "RELOADING=1" in manager.said
        assert "settings taken: tts.speed, turn.silence_ms" in manager.log
        assert "settings that need a restart have changed: stt.threads" in manager.log
        config.write_text("turns: {}\n")
        manager.until_ready(3)
        assert f"the settings stay as they were: {config}:1: turns is no setting; did you mean turn?" in manager.log
        assert serves(ports["asr"])


def test_the_satellite_is_ready_when_its_port_listens_and_follows_its_settings(tmp_path: Path) -> None:
    config, ports = settings_file(tmp_path)
    with Supervisor(command(config, "satellite"), tmp_path) as manager:
        manager.until_ready()
        assert serves(ports["satellite"])
        config.write_text(config.read_text().replace("attic", "cellar"))
        manager.until_ready(2)
        assert "settings taken: satellite.name" in manager.log
        assert manager.stop() < 5
        assert manager.process.returncode == 0
    assert "STOPPING=1" in manager.said
