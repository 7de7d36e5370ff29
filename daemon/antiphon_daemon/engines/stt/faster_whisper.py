"""Whisper through faster-whisper and CTranslate2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import structlog
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens

from antiphon.audio.pcm import RATE, Samples
from antiphon.places import at_home
from antiphon.settings import Stt
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Work
from antiphon_daemon.engines.stt import cuda
from antiphon_daemon.engines.stt.guards import Heard, surely_spoken
from antiphon_daemon.engines.stt.whisper import FRAMES_PER_S, Whisper, failed, most_tokens
from antiphon_daemon.engines.worker import threads

SMALL_BYTES = 100_000_000
"""Weights of fewer bytes are those of a tiny model."""

_ON = {"cpu": "CPU", "cuda": "GPU"}

log = structlog.get_logger(__name__)


class FasterWhisper(Whisper):
    """A `Transcriber` on faster-whisper. Making one loads the model, which blocks for a second: do it in a thread.

    Raises:
        EngineMissing: the embedded model is not installed.
        EngineError: the model cannot be loaded or fetched.
    """

    def __init__(self, settings: Stt) -> None:
        self._model, label = _load(settings)
        super().__init__("faster-whisper", label, tuple(self._model.supported_languages), settings.hints)
        self._tokenizers: dict[str, tuple[Any, list[int]]] = {}

    def _features(self, audio: Samples) -> Any:
        return self._model.feature_extractor(audio)

    def _window(
        self, features: Any, duration_s: float, window_s: float, language: str | None, hints: str, work: Work
    ) -> tuple[str, Heard]:
        frames = round(window_s * FRAMES_PER_S)
        seen = np.zeros((features.shape[0], frames), dtype=np.float32)
        count = min(frames, features.shape[1])
        seen[:, :count] = features[:, :count]
        most = most_tokens(duration_s)
        try:
            encoded = self._model.encode(seen)
            language = language or self._model.model.detect_language(encoded)[0][0][0][2:-2]
            tokenizer, suppressed = self._tokenizer(language)
            prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True, hotwords=hints or None)
            result = self._model.model.generate(
                encoded,
                [prompt],
                beam_size=1,
                max_length=min(self._model.max_length, len(prompt) + most),
                return_scores=True,
                suppress_blank=True,
                suppress_tokens=suppressed,
            )[0]
            ids = result.sequences_ids[0]
            text = tokenizer.decode(ids).strip()
            heard = Heard(
                text,
                # The score is the mean over the tokens; the end of text counts as one.
                avg_logprob=result.scores[0] * len(ids) / (len(ids) + 1),
                no_speech_prob=0.0,
                compression_ratio=get_compression_ratio(text),
                tokens=len(ids),
                complete=len(ids) < most,
                window_s=window_s,
            )
            # Asked for each time it would take 3 ms of the 75 of a command.
            if not surely_spoken(heard):
                heard = replace(heard, no_speech_prob=self._no_speech_prob(encoded, prompt))
        except (RuntimeError, ValueError) as error:
            raise failed(self._label, error) from error
        return language, heard

    def _no_speech_prob(self, encoded: Any, prompt: list[int]) -> float:
        """Return how probable the model thinks it that nobody spoke."""
        asked = self._model.model.generate(
            encoded, [prompt], beam_size=1, max_length=len(prompt) + 1, return_no_speech_prob=True
        )
        return float(asked[0].no_speech_prob)

    def _tokenizer(self, language: str) -> tuple[Any, list[int]]:
        if language not in self._tokenizers:
            multilingual = self._model.model.is_multilingual
            tokenizer = Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language)
            self._tokenizers[language] = tokenizer, list(get_suppressed_tokens(tokenizer, [-1]))
        return self._tokenizers[language]


def _load(settings: Stt) -> tuple[Any, str]:
    """Return the model, warmed, and what to call it."""
    name, label = settings.model, settings.model
    if name == "embedded":
        name, label = str(catalogue.whisper()), "tiny.en"
    elif pulled := models.path("stt", name):
        name = str(pulled)
        catalogue.check("stt", pulled / "model.bin")
    elif "/" in name or Path(name).is_dir():
        folder = at_home(name)
        catalogue.check("stt", folder / "model.bin")
        name, label = str(folder), folder.name
    return _open(name, settings), label


def _open(name: str, settings: Stt) -> Any:
    """Return the model, warmed: on the GPU if it can be, unless the settings say where."""
    if settings.device == "cpu" or (settings.device == "auto" and not cuda.present()):
        return _made(name, "cpu", settings)
    why = cuda.missing() if cuda.present() else "CTranslate2 finds no GPU with CUDA here"
    if settings.device == "cuda":
        if why:
            raise EngineError("stt", f"{why}; set stt.device to auto or cpu in config.yaml to do without.")
        return _made(name, "cuda", settings)
    try:
        if not why:
            return _made(name, "cuda", settings)
    except EngineError as error:
        why = error.unquoted
    for_a_cpu = settings.compute_type in ctranslate2.get_supported_compute_types("cpu")
    model = _made(name, "cpu", settings if for_a_cpu else settings.model_copy(update={"compute_type": "auto"}))
    log.warning("hearing is computed on the CPU, though there is a GPU", why=why)
    return model


def _made(name: str, device: str, settings: Stt) -> Any:
    compute = settings.compute_type
    if compute == "auto":
        compute = "float16" if device == "cuda" else "int8"
    try:
        model = WhisperModel(name, device=device, compute_type=compute, cpu_threads=_threads(name, settings))
        # The first call pays for allocations, and finds what loading does not: a torn vocabulary, a missing library.
        # A window of one second will do: the full one would cost every start half a second.
        seen = np.ascontiguousarray(model.feature_extractor(np.zeros(RATE, dtype=np.float32))[:, :FRAMES_PER_S])
        begin = model.hf_tokenizer.token_to_id("<|startoftranscript|>")
        model.hf_tokenizer.decode(model.model.generate(model.encode(seen), [[begin]], max_length=3)[0].sequences_ids[0])
    except Exception as error:  # CTranslate2, tokenizers and the hub have no error in common, some raise bare ones
        if "compute type" in str(error):
            says = f"faster_whisper cannot compute with {compute} on this {_ON[device]}"
            raise EngineError("stt", f"{says}: set stt.compute_type to auto in config.yaml ({error})") from error
        if Path(name).is_dir():
            raise catalogue.broken("stt", name, error) from error
        reason = " ".join(str(error).split())
        raise EngineError("stt", f"The model {name} cannot be fetched; correct stt.model ({reason}).") from error
    return model


def _threads(name: str, settings: Stt) -> int:
    """Return how many threads a model gets: a small one has nothing to share out in a short window.

    With tiny.en a second thread makes it slower (80 to 96 ms for a command), and takes a core from those who work
    meanwhile.
    """
    weights = Path(name, "model.bin")
    small = weights.stat().st_size < SMALL_BYTES if weights.is_file() else name.startswith("tiny")
    return settings.threads or (1 if small else threads(0))
