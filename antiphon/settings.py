"""Every setting of both programs, typed, with its default, its bounds and its reason.

Values come, strongest first, from `ANTIPHON__SECTION__KEY` variables, `ANTIPHON__SECTION__KEY_FILE` (a file that holds
the value: secrets), the YAML file, and the defaults here. A wrong value raises `SettingsError`, whose message names the
file, the line, the key and what was expected.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
"""The checkout that this package runs from (an editable install), where `config.yaml` is shipped."""

PREFIX = "ANTIPHON__"


class SettingsError(Exception):
    """The settings cannot be used; each line of the message is one sentence about one value."""


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Port = Annotated[int, Field(ge=0, le=65535)]


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("expected an address or network, such as 100.64.0.0/10") from None
    return text


def _address(text: str) -> str:
    host, _, port = text.removeprefix("tcp://").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("expected an address such as tcp://192.168.1.20:10700")
    return f"tcp://{host}:{port}"


Address = Annotated[str, AfterValidator(_address)]


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    """auto: console on a terminal, JSON lines otherwise."""
    transcripts: bool = False
    """Whether what people said, and what was answered, may stand in the log."""


class Network(Section):
    host: str = ""
    """The interface to listen on; empty: every interface, IPv4 and IPv6."""
    allow: list[Annotated[str, AfterValidator(_network)]] = []
    """Who may connect besides this machine and private networks."""
    zeroconf: bool = True
    """Announce the services, and look for satellites, over mDNS."""
    connections: int = Field(64, ge=1, le=4096)
    """At most this many connections per port."""


class Endpoint(Section):
    enabled: bool = True
    port: Port


class Endpoints(Section):
    asr: Endpoint = Endpoint(port=10300)
    tts: Endpoint = Endpoint(port=10200)
    handle: Endpoint = Endpoint(port=10500)
    vad: Endpoint = Endpoint(port=10600)


class Stt(Section):
    engine: Literal["faster_whisper"] = "faster_whisper"
    model: str = "embedded"
    """`embedded` (Whisper tiny, English), a size such as `small`, or the folder of a CTranslate2 model."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "auto"
    """auto: int8 on a CPU, float16 on CUDA."""
    threads: int = Field(0, ge=0, le=256)
    """0: as many as the machine has cores, at most 4."""
    hints: list[str] = []
    """Names and words that are often said here."""


class Llm(Section):
    engine: Literal["embedded", "ollama"] = "embedded"
    model: str = ""
    """embedded: the path of a GGUF file, or empty for the one that is bundled. ollama: the model's name."""
    url: str = "http://127.0.0.1:11434"
    """Where the server is (not for embedded)."""
    api_key: SecretStr | None = None
    """Sent as a bearer token; better kept in a file: `api_key_file`."""
    context: int = Field(4096, ge=512, le=1_048_576)
    """Tokens that prompt, history and reply may take together."""
    reply_tokens: int = Field(400, ge=1, le=32_768)
    """The longest reply."""
    temperature: float = Field(0.3, ge=0, le=2)
    threads: int = Field(0, ge=0, le=256)


class Tts(Section):
    engine: Literal["piper"] = "piper"
    voice: str = "embedded"
    """`embedded` (en_US joe), or the path of a Piper voice (.onnx with its .onnx.json beside it)."""
    speaker: str = ""
    """One of the voice's speakers; empty: its first."""
    speed: float = Field(1.0, ge=0.25, le=4)
    threads: int = Field(0, ge=0, le=256)


class Turn(Section):
    soft_end_ms: int = Field(200, ge=64, le=2000)
    """Silence after which a draft is begun."""
    silence_ms: int = Field(600, ge=100, le=5000)
    """Silence that ends a turn."""
    longest_s: float = Field(60, ge=1, le=600)
    """A turn is answered at the latest after this much sound."""
    no_speech_s: float = Field(8, ge=1, le=60)
    """A turn in which nobody begins to speak ends after this."""
    speculate: Literal["off", "transcript", "reply", "speech"] = "speech"
    """How far a draft may go before the turn is over."""


class Conversation(Section):
    prompt: str = ""
    """What the language model is told first; empty: a prompt in the language of the house."""
    history_tokens: int = Field(1500, ge=0, le=1_000_000)
    reset_after_s: float = Field(300, ge=1)
    """Silence after which a conversation is forgotten."""


