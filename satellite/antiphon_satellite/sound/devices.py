"""The sound devices: opened through PortAudio, watched, and opened again when they are gone or others are the default.

    open ──► moving ──► gone, silent ──► wait until something has changed, or a few seconds ──► open anew
               └──► another device is the default ──► open anew

PortAudio sees the devices that exist when it is initialised, so it is initialised anew before each attempt, while no
stream is open. A stream whose device or sound server dies may end, or just fall silent, and closing it may never
return: every call into PortAudio is made in a thread with a deadline, and the callbacks are watched.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, TypeVar

import numpy as np
import structlog

from antiphon.audio.pcm import RATE, Converter, Format, to_bytes
from antiphon.settings import Sound
from antiphon_satellite.sound.calls import CALL_S, begin, tell, within
from antiphon_satellite.sound.microphone import Microphone
from antiphon_satellite.sound.portaudio import (
    SERVERS,
    WHAT,
    SoundError,
    choose_both,
    formats,
    of_format,
    portaudio,
    refusal,
    unlisted,
)
from antiphon_satellite.sound.speaker import Speaker
from antiphon_satellite.sound.surroundings import Surroundings, look

IN_BLOCK_S, OUT_BLOCK_S = 0.03, 0.03
LATENCY_S = 0.1
"""Less makes PortAudio spin in front of a sound server; an interruption has 400 ms."""
OUT_RATE = 24_000
"""Asked of the speaker first: more than speech needs, half of what a reply would otherwise weigh."""
LEAVE_S = 1.5
"""What closing may take when the program ends."""
START_S = 6.0
"""A sound server may take this long until a new stream moves."""
SILENT_S = 2.0
"""A running stream calls back every 30 ms: one that has not for so long is dead."""
MOVING_S = 0.15
"""One that has called back for so long moves."""
LOOK_S, LOOK_SOON_S = 0.5, 0.05
"""How often a stream is looked at: one that moves, one that is expected to."""
SERVER_S = 5.0
"""A sound server that has gone is waited for so long before a device is opened without it: while we held the card, the
server that is started again could not."""
BACKOFF_S = (0.25, 0.5, 1.0, 2.0, 4.0, 5.0)
"""Waited between attempts, if nothing is seen to change before."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Presence(Enum):
    """Whether there is sound."""

    OPEN = "open"
    MISSING = "missing"


class _Beat:
    """When a stream has called back, on the monotonic clock."""

    def __init__(self) -> None:
        self._first = 0.0
        self.last = 0.0
        """0 for never."""

    def __call__(self) -> None:
        self.last = time.monotonic()
        self._first = self._first or self.last

    @property
    def moves(self) -> bool:
        """It has called back for a while: a new stream asks for a few blocks at once, and then may stand still."""
        return self.last - self._first > MOVING_S


class _Streams:
    """The two streams of one opening, the microphone's first, and what is known of them."""

    def __init__(self) -> None:
        self.before = look()
        """What the surroundings were just before."""
        self.opened: list[Any] = []
        self.names: tuple[str, str] = ("", "")
        self.beats = (_Beat(), _Beat())
        self.ended = asyncio.Event()


