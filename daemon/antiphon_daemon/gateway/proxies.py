"""Behind a proxy that the settings name, a request is its client's: by `X-Forwarded-For`, `-Proto` and `-Host`.

Whoever else sends these headers is not believed: they are as if they were not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

FORWARDED = b"x-forwarded-for"
OTHERS = (b"forwarded", b"x-real-ip", b"x-forwarded-port", b"x-forwarded-server", b"x-forwarded-prefix")
"""What a proxy may send besides; nothing here reads it."""


class Proxies:
    """Stands before the doors.

    Args:
        networks: `gateway.proxies`: addresses and networks.
    """

    def __init__(self, app: ASGIApp, networks: Sequence[str]) -> None:
        self._app = app
        self._networks = [ip_network(text) for text in networks]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as its client's."""
        if scope["type"] in ("http", "websocket"):
            scope = self._seen(scope)
        await self._app(scope, receive, send)

    def trusts(self, host: str) -> bool:
        """Return whether a peer is a proxy whose word counts."""
        address = _address(host)
        return address is not None and any(address in network for network in self._networks)

    def _seen(self, scope: Scope) -> Scope:
        told: dict[bytes, list[str]] = {}
        kept: list[tuple[bytes, bytes]] = []
        for name, value in scope["headers"]:
            if name.startswith(b"x-forwarded-") or name in OTHERS:
                told.setdefault(name, []).append(value.decode("latin-1"))
            else:
                kept.append((name, value))
        seen: dict[str, Any] = {**scope, "headers": kept}
        peer, port = scope.get("client") or ("", 0)
        if not self.trusts(peer):
            return seen
        if forwarded := told.get(FORWARDED):
            # The port stays that of the connection, which tells which one it is.
            seen["client"] = (self._client(forwarded) or peer, port)
        if (scheme := _last(told, b"x-forwarded-proto")) in ("http", "https", "ws", "wss"):
            secure = scheme in ("https", "wss")
            seen["scheme"] = (
                ("wss" if secure else "ws") if scope["type"] == "websocket" else ("https" if secure else "http")
            )
        if host := _last(told, b"x-forwarded-host"):
            seen["headers"] = [(name, value) for name, value in kept if name != b"host"]
            seen["headers"].append((b"host", host.encode("latin-1")))
        return seen

    def _client(self, forwarded: Sequence[str]) -> str:
        """Return the last address of the list that is no proxy of ours: what stands before it, anybody may write."""
        told = [part.strip() for value in forwarded for part in value.split(",") if part.strip()]
        for one in reversed(told):
            host = _without_port(one)
            if not self.trusts(host):
                return host
        return _without_port(told[0]) if told else ""


def _last(told: dict[bytes, list[str]], name: bytes) -> str:
    """Return what the proxy nearest to us says; those before it may have said more."""
    return told[name][-1].rpartition(",")[2].strip() if name in told else ""


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, _ = text.partition(":")
    return host if colon and "." in host else text


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
