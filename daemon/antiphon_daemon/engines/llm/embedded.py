"""A language model inside this process: any GGUF file, run by llama.cpp (xllamacpp)."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import xllamacpp

from antiphon.settings import Llm
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import EngineError, Message, TextDelta, Tool, ToolCall, Work
from antiphon_daemon.engines.worker import Worker, threads

CONVERSATIONS = 2
"""How many conversations keep their prompts cached, and are answered at the same time."""

BATCH = 128
"""Tokens of a prompt that are read at once. Only between batches can reading be given up: on two cores a batch takes
about a second, and larger ones are hardly faster."""


class Embedded:
    """A `Responder` on llama.cpp. Making one loads the model, which blocks: do it in a thread.

    Each of the conversations that are answered at the same time has a context of `llm.context` tokens. The model is
    given no tools: those it is offered are ignored, and what they can do is done by the skills.

    Raises:
        EngineMissing: the embedded model is not installed.
        EngineError: the file cannot be loaded.
    """

    def __init__(self, settings: Llm) -> None:
        path = Path(settings.model).expanduser() if settings.model else catalogue.gguf()
        catalogue.check("llm", path, b"GGUF")
        self._settings = settings
        self.name = f"llama.cpp {path.stem}"
        self._server: Any = _serve(path, settings)
        self._worker = Worker("llm", threads=CONVERSATIONS)
        self._generate([Message("user", "Hi")], 1, lambda _: True)

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield the reply, token by token."""
        generate: Callable[[Callable[[str], bool]], None] = partial(
            self._generate, messages, self._settings.reply_tokens
        )
        pieces = self._worker.push(generate, work)
        try:
            async for piece in pieces:
                if piece:
                    yield TextDelta(unicodedata.normalize("NFC", piece))
        finally:
            await pieces.aclose()

    async def close(self) -> None:
        """Stop what is being written and free the model."""
        await self._worker.close()
        self._server = None

    def _generate(self, messages: Sequence[Message], tokens: int, emit: Callable[[str], bool]) -> None:
        """Hand the pieces of one reply to `emit` until they end or it returns False."""
        failure: Mapping[str, Any] = {}

        def heard(chunk: Mapping[str, Any]) -> bool:
            """Take a chunk of the stream; True stops the model."""
            nonlocal failure
            if error := chunk.get("error"):
                failure = error
                return True
            choices = chunk.get("choices") or [{}]
            # Progress in reading the prompt has no text; handing on nothing still asks whether anyone listens.
            return not emit(choices[0].get("delta", {}).get("content") or "")

        request = {
            "messages": [{"role": message.role, "content": message.text} for message in messages],
            "stream": True,
            "max_tokens": tokens,
            "temperature": self._settings.temperature,
            "cache_prompt": True,
            "return_progress": True,
            "chat_template_kwargs": {"enable_thinking": False},
        }
        try:
            self._server.handle_chat_completions(request, heard)
        except (RuntimeError, ValueError) as error:
            says = f"The model {self.name} refused the conversation ({error})."
            raise EngineError("llm", says, quoted=str(error)) from error
        if failure:
            raise self._error(failure)

    def _error(self, failure: Mapping[str, Any]) -> EngineError:
        if failure.get("type") == "exceed_context_size_error":
            return EngineError(
                "llm",
                f"The conversation is too long for the language model ({failure.get('n_prompt_tokens')} tokens, room "
                f"for {failure.get('n_ctx')}): raise llm.context or lower conversation.history_tokens in config.yaml.",
            )
        why = str(failure.get("message", "no reason given"))
        return EngineError("llm", f"The model {self.name} failed ({why}).", quoted=why)


def _serve(path: Path, settings: Llm) -> Any:
    kinds = xllamacpp.ggml_type
    # A cache of 8 bits a value is half the size and as good; the few models whose shape forbids it get one of 16.
    try:
        return xllamacpp.Server(_parameters(path, settings, kinds.GGML_TYPE_Q8_0))
    except RuntimeError:
        try:
            return xllamacpp.Server(_parameters(path, settings, kinds.GGML_TYPE_F16))
        except RuntimeError as error:
            raise catalogue.broken("llm", path, error) from error


def _parameters(path: Path, settings: Llm, cache: Any) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = settings.context * CONVERSATIONS
    parameters.n_parallel = CONVERSATIONS
    # A shared cache that overflows would end both conversations with an error.
    parameters.kv_unified = False
    parameters.cache_type_k = parameters.cache_type_v = cache
    parameters.n_batch = parameters.n_ubatch = BATCH
    # Reading a prompt has the machine to itself; writing goes on while the voice and the ears work, and llama.cpp's
    # threads wait for each other by spinning: on two cores that others use too, one thread is five times faster.
    parameters.cpuparams_batch.n_threads = threads(settings.threads)
    parameters.cpuparams.n_threads = settings.threads or max(1, threads(0) // 2)
    # Prompts that no slot holds any more are not worth the gigabytes that would be kept of them.
    parameters.cache_ram_mib = 0
    parameters.fit_params = False
    parameters.warmup = True
    parameters.verbosity = -1
    # The library cannot do without its HTTP listener on a port of 127.0.0.1: nobody knows the key to it.
    parameters.api_keys = [secrets.token_urlsafe(32)]
    parameters.ui = parameters.endpoint_slots = False
    return parameters
