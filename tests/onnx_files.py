"""Writes models (ONNX) as the protocol buffers that they are: a few nodes and small weights, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

FLOAT, INT64 = 1, 7

# The numbers below are the fields of onnx.proto3.


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


def node(
    kind: str, takes: Iterable[str], gives: Iterable[str], options: Mapping[str, int | list[int]] | None = None
) -> bytes:
    """Return a node; its options are whole numbers or lists of them."""
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


def graph(
    nodes: Iterable[bytes],
    weights: Mapping[str, npt.NDArray[np.generic]],
    takes: Mapping[str, tuple[int, list[int | str]]],
    gives: Mapping[str, tuple[int, list[int | str]]],
) -> bytes:
    """Return a graph: nodes in the order of their work, weights by name, and the type and shape of its ends by name."""
    return b"".join(
        [
            *(_bytes(1, node) for node in nodes),
            _bytes(2, "tones"),
            *(_bytes(5, _tensor(name, values)) for name, values in weights.items()),
            *(_bytes(11, _value(name, *what)) for name, what in takes.items()),
            *(_bytes(12, _value(name, *what)) for name, what in gives.items()),
        ]
    )


def model(graph: bytes, said: Mapping[str, str | int]) -> bytes:
    """Return a whole model that says `said` in its metadata."""
    metadata = b"".join(_bytes(14, _bytes(1, key) + _bytes(2, str(value))) for key, value in said.items())
    return _int(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, 13)) + metadata
