"""A whole daemon on free ports with the embedded models, one for all tests of this folder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from alone import ALONE
from in_thread import in_thread

from antiphon.settings import Llm, Settings
from antiphon.wire.server import Server
from antiphon_daemon.app import build_engines, serving
from antiphon_daemon.engines.contracts import Engines

T = TypeVar("T")


def quiet_settings(**changes: Any) -> Settings:
    """Return settings that listen on free loopback ports and announce nothing."""
    return Settings(**{**ALONE, "llm": Llm(temperature=0), **changes})


@dataclass
class Running:
    """A daemon in a thread of its own, with an event loop of its own."""

    settings: Settings
    engines: Engines
    servers: dict[str, Server]
    loop: asyncio.AbstractEventLoop

    def uri(self, name: str) -> str:
        return f"tcp://127.0.0.1:{self.servers[name].port}"

    def on_its_loop(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run something on the daemon's own loop and return its result."""

        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)


@pytest.fixture(scope="session")
def daemon(own_state: None) -> Iterator[Running]:
    @contextlib.asynccontextmanager
    async def live() -> AsyncIterator[Running]:
        settings = quiet_settings()
        engines = await build_engines(settings)
        async with serving(settings, engines) as servers:
            yield Running(settings, engines, servers, asyncio.get_running_loop())
        await engines.close()

    with in_thread(live) as one:
        yield one
