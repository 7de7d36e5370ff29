"""What engines on another maker's Wyoming service have in common: the way there, and what is said when it is blocked.

Each request has a connection of its own, as Home Assistant's have: a service that was away is there again at the next
one, and hanging up is what stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Literal, TypeVar

import structlog
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Artifact, Info

from antiphon.audio.pcm import FormatError
from antiphon.wire.frames import FrameError
from antiphon.wire.link import Link, LinkError, ask_info, open_link
from antiphon_daemon.engines.contracts import EngineError, Revoked, Work

OWN_SHARE = 0.95
"""The part of a deadline that is used: what is wrong must be known a little before the conversation gives up."""

PORTS = {"stt": 10300, "tts": 10200}
"""Where such services usually listen, for the sentence that asks for an address."""

NAMED = 8
"""So many names a sentence lists."""

A = TypeVar("A", bound=Artifact)

log = structlog.get_logger(__name__)


class Refused(Exception):
    """The service answers `error`; the message is its text."""


class Service:
    """A service at an address.

    Args:
        stage: what it does, and the section of the settings that names it.
        url: `tcp://host:port`.
        connect_s: how long connecting, or asking what it is, may take.

    Raises:
        EngineError: `url` is empty.
    """

    def __init__(self, stage: Literal["stt", "tts"], url: str, connect_s: float) -> None:
        if not url:
            says = f"No service is named: set {stage}.url, such as tcp://192.168.1.20:{PORTS[stage]}."
            raise EngineError(stage, says)
        self.stage, self.url = stage, url
        self._connect_s = connect_s

    async def info(self) -> Info:
        """Return what the service says of itself.

        Raises:
            EngineError: it does not.
        """
        try:
            return await ask_info(self.url, within_s=self._connect_s)
        except LinkError as error:
            raise self.failure(str(error)) from error

    async def introduce(self, learn: Callable[[Info], None], *, away: str) -> None:
        """Have `learn` take over what the service says of itself; one that is away is asked again when it is needed.

        Args:
            away: what the log says then.

        Raises:
            EngineError: it is there, and `learn` finds it unfit.
        """
        try:
            info = await self.info()
        except EngineError as error:
            log.warning(away, why=str(error))
        else:
            learn(info)

    @contextlib.asynccontextmanager
    async def connected(self, work: Work) -> AsyncIterator[Link]:
        """Hold a connection, dropped when the body ends, and at once when `work` is revoked.

        Raises:
            LinkError: nobody answers there.
        """
        loop = asyncio.get_running_loop()
        link = await open_link(self.url, within_s=self._connect_s)

        def drop() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile, and with it the connection
                loop.call_soon_threadsafe(link.abort)

        forget = work.on_revoked(drop)
        try:
            yield link
        finally:
            forget()
            link.abort()
            await link.close()

    @contextlib.contextmanager
    def told(self, work: Work, within_s: float) -> Iterator[None]:
        """Turn whatever goes wrong in the body into an `EngineError` of one sentence, or `Revoked`.

        Args:
            within_s: what a `TimeoutError` of the body means.
        """
        try:
            yield
        except (LinkError, FrameError, FormatError, Refused, TimeoutError) as error:
            if not work.wanted():
                raise Revoked from None
            if isinstance(error, Refused):
                quoted = str(error)
                raise self.failure(f"{self.url} answers: {quoted}", quoted=quoted) from None
            if isinstance(error, TimeoutError):
                raise self.failure(f"{self.url} is not done within {within_s:.3g} s") from None
            why = str(error)
            raise self.failure(why if why.startswith(self.url) else f"{self.url}: {why}") from error

    def failure(self, why: str, *, quoted: str = "") -> EngineError:
        """Return an error that says why the service cannot be used, and what mends it."""
        says = f"The Wyoming service of {self.stage}.url fails ({why}): see what it logs, or correct {self.stage}.url."
        return EngineError(self.stage, says, quoted=quoted)


async def answer(link: Link) -> Event:
    """Return the next event.

    Raises:
        Refused: it is an `error`.
        LinkError: the service left, or said something that is not Wyoming.
    """
    event = await link.receive()
    if Error.is_type(event.type):
        raise Refused(" ".join(str(event.data.get("text") or "no reason").split())[:200].rstrip("."))
    return event


def installed(artifacts: Iterable[A]) -> list[A]:
    """Return those that can be used."""
    return [one for one in artifacts if one.installed]


def listed(names: Iterable[str]) -> str:
    """Return names as part of a sentence, the first few of them."""
    known = list(names)
    return ", ".join(known[:NAMED]) + (f" and {len(known) - NAMED} more" if len(known) > NAMED else "")


def plain(tag: str) -> str:
    """Return the language of a tag such as `en-US` or `ko_KR`, lower case."""
    return re.split("[-_]", tag)[0].lower()
