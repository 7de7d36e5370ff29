"""Other makers' programs, from PyPI, and Antiphon: each as the other's services, satellite and judge."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from jiwer import cer, wer
from ports import free_port
from speech import Say, silence
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop

from antiphon.audio import wav
from antiphon.audio.pcm import RATE, Samples, resample, to_bytes, to_samples
from antiphon.configuration import ROOT
from antiphon.settings import Satellites as Known
from antiphon.settings import Stt, Tts
from antiphon.wire.link import LinkError, open_link
from antiphon_daemon import satellites
from antiphon_daemon.engines.build import build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import Synthesizer, Transcriber
from antiphon_daemon.engines.work import Token
from antiphon_daemon.satellites import Satellites

from .conftest import Running, quiet_settings
from .test_services import events_until, plain, send_all, send_sound, transcribe

sys.path.insert(0, str(ROOT / "bench"))

from _processes import Unmeasured, program
from _strangers import BENCH, SATELLITE, SERVICES, bring, services

FAR = "The quick brown fox jumps over the lazy dog."

MICROPHONE = """
import os, sys, time
folder, chunk, began, sent = sys.argv[1], 1024, time.monotonic(), 0
said = b""
while True:
    if not said and os.path.exists(f"{folder}/say.raw"):
        said = open(f"{folder}/say.raw", "rb").read()
        os.remove(f"{folder}/say.raw")
    block, said = said[: chunk * 2], said[chunk * 2 :]
    sys.stdout.buffer.write(block.ljust(chunk * 2, bytes(1)))
    sys.stdout.buffer.flush()
    sent += chunk
    time.sleep(max(0, began + sent / 16000 - time.monotonic()))
"""
"""A microphone that gives silence and, when there is a `say.raw` in its folder, that; all of it in real time."""

SPEAKER = """
import os, sys, time
sound = sys.stdin.buffer.read()
path = f"{sys.argv[1]}/{time.monotonic_ns()}"
open(path + ".part", "wb").write(sound)
os.rename(path + ".part", path + ".played")
"""
"""A speaker that leaves each stream as a file."""


@pytest.fixture(scope="module")
def programs() -> Iterator[dict[str, Path]]:
    """The folders of the programs, brought from PyPI once."""
    try:
        yield {
            "services": bring("others", *SERVICES),
            "satellite": bring("wyoming-satellite", *SATELLITE),
            "bench": bring("wyoming-bench", *BENCH),
        }
    except Unmeasured as error:
        pytest.skip(str(error))


# Services as engines.


async def spoken(engine: Synthesizer, text: str, voice: str | None = None) -> Samples:
    pcm = b"".join([block async for block in engine.speak(text, Token(), voice=voice, language="en")])
    return resample(to_samples(pcm), engine.rate, RATE)


async def heard(engine: Transcriber, sound: Samples) -> str:
    return (await engine.transcribe(sound, Token(), language="en")).text


@asynccontextmanager
async def engines(stt: str, tts: str) -> AsyncIterator[tuple[Transcriber, Synthesizer]]:
    settings = quiet_settings(stt=Stt(engine="wyoming", url=stt), tts=Tts(engine="wyoming", url=tts))
    ears, mouth = await build_transcriber(settings), await build_synthesizer(settings)
    yield ears, mouth
    await ears.close()
    await mouth.close()


async def test_one_antiphon_hears_and_speaks_for_another(daemon: Running) -> None:
    async with engines(daemon.uri("asr"), daemon.uri("tts")) as (ears, mouth):
        assert list(ears.languages) == ["en"]
        assert [voice.name for voice in mouth.voices] == ["en_US-joe-medium"]
        assert wer(plain(FAR), plain(await heard(ears, await spoken(mouth, FAR)))) < 0.3


async def test_an_utterance_whose_ends_are_known_is_not_cut_at_its_pauses(daemon: Running, say: Say) -> None:
    """The race: over a slow network the pause is all that has come, and the service takes it for the end."""
    whole = Transcribe(language="en").event()
    whole.data["whole"] = True
    async with await open_link(daemon.uri("asr")) as link:
        await send_all(link, whole, AudioStart(rate=RATE, width=2, channels=1))
        await send_sound(link, np.concatenate((say("Turn on the light in the kitchen."), silence(2.5))))
        with pytest.raises(LinkError, match="said nothing"):
            await link.receive(2)
        await send_sound(link, say("And close the door."))
        await link.send(AudioStop())
        events = await events_until(link, "transcript-stop", "error")
        assert [event.type for event in events[-2:]] == ["transcript", "transcript-stop"]
        assert "kitchen" in events[-2].data["text"]
        assert "door" in events[-2].data["text"]
        await send_all(link, whole, AudioStart(rate=RATE, width=2, channels=1))
        for _ in range(121):
            await link.send(AudioChunk(rate=RATE, width=2, channels=1, audio=bytes(2 * RATE)))
        await link.send(AudioStop())
        assert "too long" in (await link.receive(10)).data["text"]


async def test_faster_whisper_and_piper_hear_and_speak_for_the_daemon(
    programs: dict[str, Path], tmp_path: Path, say: Say
) -> None:
    async with services(programs["services"], tmp_path) as (stt, tts), engines(stt, tts) as (ears, mouth):
        assert ears.name.startswith("wyoming faster-whisper")
        assert "en" in ears.languages
        assert "en_US-joe-medium" in [voice.name for voice in mouth.voices]
        sound = await spoken(mouth, f"{FAR} It barks.", "en_US-joe-medium")
        assert wer(plain(f"{FAR} It barks."), plain(await heard(ears, sound))) < 0.3
        assert wer(plain(FAR), plain(await heard(ears, np.concatenate((say(FAR), silence(0.3)))))) < 0.3


# wyoming-satellite, driven by the daemon.


class Device:
    """A wyoming-satellite with a microphone and a speaker of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[Path] = set()

    def say(self, *sounds: Samples) -> None:
        part = self._folder / "say.part"
        part.write_bytes(to_bytes(np.concatenate(sounds)))
        part.rename(self._folder / "say.raw")

    async def played(self) -> Samples:
        """Return the next stream that was played, at 16 kHz."""
        async with asyncio.timeout(40):
            while not (new := set(self._folder.glob("*.played")) - self._seen):
                await asyncio.sleep(0.05)
        path = min(new)
        self._seen.add(path)
        return resample(to_samples(path.read_bytes()), 22_050, RATE)


