"""The words of the turn machine (`turns.py`): its phases, its policy, its state, what happens and what is to be done.

Time is session samples (16 kHz). Durations are in samples unless their name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

RATE = 16_000
PLAYED_SLACK = 3 * RATE
"""After a reply should have been played, its `Played` is waited for this long."""
ESTIMATE = -1
"""`heard_ms` of a reply whose listener does not tell how far it was played."""


class Phase(Enum):
    """Where a turn stands."""

    IDLE = "idle"
    LISTENING = "listening"
    HEARING = "hearing"
    PAUSED = "paused"
    THINKING = "thinking"
    SPEAKING = "speaking"
    OVERLAP = "overlap"
    """Somebody speaks over the reply, and it is not yet known whether they mean it."""


@dataclass(frozen=True)
class Policy:
    """When a turn ends, and when it is interrupted."""

    soft_end: int = RATE // 10
    """Silence that begins a draft."""
    likely_silence: int = RATE // 2
    """Silence that ends a turn which is believed over."""
    unknown_silence: int = RATE * 3 // 4
    """Silence that ends a turn of which nothing tells whether it is over."""
    longest_silence: int = RATE * 89 // 100
    """Silence that ends every turn."""
    likely: float = 0.85
    """Probability from which a turn is believed over."""
    unlikely: float = 0.4
    """Probability below which it is believed unfinished; in between, the silence is in between."""
    longest: int = RATE * 60
    no_speech: int = RATE * 8
    no_speech_over: int = RATE * 2
    """The same for a turn that speech over a reply began: if there was none after all, the reply goes on."""
    merge: int = RATE
    """Who goes on so soon after the turn was over, and has heard less than this of the reply, had not finished."""
    kept: int = 5 * RATE
    """A reply that was stopped can go on for so long."""
    lasting: int = RATE * 3 // 10
    """Speech over a reply that lasts so long is meant."""
    speculate: Literal["off", "transcript", "reply", "speech"] = "speech"
    resumes: bool = True
    """A reply that nobody meant to stop goes on; False for peers that have thrown away what they held of it."""
    interrupts: bool = False
    """Speech over a reply interrupts it here: for peers that cancel echo and cannot decide themselves."""
    answers: bool = True
    """False: a turn is over when it is transcribed (speech to text for other people's pipelines)."""
    prepares: bool = False
    """Where it does not answer: whether a reply is drafted all the same, for whoever asks for it next."""

    @property
    def judged(self) -> bool:
        """Whether it matters what anybody thinks of a turn's end: not where every silence is as long."""
        return self.likely_silence < self.longest_silence

    def hold(self, probability: float | None) -> int:
        """Return the silence that ends a turn which is over with this probability (None: nobody can tell)."""
        if probability is None:
            return self.unknown_silence
        doubt = (self.likely - probability) / max(1e-6, self.likely - self.unlikely)
        return round(self.likely_silence + min(1.0, max(0.0, doubt)) * (self.longest_silence - self.likely_silence))


@dataclass(frozen=True)
class Stopped:
    """A reply that was stopped before its end, and may yet go on."""

    revision: int
    heard_ms: int
    at: int
    """When it was stopped."""
    began: int
    """Where the speech that it answers began."""
    committed: int


@dataclass(frozen=True)
class State:
    """All that is known of a session's turn."""

    phase: Phase = Phase.IDLE
    revision: int = 0
    """The draft or response that counts; rises with each."""
    drafted: bool = False
    """A draft of this revision was begun."""
    text: str | None = None
    """What it heard; None until it is known."""
    filler: bool = False
    """It is no turn: an "mm" to a reply, or its echo."""
    responding: bool = False
    open: bool = False
    """Microphone audio is coming."""
    joined: bool = False
    """The stream goes on with the utterance of the turn before."""
    began: int = 0
    """Where the turn's speech began."""
    paused: int = 0
    """Where it fell silent last."""
    over: int = 0
    """Where speech over the reply began."""
    committed: int = 0
    """When the turn was over."""
    reply_began: int = 0
    reply_until: int | None = None
    """When the reply must have been played, once all of it has gone out."""
    stopped: Stopped | None = None
    deadline: int | None = None
    """When the driver fires `Deadline`."""


@dataclass(frozen=True)
class Opened:
    """A stream of microphone audio began."""

    at: int
    by_voice: bool = False
    """Speech alone began it, over a reply or soon after: it may go on with the turn before, or be no turn at all."""


@dataclass(frozen=True)
class SpeechBegan:
    at: int


@dataclass(frozen=True)
class SpeechPaused:
    """Speech fell silent at `at`, a little while ago."""

    at: int


@dataclass(frozen=True)
class Ended:
    """The stream ended: what came is all there is."""

    at: int


@dataclass(frozen=True)
class TurnJudged:
    """The probability that the turn is over, by all that is known so far; a later one counts instead."""

    at: int
    revision: int
    probability: float


@dataclass(frozen=True)
class Transcribed:
    at: int
    revision: int
    text: str
    filler: bool = False
    """The text only acknowledges the reply that it interrupted ("mm", "yes"), or is its echo."""


@dataclass(frozen=True)
class ReplyBegan:
    """The first sound of the committed reply went out; once more, as if at another time, when it is known better.

    It is when the listener had run dry, and when they tell how far they have played it.
    """

    at: int
    revision: int


@dataclass(frozen=True)
class ReplyEnded:
    """The last sound of the reply went out; all of it lasts `samples`."""

    at: int
    revision: int
    samples: int


@dataclass(frozen=True)
class Played:
    """The peer has played the reply (None), or stopped it after `heard_ms`."""

    at: int
    heard_ms: int | None = None


@dataclass(frozen=True)
class Typed:
    at: int
    text: str


@dataclass(frozen=True)
class Asked:
    """The peer wants a reply although nobody has said anything; `text` is what was said last, for whoever looks."""

    at: int
    text: str = ""


@dataclass(frozen=True)
class Stop:
    """The user or the peer wants silence; `heard_ms` of the reply were heard, if known."""

    at: int
    heard_ms: int | None = None


@dataclass(frozen=True)
class Failed:
    """This hearing of the turn failed: there is no text to answer."""

    at: int
    revision: int


@dataclass(frozen=True)
class Deadline:
    at: int


Event: TypeAlias = (
    Opened
    | SpeechBegan
    | SpeechPaused
    | Ended
    | TurnJudged
    | Transcribed
    | ReplyBegan
    | ReplyEnded
    | Played
    | Typed
    | Asked
    | Stop
    | Failed
    | Deadline
)


@dataclass(frozen=True)
class Transcribe:
    """Hear the turn so far."""

    revision: int


@dataclass(frozen=True)
class AskTurnModel:
    """Ask whether the turn sounds finished."""

    revision: int


@dataclass(frozen=True)
class Respond:
    """Write and speak the reply to `text`, silently until `Commit`."""

    revision: int
    text: str


@dataclass(frozen=True)
class Commit:
    """The turn is over: `text` was said, and its reply may be heard."""

    revision: int
    text: str
    said: bool = True
    """False: nobody said it now, the peer only wants a reply."""


@dataclass(frozen=True)
class Discard:
    """Nothing of this draft is wanted any more; no trace of it stays."""

    revision: int


@dataclass(frozen=True)
class Withdraw:
    """A committed turn is taken back, its reply and what was remembered of it: the user goes on.

    What it has done is taken back at once while its reply was not heard yet, else by `Undo`.
    """

    revision: int


@dataclass(frozen=True)
class Undo:
    """What a withdrawn turn has done is taken back: it was no cough, the user does go on."""

    revision: int


@dataclass(frozen=True)
class Duck:
    """Play the reply softly: somebody may be interrupting."""


@dataclass(frozen=True)
class Swell:
    """Play it as before: nobody was."""


@dataclass(frozen=True)
class StopSpeaking:
    revision: int


@dataclass(frozen=True)
class Resume:
    """The reply `of`, stopped after `heard_ms`, goes on from there under a new revision: nobody meant to stop it."""

    revision: int
    of: int
    heard_ms: int
    text: str
    """What was heard meanwhile."""


@dataclass(frozen=True)
class Remember:
    """Write the turn into memory: all of the reply, or what was heard of it in `heard_ms`, or (-1) as estimated."""

    revision: int
    heard_ms: int | None = None


@dataclass(frozen=True)
class NothingHeard:
    """The stream held nothing to answer."""


@dataclass(frozen=True)
class Apologise:
    """Say that hearing failed (or, to a pipeline of others, send the error)."""

    revision: int


Action: TypeAlias = (
    Transcribe
    | AskTurnModel
    | Respond
    | Commit
    | Discard
    | Withdraw
    | Undo
    | Duck
    | Swell
    | StopSpeaking
    | Resume
    | Remember
    | NothingHeard
    | Apologise
)
Step: TypeAlias = tuple[State, tuple[Action, ...]]
