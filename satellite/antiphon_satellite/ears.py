"""What starts a turn: a wake word, a voice, or (in `button.py`) a button.

In wake-word mode nothing but the wake word runs while it is quiet: a quarter of a millisecond for a block of 30 ms, on
the loop. The voice detector takes ten times that, so it has a thread of its own, which exists only where it is needed.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from antiphon.audio.pcm import RATE, to_samples
from antiphon.audio.vad import SpeechBegan, SpeechTracker, load
from antiphon.audio.wake import WakeWords, Word
from antiphon.settings import Satellite
from antiphon_satellite.sound.microphone import Microphone

AFTER_WORD = int(0.25 * RATE)
"""A wake word is known 0.1 to 0.25 s after its end (measured): a turn begins this many samples back."""
BEFORE_VOICE = int(0.75 * RATE)
"""A voice that starts a turn is heard from this many samples before its beginning, which is easily missed."""
QUEUED = 64
"""Blocks that wait for the voice detector at most; then sound is lost to it, not to the turn."""


class Attention(Enum):
    """What the ears listen for."""

    NOTHING = auto()
    START = auto()
    """What starts a turn, as the settings say."""
    INTERRUPTION = auto()
    """Wake words, over our own voice."""
    ANSWER = auto()
    """Any voice, and wake words."""


class Listener(Protocol):
    """Who is told, on the loop."""

    def woke(self, name: str, since: int) -> None:
        """A wake word was heard; the turn begins at sample `since`."""
        ...

    def spoke(self, since: int) -> None:
        """Somebody began to speak."""
        ...


class Ears:
    """Listens to the microphone's blocks (`hear`).

    Raises:
        antiphon.audio.wake.WakeError: a wake word cannot be listened for.
    """

    def __init__(self, settings: Satellite, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._wake = WakeWords(settings.wake.words, settings.wake.engine) if settings.start == "wake" else None
        self._voice: Voice | None = None
        self._attention = Attention.NOTHING

    @property
    def words(self) -> list[Word]:
        """The wake words that are listened for; none in the other modes."""
        return self._wake.words if self._wake else []

    def attend(self, attention: Attention, microphone: Microphone) -> None:
        """Listen for something else from now on."""
        if attention is self._attention:
            return
        if self._attention is Attention.NOTHING and self._wake:
            self._wake.reset()
        self._attention = attention
        if self._wants_voice(attention):
            self._need_voice(microphone).begin(microphone.position)

    def warm(self, microphone: Microphone) -> None:
        """Load the voice detector, which a follow-up is about to need."""
        self._need_voice(microphone)

    def hear(self, pcm: bytes, position: int) -> None:
        """Listen to a block that ends at `position`."""
        if self._attention is Attention.NOTHING:
            return
        if self._wants_voice(self._attention) and self._voice:
            self._voice.feed(pcm)
        for word in self._wake.feed(pcm) if self._wake else []:
            self._listener.woke(word.name, max(0, position - AFTER_WORD))

    def stop(self) -> None:
        """End the voice detector's thread."""
        if self._voice is not None:
            self._voice.stop()

    def _wants_voice(self, attention: Attention) -> bool:
        return attention is Attention.ANSWER or (attention is Attention.START and self._settings.start == "voice")

    def _need_voice(self, microphone: Microphone) -> Voice:
        if self._voice is None:

            def tell(generation: int, since: int) -> None:
                microphone.loop.call_soon_threadsafe(self._spoke, generation, since)

            self._voice = Voice(tell)
        return self._voice

    def _spoke(self, generation: int, since: int) -> None:
        if self._voice and self._voice.generation == generation and self._wants_voice(self._attention):
            self._listener.spoke(since)


class Voice:
    """The voice detector in its thread. What it hears is told by `tell(generation, since)`, from that thread."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell
        self._jobs: queue.Queue[tuple[int, int, bytes] | None] = queue.Queue(QUEUED)
        self.generation = 0
        """How often listening has begun."""
        self._start = 0
        threading.Thread(target=self._work, name="voice", daemon=True).start()

    def begin(self, position: int) -> None:
        """Listen anew, from the microphone's `position` on; what was spoken before it does not count."""
        self.generation += 1
        self._start = position

    def feed(self, pcm: bytes) -> None:
        """Add sound; when the thread is far behind, it is lost."""
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait((self.generation, self._start, pcm))

    def stop(self) -> None:
        """End the thread."""
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(None)

    def _work(self) -> None:
        tracker = SpeechTracker(load(light=True))
        current, offset = 0, 0
        while (job := self._jobs.get()) is not None:
            generation, start, pcm = job
            if generation != current:
                tracker.reset()
                current, offset = generation, start - tracker.position
            for happened in tracker.feed(to_samples(pcm)):
                if isinstance(happened, SpeechBegan):
                    with contextlib.suppress(RuntimeError):  # the loop has ended
                        self._tell(generation, max(start, offset + happened.at - BEFORE_VOICE))
