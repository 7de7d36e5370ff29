"""What the satellite's wire tests stand on: a sound card in memory that keeps real time, and an honest controller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.ping import Ping

from antiphon.audio.pcm import RATE, Samples, to_bytes, to_samples
from antiphon.settings import Settings
from antiphon.wire.link import Link, LinkError, open_link
from antiphon_satellite.satellite import Satellite
from antiphon_satellite.states import Limits, State

BLOCK_S = 0.02
QUIET = Limits(follow_up_s=1.5)


class MemoryCard:
    """A microphone that hears what `say` is given, and a speaker that keeps what was played; both in real time."""

    def __init__(self, satellite: Satellite) -> None:
        self._satellite = satellite
        self._said = np.empty(0, dtype=np.float32)
        self._played: list[np.ndarray[Any, Any]] = []
        satellite.speaker.latency_s = 0.05

    def say(self, samples: Samples) -> None:
        """Let the microphone hear this, from now on."""
        self._said = np.concatenate((self._said, samples))

    @property
    def played(self) -> Samples:
        """All that the speaker has played, at its rate."""
        whole: Samples = (np.concatenate([*self._played, np.zeros(1, np.int16)]) / 32768).astype(np.float32)
        return whole

    async def run(self) -> None:
        """Move sound until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        size, out = int(RATE * BLOCK_S), int(self._satellite.speaker.rate * BLOCK_S)
        while True:
            block, self._said = self._said[:size], self._said[size:]
            heard = np.zeros(size, dtype=np.float32)
            heard[: len(block)] = block
            self._satellite.microphone.push(to_bytes(heard))
            self._played.append(self._satellite.speaker.fill(out))
            due += BLOCK_S
            await asyncio.sleep(max(0.0, due - loop.time()))


class Rig:
    """A satellite that serves a real port, with sound in memory."""

    def __init__(self, satellite: Satellite, card: MemoryCard) -> None:
        self.satellite, self.card = satellite, card
        self.ports = [server.port for server in satellite.service.servers]
        self.port = self.ports[0]

    async def until(self, *wanted: State, within_s: float = 3.0) -> None:
        """Wait until the satellite is in one of these states."""
        await eventually(lambda: self.satellite.state in wanted, within_s, lambda: f"is {self.satellite.state}")

    @contextlib.asynccontextmanager
    async def controller(
        self, controller_id: str | None = None, *, endpoint: int = 0, **how: Any
    ) -> AsyncIterator[Controller]:
        """A controller, connected and running."""
        link = await open_link(f"tcp://127.0.0.1:{self.ports[endpoint]}")
        controller = Controller(link, controller_id, **how)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(controller.run())
            try:
                yield controller
            finally:
                task.cancel()
                await link.close()


