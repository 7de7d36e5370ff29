"""Speech made with Piper: sentence by sentence, and within a sentence piece by piece."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from piper import PiperVoice
from piper.config import PiperConfig

from antiphon.audio.pcm import Resampler, to_bytes
from antiphon.places import at_home
from antiphon.settings import Tts
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Voice, Work
from antiphon_daemon.engines.tts.in_process import InProcess
from antiphon_daemon.engines.tts.onnx import READY, gain_for, options, peak_of, unclipped
from antiphon_daemon.engines.tts.pieces import letters_apart
from antiphon_daemon.engines.tts.scripts import readable
from antiphon_daemon.engines.tts.vits import Vits
from antiphon_daemon.engines.worker import threads

RATE = 22_050
"""What every voice is given out at, whatever it was trained at."""

LONGEST_PIECE = 400
"""Characters that are turned into phonemes at once. Longer text is cut: espeak-ng holds the interpreter's lock while it
works, and a sentence without an end would be synthesised in one go."""

MOST_PHONEMES = 160
"""Phonemes that are encoded at once: with twice as many the encoder takes three times as long, and with the 4000 that
numbers or foreign letters can make of `LONGEST_PIECE`, 17 s. These take 0.1 to 0.2 s, and are some ten seconds of
speech; a longer sentence is parted at a pause of its own, or between words."""
LEAST_PHONEMES = 40
"""A part that is shorter does not sound like one."""

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+")
_PAUSES = frozenset(",;:，、；：—")


class Loaded:
    """A voice in memory. Making one loads and warms it, which blocks for a second.

    Raises:
        EngineMissing: the embedded voice is not installed.
        EngineError: the voice or its `.json` cannot be loaded, or has no such speaker.
    """

    def __init__(self, settings: Tts) -> None:
        models.same_engine("tts", settings.voice, "piper")
        named = catalogue.piper() if settings.voice == "embedded" else models.path("tts", settings.voice)
        path = named or at_home(settings.voice)
        config = _read_config(catalogue.check("tts", Path(f"{path}.json")))
        self._model = _load(catalogue.check("tts", path), threads(settings.threads))
        self._voice = PiperVoice(session=None, config=PiperConfig.from_dict(dict(config)))
        self._length_scale = self._voice.config.length_scale / settings.speed
        family = str(config.get("language", {}).get("family") or self._voice.config.espeak_voice)
        self.name = path.stem
        self.language = re.split("[-_]", family)[0]
        self.speakers: Mapping[str, int] = self._voice.config.speaker_id_map
        self._speaker: int | None = None
        self._speaker = self.find(settings.speaker or None)
        self._gain = self._learn_gain()

    def find(self, voice: str | None) -> int | None:
        """Return the speaker that is asked for by the voice's name, a speaker's, or both; None where there is one."""
        if voice is None or voice == self.name:
            return self._speaker
        speaker = voice.removeprefix(f"{self.name}/")
        if speaker in self.speakers:
            return self.speakers[speaker]
        known = ", ".join([self.name, *self.speakers])
        raise EngineError("tts", f"There is no voice {voice} here, only: {known}.")

    def say(self, text: str, speaker: int | None) -> Iterator[bytes]:
        """Yield `text` as s16le at `RATE`, the first third of a second of each sentence first."""
        for piece in pieces(readable(text, self.language)):
            try:
                for arguments in self._sentences(piece, speaker):
                    yield from self._sound(arguments)
            except Exception as error:  # neither onnxruntime's errors nor the phonemizers' have a common base
                says = f"The voice {self.name} could not say this ({error})."
                raise EngineError("tts", says, quoted=str(error)) from error

    def _learn_gain(self) -> float:
        peak = 0.0
        for arguments in self._sentences(READY, self._speaker, still=True):
            peak = max(peak, peak_of(self._model.warm_up(arguments)))
        return gain_for(peak)

    def _sound(self, arguments: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield one sentence at the one rate, as loud as all others, never clipped."""
        resampler, gain = Resampler(self._voice.config.sample_rate, RATE), self._gain
        for samples in self._model.speak(arguments):
            gain = unclipped(gain, samples)
            if len(ready := resampler.feed(samples * np.float32(gain))):
                yield to_bytes(ready)
        if len(ready := resampler.feed(np.empty(0, dtype=np.float32), last=True)):
            yield to_bytes(ready)

    def _sentences(self, text: str, speaker: int | None, *, still: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the model's inputs for each sentence; `still`: without the chance that makes a voice lively."""
        config = self._voice.config
        noise = (0.0, 0.0) if still else (config.noise_scale, config.noise_w_scale)
        for phonemes in (part for sentence in self._voice.phonemize(text) for part in parts(sentence)):
            ids = np.array([self._voice.phonemes_to_ids(phonemes)], dtype=np.int64)
            arguments = {
                "input": ids,
                "input_lengths": np.array([ids.shape[1]], dtype=np.int64),
                "scales": np.array([noise[0], self._length_scale, noise[1]], dtype=np.float32),
            }
            if config.num_speakers > 1:
                arguments["sid"] = np.array([speaker or 0], dtype=np.int64)
            yield arguments


class Piper(InProcess[Loaded]):
    """A `Synthesizer` on Piper. Making one loads the voice, which blocks for a second: do it in a thread.

    A voice is asked for by its name, by the name of one of its speakers, or by both as `name/speaker`.

    Raises:
        EngineMissing: the embedded voice is not installed.
        EngineError: the voice or its `.json` cannot be loaded, or has no such speaker.
    """

    def __init__(self, settings: Tts) -> None:
        super().__init__(Loaded, settings, RATE)

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"piper {self._loaded.name}"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The one voice, with its speakers."""
        return (Voice(self._loaded.name, (self._loaded.language,), tuple(self._loaded.speakers)),)

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Yield PCM, the first third of a second of each sentence first; nothing where there is nothing to say."""
        loaded = self._loaded
        speaker = loaded.find(voice)
        if language and re.split("[-_]", language.lower())[0] != loaded.language:
            raise EngineError(
                "tts",
                f"The voice {loaded.name} speaks {loaded.language}, not {language}: name a voice for {language} as "
                "tts.voice in config.yaml.",
            )
        async with aclosing(self._say(partial(loaded.say, text, speaker), work)) as blocks:
            async for block in blocks:
                yield block


def pieces(text: str) -> Iterator[str]:
    """Yield what can be spoken of `text`, in pieces of at most `LONGEST_PIECE` characters cut at ends of sentences.

    What Piper would take for raw phonemes (`[[ … ]]`), and characters that cannot be printed, become spaces.
    """
    for line in text.splitlines():
        plain = "".join(c if c.isprintable() else " " for c in line).replace("[[", " ").replace("]]", " ")
        piece = ""
        for sentence in _SENTENCE_END.split(plain):
            for part in _cut(sentence.strip()):
                if len(piece) + len(part) >= LONGEST_PIECE:
                    yield from _speakable(piece)
                    piece = ""
                piece = f"{piece} {part}" if piece else part
        yield from _speakable(piece)


def parts(phonemes: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield a sentence's phonemes, no more than `MOST_PHONEMES` at once."""
    while len(phonemes) > MOST_PHONEMES:
        most = min(MOST_PHONEMES, len(phonemes) - LEAST_PHONEMES)
        after = range(most, LEAST_PHONEMES, -1)
        pause = next((end for end in after if phonemes[end - 1] in _PAUSES), None)
        end = pause or next((end for end in after if phonemes[end - 1] == " "), most)
        yield phonemes[:end]
        phonemes = phonemes[end:]
    if phonemes:
        yield phonemes


def _cut(sentence: str) -> Iterator[str]:
    """Yield `sentence`, cut at a space (or, lacking one, anywhere) where it is too long."""
    while len(sentence) >= LONGEST_PIECE:
        space = sentence.rfind(" ", 0, LONGEST_PIECE - 1)
        end = space if space > 0 else LONGEST_PIECE - 1
        yield sentence[:end]
        sentence = sentence[end:].lstrip()
    yield sentence


def _speakable(piece: str) -> Iterator[str]:
    if any(c.isalnum() for c in piece):
        yield from letters_apart(piece)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        PiperConfig.from_dict(config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise catalogue.broken("tts", path, error) from error
    return config


def _load(path: Path, threads: int) -> Vits:
    how = options(threads)
    # The higher levels load at half the speed and run no faster on these models.
    how.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        return Vits(path, how)
    except Exception as error:  # onnxruntime's errors have no common base
        raise catalogue.broken("tts", path, error) from error
