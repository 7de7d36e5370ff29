"""Errors in OpenAI's shape: `{"error": {message, type, param, code}}`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from antiphon_daemon.engines.contracts import EngineError, Fault

RETRY_S = 5
"""Who is turned away because too many ask may try again after so long."""


class ApiError(Exception):
    """A request that is not answered; the message is one sentence that says why.

    Args:
        param: the field of the request that is wrong.
        code: what kind of error it is, for programs.
    """

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The error as it is sent."""
        return body_of(self.status, str(self), param=self.param, code=self.code)


class ClientLeft(Exception):
    """The client has left: nobody is answered."""


def body_of(status: int, message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Return an error in OpenAI's shape."""
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def of_engine(error: EngineError) -> ApiError:
    """Return what a client is told of an engine's failure."""
    return ApiError(400 if error.fault is Fault.REFUSED else 503, str(error), code=f"{error.stage}_failed")


def add_to(app: FastAPI) -> None:
    """Have an application tell its errors so."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        headers = {"Retry-After": str(RETRY_S)} if error.status in (429, 503) else None
        return JSONResponse(error.body, error.status, headers)

    async def left(request: Request, error: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path, method = request.url.path, request.method
        says = {404: f"There is nothing at {path}: GET / lists what there is.", 405: f"{path} does not take {method}."}
        message = says.get(error.status_code, str(error.detail))
        return JSONResponse(body_of(error.status_code, message), error.status_code, error.headers)

    app.add_exception_handler(ApiError, refused)
    app.add_exception_handler(ClientLeft, left)
    app.add_exception_handler(HTTPException, unknown)
