"""Test speech, made by Piper: the same every time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
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


@cache
def espeak(text: str, voice: str = "en-us+f2", speed: int = 175) -> Samples:
    """Return a text spoken by espeak-ng, another voice than the satellite's own, from its first audible sample on."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", text]
    wav = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    sound = resample(to_samples(wav[44:]), 22_050, RATE)
    return sound[int(np.argmax(np.abs(sound) > 0.02 * np.max(np.abs(sound)))) :]


def cough() -> Samples:
    """Return a burst of noise of 0.2 s, as from a throat."""
    rng = np.random.default_rng(1)
    count = RATE // 5
    at = np.arange(count) / RATE
    smooth = np.convolve(rng.normal(size=count), np.hanning(12), "same")
    return (smooth * np.minimum(1.0, at / 0.008) * np.exp(-at / 0.05)).astype(np.float32)
