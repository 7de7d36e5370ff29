"""What people say to Antiphon in the benchmarks: made by the repository, the same every time, kept in `build/corpus`.

Each sentence is spoken by three voices. Half of the utterances hold an inner pause at a word gap that a seeded draw
chooses: the sentence is synthesised whole and cut there, so that no falling voice gives the pause away. A third of the
sentences is held out: no policy is tuned on them. `load` reads the same form from a folder of other recordings.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from _processes import Unmeasured

from antiphon.audio import vad, wav
from antiphon.audio.pcm import RATE, Samples, resample
from antiphon.configuration import ROOT

sys.path.insert(0, str(ROOT / "tests"))

from speech import espeak, speaker

FOLDER = ROOT / "build" / "corpus"
VERSION = 3
"""Raised when what is made here changes: what was made before is then made anew."""
SEED = 20_261_124
LEAD_S = 0.3
NOISE_DB = -62.0
"""A quiet room: digital silence would be a gift to every detector."""
HIGHER = 1.13
"""The second voice is the first, faster and higher by this much: another speaker's vocal tract."""
SHORT_PAUSE_S, LONG_PAUSE_S = (0.3, 0.8), (0.8, 1.2)
GAP_S = 0.08
"""A word's boundary is looked for so far around where the recogniser puts it."""

SENTENCES = (
    "What is the capital of France?",
    "Set a timer for ten minutes.",
    "Tell me a story about a dragon and a knight.",
    "How far is the moon from the earth?",
    "Turn on the light in the kitchen.",
    "What will the weather be like tomorrow morning?",
    "Who wrote Romeo and Juliet?",
    "Please remind me to call my mother this evening.",
    "Why is the sky blue?",
    "Can you recommend a good book for a ten year old?",
    "How do I make pancakes without eggs?",
    "What is the largest planet in the solar system?",
    "Add milk and bread to the shopping list.",
    "How many days are there until Christmas?",
    "Give me a recipe for tomato soup.",
    "What does the word antiphon mean?",
    "Close the curtains in the living room.",
    "When did the second world war end?",
    "Explain how a rainbow is made.",
    "Is it safe to eat raw mushrooms?",
    "Play some quiet music in the bedroom.",
    "What is the difference between a frog and a toad?",
    "How old was Mozart when he died?",
    "Wake me up at half past six tomorrow.",
    "Which country has the most people?",
    "I would like to know how to grow tomatoes on a balcony.",
    "What is twelve times eleven?",
    "Good morning, how are you today?",
    "Name three rivers in Europe.",
    "How long does it take to boil an egg?",
    "Could you tell me something about the history of tea?",
    "Switch off everything downstairs.",
    "What should I wear if it rains in the afternoon?",
    "Who painted the Mona Lisa?",
    "Translate good night into Spanish.",
    "How do airplanes stay in the air?",
    "What time does the sun set in summer?",
    "Make the bedroom a little warmer, please.",
    "Tell me a joke about a cat.",
    "What is the fastest animal on land?",
    "How can I fall asleep more easily?",
    "Where do penguins live?",
    "Write a short poem about the sea.",
    "How much water should I drink every day?",
    "What are the colors of the Italian flag?",
    "Find out why my plant has yellow leaves.",
    "Do cats dream when they sleep?",
    "What is the tallest mountain in Africa?",
    "Give me an idea for a birthday present for my father.",
    "How does a microwave oven work?",
    "Is there life on other planets?",
    "What language do they speak in Brazil?",
    "Count from one to five.",
    "How many legs does a spider have?",
    "What can I cook with potatoes and cheese?",
    "Tell me what you can do.",
    "Who was the first person to walk on the moon?",
    "What is the best way to clean a window?",
    "How do you say thank you in Japanese?",
    "Are tomatoes a fruit or a vegetable?",
    "What happened in the year nineteen sixty nine?",
    "Suggest a name for my new dog.",
    "How heavy is a blue whale?",
)
VOICES = ("joe", "joe-higher", "espeak")


@dataclass(frozen=True)
class Utterance:
    """One thing that is said, in a file (mono, 16 kHz)."""

    file: str
    text: str
    voice: str
    end_s: float
    """Where its last speech ends."""
    pauses: tuple[tuple[float, float], ...] = ()
    """Inner pauses, as begin and end in seconds."""
    held_out: bool = False

    @property
    def longest_pause_s(self) -> float:
        return max((end - begin for begin, end in self.pauses), default=0.0)


def corpus(progress: Callable[[str], None] = lambda _: None) -> tuple[Path, list[Utterance]]:
    """Return the folder and the utterances, made now if they are not there yet."""
    folder = FOLDER / f"v{VERSION}"
    if not (folder / "manifest.json").is_file():
        progress("making the utterances")
        _make(folder)
    return folder, load(folder)


