"""A language model behind OpenAI's chat completions: vLLM, llama-server, LM Studio, OpenAI and many others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import unicodedata
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import openai
import structlog

from antiphon.settings import Llm
from antiphon_daemon.engines.contracts import EngineError, Fault, Message, Revoked, TextDelta, Tool, ToolCall, Work
from antiphon_daemon.engines.llm.prefix import unasked
from antiphon_daemon.engines.llm.remote import (
    LOAD_S,
    is_near,
    nothing_said,
    one_line,
    proxied,
    reason,
    shown,
    tls_error,
    trusted,
    words,
)
from antiphon_daemon.engines.llm.thoughts import Habit, Thoughts
from antiphon_daemon.engines.worker import revocable

OPENAI = "api.openai.com"
"""The one host that wants the longest reply under its newer name."""
CUT = (None, "length", "tool_calls", "content_filter")
"""How a reply ends that is not at its end (None: the server broke off): what was only thought so far is no reply."""

STREAM = "text/event-stream"
_OVER: Final[Any] = object()

FAILURES = (openai.OpenAIError, httpx2.HTTPError, OSError, ValueError, TypeError, AttributeError)
"""What the client raises: the last three where JSON is broken, or not what such a server sends."""

log = structlog.get_logger(__name__)


class OpenAiApi:
    """A `Responder` on a server that is compatible with OpenAI's.

    Args:
        settings: the server's address, key and model. Without a name it is the only model that the server has.
        connect_s: how long connecting, or a check, may take. Waiting for tokens has no limit here: the work's deadline
            revokes it.

    Raises:
        EngineError: no server is named, or `llm.ca_file` is no certificate.
    """

    uses_tools = True

    def __init__(self, settings: Llm, *, connect_s: float = 5.0) -> None:
        self._settings = settings
        url = _base(settings.url)
        self._url = shown(url)
        self._connect_s = connect_s
        self._model = settings.model
        self._habit = Habit()
        key = settings.api_key.get_secret_value() if settings.api_key else "none"
        self._near = is_near(self._url)
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=url,
            default_headers=settings.headers,
            max_retries=0,
            http_client=httpx2.AsyncClient(
                verify=trusted(settings),
                trust_env=proxied(self._url, "llm"),
                timeout=httpx2.Timeout(None, connect=connect_s),
                follow_redirects=True,
            ),
        )
        # The client reads both from the environment, which here nobody meant.
        self._client.organization, self._client.project = settings.organization or None, None

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"{urlsplit(self._url).netloc} {self._model}".strip()

    async def check(self) -> None:
        """See that the server answers, believes the key and has the model. Quick: nothing is loaded.

        Raises:
            EngineError: it does not.
        """
        try:
            async with asyncio.timeout(self._connect_s):
                names = await self._names()
        except openai.NotFoundError:
            return  # not every server lists its models: the reply will tell
        except FAILURES as error:
            raise self._error(error) from error
        if not self._settings.model:
            self._choose(names)
        elif self._near and names and self._model not in names:
            log.warning("the server does not list this model", model=self._model, has=names)

    async def warm(self) -> None:
        """Have a server of this house load the model; a far one, which may cost money, is not asked.

        Raises:
            EngineError: it cannot.
        """
        if not self._near:
            return
        try:
            async with asyncio.timeout(LOAD_S):
                await self._create([Message("user", "Hi")], tokens=1)
        except FAILURES as error:
            raise self._error(error) from error

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield the reply as the server streams it; what the model only thinks is left out."""
        async with aclosing(self._answer(messages, work, tools, "auto")) as pieces:
            async for piece in pieces:
                yield piece

    async def call(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool]) -> AsyncIterator[ToolCall]:
        """Yield the calls that the model has to make."""
        called = False
        async with aclosing(self._answer(messages, work, tools, "required")) as pieces:
            async for piece in pieces:
                if isinstance(piece, ToolCall):
                    called = True
                    yield piece
        if not called:
            says = f"The server at {self._url} cannot make its model call a tool: leave the choice to it."
            raise EngineError("llm", says, Fault.REFUSED)

    async def _answer(
        self, messages: Sequence[Message], work: Work, tools: Sequence[Tool], choice: str
    ) -> AsyncGenerator[TextDelta | ToolCall, None]:
        thoughts, calls, said, ended, kind = Thoughts(self._habit), _Calls(), False, None, ""
        try:
            async with revocable(work):
                stream = await self._create(
                    messages, tokens=self._settings.reply_tokens, stream=True, tools=tools, choice=choice
                )
            kind = stream.response.headers.get("content-type", "")
            async with stream:  # leaving it hangs up: the model stops
                while True:
                    async with revocable(work):
                        chunk = await anext(stream, _OVER)
                    if chunk is _OVER:
                        break
                    kind = STREAM
                    for part in _parts(chunk):
                        ended = part.finish_reason or ended
                        if part.delta is None:
                            continue
                        thoughts.thought |= _thinks(part.delta)
                        calls.feed(part.delta.tool_calls or ())
                        if text := thoughts.feed(part.delta.content or ""):
                            said = True
                            yield TextDelta(unicodedata.normalize("NFC", text))
        except FAILURES as error:
            raise self._error(error) from error
        if rest := thoughts.rest(cut=ended in CUT):
            yield TextDelta(unicodedata.normalize("NFC", rest))
        if not kind.startswith(STREAM):
            raise self._stranger(f"it answers {kind or 'nothing'} where a reply should be")
        if ended is None:
            raise self._broke_off()
        made = list(calls.made())
        for call in made:
            yield call
        if not (said or rest or made):
            raise nothing_said(self._model, thoughts.thought)

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        """Have a server of this house read `messages` and keep them cached; a far one is not asked."""
        if not self._near:
            return
        with contextlib.suppress(*FAILURES, EngineError, Revoked):
            async with revocable(work):
                await self._create(unasked(messages), tokens=1, tools=tools)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _create(
        self,
        messages: Sequence[Message],
        *,
        tokens: int,
        stream: bool = False,
        tools: Sequence[Tool] = (),
        choice: str = "auto",
    ) -> Any:
        if not self._model:
            self._choose(await self._names())
        settings = self._settings
        longest = "max_completion_tokens" if urlsplit(self._url).hostname == OPENAI else "max_tokens"
        # Only servers of this house are told: others refuse fields that they do not know.
        template = {"chat_template_kwargs": {"enable_thinking": bool(settings.think)}} if self._near else {}
        effort = {"reasoning_effort": settings.think} if isinstance(settings.think, str) else {}
        create: Any = self._client.chat.completions.create
        return await create(
            model=self._model,
            messages=[_message(one) for one in messages],
            stream=stream,
            temperature=settings.temperature,
            **({"tools": [_tool(tool) for tool in tools]} if tools else {}),
            **({"tool_choice": choice} if choice != "auto" else {}),
            extra_body={longest: tokens, **template, **effort, **settings.body},
        )

    async def _names(self) -> list[str]:
        return [one.id async for one in self._client.models.list()]

    def _choose(self, names: Sequence[str]) -> None:
        if len(names) != 1:
            has = f"has several models: set llm.model to one of {', '.join(names)}" if names else "has no model loaded"
            raise EngineError("llm", f"The server at {self._url} {has}.")
        self._model = names[0]
        log.info("language model chosen", model=self.name)

    def _error(self, error: Exception) -> EngineError:
        url = self._url
        if isinstance(error, openai.APIStatusError):
            return self._refusal(error)
        if encryption := tls_error(error, url):
            return encryption
        if isinstance(error, (openai.APIConnectionError, httpx2.HTTPError, OSError)):
            cause = error.__cause__ or error
            if isinstance(cause, (httpx2.ConnectError, httpx2.TimeoutException, ConnectionError, TimeoutError)):
                return EngineError("llm", f"No language model answers at {url}: start its server, or correct llm.url.")
            return self._broke_off()
        if isinstance(error, openai.APIError):  # told in the stream, after it had begun
            why = one_line(words(error.body) or error.message)
            return EngineError("llm", f"The server at {url} failed ({why}): see what it says.", quoted=why)
        return self._stranger(error)

    def _refusal(self, error: openai.APIStatusError) -> EngineError:
        url, why = self._url, one_line(reason(error.message, error.body))
        match error.status_code:
            case 401 | 403:
                says = f"The server at {url} refused the key: correct llm.api_key_file ({why})."
                return EngineError("llm", says, Fault.KEY)
            case 404 if "model" in why.lower():
                model, self._model = self._model, self._settings.model
                return EngineError("llm", f"The server at {url} has no model {model}: correct llm.model ({why}).")
            case 404 | 405:
                return self._stranger(why)
            case 429 if error.code == "insufficient_quota":
                return EngineError("llm", f"The account at {url} has no credit left: top it up, or take another model.")
            case 429 | 503:
                says = f"The server at {url} is busy or still loading its model ({why}): ask again in a moment."
                return EngineError("llm", says, Fault.BUSY)
            case code if code < 500:
                says = f"The server at {url} refused the conversation ({why}): correct llm in config.yaml."
                return EngineError("llm", says, Fault.REFUSED)
        return EngineError("llm", f"The server at {url} failed ({why}): see what it says.", quoted=why)

    def _stranger(self, why: object) -> EngineError:
        says = f"What answers at {self._url} does not speak as OpenAI does ({one_line(why)}): check llm.url."
        return EngineError("llm", says)

    def _broke_off(self) -> EngineError:
        says = f"The server at {self._url} broke off in the middle of a reply: see what it says."
        return EngineError("llm", says, Fault.BROKE)


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""

    def whole(self) -> Mapping[str, Any] | None:
        """Return the arguments; None: they are no JSON object, or not yet."""
        try:
            arguments = json.loads(self.arguments or "{}")
        except ValueError:
            return None
        return arguments if isinstance(arguments, dict) else None

    def is_another(self, id: str, arguments: str) -> bool:
        """Whether a piece that has a name begins another call than this one."""
        if id or self.id:
            return bool(id and self.id and id != self.id)
        return bool(arguments and self.arguments) and self.whole() is not None


