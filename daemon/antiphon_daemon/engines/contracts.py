"""What every engine must be, and the words that pass between engines and the conversation.

Engines are narrow and asynchronous: inference runs in worker threads and never blocks the event loop. Text is NFC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from antiphon.audio.pcm import Samples

Stage = Literal["stt", "llm", "tts", "turn"]


class EngineError(Exception):
    """An engine cannot do its work now. The message is one sentence that says what is wrong and what mends it.

    Attributes:
        stage: which of the stages failed; the conversation speaks a sentence for it.
    """

    def __init__(self, stage: Stage, message: str) -> None:
        super().__init__(message)
        self.stage: Stage = stage


class EngineMissing(EngineError):
    """The engine's package or model is not installed; the message names the extra or the command that brings it."""


class Revoked(Exception):
    """The work is no longer wanted: its revision is stale, its peer left, its deadline passed. Nobody is told."""


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

    def on_revoked(self, closer: Callable[[], None]) -> Callable[[], None]:
        """Call `closer` (short, from any thread) when the work is revoked; at once if it has been.

        Returns a function that takes `closer` back.
        """
        ...


@dataclass(frozen=True)
class Transcript:
    """What was heard. What an engine cannot tell is None."""

    text: str
    language: str | None = None
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    tokens: int | None = None
    duration_s: float | None = None
    """Length of the sound that was given."""
    window_s: float | None = None
    """Length of the window that the model saw."""


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

    One that can call tools has an attribute `uses_tools` that is true; others are offered none.
    """

    name: str

    def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield the reply as it is written; closing the iterator or revoking `work` stops the model.

        Raises:
            EngineError: the model or its server cannot be reached, or answers with an error.
            Revoked: `work` was given up.
        """
        ...

    async def close(self) -> None:
        """Free the model or its connections."""
        ...


@dataclass(frozen=True)
class Voice:
    """A voice that can be asked for by name."""

    name: str
    languages: Sequence[str]
    speakers: Sequence[str] = ()


class Synthesizer(Protocol):
    """Text to speech."""

    name: str

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


class TurnModel(Protocol):
    """Judges whether a speaker has finished."""

    async def finished(self, audio: Samples, *, language: str | None) -> float:
        """Return the probability that the turn in `audio` (mono, 16 kHz) is over."""
        ...


@dataclass(frozen=True)
class Engines:
    """The warmed engines of a daemon, one of each, shared by all its conversations."""

    transcriber: Transcriber
    responder: Responder
    synthesizer: Synthesizer

    async def close(self) -> None:
        """Free all of them."""
        for engine in (self.transcriber, self.responder, self.synthesizer):
            await engine.close()
