"""Reads what is asked, and refuses what cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from antiphon_daemon.gateway.rest.errors import ApiError
from antiphon_daemon.gateway.rest.house import RestHouse

FIELD_BYTES = 65_536
"""The longest field of a form that is not a file."""


def ready(house: RestHouse) -> None:
    """See that the daemon can work.

    Raises:
        ApiError: it starts or ends.
    """
    if why := house.why_not:
        raise ApiError(503, f"Not now: {why}.", code="not_ready")


async def form(request: Request, fields: int) -> FormData:
    """Return the form of a request, with one file at most.

    Raises:
        ApiError: it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ApiError(400, "Send a form (multipart/form-data) with the recording as the field `file`.")
    try:
        return await request.form(max_files=1, max_fields=fields, max_part_size=FIELD_BYTES)
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise ApiError(400, f"The form cannot be read: {error.detail}") from None


def text(form: FormData, name: str, default: str | None = None) -> str:
    """Return a field; without a default it must be there.

    Raises:
        ApiError: it is missing, or a file.
    """
    value = form.get(name)
    if isinstance(value, str) and (value or default is not None):
        return value
    if value or default is None:
        raise ApiError(400, f"The field {name} is missing, or is no text.", param=name)
    return default


def choice(form: FormData, name: str, known: Sequence[str]) -> str:
    """Return one of `known`, the first without another wish.

    Raises:
        ApiError: it is none of them.
    """
    value = text(form, name, "") or known[0]
    if value not in known:
        raise ApiError(400, f"There is no {name} {value!r}, only: {', '.join(known)}.", param=name)
    return value


def several(form: FormData, name: str) -> list[str]:
    """Return all the values of a field, which programs write with and without brackets."""
    return [value for key in (name, f"{name}[]") for value in form.getlist(key) if isinstance(value, str)]


async def body(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        ApiError: it is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # what a page may send without asking is no JSON either
        raise ApiError(400, "Send JSON, with Content-Type: application/json.")
    try:
        given = await request.json()
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is no JSON that can be read.") from None
    if not isinstance(given, dict):
        raise ApiError(400, "The body is no JSON object.")
    return given
