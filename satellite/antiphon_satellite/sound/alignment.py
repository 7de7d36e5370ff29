"""Which of the speaker's samples a sample of the microphone may echo: the two clocks, and what lies between.

The speaker counts what the device has taken, the microphone what the device has given. The difference of the counts
(in seconds) stays the same while nothing is lost and the clocks agree; blocks that are lost and clocks that drift move
it by just as much as the echo moves. What lies between the counts and the ear is the delay: the devices tell it,
sound servers and Bluetooth wrongly, so it is looked for in the sound too.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from antiphon.audio.pcm import RATE, Samples

WINDOW = 64
"""Differences of the counts of which the median counts: 2 s of blocks."""
FEW = 5
TOLERANCE_S = 0.006
"""The clocks' difference may wander so far before the reference is moved: less costs more in learning anew."""
EARLIEST_S, LATEST_S = 0.2, 0.7
"""The echo is looked for so much before, and so much after, where it is expected."""
CERTAIN = 8.0
"""A peak this many times higher than the common height is the echo."""
AGREE_S = 0.004
"""Two findings in a row that differ by less are believed."""


class Clocks:
    """How far the speaker's count is ahead of the microphone's, in seconds."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=WINDOW)
        self._held: float | None = None

    def note(self, lead_s: float) -> None:
        """The speaker's count is `lead_s` ahead now, as far as can be seen."""
        self._seen.append(lead_s)

    @property
    def lead_s(self) -> float | None:
        """The lead, held while it wanders within `TOLERANCE_S`; None before anything is known."""
        if not self._seen:
            return self._held
        recent = float(np.median(self._seen))
        if self._held is None or (len(self._seen) >= FEW and abs(recent - self._held) > TOLERANCE_S):
            self._held = recent
        return self._held


class DelayFinder:
    """Looks for the echo of the reference in the microphone's sound, by their cross-correlation (GCC-PHAT)."""

    def __init__(self) -> None:
        self._before: float | None = None

    def find(self, near: Samples, far: Samples) -> float | None:
        """Return how much later than expected the echo comes, in seconds; None when that is not certain.

        Args:
            near: the microphone's sound.
            far: what was played, from `LATEST_S` before the sound that is expected to echo in `near` to
                `EARLIEST_S` after it.
        """
        size = 1 << (len(far) + len(near) - 1).bit_length()
        spectrum = np.conj(np.fft.rfft(far, size)) * np.fft.rfft(near, size)
        peaks = np.fft.irfft(spectrum / (np.abs(spectrum) + 1e-6), size)
        # lag l of near against far: near[n] = far[n - l]; far begins LATEST_S early, so l runs from -LATEST-EARLIEST
        span = int((LATEST_S + EARLIEST_S) * RATE)
        lags = np.abs(np.concatenate((peaks[size - span :], peaks[:1])))
        best = int(np.argmax(lags))
        found = None
        if lags[best] > CERTAIN * float(np.mean(lags)):
            found = (best - span) / RATE + LATEST_S
        agreed = found is not None and self._before is not None and abs(found - self._before) < AGREE_S
        self._before = found
        return found if agreed else None
