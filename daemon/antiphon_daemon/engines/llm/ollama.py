"""A language model on an Ollama server."""

from __future__ import annotations

import asyncio
import unicodedata
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
import ollama
import structlog

from antiphon.settings import Llm
from antiphon_daemon.engines.contracts import EngineError, Message, TextDelta, Tool, ToolCall, Work
from antiphon_daemon.engines.worker import revocable

KEEP_ALIVE = "30m"
"""How long the server keeps the model loaded after a reply: loading it again takes longer than anyone waits."""

WARM_S = 10.0
"""How long starting waits for the server to load the model; it goes on loading afterwards."""

FAILURES = (ollama.ResponseError, httpx.HTTPError, OSError, ValueError, TypeError, AttributeError)
"""What the client raises: the last three where JSON is broken, or not what Ollama sends."""

log = structlog.get_logger()


class Ollama:
    """A `Responder` on an Ollama server.

    Args:
        settings: the model's name, the server's address and what it is asked for.
        connect_s: how long connecting may take. Waiting for tokens has no limit here: the work's deadline revokes it.

    Raises:
        EngineError: no model is named.
    """

    uses_tools = True

    def __init__(self, settings: Llm, *, connect_s: float = 5.0) -> None:
        if not settings.model:
            raise EngineError(
                "llm",
                "No Ollama model is named: set llm.model in config.yaml, for example to qwen3:4b (`ollama list` shows "
                "what is there).",
            )
        self._settings = settings
        self.name = f"ollama {settings.model}"
        key = settings.api_key
        self._client = ollama.AsyncClient(
            host=settings.url,
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else None,
            timeout=httpx.Timeout(None, connect=connect_s),
            trust_env=not _is_near(settings.url),
        )

    async def warm(self) -> None:
        """Have the server load the model, so that the first reply does not wait for it; log it when it cannot."""
        try:
            async with asyncio.timeout(WARM_S):
                await self._client.chat(self._settings.model, [], keep_alive=KEEP_ALIVE, options=self._options())
        except TimeoutError:
            log.info("language model still loading", model=self.name)
        except FAILURES as error:
            log.warning("language model not ready", reason=str(self._error(error)))

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield the reply as the server streams it; what the model only thinks is left out."""
        try:
            async with revocable(work):
                reply = await self._client.chat(
                    self._settings.model,
                    _messages(messages),
                    tools=[_tool(tool) for tool in tools],
                    stream=True,
                    think=False,
                    options=self._options(),
                    keep_alive=KEEP_ALIVE,
                )
            # The client's own iterator holds the connection: unless it is closed here, the model goes on writing.
            async with aclosing(reply) as parts:  # type: ignore[type-var]
                done = False
                while True:
                    async with revocable(work):
                        part = await anext(parts, None)
                    if part is None:
                        break
                    done = bool(part.done)
                    if part.message.content:
                        yield TextDelta(unicodedata.normalize("NFC", part.message.content))
                    for call in part.message.tool_calls or ():
                        name, arguments = call.function.name, dict(call.function.arguments)
                        yield ToolCall(f"call_{uuid.uuid4().hex[:12]}", name, arguments)
        except FAILURES as error:
            raise self._error(error) from error
        if not done:
            raise self._broke_off()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    def _options(self) -> Mapping[str, Any]:
        settings = self._settings
        return {
            "num_ctx": settings.context,
            "num_predict": settings.reply_tokens,
            "temperature": settings.temperature,
            **({"num_thread": settings.threads} if settings.threads else {}),
        }

    def _error(self, error: Exception) -> EngineError:
        model, url = self._settings.model, self._settings.url
        if isinstance(error, ollama.ResponseError):
            if error.status_code == 404:
                return EngineError("llm", f"Ollama at {url} has no model {model}: run: ollama pull {model}")
            if error.status_code in (401, 403):
                return EngineError("llm", f"Ollama at {url} refused the key: correct llm.api_key or llm.api_key_file.")
            return EngineError("llm", f"Ollama at {url} failed ({_line(error.error)}): see what `ollama serve` says.")
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError)):
            return EngineError("llm", f"Ollama does not answer at {url}: start it with: ollama serve")
        if isinstance(error, (httpx.HTTPError, OSError)):
            return self._broke_off()
        return EngineError(
            "llm", f"What answers at {url} does not speak as Ollama does ({_line(str(error))}): check llm.url."
        )

    def _broke_off(self) -> EngineError:
        url = self._settings.url
        return EngineError("llm", f"Ollama at {url} broke off in the middle of a reply: see what `ollama serve` says.")


def _is_near(url: str) -> bool:
    """Return whether the server is this machine or in this network, where no proxy stands between."""
    host = urlsplit(url if "//" in url else f"//{url}").hostname or "localhost"
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".localhost"))


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    sent = []
    for message in messages:
        one: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.tool_calls:
            one["tool_calls"] = [
                {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in message.tool_calls
            ]
        if message.tool_call_id in names:
            one["tool_name"] = names[message.tool_call_id]
        sent.append(one)
    return sent


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
