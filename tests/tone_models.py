"""Models of sherpa-onnx that hear tones: made here, a few kilobytes each, since no package brings a real one.

They are what the library expects (its metadata, inputs and outputs, log-mel features in, tokens out), but know two
words: a low tone is "low", a high one "high".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from antiphon.audio.pcm import RATE, Samples

LOW_HZ, HIGH_HZ = 500, 2000
KALDI = ((15, 18), (42, 45), 0.0)
"""Where the tones lie in 80 mel bands as Kaldi has them, and a band's logarithm above which there is a tone."""
NEMO = ((12, 14), (43, 46), -5.0)
"""The same in those of NeMo."""
RAMP = RATE // 50
"""A tone that begins at once would be a click, too."""

BLANK, LOW, HIGH = 0, 1, 2
FLOAT, INT64 = 1, 7


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
    encoder = _graph(
        [
            _node("Slice", ["x", "from", "to", "time"], ["seen"]),
            _node("ReduceMean", ["seen"], ["mean"], {"axes": [1]}),
            _node("MatMul", ["mean", "weights"], ["scores"]),
            _node("Add", ["scores", "bias"], ["encoder_out"]),
            _node("Identity", ["h"], ["next_h"]),
            _node("Identity", ["c"], ["next_c"]),
        ],
        {"from": np.array([0]), "to": np.array([4]), "time": np.array([1]), "weights": weights, "bias": bias},
        {"x": (FLOAT, ["N", 9, 80]), "h": (FLOAT, [1, "N", 1]), "c": (FLOAT, [1, "N", 1])},
        {"encoder_out": (FLOAT, ["N", 1, 3]), "next_h": (FLOAT, [1, "N", 1]), "next_c": (FLOAT, [1, "N", 1])},
    )
    said = {"model_type": "lstm", "T": 9, "decode_chunk_len": 4, "num_encoder_layers": 1, "rnn_hidden_size": 1}
    (folder / "encoder.onnx").write_bytes(_model(encoder, {**said, "d_model": 1}))
    # What was said last is not said again.
    memory = np.zeros((3, 3), dtype=np.float32)
    memory[LOW, LOW] = memory[HIGH, HIGH] = -1000
    decoder = _graph(
        [
            _node("Gather", ["memory", "y"], ["each"]),
            _node("ReduceSum", ["each", "time"], ["decoder_out"], {"keepdims": 0}),
        ],
        {"memory": memory, "time": np.array([1])},
        {"y": (INT64, ["N", 1])},
        {"decoder_out": (FLOAT, ["N", 3])},
    )
    (folder / "decoder.onnx").write_bytes(_model(decoder, {"vocab_size": 3, "context_size": 1}))
    joiner = _graph(
        [_node("Add", ["encoder_out", "decoder_out"], ["logit"])],
        {},
        {"encoder_out": (FLOAT, ["N", 3]), "decoder_out": (FLOAT, ["N", 3])},
        {"logit": (FLOAT, ["N", 3])},
    )
    (folder / "joiner.onnx").write_bytes(_model(joiner, {"joiner_dim": 3}))
    (folder / "tokens.txt").write_text("<blk> 0\n▁low 1\n▁high 2\n", encoding="utf-8")
    return folder


def offline(folder: Path) -> Path:
    """Write an offline CTC model (NeMo's type) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, bias = _listening(*NEMO)
    graph = _graph(
        [
            _node("Transpose", ["audio_signal"], ["frames"], {"perm": [0, 2, 1]}),
            _node("MatMul", ["frames", "weights"], ["scores"]),
            _node("Add", ["scores", "bias"], ["logprobs"]),
        ],
        {"weights": weights, "bias": bias},
        {"audio_signal": (FLOAT, ["N", 80, "T"]), "length": (INT64, ["N"])},
        {"logprobs": (FLOAT, ["N", "T", 3])},
    )
    said = {"model_type": "EncDecCTCModel", "vocab_size": 3, "subsampling_factor": 1, "normalize_type": ""}
    (folder / "model.onnx").write_bytes(_model(graph, said))
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


# What follows writes protocol buffers as onnx.proto3 has them: the numbers are its fields.


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes | str) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


def _node(
    kind: str, takes: Iterable[str], gives: Iterable[str], options: Mapping[str, int | list[int]] | None = None
) -> bytes:
    made = b"".join(_bytes(1, name) for name in takes) + b"".join(_bytes(2, name) for name in gives) + _bytes(4, kind)
    for name, value in (options or {}).items():
        if isinstance(value, int):
            made += _bytes(5, _bytes(1, name) + _int(3, value) + _int(20, 2))
        else:
            made += _bytes(5, _bytes(1, name) + b"".join(_int(8, one) for one in value) + _int(20, 7))
    return made


def _tensor(name: str, values: npt.NDArray[np.generic]) -> bytes:
    kind = INT64 if values.dtype.kind == "i" else FLOAT
    raw = values.astype(np.int64 if kind == INT64 else np.float32).tobytes()
    return b"".join(_int(1, size) for size in values.shape) + _int(2, kind) + _bytes(8, name) + _bytes(9, raw)


def _value(name: str, kind: int, shape: Iterable[int | str]) -> bytes:
    sizes = b"".join(_bytes(1, _int(1, size) if isinstance(size, int) else _bytes(2, size)) for size in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, kind) + _bytes(2, sizes)))


def _graph(
    nodes: Iterable[bytes],
    weights: Mapping[str, npt.NDArray[np.generic]],
    takes: Mapping[str, tuple[int, list[int | str]]],
    gives: Mapping[str, tuple[int, list[int | str]]],
) -> bytes:
    return b"".join(
        [
            *(_bytes(1, node) for node in nodes),
            _bytes(2, "tones"),
            *(_bytes(5, _tensor(name, values)) for name, values in weights.items()),
            *(_bytes(11, _value(name, *what)) for name, what in takes.items()),
            *(_bytes(12, _value(name, *what)) for name, what in gives.items()),
        ]
    )


def _model(graph: bytes, said: Mapping[str, str | int]) -> bytes:
    metadata = b"".join(_bytes(14, _bytes(1, key) + _bytes(2, str(value))) for key, value in said.items())
    return _int(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, 13)) + metadata
