"""A model that is busy until a test lets it go."""

from __future__ import annotations

import asyncio
import threading


class Gate:
    """Stands for a model that is busy until it is let go; tells when a thread is inside."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> str:
        self.inside.set()
        assert self.open.wait(10)
        return "result"

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.inside.wait, 10)
