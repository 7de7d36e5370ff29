"""A session's fields: what they are at first, how a client changes them, and what cannot be had.

A partial update is merged into what holds, field by field; a list, and a part of another `type`, stands for the whole.
What a field cannot be here is brought to the nearest that it can, and shown so in `session.updated`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from antiphon.text import composed
from antiphon_daemon.conversation.manner import Manner
from antiphon_daemon.engines.contracts import Engines, Tool
from antiphon_daemon.gateway.realtime.audio import Kind
from antiphon_daemon.gateway.realtime.wire import Json, Refusal, refusal_of

INSTRUCTIONS_MOST = 32_000
TOOLS_MOST = 128
SILENCE_MS = (100, 5000)
"""The shortest and the longest silence that ends a turn."""
THRESHOLD = (0.1, 0.9)
PADDING_MS = 500
"""So much sound before speech is always heard, and no more."""
OPENAI_VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)
"""Clients name these without having chosen: they get the voice of the house."""
_TAGS = (
    *("server_vad", "semantic_vad", "audio/pcm", "audio/pcmu", "audio/pcma", "Function", "Choice", "dict"),
    *("VoiceId", "str", "constrained-int"),
)
_OF_REPLIES = ("create_response", "interrupt_response", "idle_timeout_ms")
"""Fields of turn detection that mean nothing where nothing is answered."""
_NEWER = ("languages", "keywords", "delay")
"""Fields of `transcription` that programs of before do not know: shown to those who set them."""
_WHOLE = ("format", "tool_choice", "tools", "voice")
"""Parts that are replaced, never merged."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pcm(_Part):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class G711(_Part):
    type: Literal["audio/pcmu", "audio/pcma"]


AudioFormat: TypeAlias = Annotated[Pcm | G711, Field(discriminator="type")]


class ServerVad(_Part):
    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(300, ge=0)
    silence_duration_ms: int = Field(500, ge=0)
    idle_timeout_ms: int | None = Field(None, ge=5000, le=30000)
    create_response: bool = True
    interrupt_response: bool = True

    @field_validator("threshold")
    @classmethod
    def _clamped(cls, value: float) -> float:
        return min(max(value, THRESHOLD[0]), THRESHOLD[1])

    @field_validator("prefix_padding_ms")
    @classmethod
    def _kept(cls, value: int) -> int:
        return min(value, PADDING_MS)

    @field_validator("silence_duration_ms")
    @classmethod
    def _silence(cls, value: int) -> int:
        return min(max(value, SILENCE_MS[0]), SILENCE_MS[1])


class SemanticVad(_Part):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


Detection: TypeAlias = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class NoiseReduction(_Part):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class Transcription(_Part):
    model: str | None = None
    language: str | None = None
    languages: list[str] | None = Field(None, max_length=16)
    prompt: str | None = Field(None, max_length=4000)
    keywords: list[str] | None = Field(None, max_length=100)
    delay: str | None = None


class AudioInput(_Part):
    format: AudioFormat = Pcm()
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: Detection | None = ServerVad()

    @field_validator("noise_reduction")
    @classmethod
    def _none(cls, value: object) -> None:
        return None


class VoiceId(_Part):
    id: str


class AudioOutput(_Part):
    format: AudioFormat = Pcm()
    voice: str | VoiceId | None = None
    speed: float = Field(1.0, ge=0.25, le=1.5)


class Audio(_Part):
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class Function(_Part):
    type: Literal["function"]
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = Field("", max_length=4000)
    parameters: dict[str, Any] = {}
    strict: bool | None = None


class Choice(_Part):
    type: Literal["function"]
    name: str


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | Choice
Tokens: TypeAlias = Literal["inf"] | Annotated[int, Field(ge=1, le=4096)]
Modality: TypeAlias = Literal["audio", "text"]
Modalities: TypeAlias = Annotated[list[Modality], Field(min_length=1, max_length=2)]