class _Calls:
    """Tool calls, which come in pieces, one call after the other or mixed.

    Some servers give whole calls no number, or all of them the same (Gemini's among them): a name under another id
    begins another. An id alone does not: vLLM long gave every piece of a call one of its own. Where calls have no ids
    either (Gemini's again), a name begins another once the call before is whole.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._last: dict[int | None, _Call] = {}
        """The newest call of each number."""

    def feed(self, pieces: Iterable[Any]) -> None:
        for piece in pieces:
            index, id = getattr(piece, "index", None), getattr(piece, "id", None) or ""
            name = (piece.function and piece.function.name) or ""
            arguments = (piece.function and piece.function.arguments) or ""
            call = self._last.get(index)
            if call is None or (name and call.is_another(id, arguments)):
                call = self._last[index] = _Call()
                self._calls.append(call)
            call.id = call.id or id
            if name != call.name:  # some servers repeat it with every piece
                call.name += name
            call.arguments += arguments

    def made(self) -> Iterator[ToolCall]:
        """Yield the calls; the stream is over.

        Raises:
            EngineError: the arguments are no JSON object.
        """
        for call in self._calls:
            arguments = call.whole()
            if arguments is None:
                says = f"The model called {call.name} with arguments that are no JSON object: ask again."
                raise EngineError("llm", says, Fault.REFUSED)
            yield ToolCall(call.id or f"call_{uuid.uuid4().hex[:12]}", call.name, arguments)


def _base(url: str) -> str:
    """Return where the API begins: at the path of `url`, or at `/v1` where it has none."""
    if not url:
        raise EngineError(
            "llm",
            "No server is named: set llm.url in config.yaml, for example to http://127.0.0.1:8080/v1 (llama-server), "
            "http://127.0.0.1:8000/v1 (vLLM), http://127.0.0.1:1234/v1 (LM Studio) or https://api.openai.com/v1.",
        )
    url = url if "//" in url else f"http://{url}"
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1"


def _parts(chunk: Any) -> Sequence[Any]:
    """Return what a chunk says; nothing where it counts tokens, or only keeps the connection alive (`data: null`)."""
    return () if chunk is None else (chunk.choices or ())[:1]


def _thinks(delta: Any) -> bool:
    """Return whether a piece holds thoughts; servers have two names for them, and OpenAI's own has none."""
    return bool(getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None))


def _message(message: Message) -> dict[str, Any]:
    one: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        one["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        one["tool_call_id"] = message.tool_call_id
    return one


def _tool(tool: Tool) -> Mapping[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
