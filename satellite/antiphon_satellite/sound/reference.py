"""What the speaker plays, at 16 kHz and in its place, to be looked up: the reference of echo cancellation."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from antiphon.audio.pcm import RATE, Resampler, Samples

HISTORY_S = 6
"""So much of what was played is remembered."""
BLOCKS = 256
"""Blocks that wait for a busy loop; then the oldest are lost."""

Pcm = npt.NDArray[np.int16]


class Reference:
    """A history of what was played. Places count samples of 16 kHz since the device was opened.

    Args:
        rate: of what the device plays.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._waiting: deque[tuple[Pcm, int]] = deque(maxlen=BLOCKS)
        self._resampler = Resampler(rate)
        self._history = np.zeros(HISTORY_S * RATE, dtype=np.float32)
        self._end = 0
        """What was played is known up to this place."""
        self._next = -1
        """The position that the next block of the device should have."""

    def put(self, pcm: Pcm, position: int) -> None:
        """Add a block with `position` of the device's samples before it; from any thread, never waits."""
        self._waiting.append((pcm, position))

    def take(self) -> bool:
        """Bring what was put to its place; returns whether there was anything."""
        taken = False
        while self._waiting:
            pcm, position = self._waiting.popleft()
            if position != self._next:  # silence, which is not told, or blocks that were lost
                self._resampler = Resampler(self._rate)
                self._write(np.zeros(0, dtype=np.float32), round(position * RATE / self._rate))
            self._next = position + len(pcm)
            self._write(self._resampler.feed(pcm.astype(np.float32) / np.float32(32768)), self._end)
            taken = True
        return taken

    def read(self, start: float, count: int, step: float = 1.0) -> Samples:
        """Return what was played from `start` on; silence where nothing was, or nothing is known.

        Args:
            step: from one sample to the next: clocks that drift need other than 1.
        """
        if step == 1.0:
            return self._known(round(start) + np.arange(count))
        places = start + step * np.arange(count)
        whole = np.floor(places).astype(np.int64)
        part = (places - whole).astype(np.float32)
        first, second, third, fourth = (self._known(whole + offset) for offset in (-1, 0, 1, 2))
        cubic: Samples = (  # through four samples (Lagrange)
            first * (-part * (part - 1) * (part - 2) / 6)
            + second * ((part + 1) * (part - 1) * (part - 2) / 2)
            + third * (-(part + 1) * part * (part - 2) / 2)
            + fourth * ((part + 1) * part * (part - 1) / 6)
        )
        return cubic

    def _known(self, places: npt.NDArray[np.int64]) -> Samples:
        known = (places < self._end) & (places >= max(0, self._end - len(self._history)))
        read: Samples = np.where(known, self._history[places % len(self._history)], np.float32(0))
        return read

    def _write(self, samples: Samples, start: int) -> None:
        size = len(self._history)
        gap = start - self._end
        if gap >= size or gap < 0:
            self._history[:] = 0
        elif gap > 0:
            self._history[np.arange(self._end, start) % size] = 0
        self._history[np.arange(start, start + len(samples)) % size] = samples
        self._end = start + len(samples)
