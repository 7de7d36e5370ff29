"""Parts a VITS model (ONNX) behind its encoder, so that the first of a sentence is heard before the rest is made.

    phonemes ─ encoder ─ latent frames ─ flow ─ frames ─ stage ─ 8 values a frame ─ stage ─ 64 ─ stage ─ 256 samples

The encoder looks at a whole sentence. The flow, as much work again, and the decoder, most of the work, look at some
frames around each. A stage ends where the decoder makes its values more: the later ones, which do most of its work,
look at less around a frame. The file is read as the protocol buffer that it is (onnx.proto3: the field numbers below);
weights are only carried over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

DECODER = "/dec/conv_pre/Conv"
"""The node that begins the decoder in every model that Piper's training exports."""
FLOW = "/flow/flows.7/Slice"
"""And that which begins the flow."""
STAGE = "/dec/ups.{}/ConvTranspose"
"""The nodes that make values more; from 1 on they begin a stage."""

_GRAPH = 7
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT = 1, 2, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME = 1, 2, 3
_TENSOR_NAME = 8
_VALUE_NAME = 1
_FLOAT = 1
_BYTES = 2
_FIXED = {5: 4, 1: 8}

Span: TypeAlias = tuple[int, int]


class CannotPart(Exception):
    """The model is not built as expected."""


@dataclass(frozen=True)
class Names:
    """What the parts give each other is called so."""

    latent: tuple[str, ...]
    """What the flow needs: first the latent frames, shape (1, channels, n); what else is n long is theirs."""
    frames: str
    """The frames, shape (1, channels, n)."""
    extras: tuple[str, ...]
    """What else the decoder needs of what the encoder has made: the speaker, in models of several."""


@dataclass(frozen=True)
class Parts:
    """A model in parts."""

    encoder: bytes
    """Its outputs are all that the others need."""
    flow: bytes | None
    """Gives the frames; None: the encoder does."""
    stages: tuple[bytes, ...]
    """The decoder: the inputs of the first are the frames and the extras, those of each other what the one before
    gives; the outputs of the last are those of the whole. Each gives and takes shape (1, channels, n), n a multiple of
    the frames."""
    names: Names


@dataclass(frozen=True)
class _Node:
    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    whole: Span


@dataclass(frozen=True)
class _Graph:
    """Some of a model's nodes, in the order of their work."""

    nodes: tuple[_Node, ...]
    inputs: bytes
    """What it is given, as fields."""
    outputs: Mapping[str, bytes]
    """What it gives, each as a field."""


