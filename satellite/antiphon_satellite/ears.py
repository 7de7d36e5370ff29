"""What starts a turn: a wake word, a voice, or (in `button.py`) a button.

In wake-word mode nothing but the wake word runs while it is quiet: a quarter of a millisecond for a block of 30 ms, on
the loop. The voice detector takes ten times that, so it has a thread of its own (`voice.py`), which exists only where
it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from antiphon.audio.pcm import RATE
from antiphon.audio.wake import WakeWords, Word
from antiphon.settings import Satellite
from antiphon_satellite.interruption import Heard
from antiphon_satellite.sound.microphone import Microphone
from antiphon_satellite.voice import Listening, Told, Voice

AFTER_WORD = int(0.25 * RATE)
"""A wake word is known 0.1 to 0.25 s after its end (measured): a turn begins this many samples back."""


class Attention(Enum):
    """What the ears listen for."""

    NOTHING = auto()
    START = auto()
    """What starts a turn, as the settings say."""
    WAKE = auto()
    """Wake words alone."""
    INTERRUPTION = auto()
    """A voice over our own sound, and wake words."""
    HUSH = auto()
    """The end of the speech that interrupted."""
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

    def spoke_over(self, heard: Heard, since: int) -> None:
        """What a voice over our own sound does; if it lasts, its turn begins at sample `since`."""
        ...


class Ears:
    """Listens to the microphone's blocks (`hear`).

    Args:
        residue_db: returns how loud what is left of our own sound is expected to be now.

    Raises:
        antiphon.audio.wake.WakeError: a wake word cannot be listened for.
    """

    def __init__(
        self, settings: Satellite, listener: Listener, residue_db: Callable[[], float] = lambda: -120.0
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._residue_db = residue_db
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
        if self._attention in (Attention.NOTHING, Attention.HUSH) and self._wake:
            self._wake.reset()
        self._attention = attention
        wanted = self._wanted(attention)
        if wanted is not None and attention is not Attention.HUSH:  # which goes on with what was heard
            self._need_voice(microphone).begin(microphone.position, wanted)

    def warm(self, microphone: Microphone) -> None:
        """Load the voice detector, which is about to be needed."""
        self._need_voice(microphone)

    def hear(self, pcm: bytes, position: int) -> None:
        """Listen to a block that ends at `position`."""
        if self._attention is Attention.NOTHING:
            return
        if self._voice and self._wanted(self._attention) is not None:
            self._voice.feed(pcm, self._residue_db())
        if self._attention is Attention.HUSH:
            return
        for word in self._wake.feed(pcm) if self._wake else []:
            self._listener.woke(word.name, max(0, position - AFTER_WORD))

    def join(self) -> None:
        """Wait until the voice detector has heard all that it was given."""
        if self._voice is not None:
            self._voice.join()

    def stop(self) -> None:
        """End the voice detector's thread."""
        if self._voice is not None:
            self._voice.stop()

    def _wanted(self, attention: Attention) -> Listening | None:
        match attention:
            case Attention.ANSWER:
                return Listening.BEGINNING
            case Attention.START if self._settings.start == "voice":
                return Listening.BEGINNING
            case Attention.INTERRUPTION | Attention.HUSH:
                return Listening.INTERRUPTION
        return None

    def _need_voice(self, microphone: Microphone) -> Voice:
        if self._voice is None:

            def tell(told: Told) -> None:
                microphone.loop.call_soon_threadsafe(self._told, told)

            self._voice = Voice(tell, self._settings.barge_in_ms)
        return self._voice

    def _told(self, told: Told) -> None:
        if self._voice is None or self._voice.generation != told.generation:
            return
        wanted = self._wanted(self._attention)
        if told.heard is None and wanted is Listening.BEGINNING:
            self._listener.spoke(told.since)
        elif wanted is not Listening.INTERRUPTION:
            return
        elif told.heard is not None and (self._attention is Attention.HUSH) == (told.heard is Heard.HUSHED):
            self._listener.spoke_over(told.heard, told.since)
