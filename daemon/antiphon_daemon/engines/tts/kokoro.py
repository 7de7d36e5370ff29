"""Speech made with Kokoro: one model, many voices in several languages, piece by piece of a sentence.

The package is kokoro-onnx (MIT). espeak-ng makes the text into phonemes, called through phonemizer: both are GPL-3.
"""

from __future__ import annotations

import logging
import re
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from kokoro_onnx import Kokoro as Model
from phonemizer.backend import EspeakBackend

from antiphon.audio.pcm import Samples, to_bytes, to_samples
from antiphon.places import at_home
from antiphon.settings import Tts
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Voice, Work
from antiphon_daemon.engines.tts import onnx
from antiphon_daemon.engines.tts.in_process import InProcess
from antiphon_daemon.engines.tts.pieces import pause_s, pieces
from antiphon_daemon.engines.tts.scripts import readable
from antiphon_daemon.engines.worker import threads

RATE = 24_000
"""What the model was trained at."""
SLOWEST, QUICKEST = 0.5, 2.0
"""It does not speak slower or quicker."""

ACCENTS = {
    "a": ("en", "en-us"),
    "b": ("en", "en-gb"),
    "e": ("es", "es"),
    "f": ("fr", "fr-fr"),
    "h": ("hi", "hi"),
    "i": ("it", "it"),
    "p": ("pt", "pt-br"),
}
"""A voice's language, and what espeak-ng calls its accent, by the first letter of the voice's name.

j and z are Japanese and Chinese: the model knows these by phonemes that espeak-ng does not make, so they are left out.
Source: VOICES.md of hexgrad/Kokoro-82M.
"""
FIRST = ("af_heart", "bf_emma", "ef_dora", "ff_siwis", "hf_alpha", "if_sara", "pf_dora")
"""Its makers' best voice of each accent: it is taken where none is named."""

STYLE = 256
"""Numbers that tell the model how a voice sounds; a voice has so many for each length of what it says."""
INPUTS = ({"tokens", "style", "speed"}, {"input_ids", "style", "speed"})

_quiet = logging.getLogger("phonemizer.quiet")
_quiet.setLevel(logging.ERROR)
"""It warns of every sentence in which words run together, or the language changes."""

_phonemizing = threading.Lock()
"""espeak-ng keeps what it works at in variables that all of a process share."""


class Loaded:
    """A model with its voices in memory. Making one loads and warms it, which blocks for some seconds.

    Raises:
        EngineMissing: the model was not pulled.
        EngineError: the model or its voices cannot be loaded, or there is no such voice.
    """

    def __init__(self, settings: Tts, language: str) -> None:
        models.same_engine("tts", settings.voice, "kokoro")
        path = find(settings.voice)
        self._styles = _usable(path, _styles(path))
        self.name = _name(path)
        self.voices = {name: ACCENTS[name[0]][0] for name in sorted(self._styles, key=_rank)}
        self._model = _load(path, threads(settings.threads), next(iter(self._styles.values())))
        self._speed = min(QUICKEST, max(SLOWEST, settings.speed))
        self._phonemizers: dict[str, Any] = {}
        own = next((name for name, spoken in self.voices.items() if spoken == language), next(iter(self.voices)))
        self.own = self._known(settings.speaker or own)
        self._gain = 1.0
        sound = b"".join(self.say(onnx.READY, self.own))
        self._gain = onnx.gain_for(onnx.peak_of(to_samples(sound)))

    def find(self, voice: str | None, language: str | None) -> str:
        """Return the voice that is asked for; where it is the settings' and speaks another language, one that fits.

        Raises:
            EngineError: there is no such voice, or none that speaks `language`.
        """
        chosen = self._known(voice.removeprefix(f"{self.name}/")) if voice and voice != self.name else self.own
        code = re.split("[-_]", language.lower())[0] if language else ""
        if not code or self.voices[chosen] == code:
            return chosen
        fitting = next((name for name, spoken in self.voices.items() if spoken == code), None)
        if fitting is None or chosen != self.own:
            spoken = self.voices[chosen] if chosen != self.own else ", ".join(sorted(set(self.voices.values())))
            says = f"{'Kokoro' if chosen == self.own else f'The voice {chosen}'} speaks {spoken} here, not {language}"
            raise EngineError("tts", f"{says}: choose another tts.engine or tts.speaker in config.yaml.")
        return fitting

    def say(self, text: str, voice: str) -> Iterator[bytes]:
        """Yield `text` as s16le at `RATE`, piece by piece."""
        pause = 0.0
        for piece in pieces(readable(text, self.voices[voice])):
            try:
                sound = self._sound(piece, voice)
            except Exception as error:  # neither onnxruntime's errors nor the phonemizer's have a common base
                says = f"The voice {voice} could not say this ({error})."
                raise EngineError("tts", says, quoted=str(error)) from error
            if len(sound):
                yield bytes(2 * round(pause * RATE)) + to_bytes(sound)
                pause = pause_s(piece)

    def _sound(self, piece: str, voice: str) -> Samples:
        phonemes = self._phonemes(piece, ACCENTS[voice[0]][1])
        if not phonemes:
            return np.empty(0, dtype=np.float32)
        made, _ = self._model.create(phonemes, self._styles[voice], self._speed, is_phonemes=True)
        samples: Samples = made.astype(np.float32)
        return onnx.raised(samples, self._gain)

    def _phonemes(self, piece: str, accent: str) -> str:
        """Return what the model reads; where the language changes within a sentence espeak-ng's marks are left out."""
        plain = re.sub(r"[()\[\]{}<>]", " ", piece)
        with _phonemizing:
            if accent not in self._phonemizers:
                self._phonemizers[accent] = EspeakBackend(
                    accent, preserve_punctuation=True, with_stress=True, language_switch="remove-flags", logger=_quiet
                )
            (phonemes,) = self._phonemizers[accent].phonemize([plain], strip=True) or ("",)
        known = self._model.tokenizer.known(phonemes).strip()
        return known if any(one.isalpha() for one in known) else ""

    def _known(self, voice: str) -> str:
        if voice not in self.voices:
            raise EngineError("tts", f"There is no voice {voice} here, only: {', '.join(self.voices)}.")
        return voice


