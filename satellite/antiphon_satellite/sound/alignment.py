"""Which of the speaker's samples a sample of the microphone may echo: the two clocks, and what lies between.

The speaker counts what the device has taken, the microphone what the device has given. The difference of the counts
(the lead, in seconds) stays the same while nothing is lost and the clocks agree; blocks that are lost and clocks that
drift move it by just as much as the echo moves. What lies between the counts and the ear is the delay: the devices tell
it, sound servers and Bluetooth wrongly, so it is looked for in the sound too; and where it is found later each time,
the clocks drift.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from antiphon.audio.pcm import RATE, Samples

WINDOW = 64
"""Leads of which the median counts: 2 s of blocks."""
FEW = 5
JUMP_S, JUMPED = 0.03, 4
"""So many leads in a row that are this far from where they should be, and agree: sound was lost."""
TOLERANCE_S = 0.03
"""The lead may be so far from where it should be before it is believed: devices call a little earlier or later at
times, and learning anew costs more."""
MOST_S = 1.2
"""The longest delay that is looked for: Bluetooth and sound servers take up to a second."""
CERTAIN = 8.0
"""A peak this many times higher than the common height is the echo."""
AGREE_S = 0.004
"""Two findings in a row that differ by less are believed."""
FINDINGS = 12
"""So many findings tell how the clocks drift."""
SPAN_S = 2.0
"""They must be this far apart."""
STRAIGHT = 8.0
"""They must lie on a line: the first and the last so many times further apart than any is beside it."""
LEAST_DRIFT, MOST_DRIFT = 15e-6, 500e-6
"""Clocks that drift less are as good as the same; more is a mistake."""


class Clocks:
    """How far the speaker's count is ahead of the microphone's, in seconds, at each of the microphone's samples."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=WINDOW)
        self._found: deque[tuple[float, float]] = deque(maxlen=FINDINGS)
        self._held_s: float | None = None
        self._held_at = 0
        self._late_s = 0.0
        """By how much the devices call later than they did."""
        self.drift = 0.0
        """Seconds that the lead changes in a second."""
        self.jumps = 0
        """How often the lead was found to have moved."""

    def note(self, lead_s: float) -> None:
        """The speaker's count is `lead_s` ahead now, as far as can be seen."""
        self._seen.append(lead_s - self._late_s)

    def lead_s(self, position: int) -> float:
        """Return the lead at the microphone's sample `position`: it goes on evenly until `move` is called."""
        if self._held_s is None:
            if not self._seen:
                return 0.0
            self._held_s, self._held_at = float(np.median(self._seen)), position
            self.jumps += 1
        return self._held_s + self.drift * (position - self._held_at) / RATE

    def moved_s(self, position: int) -> float | None:
        """Return by how much the counts say that the lead has moved; None while they agree with what it is held for.

        Either sound was lost, and `move` is to be called, or a device calls later than it did (`keep`). The counts look
        the same for both.
        """
        due_s = self.lead_s(position)
        newest = list(self._seen)[-JUMPED:]
        if len(newest) < JUMPED:
            return None
        off_s = [seen - due_s for seen in newest]
        agree = max(newest) - min(newest) < JUMP_S / 2 and (min(off_s) > JUMP_S or max(off_s) < -JUMP_S)
        moved_s = float(np.median(newest if agree else self._seen)) - due_s
        return moved_s if agree or abs(moved_s) > TOLERANCE_S else None

    def move(self, position: int, moved_s: float) -> None:
        """Sound was lost: the lead is another from here on."""
        self._held_s, self._held_at = self.lead_s(position) + moved_s, position
        self._seen = deque(list(self._seen)[-JUMPED:], maxlen=WINDOW)
        self._found.clear()
        self.jumps += 1

    def keep(self, moved_s: float) -> None:
        """Nothing was lost: a device calls so much later, or earlier, than it did."""
        self._late_s += moved_s
        self._seen = deque([seen - moved_s for seen in list(self._seen)[-JUMPED:]], maxlen=WINDOW)

    def found(self, position: int, place_s: float) -> None:
        """The echo was found in the sound: `place_s` of the speaker ahead of the microphone's sample `position`."""
        self._found.append((position / RATE, place_s))
        at_s, places_s = np.array(self._found).T
        if len(at_s) < FEW or at_s[-1] - at_s[0] < SPAN_S:
            return
        slope, base = np.polyfit(at_s - at_s[0], places_s, 1)
        beside_s = float(np.max(np.abs(places_s - base - slope * (at_s - at_s[0]))))
        same = beside_s < 1 / RATE and abs(slope) < LEAST_DRIFT
        if abs(slope) > MOST_DRIFT or not (same or abs(slope) * (at_s[-1] - at_s[0]) > STRAIGHT * beside_s):
            return
        if abs(slope - self.drift) > LEAST_DRIFT:
            self._held_s, self._held_at = self.lead_s(position), position
            self.drift = float(slope) if abs(slope) > LEAST_DRIFT else 0.0


class DelayFinder:
    """Looks for the echo of the reference in the microphone's sound, by their cross-correlation (GCC-PHAT)."""

    def __init__(self) -> None:
        self._before: float | None = None

    def find(self, near: Samples, far: Samples) -> float | None:
        """Return how long after its reference the echo comes, in seconds; None when that is not certain.

        Args:
            near: the microphone's sound.
            far: what the device took meanwhile, from `MOST_S` before on.
        """
        size = 1 << (len(far) + len(near) - 1).bit_length()
        spectrum = np.conj(np.fft.rfft(far, size)) * np.fft.rfft(near, size)
        peaks = np.fft.irfft(spectrum / (np.abs(spectrum) + 1e-6), size)
        span = int(MOST_S * RATE)  # far begins so much early: an echo at once lags by -span, one as late as can be by 0
        lags = np.abs(np.concatenate((peaks[size - span :], peaks[:1])))
        best = int(np.argmax(lags))
        found = None
        if lags[best] > CERTAIN * float(np.mean(lags)):
            found = (best + _between(lags, best)) / RATE
        agreed = found is not None and self._before is not None and abs(found - self._before) < AGREE_S
        self._before = found
        return found if agreed else None


def _between(heights: Samples, best: int) -> float:
    """Return how far beside the highest sample the peak is, by the parabola through three."""
    if not 0 < best < len(heights) - 1:
        return 0.0
    left, top, right = (float(height) for height in heights[best - 1 : best + 2])
    return 0.5 * (left - right) / (left - 2 * top + right)
