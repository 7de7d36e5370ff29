"""What the gateway serves: `/`, `/health`, `/metrics`, `/client`, `/dashboard`, `/ws`, and OpenAI's ways in (`/v1`)."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from fastapi import FastAPI, WebSocket
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from antiphon import __version__
from antiphon.settings import Settings
from antiphon_daemon.engines.contracts import Engines, Stage
from antiphon_daemon.gateway import dashboard, rest
from antiphon_daemon.gateway.realtime import routes as realtime
from antiphon_daemon.gateway.realtime.secrets import Secrets
from antiphon_daemon.gateway.served import Served, peer_name
from antiphon_daemon.gateway.session import Session
from antiphon_daemon.gateway.static import Pages
from antiphon_daemon.insight.metrics import BUCKETS_S, COUNTS

BODIES = {rest.ENDPOINTS["transcriptions"]: rest.FORM_BYTES}
"""The longest body of single paths, where it is more than usual."""


class House(dashboard.House, Protocol):
    """What the pages ask of the daemon."""

    sessions: set[Served]
    secrets: Secrets
    connections: Callable[[], Mapping[str, int]]
    """The Wyoming connections of each endpoint."""


def make_app(house: House) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="Antiphon", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Counted(house))

    @app.get("/")
    async def what_it_is() -> JSONResponse:
        return JSONResponse(describe(house.engines, house.settings))

    @app.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> JSONResponse:
        if why := house.why_not:
            return JSONResponse({"status": "unavailable", "reason": why}, 503, {"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    dashboard.add_to(app, house)
    Pages("client").add_to(app)
    rest.add_to(app, house)

    @app.websocket("/ws")
    async def converse(websocket: WebSocket) -> None:
        refused = _refused(house, websocket)
        if refused is not None:
            await websocket.send_denial_response(refused)
            return
        asked, client = websocket.query_params, websocket.client
        session = Session(
            websocket,
            house.engines,
            house.settings,
            language=asked.get("language") or None,
            voice=asked.get("voice") or None,
            by_voice=asked.get("barge_in") == "voice",
            abort=lambda: house.abort((client.host, client.port)) if client is not None else None,
            recorder=house.turns.of("websocket", peer_name(websocket)),
        )
        house.sessions.add(session)
        try:
            await websocket.accept()
            await session.run()
        finally:
            house.sessions.discard(session)

    realtime.add_to(app, house)
    return app


def describe(engines: Engines, settings: Settings) -> dict[str, Any]:
    """Return what this daemon is: versions, engines and what they know."""
    voices = engines.synthesizer.voices
    return {
        "name": "antiphon",
        "version": __version__,
        "python": platform.python_version(),
        "language": settings.language,
        "engines": {
            "stt": {"engine": settings.stt.engine, "model": engines.transcriber.name, **_why(engines, "stt")},
            "llm": {"engine": settings.llm.engine, "model": engines.responder.name, **_why(engines, "llm")},
            "tts": {
                "engine": settings.tts.engine,
                "model": engines.synthesizer.name,
                "rate": engines.synthesizer.rate,
                **_why(engines, "tts"),
            },
            "turn": {"model": engines.turn.name if engines.turn is not None else None},
        },
        "languages": {
            "hears": sorted(engines.transcriber.languages),
            "speaks": sorted({language for voice in voices for language in voice.languages}),
        },
        "voices": [{"name": voice.name, "languages": list(voice.languages)} for voice in voices],
        "endpoints": {
            "dashboard": "/dashboard",
            "client": "/client",
            "websocket": "/ws",
            "realtime": "/v1/realtime",
            "health": "/health",
            "metrics": "/metrics",
            **rest.ENDPOINTS,
        },
    }


def _why(engines: Engines, stage: Stage) -> dict[str, str]:
    """Return what `auto` has chosen for a stage, and why; nothing where the settings name an engine."""
    chosen = engines.chosen.get(stage)
    return {"chosen": chosen.engine, "why": chosen.why} if chosen else {}


def _refused(house: House, websocket: WebSocket) -> JSONResponse | None:
    """Return why a client cannot have a session; None: it can."""
    most, engines, asked = house.settings.gateway.sessions, house.engines, websocket.query_params
    if why := house.why_not:
        return _denial(503, "not_ready", why)
    if len(house.sessions) >= most:
        return _denial(503, "too_many_sessions", f"{most} sessions are open: try again later (gateway.sessions)")
    language, voice = asked.get("language"), asked.get("voice")
    if language and language not in engines.transcriber.languages:
        known = ", ".join(sorted(engines.transcriber.languages))
        return _denial(400, "unknown_language", f"{engines.transcriber.name} does not know {language!r}, only {known}")
    if voice and voice not in {one.name for one in engines.synthesizer.voices}:
        return _denial(400, "unknown_voice", f"there is no voice {voice!r}: GET / lists those there are")
    if asked.get("barge_in", "client") not in ("client", "voice"):
        return _denial(400, "unknown_barge_in", "barge_in is client or voice")
    return None


def _denial(status: int, code: str, why: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": why}}, status)


class Counted(Collector):
    """The counts of this process as Prometheus wants them."""

    def __init__(self, house: House) -> None:
        self._house = house

    def collect(self) -> Iterable[Metric]:
        """Yield every metric as it stands now."""
        counts = COUNTS
        yield _counter("turns", "Turns of satellites and sessions that were answered.", counts.turns)
        yield _counter("withdrawn_turns", "Those of them that the next turn holds.", counts.withdrawn)
        yield _counter("failed_replies", "Replies that a failure ended or made an apology.", counts.failed)
        yield _counter("one_moments", 'Replies so late that "one moment" was said before them.', counts.moments)
        yield _counter("drafts", "Drafts that were begun for those turns.", counts.drafts)
        yield _counter("draft_hits", "Replies whose first sound was there when the turn was over.", counts.hits)
        yield _counter("draft_wasted_seconds", "Work at drafts that came to nothing.", counts.wasted_s)
        what = "From the end of speech to the first sound of the reply."
        yield _histogram("first_audio", what, counts.first_audio, counts.first_audio_s)
        handled = CounterMetricFamily("antiphon_handled", "Requests to the handle endpoint.", labels=["outcome"])
        for outcome, count in counts.handled.items():
            handled.add_metric([outcome], count)
        yield handled
        what, first = "From such a request to the first words of its reply.", counts.handled_first
        yield _histogram("handled_first_words", what, first.counts, first.total_s)
        yield _counter("transcriptions", "Recordings of programs that were heard.", counts.transcriptions)
        yield _counter("speeches", "Texts of programs that were spoken.", counts.speeches)
        yield GaugeMetricFamily("antiphon_sessions", "WebSockets in a conversation.", len(self._house.sessions))
        connected = GaugeMetricFamily("antiphon_connections", "Wyoming peers of an endpoint.", labels=["endpoint"])
        for name, count in self._house.connections().items():
            connected.add_metric([name], count)
        yield connected
        version = GaugeMetricFamily("antiphon_build_info", "What runs.", labels=["version"])
        version.add_metric([__version__], 1)
        yield version


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"antiphon_{name}", what, value)


def _histogram(name: str, what: str, counts: Sequence[int], total_s: float) -> Metric:
    """Return times by `BUCKETS_S`, and beyond."""
    buckets, total = [], 0
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return HistogramMetricFamily(f"antiphon_{name}_seconds", what, buckets=buckets, sum_value=total_s)
