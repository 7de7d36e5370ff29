"""How a peer wants its replies made, where it has wishes of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from antiphon_daemon.engines.contracts import Message, Tool


@dataclass(frozen=True)
class Manner:
    """The default is the house's own way."""

    messages: Sequence[Message] | None = None
    """All that the model is told; None: what memory holds, and what was said."""
    aloud: bool = True
    """False: the reply is written, not spoken."""
    voice: str | None = None
    """None: the conversation's."""
    speed: float = 1.0
    """So many times as fast as the voice says it."""
    skills: bool = True
    """Whether the house's skills may answer, or be offered to the model as tools."""
    tools: Sequence[Tool] = ()
    """Tools of the peer's own, which it runs itself: a call ends the reply, and is told in `Draft.calls`."""
    forced: bool = False
    """The model has to call one of them."""
    tokens: int | None = None
    """The longest reply; None: as long as the settings say."""


HOUSE = Manner()
