"""What is being written, for several to read: each from the beginning, as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence


class Written:
    """Text that grows until it is over."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._over = False
        self._news = asyncio.Event()

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self._parts).strip()

    def add(self, text: str) -> None:
        """Write on."""
        self._parts.append(text)
        self._tell()

    def end(self) -> None:
        """There is no more."""
        self._over = True
        self._tell()

    def since(self, given: int) -> Sequence[str]:
        """Return what was written after so many parts."""
        return self._parts[given:]

    async def parts(self) -> AsyncGenerator[str, None]:
        """Yield the text from its beginning to its end, as it was written."""
        given = 0
        while given < len(self._parts) or not self._over:
            if given == len(self._parts):
                await self._news.wait()
                continue
            given += 1
            yield self._parts[given - 1]

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
