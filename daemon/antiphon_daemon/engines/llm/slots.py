"""Which of llama.cpp's slots a prompt goes to, so that each conversation finds its own again in the cache.

llama.cpp itself takes the slot that begins most alike. Every prompt of a house begins with the same words, so a second
conversation would take the place of the first, although another is free.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from antiphon_daemon.engines.contracts import Message

WAIT_S = 1.0
"""A model stops between two batches of a prompt, and those take so long at most."""
OWN_S = 60.0
"""A conversation comes back to its own within so long, or nobody should count on it."""
MUCH = 400
"""Letters of a prompt that take longer to read than is worth a wait: some hundred tokens, half a second."""


@dataclass
class Slot:
    """One place in the cache."""

    number: int
    messages: Sequence[Message] = ()
    """The prompt that it holds."""
    owner: str | None = None
    """The conversation that it is of."""
    used_at: float = 0.0
    busy: bool = False

    def gain(self, messages: Sequence[Message], owner: str | None, now: float) -> int:
        """Return what taking this slot for `messages` saves, less what others lose by it, in letters; at least 0.

        That of another conversation which goes on saves nothing: it would have to be read again, and soon.
        """
        known = self.owner is not None and owner is not None
        if known and self.owner != owner and (self.busy or now - self.used_at < OWN_S):
            return 0
        common = 0
        for mine, new in zip(self.messages, messages, strict=False):
            if (mine.role, mine.text) != (new.role, new.text):
                break
            common += 1
        lost = 0 if known and self.owner == owner else _letters(self.messages[common:])
        return max(0, _letters(messages[:common]) - lost)


class Slots:
    """The slots of one model. Thread-safe."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = [Slot(number) for number in range(count)]
        self._freed = threading.Condition()
        self._clock = clock

    @contextmanager
    def taken(self, messages: Sequence[Message], owner: str | None = None) -> Iterator[int]:
        """Give a free slot to a prompt while the body lasts; -1, llama.cpp's own choice, when none is free.

        It is the one that saves most, and among those that save nothing the one that has rested longest. One that is
        busy is waited for a moment where it saves much more than those that are free: what works there for the same
        conversation (a reply that was interrupted) is about to end, and elsewhere another conversation would lose its
        place, and all would be read again.

        Args:
            owner: names the conversation; None: nobody knows of which it is.
        """
        with self._freed:
            self._freed.wait_for(lambda: not self._worth_waiting(messages, owner), WAIT_S)
            best = self._best(messages, owner)
            if best is not None:
                best.busy, best.messages, best.owner = True, tuple(messages), owner
        try:
            yield best.number if best is not None else -1
        finally:
            with self._freed:
                if best is not None:
                    best.busy, best.used_at = False, self._clock()
                    self._freed.notify_all()

    def _best(self, messages: Sequence[Message], owner: str | None) -> Slot | None:
        now, free = self._clock(), [slot for slot in self._slots if not slot.busy]
        return max(free, key=lambda slot: (slot.gain(messages, owner, now), -slot.used_at), default=None)

    def _worth_waiting(self, messages: Sequence[Message], owner: str | None) -> bool:
        best, now = self._best(messages, owner), self._clock()
        busy = max((slot.gain(messages, owner, now) for slot in self._slots if slot.busy), default=0)
        return best is not None and busy > best.gain(messages, owner, now) + MUCH


def _letters(messages: Sequence[Message]) -> int:
    return sum(len(message.text) for message in messages)
