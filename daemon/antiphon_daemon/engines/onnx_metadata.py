"""What a model (ONNX) says of itself, read without loading it: weights of any size are skipped."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_METADATA = 14
"""`metadata_props` of a ModelProto (onnx.proto3): entries of a key (1) and a value (2)."""
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
LONGEST_ENTRY = 1_000_000


class NotOnnx(ValueError):
    """The file is no ONNX model, or is cut short; the message says where that shows."""


def metadata(path: Path) -> dict[str, str]:
    """Return a model's metadata.

    Raises:
        NotOnnx: it is no ONNX model, or cut short.
        OSError: it cannot be read.
    """
    found: dict[str, str] = {}
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        while file.tell() < size:
            key = _number(file)
            if key & 7 == _VARINT:
                _number(file)
            elif key & 7 in (_FIXED_32, _FIXED_64):
                file.seek(4 if key & 7 == _FIXED_32 else 8, 1)
            elif key & 7 == _BYTES:
                length = _number(file)
                if file.tell() + length > size:
                    raise NotOnnx("it is cut short")
                if key >> 3 == _METADATA and length < LONGEST_ENTRY:
                    name, value = _entry(file.read(length))
                    found[name] = value
                else:
                    file.seek(length, 1)
            else:
                raise NotOnnx("it is no ONNX model")
        if not size or file.tell() > size:
            raise NotOnnx("it is cut short")
    return found


def _entry(data: bytes) -> tuple[str, str]:
    """Return key and value; both are short or long strings."""
    parts: dict[int, str] = {}
    at = 0
    while at < len(data):
        field, at = data[at] >> 3, at + 1
        length = shift = 0
        while True:
            if at >= len(data):
                raise NotOnnx("its metadata is torn")
            byte, at = data[at], at + 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        parts[field] = data[at : at + length].decode(errors="replace")
        at += length
    return parts.get(1, ""), parts.get(2, "")


def _number(file: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte or shift > 63:
            raise NotOnnx("it is cut short" if not byte else "it is no ONNX model")
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
        shift += 7
