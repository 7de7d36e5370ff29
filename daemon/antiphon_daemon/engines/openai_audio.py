"""What engines on the audio endpoints of an OpenAI-compatible server have in common: the way there, and what is said
when it is blocked."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Literal
from urllib.parse import urlsplit

import httpx2
import openai
import structlog

from antiphon.settings import Deadlines, Stt, Tts
from antiphon_daemon.engines.contracts import EngineError, Fault, Revoked, Work
from antiphon_daemon.engines.llm.remote import one_line, proxied, reason, shown, tls_error, trusted
from antiphon_daemon.engines.wyoming import listed

FAILURES = (openai.OpenAIError, httpx2.HTTPError, OSError, ValueError, TypeError, AttributeError)
"""What the client raises: the last three where an answer is not what such a server sends."""

EXAMPLES = "http://127.0.0.1:8000/v1 (speaches, vLLM), http://127.0.0.1:8080/v1 (LocalAI) or https://api.openai.com/v1"

log = structlog.get_logger(__name__)


class AudioServer:
    """A server at an address.

    Args:
        stage: what it does, and the section of the settings that names it.
        settings: its address, key and model.
        deadlines: how long connecting may take.
        likely: parts of the names of models that do this; of several models the only such one is taken.

    Raises:
        EngineError: no server is named, or `ca_file` is no certificate.
    """

    def __init__(
        self, stage: Literal["stt", "tts"], settings: Stt | Tts, deadlines: Deadlines, likely: Sequence[str]
    ) -> None:
        if not settings.url:
            raise EngineError(stage, f"No server is named: set {stage}.url in config.yaml, for example to {EXAMPLES}.")
        self.stage = stage
        url = settings.url if urlsplit(settings.url).path.strip("/") else f"{settings.url.rstrip('/')}/v1"
        self.url = shown(url)
        self._named = "" if settings.model == "embedded" else settings.model
        self.model = self._named
        self._likely = likely
        self._connect_s = deadlines.connect_s
        self.client = openai.AsyncOpenAI(
            api_key=settings.api_key.get_secret_value() if settings.api_key else "none",
            base_url=url,
            max_retries=0,
            http_client=httpx2.AsyncClient(
                verify=trusted(settings, stage),
                trust_env=proxied(self.url, stage),
                timeout=httpx2.Timeout(None, connect=self._connect_s),
                follow_redirects=True,
            ),
        )
        # The client reads both from the environment, which here nobody meant.
        self.client.organization, self.client.project = None, None

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"{urlsplit(self.url).netloc} {self.model}".strip()

    async def choose(self) -> str:
        """Return the model that is asked: the one that is named, else the only one that fits.

        Raises:
            EngineError: the server has none that fits, or several.
        """
        if not self.model:
            names = [one.id async for one in self.client.models.list()]
            fitting = [name for name in names if any(part in name.lower() for part in self._likely)]
            chosen = names if len(names) == 1 else fitting
            if len(chosen) != 1:
                has = f"one of {listed(fitting or names)}" if names else "its name"
                says = f"The server at {self.url} does not tell which model to take: set {self.stage}.model to {has}."
                raise EngineError(self.stage, says)
            self.model = chosen[0]
            log.info("model chosen", stage=self.stage, model=self.name)
        return self.model

    @contextlib.contextmanager
    def told(self, work: Work, within_s: float) -> Iterator[None]:
        """Turn whatever goes wrong in the body into an `EngineError` of one sentence, or `Revoked`.

        Args:
            within_s: what a `TimeoutError` of the body means.
        """
        try:
            yield
        except FAILURES as error:
            if not work.wanted():
                raise Revoked from None
            if isinstance(error, TimeoutError):
                says = f"The server at {self.url} is not done within {within_s:.3g} s: see what it does."
                raise EngineError(self.stage, says, Fault.BUSY) from None
            raise self.failure(error) from error

    def failure(self, error: Exception) -> EngineError:
        """Return what to say of a request that failed."""
        url, stage = self.url, self.stage
        if isinstance(error, openai.APIStatusError):
            return self._refusal(error)
        if encryption := tls_error(error, url, stage):
            return encryption
        if isinstance(error, (openai.APIConnectionError, httpx2.HTTPError, OSError)):
            cause = error.__cause__ or error
            if isinstance(cause, (httpx2.ConnectError, httpx2.TimeoutException, ConnectionRefusedError)):
                return EngineError(stage, f"No server answers at {url}: start it, or correct {stage}.url.")
            says = f"The server at {url} broke off in the middle of an answer: see what it says."
            return EngineError(stage, says, Fault.BROKE)
        return self.stranger(error)

    def stranger(self, why: object) -> EngineError:
        """Return what to say of an answer that is not OpenAI's."""
        says = f"What answers at {self.url} does not speak as OpenAI does ({one_line(why)}): check {self.stage}.url."
        return EngineError(self.stage, says)

    def _refusal(self, error: openai.APIStatusError) -> EngineError:
        url, stage, why = self.url, self.stage, one_line(reason(error.message, error.body))
        match error.status_code:
            case 401 | 403:
                says = f"The server at {url} refused the key: correct {stage}.api_key_file ({why})."
                return EngineError(stage, says, Fault.KEY)
            case 404 if "model" in why.lower():
                model, self.model = self.model, self._named
                return EngineError(stage, f"The server at {url} has no model {model}: correct {stage}.model ({why}).")
            case 404 | 405:
                return self.stranger(why)
            case 413:
                says = f"The server at {url} takes no sound or text as long as this ({why}): say it in parts."
                return EngineError(stage, says, Fault.REFUSED)
            case 429 if error.code == "insufficient_quota":
                return EngineError(stage, f"The account at {url} has no credit left: top it up, or take another.")
            case 429 | 503:
                says = f"The server at {url} is busy or still loading its model ({why}): ask again in a moment."
                return EngineError(stage, says, Fault.BUSY)
            case code if code < 500:
                says = f"The server at {url} refused the request ({why}): correct {stage} in config.yaml."
                return EngineError(stage, says, Fault.REFUSED)
        return EngineError(stage, f"The server at {url} failed ({why}): see what it says.", quoted=why)


@contextlib.contextmanager
def hung_up(response: httpx2.Response, work: Work) -> Iterator[None]:
    """Close the connection of a streamed answer at once when `work` is revoked, even while nobody reads from it."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None

    def close() -> None:
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    forget = work.on_revoked(close)
    try:
        yield
    finally:
        forget()