class SessionConfig(_Part):
    """A session's fields as they hold."""

    type: Literal["realtime", "transcription"] = "realtime"
    model: str = "antiphon"
    output_modalities: Modalities = ["audio"]
    instructions: str = Field("", max_length=INSTRUCTIONS_MOST)
    audio: Audio = Audio()
    tools: list[Function] = Field([], max_length=TOOLS_MOST)
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    max_output_tokens: Tokens = "inf"
    reasoning: Any = None
    truncation: Any = "auto"
    tracing: Any = None
    prompt: Any = None
    include: Any = None

    @field_validator("instructions")
    @classmethod
    def _composed(cls, value: str) -> str:
        return composed(value)

    @field_validator("output_modalities")
    @classmethod
    def _one_of_them(cls, value: list[Modality]) -> list[Modality]:
        return ["audio"] if "audio" in value else value  # sound always comes with its text

    @field_validator("reasoning", "tracing", "prompt", "include", "parallel_tool_calls")
    @classmethod
    def _not_there(cls, value: object) -> None:
        return None

    @field_validator("truncation")
    @classmethod
    def _automatic(cls, value: object) -> str:
        return "auto"

    @property
    def detection(self) -> ServerVad | SemanticVad | None:
        """What finds the end of a turn; None: the client commits it."""
        return self.audio.input.turn_detection

    @property
    def listens_only(self) -> bool:
        """Whether it is a transcription session: nothing is answered."""
        return self.type == "transcription"

    @property
    def transcribes(self) -> bool:
        """Whether the client wants to read what was said."""
        return self.listens_only or self.audio.input.transcription is not None

    @property
    def input_kind(self) -> Kind:
        """The format of what comes."""
        return self.audio.input.format.type

    def shown(self, session_id: str = "", expires_at: int | None = None) -> Json:
        """Return the fields as they are on the wire."""
        kind = "realtime.transcription_session" if self.listens_only else "realtime.session"
        head = {"object": kind, "id": session_id, "expires_at": expires_at}
        fields = self.model_dump(mode="json")
        if (asked := fields["audio"]["input"]["transcription"]) is not None:
            kept = {key: value for key, value in asked.items() if value is not None or key not in _NEWER}
            fields["audio"]["input"]["transcription"] = kept
        if self.listens_only:
            heard = fields["audio"]["input"]
            detection = {key: it for key, it in (heard["turn_detection"] or {}).items() if key not in _OF_REPLIES}
            heard["turn_detection"] = detection or None
            fields = {"type": self.type, "audio": {"input": heard}, "include": self.include}
        return {**head, **fields}


class Wish(_Part):
    """What a `response.create` may say of its response; what is None is as the session has it."""

    class Output(_Part):
        format: AudioFormat | None = None
        voice: str | VoiceId | None = None

    class Audio(_Part):
        output: Wish.Output | None = None

    conversation: Literal["auto", "none"] = "auto"
    input: list[dict[str, Any]] | None = Field(None, max_length=256)
    instructions: str | None = Field(None, max_length=INSTRUCTIONS_MOST)
    output_modalities: Modalities | None = None
    audio: Audio | None = None
    tools: list[Function] | None = Field(None, max_length=TOOLS_MOST)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Tokens | None = None
    metadata: dict[str, str] | None = Field(None, max_length=16)
    reasoning: Any = None
    prompt: Any = None


@dataclass(frozen=True)
class Shape:
    """How one response is to be: the session's fields, with what was wished for it alone."""

    aloud: bool
    kind: Kind
    voice: str
    speed: float
    instructions: str
    tools: Sequence[Function]
    choice: ToolChoice
    tokens: Tokens
    own: bool
    """The client has said how the assistant is to be: the house's skills do not answer in its place."""
    metadata: dict[str, str] | None = None

    def manner(self, **fields: Any) -> Manner:
        """Return it in the conversation's words."""
        chosen = self.choice.name if isinstance(self.choice, Choice) else None
        tools = [] if self.choice == "none" else [one for one in self.tools if chosen in (None, one.name)]
        return Manner(
            aloud=self.aloud,
            voice=self.voice,
            speed=self.speed,
            skills=not self.own,
            tools=[Tool(one.name, one.description, one.parameters, _run_by_the_client) for one in tools],
            forced=bool(tools) and (chosen is not None or self.choice == "required"),
            tokens=None if self.tokens == "inf" else self.tokens,
            **fields,
        )


async def _run_by_the_client(**_: Any) -> str:
    raise AssertionError("a client's tool is run by the client")


def default(voice: str, prompt: str) -> SessionConfig:
    """Return the fields of a session that says nothing.

    Args:
        prompt: what the language model of the house is told.
    """
    return SessionConfig(instructions=prompt, audio=Audio(output=AudioOutput(voice=voice)))


