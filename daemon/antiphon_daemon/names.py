"""The names of the house: rooms, and devices that are exposed to Assist, with their other names.

Fetched from Home Assistant beside everything else, so that no start and no turn waits for it; what was fetched last
stays while Home Assistant is away. They are put after `conversation.names` and `stt.hints`, as the settings want.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import structlog

from antiphon.live import Live
from antiphon.settings import Settings
from antiphon.text import composed
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import EngineError, Fault

if TYPE_CHECKING:
    from antiphon_daemon.engines.home_assistant import Api, Socket

EVERY_S = 600.0
AGAIN_S = 30.0
"""After a failure; each further one waits twice as long, up to `EVERY_S`."""
REFUSED_S = 3600.0
"""After a refused token: each attempt is shown to the people of the house."""
WITHIN_S = 20.0
ENTITIES = 500
"""More exposed entities are not looked at."""
LONGEST_NAME = 40
HEARD = 10
"""So many names are given to speech to text at most: it reads them before each utterance."""

log = structlog.get_logger(__name__)


class HouseNames:
    """Keeps the settings in force to the names of the house. Does nothing where no token is set."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._changed = asyncio.Event()
        """Other names are wanted than were."""
        self._failures = 0
        self._told: str | None = None
        """The failure that was logged last."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in the background."""
        home = self._live.settings.home_assistant
        if home.url and home.token:
            self._live.follow(self._follow)
            self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, now: Settings, changed: frozenset[str]) -> None:
        if any(key.startswith("home_assistant.names") for key in changed):
            self._changed.set()

    async def _keep(self) -> None:
        while True:
            self._changed.clear()
            try:
                wait_s = await self._look()
            except Exception:  # the edge: a fault of ours must not end the looking
                log.exception("looking for the names of the house failed")
                wait_s = EVERY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    async def _look(self) -> float:
        """Fetch the names and put them where they are wanted; return when to look again, in seconds."""
        home = self._live.settings.home_assistant
        names: list[str] = []
        if home.names_told or home.names_heard:
            try:
                async with asyncio.timeout(WITHIN_S):
                    names = await self._fetch()
            except (EngineError, TimeoutError) as error:
                return self._failed(error)
        self._failures, self._told = 0, None
        await self._live.add(
            {
                ("conversation", "names"): names if home.names_told else [],
                ("stt", "hints"): names[:HEARD] if home.names_heard else [],
            }
        )
        return EVERY_S

    async def _fetch(self) -> list[str]:
        api = await asyncio.to_thread(_api, self._live.settings)
        try:
            async with api.socket() as socket:
                return await fetch(socket)
        finally:
            await api.close()

    def _failed(self, error: Exception) -> float:
        why = str(error) or f"Home Assistant has not told its names within {WITHIN_S:.0f} s."
        if why != self._told:
            self._told = why
            log.warning("the names of the house cannot be had", why=why)
        if isinstance(error, EngineError) and error.fault is Fault.KEY:
            return REFUSED_S
        self._failures += 1
        return min(AGAIN_S * (1 << min(self._failures - 1, 9)), EVERY_S)


def _api(settings: Settings) -> Api:
    """Import and make what asks Home Assistant, which takes some tenths of a second."""
    catalogue.require("llm", "httpx2", "home-assistant")
    catalogue.require("llm", "websockets", "home-assistant")
    from antiphon_daemon.engines.home_assistant import Api

    return Api(settings.home_assistant, connect_s=settings.deadlines.connect_s)


async def fetch(socket: Socket) -> list[str]:
    """Return the names that people may say: rooms first, each once.

    Raises:
        EngineError: Home Assistant does not tell them.
    """
    areas = await socket.ask("config/area_registry/list")
    exposed = _dictionary(await socket.ask("homeassistant/expose_entity/list"), "exposed_entities")
    entities = [name for name, to in exposed.items() if isinstance(to, dict) and to.get("conversation")][:ENTITIES]
    found = [name for area in _list(areas) for name in _names(area, "name", "aliases")]
    if entities:
        entries = await socket.ask("config/entity_registry/get_entries", entity_ids=entities)
        states = _dictionary(await socket.first_event("subscribe_entities", entity_ids=entities), "a")
        for entity in entities:
            if entity in states:  # the others are switched off
                found += _names(_dictionary(states[entity], "a"), "friendly_name")
                found += _names(_dictionary(entries, entity), "", "aliases")
    once: dict[str, str] = {}
    for name in found:
        once.setdefault(name.casefold(), name)
    return list(once.values())


def _names(of: Any, name: str, aliases: str = "") -> Iterator[str]:
    """Yield the names that stand in a dictionary of Home Assistant's."""
    if isinstance(of, dict):
        for one in (of.get(name), *_list(of.get(aliases))):
            plain = " ".join(composed(one).replace(",", " ").split()) if isinstance(one, str) else ""
            if 0 < len(plain) <= LONGEST_NAME:
                yield plain


def _dictionary(of: Any, key: str) -> dict[str, Any]:
    found = of.get(key) if isinstance(of, dict) else None
    return found if isinstance(found, dict) else {}


def _list(of: Any) -> list[Any]:
    return of if isinstance(of, list) else []