def told(log: str, kind: str) -> list[str]:
    """Return the texts of the events of a kind that wyoming-satellite has got, by its log."""
    return [ast.literal_eval(data)["text"] for data in re.findall(rf"type='{kind}', data=(\{{.*\}}), payload", log)]


@asynccontextmanager
async def device(programs: Path, folder: Path, *options: str) -> AsyncIterator[tuple[Device, str]]:
    """Run a wyoming-satellite, and give it and its address."""
    for name, text in (("microphone.py", MICROPHONE), ("speaker.py", SPEAKER)):
        (folder / name).write_text(text, encoding="utf-8")
    uri, python = f"tcp://127.0.0.1:{free_port()}", programs / "python"
    command = [
        str(python), "-m", "wyoming_satellite", "--uri", uri, "--name", "stranger", "--no-zeroconf", "--debug",
        "--mic-command", f"{python} {folder}/microphone.py {folder}",
        "--snd-command", f"{python} {folder}/speaker.py {folder}", *options,
    ]  # fmt: skip
    with program("wyoming-satellite", command, folder, os.environ) as running:
        await running.described([uri])
        yield Device(folder), uri


@pytest.mark.parametrize("woken_by", ["itself", "the daemon"])
async def test_a_wyoming_satellite_holds_a_conversation(
    programs: dict[str, Path],
    daemon: Running,
    say: Say,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    woken_by: str,
) -> None:
    """1.0, the only one on PyPI: it answers no pings, says nothing until its word comes, and asks for a run once."""
    monkeypatch.setattr(satellites, "SILENT_S", 1.0)
    options = ["--wake-uri", daemon.uri("wake"), "--wake-word-name", "okay_nabu"] if woken_by == "itself" else []
    async with device(programs["satellite"], tmp_path, *options) as (one, uri):
        settings = quiet_settings(satellites=Known(discover=False, known=[uri]))

        async def drive() -> Satellites:
            driving = Satellites(daemon.engines, settings, "0123456789ab")
            driving.start(None)
            return driving

        driving = await asyncio.to_thread(daemon.on_its_loop, drive)
        try:
            await asyncio.sleep(4)
            for number, question in enumerate(("What is the capital of Italy?", "What is the capital of Spain?")):
                one.say(say("Okay Nabu."), silence(0.6), say(question))
                reply = await transcribe(daemon, np.concatenate((await one.played(), silence(0.3))))
                # What it was told of the turn: the smallest models may hear another country, and know another capital.
                log = (tmp_path / "wyoming-satellite.log").read_text(encoding="utf-8")
                assert wer(plain(question), plain(told(log, "transcript")[number])) < 0.4
                # Letters, not words: of a name in a short reply the smallest ears make other words, by the same sounds.
                # The answer to the other question has a third of the words wrong, and 0.36 of the letters.
                assert cer(plain(told(log, "synthesize")[number]), plain(reply)) < 0.35
        finally:
            await asyncio.to_thread(daemon.on_its_loop, driving.stop)
    assert "Traceback" not in log
    assert log.count("Server set") == 1, "it was never dropped"


# wyoming-bench, which measures services.


async def measured(programs: dict[str, Path], *arguments: str) -> str:
    """Run wyoming-bench; return what it printed."""
    command = [str(programs["bench"] / "wyoming-bench"), *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


async def test_wyoming_bench_runs_clean(programs: dict[str, Path], daemon: Running, say: Say, tmp_path: Path) -> None:
    def at(name: str) -> str:
        return daemon.uri(name).removeprefix("tcp://")

    said = await measured(programs, "info", *(at(name) for name in ("asr", "tts", "handle", "wake", "vad")))
    assert "faster-whisper tiny.en" in said
    assert "en_US-joe-medium" in said
    quick = ("--rounds", "1", "--warmup", "0", "--timeout", "20", "--programs", "all")
    said = await measured(programs, "tts", at("tts"), *quick, "--texts", FAR, f"{FAR} It barks. Does it?")
    assert {"[non_streaming] ok=2 fail=0", "[streaming] ok=2 fail=0"} <= set(said.splitlines()), said
    (tmp_path / "fox.txt").write_text(FAR, encoding="utf-8")
    wav.write(tmp_path / "fox.wav", say(FAR), RATE)
    said = await measured(programs, "stt", at("asr"), *quick, "--corpus", str(tmp_path))
    assert {"[non_streaming] ok=1 fail=0", "[streaming] ok=1 fail=0"} <= set(said.splitlines()), said
