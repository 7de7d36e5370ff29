"""The house goes on talking after its sound server was killed, at whatever moment of a conversation that happens."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from speech import Say, silence
from test_conversation import House, satellite
from virtual_sound import VirtualSound

from antiphon.audio import wav

KILLS = 10
SEED = 3
MOMENTS = ("idle", "streaming", "thinking", "speaking")
"""States of the satellite."""
LONGEST_DOWN_S = 1.0
QUIET_S = 30.0
STILL_S = 0.4

pytestmark = [
    pytest.mark.skipif(not VirtualSound.available(), reason="PulseAudio is not installed"),
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with VirtualSound() as sound:
        one = House(sound, tmp_path_factory.mktemp("killed"))
        with one.program("daemon"):
            one.until_serving()
            yield one


class Conversation:
    """Talks to a satellite, and kills its sound server at given moments."""

    def __init__(self, house: House, button: Callable[[], None], question: Path, rng: random.Random) -> None:
        self._house, self._press, self._question, self._rng = house, button, question, rng

    def kill(self, moment: str) -> float:
        """Kill the server at a moment, start it again; return the seconds until the satellite has its sound again."""
        before = len(self._house.log("satellite"))
        asking = None if moment == "idle" else self._ask()
        if moment in ("thinking", "speaking"):
            self._house.until_logged("satellite", f'"now": "{moment}"', before)
        time.sleep(self._rng.uniform(0.0, 0.1 if moment == "thinking" else 1.2))
        before = len(self._house.log("satellite"))
        self._house.sound.kill()
        if asking is not None:
            asking.wait(10)
        time.sleep(self._rng.uniform(0.0, LONGEST_DOWN_S))
        self._house.sound.start()
        back = time.monotonic()
        self._house.until_logged("satellite", "waiting for sound", before)
        self._house.until_logged("satellite", "sound devices open", before)
        return time.monotonic() - back

    def _ask(self) -> subprocess.Popen[bytes]:
        self._press()
        return self._house.sound.begin_to_say(self._question)

    def until_quiet(self) -> None:
        """Wait until what the killed turn has left behind is over: its reply may come when the sound is back."""
        end = time.monotonic() + QUIET_S
        since = time.monotonic()
        while time.monotonic() - since < STILL_S:
            assert time.monotonic() < end, self._house.log("satellite")[-3000:]
            time.sleep(0.05)
            if (self._last("satellite", "now"), self._last("daemon", "phase")) != ("idle", "idle"):
                since = time.monotonic()

    def _last(self, program: str, key: str) -> str:
        """Return the last value of a key in the log of a program."""
        found = re.findall(f'"{key}": "([a-z]+)"', self._house.log(program))
        return found[-1] if found else ""


def test_ten_times_the_sound_server_is_killed_during_conversation_and_it_talks_again(house: House, say: Say) -> None:
    rng = random.Random(SEED)
    moments = 2 * ["idle", "streaming", "thinking", "speaking"] + rng.choices(
        ["streaming", "thinking", "speaking"], k=2
    )
    rng.shuffle(moments)
    spoken = say("What is the capital of Spain?")
    asked = house.folder / "asked.wav"
    wav.write(asked, np.concatenate((silence(0.2), spoken, silence(0.8))))
    took: list[float] = []
    with satellite(house, start="button") as process:
        talk = Conversation(house, lambda: process.send_signal(signal.SIGUSR1), asked, rng)
        for moment in moments:
            took.append(talk.kill(moment))
            print(f"killed while {moment}: sound again after {took[-1]:.1f} s")
            talk.until_quiet()
            house.talk(spoken, signal.SIGUSR1, process.pid)
