"""Where the Realtime API is reached: the WebSocket, and client secrets over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Protocol

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse

from antiphon.settings import Settings
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.gateway.realtime import config as fields
from antiphon_daemon.gateway.realtime.secrets import LONGEST_S, MOST, PREFIX, SECONDS, SHORTEST_S, Full, Secret, Secrets
from antiphon_daemon.gateway.realtime.session import Realtime
from antiphon_daemon.gateway.realtime.talk import prompt_of
from antiphon_daemon.gateway.realtime.wire import Json, Refusal, new_id
from antiphon_daemon.gateway.served import Served, peer_name
from antiphon_daemon.insight.turns import Turns

PROTOCOL = "realtime"
"""The subprotocol that browsers' clients ask for, beside the one that holds their key."""
MODEL_MOST = 128


class House(Protocol):
    """What this asks of the daemon."""

    engines: Engines
    sessions: set[Served]
    secrets: Secrets
    turns: Turns

    @property
    def settings(self) -> Settings: ...

    @property
    def why_not(self) -> str: ...

    def abort(self, client: tuple[str, int]) -> None: ...


def add_to(app: FastAPI, house: House) -> None:
    """Serve the Realtime API."""

    @app.post("/v1/realtime/client_secrets")
    async def client_secrets(request: Request) -> JSONResponse:
        try:
            return JSONResponse(_secret(house, await _body(request, house.settings.gateway.frame_bytes)))
        except Refusal as refused:
            return JSONResponse({"error": refused.told(None)}, 400)
        except Full:
            full = Refusal("too_many_secrets", f"{MOST} client secrets are valid: wait until one is past")
            return JSONResponse({"error": full.told(None)}, 429, {"Retry-After": "60"})

    @app.websocket("/v1/realtime")
    async def realtime(websocket: WebSocket) -> None:
        most, client = house.settings.gateway.sessions, websocket.client
        if why := house.why_not:
            await _deny(websocket, 503, Refusal("not_ready", why, kind="server_error"))
            return
        if len(house.sessions) >= most:
            full = Refusal("too_many_sessions", f"{most} sessions are open: try again later (gateway.sessions)")
            await _deny(websocket, 503, full)
            return
        keys = [*shown_keys(websocket.scope), websocket.query_params.get("token", "")]
        shown = next((key for key in keys if key.startswith(PREFIX)), None)
        secret = house.secrets.find(shown) if shown is not None else None
        if shown is not None and secret is None:
            await _deny(websocket, 401, Refusal("invalid_api_key", "that client secret is not valid (any more)"))
            return
        try:
            session = Realtime(
                websocket,
                house.engines,
                house.settings,
                change=_change(websocket, secret),
                abort=lambda: house.abort((client.host, client.port)) if client is not None else None,
                recorder=house.turns.of("realtime", peer_name(websocket)),
            )
        except Refusal as refused:
            await _deny(websocket, 400, refused)
            return
        house.sessions.add(session)
        try:
            await websocket.accept(PROTOCOL if PROTOCOL in websocket.scope.get("subprotocols", ()) else None)
            await session.run()
        finally:
            house.sessions.discard(session)


def shown_keys(scope: Any) -> list[str]:
    """Return the keys that a WebSocket shows as OpenAI's clients do: in a header, or as a subprotocol."""
    header = next((value for key, value in scope["headers"] if key.lower() == b"authorization"), b"").decode("latin-1")
    kind, _, key = header.partition(" ")
    found = [key.strip()] if kind.lower() == "bearer" else []
    prefix = "openai-insecure-api-key."
    return found + [one.removeprefix(prefix) for one in scope.get("subprotocols", ()) if one.startswith(prefix)]


def _change(websocket: WebSocket, secret: Secret | None) -> Json:
    """Return the fields that a session begins with, as a partial update."""
    change = dict(secret.session) if secret is not None else {}
    if websocket.query_params.get("intent") == "transcription":
        change.setdefault("type", "transcription")
    model = websocket.query_params.get("model")
    if model and change.get("type") != "transcription":
        change["model"] = model[:MODEL_MOST]
    return change


async def _deny(websocket: WebSocket, status: int, refused: Refusal) -> None:
    await websocket.send_denial_response(JSONResponse({"error": refused.told(None)}, status))


async def _body(request: Request, most: int) -> Json:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("invalid_content_type", "the request is JSON: Content-Type: application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refusal("too_large", f"at most {most} bytes are taken (gateway.frame_bytes)")
    try:
        asked = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refusal("invalid_json", "the request is JSON: this is not") from None
    if not isinstance(asked, dict):
        raise Refusal("invalid_json", "the request is a JSON object")
    return asked


def _secret(house: House, asked: Json) -> Json:
    """Make a secret.

    Raises:
        Refusal: its session cannot be had, or it is to last too long.
        Full: there are too many.
    """
    change = asked.get("session")
    if change is not None and not isinstance(change, dict):
        raise Refusal("invalid_type", "session is an object", "session")
    after = asked.get("expires_after")
    seconds = after.get("seconds", SECONDS) if isinstance(after, dict) else SECONDS
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not SHORTEST_S <= seconds <= LONGEST_S:
        why = f"expires_after.seconds is {SHORTEST_S} to {LONGEST_S}"
        raise Refusal("invalid_value", why, "expires_after.seconds")
    voice = fields.voice_of(None, house.engines, "voice")
    config = fields.updated(fields.default(voice, prompt_of(house.settings)), change or {}, house.engines)
    secret = house.secrets.make(change or {}, seconds)
    until = int(datetime.now(UTC).timestamp()) + seconds
    return {"value": secret.value, "expires_at": until, "session": config.shown(new_id("sess"), until)}
