"""What the satellite does next: `(situation, event) -> (situation, actions)`.

Whatever affects a change of state lives here, and nothing else does: no sound, no socket, no clock. Events carry the
time they happened at (seconds, monotonic); deadlines are part of the situation, and the driver (`satellite.py`) sends
`Late` when one has passed. What the driver must do is a tuple of `Do`.

                     wake, button, voice                reply began          reply drained
    DISCONNECTED ─► IDLE ──────────► STREAMING ─► WAITING ─► THINKING ─► SPEAKING ──► LISTENING ─► IDLE
                    MUTED               ▲      transcript of it ┘            │          (follow-up)
                                        └──── HOLDING ◄── interrupted ───────┘

A voice over the reply pauses it at once (`Do.DUCK`). If it fades, the reply goes on (`Do.SWELL`); if it lasts, the
reply is stopped and put aside (`Do.SHELVE`), and a run begins. When that run recognises nothing within
`Limits.keep_s`, it was no speech, and the reply goes on from where it stopped (`Do.RESUME`). A wake word stops a reply
the same way; the button means it, and nothing is kept. So it is with announcements and ringing timers.

A run of the controller's pipeline begins with `Do.RUN`. Nothing on the wire tells that it is over, and a run that is
asked for while the one before is alive is lost in Home Assistant: so a run counts as alive until its `synthesize` or
`error` was seen, or `Situation.run_until` has passed. An interruption before that waits in `HOLDING`, where the
microphone is kept and nothing is sent.

A row of `TABLE` whose next state is a state, even its own, sets that state's deadline anew (`deadline`); `SAME` keeps
state and deadline; `REST` is `MUTED`, `DISCONNECTED` or `IDLE`, whichever is true (`rest`). What has no row changes
nothing but the facts in `_told`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, TypeAlias


class State(Enum):
    """Where the satellite is."""

    DISCONNECTED = "disconnected"
    """Nobody drives it."""
    MUTED = "muted"
    """It does not hear; announcements and timers are still played."""
    IDLE = "idle"
    STREAMING = "streaming"
    """The microphone goes out: a person speaks, or is expected to."""
    WAITING = "waiting"
    """The person has finished; what they said is not yet known."""
    THINKING = "thinking"
    """What they said is known; the reply has not begun."""
    SPEAKING = "speaking"
    HOLDING = "holding"
    """The person interrupted; the microphone is kept until the run before is over."""
    LISTENING = "listening"
    """The reply asked something: an answer needs no wake word."""
    ANNOUNCING = "announcing"
    """Sound that no run asked for is played."""
    RINGING = "ringing"
    """A timer has finished."""


class Do(Enum):
    """What the driver is told to do."""

    MARK = auto()
    """Keep the microphone's sound from where the event says that the turn begins."""
    DETECTION = auto()
    """Tell the controller which wake word was heard."""
    RUN = auto()
    """Ask the controller for a run, and stream what is kept and what comes."""
    END_SPEECH = auto()
    """Stop streaming and say so (`audio-stop`)."""
    FORGET = auto()
    """Stop keeping or streaming the microphone; nothing is said."""
    ABANDON = auto()
    """FORGET, because the run is known to be over."""
    CUT = auto()
    """Ask a controller of ours to end its run at once."""
    PLAY = auto()
    """Play the stream that begins, instead of what is still queued."""
    FINISH = auto()
    """The stream is whole: tell when it was heard to its end."""
    DUCK = auto()
    """Pause what is played: somebody speaks, or coughs."""
    SWELL = auto()
    """Go on with it."""
    SHELVE = auto()
    """Stop playing, or ringing, at once, and keep what was not heard."""
    RESUME = auto()
    """Go on with what was kept."""
    FLUSH = auto()
    """Stop playing at once; what was not heard is forgotten."""
    DROP_REPLY = auto()
    """What is still to come of the run's reply is not to be heard."""
    FORGIVE = auto()
    """No reply is to come any more that would have to be dropped."""
    PLAYED = auto()
    """Tell the sender of what was played that it is over."""
    RING = auto()
    CALM = auto()
    """Stop ringing."""
    LATER = auto()
    """Ring when at rest again."""
    DROP_PEER = auto()
    """Close the controller's connection: it is stuck, and dials anew."""
    CUE_HEARD = auto()
    CUE_THINKING = auto()
    """Sounded if nothing is heard for a while."""
    CUE_FAILED = auto()
    CUE_MUTED = auto()


