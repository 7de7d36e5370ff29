"""Items as clients write them, in `conversation.item.create` and in the `input` of a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from antiphon.text import composed
from antiphon_daemon.gateway.realtime.items import Item, Part, Role
from antiphon_daemon.gateway.realtime.wire import ID_MOST, Refusal, audio_of, new_id, text_of

TEXT_MOST = 32_000
PARTS_MOST = 32
_PARTS = {
    "user": ("input_text", "input_audio"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}


def created(fields: Mapping[str, Any]) -> tuple[Item, bytes]:
    """Return the item that a client writes, and the sound that it holds (none: empty), in the session's format.

    Raises:
        Refusal: it is none that can be had here.
    """
    kind = text_of(fields, "type", within="item.")
    item_id = fields.get("id") or new_id("item")
    if not isinstance(item_id, str) or len(item_id) > ID_MOST:
        raise Refusal("invalid_value", f"item.id is text of at most {ID_MOST} letters", "item.id")
    if kind == "function_call_output":
        output = _normal(text_of(fields, "output", within="item."), "item.output")
        return Item("function_call_output", id=item_id, call_id=_call_id(fields), text=output), b""
    if kind == "function_call":
        arguments = _normal(text_of(fields, "arguments", within="item."), "item.arguments")
        name = text_of(fields, "name", within="item.")[:ID_MOST]
        called = Item("function_call", id=item_id, call_id=_call_id(fields), name=name, arguments=arguments)
        return called, b""
    if kind != "message":
        raise Refusal("invalid_value", f"item.type: {kind[:40]!r} is no kind of item that is known here", "item.type")
    role = text_of(fields, "role", within="item.")
    if role not in _PARTS:
        raise Refusal("invalid_value", "item.role is user, assistant or system", "item.role")
    return _message(item_id, cast(Role, role), fields.get("content"))


def _message(item_id: str, role: Role, content: object) -> tuple[Item, bytes]:
    if not isinstance(content, list) or not content or len(content) > PARTS_MOST:
        raise Refusal("invalid_value", f"item.content is a list of 1 to {PARTS_MOST} parts", "item.content")
    texts: list[str] = []
    sound = b""
    for number, part in enumerate(content):
        place = f"item.content.{number}."
        if not isinstance(part, dict):
            raise Refusal("invalid_type", f"{place[:-1]} is an object", place[:-1])
        kind = text_of(part, "type", within=place)
        if kind not in _PARTS[role]:
            only = " or ".join(_PARTS[role])
            raise Refusal("invalid_value", f"{place}type: a message of the {role} holds {only}", f"{place}type")
        if kind == "output_audio":  # what was said before, put back: its words are known
            texts.append(text_of(part, "transcript", within=place))
        elif kind != "input_audio":
            texts.append(text_of(part, "text", within=place))
        elif part.get("transcript"):
            texts.append(text_of(part, "transcript", within=place))
        else:
            sound += audio_of(part, within=place)
    if sound and texts:
        why = "item.content: a message is either text or sound that is to be heard"
        raise Refusal("invalid_value", why, "item.content")
    shape: Part = "input_audio" if sound else "output_text" if role == "assistant" else "input_text"
    text = None if sound else _normal("\n".join(texts), "item.content")
    return Item("message", role, shape, text, id=item_id), sound


def _call_id(fields: Mapping[str, Any]) -> str:
    return text_of(fields, "call_id", within="item.")[:ID_MOST]


def _normal(text: str, place: str) -> str:
    if len(text) > TEXT_MOST:
        raise Refusal("invalid_value", f"{place} has {len(text)} letters: at most {TEXT_MOST} are taken", place)
    return composed(text)
