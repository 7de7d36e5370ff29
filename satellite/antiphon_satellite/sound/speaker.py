"""The speaker: what is to be heard, in order, until the device asks for it.

One stream of sound is queued at a time; cues are mixed over it. The device's thread calls `fill`; everything else is
called on the loop. Sound is kept as 16-bit samples at the device's rate.

A stream can pause (`duck`) and go on from the sample where it began to fade (`swell`), and it can be put aside
(`shelve`) and taken up again from there (`resume`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import structlog

from antiphon.audio.pcm import SCALE, Samples, resample

LONGEST_S = 300.0
"""The longest reply that is kept; what is beyond is not played."""
FADE_S = 0.006
"""A stop, or a start in the middle, within this has no click."""
CUES = 4
"""At most so many cues sound at once."""
DUCKED = 0.1
"""How loud cues are while a person speaks: 20 dB less."""
TAIL_S = 0.1
"""Silence after a sound that still counts as played: resampling and fading end in it."""

AGAIN_S, REFILL_S = 1.0, 0.3
"""A stream that has run dry twice within so much sound goes on when so much waits, or has waited for so long: a network
that is too slow for it makes a pause now and then, and does not cut every syllable in pieces."""

Pcm = npt.NDArray[np.int16]

log = structlog.get_logger(__name__)


class Reference(Protocol):
    """Is told what the device takes, from its thread (see `echo.Echo`)."""

    def played(self, pcm: Pcm, position: int) -> None: ...

    def handed(self, position: int, at: float) -> None: ...

    def opened(self, rate: int, latency_s: float) -> None: ...


class Queue:
    """Sound that waits, and how much of its stream has gone before it."""

    def __init__(self) -> None:
        self._blocks: deque[Pcm] = deque()
        self._offset = 0
        self.waiting = 0
        """Samples that wait."""
        self.played = 0
        """Samples of the stream that were taken."""

    def put(self, pcm: Pcm) -> None:
        """Add sound."""
        self._blocks.append(pcm)
        self.waiting += len(pcm)

    def peek(self, count: int) -> Pcm:
        """Return the next samples, at most `count`, and leave them."""
        parts: list[Pcm] = []
        offset = self._offset
        for block in self._blocks:
            if count <= 0:
                break
            parts.append(block[offset : offset + count])
            count -= len(parts[-1])
            offset = 0
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int16)

    def take(self, count: int) -> Pcm:
        """Return the next samples, at most `count`."""
        taken = self.peek(count)
        self.waiting -= len(taken)
        self.played += len(taken)
        self._offset += len(taken)
        while self._blocks and self._offset >= len(self._blocks[0]):
            self._offset -= len(self._blocks.popleft())
        return taken

    def at_rate(self, rate: int, wanted: int) -> Queue:
        """Return the same sound, which has `rate` samples a second, with as many as are wanted."""
        other = Queue()
        other.played = self.played * wanted // rate
        left = self.peek(self.waiting)
        if len(left):
            other.put(_whole(resample(left.astype(np.float32), rate, wanted)))
        return other


def _whole(samples: Samples) -> Pcm:
    """Return samples, which are at the scale of 16 bits, as they are kept."""
    return np.clip(np.rint(samples), -SCALE, SCALE - 1).astype(np.int16)


class Speaker:
    """Queues, mixes and counts. The stream's end is told to `drained`, on the loop, once the device has played it.

    Args:
        drained: called when a finished stream was heard to its end.
        rate: what the device plays, samples a second.
        volume: percent.
        reference: is told what the device takes.
    """

    def __init__(
        self, drained: Callable[[], None], *, rate: int = 24_000, volume: int = 80, reference: Reference | None = None
    ) -> None:
        self._drained = drained
        self._reference = reference
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._queue = Queue()
        self._shelf: Queue | None = None
        self._ducked = False
        self._rises = False
        """The next sample is in the middle of a stream: it begins softly."""
        self._fade: Pcm | None = None
        self._cues: list[Pcm] = []
        self._ran_dry: int | None = None
        """How much of the stream had been taken when it ran dry last."""
        self._refilling: int | None = None
        """It waits to go on: samples of silence since it could; None while it does not."""
        self._finished = False
        self._stopped = False
        """Nothing more of the stream will be taken: what was, will be heard."""
        self._timer: asyncio.TimerHandle | None = None
        self._stream = 0
        self._late = False
        """The stream has ended while it was ducked: that is told when it swells."""
        self._position = 0
        self._tail = 0
        self.rate = rate
        self.volume = volume
        self.latency_s = 0.0
        """What lies between `fill` and the ear, as the device says."""

    @property
    def silent(self) -> bool:
        """`fill` would return silence that nobody need be told of."""
        return self._tail <= 0 and not self._sounds

    @property
    def _sounds(self) -> bool:
        return bool((self._queue.waiting and not self._ducked) or self._cues or self._fade is not None)

    @property
    def left_s(self) -> float:
        """Seconds of the stream that are still to be heard."""
        return self._queue.waiting / self.rate + self.latency_s

    @property
    def heard_ms(self) -> int:
        """Milliseconds of the stream that have been heard (silence in gaps is not counted).

        Of a stream that was stopped, the device still plays what it has taken: up to there, it is heard.
        """
        ended = self._stopped or (self._queue.waiting == 0 and self._finished)
        return max(0, round((self._queue.played / self.rate - (0.0 if ended else self.latency_s)) * 1000))

    def opened(self, rate: int, latency_s: float) -> None:
        """A device plays at `rate` from now on, also what is queued, and the last cue that waited; from any thread."""
        with self._lock:
            del self._cues[:-1]
            self.latency_s = latency_s
            self._position = 0
            if rate != self.rate:
                self._queue = self._queue.at_rate(self.rate, rate)
                self._shelf = self._shelf and self._shelf.at_rate(self.rate, rate)
                self._cues.clear()
                self._fade = None
                self.rate = rate
        if self._reference is not None:
            self._reference.opened(rate, latency_s)

    def begin(self) -> None:
        """Start a new stream; what is queued or shelved of those before is dropped."""
        self.flush()
        with self._lock:
            self._queue = Queue()
            self._shelf = None
            self._stopped = False

    def play(self, samples: Samples) -> None:
        """Queue more of the stream, at `rate`."""
        self._put(self._queue, samples)

    def finish(self) -> None:
        """The stream is whole: `drained` is called when it has been heard."""
        with self._lock:
            self._finished = True
            done = self._queue.waiting == 0
            stream = self._stream
        if done:
            self._await_device(stream)

    def flush(self) -> None:
        """Drop the stream at once, faded over a few milliseconds; `drained` is not called for it."""
        self._stop()
        self._shelf = None

    def shelve(self) -> None:
        """Stop as `flush` does, but keep what was not heard for `resume`; `keep` adds to it."""
        self._shelf = self._stop()

    def keep(self, samples: Samples) -> None:
        """Add to what was shelved."""
        if self._shelf is not None:
            self._put(self._shelf, samples)

    def forget(self) -> None:
        """What was shelved will not be taken up."""
        self._shelf = None

    def resume(self) -> None:
        """Go on with what was shelved, from the sample where it was stopped."""
        shelf = self._shelf
        if shelf is None:
            return
        self.begin()
        with self._lock:
            self._queue = shelf
            self._rises = True

    def duck(self) -> None:
        """Pause the stream, faded over a few milliseconds, and let cues sound from afar."""
        with self._lock:
            if not self._ducked:
                self._ducked = True
                self._fade_out()

    def swell(self) -> None:
        """Go on from the sample where `duck` began to fade."""
        with self._lock:
            if not self._ducked:
                return
            self._ducked = False
            self._rises = True
            late, self._late = self._late, False
        if late:
            self._drained()

    def cue(self, samples: Samples, rate: int) -> None:
        """Mix a short sound over whatever plays."""
        pcm = (resample(samples, rate, self.rate) * (SCALE - 1)).astype(np.int16)
        with self._lock:
            if len(self._cues) < CUES:
                self._cues.append(pcm)

    def fill(self, frames: int) -> Pcm:
        """Return the next `frames` samples, silence where there is nothing; from the device's thread, never waits."""
        with self._lock:
            sounds = self._sounds
            fade, self._fade = self._fade, None
            had = self._queue.waiting
            held = self._ducked or self._refills(frames)
            pulled = np.empty(0, dtype=np.int16) if held else self._queue.take(frames)
            drained = had > 0 and not self._queue.waiting
            ended = drained and self._finished
            if drained and not ended:
                self._run_dry()
            rises, self._rises = self._rises, self._rises and not len(pulled)
            cues = self._pull_cues(frames)
            cue_gain = DUCKED if self._ducked else 1.0
            stream = self._stream
        mixed = np.zeros(frames, dtype=np.float32)
        mixed[: len(pulled)] = pulled
        if rises and len(pulled):
            soft = min(len(pulled), int(FADE_S * self.rate))
            mixed[:soft] *= np.linspace(0.0, 1.0, soft, dtype=np.float32)
        if fade is not None:
            mixed[: len(fade)] += fade[:frames]
        for cue in cues:
            mixed[: len(cue)] += cue_gain * cue
        if ended:
            self._loop.call_soon_threadsafe(self._await_device, stream)
        gain = (self.volume / 100) ** 2  # the ear hears level as a logarithm: squared, half way sounds like half
        whole: Pcm = np.clip(mixed * gain, -SCALE, SCALE - 1).astype(np.int16)
        self._tell(whole, sounds)
        return whole

    def skip(self, frames: int) -> None:
        """The device takes silence without asking, because `silent`; from its thread."""
        self._position += frames
        if self._reference is not None:
            self._reference.handed(self._position, self._loop.time())

    def _tell(self, whole: Pcm, sounds: bool) -> None:
        """Tell the reference what the device takes, and a little of the silence after."""
        self._tail = int(TAIL_S * self.rate) if sounds else self._tail - len(whole)
        if self._reference is not None and self._tail > 0:
            self._reference.played(whole, self._position)
        self.skip(len(whole))

    def _put(self, queue: Queue, samples: Samples) -> None:
        if not len(samples):
            return
        with self._lock:
            full = queue.waiting + len(samples) > LONGEST_S * self.rate
            if not full:
                queue.put(_whole(samples * SCALE))
        if full:
            log.warning("a reply is longer than can be kept: its end is not played", longest_s=LONGEST_S)

    def _stop(self) -> Queue:
        """End the stream; returns what was not heard of it."""
        with self._lock:
            if not self._ducked:
                self._fade_out()
            left, self._queue = self._queue, Queue()
            self._queue.played = left.played
            self._ducked = self._rises = self._finished = self._late = False
            self._ran_dry = self._refilling = None
            self._stopped = True
            self._stream += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return left

    def _run_dry(self) -> None:
        """Nothing is left, and the stream is not whole: the first time, it goes on as soon as it can."""
        before, self._ran_dry = self._ran_dry, self._queue.played
        if before is not None and self._ran_dry - before < AGAIN_S * self.rate:
            self._refilling = 0

    def _refills(self, frames: int) -> bool:
        """Return whether a stream that has run dry waits until it can go on for a while."""
        if self._refilling is None:
            return False
        enough = REFILL_S * self.rate
        if self._finished or self._queue.waiting >= enough or self._refilling >= enough:
            self._refilling, self._rises = None, True
            return False
        self._refilling += frames if self._queue.waiting else 0
        return True

    def _fade_out(self) -> None:
        """Let the next samples fade without counting them as heard; in a silence there is nothing to fade."""
        if self._refilling is not None:
            return
        next_ones = self._queue.peek(int(FADE_S * self.rate))
        if len(next_ones):
            ramp = np.linspace(1.0, 0.0, len(next_ones), dtype=np.float32)
            self._fade = (next_ones * ramp).astype(np.int16)

    def _pull_cues(self, frames: int) -> list[Pcm]:
        heads = [cue[:frames] for cue in self._cues]
        self._cues = [cue[frames:] for cue in self._cues if len(cue) > frames]
        return heads

    def _await_device(self, stream: int) -> None:
        """Tell the end of a stream when the device has played what it holds."""
        if stream == self._stream and self._timer is None:
            self._timer = self._loop.call_later(self.latency_s, self._tell_drained, stream)

    def _tell_drained(self, stream: int) -> None:
        self._timer = None
        if stream == self._stream and self._ducked:
            self._late = True
        elif stream == self._stream:
            self._drained()
