"""What became of one utterance, and one of the ways in: the conversation itself, in this process, without a wire.

Whatever way in is measured (`Way`), an utterance is played to it in real time, sample by sample on one clock with its
labels, so that a cut-off and the first sound mean the same everywhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from _corpus import Utterance, noise_floor

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import Engines

BLOCK = RATE // 50
PATIENCE_S = 15.0
STAGES = ("soft_end", "stt", "llm_first", "tts_first", "turn_end", "first_audio")


@dataclass
class Result:
    """What became of one utterance; times in seconds from its labelled end."""

    utterance: Utterance
    first_audio_s: float | None = None
    hold_s: float | None = None
    """When the turn was taken for over."""
    cut_off: bool = False
    hit: bool = False
    """The reply's first sound was ready when the turn was over."""
    drafts: int = 0
    wasted_ms: int = 0
    """Work on drafts that came to nothing."""
    stages: dict[str, float] = field(default_factory=dict)
    """Of the daemon's own waterfall, in seconds from where it took speech to end."""
    pauses: list[tuple[float, float | None]] = field(default_factory=list)
    """Every pause: where it began, and the probability that the turn was over."""

    def came(self, over_at: list[float], sound_at: list[float], end: float, failure: str | None = None) -> bool:
        """Take what came when, on the clock on which the utterance ended at `end`; return whether it was answered.

        Args:
            failure: what went wrong: what sounded is an apology, and no answer.
        """
        self.cut_off = any(at < end for at in (*over_at, *sound_at))
        late = [at - end for at in sound_at if at >= end]
        if late and over_at and not self.cut_off and not failure:
            self.first_audio_s, self.hold_s = late[0], over_at[-1] - end
            return True
        return False

    def waterfall(self, timeline: Mapping[str, Any], wasted_ms: int) -> None:
        """Take the daemon's waterfall of the turn."""
        self.wasted_ms = wasted_ms
        self.stages = {name: at / 1000 for name, at in timeline.items() if at is not None and name in STAGES}
        self.hit = self.stages.get("tts_first", 9.0) <= self.stages.get("turn_end", 0.0)


class Way(Protocol):
    """A way into the daemon."""

    @property
    def name(self) -> str:
        """What the figures call it."""
        ...

    async def converse(self, utterance: Utterance, samples: Samples) -> Result:
        """Play one utterance into a new conversation and wait for the reply's first sound.

        Raises:
            Unmeasured: it does not do what it should.
        """
        ...


class Heard(Asker):
    """The peer of the conversation: notes when the turn was over and when sound came."""

    def __init__(self) -> None:
        super().__init__()
        self.over_at: list[float] = []
        self.sound_at: list[float] = []

    def turn_over(self, text: str, language: str | None) -> None:
        self.over_at.append(time.perf_counter())
        super().turn_over(text, language)

    def reply_began(self, rate: int) -> None:
        self.sound_at.append(time.perf_counter())
        super().reply_began(rate)


class Observed(Conversation):
    """A conversation that keeps what its judges said at each pause."""

    def observe(self) -> None:
        self.pauses: dict[int, float | None] = {}
        self.drafts = 0

    def _transcribe(self, revision: int) -> None:
        self.drafts += 1
        self.pauses.setdefault(self._state.paused, None)
        super()._transcribe(revision)

    def _judged(self, draft: Draft, likely: float) -> None:
        self.pauses[self._state.paused] = likely
        super()._judged(draft, likely)


class Satellite:
    """The conversation that satellites have, without a wire."""

    name = "satellite"

    def __init__(self, engines: Engines, settings: Settings) -> None:
        self._engines, self._settings = engines, settings

    async def converse(self, utterance: Utterance, samples: Samples) -> Result:
        """See `Way`."""
        peer, settings = Heard(), self._settings
        peer.begin()
        conversation = Observed(self._engines, settings, peer, vad.load(), new_memory(settings, settings.language))
        conversation.observe()
        conversation.open()
        began = time.perf_counter()
        position, patience = 0, len(samples) / RATE + PATIENCE_S
        while not peer.sound_at or position < utterance.end_s * RATE:
            block = samples[position : position + BLOCK]
            conversation.hear(block if len(block) == BLOCK else noise_floor(BLOCK / RATE, position))
            position += BLOCK
            await asyncio.sleep(max(0.0, began + position / RATE - time.perf_counter()))
            if time.perf_counter() - began > patience:
                break
        result = Result(utterance, drafts=conversation.drafts)
        result.pauses = [(at / RATE, likely) for at, likely in sorted(conversation.pauses.items())]
        draft = conversation._draft
        failure = draft.trace.failure if draft is not None else None
        if result.came(peer.over_at, peer.sound_at, began + utterance.end_s, failure) and draft is not None:
            result.waterfall(draft.trace.timeline(), draft.trace.wasted_ms)
        conversation.stop()
        await conversation.close()
        return result
