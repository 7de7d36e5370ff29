"""The sound devices: opened through PortAudio, watched, and opened again when they are gone.

PortAudio sees the devices that exist when it is initialised, so it is initialised anew before each attempt, while no
stream is open. A stream whose device or sound server dies may end, or just fall silent, and closing it may never
return: every call into PortAudio is made in a thread with a deadline, and the callbacks are watched.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any, TypeVar

import numpy as np
import structlog

from antiphon.audio.pcm import RATE, Converter, Format, to_bytes
from antiphon.settings import Sound
from antiphon_satellite.sound.microphone import Microphone
from antiphon_satellite.sound.speaker import Speaker

IN_BLOCK_S, OUT_BLOCK_S = 0.03, 0.03
LATENCY_S = 0.1
"""Less makes PortAudio spin in front of a sound server; an interruption has 400 ms."""
OUT_RATE = 24_000
"""Asked of the speaker first: more than speech needs, half of what a reply would otherwise weigh."""
CALL_S = 5.0
"""A call into PortAudio that takes longer will never return."""
LEAVE_S = 1.5
"""What closing may take when the program ends."""
START_S = 6.0
"""A sound server may take this long until a new stream moves."""
SILENT_S = 2.0
"""A running stream calls back every 30 ms: one that has not for so long is dead."""
LOOK_S = 0.5
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 5.0)

SERVERS = ("pulse", "pipewire", "default")
"""What Linux's sound servers call themselves in ALSA; they follow the user's choice of device by themselves."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class SoundError(Exception):
    """A sound device cannot be used; the message says which and what mends it."""


class Presence(Enum):
    """Whether there is sound."""

    OPEN = "open"
    MISSING = "missing"


class Devices:
    """Keeps a microphone and a speaker open for as long as `run` runs.

    Args:
        changed: called on the loop when the devices are open (with their names) or missing (with why).
    """

    def __init__(
        self, settings: Sound, microphone: Microphone, speaker: Speaker, changed: Callable[[Presence, str], None]
    ) -> None:
        self._settings = settings
        self._microphone, self._speaker = microphone, speaker
        self._changed = changed
        self._streams: list[Any] = []
        self._called = [0.0, 0.0]
        self._ended = asyncio.Event()
        self._calls: set[asyncio.Future[Any]] = set()
        """Calls into PortAudio that have not returned."""
        self._used = False

    async def run(self) -> None:
        """Open, watch, close and open again, until cancelled."""
        attempt, said = 0, ""
        try:
            while True:
                opening = self._begin(partial(self._open, anew=self._used and not self._calls))
                try:
                    names = await within(opening)
                    attempt, said = 0, ""
                    log.info("sound devices open", devices=names)
                    self._changed(Presence.OPEN, names)
                    why = await self._watch()
                except (SoundError, TimeoutError) as error:
                    why = str(error) or "the sound devices do not answer"
                if why != said:
                    log.warning("waiting for sound", why=why)
                    self._changed(Presence.MISSING, why)
                    said = why
                if not opening.done():  # PortAudio takes one call at a time: nothing can be done until it returns
                    await asyncio.wait((opening,))
                await self._close()
                await asyncio.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
                attempt += 1
        finally:
            await self._leave()

    async def _watch(self) -> str:
        """Return why the devices are gone, when they are."""
        started = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._ended.wait()
            if self._ended.is_set():
                return "a sound device, or the sound server, has gone"
            now = time.monotonic()
            patience = START_S if now - started < START_S else SILENT_S
            if any(now - max(called, started) > patience for called in self._called):
                return "a sound device has fallen silent"

    def _begin(self, function: Callable[[], T]) -> asyncio.Future[T]:
        call = begin(function)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    def _open(self, *, anew: bool) -> str:
        """Open both devices, initialising PortAudio `anew` (not while a stream is open). Runs in a thread.

        Raises:
            SoundError: one is missing or refuses.
        """
        sd = portaudio()
        if anew:
            sd._terminate()
            sd._initialize()
        self._used = True
        self._ended.clear()
        try:
            listed = sd.query_devices()
            source = choose(listed, self._settings.input, "input", sd.default.device[0])
            sink = choose(listed, self._settings.output, "output", sd.default.device[1])
            self._streams.append(self._open_input(sd, source))
            self._streams.append(self._open_output(sd, sink))
            for stream in self._streams:
                stream.start()
        except sd.PortAudioError as error:
            raise SoundError(f"the sound devices cannot be opened: {error.args[0]}") from None
        return f"{source['name']} and {sink['name']}"

    def _open_input(self, sd: Any, device: dict[str, Any]) -> Any:
        def heard(data: Any, frames: int, when: Any, status: Any) -> None:
            self._called[0] = time.monotonic()
            pcm = bytes(data)
            push(pcm if plain else to_bytes(converter.feed(pcm)))

        push = self._microphone.push
        for rate, channels in formats(device, "input", RATE):
            plain = (rate, channels) == (RATE, 1)
            converter = Converter(Format(rate, channels=channels))
            with contextlib.suppress(sd.PortAudioError):
                return sd.RawInputStream(callback=heard, **self._how(device, rate, channels, IN_BLOCK_S))
        raise SoundError(f"the microphone {device['name']} cannot be opened: close what else uses it")

    def _open_output(self, sd: Any, device: dict[str, Any]) -> Any:
        def wanted(data: Any, frames: int, when: Any, status: Any) -> None:
            self._called[1] = time.monotonic()
            if self._speaker.silent:  # nearly always, and then it should cost nothing
                data[:] = silence if len(silence) == len(data) else bytes(len(data))
                self._speaker.skip(frames)
                return
            pcm = self._speaker.fill(frames)
            data[:] = (pcm if channels == 1 else np.repeat(pcm, channels)).tobytes()

        for rate, channels in formats(device, "output", OUT_RATE):
            silence = bytes(int(rate * OUT_BLOCK_S) * channels * 2)
            with contextlib.suppress(sd.PortAudioError):
                stream = sd.RawOutputStream(callback=wanted, **self._how(device, rate, channels, OUT_BLOCK_S))
                self._speaker.opened(rate, float(stream.latency))
                return stream
        raise SoundError(f"the speaker {device['name']} cannot be opened: close what else uses it")

    def _how(self, device: dict[str, Any], rate: int, channels: int, block_s: float) -> dict[str, Any]:
        loop = self._microphone.loop
        return {
            "device": device["index"],
            "samplerate": rate,
            "channels": channels,
            "dtype": "int16",
            "blocksize": int(rate * block_s),
            "latency": LATENCY_S,
            "finished_callback": lambda: _call(loop, self._ended.set),
        }

    async def _close(self, longest_s: float = CALL_S) -> None:
        streams, self._streams = self._streams, []
        closing = {self._begin(partial(_end, stream)) for stream in streams}
        if not closing:
            return
        done, stuck = await asyncio.wait(closing, timeout=longest_s)
        if stuck:
            log.warning("a dead sound stream does not close: it is left behind")
        for call in done:
            if call.exception() is not None:
                log.debug("a dead sound stream closes badly", why=str(call.exception()))

    async def _leave(self) -> None:
        """Close, but not for long; what is stuck must not keep the process from ending."""
        await self._close(LEAVE_S)
        if self._calls:
            atexit.unregister(portaudio()._exit_handler)


