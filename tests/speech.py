"""Test speech, made by Piper: the same every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from antiphon.audio.pcm import RATE, Samples, resample, to_samples

Say: TypeAlias = Callable[[str], Samples]
"""Speaks a text: mono, 16 kHz."""


def silence(seconds: float) -> Samples:
    """Return digital silence."""
    return np.zeros(round(seconds * RATE), dtype=np.float32)


def speaker() -> Say:
    """Return a function that speaks with the embedded voice, without the randomness that a voice has in life."""
    from piper import PiperVoice, SynthesisConfig

    from antiphon_daemon.engines import catalogue

    voice = PiperVoice.load(catalogue.piper())
    even = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
    spoken: dict[str, Samples] = {}

    def say(text: str) -> Samples:
        if text not in spoken:
            pcm = b"".join(chunk.audio_int16_bytes for chunk in voice.synthesize(text, even))
            spoken[text] = resample(to_samples(pcm), voice.config.sample_rate, RATE)
        return spoken[text]

    return say
