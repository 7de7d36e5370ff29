"""The linear part of the echo, learned and taken out: a Kalman filter in blocks of the frequency domain.

WebRTC's canceller, which comes after it, hides what its own linear filter leaves over by silencing whatever sounds at
the same time, the person too: with an echo as loud as the person it heard half of the interruptions a second late. Fed
with what this filter leaves over, it hears them within a fifth of a second, because there is little to hide.

The filter needs no detector of double talk: each bin carries the variance of its own estimate, and moves less the more
of the microphone's sound it cannot explain (Enzner and Vary, Frequency-domain adaptive Kalman filter, 2006; in
partitions: Kuech, Mabande and Enzner, 2014). About 1.5 % of a core.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from antiphon.audio.pcm import RATE, Samples

FRAME = RATE // 100
"""Samples in a block, 10 ms: the same that WebRTC takes."""
PARTITIONS = 30
"""Blocks of echo that are modelled: 300 ms."""
KEPT = 0.9993
"""How much of the room is the same a block later."""
SMOOTHING = 0.9
FIRST_VARIANCE = 0.02
"""How far the room may be from silence at first: an echo as loud as what is played."""
CONSTRAINED = 4
"""Every fourth partition is made causal again after each block."""
WORSE = 25
"""After so many frames more in which it has made things worse than better, it begins anew."""
TINY = 1e-6

Spectra = npt.NDArray[np.complex64]


class LinearFilter:
    """Takes the echo of a reference out of a microphone's sound."""

    def __init__(self) -> None:
        shape = (PARTITIONS, FRAME + 1)
        self._heard = np.zeros(2 * FRAME, dtype=np.float32)
        self._played: Spectra = np.zeros(shape, dtype=np.complex64)
        self._room: Spectra = np.zeros(shape, dtype=np.complex64)
        self._variance = np.full(shape, FIRST_VARIANCE, dtype=np.float32)
        self._unexplained = np.full(FRAME + 1, 0.1, dtype=np.float32)
        self._turn = 0
        self._worse = 0

    def process(self, near: Samples, far: Samples) -> tuple[Samples, Samples]:
        """Return what is left of `near` without the echo of `far`, and that echo; `FRAME` samples each."""
        self._heard[:FRAME] = self._heard[FRAME:]
        self._heard[FRAME:] = far
        self._played[1:] = self._played[:-1]
        self._played[0] = np.fft.rfft(self._heard)
        played = self._played
        echo: Samples = np.fft.irfft(np.einsum("pf,pf->f", played, self._room), 2 * FRAME)[FRAME:].astype(np.float32)
        left = near - echo
        self._learn(np.fft.rfft(np.concatenate((np.zeros(FRAME, dtype=np.float32), left))).astype(np.complex64))
        worse = float(left @ left) > float(near @ near)
        self._worse = self._worse + 1 if worse else max(0, self._worse - 1)
        if self._worse > WORSE:
            self.forget()
        return (near if worse else left), echo

    def forget(self) -> None:
        """Begin anew: the room, or where the reference stands in it, is another."""
        self._room[:] = 0
        self._variance[:] = FIRST_VARIANCE
        self._worse = 0

    def doubt(self) -> None:
        """What was learned may not hold any more: be ready to learn."""
        np.maximum(self._variance, FIRST_VARIANCE, out=self._variance)

    def shift(self, blocks: int) -> None:
        """The echo comes so many blocks later after its reference from now on (earlier, if negative)."""
        for spectra in (self._room, self._variance):
            moved = np.zeros_like(spectra) if spectra is self._room else np.full_like(spectra, FIRST_VARIANCE)
            if abs(blocks) < PARTITIONS:
                kept = slice(max(0, -blocks), PARTITIONS - max(0, blocks))
                moved[max(0, blocks) : PARTITIONS - max(0, -blocks)] = spectra[kept]
            spectra[:] = moved
        self._played[:] = 0

    def _learn(self, left: Spectra) -> None:
        power = self._played.real**2 + self._played.imag**2
        self._unexplained = SMOOTHING * self._unexplained + (1 - SMOOTHING) * (left.real**2 + left.imag**2)
        expected = 0.5 * np.einsum("pf,pf->f", power, self._variance) + self._unexplained + TINY
        step = self._variance / expected
        self._room += step * np.conj(self._played) * left
        chosen = slice(self._turn % CONSTRAINED, None, CONSTRAINED)
        response = np.fft.irfft(self._room[chosen], 2 * FRAME, axis=1)
        response[:, FRAME:] = 0
        self._room[chosen] = np.fft.rfft(response, axis=1)
        self._turn += 1
        size = self._room.real**2 + self._room.imag**2
        self._variance = KEPT**2 * (1 - 0.5 * step * power) * self._variance + (1 - KEPT**2) * size
