"""The skills as tools, for language models that can call them.

A tool acts: it is run when the turn is committed, never in a draft.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from antiphon_daemon.conversation.skills import about_sound, about_time, about_timers
from antiphon_daemon.conversation.skills.place import Place
from antiphon_daemon.conversation.skills.sentences import Request, languages
from antiphon_daemon.conversation.skills.talk import Answer, Scene, Talk, Undo
from antiphon_daemon.engines.contracts import Tool

_SECONDS = {"seconds": {"type": "integer", "minimum": 1, "description": "Seconds"}}
_NAME = {"name": {"type": "string", "description": "The timer's name, if it has one"}}
_PERCENT = {"percent": {"type": "integer", "minimum": 0, "maximum": 100}}
_LONGEST_NAME = 60

Do: TypeAlias = Callable[[Talk], Answer | None]


@dataclass(frozen=True)
class Kind:
    """What a tool does, and what it takes; all but the timer's name is required."""

    name: str
    description: str
    do: Do
    takes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _time_and_date(talk: Talk) -> Answer:
    return Answer(f"{about_time.time(talk).text} {about_time.date(talk).text}")


_ANYWHERE = (Kind("get_time", "The time, weekday and date here, now.", _time_and_date),)
_TIMERS = (
    Kind("set_timer", "Set a timer that rings here.", about_timers.start, {**_SECONDS, **_NAME}),
    Kind("list_timers", "The timers that are set, and the time they have left.", about_timers.status),
    Kind("cancel_timer", "Cancel a timer.", about_timers.cancel, _NAME),
    Kind("cancel_all_timers", "Cancel every timer.", about_timers.cancel_all),
    Kind("lengthen_timer", "Give a timer more time.", about_timers.longer, {**_SECONDS, **_NAME}),
    Kind("shorten_timer", "Take time from a timer.", about_timers.shorter, {**_SECONDS, **_NAME}),
    Kind("pause_timer", "Pause a timer.", about_timers.pause, _NAME),
    Kind("resume_timer", "Let a paused timer go on.", about_timers.resume, _NAME),
)
_SOUND = (Kind("set_volume", "Set the speaker's volume.", about_sound.set_volume, _PERCENT),)


def tools(place: Place, language: str | None = None, undo: list[Undo] | None = None) -> Sequence[Tool]:
    """Return what a language model may do at `place`; running one raises ValueError for arguments it does not take.

    Args:
        language: what the model is told of a result is in it.
        undo: gets how each thing that was done is taken back.
    """
    kinds = [*_ANYWHERE, *(_TIMERS if place.timers else ()), *(_SOUND if place.hands else ())]
    return [
        Tool(
            kind.name,
            kind.description,
            {
                "type": "object",
                "properties": dict(kind.takes),
                "required": [name for name in kind.takes if name not in _NAME],
            },
            partial(_run, kind, place, language, [] if undo is None else undo),
        )
        for kind in kinds
    ]


async def _run(kind: Kind, place: Place, language: str | None, undo: list[Undo], /, **arguments: Any) -> str:
    """Do one thing, and return what is to be said of it."""
    known = languages()
    says = known.get((language or "en").split("-")[0], known["en"])
    answer = kind.do(Talk(Request(kind.name, says.code, _checked(kind, arguments)), Scene(place, says.code), says))
    if answer is None:
        return "Nothing was done."
    if taken_back := answer.commit():
        undo.append(taken_back)
    return answer.text or "Done."


def _checked(kind: Kind, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model gave, in the types the skills take: models write numbers as text at times."""
    checked: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in kind.takes:
            raise ValueError(f"{kind.name} takes no {name}")
        if name in _NAME:
            checked[name] = str(value)[:_LONGEST_NAME]
        else:
            try:
                checked[name] = int(float(value))
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"{name} must be a whole number") from None
            if checked[name] < 0:
                raise ValueError(f"{name} must not be negative")
    if missing := [name for name in kind.takes if name not in checked and name not in _NAME]:
        raise ValueError(f"{kind.name} needs {missing[0]}")
    return checked
