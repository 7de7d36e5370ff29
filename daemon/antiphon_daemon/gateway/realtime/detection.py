"""`turn_detection` as the policy of the conversation.

| turn_detection | when a turn is over                                                                       |
| -------------- | ----------------------------------------------------------------------------------------- |
| `server_vad`   | after `silence_duration_ms` of silence, whatever was said                                 |
| `semantic_vad` | sooner or later, as likely as it is over by the sound and the words (`EAGERNESS`)         |
| null           | when the client commits it                                                                |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.audio.pcm import Samples
from antiphon.audio.vad import SPEECH, Judge
from antiphon.settings import Settings
from antiphon_daemon.gateway.realtime.config import SemanticVad, ServerVad, SessionConfig

HINTS_MOST = 100


@dataclass(frozen=True)
class Eagerness:
    """How soon a turn is taken to be over."""

    likely_ms: int
    """Silence that ends a turn which is believed over."""
    unknown_ms: int
    """Silence that ends it when nothing judges it."""
    longest_ms: int
    """Silence that ends every turn."""
    likely: float
    unlikely: float


EAGERNESS: Mapping[str, Eagerness] = {
    "high": Eagerness(300, 500, 2000, 0.6, 0.1),
    "medium": Eagerness(500, 750, 4000, 0.75, 0.1),
    "low": Eagerness(800, 1500, 8000, 0.85, 0.2),
}
"""OpenAI's longest silences. Who is in doubt waits between the first and the longest, the longer the more."""


class Threshold:
    """A `Judge` whose speech begins at another probability.

    Args:
        judge: what it asks.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.at = SPEECH
        """From this probability on it is speech."""

    def probability(self, frame: Samples) -> float:
        """Return the probability of speech, so stretched that it is `SPEECH` at the threshold."""
        found = self._judge.probability(frame)
        if found <= self.at:
            return found / self.at * SPEECH
        return SPEECH + (found - self.at) / (1 - self.at) * (1 - SPEECH)

    def reset(self) -> None:
        """Forget the calls before."""
        self._judge.reset()


def settings_for(config: SessionConfig, settings: Settings) -> Settings:
    """Return the settings by which this session's turns are heard."""
    turn, stt = settings.turn, settings.stt
    match config.detection:
        case ServerVad() as vad:
            ms = vad.silence_duration_ms
            changes: dict[str, Any] = {
                "likely_ms": ms,
                "unknown_ms": ms,
                "silence_ms": ms,
                "soft_end_ms": min(turn.soft_end_ms, ms),
            }
            turn = turn.model_copy(update=changes)
        case SemanticVad() as vad:
            eager = EAGERNESS.get(vad.eagerness, EAGERNESS["medium"])
            changes = {
                "likely_ms": eager.likely_ms,
                "unknown_ms": eager.unknown_ms,
                "silence_ms": eager.longest_ms,
                "likely": eager.likely,
                "unlikely": eager.unlikely,
                "languages": {},
            }
            turn = turn.model_copy(update=changes)
    if config.listens_only and turn.speculate != "off":
        turn = turn.model_copy(update={"speculate": "transcript"})  # there is no reply to prepare
    wanted = config.audio.input.transcription
    if wanted is not None and wanted.keywords:
        stt = stt.model_copy(update={"hints": [*settings.stt.hints, *wanted.keywords][:HINTS_MOST]})
    language = wanted.language if wanted is not None and wanted.language else settings.language
    return settings.model_copy(update={"turn": turn, "stt": stt, "language": language})
