"""Parts a VITS model (ONNX) behind its encoder, so that the first of a sentence is heard before the rest is made.

    phonemes ─ encoder ─ latent frames ─ flow ─ frames ─ stage ─ 8 values a frame ─ stage ─ 64 ─ stage ─ 256 samples

The encoder looks at a whole sentence. The flow, as much work again, and the decoder, most of the work, look at some
frames around each. A stage ends where the decoder makes its values more: the later ones, which do most of its work,
look at less around a frame. The file is read as the protocol buffer that it is (onnx.proto3: the field numbers below);
weights are only carried over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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


def part(model: bytes) -> Parts:
    """Return the parts of a model.

    Raises:
        CannotPart: it has no decoder of that name, or is no such file.
    """
    try:
        encoder, rest, frames, extras = _cut(model, DECODER)
        stages: list[bytes] = []
        with contextlib.suppress(CannotPart):  # there is no further stage
            while True:
                stage, rest, *_ = _cut(rest, STAGE.format(len(stages) + 1), only=True)
                stages.append(stage)
        flow: bytes | None = None
        latent: tuple[str, ...] = ()
        with contextlib.suppress(CannotPart):  # the flow is built in another way
            encoder, flow, first, others = _cut(encoder, FLOW)
            latent = (first, *others)
    except (IndexError, ValueError, KeyError, StopIteration) as error:
        raise CannotPart(str(error)) from error
    return Parts(encoder, flow, (*stages, rest), Names(latent, frames, extras))


def _cut(model: bytes, begin: str, *, only: bool = False) -> tuple[bytes, bytes, str, tuple[str, ...]]:
    """Return the part of a model before the node of that name, the part behind, what crosses, and what else does.

    Raises:
        CannotPart: there is no such node, or, if there should be `only` one thing that crosses, there is more.
    """
    graph = next(value for field, value, _ in _fields(model, (0, len(model))) if field == _GRAPH)
    nodes = [_node(model, value, whole) for field, value, whole in _fields(model, graph) if field == _NODE]
    weights = {
        _text(model, value, _TENSOR_NAME): whole
        for field, value, whole in _fields(model, graph)
        if field == _INITIALIZER
    }
    first = next((node for node in nodes if node.name == begin), None)
    if first is None:
        raise CannotPart(f"there is no node {begin}")
    frames = first.takes[0]
    behind = _depending(nodes, frames)
    made = {name for number in behind for name in nodes[number].gives}
    needed = {name for number in behind for name in nodes[number].takes if name} - made - set(weights) - {frames}
    constant = _constant(nodes, needed)
    extras = tuple(sorted(needed - {name for number in constant for name in nodes[number].gives}))
    if only and extras:
        raise CannotPart(f"{begin} is not alone")
    before = [number for number in range(len(nodes)) if number not in behind]
    given = b"".join(model[slice(*whole)] for field, _, whole in _fields(model, graph) if field == _INPUT)
    wanted = {
        _text(model, value, _VALUE_NAME): model[slice(*whole)]
        for field, value, whole in _fields(model, graph)
        if field == _OUTPUT
    }
    crossing = {name: _value(name) for name in (frames, *extras)}
    left = {name: _bytes(_OUTPUT, value) for name, value in crossing.items()}
    left |= {name: whole for name, whole in wanted.items() if name not in made}
    ends = [whole for name, whole in wanted.items() if name in made]
    if len(ends) != 1:
        raise CannotPart(f"{len(ends)} things come of {begin}")

    def build(numbers: list[int], inputs: bytes, outputs: bytes) -> bytes:
        used = {name for number in numbers for name in nodes[number].takes}
        body = [model[slice(*nodes[number].whole)] for number in numbers]
        body += [model[slice(*whole)] for name, whole in weights.items() if name in used]
        new = b"".join([*body, _bytes(_NAME, b"part"), inputs, outputs])
        fields = _fields(model, (0, len(model)))
        return b"".join(_bytes(_GRAPH, new) if field == _GRAPH else model[slice(*whole)] for field, _, whole in fields)

    return (
        build(before, given, b"".join(left.values())),
        build(
            sorted({*constant, *behind}),
            b"".join(_bytes(_INPUT, value) for value in crossing.values()),
            *ends,
        ),
        frames,
        extras,
    )


def _depending(nodes: list[_Node], name: str) -> set[int]:
    """Return the numbers of the nodes that need `name`; nodes come in the order of their work."""
    names, found = {name}, set[int]()
    for number, node in enumerate(nodes):
        if not names.isdisjoint(node.takes):
            found.add(number)
            names.update(node.gives)
    return found


def _constant(nodes: list[_Node], names: set[str]) -> list[int]:
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


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(data)) + data


def _value(name: str) -> bytes:
    """Return a ValueInfoProto: floats of three dimensions, none of them fixed."""
    shape = b"".join(_bytes(1, _bytes(2, f"{name} {axis}".encode())) for axis in range(3))
    tensor = _varint(1 << 3) + _varint(_FLOAT) + _bytes(2, shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))
