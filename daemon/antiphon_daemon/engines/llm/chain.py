"""Several language models as one: the first that works answers, within the time there is for a first word.

    ├ first model ────────── half of the time ┤ second model ─────────── the rest ┤
      no word in time, or an error before it     its answer, or what is wrong

A model that failed is passed over until it works again. After the first word there is no way back: an error ends the
reply, because what was said has been heard. The same goes for one that acts (Home Assistant) and falls silent: what it
was asked may have been done, and is not asked of another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

from antiphon.settings import Settings
from antiphon_daemon.engines.contracts import (
    EngineError,
    Fault,
    ForcedCaller,
    Message,
    Responder,
    TextDelta,
    Tool,
    ToolCall,
    Work,
)
from antiphon_daemon.engines.llm.health import Backend, Health
from antiphon_daemon.engines.llm.tools import Pieces, offered, reply, uses_tools

OWN_SHARE = 0.95
"""The part of the deadline that is used: what is wrong must be known a little before the conversation gives up."""

TRIES = 3
"""So often a model is asked whose connection breaks or that is busy; the last one that is busy, until time is over."""

LOADING_S = 10.0
"""Starting waits so long for a server to load its model, where nothing else could answer; it goes on loading after."""

LOOKING_S = 0.5
"""Starting waits so long to learn whether a server is there, where something else could answer."""

AGAIN = {Fault.BUSY, Fault.BROKE}
"""Failures that asking again may mend."""

log = structlog.get_logger(__name__)


class Chain:
    """A `Responder` of others.

    Args:
        backends: the models in the order they are asked; at least one.
        first_s: how long the first word may take, all of them together.
    """

    def __init__(self, backends: Sequence[Backend], *, first_s: float) -> None:
        self._models = [Health(backend) for backend in backends]
        self._first_s = first_s * OWN_SHARE

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return ", else ".join(model.backend.name for model in self._models)

    @property
    def uses_tools(self) -> bool:
        """Whether one of the models can be offered tools; the others leave them alone."""
        return any(uses_tools(model.backend) for model in self._models)

    @property
    def members(self) -> Sequence[Backend]:
        """The models, in the order they are asked."""
        return [model.backend for model in self._models]

    def is_well(self, member: Responder) -> bool:
        """Whether one of the models answered when it was last asked."""
        return any(model.well for model in self._models if model.backend is member)

    def follow(self, settings: Settings) -> None:
        """Take over how long the first word may take, from the next reply on."""
        self._first_s = settings.deadlines.llm_first_s * OWN_SHARE

    async def start(self) -> None:
        """Begin to watch the models, and wait a little to say which will answer."""
        alone = len(self._models) == 1
        for model in self._models:
            model.watch()
        known = [model.settled if alone else model.checked for model in self._models]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOADING_S if alone else LOOKING_S):
                for event in known:
                    await event.wait()
        if (first := self._asked()[0]).well:  # of one that fails the log has said so
            log.info("language model", answers=first.backend.name)

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield the reply of the first model that begins one."""
        clock = asyncio.get_running_loop().time
        end, asked = clock() + self._first_s, self._asked()
        for place, model in enumerate(asked, 1):
            last = place == len(asked)
            within_s = (end - clock()) / (len(asked) - place + 1)
            try:
                first, rest = await _begun(model.backend, messages, work, tools, within_s, last=last)
            except EngineError as error:
                model.failed(error)
                if last or error.fault is Fault.DOUBT:
                    raise
                continue
            model.answered()
            async with aclosing(rest):
                yield first
                try:
                    async for piece in rest:
                        yield piece
                except EngineError as error:
                    model.failed(error)
                    raise
            return

    async def call(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool]) -> AsyncIterator[ToolCall]:
        """Yield the calls of the first model that can be made to call a tool."""
        for model in self._asked():
            if isinstance(model.backend, ForcedCaller):
                try:
                    calls = cast(AsyncGenerator[ToolCall, None], model.backend.call(messages, work, tools=tools))
                    async with aclosing(calls):
                        async for call in calls:
                            yield call
                except EngineError as error:
                    model.failed(error)
                    raise
                model.answered()
                return
        raise EngineError("llm", f"{self.name} cannot be made to call a tool: leave the choice to it.", Fault.REFUSED)

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        """Pass it on to the model that will be asked, if any is well."""
        model = self._asked()[0]
        if model.well:
            await model.backend.prefill(messages, work, tools=offered(model.backend, tools))

    async def close(self) -> None:
        """Close all of them."""
        for model in self._models:
            await model.close()

    def _asked(self) -> list[Health]:
        """Return who is asked: those that are well, or all when none is."""
        return [model for model in self._models if model.well] or self._models


async def _begun(
    backend: Backend, messages: Sequence[Message], work: Work, tools: Sequence[Tool], within_s: float, *, last: bool
) -> tuple[TextDelta | ToolCall, Pieces]:
    """Return a reply that has begun: its first piece, and the rest. One that is busy is asked again.

    Raises:
        EngineError: it failed, answered nothing, or did not begin in time.
        Revoked: `work` was given up.
        Unsettled: it acts, and the turn is not over.
    """
    late = f"{backend.name} has said nothing within {within_s:.1f} s: see what its server does."
    error = EngineError("llm", late, Fault.DOUBT if getattr(backend, "acts", False) else Fault.LOST)

    def enough(state: RetryCallState) -> bool:
        return state.attempt_number >= TRIES and not (last and error.fault is Fault.BUSY)

    asking = AsyncRetrying(
        stop=enough,
        wait=wait_exponential(multiplier=0.2, max=2),
        retry=retry_if_exception(lambda one: isinstance(one, EngineError) and one.fault in AGAIN),
        reraise=True,
    )
    try:
        async with asyncio.timeout(within_s):
            async for attempt in asking:
                with attempt:
                    try:
                        return await _first(backend, messages, work, tools)
                    except EngineError as failure:
                        error = failure
                        raise
    except TimeoutError:
        pass
    raise error


async def _first(
    backend: Backend, messages: Sequence[Message], work: Work, tools: Sequence[Tool]
) -> tuple[TextDelta | ToolCall, Pieces]:
    pieces = reply(backend, messages, work, tools)
    piece = await anext(pieces, None)
    if piece is None:
        raise EngineError("llm", f"{backend.name} answered nothing: ask again, or choose another.", Fault.EMPTY)
    return piece, pieces
