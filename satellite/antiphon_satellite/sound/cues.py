"""The short sounds that tell what the satellite is doing. `scripts/make_cues.py` makes them."""

from __future__ import annotations

import wave
from enum import Enum
from functools import cache
from importlib.resources import files

from antiphon.audio.pcm import Samples, to_samples


class Cue(Enum):
    """A short sound; its value is the name of its file."""

    HEARD = "heard"
    THINKING = "thinking"
    FAILED = "failed"
    TIMER = "timer"
    MUTED = "muted"


@cache
def load(cue: Cue) -> tuple[Samples, int]:
    """Return the cue's mono samples and their rate."""
    with (files("antiphon_satellite") / "cues" / f"{cue.value}.wav").open("rb") as file, wave.open(file) as sound:
        return to_samples(sound.readframes(sound.getnframes())), sound.getframerate()