@dataclass(frozen=True)
class Event:
    """Something happened at `at` (seconds, monotonic)."""

    at: float


@dataclass(frozen=True)
class Woke(Event):
    """A wake word was heard; the turn begins at sample `since` of the microphone."""

    name: str
    since: int


@dataclass(frozen=True)
class Spoke(Event):
    """Somebody began to speak where that alone starts a turn (voice mode, follow-up)."""

    since: int


@dataclass(frozen=True)
class SpeechBegan(Event):
    """A voice began over what is played."""


@dataclass(frozen=True)
class SpeechFaded(Event):
    """It was too short to mean us."""


@dataclass(frozen=True)
class SpeechLasted(Event):
    """It means us; the turn begins at sample `since` of the microphone."""

    since: int


@dataclass(frozen=True)
class Hushed(Event):
    """Whoever interrupted has been silent for longer than within a sentence."""


@dataclass(frozen=True)
class Pressed(Event):
    """The button was pressed."""

    since: int


@dataclass(frozen=True)
class Muted(Event):
    """The microphone is not to be heard any more: by the user, or by the controller (`pause-satellite`)."""


@dataclass(frozen=True)
class Unmuted(Event):
    """It may be heard again."""


@dataclass(frozen=True)
class Lost(Event):
    """A sound device is gone."""


@dataclass(frozen=True)
class Joined(Event):
    """A controller drives the satellite now; before `run_until` a run of it that was left must be taken for alive."""

    run_until: float = 0.0


@dataclass(frozen=True)
class Left(Event):
    """The controller is gone."""


@dataclass(frozen=True)
class VoiceStopped(Event):
    """The controller heard the end of the speech."""


@dataclass(frozen=True)
class Transcribed(Event):
    """The controller knows what was said."""


@dataclass(frozen=True)
class Synthesized(Event):
    """The reply's text is known (so the run is over, and its sound follows); `asks` when it asks something."""

    asks: bool


@dataclass(frozen=True)
class Failed(Event):
    """The controller reports an error."""

    code: str


@dataclass(frozen=True)
class ReplyBegan(Event):
    """A stream of sound begins (never one that is to be dropped: the driver keeps those back)."""


@dataclass(frozen=True)
class Grew(Event):
    """More of the stream has come; `left_s` of it is still to be heard."""

    left_s: float


@dataclass(frozen=True)
class ReplyEnded(Event):
    """The stream is whole; `left_s` of it is still to be heard."""

    left_s: float


@dataclass(frozen=True)
class Drained(Event):
    """The stream was heard to its end."""


@dataclass(frozen=True)
class Flushed(Event):
    """The controller asks to stop playing."""


@dataclass(frozen=True)
class Rang(Event):
    """A timer has finished."""


@dataclass(frozen=True)
class Late(Event):
    """The deadline has passed."""


@dataclass(frozen=True)
class Limits:
    """How long each state may last, in seconds."""

    stream_s: float = 18.0
    """Longest speech when nobody tells its end."""
    transcript_s: float = 30.0
    reply_s: float = 60.0
    """From the transcript to the first sound of the reply: a slow language model is not yet a fault."""
    gap_s: float = 30.0
    """Longest silence inside a reply that is still coming."""
    slack_s: float = 5.0
    """What the device may need beyond the sound that is left."""
    hold_s: float = 8.0
    """How long an interruption waits for the run before to end."""
    follow_up_s: float = 5.0
    """0: replies that ask are not followed up."""
    ring_s: float = 60.0
    keep_s: float = 5.0
    """How long a reply that was stopped can be taken up again."""


