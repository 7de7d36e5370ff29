"""A room with a satellite in it, on one clock that is moved by the sound: the speaker is heard by the microphone.

The event loop's time goes on by 10 ms when the sound card has moved 10 ms of sound and all that was to be done for it
has been done, so a minute passes in seconds, and the same happens every time. The satellite is the real one; the card
calls it as PortAudio would, in blocks of 30 ms, with the delays of a real device.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from satellite_rig import Controller

from antiphon.audio.pcm import RATE, Resampler, Samples, to_bytes
from antiphon.settings import Settings
from antiphon.wire.link import open_link
from antiphon_satellite.satellite import Satellite
from antiphon_satellite.states import Limits, State

TICK_S = 0.01
BLOCK_S = 0.03
"""What `sound/devices.py` asks of PortAudio."""
OUT_LATENCY_S, IN_LATENCY_S = 0.1, 0.01
TURNS = 8
"""Turns of the event loop in a tick: what was caused by its sound is done in them."""
PERSON_DB = -26.0
"""How loud a person is at the microphone, dB of full scale while they speak."""
NOISE_DB = -62.0
CLIPS = 1.5
"""How hard the loudspeaker is driven: cheap ones distort."""

T = TypeVar("T")


class _Inline(ThreadPoolExecutor):
    """Does at once what would be done in a thread, so that it takes no time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class SoundLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is moved by `pass_time` alone."""

    def __init__(self) -> None:
        self._moved_s = 1000.0
        super().__init__()
        self.set_default_executor(_Inline())

    def time(self) -> float:
        return self._moved_s

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self._moved_s += seconds


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop whose time is the sound's."""
    with asyncio.Runner(loop_factory=SoundLoop) as runner:
        return runner.run(coroutine)


