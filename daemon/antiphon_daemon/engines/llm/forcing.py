"""Makes a model call a tool that was never taught to: a grammar lets it write nothing else.

The tools are described in one message behind the conversation, so that the cache of what comes before it stays valid.
The call is always well formed; how sensible its arguments are is up to the model.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon_daemon.engines.contracts import EngineError, Fault, Message, Tool, ToolCall

LONGEST_TEXT = 200
"""Letters of a string among the arguments, where the tool does not say: a small model may never end one."""
MOST_ITEMS = 16


def schema(tools: Sequence[Tool]) -> dict[str, Any]:
    """Return the JSON Schema of a call of one of `tools`: {"name", "arguments"}."""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": _bounded(_object(tool.parameters))},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def asked(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """Return the conversation with the tools described at its end."""
    said = "\n".join(
        f"- {tool.name}: {tool.description} Arguments: {json.dumps(dict(tool.parameters), ensure_ascii=False)}"
        for tool in tools
    )
    wanted = 'Call the function that fits, as JSON: {"name": …, "arguments": {…}}.'
    return [*messages, Message("system", f"Functions:\n{said}\n{wanted}")]


def call(text: str) -> ToolCall:
    """Return the call that the model has written.

    Raises:
        EngineError: it is not whole: the longest reply was too short for it.
    """
    try:
        written = json.loads(text)
        name, arguments = str(written["name"]), written["arguments"]
    except (ValueError, KeyError, TypeError):
        says = "The model did not finish the call of a function: raise llm.reply_tokens, or take a larger model."
        raise EngineError("llm", says, Fault.REFUSED, quoted=text) from None
    return ToolCall(f"call_{uuid.uuid4().hex[:16]}", name, arguments)


def plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return messages for a template that knows no tools: calls and what came of them are told in words."""
    told: list[dict[str, str]] = []
    called: dict[str, str] = {}
    for message in messages:
        if message.role == "tool":
            name = called.get(message.tool_call_id or "", "the function")
            told.append({"role": "user", "content": f"({name} answered: {message.text})"})
            continue
        called |= {call.id: call.name for call in message.tool_calls}
        if message.text or not message.tool_calls:
            told.append({"role": message.role, "content": message.text})
    return told


def _object(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {**parameters, "type": "object"} if parameters.get("properties") else {"type": "object", "properties": {}}


def _bounded(one: Any) -> Any:
    """Return a schema in which every string and list has a longest length, and every object is required whole."""
    if not isinstance(one, dict):
        return one
    found = {key: value for key, value in one.items() if key not in ("$schema", "strict")}
    if found.get("type") == "string" and "enum" not in found and "const" not in found:
        found.setdefault("maxLength", LONGEST_TEXT)
    if found.get("type") == "array":
        found["maxItems"] = min(MOST_ITEMS, found.get("maxItems", MOST_ITEMS))
        found["items"] = _bounded(found.get("items", {"type": "string"}))
    if isinstance(found.get("properties"), dict):
        found["properties"] = {name: _bounded(value) for name, value in found["properties"].items()}
        found["additionalProperties"] = False
    return found
