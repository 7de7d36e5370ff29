"""A real Home Assistant: it discovers the services and the satellite, asks them, announces, mutes, sets a timer.

`./test.sh --home-assistant` runs this where `HA_RIG` (default `~/.cache/ha-rig`) holds a rig: a `rig.py` that starts a
Home Assistant in a network namespace of its own and drives it (`start`, `exec`, `discovered`, `pipeline`, …). As root.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from speech import Say, silence
from virtual_sound import VirtualSound

from antiphon.audio import wav

pytestmark = [pytest.mark.home_assistant, pytest.mark.timeout(300)]
RIG = Path(os.environ.get("HA_RIG") or Path.home() / ".cache" / "ha-rig") / "rig.py"


class Home:
    """A Home Assistant with our daemon and a satellite beside it."""

    def __init__(self, folder: Path, sound: VirtualSound) -> None:
        self.folder, self.sound = folder, sound
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def rig(self, *arguments: str, check: bool = True) -> str:
        """Let the rig do something; returns what it says."""
        done = subprocess.run([str(RIG), *arguments], capture_output=True, text=True, timeout=200, check=False)
        assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def start(self, name: str) -> None:
        """Start one of our programs in the namespace, beside Home Assistant."""
        command = [
            str(RIG),
            "exec",
            sys.executable,
            "-m",
            "antiphon",
            "--config",
            str(self.folder / "config.yaml"),
            name,
        ]
        given = {**self.sound.environment, "PYTHONUNBUFFERED": "1", "ANTIPHON_STATE": str(self.folder / name)}
        given["HOME"] = os.environ.get("HOME", "/root")  # the rig's tools live there; sound is found by PULSE_SERVER
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(command, env=given, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()

    def events(self, program: str) -> list[dict[str, Any]]:
        lines = (self.folder / f"{program}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def states(self) -> list[str]:
        """Return the states that the satellite has been in."""
        return [event["now"] for event in self.events("satellite") if event["event"] == "state"]

    def entities(self, kind: str) -> list[tuple[str, str]]:
        """Return Home Assistant's entities of one kind that are ours, and their states."""
        rows = [line.split() for line in self.rig("entities").splitlines() if line.startswith(f"{kind}.")]
        return [(row[0], row[1]) for row in rows]

    def until(self, true: Callable[[], bool], within_s: float = 30) -> None:
        end = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < end, self.states()[-10:]
            time.sleep(0.2)

    def press(self) -> None:
        """Press the satellite's button: the process in the namespace has the rig's own pid."""
        self.running["satellite"].send_signal(signal.SIGUSR1)

    def say(self, name: str, sound: Any) -> None:
        path = self.folder / f"{name}.wav"
        wav.write(path, np.concatenate((sound * np.float32(0.5 / np.max(np.abs(sound))), silence(0.2))))
        self.sound.say(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    if not RIG.is_file():
        pytest.skip(f"there is no rig with a Home Assistant at {RIG.parent}")
    folder = tmp_path_factory.mktemp("home")
    satellite = {"name": "kitchen", "start": "button", "follow_up": False}
    settings = {
        "log": {"level": "debug", "format": "json"},
        "llm": {"temperature": 0, "reply_tokens": 30},
        "satellites": {"discover": False},
        "satellite": satellite,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    with VirtualSound() as sound:
        one = Home(folder, sound)
        one.rig("reset")
        print(one.rig("start"))
        try:
            one.start("daemon")
            one.start("satellite")
            one.until(lambda: _accepted(one) >= 5, 90)
            yield one
        finally:
            for name in list(one.running):
                one.stop(name)
            one.rig("stop", check=False)


def _accepted(one: Home) -> int:
    """Accept what was discovered; return how many entries are loaded: four services and a satellite."""
    one.rig("discovered", "--accept", check=False)
    return len(_entries(one))


def _entries(one: Home) -> list[str]:
    return [line for line in one.rig("entities").splitlines() if line.startswith("# ") and " loaded" in line]


def _engines(one: Home) -> list[str]:
    found = {kind: next(name for name, _ in one.entities(kind) if "antiphon" in name) for kind in ("stt", "tts")}
    agent = next(name for name, _ in one.entities("conversation") if "antiphon" in name)
    return ["--stt", found["stt"], "--tts", found["tts"], "--agent", agent]


def test_everything_is_discovered_and_becomes_entities(home: Home) -> None:
    for kind in ("stt", "tts", "conversation", "wake_word", "assist_satellite", "switch", "select"):
        assert home.entities(kind), kind


def test_a_spoken_question_is_answered_with_sound(home: Home, say: Say) -> None:
    for number, text in enumerate(("What is the capital of France?", "Who wrote Hamlet?", "Why is the sky blue?")):
        path = home.folder / f"q{number}.wav"
        wav.write(path, np.concatenate((silence(0.5), say(text), silence(0.5))))
        told = home.rig("pipeline", str(path), *_engines(home), "--silence")
        assert "TTS-FIRST-BYTE" in told
        done = json.loads(next(line for line in told.splitlines() if " TTS-DONE " in line).split("TTS-DONE ")[1])
        assert done["seconds"] > 0.5
        assert done["rms"] > 100


def test_what_concerns_the_house_is_done_by_home_assistant(home: Home) -> None:
    lights = home.entities("light")
    told = home.rig("pipeline", "--text", "Turn on all the lights.", *_engines(home), check=False)
    assert "intent-end" in told
    if lights:
        home.until(lambda: any(state == "on" for _, state in home.entities("light")), 10)


def test_the_satellite_asks_and_plays_the_answer(home: Home, say: Say) -> None:
    home.rig("pipeline", *_engines(home))
    before = len(home.states())
    home.press()
    home.until(lambda: "streaming" in home.states()[before:])
    home.say("question", say("What is the capital of France?"))
    home.until(lambda: "speaking" in home.states()[before:])
    home.until(lambda: home.states()[-1] == "idle")


def test_the_satellite_is_interrupted_by_voice_and_answers(home: Home, say: Say) -> None:
    home.rig("pipeline", *_engines(home))
    before = len(home.states())
    home.press()
    home.until(lambda: "streaming" in home.states()[before:])
    home.say("story", say("Tell me a long story about a dragon and a princess."))
    home.until(lambda: home.states()[-1] == "speaking")
    time.sleep(1)
    spoken = len(home.states())
    home.say("interruption", say("What is the capital of Spain?"))
    home.until(lambda: "streaming" in home.states()[spoken:], 15)
    home.until(lambda: "speaking" in home.states()[spoken:])
    home.until(lambda: home.states()[-1] == "idle", 60)


def test_the_satellite_announces_is_muted_unmuted_and_restarted(home: Home, say: Say) -> None:
    home.rig("pipeline", *_engines(home))
    entity = home.entities("assist_satellite")[0][0]
    told = home.rig("satellite-announce", entity, "Dinner is ready.")
    assert float(told.split("after")[1].split()[0]) < 8
    assert "announcing" in home.states()
    mute = next(name for name, _ in home.entities("switch") if "mute" in name)
    home.rig("call", "switch.turn_on", json.dumps({"entity_id": mute}))
    home.until(lambda: home.states()[-1] == "muted")
    home.rig("call", "switch.turn_off", json.dumps({"entity_id": mute}))
    home.until(lambda: home.states()[-1] == "idle")
    home.stop("satellite")
    before = len(home.states())
    home.start("satellite")
    home.until(lambda: home.states()[before:][-1:] == ["idle"], 40)
    before = len(home.states())
    home.press()
    home.until(lambda: "streaming" in home.states()[before:])
    home.say("again", say("Who wrote Hamlet?"))
    home.until(lambda: "speaking" in home.states()[before:])
    home.until(lambda: home.states()[-1] == "idle")


def test_a_timer_set_by_voice_rings_on_the_satellite(home: Home, say: Say) -> None:
    agent = ["--agent", "conversation.home_assistant"]
    home.rig("pipeline", *_engines(home)[:4], *agent)
    before = len(home.states())
    home.press()
    home.until(lambda: "streaming" in home.states()[before:])
    home.say("timer", say("Set a timer for five seconds."))
    home.until(lambda: "ringing" in home.states()[before:], 30)
    home.press()
    home.until(lambda: home.states()[-1] == "idle")
