"""Where a conversation is held, and what can be done there: ring, be louder, stop listening."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from antiphon_daemon.conversation.skills.timers import Timers


class Hands(Protocol):
    """What does things at a place. Nothing here waits."""

    def set_volume(self, percent: int) -> None:
        """Make it so loud, 0 to 100."""
        ...

    def stop_listening(self) -> None:
        """Switch the microphone off; what is being said to the user is still said."""
        ...

    def calm(self) -> None:
        """Stop what rings, once the turn is over."""
        ...


@dataclass(eq=False)
class Place:
    """A place, kept as long as anything there must outlive a lost connection.

    Nothing is set where nothing can ring: then `timers` is None.
    """

    timers: Timers | None = None
    hands: Hands | None = None
    """None while nobody is there who could do anything."""
    volume: int | None = None
    """How loud it is, percent; None when that is not known."""
    loud: int | None = field(default=None)
    """How loud it was before it was muted."""

    @property
    def needed(self) -> bool:
        """Somebody is there, or something must ring when somebody is."""
        return self.hands is not None or (self.timers is not None and bool(self.timers.set or self.timers.ringing))

    def set_volume(self, percent: int) -> Callable[[], None] | None:
        """Make it so loud, and know it; return how that is taken back."""
        if self.hands is None:
            return None
        before, self.volume = self.volume, percent
        self.hands.set_volume(percent)
        return None if before is None else lambda: _nothing(self.set_volume(before))


def _nothing(_: object) -> None: ...


NOWHERE = Place()
"""A place where nothing can be done."""
