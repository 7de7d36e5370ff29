"""Nobody is cut off while the voice activity model is about to believe that they go on."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import numpy as np
import pytest
from scripted import Ears, Script, quick

from antiphon.audio.pcm import RATE, Samples
from antiphon.audio.vad import FRAME, SpeechTracker
from antiphon.settings import Settings
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation.conversation import RISING_S, Conversation
from antiphon_daemon.engines.contracts import Engines

SETTINGS = Settings.model_validate({"turn": {"unknown_ms": 700, "speculate": "transcript"}})


class Told:
    """A voice activity model that says what it is told: a probability for each frame, the last for ever."""

    def __init__(self, *spans: tuple[float, float]) -> None:
        self._left = [probability for probability, seconds in spans for _ in range(round(seconds * RATE / FRAME))]

    def probability(self, frame: Samples) -> float:
        return self._left.pop(0) if self._left else 0.0

    def reset(self) -> None: ...


class Timed(Asker):
    """Notes when the turn was over, in seconds of sound."""

    def __init__(self) -> None:
        super().__init__()
        self.heard_s = 0.0
        self.over_s: list[float] = []

    def turn_over(self, text: str, language: str | None) -> None:
        self.over_s.append(self.heard_s)


class Mute(Script):
    """A voice that is never asked."""

    voices: ClassVar[list[str]] = []
    rate = 22_050


async def over_at(*spans: tuple[float, float]) -> list[float]:
    """Return when turns were over in sound that the model judges so."""
    peer = Timed()
    peer.begin()
    engines = Engines(Ears("hello"), Script(quick), Mute(quick))  # type: ignore[arg-type]
    conversation = Conversation(engines, SETTINGS, peer, Told(*spans), None, clock=lambda: peer.heard_s)
    conversation.open()
    block = np.full(FRAME, 0.1, dtype=np.float32)
    while peer.heard_s < sum(seconds for _, seconds in spans) + 2 and not peer.over_s:
        peer.heard_s += FRAME / RATE
        conversation.hear(block)
        await asyncio.sleep(0.001)
    await conversation.close()
    return peer.over_s


async def test_a_turn_is_over_after_its_silence() -> None:
    assert await over_at((0.9, 1.024)) == [pytest.approx(1.72, abs=0.04)]


async def test_who_begins_to_speak_again_as_the_silence_ends_is_not_cut_off() -> None:
    first, *more = await over_at((0.9, 1.024), (0.0, 0.672), (0.9, 0.512))
    assert (first, more) == (pytest.approx(1.024 + 0.672 + 0.512 + 0.72, abs=0.06), [])


async def test_what_only_sounds_like_speech_keeps_nobody_waiting() -> None:
    once = await over_at((0.9, 1.024), (0.0, 0.672), (0.9, 0.032))
    assert once == [pytest.approx(1.72 + 0.032, abs=0.04)]
    for_ever = await over_at((0.9, 1.024), (0.0, 0.672), (0.4, 3.0))
    assert for_ever == [pytest.approx(1.72 + RISING_S, abs=0.05)]


def test_the_tracker_tells_that_speech_may_have_begun() -> None:
    tracker = SpeechTracker(Told((0.9, 0.32), (0.0, 0.32), (0.4, 0.064), (0.0, 0.32)))
    block, seen = np.full(FRAME, 0.1, dtype=np.float32), []
    for _ in range(32):
        tracker.feed(block)
        seen.append(tracker.rising)
    assert [at for at, rising in enumerate(seen) if rising] == [0, 1, 20, 21]
