"""Cuts a recording, however long, where its speakers pause: parts that a model hears at once, and live turns between.

    speech      ▂▆▇▅▂  ▃▇▆▂                  ▅▇▆▃ ▂▆▇▇▆▃ …
    parts      └──────────────┘ silence    └───────────┘   nobody is asked about the silence

A pause longer than `JOIN_S` ends a part. A part that grows beyond `PART_S` is cut in its longest pause, and speech
without any at `HARD_S`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples

PART_S = 11.0
"""A part is about so long: one window of Whisper's middle size, so a live turn never waits for a long one."""
HARD_S = 28.0
"""Speech without a pause is cut here: Whisper hears 30 s."""
JOIN_S = 1.0
"""What is separated by less belongs together: the words before tell what is meant."""
PAD_S = 0.3
"""Sound around speech that is kept: its first consonant is softer than what the voice activity notices."""


@dataclass(frozen=True)
class Part:
    """A stretch of speech."""

    start_s: float
    """Where its speech begins in the recording."""
    end_s: float
    samples: Samples
    """Its sound, with a little around it."""


class Cutter:
    """Takes a recording (mono, 16 kHz) as it comes.

    Args:
        judge: tells speech; nobody else uses it meanwhile.
    """

    def __init__(self, judge: vad.Judge) -> None:
        self._tracker = vad.SpeechTracker(judge)
        self._kept: Samples = np.empty(0, dtype=np.float32)
        self._from = 0
        """Where `_kept` begins in the recording."""
        self._used = 0
        """Where the sound of the part before ends."""
        self._began: int | None = None
        """Where the speech that goes on began."""
        self._stretches: list[tuple[int, int]] = []
        """Speech between pauses that is not in a part yet."""
        self._over: int | None = None
        """Where the recording ends, once that is known."""

    def feed(self, samples: Samples) -> Iterator[Part]:
        """Yield the parts that are whole after `samples` were added."""
        self._kept = np.concatenate((self._kept, samples))
        for happened in self._tracker.feed(samples):
            if isinstance(happened, vad.SpeechBegan):
                if self._stretches and happened.at - self._stretches[-1][1] > JOIN_S * RATE:
                    yield self._part(len(self._stretches))
                self._began = happened.at
            elif self._began is not None:
                self._stretches.append((self._began, happened.at))
                self._began = None
                yield from self._long()
        if self._began is None:
            if self._stretches and self._tracker.position - self._stretches[-1][1] > JOIN_S * RATE:
                yield self._part(len(self._stretches))
        else:
            yield from self._breathless()
        self._forget()

    def end(self) -> Iterator[Part]:
        """Yield what is left: the recording is over."""
        self._over = self._from + len(self._kept)
        yield from self.feed(np.zeros(round(JOIN_S * RATE) + 2 * vad.FRAME, dtype=np.float32))
        if self._began is not None:
            self._stretches.append((self._began, self._over))
        if self._stretches:
            yield self._part(len(self._stretches))

    def _long(self) -> Iterator[Part]:
        """Cut off what is long enough, in its longest pause."""
        start = self._stretches[0][0]
        if self._stretches[-1][1] - start <= PART_S * RATE or len(self._stretches) == 1:
            return  # where a pause ends that has only begun, nobody knows: the next speech may be near
        places = [at for at in range(1, len(self._stretches)) if self._stretches[at][0] - start > PART_S * RATE / 3]
        pause = {at: self._stretches[at][0] - self._stretches[at - 1][1] for at in places}
        yield self._part(max(places, key=pause.__getitem__, default=1))

    def _breathless(self) -> Iterator[Part]:
        """Cut speech that goes on and on: before it, or where it is softest."""
        assert self._began is not None
        start = self._stretches[0][0] if self._stretches else self._began
        if self._tracker.position - start <= HARD_S * RATE:
            return
        if self._stretches:
            yield self._part(len(self._stretches))
        while self._tracker.position - self._began > HARD_S * RATE:
            cut = self._softest(self._began + round(PART_S * RATE), self._began + round(HARD_S * RATE))
            self._stretches.append((self._began, cut))
            self._began = cut
            yield self._part(1)

    def _softest(self, low: int, high: int) -> int:
        """Return the place between two that is softest, to a tenth of a second."""
        step = RATE // 10
        steps = self._kept[low - self._from : high - self._from]
        powers = np.square(steps[: len(steps) - len(steps) % step].reshape(-1, step)).sum(axis=1)
        return low + int(np.argmin(powers)) * step + step // 2

    def _part(self, count: int) -> Part:
        """Take the first stretches as a part."""
        taken, self._stretches = self._stretches[:count], self._stretches[count:]
        start, end = taken[0][0], taken[-1][1]
        following = self._stretches[0][0] if self._stretches else self._began
        pad = round(PAD_S * RATE)
        until = end + pad if following is None else min(end + pad, (end + following) // 2)
        if self._over is not None:
            end, until = min(end, self._over), min(until, self._over)
        low = max(self._used, start - pad)
        self._used = until
        samples = self._kept[low - self._from : until - self._from]
        return Part(start / RATE, end / RATE, samples)

    def _forget(self) -> None:
        """Keep what a part may still need."""
        first = self._stretches[0][0] if self._stretches else self._began
        needed = (self._tracker.position - round(JOIN_S * RATE)) if first is None else first
        low = max(self._from, min(needed - round(PAD_S * RATE), self._from + len(self._kept)))
        self._kept = self._kept[low - self._from :].copy()
        self._from = low
