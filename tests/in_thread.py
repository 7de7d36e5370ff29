"""A daemon in a thread of its own, with an event loop of its own, for as long as a fixture lasts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def in_thread(live: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Hold what `live` gives; what it raises, at its beginning or its end, is raised here."""
    ready: list[T] = []
    failed: list[BaseException] = []
    started, ended = threading.Event(), threading.Event()

    async def hold() -> None:
        async with live() as given:
            ready.append(given)
            started.set()
            await asyncio.to_thread(ended.wait)

    def run() -> None:
        try:
            asyncio.run(hold())
        except BaseException as error:  # noqa: BLE001 - told to the test that waits
            failed.append(error)
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(60)
    if failed:
        raise failed[0]
    try:
        yield ready[0]
    finally:
        ended.set()
        thread.join(20)
    assert not thread.is_alive(), "the daemon does not end"
    if failed:
        raise failed[0]
