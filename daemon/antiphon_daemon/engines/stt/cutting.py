"""Cutting long sound for models that see half a minute at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from antiphon.audio.pcm import RATE, Samples

FULL_WINDOW_S = 30.0
"""What Whisper's encoder looks at."""
MARGIN_S = 0.5
"""The model needs to see that speech has ended."""
CUT_FROM_S, CUT_TO_S = 20.0, FULL_WINDOW_S - MARGIN_S
"""Longer sound is cut where it is quietest between these."""


def cut(audio: Samples) -> Iterator[Samples]:
    """Yield `audio` in parts that fit the full window, cut where it is quietest."""
    step = RATE // 10
    while len(audio) > CUT_TO_S * RATE:
        start = round(CUT_FROM_S * RATE)
        steps = audio[start : round(CUT_TO_S * RATE)]
        powers = np.square(steps[: len(steps) - len(steps) % step].reshape(-1, step)).sum(axis=1)
        # Two steps together, so that the cut lies in a pause and not in the closure of a consonant.
        end = start + (int(np.argmin(powers[:-1] + powers[1:])) + 1) * step
        yield audio[:end]
        audio = audio[end:]
    yield audio
