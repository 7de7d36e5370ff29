"""The last turns, of every way in: who spoke, what happened when, and what came of it (`/dashboard`).

    began ──► open ──► answered | interrupted | failed      once it is known what was heard of the reply
                 └───► withdrawn | left                     the speaker went on, or was gone

What was said is kept only while `keep_words` asks for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from antiphon_daemon.insight.spans import Stage, spans
from antiphon_daemon.insight.trace import Trace

MOST = 100
"""So many turns are kept."""


class Outcome(Enum):
    """What came of a turn."""

    OPEN = "open"
    """It is being answered."""
    ANSWERED = "answered"
    INTERRUPTED = "interrupted"
    """The reply was stopped before its end."""
    WITHDRAWN = "withdrawn"
    """The speaker had not finished: the next turn holds this one."""
    FAILED = "failed"
    """The reply was an apology, or there was none."""
    LEFT = "left"
    """The peer was gone before the end, or did not want it any more."""


class Turn:
    """One turn as whoever asks may see it.

    Args:
        number: counts the turns of this daemon.
        kind: the way in: satellite, websocket, realtime, asr, handle or tts.
        name: who came that way.
        trace: what happened when; it may go on growing while the turn is open.
    """

    def __init__(self, turns: Turns, number: int, kind: str, name: str, trace: Trace, *, typed: bool) -> None:
        self._turns = turns
        self.number, self.kind, self.name, self.typed = number, kind, name, typed
        self.trace = trace
        self.at = datetime.now(UTC)
        """When it was over and its reply might be heard."""
        self.outcome = Outcome.OPEN
        self.heard_ms: int | None = None
        """How much of the reply was heard, where it was stopped."""
        self.reply_ms: int | None = None
        """How long the whole reply is, once that is known."""
        self.said: str | None = None
        self.answered: str | None = None

    def changed(self) -> None:
        """More of it has happened."""
        self._turns.tell(self)

    def written(self, reply_ms: int) -> None:
        """All of the reply is there, so long; one that goes on after a stop is not measured again."""
        self.reply_ms = self.reply_ms or reply_ms
        self.changed()

    def end(self, outcome: Outcome, *, heard_ms: int | None = None, answered: str = "") -> None:
        """This came of it."""
        self.trace = self.trace.copy()
        apologised = self.trace.failure is not None and outcome in (Outcome.ANSWERED, Outcome.INTERRUPTED)
        self.outcome = Outcome.FAILED if apologised else outcome
        self.heard_ms = heard_ms
        if answered and self._turns.keeps_words:
            self.answered = answered
        self._turns.tell(self)

    def leave(self) -> None:
        """Nobody waits for it any more, if it is open."""
        if self.outcome is Outcome.OPEN:
            self.end(Outcome.LEFT)

    def resume(self, trace: Trace) -> None:
        """It goes on: a stopped reply, or a peer that asks for more of what was prepared for it."""
        self.trace, self.outcome, self.heard_ms = trace, Outcome.OPEN, None
        self._turns.tell(self)

    @property
    def hit(self) -> bool | None:
        """Whether the reply's first sound was there when the turn was over; None where nothing was spoken."""
        if self.typed:
            return None
        at = self.trace.timeline()
        spoken, over = at["tts_first"], at["turn_end"]
        return spoken <= over if spoken is not None and over is not None else None

    @property
    def stages(self) -> dict[Stage, tuple[int, int]]:
        """When each stage that it had began and ended, in ms; nobody waits for the end of what is typed."""
        found = spans(self.trace.finer())
        if self.typed:
            found.pop("hold", None)
        return found

    def record(self) -> dict[str, Any]:
        """Return it for JSON. Times are ms from the end of speech, or from the request."""
        trace = self.trace
        return {
            "number": self.number,
            "at": self.at.isoformat(timespec="milliseconds"),
            "peer": {"kind": self.kind, "name": self.name},
            "typed": self.typed,
            "timeline": trace.finer(),
            "stages": self.stages,
            "speech_ms": None if self.typed else trace.heard_ms,
            "drafts": trace.drafts,
            "wasted_ms": trace.wasted_ms,
            "hit": self.hit,
            "outcome": self.outcome.value,
            "heard_ms": self.heard_ms,
            "reply_ms": self.reply_ms,
            "failure": trace.failure if self._turns.keeps_words else trace.failure_unquoted,
            "said": self.said,
            "answered": self.answered,
        }


class Recorder:
    """Records the turns of one peer.

    Args:
        kind: the way in: satellite, websocket, realtime, asr, handle or tts.
        name: what people know the peer by.
    """

    def __init__(self, turns: Turns, kind: str, name: str) -> None:
        self._turns, self._kind, self._name = turns, kind, name

    def began(self, trace: Trace, *, typed: bool = False, said: str = "") -> Turn:
        """A turn is over and its reply may be heard: return its record, to be told what becomes of it.

        Args:
            typed: nothing was spoken: `speech_end` is when it was asked.
        """
        return self._turns.add(self._kind, self._name, trace, typed=typed, said=said)


class Turns:
    """The last turns of a daemon, oldest first, and who watches them."""

    def __init__(self, most: int = MOST) -> None:
        self._kept: deque[Turn] = deque(maxlen=most)
        self._watchers: list[Callable[[Turn], None]] = []
        self.count = 0
        """Turns since the beginning."""
        self.keeps_words = False
        """Whether what was said and answered is kept with them."""

    def __iter__(self) -> Iterator[Turn]:
        return iter(tuple(self._kept))

    def keep_words(self, keep: bool) -> None:
        """Keep what is said from now on, or forget what was kept of it."""
        self.keeps_words = keep
        if not keep:
            for turn in self._kept:
                turn.said = turn.answered = None

    def of(self, kind: str, name: str) -> Recorder:
        """Return what records the turns of a peer."""
        return Recorder(self, kind, name)

    def add(self, kind: str, name: str, trace: Trace, *, typed: bool, said: str) -> Turn:
        """Keep a turn that begins to be answered; the oldest makes room."""
        self.count += 1
        turn = Turn(self, self.count, kind, name, trace, typed=typed)
        if said and self.keeps_words:
            turn.said = said
        self._kept.append(turn)
        self.tell(turn)
        return turn

    def tell(self, turn: Turn) -> None:
        """Tell who watches that a turn has begun or changed."""
        for watcher in self._watchers:
            watcher(turn)

    def watch(self, watcher: Callable[[Turn], None]) -> Callable[[], None]:
        """Have `watcher` told of each turn that begins or changes; returns a function that ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)
