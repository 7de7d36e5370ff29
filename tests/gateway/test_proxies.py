"""Behind a proxy: its word counts where the settings name it, and nobody else's."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from antiphon_daemon.engines.contracts import Synthesizer
from antiphon_daemon.gateway.proxies import Proxies

from .client import client
from .opening import get, opened, refused

TOKEN = "open-sesame"
SHOWN = {"authorization": f"Bearer {TOKEN}"}


async def seen(peer: str, networks: list[str], kind: str = "http", **headers: str) -> tuple[Any, str, dict[str, str]]:
    """Return the client, the scheme and the headers that the application sees."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "client": (peer, 4711), "scheme": "ws" if kind == "websocket" else "http", "headers": given}
    await Proxies(app, networks)(scope, None, None)  # type: ignore[arg-type]
    (one,) = scopes
    return one["client"], one["scheme"], {name.decode(): value.decode() for name, value in one["headers"]}


FORWARDED = {
    "host": "127.0.0.1:8000",
    "x_forwarded_for": "203.0.113.7, 192.168.1.20",
    "x_forwarded_proto": "https",
    "x_forwarded_host": "house.example",
    "x_real_ip": "203.0.113.7",
}


async def test_nobody_is_believed_unless_the_settings_say_so() -> None:
    for networks in ([], ["10.0.0.0/8"]):
        client, scheme, headers = await seen("192.168.1.5", networks, **FORWARDED)
        assert (client, scheme) == (("192.168.1.5", 4711), "http")
        assert headers == {"host": "127.0.0.1:8000"}, "nothing behind the doors may read what anybody wrote"


@pytest.mark.parametrize("peer", ["192.168.1.5", "::ffff:192.168.1.5"])
async def test_a_proxy_that_the_settings_name_is_believed(peer: str) -> None:
    client, scheme, headers = await seen(peer, ["192.168.1.5"], **FORWARDED)
    assert client == ("192.168.1.20", 4711), "what stands before the last address anybody may have written"
    assert scheme == "https"
    assert headers == {"host": "house.example"}
    assert (await seen(peer, ["192.168.1.5"], "websocket", **FORWARDED))[1] == "wss"


async def test_two_proxies_one_behind_the_other() -> None:
    client, _, _ = await seen("192.168.1.5", ["192.168.1.0/24"], **FORWARDED)
    assert client[0] == "203.0.113.7"
    client, _, _ = await seen("fd00::1", ["fd00::/8"], x_forwarded_for="[fd00::2]:99, fd00::3")
    assert client[0] == "fd00::2"


@pytest.mark.parametrize("told", ["", " , ", "unknown", "_hidden", "1.2.3.4:80", "[", "::::"])
async def test_nonsense_from_a_proxy_opens_nothing(told: str) -> None:
    client, _, _ = await seen("192.168.1.5", ["192.168.1.5"], x_forwarded_for=told)
    assert client[0] in (told.strip(), "1.2.3.4", "192.168.1.5", "")


async def test_whom_a_proxy_names_must_be_let_in_as_if_there_were_none(gateways: list[Any], voice: Synthesizer) -> None:
    settings: dict[str, Any] = {"host": "0.0.0.0", "token": SecretStr(TOKEN)}
    far, near = {"x-forwarded-for": "8.8.8.8"}, {"x-forwarded-for": "192.168.1.20"}
    async with opened(gateways, voice, proxies=["127.0.0.1"], **settings) as gateway:
        answer = await get(gateway.port, "/", **SHOWN, **far)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_allowed")
        assert (await get(gateway.port, "/", **SHOWN, **near)).status_code == 200
        assert (await get(gateway.port, "/", **SHOWN, **{"x-forwarded-for": "nonsense"})).status_code == 403
    async with opened(gateways, voice, **settings) as gateway:
        assert (await get(gateway.port, "/", **SHOWN, **far)).status_code == 200, "it is this machine that asks"


async def test_a_page_behind_a_proxy_is_of_the_host_that_the_proxy_names(
    gateways: list[Any], voice: Synthesizer
) -> None:
    """The proxy speaks to us under another name than the browser to it; then the page's origin is not our own."""
    settings: dict[str, Any] = {"host": "0.0.0.0", "token": SecretStr(TOKEN)}
    told = {"X-Forwarded-Host": "house.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.168.1.20"}
    query, page = f"?token={TOKEN}", "https://house.example"
    async with opened(gateways, voice, proxies=["127.0.0.1/32"], **settings) as gateway:
        async with client(gateway.port, query, origin=page, additional_headers=told):
            pass
        other = "https://evil.example"
        assert await refused(gateway.port, query, origin=other, additional_headers=told) == (403, "foreign_origin")
    async with opened(gateways, voice, **settings) as gateway:
        assert await refused(gateway.port, query, origin=page, additional_headers=told) == (403, "foreign_origin")


async def test_a_client_behind_a_proxy_that_never_reads_is_dropped(gateways: list[Any], voice: Synthesizer) -> None:
    """Its connection is the proxy's: it is found by its port."""
    settings: dict[str, Any] = {"host": "0.0.0.0", "token": SecretStr(TOKEN), "proxies": ["127.0.0.1"]}
    told = {"X-Forwarded-For": "192.168.1.20"}
    async with opened(gateways, voice, **settings) as gateway, contextlib.AsyncExitStack() as leaving:
        one = await leaving.enter_async_context(client(gateway.port, f"?token={TOKEN}", additional_headers=told))
        (session,) = gateway.sessions
        session._abort()
        await one.socket.wait_closed()
        assert one.socket.close_code == 1006