@dataclass(frozen=True)
class Situation:
    """All that the machine remembers."""

    state: State = State.DISCONNECTED
    deadline: float | None = None
    """When `Late` is due, seconds on the clock of the events."""
    run_until: float = 0.0
    """Before this the controller's run must be taken for alive."""
    driven: bool = False
    """A controller is there."""
    muted: bool = False
    asks: bool = False
    """The reply of this run asks something."""
    kept: State | None = None
    """What was stopped, and could go on: SPEAKING, ANNOUNCING or RINGING."""
    kept_until: float = 0.0
    kept_asks: bool = False
    """What was stopped is a reply that asks something."""


class _Stay(Enum):
    SAME = auto()
    REST = auto()


SAME: Final = _Stay.SAME
REST: Final = _Stay.REST

Guard: TypeAlias = Callable[[Situation, Event, Limits], bool]

SILENT = frozenset({"duplicate_wake_up_detected", "interrupted"})
"""Errors that need no notice: another satellite answers, or we asked for it."""
UNHEARD = "stt-no-text-recognized"
"""The error of a run in which nothing was said."""


def alive(now: Situation, event: Event, limits: Limits) -> bool:
    """The run before is not over."""
    return event.at < now.run_until


def asking(now: Situation, event: Event, limits: Limits) -> bool:
    """An answer is expected, and the microphone may hear it."""
    return now.asks and limits.follow_up_s > 0 and now.driven and not now.muted


def deaf(now: Situation, event: Event, limits: Limits) -> bool:
    """No turn can begin."""
    return now.muted or not now.driven


def silent(now: Situation, event: Event, limits: Limits) -> bool:
    """The error needs no notice."""
    return isinstance(event, Failed) and event.code in SILENT


def nothing_said(now: Situation, event: Event) -> bool:
    """What interrupted was no speech, and what it stopped can go on."""
    unheard = isinstance(event, Failed) and event.code == UNHEARD
    return unheard and event.at < now.kept_until


def reply_kept(now: Situation, event: Event, limits: Limits) -> bool:
    """Nothing was said, and a reply was stopped for it."""
    return nothing_said(now, event) and now.kept is State.SPEAKING


def announcement_kept(now: Situation, event: Event, limits: Limits) -> bool:
    """Nothing was said, and an announcement was stopped for it."""
    return nothing_said(now, event) and now.kept is State.ANNOUNCING


def ring_kept(now: Situation, event: Event, limits: Limits) -> bool:
    """Nothing was said, and a timer was stopped for it."""
    return nothing_said(now, event) and now.kept is State.RINGING


def keeping(now: Situation, event: Event, limits: Limits) -> bool:
    """Something was stopped that could still go on."""
    return now.kept is not None and event.at < now.kept_until


def of_old_reply(now: Situation, event: Event, limits: Limits) -> bool:
    """Speech synthesis failed, which this run has not reached: it was the run before."""
    return isinstance(event, Failed) and event.code.startswith("tts")


@dataclass(frozen=True)
class Row:
    """In `state`, on `event`, if `guard`: go to `next` and do `actions`. The first row that fits counts."""

    state: State
    event: type[Event]
    guard: Guard | None
    next: State | _Stay
    actions: tuple[Do, ...] = ()


S = State
_SILENCE = (Do.FLUSH, Do.DROP_REPLY, Do.PLAYED)
"""What is played ends here, and its sender knows."""
_STOPPED = (Do.SHELVE, Do.DROP_REPLY, Do.PLAYED)
"""The same, but it may have been for nothing."""

