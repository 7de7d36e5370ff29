"""Models of sherpa-onnx that hear tones: made here, a few kilobytes each, since no package brings a real one.

They are what the library expects (its metadata, inputs and outputs, log-mel features in, tokens out), but know two
words: a low tone is "low", a high one "high".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx_files import FLOAT, INT64, graph, model, node

from antiphon.audio.pcm import RATE, Samples

LOW_HZ, HIGH_HZ = 500, 2000
KALDI = ((15, 18), (42, 45), 0.0)
"""Where the tones lie in 80 mel bands as Kaldi has them, and a band's logarithm above which there is a tone."""
NEMO = ((12, 14), (43, 46), -5.0)
"""The same in those of NeMo."""
RAMP = RATE // 50
"""A tone that begins at once would be a click, too."""

BLANK, LOW, HIGH = 0, 1, 2


def tones(*heights_hz: int, seconds: float = 0.5) -> Samples:
    """Return tones with silence around each."""
    quiet = np.zeros(round(0.3 * RATE), dtype=np.float32)
    at = np.arange(round(seconds * RATE)) / RATE
    loud = 0.3 * np.minimum(1.0, np.minimum(np.arange(len(at)), np.arange(len(at))[::-1]) / RAMP)
    parts = [quiet]
    for height in heights_hz:
        parts += [(loud * np.sin(2 * np.pi * height * at)).astype(np.float32), quiet]
    return np.concatenate(parts)


def streaming(folder: Path) -> Path:
    """Write a streaming transducer (icefall's LSTM type) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, bias = _listening(*KALDI)
    encoder = graph(
        [
            node("Slice", ["x", "from", "to", "time"], ["seen"]),
            node("ReduceMean", ["seen"], ["mean"], {"axes": [1]}),
            node("MatMul", ["mean", "weights"], ["scores"]),
            node("Add", ["scores", "bias"], ["encoder_out"]),
            node("Identity", ["h"], ["next_h"]),
            node("Identity", ["c"], ["next_c"]),
        ],
        {"from": np.array([0]), "to": np.array([4]), "time": np.array([1]), "weights": weights, "bias": bias},
        {"x": (FLOAT, ["N", 9, 80]), "h": (FLOAT, [1, "N", 1]), "c": (FLOAT, [1, "N", 1])},
        {"encoder_out": (FLOAT, ["N", 1, 3]), "next_h": (FLOAT, [1, "N", 1]), "next_c": (FLOAT, [1, "N", 1])},
    )
    said = {"model_type": "lstm", "T": 9, "decode_chunk_len": 4, "num_encoder_layers": 1, "rnn_hidden_size": 1}
    (folder / "encoder.onnx").write_bytes(model(encoder, {**said, "d_model": 1}))
    # What was said last is not said again.
    memory = np.zeros((3, 3), dtype=np.float32)
    memory[LOW, LOW] = memory[HIGH, HIGH] = -1000
    decoder = graph(
        [
            node("Gather", ["memory", "y"], ["each"]),
            node("ReduceSum", ["each", "time"], ["decoder_out"], {"keepdims": 0}),
        ],
        {"memory": memory, "time": np.array([1])},
        {"y": (INT64, ["N", 1])},
        {"decoder_out": (FLOAT, ["N", 3])},
    )
    (folder / "decoder.onnx").write_bytes(model(decoder, {"vocab_size": 3, "context_size": 1}))
    joiner = graph(
        [node("Add", ["encoder_out", "decoder_out"], ["logit"])],
        {},
        {"encoder_out": (FLOAT, ["N", 3]), "decoder_out": (FLOAT, ["N", 3])},
        {"logit": (FLOAT, ["N", 3])},
    )
    (folder / "joiner.onnx").write_bytes(model(joiner, {"joiner_dim": 3}))
    (folder / "tokens.txt").write_text("<blk> 0\n▁low 1\n▁high 2\n", encoding="utf-8")
    return folder


def offline(folder: Path) -> Path:
    """Write an offline CTC model (NeMo's type) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, bias = _listening(*NEMO)
    listener = graph(
        [
            node("Transpose", ["audio_signal"], ["frames"], {"perm": [0, 2, 1]}),
            node("MatMul", ["frames", "weights"], ["scores"]),
            node("Add", ["scores", "bias"], ["logprobs"]),
        ],
        {"weights": weights, "bias": bias},
        {"audio_signal": (FLOAT, ["N", 80, "T"]), "length": (INT64, ["N"])},
        {"logprobs": (FLOAT, ["N", "T", 3])},
    )
    said = {"model_type": "EncDecCTCModel", "vocab_size": 3, "subsampling_factor": 1, "normalize_type": ""}
    (folder / "model.onnx").write_bytes(model(listener, said))
    (folder / "tokens.txt").write_text("<blk> 0\n▁low 1\n▁high 2\n", encoding="utf-8")
    return folder


def _listening(
    low: tuple[int, int], high: tuple[int, int], loud: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return what makes scores of bands: how far the mean of a tone's is above `loud`; 0 for neither."""
    weights, bias = np.zeros((80, 3), dtype=np.float32), np.zeros(3, dtype=np.float32)
    for word, (first, end) in ((LOW, low), (HIGH, high)):
        weights[first:end, word] = 1 / (end - first)
        bias[word] = -loud
    return weights, bias
