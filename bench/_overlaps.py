"""What people do while a reply is spoken, and the replies: made by Piper, espeak-ng and shaped noise, always the same.

Every third input is held out: nothing was tuned on it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import product
from typing import Final

import numpy as np
from _clients import speech
from _processes import Unmeasured

from antiphon.audio.pcm import RATE, Samples, resample, to_samples

PIPER_RATE, ESPEAK_RATE = 22_050, 22_050
AUDIBLE = 0.02
"""A sound begins with the first sample that is louder than this share of the loudest."""

REPLIES: Final = (
    "The kettle is ready and the lights in the hall are off now. Shall I leave the one in the kitchen on for you?",
    "Tomorrow will be cloudy with some rain in the afternoon, about twelve degrees, and rather windy on the coast.",
    "There once was a dragon who lived on a hill above a small town, and every evening he looked down at the lamps.",
    "You have two meetings today. The first is at nine in the morning, and the second one is right after lunch.",
    "I have set a timer for ten minutes, and I will tell you when it is over. The other one has three minutes left.",
    "The nearest bakery opens at seven. It is a short walk from here, just past the bridge and then on the left.",
)
VOICES: Final = ("en-us", "en-gb+f3", "en-us+m3", "en-gb-scotland", "en-us+f2", "en-gb+m5")
SPOKEN: Final = (
    "stop",
    "what about tomorrow",
    "no, the other one please",
    "wait a moment",
    "turn off the light in the kitchen",
    "how long will it take",
    "that is enough, thank you",
    "can you say that again",
    "never mind",
    "but I asked for the weather in Paris",
)
KOREAN: Final = ("그만해", "잠깐만 기다려 줘", "내일 날씨는 어때")
BACKCHANNELS: Final = (
    ("en-us", "[[@m]]"),
    ("en-us+m3", "[[mh'm]]"),
    ("en-us+f2", "[[Vh'V]]"),
    ("en-us", "yeah"),
    ("en-gb+f3", "right"),
    ("en-us+f2", "okay"),
    ("ko", "응"),
    ("ko+f3", "네"),
    ("ko", "아 그래"),
)


class Kind(Enum):
    """What a person means by a sound."""

    SPEECH = "speech"
    """To interrupt."""
    COUGH = "cough"
    BACKCHANNEL = "backchannel"


@dataclass(frozen=True)
class Overlap:
    """A sound that a person makes over a reply."""

    name: str
    kind: Kind
    sound: Samples
    """From its first audible sample on: mono, 16 kHz."""
    held_out: bool


def replies() -> list[Samples]:
    """Return the replies, spoken by Piper: mono, 22050 Hz."""
    return [resample(speech(text), RATE, PIPER_RATE) for text in REPLIES]


def interruptions() -> list[Overlap]:
    """Return what people say to interrupt."""
    said = [*product(VOICES, SPOKEN), *product(("ko", "ko+f3"), KOREAN)]
    return [
        Overlap(f"{voice}: {text}", Kind.SPEECH, espeak(text, voice), _held_out(number))
        for number, (voice, text) in enumerate(said)
    ]


def noises() -> list[Overlap]:
    """Return coughs and what listeners say only to show that they listen."""
    coughs = [Overlap(f"cough {n}", Kind.COUGH, cough(n), _held_out(n)) for n in range(15)]
    channels = [
        Overlap(f"{voice}: {text} {speed}", Kind.BACKCHANNEL, espeak(text, voice, speed), _held_out(number))
        for number, ((voice, text), speed) in enumerate(product(BACKCHANNELS, (150, 190)))
    ]
    return coughs + channels


def _held_out(number: int) -> bool:
    return number % 3 == 2


@cache
def espeak(text: str, voice: str, words_a_minute: int = 165) -> Samples:
    """Return a text spoken by espeak-ng, from its first audible sample to its last: mono, 16 kHz.

    Raises:
        Unmeasured: it is not installed.
    """
    command = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "--stdout", text]
    try:
        wav = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unmeasured(f"espeak-ng, which speaks for the people, does not: {error}") from None
    return audible(resample(to_samples(wav[44:]), ESPEAK_RATE, RATE))


def audible(sound: Samples) -> Samples:
    """Return a sound without the silence around it."""
    loud = np.flatnonzero(np.abs(sound) > AUDIBLE * np.max(np.abs(sound)))
    return sound[loud[0] : loud[-1] + 1]


def cough(seed: int) -> Samples:
    """Return one to three bursts of noise through a throat: a sharp onset, 100 to 250 ms, a voiced end in some."""
    rng = np.random.default_rng(seed + 100)
    parts: list[Samples] = []
    for _ in range(int(rng.integers(1, 4))):
        count = int(RATE * rng.uniform(0.1, 0.25))
        at = np.arange(count) / RATE
        swell = np.minimum(1.0, at / 0.008) * np.exp(-at / rng.uniform(0.04, 0.09))
        source = rng.normal(size=count)
        if rng.random() < 0.5:
            source += 2.0 * np.sign(np.sin(2 * np.pi * rng.uniform(90, 180) * at)) * (at > 0.05)
        parts += [_throat(source, rng) * swell.astype(np.float32)]
        parts += [np.zeros(int(RATE * rng.uniform(0.08, 0.2)), dtype=np.float32)]
    return audible(np.concatenate(parts[:-1]))


def _throat(source: Samples, rng: np.random.Generator) -> Samples:
    """Colour noise as a mouth does: three broad resonances and a fall towards high frequencies."""
    spectrum = np.fft.rfft(source)
    hz = np.fft.rfftfreq(len(source), 1 / RATE)
    shape = 0.05 + sum(
        np.exp(-0.5 * ((hz - centre * rng.uniform(0.85, 1.15)) / width) ** 2)
        for centre, width in ((600, 200), (1500, 350), (2800, 500))
    )
    coloured: Samples = np.fft.irfft(spectrum * shape / (1 + (hz / 3500) ** 2), len(source)).astype(np.float32)
    return coloured