TABLE: Final[tuple[Row, ...]] = (
    # Nobody drives the satellite: who speaks to it is told that it cannot help.
    Row(S.DISCONNECTED, Joined, None, REST),
    Row(S.DISCONNECTED, Woke, None, SAME, (Do.CUE_FAILED,)),
    Row(S.DISCONNECTED, Pressed, None, SAME, (Do.CUE_FAILED,)),
    Row(S.DISCONNECTED, Muted, None, S.MUTED, (Do.CUE_MUTED,)),
    Row(S.DISCONNECTED, ReplyBegan, None, S.ANNOUNCING, (Do.PLAY,)),
    Row(S.DISCONNECTED, Rang, None, S.RINGING, (Do.RING,)),
    # Muted.
    Row(S.MUTED, Unmuted, None, REST),
    Row(S.MUTED, ReplyBegan, None, S.ANNOUNCING, (Do.PLAY,)),
    Row(S.MUTED, Rang, None, S.RINGING, (Do.RING,)),
    # At rest: a turn, an announcement or a timer can begin.
    Row(S.IDLE, Woke, alive, S.HOLDING, (Do.CUT, Do.DROP_REPLY, Do.MARK, Do.CUE_HEARD)),
    Row(S.IDLE, Woke, None, S.STREAMING, (Do.MARK, Do.DETECTION, Do.RUN, Do.CUE_HEARD)),
    Row(S.IDLE, Pressed, alive, S.HOLDING, (Do.CUT, Do.DROP_REPLY, Do.MARK, Do.CUE_HEARD)),
    Row(S.IDLE, Pressed, None, S.STREAMING, (Do.MARK, Do.RUN, Do.CUE_HEARD)),
    Row(S.IDLE, Spoke, alive, S.HOLDING, (Do.CUT, Do.DROP_REPLY, Do.MARK)),
    Row(S.IDLE, Spoke, None, S.STREAMING, (Do.MARK, Do.RUN)),
    Row(S.IDLE, ReplyBegan, None, S.ANNOUNCING, (Do.PLAY,)),
    Row(S.IDLE, Rang, None, S.RINGING, (Do.RING,)),
    Row(S.IDLE, Muted, None, S.MUTED, (Do.CUE_MUTED,)),
    Row(S.IDLE, Left, None, REST),
    # A person speaks. The end of it is told by the controller, by the button, or by the deadline.
    Row(S.STREAMING, VoiceStopped, None, S.WAITING, (Do.END_SPEECH,)),
    Row(S.STREAMING, Transcribed, None, S.THINKING, (Do.END_SPEECH, Do.CUE_THINKING)),
    Row(S.STREAMING, Hushed, keeping, S.WAITING, (Do.END_SPEECH,)),  # so that it is known soon whether it was speech
    Row(S.STREAMING, Pressed, None, S.WAITING, (Do.END_SPEECH,)),
    Row(S.STREAMING, Late, None, S.WAITING, (Do.END_SPEECH,)),
    Row(S.STREAMING, Failed, silent, REST, (Do.FORGET,)),
    Row(S.STREAMING, Failed, of_old_reply, SAME, (Do.FORGIVE,)),
    Row(S.STREAMING, Failed, reply_kept, S.SPEAKING, (Do.FORGET, Do.RESUME)),
    Row(S.STREAMING, Failed, announcement_kept, S.ANNOUNCING, (Do.FORGET, Do.RESUME)),
    Row(S.STREAMING, Failed, ring_kept, S.RINGING, (Do.FORGET, Do.RING)),
    Row(S.STREAMING, Failed, None, REST, (Do.FORGET, Do.CUE_FAILED)),
    Row(S.STREAMING, ReplyBegan, None, S.ANNOUNCING, (Do.ABANDON, Do.PLAY)),  # an announcement cancels the run
    Row(S.STREAMING, Rang, None, SAME, (Do.LATER,)),
    Row(S.STREAMING, Muted, None, S.MUTED, (Do.END_SPEECH, Do.CUE_MUTED)),
    Row(S.STREAMING, Lost, None, REST, (Do.END_SPEECH, Do.CUE_FAILED)),
    Row(S.STREAMING, Left, None, REST, (Do.FORGET, Do.CUE_FAILED)),
    # The speech is over. A run without a transcript for so long is stuck: only a new connection ends it for certain.
    Row(S.WAITING, Transcribed, None, S.THINKING, (Do.CUE_THINKING,)),
    Row(S.WAITING, Synthesized, None, S.THINKING),
    Row(S.WAITING, ReplyBegan, None, S.SPEAKING, (Do.PLAY,)),
    Row(S.WAITING, Woke, None, S.HOLDING, (Do.CUT, Do.DROP_REPLY, Do.MARK, Do.CUE_HEARD)),
    Row(S.WAITING, Pressed, None, S.HOLDING, (Do.CUT, Do.DROP_REPLY, Do.MARK, Do.CUE_HEARD)),
    Row(S.WAITING, Failed, silent, REST),
    Row(S.WAITING, Failed, of_old_reply, SAME, (Do.FORGIVE,)),
    Row(S.WAITING, Failed, reply_kept, S.SPEAKING, (Do.RESUME,)),
    Row(S.WAITING, Failed, announcement_kept, S.ANNOUNCING, (Do.RESUME,)),
    Row(S.WAITING, Failed, ring_kept, S.RINGING, (Do.RING,)),
    Row(S.WAITING, Failed, None, REST, (Do.CUE_FAILED,)),
    Row(S.WAITING, Flushed, None, REST, (Do.CUT, Do.DROP_REPLY)),
    Row(S.WAITING, Rang, None, SAME, (Do.LATER,)),
    Row(S.WAITING, Muted, None, S.MUTED, (Do.CUE_MUTED,)),
    Row(S.WAITING, Lost, None, REST, (Do.CUE_FAILED,)),
    Row(S.WAITING, Left, None, REST, (Do.CUE_FAILED,)),
    Row(S.WAITING, Late, None, REST, (Do.CUE_FAILED, Do.DROP_PEER)),
    # The reply is being made. An empty one is never announced: the deadline ends the wait.
    Row(S.THINKING, Synthesized, None, S.THINKING),
    Row(S.THINKING, ReplyBegan, None, S.SPEAKING, (Do.PLAY,)),
    Row(S.THINKING, Woke, alive, S.HOLDING, (Do.CUT, Do.DROP_REPLY, Do.MARK, Do.CUE_HEARD)),
    Row(S.THINKING, Woke, None, S.STREAMING, (Do.DROP_REPLY, Do.MARK, Do.RUN, Do.CUE_HEARD)),
    Row(S.THINKING, Pressed, alive, S.HOLDING, (Do.CUT, Do.DROP_REPLY, Do.MARK, Do.CUE_HEARD)),
    Row(S.THINKING, Pressed, None, S.STREAMING, (Do.DROP_REPLY, Do.MARK, Do.RUN, Do.CUE_HEARD)),
    Row(S.THINKING, Failed, silent, REST),
    Row(S.THINKING, Failed, None, REST, (Do.CUE_FAILED,)),
    Row(S.THINKING, Flushed, None, REST, (Do.CUT, Do.DROP_REPLY)),
    Row(S.THINKING, Rang, None, SAME, (Do.LATER,)),
    Row(S.THINKING, Muted, None, S.MUTED, (Do.CUE_MUTED,)),
    Row(S.THINKING, Lost, None, REST, (Do.CUE_FAILED,)),
    Row(S.THINKING, Left, None, REST, (Do.CUE_FAILED,)),
    Row(S.THINKING, Late, None, REST, (Do.CUE_FAILED,)),
    # The reply is heard. Whoever interrupts it is heard at once.
    Row(S.SPEAKING, Grew, None, S.SPEAKING),
    Row(S.SPEAKING, ReplyEnded, None, S.SPEAKING, (Do.FINISH,)),
    Row(S.SPEAKING, ReplyBegan, None, S.SPEAKING, (Do.PLAY,)),
    Row(S.SPEAKING, Drained, asking, S.LISTENING, (Do.PLAYED,)),
    Row(S.SPEAKING, Drained, None, REST, (Do.PLAYED,)),
    Row(S.SPEAKING, SpeechBegan, None, SAME, (Do.DUCK,)),
    Row(S.SPEAKING, SpeechFaded, None, SAME, (Do.SWELL,)),
    Row(S.SPEAKING, SpeechLasted, alive, S.HOLDING, (*_STOPPED, Do.CUT, Do.MARK)),
    Row(S.SPEAKING, SpeechLasted, None, S.STREAMING, (*_STOPPED, Do.MARK, Do.RUN)),
    Row(S.SPEAKING, Woke, alive, S.HOLDING, (*_STOPPED, Do.CUT, Do.MARK, Do.CUE_HEARD)),
    Row(S.SPEAKING, Woke, None, S.STREAMING, (*_STOPPED, Do.MARK, Do.RUN, Do.CUE_HEARD)),
    Row(S.SPEAKING, Pressed, alive, S.HOLDING, (*_SILENCE, Do.CUT, Do.MARK, Do.CUE_HEARD)),
    Row(S.SPEAKING, Pressed, None, S.STREAMING, (*_SILENCE, Do.MARK, Do.RUN, Do.CUE_HEARD)),
    Row(S.SPEAKING, Failed, silent, REST, _SILENCE),
    Row(S.SPEAKING, Failed, None, REST, (*_SILENCE, Do.CUE_FAILED)),
    Row(S.SPEAKING, Flushed, None, REST, _SILENCE),
    Row(S.SPEAKING, Rang, None, SAME, (Do.LATER,)),
    Row(S.SPEAKING, Muted, None, S.MUTED, (*_SILENCE, Do.CUE_MUTED)),
    Row(S.SPEAKING, Lost, None, REST, (*_SILENCE, Do.CUE_FAILED)),
    Row(S.SPEAKING, Left, None, REST, (Do.FLUSH, Do.CUE_FAILED)),
    Row(S.SPEAKING, Late, None, REST, (*_SILENCE, Do.CUE_FAILED)),
    # Interrupted while the run was alive: the new one is asked for when the old one is over.
    Row(S.HOLDING, Synthesized, None, S.STREAMING, (Do.RUN,)),
    Row(S.HOLDING, Failed, None, S.STREAMING, (Do.FORGIVE, Do.RUN)),
    Row(S.HOLDING, ReplyBegan, None, S.ANNOUNCING, (Do.ABANDON, Do.PLAY)),
    Row(S.HOLDING, Rang, None, SAME, (Do.LATER,)),
    Row(S.HOLDING, Muted, None, S.MUTED, (Do.FORGET, Do.CUE_MUTED)),
    Row(S.HOLDING, Lost, None, REST, (Do.FORGET, Do.CUE_FAILED)),
    Row(S.HOLDING, Left, None, REST, (Do.FORGET, Do.CUE_FAILED)),
    Row(S.HOLDING, Late, None, REST, (Do.FORGET, Do.CUE_FAILED, Do.DROP_PEER)),
    # The reply asked: an answer needs no wake word. Nothing is sent until somebody speaks.
    Row(S.LISTENING, Spoke, None, S.STREAMING, (Do.MARK, Do.RUN)),
    Row(S.LISTENING, Woke, None, S.STREAMING, (Do.MARK, Do.DETECTION, Do.RUN, Do.CUE_HEARD)),
    Row(S.LISTENING, Pressed, None, S.STREAMING, (Do.MARK, Do.RUN, Do.CUE_HEARD)),
    Row(S.LISTENING, ReplyBegan, None, S.ANNOUNCING, (Do.PLAY,)),
    Row(S.LISTENING, Rang, None, S.RINGING, (Do.RING,)),
    Row(S.LISTENING, Flushed, None, REST),
    Row(S.LISTENING, Muted, None, S.MUTED, (Do.CUE_MUTED,)),
    Row(S.LISTENING, Lost, None, REST, (Do.CUE_FAILED,)),
    Row(S.LISTENING, Left, None, REST, (Do.CUE_FAILED,)),
    Row(S.LISTENING, Late, None, REST),
    # An announcement, or a reply that came after its turn was given up.
    Row(S.ANNOUNCING, Grew, None, S.ANNOUNCING),
    Row(S.ANNOUNCING, ReplyEnded, None, S.ANNOUNCING, (Do.FINISH,)),
    Row(S.ANNOUNCING, ReplyBegan, None, S.ANNOUNCING, (Do.PLAY,)),
    Row(S.ANNOUNCING, Drained, None, REST, (Do.PLAYED,)),
    Row(S.ANNOUNCING, Woke, deaf, REST, _SILENCE),
    Row(S.ANNOUNCING, Woke, alive, S.HOLDING, (*_STOPPED, Do.CUT, Do.MARK, Do.CUE_HEARD)),
    Row(S.ANNOUNCING, Woke, None, S.STREAMING, (*_STOPPED, Do.MARK, Do.RUN, Do.CUE_HEARD)),
    Row(S.ANNOUNCING, SpeechBegan, None, SAME, (Do.DUCK,)),
    Row(S.ANNOUNCING, SpeechFaded, None, SAME, (Do.SWELL,)),
    Row(S.ANNOUNCING, SpeechLasted, deaf, REST, _SILENCE),
    Row(S.ANNOUNCING, SpeechLasted, alive, S.HOLDING, (*_STOPPED, Do.CUT, Do.MARK)),
    Row(S.ANNOUNCING, SpeechLasted, None, S.STREAMING, (*_STOPPED, Do.MARK, Do.RUN)),
    Row(S.ANNOUNCING, Pressed, deaf, REST, _SILENCE),
    Row(S.ANNOUNCING, Pressed, alive, S.HOLDING, (*_SILENCE, Do.CUT, Do.MARK, Do.CUE_HEARD)),
    Row(S.ANNOUNCING, Pressed, None, S.STREAMING, (*_SILENCE, Do.MARK, Do.RUN, Do.CUE_HEARD)),
    Row(S.ANNOUNCING, Flushed, None, REST, _SILENCE),
    Row(S.ANNOUNCING, Muted, None, SAME, (Do.SWELL,)),  # who paused it is not heard to the end
    Row(S.ANNOUNCING, Rang, None, SAME, (Do.LATER,)),
    Row(S.ANNOUNCING, Lost, None, REST, (*_SILENCE, Do.CUE_FAILED)),
    Row(S.ANNOUNCING, Late, None, REST, (*_SILENCE, Do.CUE_FAILED)),
    # A timer rings until somebody says or presses something; speech starts a turn, so that `stop` needs no wake word.
    Row(S.RINGING, SpeechBegan, None, SAME, (Do.DUCK,)),
    Row(S.RINGING, SpeechFaded, None, SAME, (Do.SWELL,)),
    Row(S.RINGING, SpeechLasted, deaf, REST, (Do.CALM,)),
    Row(S.RINGING, SpeechLasted, alive, S.HOLDING, (Do.SHELVE, Do.CUT, Do.DROP_REPLY, Do.MARK)),
    Row(S.RINGING, SpeechLasted, None, S.STREAMING, (Do.SHELVE, Do.MARK, Do.RUN)),
    Row(S.RINGING, Woke, None, REST, (Do.CALM,)),
    Row(S.RINGING, Pressed, None, REST, (Do.CALM,)),
    Row(S.RINGING, Flushed, None, REST, (Do.CALM,)),
    Row(S.RINGING, Muted, None, SAME, (Do.SWELL,)),
    Row(S.RINGING, ReplyBegan, None, S.ANNOUNCING, (Do.CALM, Do.PLAY)),
    Row(S.RINGING, Rang, None, S.RINGING),
    Row(S.RINGING, Lost, None, REST, (Do.CALM, Do.CUE_FAILED)),
    Row(S.RINGING, Late, None, REST, (Do.CALM,)),
)
del S

