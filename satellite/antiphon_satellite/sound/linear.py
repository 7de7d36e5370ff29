"""The linear part of the echo, learned and taken out: a Kalman filter in blocks of the frequency domain.

WebRTC's canceller, which comes after it, hides what its own linear filter leaves over by silencing whatever sounds at
the same time, the person too: with an echo as loud as the person it heard half of the interruptions a second late. Fed
with what this filter leaves over, it hears them within a fifth of a second, because there is little to hide.

Each bin carries the variance of its own estimate, and moves less the more of the microphone's sound it cannot explain
(Enzner and Vary, Frequency-domain adaptive Kalman filter, 2006; in partitions: Kuech, Mabande and Enzner, 2014). A
person who speaks while hardly anything plays spoils it all the same. So there are two of it (Ochiai, Araseki and
Ogihara, Echo canceler with two echo path models, 1977): one learns all the time, the other is what is used, and is
given what was learned when that has done better for a while; what has done worse is thrown away. About 2 % of a core.
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
LASTING = 0.9
"""How slowly the two are compared: over some 100 ms."""
BETTER, SPOILT = 0.9, 2.0
"""What was learned is used when it leaves less than this of what the used one leaves, and dropped when it leaves more
than this. Both are, when they leave so much more than there was."""
AUDIBLE = 1e-5
"""Power (-50 dB of full scale) of the reference from which on they are compared."""
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
        self._used, self._used_variance = self._room.copy(), self._variance.copy()
        """The room that counts; `_room` is what is being learned."""
        self._rest = np.zeros(3)
        """What the one that is used leaves over, the one that learns, and no filter at all."""

    def process(self, near: Samples, far: Samples) -> tuple[Samples, Samples]:
        """Return what is left of `near` without the echo of `far`, and that echo; `FRAME` samples each."""
        self._heard[:FRAME] = self._heard[FRAME:]
        self._heard[FRAME:] = far
        self._played[1:] = self._played[:-1]
        self._played[0] = np.fft.rfft(self._heard)
        played = self._played
        both = np.stack([np.einsum("pf,pf->f", played, room) for room in (self._used, self._room)])
        echoes = np.fft.irfft(both, 2 * FRAME, axis=1)[:, FRAME:].astype(np.float32)
        lefts = near - echoes
        self._learn(np.fft.rfft(np.concatenate((np.zeros(FRAME, dtype=np.float32), lefts[1]))).astype(np.complex64))
        if float(far @ far) > AUDIBLE * FRAME:
            self._compare(np.append(np.sum(lefts**2, axis=1), near @ near))
        better = int(self._rest[1] < self._rest[0])
        left: Samples = lefts[better]
        worse = float(left @ left) > float(near @ near)
        return (near if worse else left), echoes[better]

    def _compare(self, rest: npt.NDArray[np.float32]) -> None:
        """Use what was learned, or learn anew from what is used, if one of them has done clearly better."""
        self._rest = LASTING * self._rest + (1 - LASTING) * rest
        used, learned, without = self._rest
        if min(used, learned) > SPOILT * without:
            self.forget()
        elif learned < BETTER * used:
            self._used[:], self._used_variance[:] = self._room, self._variance
            self._rest[0] = learned
        elif learned > SPOILT * used:
            self._room[:] = self._used
            np.maximum(self._variance, self._used_variance, out=self._variance)
            self._rest[1] = used

    def echo_of(self, far: Samples, count: int) -> Samples:
        """Return the echo, as it is believed now, of a reference in its last `count` samples."""
        response = np.fft.irfft(self._used, 2 * FRAME, axis=1)[:, :FRAME].ravel()
        size = 1 << (len(far) + len(response)).bit_length()
        whole = np.fft.irfft(np.fft.rfft(far, size) * np.fft.rfft(response, size), size)
        echo: Samples = whole[len(far) - count : len(far)].astype(np.float32)
        return echo

    def forget(self) -> None:
        """Begin anew: the room, or where the reference stands in it, is another."""
        for room, variance in self._both():
            room[:] = 0
            variance[:] = FIRST_VARIANCE
        self._rest[:] = 0

    def doubt(self) -> None:
        """What was learned may not hold any more: be ready to learn."""
        for _, variance in self._both():
            np.maximum(variance, FIRST_VARIANCE, out=variance)

    def shift(self, blocks: int) -> None:
        """The echo comes so many blocks later after its reference from now on (earlier, if negative)."""
        kept = slice(max(0, -blocks), PARTITIONS - max(0, blocks))
        for room, variance in self._both():
            for spectra, fresh in ((room, 0), (variance, FIRST_VARIANCE)):
                moved = np.full_like(spectra, fresh)
                if abs(blocks) < PARTITIONS:
                    moved[max(0, blocks) : PARTITIONS - max(0, -blocks)] = spectra[kept]
                spectra[:] = moved
        self._played[:] = 0

    def _both(self) -> tuple[tuple[Spectra, npt.NDArray[np.float32]], ...]:
        return (self._room, self._variance), (self._used, self._used_variance)

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
