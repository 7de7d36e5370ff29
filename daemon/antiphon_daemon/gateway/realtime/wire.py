"""Events and errors as they are on the wire: JSON objects, each with a `type`."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import ValidationError

Json: TypeAlias = dict[str, Any]

ID_MOST = 64
"""Letters of an id that a client makes."""
_NOT_THAT_SHAPE = ("literal_error", "model_type", "string_type", "int_type", "int_parsing")
"""Of a value that may have several shapes, these say that it has not this one, and nothing of what is wrong in it."""

_OF_THE_BETA = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}
"""Fields of sessions and responses that programs of the beta send, and what they are called since."""


class Refusal(Exception):
    """What a client asks for cannot be done; it is told why, and the session goes on.

    Args:
        param: which field is meant, such as `session.audio.input.format`.
    """

    def __init__(self, code: str, why: str, param: str | None = None, kind: str = "invalid_request_error") -> None:
        super().__init__(why)
        self.code, self.param, self.kind = code, param, kind

    def told(self, event_id: str | None) -> Json:
        """Return the `error` of an error event."""
        return {
            "type": self.kind,
            "code": self.code,
            "message": str(self),
            "param": self.param,
            "event_id": event_id,
        }


def new_id(kind: str) -> str:
    """Return an id such as item_….

    Args:
        kind: what it begins with.
    """
    return f"{kind}_{secrets.token_hex(10)}"


def parsed(text: str) -> Json:
    """Return the event that a text message holds.

    Raises:
        Refusal: it is not a JSON object that names its type.
    """
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal("invalid_json", "an event is JSON text: this is not") from None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise Refusal("invalid_event", 'an event is a JSON object that names its type: {"type": "session.update"}')
    return event


def event_id(event: Mapping[str, Any]) -> str | None:
    """Return the id that a client gave its event, if it is one."""
    found = event.get("event_id")
    return found[:512] if isinstance(found, str) else None


def text_of(fields: Mapping[str, Any], name: str, *, within: str = "") -> str:
    """Return a field that must be there, as text."""
    found = fields.get(name)
    if found is None:
        raise Refusal("missing_required_parameter", f"{name} is missing", within + name)
    if not isinstance(found, str):
        raise Refusal("invalid_type", f"{name} is text", within + name)
    return found.encode("utf-8", "replace").decode()  # half a surrogate is no text


def object_of(fields: Mapping[str, Any], name: str) -> Json:
    """Return a field that must be there, as an object."""
    found = fields.get(name)
    if found is None:
        raise Refusal("missing_required_parameter", f"{name} is missing", name)
    if not isinstance(found, dict):
        raise Refusal("invalid_type", f"{name} is an object", name)
    return found


def index_of(fields: Mapping[str, Any], name: str) -> int:
    """Return a field that must be there, as a whole number of 0 or more."""
    found = fields.get(name)
    if found is None:
        raise Refusal("missing_required_parameter", f"{name} is missing", name)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= 86_400_000:
        raise Refusal("invalid_value", f"{name} is a whole number, 0 or more", name)
    return found


def audio_of(fields: Mapping[str, Any], name: str = "audio", *, within: str = "") -> bytes:
    """Return a field that must be there, as the bytes that its base64 holds."""
    try:
        return base64.b64decode(text_of(fields, name, within=within), validate=True)
    except (binascii.Error, ValueError):
        raise Refusal("invalid_base64", f"{name} is not base64", within + name) from None


def refusal_of(error: ValidationError, within: str, tags: Sequence[str] = ()) -> Refusal:
    """Return what is wrong with fields, told as the first of it that says more than which shape a value has not.

    Args:
        within: what the fields are called, such as `session`.
        tags: parts of a place that only say which of several shapes was taken.
    """

    def is_tag(part: str | int) -> bool:
        return part in tags or "[" in str(part)

    found = error.errors(include_url=False, include_input=False)
    telling = (one for one in found if one["type"] not in _NOT_THAT_SHAPE or not any(map(is_tag, one["loc"][-1:])))
    first = next(telling, found[0])
    parts = [str(part) for part in (within, *first["loc"])]
    place = ".".join(part for part in parts if not is_tag(part))
    codes = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}
    why = {"missing": "is missing", "extra_forbidden": "is not known here"}.get(first["type"], first["msg"])
    if first["type"] == "extra_forbidden" and (now := _OF_THE_BETA.get(place.removeprefix(f"{within}."))):
        why += f", and was in the beta alone: it is {now} now"
    return Refusal(codes.get(first["type"], "invalid_value"), f"{place}: {why}", place)