_KEYS = {(row.state, row.event) for row in TABLE}
_ROWS: Final = {key: tuple(row for row in TABLE if (row.state, row.event) == key) for key in _KEYS}


def step(now: Situation, event: Event, limits: Limits) -> tuple[Situation, tuple[Do, ...]]:
    """Return the situation after `event` and what the driver must do, in order."""
    told = _told(now, event, limits)
    for row in _ROWS.get((now.state, type(event)), ()):
        if row.guard is None or row.guard(now, event, limits):
            return _follow(told, row, event, limits), row.actions
    return told, ()


def rest(now: Situation) -> State:
    """Return the state of rest that is true now."""
    if now.muted:
        return State.MUTED
    return State.IDLE if now.driven else State.DISCONNECTED


def _follow(now: Situation, row: Row, event: Event, limits: Limits) -> Situation:
    if Do.SHELVE in row.actions:
        now = replace(now, kept=row.state, kept_until=event.at + limits.keep_s, kept_asks=now.asks)
    elif {Do.PLAY, Do.RING} & set(row.actions):
        now = replace(now, kept=None)
    elif Do.RESUME in row.actions:
        now = replace(now, kept=None, asks=now.kept_asks)
    if Do.RUN in row.actions:
        now = replace(now, asks=False, run_until=event.at + limits.stream_s + limits.transcript_s + limits.reply_s)
    if Do.ABANDON in row.actions:
        now = replace(now, run_until=0.0)
    if row.next is SAME:
        return now
    state = rest(now) if isinstance(row.next, _Stay) else row.next
    if state in (State.IDLE, State.MUTED, State.DISCONNECTED):
        now = replace(now, kept=None)
    return replace(now, state=state, deadline=deadline(state, event, limits))


