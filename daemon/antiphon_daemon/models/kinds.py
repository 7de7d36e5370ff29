"""Telling what a file is by its content: a web page or another engine's model is known before it is installed."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from antiphon_daemon.engines.models import Kind

HEAD = 64
"""So many bytes tell what a file is."""
NEWEST_CTRANSLATE2 = 6
"""The newest version of the format that CTranslate2 4 reads."""
NEWEST_GGUF = 3
NAMES: dict[Kind, str] = {
    "ctranslate2": "a Whisper of CTranslate2",
    "gguf": "a GGUF model",
    "onnx": "an ONNX model",
    "json": "JSON",
    "text": "plain text",
    "floats": "numbers (float32)",
}


class WrongKind(Exception):
    """The content is something else; the message says what was expected and what is there."""


def check_start(kind: Kind, head: bytes) -> None:
    """Look at the first bytes of a file.

    Raises:
        WrongKind: they cannot be the start of such a file.
    """
    if looks_like_a_page(head):
        raise WrongKind(f"a web page, not {NAMES[kind]}")
    if not _begins(kind, head):
        raise WrongKind(f"not {NAMES[kind]}")
    version = struct.unpack("<I", head[:4])[0] if kind == "ctranslate2" else 0
    if version > NEWEST_CTRANSLATE2:
        raise WrongKind(f"a CTranslate2 model of version {version}, newer than the engine here reads")
    if kind == "gguf" and not 2 <= struct.unpack("<I", head[4:8])[0] <= NEWEST_GGUF:
        raise WrongKind(f"a GGUF model of version {struct.unpack('<I', head[4:8])[0]}, which the engine does not read")


def looks_like_a_page(head: bytes) -> bool:
    """Whether this is HTML, such as a login page."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml"))


def _begins(kind: Kind, head: bytes) -> bool:
    if kind == "ctranslate2":
        return len(head) > 20 and head[4:17] == b"\x0c\x00WhisperSpec"
    if kind == "gguf":
        return len(head) >= 24 and head.startswith(b"GGUF")
    if kind == "onnx":  # protobuf: field 1, ir_version, then another field of the model
        return len(head) > 3 and head[0] == 0x08 and 3 <= head[1] <= 32 and head[2] & 7 in (0, 2)
    if kind == "json":
        return head.lstrip()[:1] in (b"{", b"[")
    if kind == "floats":
        return bool(head)
    return b"\0" not in head and bool(head)


def check_whole(kind: Kind, path: Path) -> None:
    """Look at a complete file.

    Raises:
        WrongKind: it is something else, or cut short.
    """
    with path.open("rb") as file:
        check_start(kind, file.read(HEAD))
    if kind == "json":
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise WrongKind("cut short, or not JSON") from None
    if kind == "floats" and path.stat().st_size % 4:
        raise WrongKind("cut short, or not numbers (float32)")
    if kind == "onnx" and not _fields_fill(path):
        raise WrongKind("cut short, or not an ONNX model")


def _fields_fill(path: Path) -> bool:
    """Whether the outermost fields of a protobuf message end where its file ends."""
    size = path.stat().st_size
    with path.open("rb") as file:

        def number() -> int:
            value, shift = 0, 0
            while True:
                byte = file.read(1)
                if not byte or shift > 63:
                    raise EOFError
                value |= (byte[0] & 127) << shift
                shift += 7
                if byte[0] < 128:
                    return value

        try:
            while file.tell() < size:
                wire = number() & 7
                if wire == 0:
                    number()
                elif wire in (1, 2, 5):
                    file.seek({1: 8, 5: 4}.get(wire) or number(), 1)
                else:
                    return False
        except EOFError:
            return False
        return file.tell() == size