class Devices:
    """Keeps a microphone and a speaker open for as long as `run` runs.

    Args:
        changed: called on the loop when sound moves (with the devices' names) or is missing (with why and what mends
            it); the same reason is told once, however often it is tried.
    """

    def __init__(
        self, settings: Sound, microphone: Microphone, speaker: Speaker, changed: Callable[[Presence, str], None]
    ) -> None:
        self._wanted = (settings.input, settings.output)
        self._microphone, self._speaker = microphone, speaker
        self._changed = changed
        self._streams = _Streams()
        self._calls: set[asyncio.Future[Any]] = set()
        """Calls into PortAudio that have not returned."""
        self._used = False
        self._server_until = 0.0
        """Nothing but a sound server is opened before this, on the monotonic clock."""
        self._told: set[str] = set()
        """What has been told of missing sound since it moved last."""

    async def run(self) -> None:
        """Open, watch, close and open again, until cancelled."""
        attempt = 0
        try:
            while True:
                self._streams = _Streams()
                opening = self._begin(partial(self._open, anew=self._used and not self._calls))
                try:
                    await within(opening)
                    await self._until_moving()
                    attempt = 0
                    await self._until_another_is_default()
                    log.info("another sound device is the default now: it is opened")
                    attempt = -1
                except (SoundError, TimeoutError) as error:
                    if set(SERVERS) & set(self._streams.names) and all(beat.last for beat in self._streams.beats):
                        self._server_until = time.monotonic() + SERVER_S
                    self._missing(str(error) or "the sound devices do not answer: restart the sound server")
                if not opening.done():  # PortAudio takes one call at a time: nothing can be done until it returns
                    await asyncio.wait((opening,))
                await self._close()
                attempt = 0 if attempt < 0 or await self._pause(attempt) else attempt + 1
        finally:
            await self._leave()

    def _missing(self, why: str) -> None:
        if why not in self._told:
            self._told.add(why)
            log.warning("waiting for sound", why=why)
            self._changed(Presence.MISSING, why)

    async def _until_moving(self) -> None:
        """Wait until both streams move, and tell so.

        Raises:
            SoundError: they do not.
        """
        streams, started = self._streams, time.monotonic()
        while not all(beat.moves for beat in streams.beats):
            await self._look(LOOK_SOON_S)
            for kind, name, beat in zip(WHAT, streams.names, streams.beats, strict=True):
                if not beat.moves and time.monotonic() - started > START_S:
                    raise SoundError(f"the {WHAT[kind]} {name} does not move: switch it on, or connect it again")
        names = " and ".join(streams.names)
        log.info("sound devices open", devices=names)
        self._told.clear()
        self._changed(Presence.OPEN, names)

    async def _until_another_is_default(self) -> None:
        """Watch streams that move; return when another device should be used.

        Raises:
            SoundError: they move no more.
        """
        streams = self._streams
        seen = streams.before
        while True:
            await self._look(LOOK_S)
            now = time.monotonic()
            for kind, name, beat in zip(WHAT, streams.names, streams.beats, strict=True):
                if now - beat.last > SILENT_S:
                    raise SoundError(f"the {WHAT[kind]} {name} has fallen silent: switch it on, or connect it again")
            last, seen = seen, look()
            if seen == last and self._is_another_default(streams, seen):  # twice the same: it has settled
                return

    def _is_another_default(self, streams: _Streams, seen: Surroundings) -> bool:
        """Return whether the default device that is used may no longer be the default one."""
        changed = (seen.source != streams.before.source, seen.sink != streams.before.sink)
        sides = zip(changed, self._wanted, streams.names, strict=True)
        return any(other and not wanted and name not in SERVERS for other, wanted, name in sides)

    async def _look(self, pause_s: float) -> None:
        """Wait for a moment.

        Raises:
            SoundError: a stream has ended meanwhile.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._streams.ended.wait()
        if self._streams.ended.is_set():
            raise SoundError("a sound device, or the sound server, has gone: connect it again, or start it")

    async def _pause(self, attempt: int) -> bool:
        """Wait before another attempt; return whether that was cut short because something has changed."""
        before = self._streams.before
        until = time.monotonic() + BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(LOOK_S / 2, left))
            if look() != before:
                return True
        return False

    def _begin(self, function: Callable[[], T]) -> asyncio.Future[T]:
        call = begin(function)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    def _open(self, *, anew: bool) -> None:
        """Open both devices, initialising PortAudio `anew` (not while a stream is open). Runs in a thread.

        Raises:
            SoundError: one is missing or refuses.
        """
        sd, streams = portaudio(), self._streams
        try:
            if anew:
                if sd._initialized:  # it is not after an attempt that failed
                    sd._terminate()
                sd._initialize()
            self._used = True
            listed = sd.query_devices()
            if time.monotonic() < self._server_until and not any(device["name"] in SERVERS for device in listed):
                raise SoundError("the sound server has gone: start it again")
            source, sink = choose_both(listed, self._wanted, sd.default.device)
            streams.names = (source["name"], sink["name"])
            streams.opened.append(self._open_input(sd, source))
            streams.opened.append(self._open_output(sd, sink))
            for device, kind, stream in zip((source, sink), WHAT, streams.opened, strict=True):
                try:
                    stream.start()
                except sd.PortAudioError as error:
                    raise refusal(error, device, kind) from None
        except sd.PortAudioError as error:
            raise unlisted(error) from None

    def _open_input(self, sd: Any, device: dict[str, Any]) -> Any:
        beat = self._streams.beats[0]

        def heard(data: Any, frames: int, when: Any, status: Any) -> None:
            beat()
            pcm = bytes(data)
            push(pcm if plain else to_bytes(converter.feed(pcm)))

        push = self._microphone.push
        refused: Exception | None = None
        for rate, channels in formats(device, "input", RATE):
            plain = (rate, channels) == (RATE, 1)
            converter = Converter(Format(rate, channels=channels))
            try:
                return sd.RawInputStream(callback=heard, **self._how(device, rate, channels, IN_BLOCK_S))
            except sd.PortAudioError as error:
                refused = _more_telling(refused, error)
        raise refusal(refused or SoundError("no format"), device, "input")

    def _open_output(self, sd: Any, device: dict[str, Any]) -> Any:
        beat = self._streams.beats[1]

        def wanted(data: Any, frames: int, when: Any, status: Any) -> None:
            beat()
            if self._speaker.silent:  # nearly always, and then it should cost nothing
                data[:] = silence if len(silence) == len(data) else bytes(len(data))
                self._speaker.skip(frames)
                return
            pcm = self._speaker.fill(frames)
            data[:] = (pcm if channels == 1 else np.repeat(pcm, channels)).tobytes()

        refused: Exception | None = None
        for rate, channels in formats(device, "output", OUT_RATE):
            silence = bytes(int(rate * OUT_BLOCK_S) * channels * 2)
            try:
                stream = sd.RawOutputStream(callback=wanted, **self._how(device, rate, channels, OUT_BLOCK_S))
            except sd.PortAudioError as error:
                refused = _more_telling(refused, error)
                continue
            self._speaker.opened(rate, float(stream.latency))
            return stream
        raise refusal(refused or SoundError("no format"), device, "output")

    def _how(self, device: dict[str, Any], rate: int, channels: int, block_s: float) -> dict[str, Any]:
        loop, ended = self._microphone.loop, self._streams.ended
        return {
            "device": device["index"],
            "samplerate": rate,
            "channels": channels,
            "dtype": "int16",
            "blocksize": int(rate * block_s),
            "latency": LATENCY_S,
            "finished_callback": lambda: tell(loop, ended.set),
        }

    async def _close(self, longest_s: float = CALL_S) -> None:
        streams, self._streams.opened = self._streams.opened, []
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


def _more_telling(before: Exception | None, error: Exception) -> Exception:
    """Return which of two refusals to tell: that a format does not suit is the least."""
    return error if before is None or not of_format(error) else before
