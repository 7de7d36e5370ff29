"""When a voice over our own sound counts: it began (pause), it lasts (stop), it was nothing (go on), it is over.

        no voice ──began──► doubtful ──lasted──► speaking ──hushed──► over
            ▲                   │
            └──────faded────────┘

The voice detector judges frames of 32 ms that were cleaned of our own sound. One frame begins: a pause of a quarter of
a second is soon forgiven, a late one is not. After it nothing of our own is left to hear within the device's delay, so
what lasts is a person. Frames no louder than what the echo canceller is known to leave over count as silence.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from antiphon.audio.pcm import RATE
from antiphon.audio.vad import FRAME

BEGINS, SPEAKS = 0.3, 0.5
"""Above the first probability a frame begins speech, above the second it goes on."""
FLOOR_DB = -52.0
"""Frames that are quieter are silence."""
ABOVE_RESIDUE_DB = 8.0
"""So much louder than what is expected to be left of the echo a frame must be."""
SHARE = 0.6
"""So many of the frames since it began are speech in speech that lasts."""
FADED_FRAMES = 5
"""Silence of so many frames (160 ms) ends what has not lasted."""
DOUBTFUL_FRAMES = 25
"""What has not lasted after so many frames (0.8 s) is no speech."""
HUSHED_FRAMES = 40
"""Silence of so many frames (1.3 s) after speech: nobody speaks any more."""
FRAME_MS = 1000 * FRAME / RATE


class Heard(Enum):
    """What a frame has made clear."""

    BEGAN = auto()
    LASTED = auto()
    FADED = auto()
    HUSHED = auto()


class _Phase(Enum):
    QUIET = auto()
    DOUBTFUL = auto()
    SPEAKING = auto()
    OVER = auto()


@dataclass(frozen=True)
class Frame:
    """One frame of 32 ms, judged."""

    probability: float
    """Of speech."""
    level_db: float
    """Of full scale."""
    residue_db: float
    """What is expected to be left of our own sound."""


class Interruption:
    """Follows one voice. Positions count frames from the start.

    Args:
        lasting_ms: speech that lasts so long interrupts.
    """

    def __init__(self, lasting_ms: int) -> None:
        self._lasting = max(2, round(lasting_ms / FRAME_MS))
        self._phase = _Phase.QUIET
        self._spoken: deque[bool] = deque(maxlen=DOUBTFUL_FRAMES)
        self._silence = 0
        self.began = 0
        """The frame in which the voice began."""
        self._count = 0

    def feed(self, frame: Frame) -> Heard | None:
        """Judge the next frame and return what it has made clear."""
        self._count += 1
        loud = frame.level_db >= max(FLOOR_DB, frame.residue_db + ABOVE_RESIDUE_DB)
        speech = loud and frame.probability >= (BEGINS if self._phase is _Phase.QUIET else SPEAKS)
        self._silence = 0 if speech else self._silence + 1
        return _NEXT[self._phase](self, speech)

    def _quiet(self, speech: bool) -> Heard | None:
        if not speech:
            return None
        self._phase = _Phase.DOUBTFUL
        self.began = self._count - 1
        self._spoken.clear()
        self._spoken.append(True)
        return Heard.BEGAN

    def _doubtful(self, speech: bool) -> Heard | None:
        self._spoken.append(speech)
        if speech and len(self._spoken) >= self._lasting and sum(self._spoken) >= SHARE * len(self._spoken):
            self._phase = _Phase.SPEAKING
            return Heard.LASTED
        if self._silence >= FADED_FRAMES or len(self._spoken) >= DOUBTFUL_FRAMES:
            self._phase = _Phase.QUIET
            return Heard.FADED
        return None

    def _speaking(self, speech: bool) -> Heard | None:
        if self._silence < HUSHED_FRAMES:
            return None
        self._phase = _Phase.OVER
        return Heard.HUSHED

    def _over(self, speech: bool) -> Heard | None:
        return None


_NEXT: Final = {
    _Phase.QUIET: Interruption._quiet,
    _Phase.DOUBTFUL: Interruption._doubtful,
    _Phase.SPEAKING: Interruption._speaking,
    _Phase.OVER: Interruption._over,
}
