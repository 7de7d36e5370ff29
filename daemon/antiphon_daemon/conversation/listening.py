"""One session's sound: its clock in samples, when speech begins and pauses, and the utterance so far.

The clock is advanced by the audio that comes, and by `pass_time` when none does (a muted microphone, a waiting peer).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from antiphon.audio.pcm import RATE, Samples
from antiphon.audio.vad import Judge, SpeechBegan, SpeechPaused, SpeechTracker

BEFORE, AFTER = RATE // 2, RATE * 3 // 10
"""Sound before and after speech that a transcriber gets: soft consonants lie there, and the voice activity model needs
a moment to believe in speech that begins with the stream."""
KEPT = RATE
"""Sound that is kept while nobody speaks."""
GAP_S = 0.3
"""A stream that begins so soon after the sound before is the same microphone, which was never closed."""
PACE_S = 1.0
LIVE_LEAD_S = 2.0
"""Sound that came so much faster than real time within the last `PACE_S` is no microphone (with its pre-roll) but a
recording."""


class Listening:
    """Follows the sound of one session. Positions are session samples."""

    def __init__(self, judge: Judge, clock: Callable[[], float] = time.monotonic) -> None:
        self._tracker = SpeechTracker(judge)
        self._clock = clock
        self._segments: deque[tuple[int, Samples]] = deque()
        self._offset = 0
        self._pace: deque[tuple[float, int]] = deque()
        self.now = 0
        """The session's time."""

    def open(self, *, go_on: bool = False) -> None:
        """Begin a stream: what came before is forgotten (unless it goes on with that), time goes on.

        A word that has just begun, at a microphone which was never closed, is heard from its beginning.
        """
        never_closed = bool(self._pace) and self._clock() - self._pace[-1][0] < GAP_S
        begun = never_closed and self.rising
        self._tracker.reset(goes_on=never_closed)
        if not go_on and not begun:
            self._segments.clear()
        self._pace.clear()

    def feed(self, samples: Samples) -> list[SpeechBegan | SpeechPaused]:
        """Hear more sound (mono, 16 kHz); return what happened in it."""
        at = self._clock()
        self._pace.append((at, len(samples)))
        while self._pace[0][0] < at - PACE_S:
            self._pace.popleft()
        self._segments.append((self.now, samples))
        self.now += len(samples)
        happened = self._tracker.feed(samples)
        return [type(event)(event.at + self._offset) for event in happened]

    def pass_time(self, samples: int) -> None:
        """Let time go on without sound."""
        self.now += samples
        self._offset += samples

    @property
    def live(self) -> bool:
        """Whether the sound comes at the pace of a microphone now."""
        since = self._clock() - PACE_S
        return sum(count for at, count in self._pace if at >= since) / RATE <= PACE_S + LIVE_LEAD_S

    @property
    def resting(self) -> bool:
        """It has been quiet for so long that speech, which would be louder, is not even looked for."""
        return self._tracker.resting

    @property
    def rising(self) -> bool:
        """Speech may have begun again: a few frames more will tell."""
        return self._tracker.rising

    def utterance(self, began: int, ended: int | None = None) -> Samples:
        """Return the sound from `began` to `ended` (default: now), with a margin on both sides."""
        first, last = began - BEFORE, self.now if ended is None else ended + AFTER
        parts = []
        for at, samples in self._segments:
            start, stop = max(0, first - at), min(len(samples), last - at)
            if start < stop:
                parts.append(samples[start:stop])
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)

    def keep_from(self, began: int | None) -> None:
        """Forget sound before `began` (and a margin); with None, all but the last second."""
        oldest = self.now - KEPT if began is None else began - BEFORE
        while self._segments and self._segments[0][0] + len(self._segments[0][1]) < oldest:
            self._segments.popleft()