def updated(config: SessionConfig, change: Mapping[str, Any], engines: Engines) -> SessionConfig:
    """Return the fields after a partial update.

    Raises:
        Refusal: a field is not known, or cannot be what it is asked to be.
    """
    asked = {key: value for key, value in change.items() if key not in ("id", "object", "expires_at", "client_secret")}
    if asked.get("type", config.type) == "transcription":
        _check_listening(asked)
    if isinstance(asked.get("tools"), list) and any(
        isinstance(one, dict) and one.get("type") == "mcp" for one in asked["tools"]
    ):
        raise Refusal("unsupported", "session.tools: MCP servers are not called from here", "session.tools")
    try:
        new = SessionConfig.model_validate(_merged(config.model_dump(), asked))
    except ValidationError as error:
        raise refusal_of(error, "session", _TAGS) from None
    new.audio.output.voice = voice_of(new.audio.output.voice, engines, "session.audio.output.voice")
    if asked.get("tool_choice") is None:
        new.tool_choice = _still(new.tool_choice, new.tools)
    _check_languages(new, engines)
    _check_choice(new.tool_choice, new.tools, "session.tool_choice")
    return new


def wished(config: SessionConfig, asked: Mapping[str, Any], engines: Engines, house_prompt: str) -> tuple[Wish, Shape]:
    """Return what a `response.create` wishes, and the shape that its response has.

    Raises:
        Refusal: a field is not known, or cannot be what it is asked to be.
    """
    try:
        wish = Wish.model_validate(dict(asked))
    except ValidationError as error:
        raise refusal_of(error, "response", _TAGS) from None
    tools = config.tools if wish.tools is None else wish.tools
    choice = wish.tool_choice or _still(config.tool_choice, tools)
    _check_choice(choice, tools, "response.tool_choice")
    modalities = wish.output_modalities or config.output_modalities
    output = wish.audio.output if wish.audio is not None and wish.audio.output is not None else Wish.Output()
    form = output.format or config.audio.output.format
    known = {one.name for one in engines.synthesizer.voices}
    session_voice = config.audio.output.voice if config.audio.output.voice in known else None  # the house may change
    voice = voice_of(output.voice or session_voice, engines, "response.audio.output.voice")
    instructions = config.instructions if wish.instructions is None else wish.instructions
    shape = Shape(
        aloud="audio" in modalities,
        kind=form.type,
        voice=voice,
        speed=config.audio.output.speed,
        instructions=instructions,
        tools=tools,
        choice=choice,
        tokens=wish.max_output_tokens or config.max_output_tokens,
        own=bool(tools) or instructions != house_prompt or wish.input is not None,
        metadata=wish.metadata,
    )
    return wish, shape


def voice_of(asked: str | VoiceId | None, engines: Engines, place: str) -> str:
    """Return the voice that is meant.

    Raises:
        Refusal: there is none of that name.
    """
    name = asked.id if isinstance(asked, VoiceId) else asked
    known = [voice.name for voice in engines.synthesizer.voices]
    if name in known:
        return str(name)
    if name is None or name in OPENAI_VOICES:
        return known[0] if known else ""
    raise Refusal("invalid_value", f"{place}: there is no voice {name!r}, only {', '.join(known)}", place)


def _check_listening(asked: Mapping[str, Any]) -> None:
    """See that a transcription session is asked for nothing but what it has."""
    audio = asked.get("audio")
    inner = {f"audio.{key}" for key in audio if key != "input"} if isinstance(audio, Mapping) else set()
    for name in sorted({*asked} - {"type", "audio", "include"} | inner):
        place = f"session.{name}"
        raise Refusal("unknown_parameter", f"{place}: a transcription session has no such field", place)


def _check_languages(config: SessionConfig, engines: Engines) -> None:
    wanted = config.audio.input.transcription
    if wanted is None or not wanted.language:
        return
    known = engines.transcriber.languages
    if wanted.language not in known:
        place = "session.audio.input.transcription.language"
        only = ", ".join(sorted(known))
        raise Refusal("invalid_value", f"{place}: {engines.transcriber.name} does not know it, only {only}", place)


def _still(choice: ToolChoice, tools: Sequence[Function]) -> ToolChoice:
    """Return a choice that was made among other functions, as far as it can be made among these."""
    return "auto" if isinstance(choice, Choice) and choice.name not in {tool.name for tool in tools} else choice


def _check_choice(choice: ToolChoice, tools: Sequence[Function], place: str) -> None:
    if isinstance(choice, Choice) and choice.name not in {tool.name for tool in tools}:
        raise Refusal("invalid_value", f"{place}: there is no function {choice.name!r}", place)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        merged[key] = value
        if isinstance(before, dict) and isinstance(value, dict) and key not in _WHOLE:
            kind = before.get("type")
            if value.get("type", kind) == kind:
                merged[key] = _merged(before, value)
    return merged
