"""Speech made with Supertonic: one model, ten voices, each of them in thirty-one languages, Korean among them.

It makes sound out of noise in a few steps, a piece of a sentence at a time. The package would fetch its weights from a
hub by itself; here it is only handed files that are there.
"""

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
from supertonic.config import DEFAULT_SPEED, DEFAULT_TOTAL_STEPS, MAX_SPEED, MIN_SPEED, SUPPORTED_LANGUAGES
from supertonic.core import Style, UnicodeProcessor
from supertonic.core import Supertonic as Model
from supertonic.loader import load_voice_style_from_json_file

from antiphon.audio.pcm import Samples, resample, to_bytes, to_samples
from antiphon.places import at_home
from antiphon.settings import Tts
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Voice, Work
from antiphon_daemon.engines.tts import onnx
from antiphon_daemon.engines.tts.in_process import InProcess
from antiphon_daemon.engines.tts.pieces import pause_s, pieces
from antiphon_daemon.engines.worker import threads

RATE = 44_100
"""What the published models were trained at; another is given out at this."""

DEFAULT = "supertonic-3"
"""The model of the catalogue that `embedded` stands for: its package brings none."""

PARTS = ("duration_predictor", "text_encoder", "vector_estimator", "vocoder")
CONFIG, CHARACTERS = "tts.json", "unicode_indexer.json"

SECOND = ("en", "ko", "es", "pt", "fr")
"""What Supertonic 2 speaks; the first one speaks English alone, and is not told so."""
THIRD_SINCE = (1, 7)
"""What `tts_version` says in Supertonic 3 and later ones; 1.5 is the first, 1.6 the second."""


class Loaded:
    """A model with its voices in memory. Making one loads and warms it, which blocks for some seconds.

    Raises:
        EngineMissing: the model was not pulled.
        EngineError: the model or its voices cannot be loaded, or there is no such voice.
    """

    def __init__(self, settings: Tts, language: str) -> None:
        named = settings.voice
        models.same_engine("tts", named, "supertonic")
        folder = models.path("tts", DEFAULT if named == "embedded" else named) or at_home(named)
        if not folder.is_dir():
            says = f"There is no folder {folder}: correct tts.voice in config.yaml, or fetch the model."
            raise EngineError("tts", says)
        self.name = folder.name
        config = _json(_file(folder, CONFIG))
        self.languages = _languages(config)
        self._tagged = len(self.languages) > 1
        self.voices = _voices(folder)
        self._model = _load(folder, config, threads(settings.threads))
        self._speed = min(MAX_SPEED, max(MIN_SPEED, DEFAULT_SPEED * settings.speed))
        self.own = self.find(settings.speaker or next(iter(self.voices)))
        self._gain = 1.0
        own = language if language in self.languages else self.languages[0]
        sound = b"".join(self.say(onnx.READY, self.own, own))
        self._gain = onnx.gain_for(onnx.peak_of(to_samples(sound)))

    def find(self, voice: str | None) -> str:
        """Return the voice that is asked for.

        Raises:
            EngineError: there is no such voice.
        """
        if voice is None or voice == self.name:
            return self.own
        chosen = voice.removeprefix(f"{self.name}/")
        if chosen not in self.voices:
            raise EngineError("tts", f"There is no voice {voice} here, only: {', '.join(self.voices)}.")
        return chosen

    def spoken(self, language: str) -> str:
        """Return the code that the model knows a language by.

        Raises:
            EngineError: it does not speak it.
        """
        code = re.split("[-_]", language.lower())[0]
        if code not in self.languages:
            says = f"{self.name} speaks {', '.join(self.languages)}, not {language}"
            raise EngineError("tts", f"{says}: choose another tts.engine in config.yaml.")
        return code

    def say(self, text: str, voice: str, language: str) -> Iterator[bytes]:
        """Yield `text` as s16le at `RATE`, piece by piece."""
        pause = 0.0
        for piece in pieces(self._readable(text)):
            try:
                sound = self._sound(piece, voice, language)
            except Exception as error:  # onnxruntime's errors have no common base
                says = f"The voice {voice} could not say this ({error})."
                raise EngineError("tts", says, quoted=str(error)) from error
            yield bytes(2 * round(pause * RATE)) + to_bytes(sound)
            pause = pause_s(piece)

    def _readable(self, text: str) -> str:
        """Return `text` without the characters that the model does not know."""
        _, unknown = self._model.text_processor.validate_text("".join(set(text) - set("\n\r")))
        return text.translate(dict.fromkeys(map(ord, unknown), " "))

    def _sound(self, piece: str, voice: str, language: str) -> Samples:
        tag = language if self._tagged else None
        made, lasting_s = self._model([piece], self.voices[voice], DEFAULT_TOTAL_STEPS, self._speed, tag)
        rate = self._model.sample_rate
        samples = made[0, : round(float(lasting_s[0]) * rate)].astype(np.float32)
        samples = samples if rate == RATE else resample(samples, rate, RATE)
        return onnx.raised(samples, self._gain)


