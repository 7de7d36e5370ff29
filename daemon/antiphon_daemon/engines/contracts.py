"""What every engine must be, and the words that pass between engines and the conversation.

Engines are narrow and asynchronous: inference runs in worker threads and never blocks the event loop. Text is NFC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Literal, Protocol, runtime_checkable

from antiphon.audio.pcm import Samples
from antiphon.log import spoken
from antiphon.settings import Settings, Tts
from antiphon.text import composed

Stage = Literal["stt", "llm", "tts", "turn"]


class Fault(Enum):
    """What kind of failure it is, for whoever decides what comes next."""

    LOST = "lost"
    """The engine or its server does not work until something is mended or comes back."""
    BUSY = "busy"
    """It says that it will work shortly: a model is being loaded, too many ask."""
    BROKE = "broke"
    """The connection broke; another may hold."""
    KEY = "key"
    """The server refuses the key."""
    REFUSED = "refused"
    """The engine works, but will not do this one thing, however often it is asked."""
    EMPTY = "empty"
    """The model had nothing to say."""
    PASSED = "passed"
    """It leaves this to the next one: it understood nothing that it could do."""
    DOUBT = "doubt"
    """It may have done what it was asked, and did not say so: nobody is asked in its place, nor it again."""


class EngineError(Exception):
    """An engine cannot do its work now. The message is one sentence that says what is wrong and what mends it.

    Args:
        quoted: words in the message that are a model's or a server's own, which may quote what was said.

    Attributes:
        stage: which of the stages failed; the conversation speaks a sentence for it.
        fault: what kind of failure it is.
    """

    def __init__(self, stage: Stage, message: str, fault: Fault = Fault.LOST, *, quoted: str = "") -> None:
        super().__init__(message)
        self.stage: Stage = stage
        self.fault = fault
        self._quoted = quoted

    @property
    def for_log(self) -> str:
        """The message as a log may show it."""
        text = str(self)
        return text.replace(self._quoted, spoken(self._quoted)) if self._quoted else text

    @property
    def unquoted(self) -> str:
        """The message without words that may quote what was said."""
        return str(self).replace(self._quoted, "…") if self._quoted else str(self)


class EngineMissing(EngineError):
    """The engine's package or model is not installed; the message names the extra or the command that brings it."""


class Revoked(Exception):
    """The work is no longer wanted: its revision is stale, its peer left, its deadline passed. Nobody is told."""


class Unsettled(Exception):
    """The engine acts by being asked, and the turn is not over yet: it is to be asked again when it is."""


class Urgency(IntEnum):
    """Whose turn it is when several wait for one engine: the lower first, and who came first among equals."""

    TURN = 0
    """Somebody waits: their turn is over, or they asked outright."""
    DRAFT = 1
    """A turn that may be over."""
    AHEAD = 2
    """More of a reply of which there is enough to hear for now."""
    MEANWHILE = 3
    """Nobody relies on it: transcripts while speech goes on, prompts read beforehand."""
    PATIENT = 4
    """Nobody talks: a recording, a text that is read into a file."""


class Work(Protocol):
    """The one token for cancelling: one per draft or response, handed into every engine call and asked at each hop."""

    @property
    def revision(self) -> int:
        """Which version of the turn this works for."""
        ...

    @property
    def response_id(self) -> str:
        """Names the response in logs and on the wire."""
        ...

    def wanted(self) -> bool:
        """Return False once the result is of no use to anyone. Any thread may ask."""
        ...

    @property
    def conversation(self) -> str | None:
        """Names the conversation, for engines that keep one of their own beside it; None: there is none."""
        ...

    @property
    def language(self) -> str | None:
        """The language of what is to be answered, for engines that cannot tell; None: it is not known."""
        ...

    def settled(self) -> bool:
        """Return whether the turn is over. Before that it is a draft, which may do nothing."""
        ...

    def urgency(self) -> Urgency:
        """Return how urgent it is now. Any thread may ask."""
        ...

    def due(self) -> float | None:
        """Return until when what there is of its result lasts its listener (monotonic seconds); None: there is nothing
        yet. Any thread may ask."""
        ...

    def lasts_until(self, at: float) -> None:
        """What is there of its result lasts its listener until `at` (monotonic seconds): until shortly before, the
        rest is not urgent."""
        ...

    def on_revoked(self, closer: Callable[[], None]) -> Callable[[], None]:
        """Call `closer` (short, from any thread) when the work is revoked; at once if it has been.

        Returns a function that takes `closer` back.
        """
        ...


@dataclass(frozen=True)
class Transcript:
    """What was heard. What an engine cannot tell is None."""

    text: str
    """Composed, whatever form the engine gave it in."""
    language: str | None = None
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    tokens: int | None = None
    duration_s: float | None = None
    """Length of the sound that was given."""
    window_s: float | None = None
    """Length of the window that the model saw."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", composed(self.text))


class Transcriber(Protocol):
    """Speech to text."""

    name: str
    """What `info` and logs call it: engine and model."""

    @property
    def languages(self) -> Collection[str]:
        """ISO 639-1 codes it can hear."""
        ...

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        """Return what is said in `audio` (mono, 16 kHz); empty text when nothing is.

        Raises:
            EngineError: the model failed or does not know `language`.
            Revoked: `work` was given up before there was a result.
        """
        ...

    async def close(self) -> None:
        """Free the model. Calls that still run end with `Revoked` or their result."""
        ...


class Stream(Protocol):
    """One utterance on its way into a `StreamingTranscriber`."""

    def push(self, audio: Samples) -> None:
        """Add sound (mono, 16 kHz)."""
        ...

    def partials(self) -> AsyncIterator[str]:
        """Yield the text so far, append-only, until `finish`."""
        ...

    async def finish(self) -> Transcript:
        """Return the whole."""
        ...


class StreamingTranscriber(Transcriber, Protocol):
    """Speech to text that hears as it goes."""

    def open(self, work: Work, *, language: str | None) -> Stream:
        """Begin an utterance."""
        ...


@dataclass(frozen=True)
class ToolCall:
    """The model asks for a tool."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Tool:
    """Something the model may ask for."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments."""
    run: Callable[..., Awaitable[str]]


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    interrupted: bool = False
    """The assistant was cut off: `text` is what the user heard of it."""
    tool_calls: Sequence[ToolCall] = field(default_factory=tuple)
    tool_call_id: str | None = None


