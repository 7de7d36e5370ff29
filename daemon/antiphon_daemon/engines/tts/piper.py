"""Speech made with Piper: sentence by sentence, and within a sentence piece by piece."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from piper import PiperVoice
from piper.config import PiperConfig

from antiphon.audio.pcm import Resampler, to_bytes
from antiphon.settings import Tts
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Load, Voice, Work
from antiphon_daemon.engines.tts.vits import Vits
from antiphon_daemon.engines.worker import Worker, threads

RATE = 22_050
"""What every voice is given out at, whatever it was trained at."""

LONGEST_PIECE = 400
"""Characters that are turned into phonemes at once. Longer text is cut: espeak-ng holds the interpreter's lock while it
works, and a sentence without an end would be synthesised in one go."""

READY = "Ready. One, two, three."
"""Said once, unheard, to warm the voice up and to learn how loud it is."""
PEAK = 0.9
MOST_GAIN = 4.0
"""A voice is made as loud as its peak in `READY` allows, but no more than this."""

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+")


class Loaded:
    """A voice in memory. Making one loads and warms it, which blocks for a second.

    Raises:
        EngineMissing: the embedded voice is not installed.
        EngineError: the voice or its `.json` cannot be loaded, or has no such speaker.
    """

    def __init__(self, settings: Tts) -> None:
        named = catalogue.piper() if settings.voice == "embedded" else models.path("tts", settings.voice)
        path = named or Path(settings.voice).expanduser()
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
        for piece in pieces(text):
            try:
                for arguments in self._sentences(piece, speaker):
                    yield from self._sound(arguments)
            except Exception as error:  # neither onnxruntime's errors nor the phonemizers' have a common base
                says = f"The voice {self.name} could not say this ({error})."
                raise EngineError("tts", says, quoted=str(error)) from error

    def _learn_gain(self) -> float:
        peak = 0.0
        for arguments in self._sentences(READY, self._speaker, still=True):
            peak = max(peak, float(np.abs(self._model.warm_up(arguments)).max(initial=0)))
        return min(MOST_GAIN, PEAK / peak) if peak > 0 else 1.0

    def _sound(self, arguments: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield one sentence at the one rate, as loud as all others, never clipped."""
        resampler, gain = Resampler(self._voice.config.sample_rate, RATE), self._gain
        for samples in self._model.speak(arguments):
            peak = float(np.abs(samples).max(initial=0))
            gain = min(gain, 1 / peak) if peak > 0 else gain
            if len(ready := resampler.feed(samples * np.float32(gain))):
                yield to_bytes(ready)
        if len(ready := resampler.feed(np.empty(0, dtype=np.float32), last=True)):
            yield to_bytes(ready)

    def _sentences(self, text: str, speaker: int | None, *, still: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the model's inputs for each sentence; `still`: without the chance that makes a voice lively."""
        config = self._voice.config
        noise = (0.0, 0.0) if still else (config.noise_scale, config.noise_w_scale)
        for phonemes in self._voice.phonemize(text):
            if not phonemes:
                continue
            ids = np.array([self._voice.phonemes_to_ids(phonemes)], dtype=np.int64)
            arguments = {
                "input": ids,
                "input_lengths": np.array([ids.shape[1]], dtype=np.int64),
                "scales": np.array([noise[0], self._length_scale, noise[1]], dtype=np.float32),
            }
            if config.num_speakers > 1:
                arguments["sid"] = np.array([speaker or 0], dtype=np.int64)
            yield arguments


class Piper:
    """A `Synthesizer` on Piper. Making one loads the voice, which blocks for a second: do it in a thread.

    A voice is asked for by its name, by the name of one of its speakers, or by both as `name/speaker`.

    Raises:
        EngineMissing: the embedded voice is not installed.
        EngineError: the voice or its `.json` cannot be loaded, or has no such speaker.
    """

    def __init__(self, settings: Tts) -> None:
        self._loaded = Loaded(settings)
        self._worker = Worker("tts")
        self.rate = RATE

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
        blocks = self._worker.stream(partial(loaded.say, text, speaker), work)
        try:
            async for block in blocks:
                yield block
        finally:
            await blocks.aclose()

    async def tune(self, settings: Tts) -> None:
        """Speak with other settings from the next sentence on; what is being said ends as it began."""
        self._loaded = await asyncio.to_thread(Loaded, settings)

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._worker.load()

    async def close(self) -> None:
        """Free the voice once the sentence in the making is done."""
        await self._worker.close()


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
        yield piece


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        PiperConfig.from_dict(config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise catalogue.broken("tts", path, error) from error
    return config


def _load(path: Path, threads: int) -> Vits:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads would spin on cores that the language model needs at the same moment.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Every sentence has another length: remembered layouts and a growing arena double the memory and win nothing.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    # The higher levels load at half the speed and run no faster on these models.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    try:
        return Vits(path, options)
    except Exception as error:  # onnxruntime's errors have no common base
        raise catalogue.broken("tts", path, error) from error
