"""Finds out which skill a sentence asks for: by hassil, from the sentence files and home-assistant-intents.

A language is one file in `sentences/` and one module that writes its sentences plainly (`english`, `korean`). What
home-assistant-intents has for the intents a file borrows is added to it, as far as it can mean anything here: rooms,
floors, devices and delayed commands are Home Assistant's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files
from types import ModuleType
from typing import Any

import home_assistant_intents
import yaml
from hassil import Intents
from hassil.recognize import RecognizeResult, recognize_all

from antiphon.text import composed
from antiphon_daemon.conversation.skills import english, korean

LONGEST_CHARACTERS = 160
"""A longer text is for the language model."""
MODULES = {"en": english, "ko": korean}
PREPARED = ("set a timer for ten minutes", "what is the volume", "십 분 타이머 맞춰 줘", "볼륨 올려 줘")
NAME_WORDS, NAME_CHARACTERS = 4, 24
"""A timer's name is not longer."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as quick, where PyYAML has it."""
_LIST = re.compile(r"\{(\w+)(?::\w+)?\}")
_RULE = re.compile(r"<(\w+)>")
_SPACE = re.compile(r"\s+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NO_NAME = re.compile(
    r"\b(?:seconds?|minutes?|hours?|timers?|and|or|but|then|all|every|each|it|that|this|me|you|is|are|on|up|off|down|in|at)\b"
    r"|\b(?:i|we|he|she|they|us|who|what|why|when|where|how)\b|\b(?:tomorrow|tonight|later)\b|\b(?:noon|midnight)$"
    r"|[0-9]|타이머|모든|전부|모두|알려|말해|^(?:에|뒤|후|동안)$|^[뒤후]에|^(?:나|저|우리|엄마|아빠)는|^(?:내|제|누|엄마|아빠)가"
    r"|우리엄마|우리아빠|어떻게|누가|언제|왜"
)
"""Whoever tells of a timer or asks about one names none: `she set a`, `누가`."""
_TELLS = re.compile(
    r"\b(?:not|never|do|does|did|should|would|could|can(?!$)|have|has|had)\b"
    r"|\b(?:don|won|isn|didn|doesn|shouldn)'t\b"
    r"|\b(?:set|sets|setting|start|started|starts|cancel|pause|resume|extend|increase|decrease|reduce|shorten|add|give)\b"
    r"|(?<=\s)(?:an?\b|the$)"
)
"""Nor does who begins with these: `don't set a`. After "set a", a name may be `trash can` or `take a break`."""
_NO_THING = re.compile(
    r"^(?:the|my|our|new|old|other|same|first|last|next)$"
    r"|^(?:no|yes|stop|end|kill|delete|remove|clear|check|skip|restart|reset|change|adjust|update|lengthen|snooze|bump|lower"
    r"|raise|continue|finish|use|want|need|make|turn|was|were|will)\b"
)
"""What is no thing that has a timer in "pasta timer, 9 minutes", where nothing else says that one is to be set."""
_REMINDER_WORDS = 8


@dataclass(frozen=True)
class Request:
    """What a sentence asks for."""

    intent: str
    language: str
    slots: Mapping[str, Any] = field(default_factory=dict)


class Language:
    """One language's sentences, and the words around them."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.module: ModuleType = MODULES[code]
        given = sentences(code)
        self.answers: Mapping[str, str] = given["answers"]
        self._openers = _ends(given["names"] + given["openers"], first=True)
        self._closers = _ends(given["closers"], first=False)
        self._fillers = _fillers(given.get("fillers", ()))
        self._skipped = _fillers(given.get("skip_words", ()))
        self._intents = _intents(code, given)

    def plain(self, text: str) -> str:
        """Return `text` as it is matched: what was said to be polite or to be heard is left out."""
        text = _THOUSANDS.sub("", text.lower())
        text = _SPACE.sub(" ", re.sub(r"[^\w\s'.%:’/-]", " ", text)).strip(" .:-/")
        for pattern in (self._openers, self._closers, self._fillers):
            text = pattern.sub(" ", text).strip() if pattern else text
        return str(self.module.plain(text))

    def requests(self, text: str) -> list[Request]:
        """Return what `text` may ask for, the best first: as little as possible in it is a timer's name."""
        if not self.module.SCRIPT.search(text) or not (plain := self.plain(text)):
            return []
        found = [one for one in recognize_all(plain, self._intents) if _sensible(one, partial(self._begins, plain))]
        found.sort(key=_looseness)
        return [
            Request(result.intent.name, self.code, {name: one.value for name, one in result.entities.items()})
            for result in found
        ]

    def _begins(self, plain: str, name: str) -> bool:
        """Return whether `plain` begins with this name, but for words that mean nothing."""
        before = plain.partition(name)[0]
        return not (self._skipped.sub(" ", before) if self._skipped else before).strip()


