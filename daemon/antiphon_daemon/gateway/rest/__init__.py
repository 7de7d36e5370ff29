"""OpenAI's REST endpoints for sound (docs/http.md): programs that know them use this daemon's ears and voice."""

from __future__ import annotations

from fastapi import FastAPI

from antiphon_daemon.gateway.rest import errors
from antiphon_daemon.gateway.rest.house import RestHouse
from antiphon_daemon.gateway.rest.models import Catalogue
from antiphon_daemon.gateway.rest.speech import SpeechDesk
from antiphon_daemon.gateway.rest.transcriptions import FILE_BYTES, TranscriptionDesk

FORM_BYTES = FILE_BYTES + 1024 * 1024
"""The longest form: the longest file, and what is said about it."""

ENDPOINTS = {
    "models": "/v1/models",
    "transcriptions": "/v1/audio/transcriptions",
    "speech": "/v1/audio/speech",
}


def add_to(app: FastAPI, house: RestHouse) -> None:
    """Add the endpoints to an application."""
    errors.add_to(app)
    models = Catalogue(house)
    app.add_api_route("/v1/models", models.list, methods=["GET"], response_model=None)
    app.add_api_route("/v1/models/{name:path}", models.one, methods=["GET"], response_model=None)
    hearing, speaking = TranscriptionDesk(house, models), SpeechDesk(house, models)
    app.add_api_route("/v1/audio/transcriptions", hearing.transcribe, methods=["POST"], response_model=None)
    app.add_api_route("/v1/audio/speech", speaking.speak, methods=["POST"], response_model=None)
