"""Real engines, built once and together as the daemon builds them, and speech made with one of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np
import pytest
from speech import Say, silence

from antiphon.audio.pcm import Samples
from antiphon.settings import Settings
from antiphon_daemon.engines.build import build_responder, build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import Engines

collect_ignore = ["test_kokoro.py"] if sys.version_info >= (3, 14) else []
"""The package kokoro-onnx is not for the newest Python yet, so the locks do not bring it there."""

T = TypeVar("T")


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """The three embedded engines, loaded at the same time."""

    async def build() -> Engines:
        settings = Settings()
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(build_transcriber(settings))
            thinking = group.create_task(build_responder(settings))
            speaking = group.create_task(build_synthesizer(settings))
        return Engines(hearing.result(), thinking.result(), speaking.result())

    built = asyncio.run(build())
    yield built
    asyncio.run(built.close())


@pytest.fixture(scope="session")
def speech(say: Say) -> Mapping[str, Samples]:
    """Some commands as a satellite would send them, said the same way every time, with a little silence around."""
    texts = ("Turn on the light in the kitchen.", "What is the capital of France?", "Set a timer for ten minutes.")
    around = silence(0.2)
    return {text: np.concatenate((around, say(text) * np.float32(0.5), around)) for text in texts}


@pytest.fixture
def ticks_meanwhile() -> Callable[[Awaitable[T]], Awaitable[T]]:
    """Return a function that awaits something and fails unless the event loop went round many times meanwhile."""

    async def meanwhile(work: Awaitable[T]) -> T:
        order: list[str] = []

        async def tick() -> None:
            for _ in range(10):
                await asyncio.sleep(0.001)
            order.append("ticked ten times")

        async def done() -> T:
            result = await work
            order.append("done")
            return result

        async with asyncio.TaskGroup() as group:
            working = group.create_task(done())
            group.create_task(tick())
        assert order == ["ticked ten times", "done"], "the event loop was blocked"
        return working.result()

    return meanwhile