def sentences(name: str) -> dict[str, Any]:
    """Return what a sentence file holds."""
    text = files(__package__).joinpath(f"sentences/{name}.yaml").read_text(encoding="utf-8")
    read: dict[str, Any] = yaml.load(text, _Loader)
    return read


@cache
def languages() -> Mapping[str, Language]:
    """Return every language by its code; made once, which takes some tenths of a second."""
    known = {code: Language(code) for code in MODULES}
    for language in known.values():
        for words in PREPARED:  # hassil prepares a template when it is first tried
            language.requests(words)
    return known


def requests(text: str, language: str | None) -> Iterator[Request]:
    """Yield what `text` may ask for: in the conversation's language first, then in the others."""
    text = composed(text)
    if len(text) > LONGEST_CHARACTERS:
        return
    own = (language or "en").replace("_", "-").split("-")[0]
    for code in sorted(languages(), key=lambda code: code != own):
        yield from languages()[code].requests(text)


def _intents(code: str, given: dict[str, Any]) -> Intents:
    borrowed = home_assistant_intents.get_intents(code) or {}
    spaces = given.get("spaces", True)
    rules = {**borrowed.get("expansion_rules", {}), **given.get("expansion_rules", {})}
    lists = {"timer_name": {"wildcard": True}, **given["lists"]}
    intents: dict[str, Any] = {name: {"data": list(intent["data"])} for name, intent in given["intents"].items()}
    for name in given["borrowed"]:
        for data in borrowed.get("intents", {}).get(name, {}).get("data", ()):
            intents.setdefault(name, {"data": []})["data"] += [
                {"sentences": [one], "slots": _slots(name, one)}
                for one in data["sentences"]
                if _lists(one, rules) <= lists.keys()
            ]
    used = {name: rule for name, rule in rules.items() if _lists(rule, rules) <= lists.keys()}
    if not spaces:
        used = {name: rule.replace(" ", "") for name, rule in used.items()}
        for intent in intents.values():
            intent["data"] = [
                {**data, "sentences": [one.replace(" ", "") for one in data["sentences"]]} for data in intent["data"]
            ]
    return Intents.from_dict(
        {
            "language": code,
            "intents": intents,
            "lists": lists,
            "expansion_rules": used,
            "skip_words": given.get("skip_words", []),
            "settings": {"ignore_whitespace": not spaces},
        }
    )


def _slots(name: str, sentence: str) -> dict[str, Any]:
    """Return what is true of a borrowed sentence here: one that need not name a timer means what there is."""
    if name == "HassNevermind":
        return {"reply": True}
    needed = sentence.replace("[타이머]", "")
    return {"implied": True} if name == "HassTimerStatus" and "타이머" not in needed and "timer" not in needed else {}


def _lists(sentence: str, rules: Mapping[str, str], seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the lists that a template needs; an unknown rule counts as one that is missing."""
    found = set(_LIST.findall(sentence))
    for rule in set(_RULE.findall(sentence)) - seen:
        found |= _lists(rules[rule], rules, seen | {rule}) if rule in rules else {f"<{rule}>"}
    return found


def _ends(words: Sequence[str], *, first: bool) -> re.Pattern[str]:
    either = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"^(?:(?:{either})(?:\.*\s+|$))+" if first else rf"(?:(?:^|\s+)(?:{either}))+$")


def _fillers(words: Sequence[str]) -> re.Pattern[str] | None:
    """Return the pattern of words that mean nothing; each may be a pattern: `한번` does, but not in `한번 더`."""
    return re.compile(rf"(?<!\S)(?:{'|'.join(words)})(?!\S)") if words else None


def _looseness(result: RecognizeResult) -> tuple[int, int]:
    wild = [len(str(one.value)) for one in result.entities_list if one.is_wildcard]
    return len(wild), sum(wild)


def _sensible(result: RecognizeResult, begins: Callable[[str], bool]) -> bool:
    """Return whether a timer's name can be one. What somebody is to be reminded of may be longer.

    Args:
        begins: tells whether the sentence begins with a name.
    """
    bare = bool((result.intent_metadata or {}).get("bare"))
    for entity in result.entities_list:
        if not entity.is_wildcard:
            continue
        name = str(entity.value).strip()
        if "reminder" in result.entities:
            if not 0 < len(name.split()) <= _REMINDER_WORDS:
                return False
            continue
        if not name or len(name) > NAME_CHARACTERS or len(name.split()) > NAME_WORDS or _NO_NAME.search(name):
            return False
        if (_TELLS.search(name) and begins(name)) or (bare and _NO_THING.search(name)):
            return False
    return True
