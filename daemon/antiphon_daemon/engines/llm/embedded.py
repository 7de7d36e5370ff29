"""A language model inside this process: any GGUF file, run by llama.cpp (xllamacpp)."""

from __future__ import annotations

import contextlib
import secrets
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import xllamacpp

from antiphon.cores import cores
from antiphon.places import at_home
from antiphon.settings import Llm
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import (
    EngineError,
    Fault,
    Load,
    Message,
    Revoked,
    TextDelta,
    Tool,
    ToolCall,
    Work,
)
from antiphon_daemon.engines.llm import forcing
from antiphon_daemon.engines.llm.endings import Endings
from antiphon_daemon.engines.llm.pen import Pens, Writer
from antiphon_daemon.engines.llm.prefix import begins, unasked
from antiphon_daemon.engines.llm.slots import Slots
from antiphon_daemon.engines.llm.template import KWARGS, Template
from antiphon_daemon.engines.work import Token
from antiphon_daemon.engines.worker import Worker, threads

BATCH = 128
"""Tokens of a prompt that are read at once. Only between batches can reading be given up: on two cores a batch takes
about a second, and larger ones are hardly faster."""

OPINION_S = 0.03
"""An opinion of whether a sentence is whole is worth so long a wait while the model writes for others."""

YIELD_S = 5.0
"""A reply waits so long, at most, for the batch that its own prefill is reading."""


