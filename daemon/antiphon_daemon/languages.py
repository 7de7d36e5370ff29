"""Which engines do not know the language of the house, and the command that mends it."""

from __future__ import annotations

from collections.abc import Collection

from antiphon.settings import Settings
from antiphon_daemon.endpoints.info import plain_language
from antiphon_daemon.engines import models
from antiphon_daemon.engines.contracts import Engines, Stage, Synthesizer

NO_MODEL = "the catalogue has no model for it, see docs/models.md"


def unsuited(engines: Engines, settings: Settings) -> list[str]:
    """Return a sentence about each engine that does not know the language of the house."""
    found: list[tuple[Stage, str]] = []
    if not knows(settings.language, engines.transcriber.languages):
        found.append(("stt", engines.transcriber.name))
    if settings.language != "en" and all(one.engine == "embedded" and not one.model for one in settings.llm.chain):
        found.append(("llm", engines.responder.name))
    if not knows(settings.language, spoken(engines.synthesizer)):
        found.append(("tts", engines.synthesizer.name))
    return [
        f"{name} does not know {settings.language!r}, the language of the house: {mend(stage, settings.language)}"
        for stage, name in found
    ]


def mend(stage: Stage, language: str) -> str:
    """Return what to do about a stage that does not know `language`."""
    return models.offer(stage, language) or NO_MODEL


def spoken(synthesizer: Synthesizer) -> list[str]:
    """Return the languages that a synthesizer speaks."""
    return [plain_language(language) or "" for voice in synthesizer.voices for language in voice.languages]


def knows(language: str, languages: Collection[str]) -> bool:
    """Whether `language` is among `languages`; an engine that names none, as a service that is down, may know it."""
    return not languages or language in languages
