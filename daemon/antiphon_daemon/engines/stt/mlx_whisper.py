"""Whisper through mlx-whisper, on the GPU of Apple silicon. On Linux MLX computes on the CPU: good for trying it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from antiphon.audio.pcm import RATE, Samples
from antiphon.places import at_home
from antiphon.settings import Stt
from antiphon_daemon.engines import catalogue, metal, models
from antiphon_daemon.engines.contracts import EngineError, Revoked, Work
from antiphon_daemon.engines.stt import mlx_models
from antiphon_daemon.engines.stt.guards import Heard
from antiphon_daemon.engines.stt.whisper import FRAMES_PER_S, WINDOW_S, Whisper, decoded, failed, most_tokens
from antiphon_daemon.engines.work import Token

audio, decoding, tokenizer = (mlx_models.part(name) for name in ("audio", "decoding", "tokenizer"))

TYPES = {"float16": mx.float16, "float32": mx.float32}


class MlxWhisper(Whisper):
    """A `Transcriber` on mlx-whisper. Making one loads the model, which blocks for a second: do it in a thread.

    Its `transcribe` is not used: it pads all sound to 30 s, tries up to six temperatures, and believes what repeats
    itself where the model doubts that there was speech (ml-explore/mlx-examples issue 1427).

    Raises:
        EngineMissing: the model is not here.
        EngineError: the model cannot be loaded, or a setting cannot be used.
    """

    def __init__(self, settings: Stt) -> None:
        folder, label = _folder(settings.model)
        self._dtype = _dtype(settings.compute_type)
        super().__init__("mlx-whisper", label, ("en",), settings.hints)
        # Since 0.31.2 a stream of MLX belongs to its thread, and so does what is not computed yet.
        self._worker.first(partial(self._open, folder))

    def _open(self, folder: Path) -> None:
        with metal.alone():
            self._model = mlx_models.load(folder, self._dtype)
        self._positions = self._model.encoder._positional_embedding
        if self._model.is_multilingual:
            self.languages = tuple(tokenizer.LANGUAGES)[: self._model.num_languages]
        try:
            # The first call pays for kernels, and finds what loading does not: shapes that do not fit each other.
            self._window(self._features(np.zeros(RATE, dtype=np.float32)), 1.0, WINDOW_S, None, "", Token())
        except Exception as error:  # asserts of the library, and whatever NumPy and MLX say of shapes
            raise catalogue.broken("stt", folder, error) from error

    def _features(self, sound: Samples) -> Any:
        with metal.alone():
            features = audio.log_mel_spectrogram(np.ascontiguousarray(sound), self._model.dims.n_mels)
            mx.eval(features)
        return features

    def _window(
        self, features: Any, duration_s: float, window_s: float, language: str | None, hints: str, work: Work
    ) -> tuple[str, Heard]:
        most = most_tokens(duration_s)
        try:
            with metal.alone():
                encoded = self._encode(features, round(window_s * FRAMES_PER_S))
                language = language or self._language(encoded)
                options = decoding.DecodingOptions(
                    language=language,
                    sample_len=most,
                    prompt=hints or None,
                    without_timestamps=True,
                    fp16=self._dtype == mx.float16,
                )
                task = decoding.DecodingTask(self._model, options)
                task.logit_filters.append(_Wanted(work))
                result = task.run(encoded)[0]
        except (RuntimeError, ValueError) as error:
            raise failed(self._label, error) from error
        return language, decoded(result, most, window_s)

    def _encode(self, features: Any, frames: int) -> Any:
        """Return what the encoder makes of the first `frames`, which may be fewer than the 3000 it was made for.

        It is told that it has so many positions, and the decoder knows by them that it need not encode again.
        """
        positions = self._positions[: (frames + 1) // 2]
        self._model.encoder._positional_embedding = positions
        self._model.dims.n_audio_ctx = len(positions)
        encoded = self._model.encoder(audio.pad_or_trim(features, frames, axis=0)[None].astype(self._dtype))
        mx.eval(encoded)
        return encoded

    def _language(self, encoded: Any) -> str:
        """Return the language that is most likely spoken."""
        if self.languages == ("en",):
            return "en"
        (likely,) = self._model.detect_language(encoded)[1]
        return str(max(likely, key=likely.get))


class _Wanted(decoding.LogitFilter):  # type: ignore[misc, name-defined]
    """Filters nothing; it ends the decoding before the next token once nobody wants the result."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def apply(self, logits: Any, tokens: Any) -> Any:
        if not self._work.wanted():
            raise Revoked
        return logits


def _folder(name: str) -> tuple[Path, str]:
    """Return where the model lies, and what to call it."""
    if name == "embedded":
        return catalogue.whisper(), "tiny.en"
    if pulled := models.path("stt", name):
        return pulled, name
    folder = at_home(name)
    return folder, folder.name


def _dtype(compute_type: str) -> Any:
    """Return what to compute with: half the memory on a GPU, what is quicker on a CPU."""
    if compute_type == "auto":
        return mx.float16 if mx.default_device() == mx.Device(mx.gpu) else mx.float32
    if compute_type not in TYPES:
        says = f"mlx_whisper cannot compute with {compute_type}: set stt.compute_type to auto, {' or '.join(TYPES)}"
        raise EngineError("stt", f"{says} in config.yaml. Quantised models stay as they are.")
    return TYPES[compute_type]
