"""A language model on an Ollama server."""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import ollama
import structlog

from antiphon.settings import Llm
from antiphon_daemon.engines.contracts import EngineError, Fault, Message, Revoked, TextDelta, Tool, ToolCall, Work
from antiphon_daemon.engines.llm.prefix import unasked
from antiphon_daemon.engines.llm.remote import LOAD_S, is_near, nothing_said, one_line, shown, tls_error, trusted
from antiphon_daemon.engines.llm.thoughts import Habit, Thoughts
from antiphon_daemon.engines.worker import revocable

URL = "http://127.0.0.1:11434"
"""Where Ollama is when nobody says otherwise."""

EXAMPLE = "qwen3:4b"
"""A model that is named where a sentence needs one."""

LOOKED_AT = 8
"""So many models are looked at to find one that can talk: each costs a question to the server."""

FAILURES = (ollama.ResponseError, httpx.HTTPError, OSError, ValueError, TypeError, AttributeError)
"""What the client raises: the last three where JSON is broken, or not what Ollama sends."""

log = structlog.get_logger(__name__)


class Ollama:
    """A `Responder` on an Ollama server.

    Args:
        settings: the model's name, the server's address and what it is asked for. Without a name it is the model that
            is loaded, else the one that was pulled last; never one that runs on other people's machines.
        connect_s: how long connecting, or a check, may take. Waiting for tokens has no limit here: the work's deadline
            revokes it.

    Raises:
        EngineError: `llm.ca_file` is no certificate.
    """

    uses_tools = True

    def __init__(self, settings: Llm, *, connect_s: float = 5.0) -> None:
        self._settings = settings
        self._url = shown(settings.url or URL)
        self._connect_s = connect_s
        self._model = settings.model
        self._habit = Habit()
        key = settings.api_key
        self._client = ollama.AsyncClient(
            host=settings.url or URL,
            headers={
                **settings.headers,
                **({"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}),
            },
            auth=_auth(settings.url),
            timeout=httpx.Timeout(None, connect=connect_s),
            trust_env=not is_near(self._url),
            verify=trusted(settings),
        )

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"ollama {self._model}".strip()

    async def check(self) -> None:
        """See that the server answers and has the model. Quick: nothing is loaded.

        Raises:
            EngineError: it does not.
        """
        try:
            async with asyncio.timeout(self._connect_s):
                await self._client.show(await self._chosen())
        except FAILURES as error:
            raise self._error(error) from error

    async def warm(self) -> None:
        """Have the server load the model, so that the first reply does not wait for it.

        Raises:
            EngineError: it cannot.
        """
        try:
            async with asyncio.timeout(LOAD_S):
                await self._client.chat(
                    await self._chosen(), [], keep_alive=self._settings.keep_alive, options=self._options()
                )
        except FAILURES as error:
            raise self._error(error) from error

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield the reply as the server streams it; what the model only thinks is left out."""
        thoughts, said, done, cut = Thoughts(self._habit), False, False, False
        try:
            async with revocable(work):
                reply = await self._client.chat(
                    await self._chosen(),
                    _messages(messages),
                    tools=[_tool(tool) for tool in tools],
                    stream=True,
                    think=self._settings.think,
                    options=self._options(),
                    keep_alive=self._settings.keep_alive,
                )
            # The client's own iterator holds the connection: unless it is closed here, the model goes on writing.
            async with aclosing(reply) as parts:  # type: ignore[type-var]
                while True:
                    async with revocable(work):
                        part = await anext(parts, None)
                    if part is None:
                        break
                    done, cut = bool(part.done), part.done_reason == "length"
                    thoughts.thought |= bool(part.message.thinking)
                    if text := thoughts.feed(part.message.content or ""):
                        said = True
                        yield TextDelta(unicodedata.normalize("NFC", text))
                    for call in part.message.tool_calls or ():
                        said = True
                        name, arguments = call.function.name, dict(call.function.arguments)
                        yield ToolCall(f"call_{uuid.uuid4().hex[:12]}", name, arguments)
        except FAILURES as error:
            raise self._error(error) from error
        if rest := thoughts.rest(cut=cut or not done):
            yield TextDelta(unicodedata.normalize("NFC", rest))
        if not done:
            raise self._broke_off()
        if not (said or rest):
            raise nothing_said(self._model, thoughts.thought)

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        """Have the server read `messages` and keep them cached; a far one, which may cost money, is not asked."""
        if not is_near(self._url):
            return
        with contextlib.suppress(*FAILURES, EngineError, Revoked):
            async with revocable(work):
                await self._client.chat(
                    await self._chosen(),
                    _messages(unasked(messages)),
                    tools=[_tool(tool) for tool in tools],
                    think=self._settings.think,
                    options={**self._options(), "num_predict": 1},
                    keep_alive=self._settings.keep_alive,
                )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def _chosen(self) -> str:
        """Return the model's name; the first time, if none is named, choose one and say which."""
        if not self._model:
            self._model = await self._choose()
            log.info("language model chosen", model=self.name, url=self._url)
        return self._model

    async def _choose(self) -> str:
        loaded = [one.model for one in (await self._client.ps()).models]
        pulled = [one.model for one in (await self._client.list()).models]
        here = [name for name in dict.fromkeys((*loaded, *pulled)) if name and not name.endswith("cloud")]
        for name in here[:LOOKED_AT]:
            able = (await self._client.show(name)).capabilities
            if able is None or "completion" in able:
                return name
        raise EngineError("llm", f"Ollama at {self._url} has no model that can talk: run: ollama pull {EXAMPLE}")

    def _options(self) -> Mapping[str, Any]:
        settings = self._settings
        return {
            "num_ctx": settings.context,
            "num_predict": settings.reply_tokens,
            "temperature": settings.temperature,
            **({"num_thread": settings.threads} if settings.threads else {}),
            **settings.options,
        }

    def _error(self, error: Exception) -> EngineError:
        url = self._url
        if isinstance(error, ollama.ResponseError):
            return self._refusal(error)
        if encryption := tls_error(error, url):
            return encryption
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError, TimeoutError)):
            return EngineError("llm", f"Ollama does not answer at {url}: start it with: ollama serve")
        if isinstance(error, (httpx.HTTPError, OSError)):
            return self._broke_off()
        return self._stranger(error)

    def _refusal(self, error: ollama.ResponseError) -> EngineError:
        url, why = self._url, one_line(error.error)
        match error.status_code:
            case 404 if "model" in why:
                model, self._model = self._model, self._settings.model
                return EngineError("llm", f"Ollama at {url} has no model {model}: run: ollama pull {model}")
            case 401 | 403:
                says = f"Ollama at {url} refused the key: correct llm.api_key or llm.api_key_file."
                return EngineError("llm", says, Fault.KEY)
            case 400 | 413 | 422:
                says = f"Ollama at {url} refused the conversation ({why}): correct llm.model, llm.think or llm.options."
                return EngineError("llm", says, Fault.REFUSED)
            case 429 | 503:
                return EngineError("llm", f"Ollama at {url} is busy ({why}): ask again in a moment.", Fault.BUSY)
            case 404 | 405:
                return self._stranger(why)
        return EngineError("llm", f"Ollama at {url} failed ({why}): see what `ollama serve` says.", quoted=why)

    def _stranger(self, why: object) -> EngineError:
        says = f"What answers at {self._url} does not speak as Ollama does ({one_line(why)}): check llm.url."
        return EngineError("llm", says)

    def _broke_off(self) -> EngineError:
        says = f"Ollama at {self._url} broke off in the middle of a reply: see what `ollama serve` says."
        return EngineError("llm", says, Fault.BROKE)


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


def _auth(url: str) -> tuple[str, str] | None:
    """Return the name and password that stand in an address; the client of Ollama leaves them out."""
    place = urlsplit(url if "//" in url else f"//{url}")
    return (unquote(place.username), unquote(place.password or "")) if place.username else None
