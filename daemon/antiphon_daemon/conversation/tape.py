"""All the sound of a reply, in order: given out from a position on, which can be wound back when it was stopped."""

from __future__ import annotations

from collections.abc import Iterator

SAMPLE = 2
"""Bytes: s16le, mono."""


class Tape:
    """The sound of one reply; positions are samples."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._next = 0
        """The block that is given out next."""

    def put(self, pcm: bytes) -> None:
        """Add sound at the end."""
        if pcm:
            self._blocks.append(pcm)

    def take(self) -> Iterator[bytes]:
        """Yield what has not been given out, and count it as given. Exhaust the iterator."""
        while self._next < len(self._blocks):
            self._next += 1
            yield self._blocks[self._next - 1]

    def wind(self, position: int) -> int:
        """Go to a position, so that what lies after it is given out (again); return it, at most the end."""
        whole = b"".join(self._blocks)
        position = min(position, len(whole) // SAMPLE)
        self._blocks = [part for part in (whole[: position * SAMPLE], whole[position * SAMPLE :]) if part]
        self._next = 1 if position else 0
        return position