def load(folder: Path) -> list[Utterance]:
    """Read a folder's `manifest.json`: a list of objects with file, text, end_s, pauses (and voice, held_out).

    Raises:
        Unmeasured: there is none, or it is not of that form.
    """
    try:
        given = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return [
            Utterance(
                str(one["file"]),
                str(one["text"]),
                str(one.get("voice", "")),
                float(one["end_s"]),
                tuple((float(begin), float(end)) for begin, end in one.get("pauses", ())),
                bool(one.get("held_out", False)),
            )
            for one in given
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unmeasured(f"{folder}/manifest.json cannot be used: {error}") from None


def sound(folder: Path, utterance: Utterance) -> Samples:
    """Return the samples of one."""
    return wav.read(str(folder / utterance.file))


def spoken_by(voice: str, text: str) -> Samples:
    """Return `text` spoken by one of `VOICES`, without the silence around it.

    Raises:
        Unmeasured: espeak-ng is not installed.
    """
    samples = _espeak(text) if voice == "espeak" else _piper()(text)
    if voice == "joe-higher":
        samples = resample(samples, round(RATE * HIGHER), RATE)
    bounds = vad.speech_bounds(samples, vad.load())
    return samples[slice(*bounds)] if bounds else samples


@cache
def _piper() -> Callable[[str], Samples]:
    return speaker()


def _espeak(text: str) -> Samples:
    try:
        return espeak(text, "en-us", 165)
    except (OSError, subprocess.SubprocessError):
        raise Unmeasured("espeak-ng is not installed: sudo apt install espeak-ng") from None


def _make(folder: Path) -> None:
    draw = random.Random(SEED)
    noise = np.random.default_rng(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, text in enumerate(SENTENCES):
        for voice in VOICES:
            samples = spoken_by(voice, text)
            gap = _word_gap(samples, draw) if draw.random() < 0.5 else None
            length = draw.uniform(*(SHORT_PAUSE_S if draw.random() < 0.75 else LONG_PAUSE_S))
            pauses: tuple[tuple[float, float], ...] = ()
            if gap is not None:
                pause = np.zeros(round(length * RATE), dtype=np.float32)
                samples = np.concatenate((_faded(samples[:gap]), pause, samples[gap:]))
                pauses = ((LEAD_S + gap / RATE, LEAD_S + gap / RATE + length),)
            samples = np.concatenate((np.zeros(round(LEAD_S * RATE), dtype=np.float32), samples))
            end_s = len(samples) / RATE
            samples = samples + 10 ** (NOISE_DB / 20) * noise.standard_normal(len(samples)).astype(np.float32)
            name = f"{number:02}-{voice}.wav"
            wav.write(folder / name, samples.astype(np.float32))
            made.append(Utterance(name, text, voice, end_s, pauses, held_out=number % 3 == 2))
    (folder / "manifest.json").write_text(json.dumps([asdict(one) for one in made], indent=1), encoding="utf-8")


def _faded(samples: Samples, fade: int = RATE // 200) -> Samples:
    faded = samples.copy()
    faded[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return faded


def _word_gap(samples: Samples, draw: random.Random) -> int | None:
    """Return a word gap inside the speech, by the recogniser's clock and then where it is quietest."""
    words = _timer()(samples)
    inner = [end for _, end in words[:-1] if 0.25 < end < len(samples) / RATE - 0.25]
    if not inner:
        return None
    near = round(draw.choice(inner) * RATE)
    reach, step = round(GAP_S * RATE), RATE // 200
    first = max(0, near - reach)
    levels = [float(np.square(samples[at : at + 2 * step]).sum()) for at in range(first, near + reach, step)]
    return first + (int(np.argmin(levels)) + 1) * step


@cache
def _timer() -> Callable[[Samples], Sequence[tuple[float, float]]]:
    from faster_whisper import WhisperModel

    from antiphon_daemon.engines import catalogue

    model = WhisperModel(str(catalogue.whisper()), compute_type="int8", cpu_threads=2)

    def times(samples: Samples) -> Sequence[tuple[float, float]]:
        segments, _ = model.transcribe(samples, word_timestamps=True, beam_size=1, temperature=0.0)
        return [(float(word.start), float(word.end)) for segment in segments for word in segment.words or ()]

    return times


def noise_floor(seconds: float, seed: int = SEED) -> Samples:
    """Return the quiet room by itself: what follows an utterance."""
    room: Samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)
    return room * np.float32(10 ** (NOISE_DB / 20))
