"""Sound that goes and comes, on a real sound server: what the satellite says meanwhile, and that it is heard again.

The satellite runs as a program of its own; the test is its controller, and both its sound card's sides.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ports import free_port
from satellite_rig import Controller, eventually, loudest, pitch_level
from virtual_sound import VirtualSound

from antiphon.audio import wav
from antiphon.audio.pcm import RATE, to_samples
from antiphon.wire.link import LinkError, open_link

LONG_S = 25.0
PITCH_HZ = 700.0

pytestmark = [
    pytest.mark.skipif(not VirtualSound.available(), reason="PulseAudio is not installed"),
    pytest.mark.timeout(120),
]


@pytest.fixture
def sound() -> Iterator[VirtualSound]:
    with VirtualSound() as one:
        yield one


class Home:
    """A satellite on a virtual sound card, and the controller that drives it."""

    def __init__(self, sound: VirtualSound, controller: Controller, pid: int) -> None:
        self.sound, self.controller, self._pid = sound, controller, pid

    def log(self) -> list[dict[str, Any]]:
        """Return what the satellite has logged."""
        text = (self.sound.folder / "satellite.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def hooked(self) -> list[dict[str, Any]]:
        """Return what the hook `sound` was given."""
        path = self.sound.folder / "hooks.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def until_open(self, count: int = 1) -> None:
        """Wait until sound has begun to move for the `count`-th time."""
        await self._until("sound devices open", count)

    async def until_waiting(self, why: str) -> None:
        """Wait until the satellite says that it waits for sound, and why."""
        await eventually(lambda: self._count("waiting for sound", why) > 0, LONG_S, lambda: str(self.log()[-5:]))

    async def plays(self, sink: str) -> bool:
        """Return whether an announcement is heard from a sink."""
        raw = self.sound.folder / "heard.raw"
        with self.sound.recording(raw, f"{sink}.monitor"):
            await self.controller.sound(0.5, PITCH_HZ)
            before = len(self.controller.of("played"))
            await self.controller.expect("played", before + 1, LONG_S)
            await asyncio.sleep(0.3)
        return pitch_level(to_samples(raw.read_bytes()), PITCH_HZ) > 0.05

    async def hears(self, sink: str) -> bool:
        """Return whether what is played into a sink's monitor comes to the controller as a turn's sound."""
        path = self.sound.folder / "tone.wav"
        wave = 0.5 * np.sin(2 * np.pi * PITCH_HZ * np.arange(RATE) / RATE)
        wav.write(path, wave.astype(np.float32))
        runs = len(self.controller.of("run-pipeline"))
        os.kill(self._pid, signal.SIGUSR1)
        await self.controller.expect("run-pipeline", runs + 1)
        await asyncio.to_thread(self.sound.say, path, sink)
        os.kill(self._pid, signal.SIGUSR1)
        await self.controller.expect("audio-stop", runs + 1)
        await self.controller.error("stt-no-text-recognized")
        return loudest(self.controller.heard[-1]) > 0.1

    async def _until(self, event: str, count: int) -> None:
        await eventually(lambda: self._count(event) >= count, LONG_S, lambda: str(self.log()[-5:]))

    def _count(self, event: str, why: str = "") -> int:
        return sum(line["event"] == event and why in line.get("why", "") for line in self.log())


@contextmanager
def program(sound: VirtualSound, settings: dict[str, Any], environment: dict[str, str]) -> Iterator[int]:
    """Run a satellite until the context ends; gives its process id."""
    config = sound.folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    with (sound.folder / "satellite.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "antiphon", "--config", str(config), "satellite"],
            env={**sound.environment, **environment},
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()


@asynccontextmanager
async def satellite(sound: VirtualSound, alsa: Path | None = None, **given: Any) -> AsyncIterator[Home]:
    """Run a satellite, driven by a controller, until the context ends.

    Args:
        alsa: ALSA's whole configuration, instead of the system's.
        given: settings of its sound.
    """
    port, kept = free_port(), sound.folder / "hooks.jsonl"
    own = {"port": port, "name": "here", "start": "button", "hooks": {"sound": f"(cat; echo) >> {kept}"}}
    settings = {
        "log": {"format": "json"},
        "network": {"host": "127.0.0.1", "zeroconf": False},
        "satellite": own | {"sound": {"cues": False, "volume": 100, **given}},
    }
    environment = {} if alsa is None else {"ALSA_CONFIG_PATH": str(alsa)}
    with program(sound, settings, environment) as pid:
        async with controller(port) as one:
            yield Home(sound, one, pid)


@asynccontextmanager
async def controller(port: int) -> AsyncIterator[Controller]:
    """Drive the satellite on a port, once it serves."""
    end = time.monotonic() + LONG_S
    while True:
        try:
            link = await open_link(f"tcp://127.0.0.1:{port}")
            break
        except LinkError:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
    one = Controller(link, None)
    driving = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)
        await link.close()


async def test_the_users_choice_of_another_device_is_followed(sound: VirtualSound) -> None:
    async with satellite(sound) as home:
        await home.until_open()
        assert await home.plays("speaker")
        assert await home.hears("room")
        sound.add_sink("headset")
        sound.choose("headset", "headset.monitor")
        assert await home.plays("headset")
        assert await home.hears("headset")


async def test_devices_are_unplugged_and_plugged_in_again(sound: VirtualSound) -> None:
    async with satellite(sound) as home:
        await home.until_open()
        for sink in ("speaker", "room"):
            sound.remove_sink(sink)
        await home.until_waiting("the sound server has no microphone that works: connect one")
        await asyncio.sleep(3)
        for sink in ("speaker", "room"):
            sound.add_sink(sink)
        sound.choose("speaker", "room.monitor")
        await home.until_open(2)
        assert await home.plays("speaker")
        assert await home.hears("room")
        whys = [line["why"] for line in home.log() if line["event"] == "waiting for sound"]
        assert len(whys) == len(set(whys)), "each reason is told once, however often it is tried"
        states = [(line["state"], "devices" in line, "why" in line) for line in home.hooked()]
        assert states[0] == states[-1] == ("open", True, False)
        assert set(states[1:-1]) == {("missing", False, True)}
        assert not [line for line in home.log() if line["event"] == "a library says"]


async def test_a_speaker_that_sleeps_is_named_and_heard_when_it_wakes(sound: VirtualSound) -> None:
    async with satellite(sound) as home:
        await home.until_open()
        sound.suspend("speaker", on=True)
        await home.until_waiting("the speaker pulse has fallen silent: switch it on")
        sound.suspend("speaker", on=False)
        await home.until_open(2)
        assert await home.plays("speaker")


async def test_a_frozen_sound_server_is_waited_for_and_keeps_nobody_from_leaving(sound: VirtualSound) -> None:
    async with satellite(sound) as home:
        await home.until_open()
        sound.freeze()
        await home.until_waiting("has fallen silent")
        sound.thaw()
        await home.until_open(2)
        assert await home.plays("speaker")
        assert await home.hears("room")
        sound.freeze()
        await asyncio.sleep(3)


async def test_a_device_that_is_named_is_waited_for_and_no_other_is_used(sound: VirtualSound) -> None:
    async with satellite(sound, input="jabra") as home:
        await home.until_waiting("there is no microphone 'jabra': satellite.sound.input can be one of pulse")
        doctor = await asyncio.to_thread(doctor_says, sound)
        assert doctor["satellite"]["ok"] is False
        assert "runs, and waits for sound: there is no microphone 'jabra'" in doctor["satellite"]["says"]
        assert "there is no microphone 'jabra'" in doctor["sound devices"]["says"]
        configuration = 'pcm.jabra { type pulse device "room.monitor" hint { show on } }\n'
        (sound.folder / ".asoundrc").write_text(configuration)
        await home.until_open()
        assert await home.hears("room")
        assert (await asyncio.to_thread(doctor_says, sound))["satellite"]["ok"] is True


async def test_another_default_of_alsa_is_opened_without_a_sound_server_that_follows(sound: VirtualSound) -> None:
    sound.add_sink("headset")
    alsa = sound.folder / "alsa.conf"

    def default(sink: str) -> None:
        sides = f'playback.pcm {{ type pulse device "{sink}" }} capture.pcm {{ type pulse device "room.monitor" }}'
        alsa.write_text(f"pcm.default {{ type asym {sides} }}\nctl.default {{ type pulse }}\n")

    default("speaker")
    async with satellite(sound, alsa) as home:
        await home.until_open()
        assert await home.plays("speaker")
        default("headset")
        await home.until_open(2)
        assert await home.plays("headset")
        assert [line["state"] for line in home.hooked()] == ["open", "open"]


def doctor_says(sound: VirtualSound) -> dict[str, dict[str, Any]]:
    """Return what the satellite's part of `antiphon doctor` finds, by name."""
    script = (
        "import asyncio, dataclasses, json, sys; from antiphon.configuration import load; "
        "from antiphon_satellite.checks import run; "
        "print(json.dumps([dataclasses.asdict(one) for one in asyncio.run(run(load(sys.argv[1])))]))"
    )
    command = [sys.executable, "-c", script, str(sound.folder / "config.yaml")]
    ran = subprocess.run(command, env=sound.environment, capture_output=True, text=True, timeout=60, check=True)
    return {one["name"]: one for one in json.loads(ran.stdout.splitlines()[-1])}
