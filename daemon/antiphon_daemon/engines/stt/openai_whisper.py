"""Whisper through OpenAI's own package (openai-whisper), on PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import whisper
from whisper.decoding import DecodingOptions, DecodingTask, LogitFilter
from whisper.tokenizer import LANGUAGES

from antiphon.audio.pcm import RATE, Samples
from antiphon.places import at_home
from antiphon.settings import Stt
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Revoked, Work
from antiphon_daemon.engines.stt.guards import Heard
from antiphon_daemon.engines.stt.whisper import FRAMES_PER_S, WINDOW_S, Whisper, decoded, failed, most_tokens
from antiphon_daemon.engines.work import Token
from antiphon_daemon.engines.worker import threads

TYPES = ("float32", "float16")


class OpenAiWhisper(Whisper):
    """A `Transcriber` on openai-whisper. Making one loads the model, which blocks for seconds: do it in a thread.

    Its `transcribe` is not used: it pads all sound to 30 s and tries up to six temperatures.

    Raises:
        EngineError: the model cannot be loaded or fetched, or a setting cannot be used.
    """

    def __init__(self, settings: Stt) -> None:
        device, self._half = _device(settings)
        torch.set_num_threads(threads(settings.threads))
        self._model, label = _load(settings.model, device)
        self._positions = self._model.encoder.positional_embedding
        super().__init__("openai-whisper", label, _languages(self._model), settings.hints)
        try:
            # The first call pays for allocations, and finds what loading does not: shapes that do not fit each other.
            self._window(self._features(np.zeros(RATE, dtype=np.float32)), 1.0, WINDOW_S, None, "", Token())
        except (EngineError, AssertionError) as error:
            raise catalogue.broken("stt", settings.model, error) from error

    def _features(self, audio: Samples) -> Any:
        return whisper.log_mel_spectrogram(
            np.ascontiguousarray(audio), self._model.dims.n_mels, device=self._model.device
        )

    def _window(
        self, features: Any, duration_s: float, window_s: float, language: str | None, hints: str, work: Work
    ) -> tuple[str, Heard]:
        most = most_tokens(duration_s)
        try:
            seen = self._seen(features, round(window_s * FRAMES_PER_S))
            language = language or self._language(seen)
            options = DecodingOptions(
                language=language,
                sample_len=most,
                prompt=hints or None,
                without_timestamps=True,
                fp16=self._half,
            )
            task = DecodingTask(self._model, options)
            task.logit_filters.append(_Wanted(work))
            result = task.run(seen)[0]
        except (RuntimeError, ValueError) as error:
            raise failed(self._label, error) from error
        return language, decoded(result, most, window_s)

    def _seen(self, features: Any, frames: int) -> Any:
        """Return the first `frames` as a batch of one, and have the encoder take so many instead of its 3000.

        It asks for as many as it has positions; the decoder tells by `dims` what is encoded already.
        """
        frames += frames % 2
        self._model.encoder.positional_embedding = self._positions[: frames // 2]
        self._model.dims.n_audio_ctx = frames // 2
        return whisper.pad_or_trim(features, frames)[None]

    def _language(self, seen: Any) -> str:
        """Return the language that is most likely spoken."""
        if self.languages == ("en",):
            return "en"
        (likely,) = self._model.detect_language(seen)[1]
        return str(max(likely, key=likely.get))


class _Wanted(LogitFilter):  # type: ignore[misc]
    """Filters nothing; it ends the decoding before the next token once nobody wants the result."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def apply(self, logits: Any, tokens: Any) -> None:
        if not self._work.wanted():
            raise Revoked


def _device(settings: Stt) -> tuple[str, bool]:
    """Return where is computed, and whether with half the precision.

    Raises:
        EngineError: it cannot.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise EngineError("stt", "PyTorch finds no GPU with CUDA here: set stt.device to auto or cpu in config.yaml.")
    kind = settings.compute_type
    if kind == "auto":
        kind = "float16" if device == "cuda" else "float32"
    if kind not in TYPES or (kind, device) == ("float16", "cpu"):
        can = " or ".join(TYPES if device == "cuda" else TYPES[:1])
        says = f"openai_whisper cannot compute with {kind} on {device}: set stt.compute_type to auto or {can}"
        raise EngineError("stt", f"{says} in config.yaml.")
    return device, kind == "float16"


def _load(name: str, device: str) -> tuple[Any, str]:
    """Return the model and what to call it.

    Raises:
        EngineError: it cannot be loaded or fetched.
    """
    if name == "embedded":
        says = "openai_whisper has no embedded model: name one as stt.model in config.yaml"
        raise EngineError("stt", f"{says}, such as tiny.en or small, or the path of a .pt file.")
    models.same_engine("stt", name, "openai_whisper")
    known = whisper.available_models()
    if name in known:
        try:
            return whisper.load_model(name, device=device), name
        except Exception as error:  # urllib's, torch's and the package's own have no common base
            says = f"The model {name} cannot be fetched or loaded ({' '.join(str(error).split())})"
            raise EngineError("stt", f"{says}: see to the network, or name a .pt file as stt.model.") from error
    if not name.endswith(".pt") and "/" not in name:
        says = f"openai-whisper knows no model {name}: correct stt.model in config.yaml"
        raise EngineError("stt", f"{says}, it can be one of {', '.join(known)}, or a .pt file.")
    path = catalogue.check("stt", at_home(name))
    try:
        return whisper.load_model(str(path), device=device), path.stem
    except Exception as error:  # pickle's, torch's and Python's own
        raise catalogue.broken("stt", path, error) from error


def _languages(model: Any) -> tuple[str, ...]:
    return tuple(LANGUAGES)[: model.num_languages] if model.is_multilingual else ("en",)