def _end(stream: Any) -> None:
    stream.abort()
    stream.close()


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        loop.call_soon_threadsafe(function)


def portaudio() -> Any:
    """Return the `sounddevice` module.

    Raises:
        SoundError: PortAudio is not installed.
    """
    try:
        import sounddevice
    except OSError:
        hint = "brew install portaudio" if sys.platform == "darwin" else "apt install libportaudio2"
        raise SoundError(f"PortAudio is not installed: {hint}") from None
    return sounddevice


def choose(listed: Sequence[dict[str, Any]], wanted: str, kind: str, default: int) -> dict[str, Any]:
    """Return the device to use: by number, by a part of its name, or the system's default.

    Args:
        listed: all devices, as PortAudio describes them.
        wanted: what the settings say; empty for the default.
        kind: input or output.
        default: PortAudio's default device, -1 for none.

    Raises:
        SoundError: there is none.
    """
    able = [device for device in listed if device[f"max_{kind}_channels"] > 0]
    what = "microphone" if kind == "input" else "speaker"
    if wanted:
        found = [device for device in able if wanted == str(device["index"])]
        found += [device for device in able if wanted.casefold() in device["name"].casefold()]
        if not found:
            names = ", ".join(device["name"] for device in able) or "none"
            raise SoundError(f"there is no {what} {wanted!r}: satellite.sound.{kind} can be one of {names}")
        return found[0]
    found = [device for name in SERVERS for device in able if device["name"] == name]
    found += [device for device in able if device["index"] == default]
    found += able
    if not found:
        raise SoundError(f"there is no {what}: connect one")
    return found[0]


def formats(device: dict[str, Any], kind: str, rate: int) -> list[tuple[int, int]]:
    """Return the rates and channels to try, best first: ours, then the device's own."""
    own, most = int(device["default_samplerate"]), int(device[f"max_{kind}_channels"])
    tried = [(rate, 1), (own, 1), (own, min(2, most)), (own, min(most, 32))]
    return list(dict.fromkeys(tried))


def begin(function: Callable[[], T]) -> asyncio.Future[T]:
    """Call something that may never return, in a thread of its own, which dies with the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - handed to who awaits
            _call(loop, partial(_settle, done, None, error))
        else:
            _call(loop, partial(_settle, done, result, None))

    threading.Thread(target=work, name="sound", daemon=True).start()
    return done


def _settle(done: asyncio.Future[T], result: T | None, error: Exception | None) -> None:
    if done.cancelled():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)  # type: ignore[arg-type]  # None only where T is


async def within(done: asyncio.Future[T], longest_s: float = CALL_S) -> T:
    """Return the result of a call that `begin` began.

    Raises:
        TimeoutError: it has not returned in time; it goes on.
    """
    async with asyncio.timeout(longest_s):
        return await asyncio.shield(done)
