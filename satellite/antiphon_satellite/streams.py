"""Streams of sound that share one connection, told apart.

A stream is `audio-start`, `audio-chunk`…, `audio-stop`. Home Assistant does not cancel the reply that was interrupted:
its chunks go on, mixed with those of the next reply. The chunks' timestamps (milliseconds from the stream's own start)
say which stream each belongs to: a chunk follows the stream whose sound so far ends where it begins.
"""

from __future__ import annotations

from dataclasses import dataclass

OPEN = 4
"""More streams than this are never open at once on one connection: the oldest is then given up."""


@dataclass(eq=False)
class Stream:
    """One stream, from its `audio-start` on."""

    next_ms: int = 0
    """The timestamp that its next chunk should carry."""


class Streams:
    """The open streams of one connection, oldest first."""

    def __init__(self) -> None:
        self._open: list[Stream] = []

    def __contains__(self, stream: Stream) -> bool:
        """Return whether a stream is open."""
        return stream in self._open

    def begin(self, timestamp: int | None) -> Stream:
        """Return a new stream: an `audio-start` came."""
        stream = Stream(timestamp or 0)
        self._open = [*self._open[-(OPEN - 1) :], stream]
        return stream

    def chunk(self, timestamp: int | None, duration_ms: float) -> Stream | None:
        """Return the stream that a chunk belongs to; None when none is open."""
        stream = self._at(timestamp)
        if stream is not None:
            stream.next_ms = (stream.next_ms if timestamp is None else timestamp) + int(duration_ms)
        return stream

    def end(self, timestamp: int | None) -> Stream | None:
        """Return the stream that an `audio-stop` ends; None when none is open."""
        stream = self._at(timestamp, oldest=True)
        if stream is not None:
            self._open.remove(stream)
        return stream

    def _at(self, timestamp: int | None, *, oldest: bool = False) -> Stream | None:
        if timestamp is not None:
            for stream in reversed(self._open):
                if abs(stream.next_ms - timestamp) <= 1:  # senders round differently
                    return stream
        return self._open[0 if oldest else -1] if self._open else None
