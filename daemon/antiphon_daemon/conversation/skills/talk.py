"""What an answer is, and what it is made from: the sentence's slots, the place, and the words of a language.

Nothing here acts. An `Answer` carries its act, and whoever commits the turn calls it, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from antiphon_daemon.conversation.skills.place import NOWHERE, Place
from antiphon_daemon.conversation.skills.sentences import Language, Request

Undo: TypeAlias = Callable[[], None]
"""Takes back what was done, for a turn that went on after all."""
Act: TypeAlias = Callable[[], Undo | None]
"""Does something, and returns how it is taken back if it can be."""


@dataclass(frozen=True)
class Answer:
    """What a skill says (nothing, if empty), and what it does once the turn is over."""

    text: str
    language: str = "en"
    act: Act | None = None
    starts_over: bool = False
    """The conversation is forgotten."""
    remembered: bool = True
    """It is part of the conversation that the language model sees."""
    asks: bool = False
    """Something was missing in what was said: perhaps it was still to come."""

    def commit(self) -> Undo | None:
        """Do it, and return how it is taken back. To be called once, when the turn is over."""
        return self.act() if self.act is not None else None


def local_time() -> datetime:
    """Return this machine's time, in the zone that it is set to now: by itself the C library looks at that once."""
    time.tzset()
    return datetime.now().astimezone()


@dataclass(frozen=True)
class Scene:
    """What an answer depends on besides the sentence."""

    place: Place = NOWHERE
    language: str = "en"
    """The conversation's."""
    last_reply: str | None = None
    now: Callable[[], datetime] = field(default=local_time)


class Talk:
    """One request, to be answered in one language.

    Args:
        request: what is asked for.
        scene: where, and after what.
        says: the language to answer in.
    """

    def __init__(self, request: Request, scene: Scene, says: Language) -> None:
        self.slots: Mapping[str, Any] = request.slots
        self.scene, self.place, self.says = scene, scene.place, says

    @property
    def implied(self) -> bool:
        """The sentence names no timer: it means one only where there is one."""
        return bool(self.slots.get("implied"))

    @property
    def asked(self) -> bool:
        """The reply before asked something."""
        return (self.scene.last_reply or "").rstrip().endswith(("?", "？"))

    def number(self, slot: str) -> int | None:
        """Return a slot that holds a number; None if the sentence has none."""
        value = self.slots.get(slot)
        return int(value) if isinstance(value, int | float) else None

    def say(self, key: str, act: Act | None = None, **values: object) -> Answer:
        """Return one of the language's answers, filled in."""
        return self.says_so(self.says.answers[key].format(**values), act)

    def says_so(self, text: str, act: Act | None = None) -> Answer:
        """Return the answer `text`, as the language wants it written."""
        return Answer(self.says.module.finish(text), self.says.code, act)

    def silence(self, act: Act | None = None) -> Answer:
        """Return the answer that says nothing."""
        return Answer("", self.says.code, act, remembered=False)