class Deadlines(Section):
    stt_s: float = Field(15, gt=0)
    llm_first_s: float = Field(20, gt=0)
    llm_next_s: float = Field(10, gt=0)
    tts_first_s: float = Field(10, gt=0)
    reply_s: float = Field(300, gt=0)
    """The longest reply, in seconds of speech."""
    connect_s: float = Field(5, gt=0)
    """Connecting to a satellite or server."""


class Satellites(Section):
    discover: bool = True
    """Drive every satellite that mDNS finds and nobody else drives."""
    known: list[Address] = []
    """Satellites that mDNS does not find."""


class Wake(Section):
    engine: Literal["microwakeword", "openwakeword"] = "microwakeword"
    words: list[str] = ["okay_nabu"]
    """Names of bundled models (okay_nabu, hey_jarvis, alexa, hey_mycroft), or paths of models of your own."""


class Sound(Section):
    input: str = ""
    """The microphone, by a part of its name or its number; empty: the system's default."""
    output: str = ""
    volume: int = Field(80, ge=0, le=100)
    cues: bool = True
    """Short sounds for heard, thinking, failed and timer."""


class Hooks(Section):
    """Commands that are run when something happens; the event's data is on their standard input as JSON."""

    idle: str = ""
    wake: str = ""
    streaming: str = ""
    waiting: str = ""
    speaking: str = ""
    transcript: str = ""
    muted: str = ""
    unmuted: str = ""
    timer: str = ""
    connected: str = ""
    disconnected: str = ""
    error: str = ""


class Satellite(Section):
    name: str = ""
    """What it is called; empty: the host's name."""
    area: str = ""
    """The room, for Home Assistant."""
    port: Port = 10700
    start: Literal["wake", "voice", "button"] = "wake"
    """What starts a turn."""
    wake: Wake = Wake()
    sound: Sound = Sound()
    hooks: Hooks = Hooks()
    follow_up: bool = True
    """Listen again without a wake word when the reply asks something."""
    follow_up_s: float = Field(5, ge=1, le=30)
    muted: bool = False
    """Start muted."""
    controller: str = ""
    """Who may drive it, when several would: a host, or `antiphon/…`; empty: Home Assistant before a daemon."""


class Settings(BaseSettings):
    """All of it. Made by `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, case_sensitive=False
    )

    language: str = Field("en", pattern=r"^[a-z]{2,3}$")
    """The language of the house, an ISO 639 code."""
    log: Log = Log()
    network: Network = Network()
    endpoints: Endpoints = Endpoints()
    stt: Stt = Stt()
    llm: Llm = Llm()
    tts: Tts = Tts()
    turn: Turn = Turn()
    conversation: Conversation = Conversation()
    deadlines: Deadlines = Deadlines()
    satellites: Satellites = Satellites()
    satellite: Satellite = Satellite()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment is stronger than the file, which is handed in as arguments."""
        return env_settings, init_settings


def locate(explicit: str | None = None) -> Path | None:
    """Return the file to read: the one named, `ANTIPHON_CONFIG`, the user's, the system's, or the shipped one."""
    named = explicit or os.environ.get("ANTIPHON_CONFIG")
    if named:
        return Path(named).expanduser()
    places = (
        Path(platformdirs.user_config_dir("antiphon")) / "config.yaml",
        Path("/etc/antiphon/config.yaml"),
        ROOT / "config.yaml",
    )
    return next((place for place in places if place.is_file()), None)


