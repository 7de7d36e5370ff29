"""How loud what is left of the echo is expected to be: what is much louder is somebody else."""

from __future__ import annotations

import numpy as np

from antiphon.audio.pcm import Samples

RISE_DB, FALL = 0.2, 0.03
"""How fast the share of the echo that is left over is believed to rise, in dB a frame, and to fall, as a part of the
difference: what is louder may be a person."""
MOST_DB = 20.0
"""What is seen of a share counts for no more below it."""
FIRST_SHARE_DB = 0.0
"""The share that is expected to be left over at first, and when the reference has moved against its echo."""
LEARNED, FIRST_FALL_DB = 80, 0.25
"""After so many loud frames (2 s of speech), and when the delay was found, the filter may know the room. Before, all
that is played may be echo, however late it comes, and is believed to be softer only slowly."""
ECHO_FALL = 0.85
"""A room's echo dies away no faster than this, a frame: 60 dB in 0.85 s."""
AUDIBLE = 1e-7
"""Power (-70 dB of full scale) below which nothing is played."""
CLEAR, PEAK_FALL = 0.1, 0.99
"""What is left is compared in the loud parts: others hold more of the room's noise than of the echo. The loudest part
is forgotten by 4 dB a second."""


class Loudness:
    """The power of one signal: now, as it dies away in the room, and in its loud parts."""

    def __init__(self) -> None:
        self.now = self.fading = 0.0
        self.peak = AUDIBLE

    def follow(self, samples: Samples) -> None:
        """Take the next frame."""
        self.now = power(samples)
        self.fading = max(self.now, ECHO_FALL * self.fading)
        self.peak = max(self.now, PEAK_FALL * self.peak, AUDIBLE)

    @property
    def clear(self) -> bool:
        """This is one of its loud parts."""
        return self.now > CLEAR * self.peak


class Residue:
    """Follows, frame by frame of 10 ms, how much of the echo the linear filter leaves over."""

    def __init__(self) -> None:
        self._far, self._echo = Loudness(), Loudness()
        self._far_share_db = self._echo_share_db = FIRST_SHARE_DB
        self._learned = 0
        self.delay_known = False
        """The echo was found in the sound."""
        self._any = False
        """It was found at least once: there is one."""
        self.doubtful = False
        """Somebody else may be speaking: nothing is learned."""

    def found(self) -> None:
        """The echo was found in the sound."""
        self.delay_known = self._any = True

    def moved(self) -> None:
        """The reference has moved against its echo: nothing that was learned is sure to hold.

        Where none has ever been found (headphones, a speaker far away), none will come at another time either.
        """
        if not self._any:
            return
        self._far_share_db = self._echo_share_db = FIRST_SHARE_DB
        self._learned = 0
        self.delay_known = False

    def follow(self, left: Samples, echo: Samples, far: Samples) -> float:
        """Return how loud what is left of the echo is expected to be in this frame, in dB of full scale.

        Args:
            left: what the filter leaves.
            echo: what it has taken out.
            far: the reference; while the delay is not known, what the device takes now.
        """
        self._far.follow(far)
        self._echo.follow(echo)
        if not self.doubtful:
            self._learn(power(left))
        of_echo = self._echo.fading * _ratio(self._echo_share_db)
        return _db(max(of_echo, self._far.peak * _ratio(self._far_share_db)))

    def _learn(self, rest: float) -> None:
        if self._far.clear:
            self._learned += 1
            more_db = _db(rest / self._far.now) - self._far_share_db
            known = self.delay_known and self._learned >= LEARNED
            fall_db = FALL * max(more_db, -MOST_DB) if known else -FIRST_FALL_DB
            self._far_share_db += RISE_DB if more_db > 0 else fall_db
        if self._echo.clear:
            more_db = _db(min(1.0, rest / self._echo.now)) - self._echo_share_db
            self._echo_share_db += RISE_DB if more_db > 0 else FALL * max(more_db, -MOST_DB)


def power(samples: Samples) -> float:
    """Return the mean square."""
    return float(samples @ samples) / max(1, len(samples))


def _db(value: float) -> float:
    return 10 * float(np.log10(value + 1e-12))


def _ratio(db: float) -> float:
    return float(10 ** (db / 10))
