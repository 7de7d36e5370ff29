"""The real satellite and the real daemon on a virtual sound card whose microphone hears its speaker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ports import free_port
from speech import Say, espeak, silence
from virtual_sound import VirtualSound

from antiphon.audio import wav
from antiphon.audio.pcm import Samples

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not VirtualSound.available(), reason="PulseAudio is not installed"),
]

REPLIES = 10
STORY = "Tell me a long story about a dragon."
QUESTIONS = ("Are you there?", "Is water wet?", "Say hello.", "What is two and two?", "Is it late?")


class House:
    """Both programs on one virtual sound card, and what they log."""

    def __init__(self, sound: VirtualSound, folder: Path, satellite: subprocess.Popen[bytes]) -> None:
        self._sound, self._folder, self._satellite = sound, folder, satellite
        self._files: dict[str, Path] = {}

    def events(self, program: str = "satellite") -> list[dict[str, Any]]:
        """Return all that one program has logged."""
        lines = (self._folder / f"{program}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def states(self) -> list[tuple[str, str]]:
        """Return the satellite's changes of state: to which, and by what."""
        return [(event["now"], event["by"]) for event in self.events() if event["event"] == "state"]

    def press(self) -> None:
        """Press the satellite's button."""
        self._satellite.send_signal(signal.SIGUSR1)

    def say(self, name: str, sound: Samples) -> None:
        """Let a person say something; returns when they have said it."""
        path = self._folder / f"{name}.wav"
        if name not in self._files:
            # A sound server fades in: what begins with its first sample begins without its first consonant.
            loud = sound * np.float32(0.5 / np.max(np.abs(sound)))
            wav.write(path, np.concatenate((silence(0.1), loud, silence(0.1))))
            self._files[name] = path
        self._sound.say(path)

    def until(self, true: Callable[[], bool], within_s: float) -> None:
        """Wait until something is true."""
        end = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < end, self.states()[-12:]
            time.sleep(0.05)

    def until_state(self, *wanted: str, after: int, within_s: float = 30.0) -> None:
        """Wait until the satellite has come into one of these states since its change number `after`."""
        self.until(lambda: any(state in wanted for state, _ in self.states()[after:]), within_s)


@contextmanager
def house(folder: Path) -> Iterator[House]:
    with VirtualSound() as sound:
        ports = {name: free_port() for name in ("asr", "tts", "handle", "vad", "wake", "satellite")}
        config = folder / "config.yaml"
        settings = {
            "log": {"format": "json", "transcripts": True},
            "network": {"host": "127.0.0.1", "zeroconf": False},
            "endpoints": {name: {"port": ports[name]} for name in ("asr", "tts", "handle", "vad", "wake")},
            "llm": {"reply_tokens": 24},
            "satellites": {"known": [f"tcp://127.0.0.1:{ports['satellite']}"], "discover": False},
            "satellite": {
                "port": ports["satellite"],
                "name": "here",
                "start": "button",
                "follow_up": False,
            },
        }
        config.write_text(yaml.safe_dump(settings))
        running = []
        sound.echo()
        try:
            for program in ("daemon", "satellite"):
                with (folder / f"{program}.log").open("wb") as log:
                    command = [sys.executable, "-m", "antiphon", "--config", str(config), program]
                    given = {**sound.environment, "PYTHONUNBUFFERED": "1", "ANTIPHON_STATE": str(folder)}
                    running.append(
                        subprocess.Popen(command, env=given, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
                    )
            one = House(sound, folder, running[-1])
            one.until(lambda: ("idle", "joined") in one.states(), 60)
            one.until(lambda: any(event["event"] == "sound devices open" for event in one.events()), 30)
            time.sleep(3.0)  # a sound server takes this long until a new stream moves
            yield one
        finally:
            for process in running:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as running:
        yield running


def test_ten_replies_play_to_their_end(one: House, say: Say) -> None:
    for number in range(REPLIES):
        before = len(one.states())
        one.press()
        one.until_state("streaming", after=before, within_s=5)
        question = QUESTIONS[number % len(QUESTIONS)]
        one.say(f"question{number % len(QUESTIONS)}", say(question))
        one.until_state("speaking", after=before)
        one.until_state("idle", after=before + 1)
        seen = one.states()[before:]
        assert seen[-1] == ("idle", "drained"), seen
        assert [state for state, _ in seen].count("streaming") == 1, "it did not interrupt itself"


def test_a_spoken_interruption_stops_a_reply_and_is_answered(one: House, say: Say) -> None:
    before = len(one.states())
    one.press()
    one.until_state("streaming", after=before, within_s=5)
    one.say("story", say(STORY))
    one.until_state("speaking", after=before)
    time.sleep(0.7)
    speaking = len(one.states())
    one.say("interruption", espeak("What is the capital of France?"))
    one.until(lambda: ("streaming", "speechlasted") in one.states()[speaking:] or _held(one, speaking), 5)
    one.until_state("speaking", after=speaking)
    one.until_state("idle", after=speaking + 1)
    assert one.states()[-1] == ("idle", "drained")
    assert not [event for event in one.events() if event["event"] == "a turn failed"]


def test_a_timer_that_was_set_by_voice_rings_and_stop_ends_it(one: House, say: Say) -> None:
    before = len(one.states())
    one.press()
    one.until_state("streaming", after=before, within_s=5)
    one.say("timer", say("Set a timer for five seconds."))
    one.until_state("idle", after=before + 1)
    one.until_state("ringing", after=before, within_s=15)
    time.sleep(1.5)
    ringing = len(one.states())
    one.say("stop", say("Stop."))
    one.until_state("idle", after=ringing, within_s=15)
    time.sleep(3.0)
    assert one.states()[-1][0] == "idle", one.states()[ringing:]


def _held(one: House, after: int) -> bool:
    """Return whether the interruption came while the reply was still being made."""
    return ("holding", "speechlasted") in one.states()[after:]
