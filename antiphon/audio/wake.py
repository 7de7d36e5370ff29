"""Wake words: several at once, bundled models by name or one's own by path.

microWakeWord costs half a percent of a core a word and is the default. openWakeWord takes twenty to thirty percent, so
it is offered for models that exist only in its form. Test speech for wake words is made with Piper: espeak-ng's voices
are hit and miss.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from antiphon.audio.pcm import RATE
from antiphon.places import at_home

CHUNK_BYTES = RATE // 100 * 2
"""10 ms of s16le: what a model takes at a time."""
FEATURES = 40
"""What microWakeWord's front end makes of 10 ms."""
REFRACTORY_CHUNKS = 100
"""A word is told once a second at most: models stay high for a while after the word."""
OPEN_THRESHOLD = 0.5

Engine: TypeAlias = Literal["microwakeword", "openwakeword"]


class WakeError(Exception):
    """A wake word cannot be listened for; the message says which and what mends it."""


@dataclass(frozen=True)
class Word:
    """A wake word that is listened for."""

    name: str
    """Its model's name, as it goes over the wire."""
    phrase: str
    """What a person says."""
    languages: Sequence[str]


class WakeWords:
    """Listens for wake words in one stream of sound. Loading takes some tens of milliseconds a word.

    Raises:
        WakeError: a model does not exist, or its engine is not installed.
    """

    def __init__(self, names: Sequence[str], engine: Engine = "microwakeword") -> None:
        self._models = _Micro(names) if engine == "microwakeword" else _Open(names)
        self._rest: dict[str, int] = {}
        self._torn = b""

    @property
    def words(self) -> list[Word]:
        """What is listened for."""
        return self._models.words

    def feed(self, pcm: bytes) -> list[Word]:
        """Hear more sound (s16le, mono, 16 kHz, any length) and return the words that ended in it."""
        heard: list[Word] = []
        pcm = self._torn + pcm
        whole = len(pcm) - len(pcm) % CHUNK_BYTES
        self._torn = pcm[whole:]
        for start in range(0, whole, CHUNK_BYTES):
            self._rest = {name: left - 1 for name, left in self._rest.items() if left > 1}
            for word in self._models.hear(pcm[start : start + CHUNK_BYTES]):
                if word.name not in self._rest:
                    heard.append(word)
                    self._rest[word.name] = REFRACTORY_CHUNKS
        return heard

    def reset(self) -> None:
        """Forget the sound so far."""
        self._torn = b""
        self._models.reset()


def available(engine: Engine = "microwakeword") -> list[str]:
    """Return the names of the bundled models."""
    if engine == "openwakeword":
        return sorted(str(model.value) for model in _open_package().Model)
    from pymicro_wakeword import Model

    return sorted(str(model.value) for model in Model)


class _Micro:
    """microWakeWord models: bundled ones, or paths of a `.json` with its `.tflite` beside it. They share features.

    The package's own calls for a stream cost three times as much as the computing that they wrap, which here is half
    of what an idle satellite does: its front end and its interpreter are called directly, with kept buffers.
    """

    def __init__(self, names: Sequence[str]) -> None:
        import pymicro_wakeword as package
        from pymicro_features import MicroFrontend

        self._features = MicroFrontend()
        self._models: list[tuple[Word, _MicroModel]] = []
        for name in names:
            with _told(name):
                own = _own(name, ".json", "microwakeword")
                made = package.MicroWakeWord
                model = made.from_config(own) if own else made.from_builtin(package.Model(name))
                word = Word(str(model.id), str(model.wake_word), tuple(model.trained_languages) or ("en",))
                self._models.append((word, _MicroModel(model)))
        self.words = [word for word, _ in self._models]

    def hear(self, chunk: bytes) -> list[Word]:
        features = self._features.process_samples(chunk).features
        return [word for word, model in self._models if model.hear(features)] if features else []

    def reset(self) -> None:
        self._features.reset()
        for _, model in self._models:
            model.reset()


class _MicroModel:
    """One model: every `stride` features it is run, and it hears its word while its mean probability is high."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._steps: list[Sequence[float]] = []
        self._input = np.zeros((model.stride, FEATURES), dtype=model.input_dtype)
        self._output = np.zeros(1, dtype=model.output_dtype)
        self._addresses = self._input.ctypes.data, self._output.ctypes.data
        self._probabilities: deque[float] = deque(maxlen=model.sliding_window_size)

    def hear(self, features: Sequence[float]) -> bool:
        model = self._model
        self._steps.append(features)
        if len(self._steps) < model.stride:
            return False
        self._input[:] = np.rint(np.array(self._steps) / model.input_scale + model.input_zero_point)
        self._steps.clear()
        given, found = self._addresses
        model.lib.TfLiteTensorCopyFromBuffer(model.input_tensor, given, self._input.nbytes)
        model.lib.TfLiteInterpreterInvoke(model.interpreter)
        model.lib.TfLiteTensorCopyToBuffer(model.output_tensor, found, self._output.nbytes)
        self._probabilities.append((int(self._output[0]) - model.output_zero_point) * model.output_scale)
        heard = self._probabilities
        return len(heard) == heard.maxlen and sum(heard) / len(heard) > float(model.probability_cutoff)

    def reset(self) -> None:
        self._steps.clear()
        self._probabilities.clear()
        self._model.reset()


class _Open:
    """openWakeWord models: bundled ones, or paths of a `.tflite`. They share features, which cost the most."""

    def __init__(self, names: Sequence[str]) -> None:
        package = _open_package()
        self._features = package.OpenWakeWordFeatures.from_builtin()
        self._models: list[tuple[Word, Any]] = []
        for name in names:
            with _told(name):
                own = _own(name, ".tflite", "openwakeword")
                made = package.OpenWakeWord
                model = made.from_model(own) if own else made.from_builtin(package.Model(name))
                stem = own.stem if own else name
                self._models.append((Word(stem, stem.replace("_", " "), ("en",)), model))
        self.words = [word for word, _ in self._models]

    def hear(self, chunk: bytes) -> list[Word]:
        embeddings = list(self._features.process_streaming(chunk))
        heard = []
        for word, model in self._models:
            scores = [score for embedding in embeddings for score in model.process_streaming(embedding)]
            if any(score >= OPEN_THRESHOLD for score in scores):
                heard.append(word)
        return heard

    def reset(self) -> None:
        self._features.reset()
        for _, model in self._models:
            model.reset()


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what loading may raise into a sentence."""
    try:
        yield
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise WakeError(f"the wake word model {name} cannot be loaded: {error}") from None


def _own(name: str, ending: str, engine: Engine) -> Path | None:
    """Return the path of a model of one's own, or None where `name` names a bundled one."""
    path = at_home(name)
    if path.suffix == ending:
        if not path.is_file():
            raise WakeError(f"the wake word model {path} does not exist")
        return path
    if name not in available(engine):
        bundled = ", ".join(available(engine))
        raise WakeError(
            f"there is no wake word {name!r} in {engine}: choose of {bundled}, or a path of a {ending} file"
        )
    return None


def _open_package() -> Any:
    try:
        import pyopen_wakeword
    except ImportError:
        raise WakeError("openWakeWord is not installed: install the extra antiphon[openwakeword]") from None
    return pyopen_wakeword
