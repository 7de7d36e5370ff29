"""Those who meet Antiphon in a benchmark: a room, a voice, a controller of satellites, clients of the services."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from _processes import Unmeasured, end
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.ping import Ping, Pong

from antiphon.audio import wav
from antiphon.audio.pcm import RATE, Samples, resample, to_bytes, to_samples
from antiphon.wire.link import Link, ask_info, open_link

PING_S = 2.0
"""Home Assistant and the daemon ping so often."""
ANSWER_S = 60.0


class Controller:
    """Drives a satellite as Home Assistant does, and counts the runs that it asks for."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._asked = asyncio.Event()
        self.runs = 0

    async def run(self) -> None:
        """Drive until cancelled.

        Raises:
            LinkError: the satellite does not answer any more.
        """
        await self._link.send(Event("run-satellite"))
        pinging = asyncio.create_task(self._ping())
        try:
            await self._listen()
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)

    async def asked_within(self, seconds: float) -> bool:
        """Wait for a run to be asked for; returns whether one was."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        return self._asked.is_set()

    async def _ping(self) -> None:
        while True:
            await self._link.send(Ping())
            await asyncio.sleep(PING_S)

    async def _listen(self) -> None:
        while True:
            event = await self._link.receive(3 * PING_S)
            if event.type == "run-pipeline":
                self.runs += 1
                self._asked.set()
            elif event.type == "ping":
                await self._link.send(Pong())


@asynccontextmanager
async def controller(uri: str) -> AsyncIterator[Controller]:
    """Drive a satellite while the context lasts.

    Raises:
        Unmeasured: the satellite left meanwhile.
    """
    async with await open_link(uri) as link:
        one = Controller(link)
        driving = asyncio.create_task(one.run())
        try:
            yield one
            if driving.done():
                raise Unmeasured(f"the satellite has left its controller: {driving.exception()}")
        finally:
            driving.cancel()
            await asyncio.gather(driving, return_exceptions=True)


@contextmanager
def noise(folder: Path, sink: dict[str, str], level_db: float, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Let the microphone of a virtual sound card hear an empty room while the context lasts.

    Args:
        folder: for the file that is played.
        sink: the environment of programs that use the virtual sound card.
        level_db: how loud, in dB of full scale.
        seconds: the noise ends by itself after these.
    """
    path = folder / "noise.wav"
    wav.write(path, np.random.default_rng(8).normal(0, 10 ** (level_db / 20), int(seconds * RATE)).astype(np.float32))
    player = subprocess.Popen(["paplay", "--device=room", str(path)], env=sink)
    try:
        yield player
    finally:
        end(player)


@cache
def _voice() -> Any:
    try:
        from piper import PiperVoice

        from antiphon_daemon.engines import catalogue
        from antiphon_daemon.engines.contracts import EngineError
    except ImportError as error:
        raise Unmeasured(f"{error.name} is not installed, which speaks the questions") from None
    try:
        return PiperVoice.load(catalogue.piper())
    except EngineError as error:
        raise Unmeasured(str(error)) from None


def speech(text: str) -> Samples:
    """Speak with the embedded voice: mono, 16 kHz.

    Raises:
        Unmeasured: it is not installed.
    """
    voice = _voice()
    pcm = b"".join(chunk.audio_int16_bytes for chunk in voice.synthesize(text))
    return resample(to_samples(pcm), voice.config.sample_rate, RATE)


async def transcribe(link: Link, sound: Samples) -> None:
    """Send a recording at once and wait for its transcript."""
    await link.send(Transcribe(language="en"))
    await link.send(AudioStart(rate=RATE, width=2, channels=1))
    for at in range(0, len(sound), RATE // 10):
        await link.send(AudioChunk(rate=RATE, width=2, channels=1, audio=to_bytes(sound[at : at + RATE // 10])))
    await request(link, AudioStop().event(), "transcript-stop")


async def request(link: Link, event: Event, last: str) -> None:
    """Send an event and wait for the last one of its answer.

    Raises:
        Unmeasured: the answer is an error.
    """
    await link.send(event)
    while (answer := await link.receive(ANSWER_S)).type != last:
        if answer.type in ("error", "not-handled"):
            raise Unmeasured(f"{link.uri} answers {event.type}: {(answer.data or {}).get('text')}")


def describe(uris: Sequence[str], count: int, pause_s: float = 0.0) -> list[float]:
    """Ask services in turn what they are, each time on a new connection.

    It has a loop of its own: call it in a thread where other work must not wait for it, nor it for that.

    Returns:
        The milliseconds that each took, with connecting.

    Raises:
        LinkError: one does not answer.
    """

    async def each() -> list[float]:
        took = []
        for number in range(count):
            began = time.perf_counter()
            await ask_info(uris[number % len(uris)])
            took.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(pause_s)
        return took

    return asyncio.run(each())