def room(rt60_s: float, direct_db: float = 0.0, seed: int = 0) -> Samples:
    """Return an impulse response: the direct sound 3 ms after, and a diffuse tail.

    Args:
        rt60_s: seconds in which the tail falls by 60 dB.
        direct_db: how much louder the direct sound is than the tail as a whole.
    """
    rng = np.random.default_rng(seed)
    count = int(rt60_s * RATE)
    tail = rng.normal(size=count) * 10 ** (-3 * np.arange(count) / count)
    tail[: RATE // 500] = 0
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2))
    response = np.concatenate((np.zeros(3 * RATE // 1000), tail))
    response[3 * RATE // 1000] += 1
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)


def active_level(samples: Samples) -> float:
    """Return the root mean square of the parts that are not silence."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(np.float64)
    power = np.mean(frames**2, axis=1)
    return float(np.sqrt(np.mean(power[power > power.max() * 1e-3]))) if len(power) and power.max() > 0 else 0.0


class RoomCard:
    """Microphone and loudspeaker of one satellite in one room.

    Args:
        response: of the room, from the speaker and from the person to the microphone.
        echo_db: how much louder than a person (`PERSON_DB`) a reply of `reply_level` is at the microphone.
        drift_ppm: how much faster the microphone's clock is than the speaker's.
    """

    def __init__(
        self,
        satellite: Satellite,
        response: Samples,
        *,
        echo_db: float | None = -10.0,
        reply_level: float = 0.08,
        drift_ppm: float = 0.0,
        out_latency_s: float = OUT_LATENCY_S,
        told_latency_s: float | None = None,
        noise_db: float = NOISE_DB,
        seed: int = 0,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SoundLoop)
        self._loop = loop
        self.satellite = satellite
        speaker = satellite.speaker
        speaker.opened(speaker.rate, out_latency_s if told_latency_s is None else told_latency_s)
        self._response = response.astype(np.float64)
        self._echo = 0.0 if echo_db is None else 10 ** ((PERSON_DB + echo_db) / 20) / reply_level
        self._drift = 1 + drift_ppm * 1e-6
        self._late = round(out_latency_s * RATE)
        self._rng = np.random.default_rng(seed)
        self._noise = 10 ** (noise_db / 20)
        self._resampler = Resampler(speaker.rate)
        self._played = np.zeros(60 * speaker.rate, dtype=np.int16)
        self._played_end = 0
        self._air = np.zeros(60 * RATE)
        """What the loudspeaker does, and below what people say: from the start, 16 kHz."""
        self._people = np.zeros(60 * RATE)
        self._air_end = 0
        self._ticks = 0
        self._moves = asyncio.Event()
        self._moves.set()
        self._heard = 0
        self.deaf_blocks = 0
        """So many of the next blocks of the microphone are lost."""

    @property
    def position(self) -> int:
        """Samples of 16 kHz since the start, as the air counts them."""
        return round(self._ticks * TICK_S * RATE)

    @property
    def played(self) -> npt.NDArray[np.int16]:
        """All that the speaker handed to the device, at its rate; sample 0 was handed at the start."""
        return self._played[: self._played_end]

    def handed_at(self, air: int) -> int:
        """Return the sample of `played` that was about to be handed when the air was at sample `air`."""
        return round(air * self.satellite.speaker.rate / RATE)

    def say(self, sound: Samples, level_db: float = PERSON_DB, after_s: float = 0.0) -> int:
        """Let a person make a sound; returns the air's sample of its first one."""
        start = self.position + round(after_s * RATE)
        loud = np.asarray(sound, dtype=np.float64) * 10 ** (level_db / 20) / max(1e-9, active_level(sound))
        whole = np.convolve(loud, self._response)
        self._grow(start + len(whole))
        self._people[start : start + len(whole)] += whole
        return start

    async def run(self) -> None:
        """Move sound until cancelled."""
        while True:
            await self._moves.wait()
            await self.tick()

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Let no time pass: what comes over the network meanwhile takes none."""
        self._moves.clear()
        try:
            yield
        finally:
            self._moves.set()

    @property
    def rate(self) -> int:
        """Of what the speaker plays."""
        return self.satellite.speaker.rate

    async def tick_passed(self) -> None:
        """Wait until the next 10 ms of sound have moved."""
        await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """Move 10 ms of sound, and let all happen that it causes."""
        if self._ticks % 3 == 0:
            self._hand_out()
        if self._ticks % 3 == 1:
            self._hear()
        for _ in range(TURNS // 2):
            await asyncio.sleep(0)
        self.satellite.ears.join()
        for _ in range(TURNS // 2):
            await asyncio.sleep(0)
        self._ticks += 1
        self._loop.pass_time(TICK_S)

    def _grow(self, end: int) -> None:
        while end + RATE > len(self._air):
            self._air = np.concatenate((self._air, np.zeros(60 * RATE)))
            self._people = np.concatenate((self._people, np.zeros(60 * RATE)))

    def _hand_out(self) -> None:
        frames = int(self.satellite.speaker.rate * BLOCK_S)
        if self.satellite.speaker.silent:
            self.satellite.speaker.skip(frames)
            block = np.zeros(frames, dtype=np.int16)
        else:
            block = self.satellite.speaker.fill(frames)
        if self._played_end + frames > len(self._played):
            self._played = np.concatenate((self._played, np.zeros_like(self._played)))
        self._played[self._played_end : self._played_end + frames] = block
        self._played_end += frames
        sound = self._resampler.feed(block.astype(np.float32) / np.float32(32768)).astype(np.float64)
        self._grow(self._air_end + self._late + len(sound))
        start = self._air_end + self._late
        self._air[start : start + len(sound)] = np.tanh(CLIPS * sound) / CLIPS
        self._air_end += len(sound)

    def _hear(self) -> None:
        now_s = self._ticks * TICK_S - IN_LATENCY_S
        end = max(0, int(now_s * RATE * self._drift))
        if end <= self._heard:
            return
        places = np.arange(self._heard, end) / self._drift
        self._heard = end
        first, last = int(places[0]), int(places[-1]) + 2
        before = max(0, first - len(self._response) + 1)
        size = 1 << (last - before + len(self._response)).bit_length()
        spectrum = np.fft.rfft(self._air[before:last], size) * np.fft.rfft(self._response, size)
        echo = np.fft.irfft(spectrum, size)[first - before : last - before]
        heard = np.interp(places, np.arange(first, last), self._echo * echo + self._people[first:last])
        heard += self._rng.normal(size=len(heard)) * self._noise
        if self.deaf_blocks > 0:
            self.deaf_blocks -= 1
            return
        self.satellite.microphone.push(to_bytes(heard.astype(np.float32)))


class Place:
    """A satellite in a room, and who drives it."""

    def __init__(self, satellite: Satellite, card: RoomCard, home: Controller) -> None:
        self.satellite, self.card, self.home = satellite, card, home

    async def until(self, true: Callable[[], bool], within_s: float = 5.0, otherwise: str = "") -> None:
        """Wait, in the room's time, until something is true.

        Raises:
            AssertionError: it is not, in time.
        """
        end = self.card.position + within_s * RATE
        while not true():
            assert self.card.position < end, otherwise or f"{self.satellite.state}: {self.home.kinds}"
            await asyncio.sleep(TICK_S / 2)

    async def speak(self, sound: Samples) -> None:
        """Send a reply, 22050 Hz, which comes as a whole at once, as from Home Assistant."""
        whole_s = self.satellite.speaker.latency_s + len(sound) / 22_050 - 0.1
        with self.card.still():
            sending = asyncio.ensure_future(self.home.speak(sound))
            while not sending.done() or self.satellite.speaker.left_s < whole_s:
                await asyncio.sleep(0)
            await sending

    async def until_state(self, *wanted: State, within_s: float = 5.0) -> None:
        """Wait until the satellite is in one of these states."""
        await self.until(lambda: self.satellite.state in wanted, within_s)


@contextlib.asynccontextmanager
async def in_room(
    response: Samples,
    *,
    make: Callable[[Settings, Limits], Satellite] = Satellite,
    limits: Limits | None = None,
    controller: dict[str, Any] | None = None,
    card: dict[str, Any] | None = None,
    **satellite: Any,
) -> AsyncIterator[Place]:
    """Put a satellite with these settings into a room, driven by one controller."""
    given = {"barge_in": "voice", "port": 0, "name": "kitchen", "start": "wake", **satellite}
    settings = Settings(network={"host": "127.0.0.1", "zeroconf": False}, satellite=given)  # type: ignore[arg-type]
    one = make(settings, limits or Limits(follow_up_s=0.0))
    moving = RoomCard(one, response, **(card or {}))
    await one.service.start()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()), group.create_task(moving.run())]
        try:
            link = await open_link(f"tcp://127.0.0.1:{one.service.server.port}")
            home = Controller(link, **{"controller_id": None, **(controller or {})})
            driving = group.create_task(home.run())
            place = Place(one, moving, home)
            await place.until_state(State.IDLE)
            try:
                yield place
            finally:
                driving.cancel()
                await link.close()
        finally:
            await one.service.stop()
            for task in tasks:
                task.cancel()
