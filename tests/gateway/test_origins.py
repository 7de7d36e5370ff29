"""Pages of other hosts: what they may send, and what they may ask. And tokens that are guessed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from antiphon_daemon.engines.contracts import Synthesizer
from antiphon_daemon.gateway import doors
from antiphon_daemon.gateway.doors import GUESSERS, GUESSES, Guesses
from antiphon_daemon.gateway.sound import Allowance

from .opening import get, opened

TOKEN = "open-sesame"
EVIL, LISTED = "http://evil.example", "https://house.example"


async def ask(port: int, method: str, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        files = {"file": ("x.wav", b"RIFF")} if method == "POST" else None
        return await http.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, files=files)


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/speech", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [{"Origin": EVIL}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=str,
)
async def test_a_foreign_page_may_not_send_a_form_even_to_this_machine(
    gateways: list[Any], voice: Synthesizer, path: str, headers: dict[str, str]
) -> None:
    """A form needs no leave of the browser: without a token, only its own words tell whose it is."""
    async with opened(gateways, voice) as gateway:
        answer = await ask(gateway.port, "POST", path, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in answer.headers


async def test_pages_of_this_host_listed_ones_and_programs_may(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice, origins=["https://House.example:443"]) as gateway:
        here = f"http://127.0.0.1:{gateway.port}"
        for headers in ({}, {"Origin": here, "Sec-Fetch-Site": "same-origin"}, {"Origin": LISTED}):
            answer = await ask(gateway.port, "POST", "/v1/audio/transcriptions", **headers)
            assert answer.json()["error"]["param"] == "model", "it got through to the endpoint"
            allowed = answer.headers.get("access-control-allow-origin")
            assert allowed == (LISTED if headers.get("Origin") == LISTED else None)


async def test_browsers_are_told_beforehand_for_listed_pages_alone(gateways: list[Any], voice: Synthesizer) -> None:
    """Also where a token is needed: a browser does not show it when it asks beforehand."""
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with opened(gateways, voice, host="0.0.0.0", token=SecretStr(TOKEN), origins=[LISTED]) as gateway:
        told = await ask(gateway.port, "OPTIONS", "/v1/audio/speech", Origin=LISTED, **wish)
        assert told.status_code == 200
        assert told.headers["access-control-allow-origin"] == LISTED
        assert "authorization" in told.headers["access-control-allow-headers"].lower()
        for origin in (EVIL, "null", f"http://127.0.0.1:{gateway.port}"):
            answer = await ask(gateway.port, "OPTIONS", "/v1/audio/speech", Origin=origin, **wish)
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers
        assert (await ask(gateway.port, "OPTIONS", "/v1/audio/speech")).status_code == 401
        wrong = await ask(gateway.port, "POST", "/v1/audio/speech", Origin=LISTED)
        assert wrong.status_code == 401
        assert wrong.headers["access-control-allow-origin"] == LISTED, "the page cannot tell its user why"


async def test_tokens_cannot_be_guessed_one_after_another(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(doors, "Allowance", lambda per_s, burst: Allowance(per_s, burst, clock=lambda: now[0]))
    async with opened(gateways, voice, host="0.0.0.0", token=SecretStr(TOKEN)) as gateway:

        async def code(token: str) -> int:
            return (await get(gateway.port, "/", authorization=f"Bearer {token}")).status_code

        assert [await code(f"guess {at}") for at in range(GUESSES)] == [401] * GUESSES
        assert await code("another guess") == 429
        right = await get(gateway.port, "/", authorization=f"Bearer {TOKEN}")
        assert right.status_code == 429, "a guess would be told from the right one"
        assert right.headers["retry-after"] == "1"
        assert (await get(gateway.port, "/")).status_code == 401, "who shows none is told what is needed"
        now[0] += 1.5
        assert await code(TOKEN) == 200
        assert [await code("guess"), await code("guess")] == [401, 429]


def test_guesses_of_one_address_are_not_held_against_another_and_do_not_fill_the_memory() -> None:
    guesses = Guesses()
    for _ in range(GUESSES):
        guesses.wrong("192.168.1.5")
    assert guesses.too_many("192.168.1.5")
    assert not guesses.too_many("192.168.1.6")
    for at in range(GUESSERS + 10):
        guesses.wrong(f"fd00::{at:x}")
    assert len(guesses._left) == GUESSERS
