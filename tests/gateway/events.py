"""A reader of `/dashboard/events`, written from docs/dashboard.md."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

WAIT_S = 30.0


class Reader:
    """One stream of server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.events: list[tuple[str, Any]] = []

    async def next(self) -> tuple[str, Any]:
        """Return kind and data of the next event."""
        kind, data = "", ""
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                data = value
            elif not line:
                break
        else:
            raise EOFError("the stream has ended")
        self.events.append((kind, json.loads(data)))
        return self.events[-1]

    async def until(self, kind: str, **fields: Any) -> Any:
        """Return the data of the first event of this kind that has these fields."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    found, data = await self.next()
                    if found == kind and all(data.get(key) == value for key, value in fields.items()):
                        return data
        except TimeoutError:
            seen = [data for kind, data in self.events if kind == "turn"]
            raise AssertionError(f"no {kind} with {fields} came, but {seen}") from None


@asynccontextmanager
async def reader(port: int, **headers: str) -> AsyncIterator[Reader]:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=WAIT_S) as http,
        http.stream("GET", f"http://127.0.0.1:{port}/dashboard/events", headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        yield Reader(response)