def load(explicit: str | None = None) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: the file cannot be read, or a value is wrong.
    """
    path = locate(explicit)
    document: dict[str, Any] = {}
    lines: dict[tuple[str, ...], int] = {}
    if path is not None:
        document, lines = _read(path)
    secrets = dict(_secret_variables())
    _refuse_unknown_variables()
    _merge(document, secrets)
    try:
        return Settings(**document)
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(error, path, lines))) from None
    except Exception as error:  # pydantic-settings raises its own for a variable that is not JSON where it must be
        raise SettingsError(f"environment: {error}") from None


def state_dir() -> Path:
    """Return the folder for what must outlive a restart (names, identities), made if need be."""
    path = Path(os.environ.get("ANTIPHON_STATE") or platformdirs.user_state_dir("antiphon"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def keys(model: type[BaseModel] = Settings, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every setting as (path, default)."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            for path, value in keys(type(default), (*prefix, name)):
                yield path, _dig(default, path[len(prefix) + 1 :], value)
        else:
            yield (*prefix, name), default


def _dig(section: BaseModel, path: tuple[str, ...], fallback: Any) -> Any:
    value: Any = section
    for name in path:
        value = getattr(value, name, fallback)
    return value


def _read(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not a text file (UTF-8)") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path}:{line}: is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not YAML: {error}") from None
    if document is None:
        return {}, {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path}:1: expected sections such as `stt:`, got {type(document).__name__}")
    lines = dict(_lines(node, ()))
    _read_secret_files(document, Settings, path, lines, ())
    return document, lines


def _lines(node: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*at, str(index))
            yield here, value.start_mark.line + 1
            yield from _lines(value, here)


def _read_secret_files(
    section: dict[str, Any],
    model: type[BaseModel],
    path: Path,
    lines: Mapping[tuple[str, ...], int],
    at: tuple[str, ...],
) -> None:
    """Replace `x_file: PATH` by `x: what the file holds` wherever x is a secret."""
    for name, field in model.model_fields.items():
        value = section.get(name)
        default = field.get_default(call_default_factory=True)
        if isinstance(value, dict) and isinstance(default, BaseModel):
            _read_secret_files(value, type(default), path, lines, (*at, name))
        if SecretStr in getattr(field.annotation, "__args__", ()) and f"{name}_file" in section:
            source = Path(str(section.pop(f"{name}_file"))).expanduser()
            line = lines.get((*at, f"{name}_file"), 1)
            section[name] = _secret(source, f"{path}:{line}: {'.'.join((*at, name))}_file")


def _secret(source: Path, who: str) -> str:
    try:
        return source.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{who}: {source} cannot be read: {getattr(error, 'strerror', error)}") from None


def _secret_variables() -> Iterator[tuple[tuple[str, ...], str]]:
    known = {path for path, _ in keys()}
    for variable, value in os.environ.items():
        path = _path_of(variable.removesuffix("_FILE")) if variable.upper().endswith("_FILE") else ()
        if path and path in known:
            yield path, _secret(Path(value).expanduser(), variable)


def _refuse_unknown_variables() -> None:
    """A variable with our prefix that names no setting is a typing error, and is said to be one."""
    known = {path for path, _ in keys()}
    for variable in os.environ:
        path = _path_of(variable)
        whole = path and (path in known or any(key[: len(path)] == path for key in known))
        if path and not whole and _path_of(variable.removesuffix("_FILE")) not in known:
            names = [PREFIX + "__".join(key).upper() for key in known]
            raise SettingsError(f"environment: {variable} is no setting{_nearest(variable.upper(), names)}")


def _path_of(variable: str) -> tuple[str, ...]:
    if not variable.upper().startswith(PREFIX):
        return ()
    return tuple(variable[len(PREFIX) :].lower().split("__"))


def _merge(document: dict[str, Any], values: Mapping[tuple[str, ...], Any]) -> None:
    for path, value in values.items():
        section = document
        for name in path[:-1]:
            inner = section.get(name)
            if not isinstance(inner, dict):
                inner = section[name] = {}
            section = inner
        section[path[-1]] = value


def _sentences(error: ValidationError, path: Path | None, lines: Mapping[tuple[str, ...], int]) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        at = tuple(str(part) for part in fault["loc"])
        dotted = ".".join(at)
        variable = PREFIX + "__".join(at).upper()
        where = variable if variable in {name.upper() for name in os.environ} else _where(path, lines, at)
        if fault["type"] == "extra_forbidden":
            names = [key[len(at) - 1] for key, _ in keys() if len(key) >= len(at) and key[: len(at) - 1] == at[:-1]]
            yield f"{where}: {dotted} is no setting{_nearest(at[-1], names)}"
        else:
            expected = fault["msg"].removeprefix("Value error, ")
            expected = expected.replace("Input should be", "expected").replace("String should", "expected text that should")
            yield f"{where}: {dotted}: {expected}, got {fault['input']!r}"


def _where(path: Path | None, lines: Mapping[tuple[str, ...], int], at: tuple[str, ...]) -> str:
    for length in range(len(at), 0, -1):
        if at[:length] in lines:
            return f"{path}:{lines[at[:length]]}"
    return str(path) if path else "settings"


def _nearest(word: str, names: list[str]) -> str:
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""