@dataclass(frozen=True)
class TextDelta:
    """A piece of the reply, to be joined to what came before as it is."""

    text: str


class Responder(Protocol):
    """A language model.

    One that can call tools has an attribute `uses_tools` that is true; others are offered none. One that acts by being
    asked has an attribute `acts` that is true, and raises `Unsettled` as long as the work is not settled.
    """

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        ...

    def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield the reply as it is written; closing the iterator or revoking `work` stops the model.

        Raises:
            EngineError: the model or its server cannot be reached, or answers with an error.
            Revoked: `work` was given up.
            Unsettled: it acts, and the turn is not over; nothing was asked.
        """
        ...

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        """Have the model read `messages` (system prompt and history) without writing, where that costs nothing.

        The next `respond` that begins with them, and offers the same tools, is quicker; it need not wait for this to
        end, and takes over what was read until then. Returns early when `work` is revoked, and says nothing when it
        fails: the reply will.
        """
        ...

    async def close(self) -> None:
        """Free the model or its connections."""
        ...


@runtime_checkable
class ForcedCaller(Protocol):
    """A language model that can be made to call a tool, also one that would not do so by itself."""

    def call(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool]) -> AsyncIterator[ToolCall]:
        """Yield a call of one of `tools` at least.

        Raises:
            EngineError: the model failed, or cannot be made to.
            Revoked: `work` was given up.
        """
        ...


@dataclass(frozen=True)
class Voice:
    """A voice that can be asked for by name."""

    name: str
    languages: Sequence[str]
    speakers: Sequence[str] = ()


class Synthesizer(Protocol):
    """Text to speech."""

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        ...

    @property
    def voices(self) -> Sequence[Voice]:
        """The first is the default."""
        ...

    @property
    def rate(self) -> int:
        """Samples a second of what `speak` yields."""
        ...

    def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Yield `text` as s16le mono PCM at `rate`; closing the iterator or revoking `work` stops between sentences.

        Raises:
            EngineError: there is no such voice or the model failed.
            Revoked: `work` was given up.
        """
        ...

    async def close(self) -> None:
        """Free the model."""
        ...


@runtime_checkable
class Tunable(Protocol):
    """A synthesizer whose voice and speed can change while it runs."""

    async def tune(self, settings: Tts) -> None:
        """Speak with other settings from the next sentence on.

        Raises:
            EngineError: they cannot be used; the voice before goes on.
        """
        ...


@runtime_checkable
class Following(Protocol):
    """An engine that was made with settings which can change while it runs: deadlines, hints."""

    def follow(self, settings: Settings) -> None:
        """Take them over, from the next request on."""
        ...


@runtime_checkable
class Remote(Protocol):
    """An engine that may be somewhere else, and away: building it does not show that it works."""

    async def check(self) -> None:
        """See that it is there, and try it.

        Raises:
            EngineError: it does not work.
        """
        ...


class TurnModel(Protocol):
    """Judges by the sound of a voice whether its speaker has finished."""

    name: str

    async def finished(self, audio: Samples, work: Work, *, language: str | None) -> float | None:
        """Return the probability that the turn in `audio` (mono, 16 kHz) is over; None where it cannot tell.

        Raises:
            EngineError: the model failed.
            Revoked: `work` was given up.
        """
        ...

    async def close(self) -> None:
        """Free the model."""
        ...


@runtime_checkable
class WordJudge(Protocol):
    """Judges by the words whether a sentence is whole: a language model that can be asked what would come next."""

    async def ended(self, messages: Sequence[Message], work: Work) -> float | None:
        """Return the probability that the last message, a user's, ends where it does; None where it cannot tell.

        Raises:
            EngineError: the model failed.
            Revoked: `work` was given up.
        """
        ...


@dataclass(frozen=True)
class Load:
    """How much an engine has to do on the threads of this process."""

    threads: int
    """Jobs that it works at side by side."""
    running: int
    waiting: int
    most_waiting: int
    """Beyond so many, callers are turned away."""
    busy: float
    """The part of the last minute in which it worked, 0 to 1."""


@runtime_checkable
class Measured(Protocol):
    """An engine that works in this process and knows how much it has to do."""

    def load(self) -> Load:
        """Return how much that is now."""
        ...


@dataclass(frozen=True)
class Chosen:
    """An engine that `engine: auto` has chosen."""

    stage: Stage
    engine: str
    why: str
    """A sentence without its full stop."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the section of the stage has to say besides the engine."""


@dataclass(frozen=True)
class Engines:
    """The warmed engines of a daemon, one of each, shared by all its conversations."""

    transcriber: Transcriber
    responder: Responder
    synthesizer: Synthesizer
    turn: TurnModel | None = None
    """None: nothing judges the sound of a turn's end."""
    words: WordJudge | None = None
    """None: no language model judges its words."""
    chosen: Mapping[Stage, Chosen] = field(default_factory=dict)
    """What `engine: auto` has chosen."""

    async def close(self) -> None:
        """Free all of them."""
        for engine in (self.transcriber, self.responder, self.synthesizer, self.turn):
            if engine is not None:
                await engine.close()
