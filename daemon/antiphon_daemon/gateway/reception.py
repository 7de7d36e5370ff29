"""Connections that bring nothing: how long they are waited for, and how many there may be.

A connection on which no request is being answered has `HEAD_S` to bring one. When there are too many connections, those
that have waited longest without a request are dropped for new ones: a thousand that say nothing keep nobody out.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from h11 import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""A request's line and headers are there within this; so is what a refused one still brings."""

log = structlog.get_logger(__name__)


class Reception:
    """The connections of one server.

    Args:
        most: so many there may be, WebSockets among them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Patient, None] = {}
        """Those without a request, the longest first."""

    def came(self, one: Patient, connections: int) -> None:
        """A connection has come, which makes so many: one that waits may have to go."""
        self.waits(one)
        if connections > self._most:
            longest = next(iter(self._waiting))
            log.debug("too many connections: one is dropped", connections=connections)
            longest.drop()

    def waits(self, one: Patient) -> None:
        """A connection has no request."""
        self._waiting.pop(one, None)
        self._waiting[one] = None

    def left(self, one: Patient) -> None:
        """A connection waits no more: it has a request, or is gone."""
        self._waiting.pop(one, None)


class Patient(H11Protocol):
    """uvicorn's HTTP connection, which waits for its client so long and no longer."""

    reception: Reception
    """Set by `receiving`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()
        self.reception.came(self, len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._end_wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes."""
        super().data_received(data)
        self._look()

    def handle_websocket_upgrade(self, event: Request) -> None:
        """Hand over to another protocol, which has deadlines of its own."""
        self._end_wait()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._look()

    def drop(self) -> None:
        """End the connection at once."""
        self._end_wait()
        self.transport.abort()

    def _look(self) -> None:
        if self not in self.connections or (self.cycle is not None and not self.cycle.response_complete):
            self._end_wait()
        elif self._late is None:
            self._wait()

    def _wait(self) -> None:
        self._late = self.loop.call_later(HEAD_S, self.drop)
        self.reception.waits(self)

    def _end_wait(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self.reception.left(self)


def receiving(reception: Reception) -> type[Patient]:
    """Return the protocol of the connections of one server."""
    return type("Received", (Patient,), {"reception": reception})
