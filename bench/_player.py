"""A loudspeaker that makes no sound: it notes when what came, and tells afterwards what would have been heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from antiphon.audio.pcm import to_samples
from antiphon_daemon.engines.contracts import EngineError

FRAME_MS = 5
AUDIBLE_DB = -50.0
DRY_MS = 1.0
"""A loudspeaker that has had nothing for less than this has not run dry."""


@dataclass
class Player:
    """Hears one reply (see `Listener`), as a satellite does that plays what comes at once."""

    clock: Callable[[], float] = time.perf_counter
    rate: int = 0
    text: str = ""
    failure: str = ""
    came: list[tuple[float, bytes]] = field(default_factory=list)

    def reply_began(self, rate: int) -> None:
        self.rate = rate

    def reply_sound(self, pcm: bytes) -> None:
        self.came.append((self.clock(), pcm))

    def reply_written(self, text: str) -> None:
        self.text = text

    def reply_ended(self, samples: int) -> None: ...

    def reply_failed(self, error: EngineError) -> None:
        self.failure = str(error)

    @property
    def sound_s(self) -> float:
        """Seconds of sound that came."""
        return sum(len(pcm) for _, pcm in self.came) / 2 / self.rate

    def timeline(self) -> list[tuple[float, float]]:
        """Return when each block was played, from and to, on the clock."""
        played: list[tuple[float, float]] = []
        for at, pcm in self.came:
            begins = max(at, played[-1][1]) if played else at
            played.append((begins, begins + len(pcm) / 2 / self.rate))
        return played

    def dry_ms(self) -> list[float]:
        """Return how long each moment was in which there was nothing to play, and the reply was not over."""
        played = self.timeline()
        gaps = ((later[0] - earlier[1]) * 1000 for earlier, later in pairwise(played))
        return [gap for gap in gaps if gap > DRY_MS]

    def first_sound_s(self) -> float:
        """Return when something is heard for the first time, on the clock."""
        return next((at for at, quiet in self._frames() if not quiet), 0.0)

    def silences_ms(self, least_ms: float = 60.0) -> list[float]:
        """Return how long each silence between two sounds was, as heard: pauses, and moments without sound."""
        found: list[float] = []
        last: float | None = None
        for at, quiet in self._frames():
            if not quiet:
                if last is not None and (at - last) * 1000 >= least_ms:
                    found.append((at - last) * 1000)
                last = at + FRAME_MS / 1000
        return found

    def _frames(self) -> list[tuple[float, bool]]:
        """Return when each frame begins to be played, and whether it is silent."""
        size = self.rate * FRAME_MS // 1000
        frames: list[tuple[float, bool]] = []
        for (begins, _), (_, pcm) in zip(self.timeline(), self.came, strict=True):
            sound = to_samples(pcm)
            whole = sound[: len(sound) - len(sound) % size].reshape(-1, size)
            quiet = np.sqrt(np.mean(np.square(whole), axis=1)) < 10 ** (AUDIBLE_DB / 20)
            frames += [(begins + number * FRAME_MS / 1000, bool(one)) for number, one in enumerate(quiet)]
        return frames
