"""What a house is asked for: lights, covers, climate, media, lists. Home Assistant does it, under the names it knows.

Which lamps and rooms there are is not known here. A sentence is only taken apart; if Home Assistant finds nothing of
that name, it says so itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hassil import Intents
from hassil.recognize import RecognizeResult, recognize_all

from antiphon_daemon.conversation.skills.sentences import LONGEST_CHARACTERS, languages, sentences

MOST_COMMANDS = 4
NAME_WORDS = 6
"""A longer name is none."""
_NO_NAME = re.compile(
    r"\b(?:who|what|why|when|how|me|you|i|it|that|this|story|joke|question|is|are|was|timer|alarm)\b|타이머|알람|이야기|켜고|끄고|열고|닫고"
    r"|\b\d+ seconds?\b|\d+초"
    r"|^(?:(?:the|my|our|all|of|every|a|an|some)\b\s*)+$"
)
"""A question, a length of time (what is to be done later is not known here), or articles alone are no name."""
_NOT_IN_A_HOUSE = re.compile(
    r"\bat \d|\bo'clock\b|\b(?:tomorrow|tonight|later)\b|\d시|내일|이따|나중"
    r"|\b(?:your|yourself)\b|^(?:enough|and|to(?! do\b))\b"
    r"|^(?:(?:all|of|the|my|every) )*(?:up|down|in|out|on|off)"
    r"(?:$| (?:the|a|an|my|our|his|her|their|to|of|with|for|in|on|and)\b)"
    r"|^(?:the |my )?(?:volume|sound|audio|microphone|mic|볼륨|소리|음량|마이크)$"
    r"|왜|누가|언제|어떻게|매일|^(?:나|저|우리)[는도]|^나(?:지금)?$|^(?:신경|관심)$|^[내제]가|(?:엄마|아빠)[가는]"
)
"""No room and no device, though it may be on a list: a time, talk (`close your eyes`, `shut up`), what somebody does,
or what a skill does."""

_OPENS = re.compile(
    r"^(?!(?:an?|some|any|source|both) )"
    r".*\b(?:garage|door|gate|window|skylight|awning|blind|curtain|shutter|shade|screen)s?$"
)
"""What opens and closes, and is that without an article: `kitchen window`, not `back pain`."""


@dataclass(frozen=True)
class Command:
    """One thing to be done, named as Home Assistant's intents are."""

    intent: str
    slots: Mapping[str, str | float]


class HouseSentences:
    """One language's sentences."""

    def __init__(self, code: str) -> None:
        given = sentences(f"house.{code}")
        self._code = code
        self._joins, self._ahead = re.compile(given.pop("joins")), re.compile(given.pop("ahead"))
        settings = {"ignore_whitespace": code == "ko"}
        self._intents = Intents.from_dict({"language": code, "settings": settings, **given})

    def commands(self, text: str) -> list[Command]:
        """Return what `text` asks for; nothing unless every part of it is a command."""
        plain = self._ahead.sub("", languages()[self._code].plain(text))
        parts = [part.strip() for part in self._joins.split(plain) if part.strip()]
        if 1 < len(parts) <= MOST_COMMANDS:
            found = [one for part in parts if (one := self._command(part)) is not None]
            if len(found) == len(parts):
                return found
        whole = self._command(plain)
        return [whole] if whole is not None else []

    def _command(self, plain: str) -> Command | None:
        results = [result for result in recognize_all(plain, self._intents) if _sensible(result)]
        if not results:
            return None
        best = min(results, key=_looseness)
        return Command(best.intent.name, {name: _value(one.value) for name, one in best.entities.items()})


@cache
def _languages() -> Mapping[str, HouseSentences]:
    return {code: HouseSentences(code) for code in languages()}


def load() -> None:
    """Read the sentences: call it in a thread, before the first `commands`."""
    for house in _languages().values():
        house.commands("turn on the light in the kitchen")


def commands(text: str, language: str | None) -> Sequence[Command]:
    """Return what the house is to do, in order; nothing when `text` is something else."""
    house = _languages().get((language or "en").replace("_", "-").split("-")[0])
    return house.commands(text) if house is not None and len(text) <= LONGEST_CHARACTERS else []


def _value(value: Any) -> str | float:
    if not isinstance(value, int | float):
        return str(value).strip()
    return int(value) if value == int(value) else round(value, 1)


def _looseness(result: RecognizeResult) -> tuple[int, int]:
    """The best reading leaves the fewest letters to names that any words can be."""
    wild = [len(str(one.value).strip()) for one in result.entities_list if one.is_wildcard]
    return sum(wild), len(wild)


def _sensible(result: RecognizeResult) -> bool:
    opens = bool((result.intent_metadata or {}).get("opens"))
    for entity in result.entities_list:
        if entity.is_wildcard:
            name = str(entity.value).strip()
            if not name or len(name.split()) > NAME_WORDS or _NO_NAME.search(name):
                return False
            if opens and not _OPENS.search(name):
                return False
            if entity.name != "item" and _NOT_IN_A_HOUSE.search(name):
                return False
    return True
