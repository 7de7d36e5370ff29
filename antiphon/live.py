"""The settings of a running program: which of them can change under it, and who is told when they do.

Settings themselves never change (they are frozen); what is in force is replaced as a whole. Whoever begins something
new (a connection, a turn) asks `Live.settings`; what lasts longer follows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import structlog
from pydantic import BaseModel

from antiphon import log as logs
from antiphon.settings import Settings, keys

Path: TypeAlias = tuple[str, ...]
Follower: TypeAlias = Callable[[Settings, frozenset[str]], Awaitable[None]]
"""Is given what is in force from now on, and the keys that have changed, such as `turn.silence_ms`."""

log = structlog.get_logger(__name__)


class Refused(Exception):
    """A follower cannot take a change; the message says why. The sections that it names keep their values."""

    def __init__(self, message: str, *sections: str) -> None:
        super().__init__(message)
        self.sections = sections


@dataclass(frozen=True)
class Scope:
    """Which settings concern a program, by key or section; the most particular that matches decides."""

    live: tuple[str, ...]
    """Those that change while it runs."""
    fixed: tuple[str, ...]
    """Those that it reads at its start."""

    def is_live(self, key: str) -> bool:
        """Whether `key` changes while the program runs."""
        return _closest(key, self.live) > _closest(key, self.fixed)

    def is_fixed(self, key: str) -> bool:
        """Whether `key` concerns the program and needs a restart."""
        return _closest(key, self.fixed) > _closest(key, self.live)


class Live:
    """The settings in force."""

    def __init__(self, settings: Settings, scope: Scope) -> None:
        self.settings = settings
        """What is in force now. What only a restart changes has the value that it was started with."""
        self._read = settings
        self._scope = scope
        self._followers: list[Follower] = []
        self._added: dict[Path, list[str]] = {}

    def follow(self, follower: Follower) -> None:
        """Have `follower` called after each change, in the order of these calls."""
        self._followers.append(follower)

    async def change(self, read: Settings) -> None:
        """Put in force what can be of `read`, and say in the log what was and what needs a restart."""
        news = {_dotted(path) for path, _ in _differences(self._read, read)}
        self._read = read
        wanted = list(_differences(self.settings, self._with_added(read)))
        late = sorted(key for path, _ in wanted if (key := _dotted(path)) in news and self._scope.is_fixed(key))
        if late:
            log.warning(f"settings that need a restart have changed: {', '.join(late)}")
        taken = {path: value for path, value in wanted if self._scope.is_live(_dotted(path))}
        if taken:
            await self._take(taken)

    async def add(self, values: dict[Path, list[str]]) -> None:
        """Put values after those that were read for settings that are lists, in place of those added before."""
        self._added = values
        wanted = _differences(self.settings, self._with_added(self._read))
        taken = {path: value for path, value in wanted if path in values}
        if taken:
            await self._take(taken)

    def _with_added(self, read: Settings) -> Settings:
        lists = {path: [*_value(read, path), *more] for path, more in self._added.items()}
        return _with(read, {path: list(dict.fromkeys(value)) for path, value in lists.items()})

    async def _take(self, taken: dict[Path, Any]) -> None:
        before = self.settings
        self.settings = _with(before, taken)
        changed = frozenset(_dotted(path) for path in taken)
        if any(_within(key, ("log",)) for key in changed):
            logs.configure(self.settings.log)
        for follower in self._followers:
            try:
                await follower(self.settings, changed)
            except Refused as refused:
                log.error(f"a change of the settings is not taken: {refused}")
                kept = {path: _value(before, path) for path in taken if _within(_dotted(path), refused.sections)}
                self.settings = _with(self.settings, kept)
                changed -= {_dotted(path) for path in kept}
        if changed:
            log.info(f"settings taken: {', '.join(sorted(changed))}")


def _within(key: str, sections: tuple[str, ...]) -> bool:
    return _closest(key, sections) > 0


def _closest(key: str, sections: tuple[str, ...]) -> int:
    """Return how much of `key` the most particular of the sections names that it is in; 0: it is in none."""
    return max((len(section) for section in sections if key == section or key.startswith(f"{section}.")), default=0)


def _dotted(path: Path) -> str:
    return ".".join(path)


def _differences(before: Settings, after: Settings) -> Iterator[tuple[Path, Any]]:
    """Yield each setting that differs, with its value in `after`."""
    for path, _ in keys():
        value = _value(after, path)
        if value != _value(before, path):
            yield path, value


def _value(settings: Settings, path: Path) -> Any:
    return reduce(getattr, path, settings)


def _with(settings: Settings, values: dict[Path, Any]) -> Settings:
    """Return the settings with other values. They were validated where they were read."""
    return reduce(lambda model, one: _replaced(model, *one), values.items(), settings)


def _replaced(model: Any, path: Path, value: Any) -> Any:
    assert isinstance(model, BaseModel)
    inner = value if len(path) == 1 else _replaced(getattr(model, path[0]), path[1:], value)
    return model.model_copy(update={path[0]: inner})