def _told(now: Situation, event: Event, limits: Limits) -> Situation:
    """Return what an event makes true in every state."""
    match event:
        case Joined(run_until=run_until):
            return replace(now, driven=True, run_until=run_until)
        case Left():
            return replace(now, driven=False, run_until=0.0)
        case Muted():
            return replace(now, muted=True)
        case Unmuted():
            return replace(now, muted=False)
        case Transcribed() if alive(now, event, limits):
            return replace(now, run_until=event.at + limits.reply_s)
        case Synthesized(asks=asks):
            of_kept = now.state is State.HOLDING and now.kept is State.SPEAKING
            return replace(now, run_until=0.0, asks=asks, kept_asks=asks if of_kept else now.kept_asks)
        case Failed():
            return now if of_old_reply(now, event, limits) and _before_reply(now) else replace(now, run_until=0.0)
    return now


def _before_reply(now: Situation) -> bool:
    return now.state in (State.STREAMING, State.WAITING)


def deadline(state: State, event: Event, limits: Limits) -> float | None:
    """Return when `state`, entered by `event`, must be left; None for the states of rest."""
    match state:
        case State.STREAMING:
            return event.at + limits.stream_s
        case State.WAITING:
            return event.at + limits.transcript_s
        case State.THINKING:
            return event.at + limits.reply_s
        case State.SPEAKING | State.ANNOUNCING:
            if isinstance(event, ReplyEnded):
                return event.at + event.left_s + limits.slack_s
            return event.at + limits.gap_s + (event.left_s if isinstance(event, Grew) else 0.0)
        case State.HOLDING:
            return event.at + limits.hold_s
        case State.LISTENING:
            return event.at + limits.follow_up_s
        case State.RINGING:
            return event.at + limits.ring_s
    return None
