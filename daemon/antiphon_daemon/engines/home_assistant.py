"""Home Assistant's own API, for what needs a long-lived token: requests over HTTP, questions over its WebSocket.

Every failure is an `EngineError` whose sentence says what mends it, and whose fault says whether anything can have
happened there. The token is sent to that address alone and stands in no sentence and no log.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from antiphon.settings import HomeAssistant
from antiphon_daemon.engines.contracts import EngineError, Fault
from antiphon_daemon.engines.llm.remote import is_near, one_line, proxied, tls_error, trusted

ANSWER_BYTES = 1 << 20
"""A longer answer to a request is none of Home Assistant's."""
MESSAGE_BYTES = 1 << 24
"""A large house has some thousand entities, of which each takes half a kilobyte."""
NEW_TOKEN = "make a new one (your profile there, Security, Long-lived access tokens) and put it into"
TOKEN = "home_assistant.token_file"
ADDRESS = "correct home_assistant.url (its port is usually 8123)"

_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_ABSENT = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}
"""What a proxy answers for a Home Assistant that does not run."""


class Refusal(EngineError):
    """An answer that says no to this one request: there is no such thing, or it is not put as it should be."""

    def __init__(self, message: str, fault: Fault, status: int, why: str) -> None:
        super().__init__("llm", message, fault, quoted=why)
        self.status, self.why = status, why


class Banned(EngineError):
    """It does not let this machine in, whatever is shown: it looks at no token, and shows nobody the attempt."""


class _Direct(connect):
    """A connection to this address alone: the token is for no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none."""
        return exc


class Api:
    """One Home Assistant, asked with one token.

    Args:
        connect_s: how long connecting may take. Waiting for an answer has no limit here.

    Raises:
        EngineError: no address or no token is set, or `home_assistant.ca_file` is no certificate.
    """

    def __init__(self, settings: HomeAssistant, *, connect_s: float = 5.0) -> None:
        self.url = _base(settings.url)
        if settings.token is None or not settings.token.get_secret_value():
            says = f"Home Assistant wants a token: {NEW_TOKEN} a file that {TOKEN} names."
            raise EngineError("llm", says, Fault.KEY)
        self._token = settings.token.get_secret_value()
        if not (self._token.isascii() and self._token.isprintable()):
            raise EngineError("llm", f"What stands in {TOKEN} is no token: {NEW_TOKEN} that file.", Fault.KEY)
        self._trusted = trusted(settings, "home_assistant")
        self._connect_s = connect_s
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {self._token}"},
            verify=self._trusted,
            trust_env=proxied(self.url, "llm"),
            timeout=httpx2.Timeout(None, connect=connect_s),
            # A connection that is kept may be dead, and nobody could tell whether a request on it has arrived.
            limits=httpx2.Limits(max_keepalive_connections=0),
            follow_redirects=False,  # a POST that is redirected arrives as a GET, or at strangers
        )

    async def get(self, path: str) -> Any:
        """Return what stands at `path`, such as `/api/`.

        Raises:
            Refusal: there is none.
            EngineError: it cannot be had.
        """
        return await self._request("GET", path, None)

    async def post(self, path: str, body: Any) -> Any:
        """Send a request; it may act, so a failure after it was sent has the fault `DOUBT`.

        Raises:
            Refusal: it is not taken.
            EngineError: there is no answer.
        """
        return await self._request("POST", path, body)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[Socket]:
        """Open a WebSocket and log in.

        Raises:
            EngineError: Home Assistant cannot be reached or refuses the token.
        """
        url = f"ws{self.url.removeprefix('http')}/api/websocket"
        opening = _Direct(
            url,
            open_timeout=self._connect_s,
            close_timeout=1,
            max_size=MESSAGE_BYTES,
            proxy=None if is_near(self.url) else True,
            ssl=self._trusted if url.startswith("wss") else None,
        )
        try:
            async with opening as connection:
                socket = Socket(self, connection)
                await socket.log_in(self._token)
                yield socket
        except InvalidStatus as error:
            raise self.refusal(error.response.status_code, b"", "/api/websocket") from None
        except (WebSocketException, OSError, ValueError) as error:
            raise self.error(error, sent=False) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _request(self, method: str, path: str, body: Any) -> Any:
        try:
            async with self._client.stream(method, self.url + path, json=body) as answer:
                content = b""
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > ANSWER_BYTES:
                        raise self.stranger("it answers without end")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise self.error(error, sent=method == "POST" and not isinstance(error, _UNSENT)) from error
        if answer.status_code != HTTPStatus.OK:
            raise self.refusal(answer.status_code, content, path, answer.headers.get("location", ""))
        try:
            return json.loads(content)
        except ValueError:
            if answer.headers.get("content-type", "").startswith("application/json"):
                raise self.broke_off(sent=method == "POST") from None
            raise self.stranger(f"{path} is no JSON") from None

    def error(self, error: Exception, *, sent: bool) -> EngineError:
        """Return what to say of a connection that failed.

        Args:
            sent: a request was sent, and may have been carried out.
        """
        if encryption := tls_error(error, self.url, "home_assistant"):
            return encryption
        if isinstance(error, (httpx2.TransportError, WebSocketException, OSError)):
            if isinstance(error, (*_UNSENT, ConnectionRefusedError, TimeoutError)) or (
                isinstance(error, OSError) and not isinstance(error, ConnectionError)
            ):
                says = f"No Home Assistant answers at {self.url}: start it, or {ADDRESS}."
                return EngineError("llm", says)
            return self.broke_off(sent=sent)
        return self.stranger(one_line(error) or type(error).__name__)

    def refusal(self, status: int, content: bytes, path: str, location: str = "") -> EngineError:
        """Return what to say of an answer with another status than 200."""
        url = self.url
        if status == HTTPStatus.UNAUTHORIZED:
            return EngineError("llm", f"Home Assistant at {url} refused the token: {NEW_TOKEN} {TOKEN}.", Fault.KEY)
        if status == HTTPStatus.FORBIDDEN:
            says = f"Home Assistant at {url} lets this machine not in (403): take its address out of ip_bans.yaml there"
            return Banned("llm", f"{says}, then see that {TOKEN} is right.", Fault.KEY)
        if 300 <= status < 400:
            return EngineError(
                "llm", f"{url} sends elsewhere ({one_line(location)}): put that into home_assistant.url."
            )
        if status in _ABSENT:
            return EngineError("llm", f"No Home Assistant runs behind {url} ({status}): start it, or {ADDRESS}.")
        why = _message(content) or str(status)
        if status == HTTPStatus.BAD_REQUEST:
            says = f"Home Assistant at {url} refused the request ({why}): correct llm.model."
            return Refusal(says, Fault.REFUSED, status, why)
        if status < 500:
            stranger = str(self.stranger(f"{path} is answered with {status}"))
            return Refusal(stranger, Fault.LOST, status, "")
        says = f"Home Assistant at {url} failed ({why}): see its log."
        return EngineError("llm", says, Fault.DOUBT, quoted=why)

    def stranger(self, why: str) -> EngineError:
        """Return what to say of an answer that is not Home Assistant's."""
        says = f"What answers at {self.url} does not speak as Home Assistant does ({why}): {ADDRESS}, or wait until "
        return EngineError("llm", f"{says}it has started.")

    def broke_off(self, *, sent: bool) -> EngineError:
        """Return what to say of half an answer."""
        says = f"Home Assistant at {self.url} broke off in the middle of an answer: see its log."
        return EngineError("llm", says, Fault.DOUBT if sent else Fault.BROKE)


