"""The speaker: what is to be heard, in order, until the device asks for it.

One stream of sound is queued at a time; cues are mixed over it. The device's thread calls `fill`; everything else is
called on the loop. Sound is kept as 16-bit samples at the device's rate.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import structlog

from antiphon.audio.pcm import SCALE, Resampler, Samples

LONGEST_S = 300.0
"""The longest reply that is kept; what is beyond is not played."""
FADE_S = 0.006
"""A stop within this has no click."""
CUES = 4
"""At most so many cues sound at once."""

Pcm = npt.NDArray[np.int16]

log = structlog.get_logger(__name__)


class Speaker:
    """Queues, mixes and counts. The stream's end is told to `drained`, on the loop, once the device has played it.

    Args:
        drained: called when a finished stream was heard to its end.
        rate: what the device plays, samples a second.
        volume: percent.
    """

    def __init__(self, drained: Callable[[], None], *, rate: int = 24_000, volume: int = 80) -> None:
        self._drained = drained
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._queue: deque[Pcm] = deque()
        self._offset = 0
        self._waiting = 0
        self._fade: Pcm | None = None
        self._cues: list[Pcm] = []
        self._finished = False
        self._played = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stream = 0
        self.rate = rate
        self.volume = volume
        self.latency_s = 0.0
        """What lies between `fill` and the ear, as the device says."""

    @property
    def silent(self) -> bool:
        """`fill` would return silence."""
        return not (self._waiting or self._cues or self._fade is not None)

    @property
    def left_s(self) -> float:
        """Seconds of the stream that are still to be heard."""
        return self._waiting / self.rate + self.latency_s

    @property
    def heard_ms(self) -> int:
        """Milliseconds of the stream that have been heard (silence in gaps is not counted)."""
        behind = 0.0 if self._waiting == 0 and self._finished else self.latency_s
        return max(0, round((self._played / self.rate - behind) * 1000))

    def set_rate(self, rate: int) -> None:
        """The device plays at `rate` from now on; from any thread. What was queued at another rate is lost."""
        with self._lock:
            if rate != self.rate:
                self._queue.clear()
                self._cues.clear()
                self._offset = self._waiting = 0
                self.rate = rate

    def begin(self) -> None:
        """Start a new stream; what is queued of the one before is dropped."""
        self.flush()
        with self._lock:
            self._finished = False
            self._played = 0
            self._stream += 1

    def play(self, samples: Samples) -> None:
        """Queue more of the stream, at `rate`."""
        if not len(samples):
            return
        with self._lock:
            if self._waiting + len(samples) > LONGEST_S * self.rate:
                full = True
            else:
                full = False
                self._queue.append(np.clip(np.rint(samples * SCALE), -SCALE, SCALE - 1).astype(np.int16))
                self._waiting += len(samples)
        if full:
            log.warning("a reply is longer than can be kept: its end is not played", longest_s=LONGEST_S)

    def finish(self) -> None:
        """The stream is whole: `drained` is called when it has been heard."""
        with self._lock:
            self._finished = True
            done = self._waiting == 0
            stream = self._stream
        if done:
            self._await_device(stream)

    def flush(self) -> None:
        """Drop the stream at once, faded over a few milliseconds; `drained` is not called for it."""
        with self._lock:
            if self._waiting:
                self._fade = self._pull(min(self._waiting, int(FADE_S * self.rate)))
                ramp = np.linspace(1.0, 0.0, len(self._fade), dtype=np.float32)
                self._fade = (self._fade * ramp).astype(np.int16)
            self._queue.clear()
            self._offset = self._waiting = 0
            self._finished = False
            self._stream += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cue(self, samples: Samples, rate: int) -> None:
        """Mix a short sound over whatever plays."""
        pcm = (Resampler(rate, self.rate).feed(samples, last=True) * (SCALE - 1)).astype(np.int16)
        with self._lock:
            if len(self._cues) < CUES:
                self._cues.append(pcm)

    def fill(self, frames: int) -> Pcm:
        """Return the next `frames` samples, silence where there is nothing; from the device's thread, never waits."""
        with self._lock:
            fade, self._fade = self._fade, None
            had = self._waiting
            pulled = self._pull(min(frames, self._waiting))
            self._played += len(pulled)
            ended = had > 0 and not self._waiting and self._finished
            cues = self._pull_cues(frames)
            stream = self._stream
        mixed = np.zeros(frames, dtype=np.float32)
        mixed[: len(pulled)] = pulled
        if fade is not None:
            mixed[: len(fade)] += fade[:frames]
        for cue in cues:
            mixed[: len(cue)] += cue
        if ended:
            self._loop.call_soon_threadsafe(self._await_device, stream)
        gain = (self.volume / 100) ** 2  # the ear hears level as a logarithm: squared, half way sounds like half
        whole: Pcm = np.clip(mixed * gain, -SCALE, SCALE - 1).astype(np.int16)
        return whole

    def _pull(self, count: int) -> Pcm:
        """Take `count` samples, of which there are enough, from the queue."""
        parts: list[Pcm] = []
        self._waiting -= count
        while count:
            head = self._queue[0]
            part = head[self._offset : self._offset + count]
            parts.append(part)
            count -= len(part)
            self._offset += len(part)
            if self._offset == len(head):
                self._queue.popleft()
                self._offset = 0
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int16)

    def _pull_cues(self, frames: int) -> list[Pcm]:
        heads = [cue[:frames] for cue in self._cues]
        self._cues = [cue[frames:] for cue in self._cues if len(cue) > frames]
        return heads

    def _await_device(self, stream: int) -> None:
        """Tell the end of a stream when the device has played what it holds."""
        if stream == self._stream and self._timer is None:
            self._timer = self._loop.call_later(self.latency_s, self._tell, stream)

    def _tell(self, stream: int) -> None:
        self._timer = None
        if stream == self._stream:
            self._drained()