class Supertonic(InProcess[Loaded]):
    """A `Synthesizer` on Supertonic. Making one loads the model, which blocks for some seconds: do it in a thread.

    A voice is asked for by its name (`F1`), or with the model's as `supertonic-3/F1`; each speaks every language.

    Args:
        settings: `voice` (a pulled model, or its folder), `speaker` (the voice), `speed`.
        language: the language of the house, and of a text of which it is not known.

    Raises:
        EngineMissing: the model was not pulled.
        EngineError: the model or its voices cannot be loaded, or there is no such voice.
    """

    def __init__(self, settings: Tts, language: str) -> None:
        self._language = language
        super().__init__(lambda settings: Loaded(settings, language), settings, RATE)

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"supertonic {self._loaded.name} {self._loaded.own}"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The voices, the one of the settings first."""
        loaded = self._loaded
        return tuple(Voice(name, loaded.languages) for name in sorted(loaded.voices, key=lambda one: one != loaded.own))

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Yield PCM, a piece of a sentence at a time; nothing where there is nothing to say."""
        loaded = self._loaded
        say = partial(loaded.say, text, loaded.find(voice), loaded.spoken(language or self._language))
        async with aclosing(self._say(say, work)) as blocks:
            async for block in blocks:
                yield block


def _languages(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a model speaks, by what its configuration calls itself."""
    if "multilingual" not in str(config.get("split", "multilingual")):
        return ("en",)
    version = tuple(int(part) for part in re.findall(r"\d+", str(config.get("tts_version", "")))[:2])
    return SECOND if version and version < THIRD_SINCE else tuple(SUPPORTED_LANGUAGES)


def _file(folder: Path, name: str) -> Path:
    """Return a file of a model, as the hub has it (in `onnx`) or as it is pulled (all in one folder)."""
    inside = folder / "onnx" / name
    return catalogue.check("tts", inside if inside.exists() else folder / name)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise catalogue.broken("tts", path, error) from error
    if not isinstance(found, dict):
        raise catalogue.broken("tts", path, ValueError("it is no configuration of a model"))
    return found


def _voices(folder: Path) -> dict[str, Style]:
    """Return the voices by name.

    Raises:
        EngineError: there are none, or one is something else.
    """
    own = folder / "voice_styles"
    files: Sequence[Path] = sorted((own if own.is_dir() else folder).glob("*.json"))
    voices: dict[str, Style] = {}
    for file in files:
        if file.name in (CONFIG, CHARACTERS, "config.json", models.MANIFEST):
            continue
        try:
            voices[file.stem] = load_voice_style_from_json_file(file)
        except (ValueError, TypeError, OSError) as error:
            raise catalogue.broken("tts", file, error) from error
    if not voices:
        raise EngineError("tts", f"There are no voices in {folder}: fetch the folder voice_styles of the model too.")
    return voices


def _load(folder: Path, config: Mapping[str, Any], threads: int) -> Any:
    parts = [_file(folder, f"{part}.onnx") for part in PARTS]
    characters = _file(folder, CHARACTERS)
    sessions, path = [], characters
    try:
        known = UnicodeProcessor(str(characters))
        for path in parts:
            how = onnx.options(threads)
            sessions.append(onnxruntime.InferenceSession(str(path), how, providers=["CPUExecutionProvider"]))
        path = folder / CONFIG
        return Model(config, known, *sessions)
    except Exception as error:  # onnxruntime's errors have no common base
        raise catalogue.broken("tts", path, error) from error
