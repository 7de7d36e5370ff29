"""Whether a language model answers; one that does not is asked again in the background until it does.

So a dead server costs a turn nothing, and one that comes back has its model loaded before it is asked anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Protocol

import structlog
from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import CLOSED
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from antiphon_daemon.engines.contracts import EngineError, Fault, Responder

AGAIN_S = 30.0
"""A server that does not answer is asked again after 1, 2, 4, … and at most so many seconds."""

ILL = {Fault.LOST, Fault.BUSY, Fault.BROKE, Fault.KEY, Fault.DOUBT}
"""Failures after which the next turn should not ask this model first. The others say nothing about the next turn."""

log = structlog.get_logger(__name__)


class Backend(Responder, Protocol):
    """A language model that may be somewhere else."""

    async def check(self) -> None:
        """See that it answers and has its model. Quick: nothing is loaded.

        Raises:
            EngineError: it does not.
        """
        ...

    async def warm(self) -> None:
        """Have the model loaded.

        Raises:
            EngineError: it cannot be.
        """
        ...


class Health:
    """The circuit breaker of one model, and the task that closes it again."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.checked = asyncio.Event()
        """It is known whether the model answers."""
        self.settled = asyncio.Event()
        """It has been warmed, or cannot be."""
        # The library's own waiting is by the wall clock, which may be set: here the task below does the waiting.
        self._breaker = SyncCircuitBreakerFactory(default_threshold=1, default_ttl=-math.inf).get_breaker("llm")
        self._task: asyncio.Task[None] | None = None
        self._told: set[str] = set()

    @property
    def well(self) -> bool:
        """Whether it answered when it was last asked; True before that."""
        return self._breaker.context.state == CLOSED

    def answered(self) -> None:
        """It has begun a reply."""
        self._note(None)
        self._told.clear()

    def failed(self, error: EngineError) -> None:
        """It has failed so; each kind of failure is logged once until it answers again."""
        if (why := str(error)) not in self._told and error.fault is not Fault.PASSED:
            self._told.add(why)
            log.warning("language model fails", model=self.backend.name, why=why)
        if error.fault in ILL:
            self._note(error)
            self.watch()

    def watch(self) -> None:
        """Have it checked and warmed now, and again until that works."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """End the watching and free the model or its connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.backend.close()

    async def _watch(self) -> None:
        waiting = wait_exponential(multiplier=1, max=AGAIN_S)
        async for attempt in AsyncRetrying(wait=waiting, retry=retry_if_exception_type(EngineError)):
            with attempt:
                await self._try()

    async def _try(self) -> None:
        try:
            await self.backend.check()
            self.checked.set()
            await self.backend.warm()
        except EngineError as error:
            self.failed(error)
            raise
        else:
            self._note(None)
        finally:
            self.checked.set()
            self.settled.set()

    def _note(self, error: EngineError | None) -> None:
        """Tell the breaker what became of a request."""
        was_well = self.well
        with contextlib.suppress(EngineError), self._breaker:
            if error is not None:
                raise error
        if self.well and not was_well:
            log.info("language model is back", model=self.backend.name)