class Socket:
    """A WebSocket that is logged in: one question after another."""

    def __init__(self, api: Api, connection: ClientConnection) -> None:
        self._api, self._connection = api, connection
        self._asked = 0
        self.version = ""
        """Home Assistant's."""

    async def log_in(self, token: str) -> None:
        """Give the token.

        Raises:
            EngineError: it is refused, or nobody asks for it.
        """
        if (await self._receive()).get("type") != "auth_required":
            raise self._api.stranger("it asks for no token")
        await self._connection.send(json.dumps({"type": "auth", "access_token": token}))
        answer = await self._receive()
        if answer.get("type") == "auth_invalid":
            raise self._api.refusal(HTTPStatus.UNAUTHORIZED, b"", "")
        if answer.get("type") != "auth_ok":
            raise self._api.stranger("it neither takes nor refuses the token")
        self.version = str(answer.get("ha_version", ""))

    async def ask(self, kind: str, **fields: Any) -> Any:
        """Return the result of a command.

        Raises:
            EngineError: Home Assistant refuses it, or is gone.
        """
        number = await self._send(kind, fields)
        while True:
            answer = await self._receive()
            if answer.get("id") == number and answer.get("type") == "result":
                break
        if answer.get("success") is True:
            return answer.get("result")
        refusal = answer.get("error")
        code = refusal.get("code") if isinstance(refusal, dict) else refusal
        if code == "unauthorized":
            says = (
                f"The token for {self._api.url} is no administrator's, who alone may ask for {kind}: use one that is."
            )
            raise EngineError("llm", says, Fault.KEY)
        says = f"Home Assistant at {self._api.url} does not answer {kind} ({one_line(code)}): update it."
        raise EngineError("llm", says, Fault.REFUSED)

    async def first_event(self, kind: str, **fields: Any) -> Any:
        """Return the first event of a subscription, which ends with the connection.

        Raises:
            EngineError: Home Assistant refuses it, or is gone.
        """
        await self.ask(kind, **fields)
        while True:
            answer = await self._receive()
            if answer.get("id") == self._asked and answer.get("type") == "event":
                return answer.get("event")

    async def _send(self, kind: str, fields: dict[str, Any]) -> int:
        self._asked += 1
        await self._connection.send(json.dumps({"id": self._asked, "type": kind, **fields}))
        return self._asked

    async def _receive(self) -> dict[str, Any]:
        text = await self._connection.recv()
        try:
            message = json.loads(text)
        except ValueError:
            raise self._api.stranger("a message is no JSON") from None
        if not isinstance(message, dict):
            raise self._api.stranger("a message is no object")
        return message


def _base(url: str) -> str:
    """Return the address without what the API adds to it."""
    url = url.strip()
    if not url:
        says = "No Home Assistant is named: set home_assistant.url, for example to http://homeassistant.local:8123."
        raise EngineError("llm", says)
    url = url if "//" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.query:
        says = "home_assistant.url is no address: write it as http://homeassistant.local:8123."
        raise EngineError("llm", says)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/").removesuffix("/api")


def _message(content: bytes) -> str:
    """Return Home Assistant's words for a failure."""
    try:
        found = json.loads(content)
    except ValueError:
        return ""
    return one_line(found["message"]) if isinstance(found, dict) and "message" in found else ""