class Reading:
    """A prefill on its way: it holds the place in the cache that the reply wants, and gives it up between batches."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.enough = threading.Event()
        """Somebody wants the place."""
        self.over = threading.Event()
        """The place is free; what was read is in it."""


class Embedded:
    """A `Responder` on llama.cpp. Making one loads the model, which blocks: do it in a thread.

    Each of the `llm.conversations` that are answered at the same time has a context of `llm.context` tokens. The model
    is given no tools to choose from: those it is offered are ignored, and what they can do is done by the skills. It
    can be made to call one (`call`).

    Raises:
        EngineMissing: the embedded model is not installed.
        EngineError: the file cannot be loaded.
    """

    def __init__(self, settings: Llm) -> None:
        named = models.path("llm", settings.model) if settings.model else catalogue.gguf()
        path = named or at_home(settings.model)
        catalogue.check("llm", path, b"GGUF")
        self._settings = settings
        self.name = f"llama.cpp {path.stem}"
        key = secrets.token_urlsafe(32)
        self._server: Any = _serve(path, settings, key)
        self._template = Template(self._server, key)
        self._endings = Endings(self._server, self._template)
        self._pens = Pens(_writing_threads(settings))
        self._worker = Worker("llm", threads=settings.conversations)
        self._readings: set[Reading] = set()
        self._slots = Slots(settings.conversations)
        self._generate([Message("user", "Hi")], 1, lambda _: True, Token())

    async def check(self) -> None:
        """Do nothing: the model is in this process, loaded and tried."""

    async def warm(self) -> None:
        """Do nothing: the model is in this process, loaded and tried."""

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield the reply, token by token."""
        readings = self._readings.copy()
        own = {reading for reading in readings if begins(messages, reading.messages)}
        for reading in own or (readings if self._worker.full else ()):
            reading.enough.set()
        self._pens.look()
        generate: Callable[[Callable[[str], bool]], None] = partial(self._reply, messages, work)
        pieces = self._worker.push(generate, work)
        try:
            async for piece in pieces:
                if piece:
                    yield TextDelta(unicodedata.normalize("NFC", piece))
        finally:
            await pieces.aclose()

    async def call(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool]) -> AsyncIterator[ToolCall]:
        """Yield one call, well formed whatever the model thinks."""
        asked, grammar = forcing.asked(messages, tools), forcing.schema(tools)
        written: Callable[[Callable[[str], bool]], None] = partial(self._reply, asked, work, schema=grammar)
        pieces = self._worker.push(written, work)
        try:
            text = "".join([piece async for piece in pieces])
        finally:
            await pieces.aclose()
        yield forcing.call(text)

    async def ended(self, messages: Sequence[Message], work: Work) -> float | None:
        """Return the probability that the last message, a user's, ends where it does (see `endings.py`).

        What it reads is what the reply to the same messages begins with: the reply need not read it again.
        """
        return await self._worker.run(partial(self._end, messages, work), work)

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        """Read `messages` into the cache; a reply to them may come at any time and goes on from there."""
        reading = Reading(messages)
        read: Callable[[Callable[[str], bool]], None] = partial(self._read, reading, work)
        pieces = self._worker.push(read, work)
        with contextlib.suppress(EngineError, Revoked):
            try:
                async for _ in pieces:
                    pass
            finally:
                await pieces.aclose()

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._worker.load()

    async def close(self) -> None:
        """Stop what is being written and free the model."""
        await self._worker.close()
        self._server = None

    def _end(self, messages: Sequence[Message], work: Work) -> float | None:
        self._yield_to(messages)

        def wanted() -> bool:
            return work.wanted() and not self._pens.wanted(pen)

        try:
            with (
                self._pens.taken(work, within_s=OPINION_S) as pen,
                self._slots.taken(messages, work.conversation) as slot,
            ):
                pen.reading = True  # that is all it does
                return self._endings.probability(messages, slot, wanted)
        except Revoked:
            return None

    def _read(self, reading: Reading, work: Work, emit: Callable[[str], bool]) -> None:
        self._readings.add(reading)
        try:
            told = unasked(reading.messages)
            self._generate(told, 1, lambda piece: emit(piece) and not reading.enough.is_set(), work)
        finally:
            self._readings.discard(reading)
            reading.over.set()

    def _reply(
        self,
        messages: Sequence[Message],
        work: Work,
        emit: Callable[[str], bool],
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a reply, in the place of the cache where its beginning is being read, if it is."""
        self._yield_to(messages)
        self._generate(messages, self._settings.reply_tokens, emit, work, schema)

    def _yield_to(self, messages: Sequence[Message]) -> None:
        """Have a prefill of what these begin with give its place up."""
        for reading in [one for one in self._readings.copy() if begins(messages, one.messages)]:
            reading.enough.set()
            self._pens.look()
            reading.over.wait(YIELD_S)

    def _generate(
        self,
        messages: Sequence[Message],
        tokens: int,
        emit: Callable[[str], bool],
        work: Work,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        """Hand the pieces of one reply to `emit` until they end or it returns False.

        Where others are to write first it stops, and goes on then: what was read and written is in the cache.
        """
        pieces: list[str] = []
        told, prompt, owner = forcing.plain(messages), "", work.conversation
        stopped = True
        while stopped:
            # Who waits for the pen leaves the place to others: a later draft of the same turn is to find it free.
            with self._pens.taken(work, lambda: emit("")) as pen, self._slots.taken(messages, owner) as slot:
                if pieces:
                    prompt = prompt or self._template.render(told)
                begun = {"prompt": prompt + "".join(pieces)} if pieces else {"messages": told}
                request = {**begun, "max_tokens": tokens - len(pieces), "id_slot": slot}
                stopped = self._write(request, emit, pieces, pen, schema) and len(pieces) < tokens

    def _write(
        self,
        asked: Mapping[str, Any],
        emit: Callable[[str], bool],
        pieces: list[str],
        pen: Writer,
        schema: Mapping[str, Any] | None,
    ) -> bool:
        """Add what comes to `pieces`; return whether it stopped because somebody else is to write."""
        failure: Mapping[str, Any] = {}
        stopped, whole = False, schema is not None
        """`whole`: nobody could go on where it stopped."""

        def heard(chunk: Mapping[str, Any]) -> bool:
            """Take a chunk of the stream; True stops the model."""
            nonlocal failure, stopped, whole
            if error := chunk.get("error"):
                failure = error
                return True
            choice = (chunk.get("choices") or [{}])[0]
            delta = choice.get("delta", {})
            piece = delta.get("content") or choice.get("text") or ""
            pieces.extend([piece] if piece else [])
            pen.written += bool(piece)
            read = chunk.get("prompt_progress") or {}
            pen.reading = read.get("cache", 0) < read.get("processed", 0) < read.get("total", 0)
            # Progress in reading the prompt has no text; handing on nothing still asks whether anyone listens.
            if not emit(piece):
                return True
            whole = whole or bool(delta.get("reasoning_content")) or choice.get("finish_reason") is not None
            stopped = not whole and self._pens.wanted(pen)
            return stopped

        request = {
            **asked,
            "stream": True,
            "temperature": self._settings.temperature,
            "cache_prompt": True,
            "return_progress": True,
            "chat_template_kwargs": KWARGS,
            **({"json_schema": dict(schema)} if schema is not None else {}),
        }
        try:
            if "prompt" in asked:
                self._server.handle_completions(request, heard)
            else:
                self._server.handle_chat_completions(request, heard)
        except (RuntimeError, ValueError) as error:
            says = f"The model {self.name} refused the conversation ({error})."
            raise EngineError("llm", says, quoted=str(error)) from error
        if failure:
            raise self._error(failure)
        return stopped

    def _error(self, failure: Mapping[str, Any]) -> EngineError:
        if failure.get("type") == "exceed_context_size_error":
            return EngineError(
                "llm",
                f"The conversation is too long for the language model ({failure.get('n_prompt_tokens')} tokens, room "
                f"for {failure.get('n_ctx')}): raise llm.context or lower conversation.history_tokens in config.yaml.",
                Fault.REFUSED,
            )
        why = str(failure.get("message", "no reason given"))
        return EngineError("llm", f"The model {self.name} failed ({why}).", quoted=why)


def _serve(path: Path, settings: Llm, key: str) -> Any:
    kinds = xllamacpp.ggml_type
    # A cache of 8 bits a value is half the size and as good; the few models whose shape forbids it get one of 16.
    try:
        return xllamacpp.Server(_parameters(path, settings, key, kinds.GGML_TYPE_Q8_0))
    except RuntimeError:
        try:
            return xllamacpp.Server(_parameters(path, settings, key, kinds.GGML_TYPE_F16))
        except RuntimeError as error:
            raise catalogue.broken("llm", path, error) from error


def _parameters(path: Path, settings: Llm, key: str, cache: Any) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = settings.context * settings.conversations
    parameters.n_parallel = settings.conversations
    # A shared cache that overflows would end both conversations with an error.
    parameters.kv_unified = False
    parameters.cache_type_k = parameters.cache_type_v = cache
    parameters.n_batch = parameters.n_ubatch = BATCH
    # The voice and the ears work at the same time, and llama.cpp's threads wait for each other several hundred times a
    # token: on two cores that others use too, one thread writes twice as fast as two. Two read a prompt in half the
    # time. Where several conversations write at once it is with the threads that read, and those leave a core to the
    # others.
    free = cores() - (_writing_threads(settings) > 1)
    parameters.cpuparams_batch.n_threads = settings.threads or min(threads(0), free)
    parameters.cpuparams.n_threads = _writing_threads(settings)
    # Prompts that no slot holds any more are not worth the gigabytes that would be kept of them.
    parameters.cache_ram_mib = 0
    parameters.fit_params = False
    parameters.warmup = True
    parameters.verbosity = -1
    # The library cannot do without its HTTP listener on a port of 127.0.0.1: only this
    # process knows the key to it.
    parameters.api_keys = [key]
    parameters.ui = parameters.endpoint_slots = False
    return parameters


def _writing_threads(settings: Llm) -> int:
    return settings.threads or max(1, threads(0) // 2)
