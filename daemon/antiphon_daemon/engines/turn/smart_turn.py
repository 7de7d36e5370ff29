"""Smart Turn v3: judges by the sound of the voice whether a speaker has finished (23 languages, Korean among them).

The model sees the log-mel spectrum, as Whisper computes it, of the last 8 s before the silence, padded on the left.
It hears intonation and nothing of the words, so it is one voice among several (`conversation/endings.py`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor

from antiphon.audio.pcm import RATE, Samples
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import EngineError, Load, Work
from antiphon_daemon.engines.worker import Worker

SEEN = 8 * RATE
"""Samples that the model sees."""

_LANGUAGES = "ar bn da de en es fi fr hi id it ja ko mr nl no pl pt ru tr uk vi zh"
LANGUAGES = frozenset(_LANGUAGES.split())
"""What it was trained on; in another language its word counts for nothing."""


class SmartTurn:
    """A `TurnModel` on Smart Turn. Making one loads the model, which blocks: do it in a thread.

    Raises:
        EngineMissing: the embedded model is not installed.
        EngineError: the model cannot be loaded.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = catalogue.check("turn", path or catalogue.smart_turn())
        self._session = _load(self._path)
        self._features = FeatureExtractor(chunk_length=8)
        self._worker = Worker("turn")
        self.name = f"smart-turn {self._path.stem.removeprefix('smart-turn-')}"
        self._judge(np.zeros(RATE, dtype=np.float32))

    async def finished(self, audio: Samples, work: Work, *, language: str | None) -> float | None:
        """Return the probability that the turn in `audio` (mono, 16 kHz) is over; None in a language it never heard.

        Raises:
            EngineError: the model failed, or too many wait for it.
            Revoked: `work` was given up.
        """
        if language is not None and language not in LANGUAGES:
            return None
        return await self._worker.run(partial(self._judge, audio), work)

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._worker.load()

    async def close(self) -> None:
        """Free the model once the judgement in hand is done."""
        await self._worker.close()

    def _judge(self, audio: Samples) -> float:
        seen = np.zeros(SEEN, dtype=np.float32)
        last = audio[-SEEN:]
        seen[SEEN - len(last) :] = last
        seen = (seen - seen.mean()) / np.sqrt(seen.var() + 1e-7)
        spectrum = self._features(seen, padding=0)[np.newaxis]
        try:
            (probability,) = self._session.run(None, {"input_features": spectrum})
        except Exception as error:  # onnxruntime's errors have no common base
            raise EngineError("turn", f"The model {self._path.name} failed ({error}).") from error
        return float(probability.reshape(-1)[0])


def _load(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    # It runs beside the hearing of the same sound: one core is what it may have.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base
        raise catalogue.broken("turn", path, error) from error
