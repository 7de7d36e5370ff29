"""Wyoming frames, read within bounds.

A frame is a JSON line `{"type", "version", "data"?, "data_length"?, "payload_length"?}`, then `data_length` bytes of a
JSON object (stronger than an inline `data`), then `payload_length` bytes. The `wyoming` package reads frames without
bounds and takes a malformed one for the end of the stream; here every fault is a `FrameError` that says what was wrong.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from dataclasses import is_dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from wyoming.event import Event, Eventable
from wyoming.version import __version__ as WYOMING_VERSION

from antiphon.text import whole

HEADER_BYTES = 64 * 1024
"""A longer header line is an attack or not Wyoming."""
DATA_BYTES = 1024 * 1024
PAYLOAD_BYTES = 1024 * 1024
BODY_S = 10.0
"""Once a header has come, the rest of its frame must follow within this."""
TYPE_CHARACTERS = 128
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""How JSON writes half a character: one alone is no text that could be logged, shown or passed on."""

E = TypeVar("E", bound=Eventable)


class FrameError(Exception):
    """A frame that is malformed, too large, too slow, or whose data does not fit its type; the message says which."""


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """Return the next event, or None at a clean end of the stream.

    Args:
        reader: made with `limit=HEADER_BYTES`.

    Raises:
        FrameError: the frame is malformed, beyond a bound, torn, or did not come whole within `BODY_S`.
    """
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise FrameError(f"a header line is longer than {HEADER_BYTES} bytes") from None
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise FrameError("the stream ended inside a header line") from None
        return None
    header = _object(line, "header line")
    kind = header.get("type")
    if not isinstance(kind, str) or not 0 < len(kind) <= TYPE_CHARACTERS:
        raise FrameError("a header has no type")
    inline = header.get("data")
    if inline is not None and not isinstance(inline, dict):
        raise FrameError("the data of a header is no object")
    data: dict[str, Any] = dict(inline or {})
    data_length = _length(header, "data_length", DATA_BYTES)
    payload_length = _length(header, "payload_length", PAYLOAD_BYTES)
    try:
        async with asyncio.timeout(BODY_S):
            if data_length:
                data.update(_object(await reader.readexactly(data_length), "data block"))
            payload = await reader.readexactly(payload_length) if payload_length else None
    except asyncio.IncompleteReadError:
        raise FrameError("the stream ended inside a frame") from None
    except TimeoutError:
        raise FrameError(f"a frame did not come whole within {BODY_S:.0f} s") from None
    return Event(kind, data, payload)


def encode_event(event: Event) -> bytes:
    """Return the bytes of one frame."""
    header: dict[str, Any] = {"type": event.type, "version": WYOMING_VERSION}
    data = _encoded(json.dumps(event.data, ensure_ascii=False)) if event.data else b""
    payload = event.payload or b""
    if data:
        header["data_length"] = len(data)
    if payload:
        header["payload_length"] = len(payload)
    return _encoded(json.dumps(header, ensure_ascii=False)) + b"\n" + data + payload


def _encoded(text: str) -> bytes:
    """Return UTF-8, whatever some language models give."""
    return whole(text).encode()


def parse(kind: type[E], event: Event) -> E:
    """Return `event` as the dataclass it should be, every field of the type that it declares.

    The `wyoming` package takes whatever JSON a field holds; a number for a text would fail somewhere far from here.

    Raises:
        FrameError: a field is missing or of the wrong type.
    """
    try:
        found: E = kind.from_event(event)  # type: ignore[assignment]  # the package declares the base class
        if is_dataclass(found) and not isinstance(found, type):
            fields = {field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.init}
            found = _checker(kind).validate_python(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        at = ".".join(str(part) for part in fault["loc"])
        raise FrameError(f"the data of {event.type!r} does not fit: {at}: {fault['msg']}") from None
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        # A KeyError names the field that is missing; other errors may quote what a field holds.
        what = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else type(error).__name__
        raise FrameError(f"the data of {event.type!r} does not fit: {what}") from None
    return found


@cache
def _checker(kind: type[E]) -> TypeAdapter[E]:
    return TypeAdapter(kind)


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text.decode())  # of bytes it would take other encodings, too
        if _HALF.search(text):
            value = json.loads(whole(json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise FrameError(f"a {what} is not JSON") from None
    if not isinstance(value, dict):
        raise FrameError(f"a {what} is no JSON object")
    return value


def _length(header: dict[str, Any], key: str, most: int) -> int:
    value = header.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FrameError(f"{key} is no number of bytes")
    if value > most:
        raise FrameError(f"{key} is {value}, more than {most} bytes")
    return value
