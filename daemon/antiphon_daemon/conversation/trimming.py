"""Takes the silence off the beginning and the end of what a voice says: pauses are made here, not by chance."""

from __future__ import annotations

import numpy as np

from antiphon.audio.pcm import Samples, to_bytes, to_samples

FRAME_MS = 5
LEAD_DB, TAIL_DB = -50.0, -55.0
"""A frame below this is silence before speech, and after it (speech begins abruptly and dies away)."""
LEAD_MS, TAIL_MS = 10, 20
"""Silence that is left, so that no onset is torn off and no click is heard."""
LONGEST_HELD_MS = 2000
"""Silence inside a clause that is longer than this is handed on before it is known what follows."""


class Trimmer:
    """Passes one clause's sound on, block by block; only silence is ever held back.

    Args:
        rate: samples a second of the s16le mono PCM.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._frame = rate * FRAME_MS // 1000
        self._torn = b""
        self._held: Samples = np.empty(0, dtype=np.float32)
        self._speaks = False

    def feed(self, pcm: bytes) -> bytes:
        """Return what is sure to be heard after `pcm` was added."""
        pcm = self._torn + pcm
        whole = len(pcm) - len(pcm) % 2
        self._torn = pcm[whole:]
        sound = np.concatenate((self._held, to_samples(pcm[:whole])))
        if not self._speaks:
            begin = self._onset(sound)
            if begin is None:
                self._held = sound[-(self._samples(LEAD_MS) + self._frame) :]
                return b""
            sound, self._speaks = sound[begin:], True
        end = max(self._last(sound), len(sound) - self._samples(LONGEST_HELD_MS))
        self._held = sound[end:]
        return to_bytes(sound[:end])

    def rest(self) -> bytes:
        """Return the end of the clause, with the little silence that belongs to it."""
        kept = self._held[: self._samples(TAIL_MS)].copy() if self._speaks else self._held[:0]
        self._held = self._held[:0]
        kept *= np.linspace(1, 0, len(kept), dtype=np.float32)
        return to_bytes(kept)

    def _onset(self, sound: Samples) -> int | None:
        loud = np.flatnonzero(self._levels(sound) > 10 ** (LEAD_DB / 20))
        return max(0, int(loud[0]) * self._frame - self._samples(LEAD_MS)) if len(loud) else None

    def _last(self, sound: Samples) -> int:
        """Return where the last frame ends that is no silence."""
        loud = np.flatnonzero(self._levels(sound) > 10 ** (TAIL_DB / 20))
        return min(len(sound), (int(loud[-1]) + 1) * self._frame) if len(loud) else 0

    def _levels(self, sound: Samples) -> Samples:
        """Return the root mean square of each frame; the last one may be short."""
        padded = np.pad(sound, (0, -len(sound) % self._frame))
        levels: Samples = np.sqrt(np.mean(np.square(padded.reshape(-1, self._frame)), axis=1))
        return levels

    def _samples(self, ms: int) -> int:
        return self._rate * ms // 1000
