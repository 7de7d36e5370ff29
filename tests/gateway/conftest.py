"""A whole daemon with the embedded models and its gateway on a free port, one for all tests of this folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from alone import ALONE
from in_thread import in_thread

from antiphon.settings import Gateway, Llm, Settings
from antiphon_daemon import app
from antiphon_daemon.engines.contracts import Engines


def quiet_settings(gateway: Gateway | None = None, **changes: Any) -> Settings:
    """Return settings that listen on free loopback ports and announce nothing."""
    return Settings(**{**ALONE, "llm": Llm(temperature=0), "gateway": gateway or Gateway(port=0), **changes})


def _seen(patch: pytest.MonkeyPatch) -> list[Any]:
    """Return the gateways of the daemons that are started from now on, as they come."""
    made: list[Any] = []

    class Seen(app.Gateway):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    patch.setattr(app, "Gateway", Seen)
    return made


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the gateways of the daemons that this test starts, as they come."""
    return _seen(monkeypatch)


@pytest.fixture(scope="session")
def running(own_state: None) -> Iterator[tuple[int, Engines, Any]]:
    """Return a daemon's gateway port, its engines, and the gateway, which runs on a loop in a thread of its own."""

    @contextlib.asynccontextmanager
    async def live() -> AsyncIterator[tuple[int, Engines, Any]]:
        engines = await app.build_engines(quiet_settings())
        async with contextlib.AsyncExitStack() as serving:
            with pytest.MonkeyPatch.context() as patch:
                made = _seen(patch)
                await serving.enter_async_context(app.serving(quiet_settings(), engines))
            yield made[0].port, engines, made[0]
        await engines.close()

    with in_thread(live) as one:
        yield one
