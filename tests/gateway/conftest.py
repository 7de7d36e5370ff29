"""A whole daemon with the embedded models and its gateway on a free port, one for all tests of this folder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from alone import ALONE

from antiphon.settings import Gateway, Llm, Settings
from antiphon_daemon import app
from antiphon_daemon.engines.contracts import Engines


def quiet_settings(gateway: Gateway | None = None, **changes: Any) -> Settings:
    """Return settings that listen on free loopback ports and announce nothing."""
    return Settings(**{**ALONE, "llm": Llm(temperature=0), "gateway": gateway or Gateway(port=0), **changes})


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the gateways of the daemons that this test starts, as they come."""
    made: list[Any] = []

    class Seen(app.Gateway):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(app, "Gateway", Seen)
    return made


@pytest.fixture(scope="session")
def running(own_state: None) -> Iterator[tuple[int, Engines, Any]]:
    """Return a daemon's gateway port, its engines, and the gateway, which runs on a loop in a thread of its own."""
    patch = pytest.MonkeyPatch()
    made: list[Any] = []

    class Seen(app.Gateway):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    patch.setattr(app, "Gateway", Seen)
    found: list[Any] = []
    started, ended = threading.Event(), threading.Event()

    async def live() -> None:
        engines = await app.build_engines(quiet_settings())
        async with app.serving(quiet_settings(), engines):
            found.extend((made[0].port, engines, made[0]))
            started.set()
            await asyncio.to_thread(ended.wait)
        await engines.close()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:  # noqa: BLE001 - told to the test that waits
            found.insert(0, error)
        started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(60)
    patch.undo()
    if isinstance(found[0], BaseException):
        raise found[0]
    yield found[0], found[1], found[2]
    ended.set()
    thread.join(20)
    assert not thread.is_alive(), "the daemon does not end"
