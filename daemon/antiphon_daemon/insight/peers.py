"""Who is connected, and how it stands with them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Seen:
    """One peer as whoever asks may see it."""

    kind: str
    """The way in: satellite, websocket, realtime, asr, handle, tts, wake or vad."""
    name: str
    address: str
    state: str
    """Of one in a conversation its phase (idle, listening, hearing, paused, thinking, speaking, overlap); waiting: on
    another controller; away: not reached; connected: nothing more is known."""
    since: float | None = None
    """When it connected, by the monotonic clock."""
    why: str | None = None
    """Why it is away."""

    def record(self) -> dict[str, Any]:
        """Return it for JSON."""
        connected_s = round(time.monotonic() - self.since) if self.since is not None else None
        return {
            "kind": self.kind,
            "name": self.name,
            "address": self.address,
            "state": self.state,
            "connected_s": connected_s,
            "why": self.why,
        }
