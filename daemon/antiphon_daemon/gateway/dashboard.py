"""`/dashboard`: the page, what it shows as JSON (`/dashboard/data`), and as it happens (`/dashboard/events`).

    snapshot {…}            first, all of `/dashboard/data`
    turn {…}                a turn began to be answered, or more of it is known; `number` tells which
    state {…}               every two seconds: all but the turns
    lost {events}           so many were left out, because the reader is slow
    goodbye {reason}        the daemon ends

Nothing of it is computed while nobody asks.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from antiphon import __version__
from antiphon.settings import Settings
from antiphon_daemon.engines.contracts import Engines, Measured, Responder, Synthesizer, Transcriber, TurnModel
from antiphon_daemon.gateway.feed import Feed
from antiphon_daemon.gateway.static import Pages
from antiphon_daemon.insight import process
from antiphon_daemon.insight.peers import Seen
from antiphon_daemon.insight.stages import summary
from antiphon_daemon.insight.turns import Turns

STATE_S = 2.0
"""Readers get the state so often."""
USAGE_S = 1.0
"""What the process takes is looked at no more often."""
READERS = 8
"""Readers of events at once."""
NO_STORE = {"Cache-Control": "no-store"}

log = structlog.get_logger(__name__)


class House(Protocol):
    """What the dashboard asks of the daemon."""

    engines: Engines
    turns: Turns
    feeds: set[Feed]
    peers: Callable[[], Sequence[Seen]]
    """Satellites and Wyoming peers."""

    @property
    def settings(self) -> Settings: ...

    @property
    def why_not(self) -> str:
        """Why it is not ready; empty when it is."""
        ...

    def guests(self) -> Sequence[Seen]:
        """Return who talks through the gateway."""
        ...

    def abort(self, client: tuple[str, int]) -> None:
        """Drop the connection of a client."""
        ...


def add_to(app: FastAPI, house: House) -> None:
    """Serve the dashboard."""
    view = View(house)
    Pages("dashboard").add_to(app)

    @app.get("/dashboard/data")
    async def data() -> JSONResponse:
        return JSONResponse(view.whole(await view.state()), headers=NO_STORE)

    @app.get("/dashboard/events")
    async def events() -> Response:
        if why := house.why_not:
            return _refused(503, "not_ready", why)
        return Events(view, house)


def _refused(status: int, code: str, why: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": why}}, status, NO_STORE)


class Events(Response):
    """The events, for one reader."""

    def __init__(self, view: View, house: House) -> None:
        super().__init__()
        self._view, self._house = view, house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them until the reader leaves or the daemon ends."""
        house, view, client = self._house, self._view, scope.get("client")
        if len(house.feeds) >= READERS:
            full = _refused(503, "too_many_readers", f"{READERS} dashboards are open: close one")
            await full(scope, receive, send)
            return
        feed = Feed(lambda: house.abort((client[0], client[1])) if client else None)
        house.feeds.add(feed)
        unwatch = house.turns.watch(lambda turn: feed.put("turn", turn.record, key=turn))
        view.lag.start()
        telling = asyncio.create_task(self._tell_state(feed))
        try:
            await feed(scope, receive, send)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            view.lag.stop()
            unwatch()
            house.feeds.discard(feed)

    async def _tell_state(self, feed: Feed) -> None:
        try:
            feed.put("snapshot", self._view.whole(await self._view.state()), key="state")
            while True:
                await asyncio.sleep(STATE_S)
                feed.put("state", await self._view.state(), key="state")
        except Exception:  # the edge: a reader whose picture no longer moves must know
            log.exception("the dashboard failed")
            feed.end("it failed for a reason of ours; the log says which")


class View:
    """What the dashboard shows, computed when it is asked for."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.lag = process.Lag()
        self._usage: dict[str, Any] = {}
        self._at = -math.inf
        self._asking = asyncio.Lock()

    def whole(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the state and the last turns, oldest first."""
        return {**state, "turns": [turn.record() for turn in self._house.turns]}

    async def state(self) -> dict[str, Any]:
        """Return all but the turns."""
        async with self._asking:
            if time.monotonic() - self._at >= USAGE_S:
                self._usage = await asyncio.to_thread(process.usage)
                self._at = time.monotonic()
        return self._now(self._usage)

    def _now(self, usage: dict[str, Any]) -> dict[str, Any]:
        house = self._house
        return {
            "version": __version__,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "transcripts": house.turns.keeps_words,
            "count": house.turns.count,
            "summary": summary(house.turns),
            "peers": [peer.record() for peer in (*house.peers(), *house.guests())],
            "sessions": {"open": len(house.guests()), "most": house.settings.gateway.sessions},
            "engines": list(_engines(house.engines)),
            "process": {**usage, "loop": self.lag.told()},
        }


def _engines(engines: Engines) -> Iterator[dict[str, Any]]:
    """Yield what works and how much it has to do; `load` is None where that is known elsewhere alone."""
    responder = engines.responder
    members: Sequence[Responder] = getattr(responder, "members", (responder,))
    is_well: Callable[[Responder], bool] = getattr(responder, "is_well", lambda _: True)
    yield _engine("stt", engines.transcriber)
    if engines.turn is not None:
        yield _engine("turn", engines.turn)
    for member in members:
        yield _engine("llm", member, well=is_well(member))
    yield _engine("tts", engines.synthesizer)


def _engine(
    stage: str, engine: Transcriber | TurnModel | Responder | Synthesizer, *, well: bool = True
) -> dict[str, Any]:
    load = asdict(engine.load()) if isinstance(engine, Measured) else None
    return {"stage": stage, "name": engine.name, "well": well, "load": load}