async def eventually(
    true: Callable[[], bool], within_s: float = 3.0, otherwise: Callable[[], str] = lambda: ""
) -> None:
    """Wait until something is true.

    Raises:
        AssertionError: it is not, in time.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while not true():
        assert loop.time() < end, otherwise()
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def rig(limits: Limits = QUIET, **satellite: Any) -> AsyncIterator[Rig]:
    """Run a satellite; the arguments are settings of its section."""
    given = {"barge_in": "voice", "port": 0, "name": "kitchen", "start": "button", **satellite}
    settings = Settings(network={"host": "127.0.0.1", "zeroconf": False}, satellite=given)  # type: ignore[arg-type]
    one = Satellite(settings, limits)
    card = MemoryCard(one)
    await one.service.start()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()), group.create_task(card.run())]
        try:
            yield Rig(one, card)
        finally:
            await one.service.stop()
            for task in tasks:
                task.cancel()


class Controller:
    """Acts as Home Assistant does: one run at a time, and a run that is asked for while one is alive hears nothing.

    Args:
        answer: what the reply is; None: the test answers by itself.
        transcribe_after_s: seconds of the run's sound after which the transcript is told.
    """

    def __init__(
        self,
        link: Link,
        controller_id: str | None,
        *,
        answer: str | None = None,
        reply_s: float = 0.3,
        transcribe_after_s: float = 0.3,
        think_s: float = 0.0,
        reply_late_s: float = 0.0,
    ) -> None:
        self.link = link
        self._id = controller_id
        self._answer, self._reply_s = answer, reply_s
        self._transcribe_after_s, self._think_s, self._reply_late_s = transcribe_after_s, think_s, reply_late_s
        self.events: list[Event] = []
        self.heard: list[bytes] = []
        """The sound of each run."""
        self.lost_chunks = 0
        """Chunks that no live run took: what Home Assistant throws away."""
        self.run_alive = False
        self.races = 0
        """Runs that were asked for while one was alive."""
        self._runs = 0
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def kinds(self) -> list[str]:
        """The types of what came, without sound and pings."""
        return [event.type for event in self.events if event.type not in ("audio-chunk", "pong", "ping", "info")]

    def of(self, kind: str) -> list[Event]:
        """What came of one type."""
        return [event for event in self.events if event.type == kind]

    async def run(self) -> None:
        """Take events until the connection ends."""
        data = {} if self._id is None else {"controller": self._id}
        await self.link.send(Event("run-satellite", data))
        await self.link.send(Event("describe"))
        with contextlib.suppress(LinkError):
            async with asyncio.TaskGroup() as self._tasks:
                pinging = self._tasks.create_task(self._ping())
                try:
                    while True:
                        await self._take(await self.link.receive())
                except LinkError:
                    pinging.cancel()

    async def _ping(self) -> None:
        while True:
            await self.link.send(Ping())
            await asyncio.sleep(2)

    async def _take(self, event: Event) -> None:
        self.events.append(event)
        if event.type == "run-pipeline":
            self.races += self.run_alive
            self.deaf = self.run_alive
            self.run_alive = True
            self._runs += 1
            self.heard.append(b"")
            await self.link.send(Event("transcribe", {"language": "en"}))
        elif event.type == "audio-chunk":
            if not self.run_alive or self.deaf:
                self.lost_chunks += 1
            else:
                self.heard[-1] += event.payload or b""
                whole = self._answer is not None and len(self.heard[-1]) / 2 / RATE >= self._transcribe_after_s
                if whole and self._tasks is not None and not getattr(self, f"_told{self._runs}", False):
                    setattr(self, f"_told{self._runs}", True)
                    self._tasks.create_task(self._reply())

    deaf = False

    async def _reply(self) -> None:
        await self.transcript("what time is it")
        await asyncio.sleep(self._think_s)
        await self.synthesize(str(self._answer))
        await asyncio.sleep(self._reply_late_s)
        await self.sound(self._reply_s)

    async def transcript(self, text: str) -> None:
        """Tell what was said."""
        await self.link.send(Event("transcript", {"text": text}))

    async def synthesize(self, text: str) -> None:
        """Tell the reply; the run is over."""
        self.run_alive = False
        await self.link.send(Event("synthesize", {"text": text, "voice": {"language": "en"}}))

    async def error(self, code: str) -> None:
        """End the run with an error."""
        self.run_alive = False
        await self.link.send(Error(text="it failed", code=code))

    async def sound(self, seconds: float, pitch_hz: float = 440.0) -> None:
        """Send a tone as a stream."""
        tone = np.sin(2 * np.pi * pitch_hz * np.arange(int(seconds * 22_050)) / 22_050) * 0.5
        await self.speak(tone.astype(np.float32))

    async def speak(self, samples: Samples) -> None:
        """Send sound of 22050 Hz as a stream, as fast as TCP takes it, in Home Assistant's chunks."""
        await self.link.send(AudioStart(rate=22_050, width=2, channels=1, timestamp=0))
        sent_ms = 0
        pcm = to_bytes(samples)
        for start in range(0, len(pcm), 2048):
            block = pcm[start : start + 2048]
            await self.link.send(AudioChunk(rate=22_050, width=2, channels=1, audio=block, timestamp=sent_ms))
            sent_ms += int(len(block) / 2 / 22_050 * 1000)
        await self.link.send(AudioStop(timestamp=sent_ms))

    async def extra(self, name: str, **data: Any) -> None:
        """Send one of our extras."""
        await self.link.send(Event("user-event", {"name": name, "data": data}))

    async def expect(self, kind: str, count: int = 1, within_s: float = 3.0) -> None:
        """Wait for the `count`-th event of a type."""
        await eventually(lambda: len(self.of(kind)) >= count, within_s, lambda: f"{kind} missing in {self.kinds}")


def pitch_level(samples: Samples, pitch_hz: float, rate: int = 24_000) -> float:
    """Return the amplitude of one pitch in the loudest tenth of a second."""
    size = rate // 10
    wave = np.exp(-2j * np.pi * pitch_hz * np.arange(size) / rate)
    parts = [abs(np.dot(samples[at : at + size], wave)) * 2 / size for at in range(0, len(samples) - size, size // 2)]
    return float(max(parts, default=0.0))


def loudest(pcm: bytes) -> float:
    """Return the largest amplitude in s16le sound."""
    samples = to_samples(pcm)
    return float(np.max(np.abs(samples))) if len(samples) else 0.0
