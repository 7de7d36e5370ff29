"""Who may come in: the doors of the gateway, before anything else reads a request.

| where it listens     | who is let in                                                                          |
| -------------------- | -------------------------------------------------------------------------------------- |
| this machine alone   | who names this machine as the host (no page can reach it by a name of its own making)  |
| anywhere else        | who shows the token, from this machine and private networks (and `network.allow`)      |

A WebSocket that a web page opens, and a request by which it would start something (all but GET and HEAD), says where
the page is from (`Origin`, `Sec-Fetch-Site`): it must be from the same host and port, or listed in `gateway.origins`.
Programs say nothing of the kind and are let in. A browser may ask first, for a page of another host (preflight); it is
answered for those that are listed.

Who shows wrong tokens is not listened to for a while, whatever is shown next: else a weak token could be guessed.

The files of a page (`static.ADDRESS`) are shown without the token: they are the same in every house, and it is they
that ask for it. What a page shows is not.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.settings import Gateway, Network
from antiphon.wire.server import allowed
from antiphon_daemon.gateway.realtime.secrets import Secrets
from antiphon_daemon.gateway.sound import Allowance
from antiphon_daemon.gateway.static import ADDRESS

TOKEN_FILE = "gateway-token"
TOKEN_MOST = 4096
KEY = "openai-insecure-api-key."
"""OpenAI's clients in browsers show their key as a subprotocol that begins so."""
REALTIME = "/v1/realtime"
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change and start nothing."""
GUESSES = 10
"""So many wrong tokens may be shown at once by one address, and then one a second."""
GUESSERS = 1024
"""Addresses whose wrong tokens are counted."""
READ_HEADERS = ("Retry-After", "WWW-Authenticate")
"""What pages of other hosts may read of an answer, besides what all may."""

log = structlog.get_logger(__name__)


class DoorError(Exception):
    """The doors cannot be made; the message is one sentence that says why and what mends it."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches what listens on `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def needed_token(settings: Gateway, folder: Path) -> str | None:
    """Return what clients must show: what the settings say, else what `folder` keeps; None: nothing.

    Only on this machine alone none is needed. It is drawn at the first use, into a file that only its owner reads.

    Raises:
        DoorError: it can be neither read nor kept.
    """
    path = folder / TOKEN_FILE
    try:
        token = known_token(settings, folder)
        return token if token is not None or is_loopback(settings.host) else _draw(path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not text"
        raise DoorError(f"the token cannot be kept in {path} ({why}): set gateway.token_file") from None


def known_token(settings: Gateway, folder: Path) -> str | None:
    """Return what clients must show, as far as it is there already.

    Raises:
        OSError, UnicodeDecodeError: the file in which it is kept cannot be read.
    """
    if settings.token is not None and settings.token.get_secret_value().strip():
        return settings.token.get_secret_value().strip()
    return None if is_loopback(settings.host) else _kept(folder / TOKEN_FILE)


def _kept(path: Path) -> str | None:
    """Return the token in a file, which nobody but its owner may read from now on; None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, encoding="utf-8") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
            log.warning("the token could be read by others: delete its file for a new one", path=str(path))
        return file.read(TOKEN_MOST).strip() or None


def _draw(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(token + "\n")
    draft.replace(path)
    log.info("made a token for the gateway", path=str(path))
    return token


@dataclass(frozen=True)
class Refused:
    """Why somebody is not let in."""

    status: int
    code: str
    why: str


class Guesses:
    """How often an address has shown a wrong token."""

    def __init__(self, make: Callable[[], Allowance] = lambda: Allowance(1, GUESSES)) -> None:
        self._make = make
        self._left: OrderedDict[str, Allowance] = OrderedDict()

    def too_many(self, peer: str) -> bool:
        """Return whether this address is not listened to now."""
        return peer in self._left and not self._left[peer].has(1)

    def wrong(self, peer: str) -> None:
        """Count a wrong token."""
        self._left[peer] = allowance = self._left.pop(peer, None) or self._make()
        allowance.take(1)
        while len(self._left) > GUESSERS:
            self._left.popitem(last=False)


class Doors:
    """Stands before the application: who is refused gets a status and a sentence, HTTP and WebSocket alike.

    Args:
        app: the ASGI application behind them.
        token: what must be shown; None: nothing.
        secrets: what may be shown in its place for `/v1/realtime`.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Gateway,
        network: Network,
        token: str | None,
        secrets: Secrets | None = None,
    ) -> None:
        self._settings, self._token, self._secrets = settings, token, secrets
        self._origins = {_origin(origin) for origin in settings.origins}
        self._app = CORSMiddleware(
            app,
            allow_origins=[_written(origin) for origin in self._origins],
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=READ_HEADERS,
            allow_private_network=True,
        )
        self._guesses = Guesses()
        self.admit(network)

    def admit(self, network: Network) -> None:
        """From now on, let in whom `network.allow` says."""
        self._admitted = [ip_network(text) for text in network.allow]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or answer with the reason."""
        if scope["type"] in ("http", "websocket") and (refused := self._refused(scope)) is not None:
            log.info("not let in", peer=(scope.get("client") or ("?",))[0], path=scope["path"], why=refused.code)
            headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(refused.status, {})
            if _origin(origin := _header(scope["headers"], b"origin")) in self._origins:  # that page may know why
                headers = {**headers, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}
            body = {
                "error": {"code": refused.code, "message": refused.why, "type": "invalid_request_error", "param": None}
            }
            await JSONResponse(body, refused.status, headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> Refused | None:
        headers = scope["headers"]
        host = _header(headers, b"host")
        peer = str((scope.get("client") or ("",))[0]).removeprefix("::ffff:")
        if not allowed(peer, self._admitted):
            return Refused(403, "not_allowed", f"{peer} is not on a private network: network.allow can admit it")
        if self._token is None and not is_loopback(_name(host)):
            return Refused(421, "wrong_host", f"this is not {host or 'named'}: use localhost or 127.0.0.1")
        if not self._may_ask(scope, host):
            return Refused(403, "foreign_origin", "pages of that origin may not connect: list it in gateway.origins")
        if self._token is None or _is_preflight(scope) or _is_page(scope):
            return None
        shown = self._shown(scope)
        if shown and self._guesses.too_many(peer):
            return Refused(429, "too_many_tokens", "too many wrong tokens came from there: try again in a moment")
        if not self._right(shown, scope):
            if shown:
                self._guesses.wrong(peer)
            return Refused(401, "token_needed", "show the token: Authorization: Bearer …, or ?token=… for a WebSocket")
        return None

    def _may_ask(self, scope: Scope, host: str) -> bool:
        """Return whether the page that a request comes from, if any, may make it."""
        origin = _header(scope["headers"], b"origin")
        if scope["type"] == "websocket":
            return self._from_here(origin, host)
        if _is_preflight(scope):
            return _origin(origin) in self._origins
        if scope.get("method", "GET") in SAFE:
            return True
        if not origin:  # what a browser leaves out it still says in its own words
            return _header(scope["headers"], b"sec-fetch-site") in ("", "same-origin", "none")
        return self._from_here(origin, host)

    def _from_here(self, origin: str, host: str) -> bool:
        """Return whether a page of `origin` may talk with us, who are called `host`; without one it is no page."""
        if not origin:
            return True
        scheme, at = _origin(origin)
        return (scheme, at) in self._origins or (scheme in ("http", "https") and at == _origin(f"{scheme}://{host}")[1])

    def _shown(self, scope: Scope) -> list[str]:
        """Return the tokens that are shown."""
        kind, _, shown = _header(scope["headers"], b"authorization").partition(" ")
        shown = shown.strip(" \t")  # of what is not ASCII, clients send either encoding
        given = [shown, shown.encode("latin-1").decode(errors="replace")] if kind.lower() == "bearer" else []
        if scope["type"] == "websocket":  # a page cannot set its headers
            given += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])[:1]
            given += [one.removeprefix(KEY) for one in scope.get("subprotocols", ()) if one.startswith(KEY)][:1]
        return given

    def _right(self, shown: Iterable[str], scope: Scope) -> bool:
        opens = scope["type"] == "websocket" and scope["path"] == REALTIME
        if opens and self._secrets is not None and any(map(self._secrets.find, shown)):
            return True
        assert self._token is not None
        wanted = self._token.encode()
        return any(hmac.compare_digest(one.encode(), wanted) for one in shown)


def _is_preflight(scope: Scope) -> bool:
    """Return whether a browser asks, before a request of a page, if it may send it."""
    if scope["type"] != "http" or scope.get("method", "GET") != "OPTIONS":
        return False
    return bool(_header(scope["headers"], b"access-control-request-method"))


def _written(origin: tuple[str, str]) -> str:
    """Return an origin as browsers write it, without the port that goes without saying."""
    scheme, at = origin
    return f"{scheme}://{at.removesuffix({'http': ':80', 'https': ':443'}.get(scheme, ''))}"


def _is_page(scope: Scope) -> bool:
    """Return whether it asks for a file of a page, which holds nothing of this house."""
    reads = scope["type"] == "http" and scope.get("method") in ("GET", "HEAD")
    return reads and ADDRESS.fullmatch(scope["path"]) is not None


def _origin(text: str) -> tuple[str, str]:
    """Return scheme and host:port of an origin, the port always there; ("", text) for what is none (such as null)."""
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", text
    return (parts.scheme, f"{parts.hostname}:{port}") if parts.hostname else ("", text)


def _name(host: str) -> str:
    """Return the name in a Host header, without the port; empty for what is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")
