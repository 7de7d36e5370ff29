"""The house: the real daemon and the real satellite, two processes, on a virtual sound card.

A person is a WAV file played into the virtual microphone at its own pace; what the speaker plays is recorded and
transcribed back.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from jiwer import cer
from ports import free_ports
from speech import Say, silence
from virtual_sound import VirtualSound
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop

from antiphon.audio import wav
from antiphon.audio.pcm import RATE, Samples, resample, to_bytes, to_samples
from antiphon.wire.frames import parse
from antiphon.wire.link import LinkError, ask_info, open_link

RECORD_RATE = 24_000
READY_S = 60.0
REPLY_S = 25.0

pytestmark = [
    pytest.mark.skipif(not VirtualSound.available(), reason="PulseAudio is not installed"),
    pytest.mark.timeout(300),
]


class House:
    """A daemon on the virtual sound card's machine, and satellites that come and go."""

    def __init__(self, sound: VirtualSound, folder: Path) -> None:
        self.sound, self.folder = sound, folder
        asr, tts, handle, vad, wake, self.satellite_port = free_ports(6)
        self.asr = f"tcp://127.0.0.1:{asr}"
        ports = {"asr": asr, "tts": tts, "handle": handle, "vad": vad, "wake": wake}
        self.settings = {
            "log": {"level": "debug", "format": "json", "transcripts": True},
            "network": {"host": "127.0.0.1", "zeroconf": False},
            "endpoints": {name: {"port": port} for name, port in ports.items()},
            "gateway": {"enabled": False},
            "llm": {"temperature": 0},
            "satellites": {"discover": False, "known": [f"tcp://127.0.0.1:{self.satellite_port}"]},
        }

    @contextmanager
    def program(self, name: str, **satellite: object) -> Iterator[subprocess.Popen[bytes]]:
        """Run `antiphon NAME` as a service would; its log is kept in the folder."""
        config = self.folder / f"{name}.yaml"
        given = {"port": self.satellite_port, "name": "test", "follow_up": False, **satellite}
        config.write_text(yaml.safe_dump({**self.settings, "satellite": given}))
        environment = {**self.sound.environment, "ANTIPHON_STATE": str(self.folder)}
        command = [sys.executable, "-m", "antiphon", "--config", str(config), name]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log)
        try:
            yield process
            assert process.poll() is None, f"{name} has ended by itself: {self.log(name)[-2000:]}"
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, self.log(name)[-2000:]
        finally:
            process.kill()

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def until_logged(self, name: str, words: str, after: int = 0) -> None:
        """Wait until a program has logged something."""
        end = time.monotonic() + READY_S
        while words not in self.log(name)[after:]:
            assert time.monotonic() < end, f"{name} has not logged {words!r}: {self.log(name)[-3000:]}"
            time.sleep(0.05)

    def until_serving(self) -> None:
        end = time.monotonic() + READY_S
        while True:
            try:
                asyncio.run(ask_info(self.asr, within_s=2))
                return
            except LinkError:
                assert time.monotonic() < end, self.log("daemon")[-3000:]
                time.sleep(0.1)

    def talk(self, spoken: Samples, trigger: signal.Signals | None = None, to: int = 0) -> None:
        """Say something (after pressing the button); what the speaker plays must be the reply, to its last word."""
        question, raw = self.folder / "question.wav", self.folder / "reply.raw"
        wav.write(question, np.concatenate((silence(0.3), spoken, silence(0.5))))
        before = len(self.log("daemon"))
        recording = self.sound.record(raw, RECORD_RATE)
        try:
            if trigger is not None:
                os.kill(to, trigger)
            self.sound.say(question)
            self.until_logged("daemon", '"phase": "speaking"', before)
            self.until_logged("daemon", '"event": "said"', before)
            time.sleep(0.3)
        finally:
            recording.terminate()
            recording.wait(10)
        heard = resample(to_samples(raw.read_bytes()), RECORD_RATE, RATE)
        lines = [json.loads(line) for line in self.log("daemon")[before:].splitlines()]
        said = next(line["text"] for line in lines if line["event"] == "said")
        understood = [line["text"] for line in lines if line["event"] == "heard"][-1]
        assert "capital" in understood
        assert "Madrid" in said
        spoken_back = asyncio.run(self.transcribe(np.concatenate((heard, silence(0.3)))))
        # Letters, not words: the smallest Whisper writes what sounds alike.
        assert cer(said.lower(), spoken_back.lower()) <= 0.35, (said, spoken_back)

    async def transcribe(self, sound: Samples) -> str:
        """Return all that is said: so much silence at once is no microphone, and no pause after it ends the turn."""
        sound = np.concatenate((silence(3.5), sound))
        async with await open_link(self.asr) as link:
            await link.send(Transcribe(language="en"))
            await link.send(AudioStart(rate=RATE, width=2, channels=1))
            for at in range(0, len(sound), RATE // 10):
                block = to_bytes(sound[at : at + RATE // 10])
                await link.send(AudioChunk(rate=RATE, width=2, channels=1, audio=block))
            await link.send(AudioStop())
            while True:
                event = await link.receive(30)
                assert event.type != "error", event.data
                if Transcript.is_type(event.type):
                    return parse(Transcript, event).text


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with VirtualSound() as sound:
        one = House(sound, tmp_path_factory.mktemp("house"))
        with one.program("daemon"):
            one.until_serving()
            yield one


@contextmanager
def satellite(house: House, **given: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a satellite until the test is over; it is ready when the daemon drives it."""
    before = len(house.log("daemon"))
    opened = len(house.log("satellite"))
    with house.program("satellite", **given) as process:
        house.until_logged("daemon", "satellite is ours", before)
        house.until_logged("satellite", "sound devices open", opened)
        yield process


def question(say: Say) -> Samples:
    return say("What is the capital of Spain?")


def test_a_wake_word_then_a_question_is_answered(house: House, say: Say) -> None:
    with satellite(house, start="wake"):
        house.talk(np.concatenate((say("Okay Nabu."), silence(0.2), question(say))))


def test_voice_alone_starts_a_turn(house: House, say: Say) -> None:
    with satellite(house, start="voice"):
        house.talk(question(say))


def test_a_button_starts_a_turn(house: House, say: Say) -> None:
    with satellite(house, start="button") as process:
        house.talk(question(say), signal.SIGUSR1, process.pid)