class _Model:
    """A file, of which graphs become models again: megabytes that are copied once each."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fields = list(_fields(data, (0, len(data))))
        graph = list(_fields(data, next(value for field, value, _ in self._fields if field == _GRAPH)))
        self.weights = {
            _text(data, value, _TENSOR_NAME): whole for field, value, whole in graph if field == _INITIALIZER
        }
        """Where each lies."""
        self.graph = _Graph(
            tuple(_node(data, value, whole) for field, value, whole in graph if field == _NODE),
            b"".join(data[slice(*whole)] for field, _, whole in graph if field == _INPUT),
            {_text(data, value, _VALUE_NAME): data[slice(*whole)] for field, value, whole in graph if field == _OUTPUT},
        )

    def built(self, graph: _Graph) -> bytes:
        """Return the model of a graph alone, with the weights that it uses."""
        data = memoryview(self._data)
        used = {name for node in graph.nodes for name in node.takes}
        body: list[bytes | memoryview] = [data[slice(*node.whole)] for node in graph.nodes]
        body += [data[slice(*whole)] for name, whole in self.weights.items() if name in used]
        body += [_bytes(_NAME, b"part"), graph.inputs, *graph.outputs.values()]
        made: list[bytes | memoryview] = []
        for field, _, whole in self._fields:
            made += [_head(_GRAPH, sum(map(len, body))), *body] if field == _GRAPH else [data[slice(*whole)]]
        return b"".join(made)


def part(model: bytes) -> Parts:
    """Return the parts of a model.

    Raises:
        CannotPart: it has no decoder of that name, or is no such file.
    """
    try:
        read = _Model(model)
        encoder, rest, frames, extras = _cut(read.graph, read.weights, DECODER)
        stages: list[_Graph] = []
        with contextlib.suppress(CannotPart):  # there is no further stage
            while True:
                stage, rest, *_ = _cut(rest, read.weights, STAGE.format(len(stages) + 1), only=True)
                stages.append(stage)
        flow: _Graph | None = None
        latent: tuple[str, ...] = ()
        with contextlib.suppress(CannotPart):  # the flow is built in another way
            encoder, flow, first, others = _cut(encoder, read.weights, FLOW)
            latent = (first, *others)
        return Parts(
            read.built(encoder),
            read.built(flow) if flow is not None else None,
            tuple(read.built(stage) for stage in (*stages, rest)),
            Names(latent, frames, extras),
        )
    except (IndexError, ValueError, KeyError, StopIteration) as error:
        raise CannotPart(str(error)) from error


def _cut(
    graph: _Graph, weights: Mapping[str, Span], begin: str, *, only: bool = False
) -> tuple[_Graph, _Graph, str, tuple[str, ...]]:
    """Return the part of a graph before the node of that name, the part behind, what crosses, and what else does.

    Raises:
        CannotPart: there is no such node, or, if there should be `only` one thing that crosses, there is more.
    """
    nodes = graph.nodes
    first = next((node for node in nodes if node.name == begin), None)
    if first is None:
        raise CannotPart(f"there is no node {begin}")
    frames = first.takes[0]
    behind = _depending(nodes, frames)
    made = {name for number in behind for name in nodes[number].gives}
    needed = {name for number in behind for name in nodes[number].takes if name} - made - weights.keys() - {frames}
    constant = _constant(nodes, needed)
    extras = tuple(sorted(needed - {name for number in constant for name in nodes[number].gives}))
    if only and extras:
        raise CannotPart(f"{begin} is not alone")
    ends = {name: whole for name, whole in graph.outputs.items() if name in made}
    if len(ends) != 1:
        raise CannotPart(f"{len(ends)} things come of {begin}")
    crossing = {name: _value(name) for name in (frames, *extras)}
    left = {name: _bytes(_OUTPUT, value) for name, value in crossing.items()}
    left |= {name: whole for name, whole in graph.outputs.items() if name not in made}
    return (
        _Graph(tuple(node for number, node in enumerate(nodes) if number not in behind), graph.inputs, left),
        _Graph(
            tuple(nodes[number] for number in sorted({*constant, *behind})),
            b"".join(_bytes(_INPUT, value) for value in crossing.values()),
            ends,
        ),
        frames,
        extras,
    )


def _depending(nodes: Sequence[_Node], name: str) -> set[int]:
    """Return the numbers of the nodes that need `name`; nodes come in the order of their work."""
    names, found = {name}, set[int]()
    for number, node in enumerate(nodes):
        if not names.isdisjoint(node.takes):
            found.add(number)
            names.update(node.gives)
    return found


def _constant(nodes: Sequence[_Node], names: set[str]) -> list[int]:
    """Return the numbers of the nodes that give one of `names` and take nothing."""
    return [number for number, node in enumerate(nodes) if not node.takes and not names.isdisjoint(node.gives)]


def _node(model: bytes, span: Span, whole: Span) -> _Node:
    found: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_NAME: [""]}
    for field, value, _ in _fields(model, span):
        if field in found:
            found[field].append(model[slice(*value)].decode())
    return _Node(found[_NODE_NAME][-1], tuple(found[_NODE_INPUT]), tuple(found[_NODE_OUTPUT]), whole)


def _text(model: bytes, span: Span, wanted: int) -> str:
    return next(model[slice(*value)].decode() for field, value, _ in _fields(model, span) if field == wanted)


def _fields(data: bytes, span: Span) -> Iterator[tuple[int, Span, Span]]:
    """Yield the fields of a message: number, where its value lies, where all of it lies."""
    at, end = span
    while at < end:
        start = at
        key, at = _number(data, at)
        kind = key & 7
        if kind == 0:
            begin = at
            _, at = _number(data, at)
        elif kind == _BYTES:
            size, begin = _number(data, at)
            at = begin + size
        elif kind in _FIXED:
            begin, at = at, at + _FIXED[kind]
        else:
            raise CannotPart(f"no field is of kind {kind}")
        if at > end:
            raise CannotPart("a field is longer than what holds it")
        yield key >> 3, (begin, at), (start, at)


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _head(field: int, size: int) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(size)


def _bytes(field: int, data: bytes) -> bytes:
    return _head(field, len(data)) + data


def _value(name: str) -> bytes:
    """Return a ValueInfoProto: floats of three dimensions, none of them fixed."""
    shape = b"".join(_bytes(1, _bytes(2, f"{name} {axis}".encode())) for axis in range(3))
    tensor = _varint(1 << 3) + _varint(_FLOAT) + _bytes(2, shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))