class Kokoro(InProcess[Loaded]):
    """A `Synthesizer` on Kokoro. Making one loads the model, which blocks for some seconds: do it in a thread.

    A voice is asked for by its name (`af_heart`), or with the model's as `kokoro-82m/af_heart`. Where a text is in
    another language than the voice of the settings, a voice of that language speaks.

    Args:
        settings: `voice` (a pulled model, its folder or its file), `speaker` (the voice), `speed`.
        language: the language of the house.

    Raises:
        EngineMissing: the model was not pulled.
        EngineError: the model or its voices cannot be loaded, or there is no such voice.
    """

    def __init__(self, settings: Tts, language: str) -> None:
        super().__init__(lambda settings: Loaded(settings, language), settings, RATE)

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"kokoro {self._loaded.name} {self._loaded.own}"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All that can be spoken with, the one of the settings first."""
        loaded = self._loaded
        return tuple(
            Voice(name, (loaded.voices[name],)) for name in sorted(loaded.voices, key=lambda one: one != loaded.own)
        )

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Yield PCM, a piece of a sentence at a time; nothing where there is nothing to say."""
        loaded = self._loaded
        chosen = loaded.find(voice, language)
        async with aclosing(self._say(partial(loaded.say, text, chosen), work)) as blocks:
            async for block in blocks:
                yield block


DEFAULT = "kokoro-82m"
"""The model of the catalogue that `embedded` stands for: its package brings none."""


def find(named: str) -> Path:
    """Return the model's file: of a pulled model, of a folder, or as it is named.

    Raises:
        EngineMissing: the model was not pulled.
        EngineError: there is no such file, or a folder has none or several.
    """
    path = models.path("tts", DEFAULT if named == "embedded" else named) or at_home(named)
    if not path.is_dir():
        return catalogue.check("tts", path)
    found = sorted(path.glob("*.onnx")) or sorted(path.glob("onnx/*.onnx"))
    if len(found) != 1:
        has = "no model (.onnx)" if not found else f"several models ({', '.join(one.name for one in found)})"
        raise EngineError("tts", f"The folder {path} has {has}: name the model's file as tts.voice in config.yaml.")
    return catalogue.check("tts", found[0])


def _name(path: Path) -> str:
    return path.parent.name if models.manifest(path.parent) else path.stem


def _styles(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return the voices that lie beside a model: all in one file (NumPy's .npz, called .bin too), or one in each.

    Raises:
        EngineError: there are none, or one is something else.
    """
    top = path.parent.parent if path.parent.name == "onnx" else path.parent
    folders = (top, top / "voices")
    files = [file for folder in folders for ending in ("bin", "npz") for file in sorted(folder.glob(f"*.{ending}"))]
    found: dict[str, npt.NDArray[np.float32]] = {}
    for file in files:
        try:
            if file.read_bytes()[:2] == b"PK":
                with np.load(file) as several:
                    found |= {name: several[name].reshape(-1, 1, STYLE) for name in several.files}
            else:
                found[file.stem] = np.fromfile(file, dtype="<f4").reshape(-1, 1, STYLE)
        except (OSError, ValueError) as error:
            raise catalogue.broken("tts", file, error) from error
    if not found:
        says = (
            f"There are no voices beside {path}: fetch its voices-v1.0.bin too, or a folder voices with a .bin of each."
        )
        raise EngineError("tts", says)
    return {name: style.astype(np.float32) for name, style in found.items() if len(style)}


def _usable(path: Path, styles: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
    usable = {name: style for name, style in styles.items() if name[:1] in ACCENTS}
    if not usable:
        says = f"None of the voices beside {path} can be used: their names begin with {', '.join(ACCENTS)}"
        raise EngineError("tts", f"{says}; Japanese and Chinese need phonemes that are not made here.")
    return usable


def _rank(voice: str) -> tuple[str, bool, str]:
    """Sort by language, the best of each accent first, American before British."""
    return (voice[0], voice not in FIRST, voice)


def _load(path: Path, threads: int, style: npt.NDArray[np.float32]) -> Any:
    try:
        session = onnxruntime.InferenceSession(str(path), onnx.options(threads), providers=["CPUExecutionProvider"])
        if {one.name for one in session.get_inputs()} not in INPUTS:
            raise EngineError("tts", f"The file {path} is not a model of the kind that this engine reads (Kokoro).")
        with tempfile.NamedTemporaryFile(suffix=".npz") as voices:  # the package wants a file; voices are handed to it
            np.savez(voices, any=style)
            voices.flush()
            return Model.from_session(session, voices.name)
    except EngineError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base
        raise catalogue.broken("tts", path, error) from error
