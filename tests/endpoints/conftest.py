"""A whole daemon on free ports with the embedded models, one for all tests of this folder."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from alone import ALONE

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
    ready: list[Running] = []
    failed: list[BaseException] = []
    started, ended = threading.Event(), threading.Event()

    async def live() -> None:
        settings = quiet_settings()
        engines = await build_engines(settings)
        async with serving(settings, engines) as servers:
            ready.append(Running(settings, engines, servers, asyncio.get_running_loop()))
            started.set()
            await asyncio.to_thread(ended.wait)
        await engines.close()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - told to the test that waits
            failed.append(error)
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(60)
    if failed:
        raise failed[0]
    yield ready[0]
    ended.set()
    thread.join(20)
    with contextlib.suppress(IndexError):
        raise failed[0]
