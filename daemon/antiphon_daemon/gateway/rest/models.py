"""`/v1/models`: what this daemon hears and speaks with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from fastapi.responses import JSONResponse

from antiphon_daemon.gateway.rest.errors import ApiError
from antiphon_daemon.gateway.rest.house import RestHouse

Task = Literal["transcription", "speech"]
STAND_INS: dict[Task, tuple[str, ...]] = {"transcription": ("whisper-", "gpt-"), "speech": ("tts-", "gpt-")}
"""Names that begin so are OpenAI's: programs that know nothing else get what there is."""


class Catalogue:
    """The models that can be asked for by name."""

    def __init__(self, house: RestHouse) -> None:
        self._house = house
        self._since = int(datetime.now(UTC).timestamp())

    async def list(self) -> JSONResponse:
        """Answer `GET /v1/models`."""
        return JSONResponse({"object": "list", "data": [self._described(task) for task in STAND_INS]})

    async def one(self, name: str) -> JSONResponse:
        """Answer `GET /v1/models/NAME`."""
        for task in STAND_INS:
            if name == self.name(task):
                return JSONResponse(self._described(task))
        raise self._unknown(name)

    def check(self, name: str, task: Task) -> None:
        """See that a request names a model that does this.

        Raises:
            ApiError: there is no such model.
        """
        if name != self.name(task) and not name.startswith(STAND_INS[task]):
            raise self._unknown(name)

    def name(self, task: Task) -> str:
        """Return the name of the model for a task."""
        engines = self._house.engines
        return (engines.transcriber if task == "transcription" else engines.synthesizer).name.replace(" ", "/")

    def _described(self, task: Task) -> dict[str, object]:
        return {
            "id": self.name(task),
            "object": "model",
            "created": self._since,
            "owned_by": "antiphon",
            "task": task,
        }

    def _unknown(self, name: str) -> ApiError:
        known = ", ".join(self.name(task) for task in STAND_INS)
        return ApiError(404, f"There is no model {name!r} here, only: {known}.", param="model", code="model_not_found")
