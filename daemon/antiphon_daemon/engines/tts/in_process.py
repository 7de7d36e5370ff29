"""What voices in this process have in common: one thread to speak on, and another voice when the settings change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Generic, TypeVar

from antiphon.settings import Tts
from antiphon_daemon.engines.contracts import Load, Work
from antiphon_daemon.engines.worker import Worker

T = TypeVar("T")


class InProcess(Generic[T]):
    """The part of a `Synthesizer` that is the same for each of them.

    Args:
        load: makes what is kept in memory, which blocks.
        settings: what is loaded first.
        rate: samples a second of what is said.
    """

    def __init__(self, load: Callable[[Tts], T], settings: Tts, rate: int) -> None:
        self._load = load
        self._loaded = load(settings)
        self._worker = Worker("tts")
        self.rate = rate

    async def _say(self, make: Callable[[], Iterable[bytes]], work: Work) -> AsyncGenerator[bytes, None]:
        """Yield the blocks of what `make` returns; it is called and gone through on the thread."""
        async with aclosing(self._worker.stream(make, work)) as blocks:
            async for block in blocks:
                yield block

    async def tune(self, settings: Tts) -> None:
        """Speak with other settings from the next sentence on; what is being said ends as it began."""
        self._loaded = await asyncio.to_thread(self._load, settings)

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._worker.load()

    async def close(self) -> None:
        """Free the voice once what is in the making is done."""
        await self._worker.close()
