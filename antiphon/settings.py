"""Every setting of both programs, typed, with its default, its bounds and its reason.

`configuration.py` reads them. `config.yaml` at the root of the repository shows each with its default and a comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from antiphon.places import at_home

PREFIX = "ANTIPHON__"
"""What the variables of the environment that set a setting begin with."""
OWN_SATELLITE = "ANTIPHON_OWN_SATELLITE"
"""The environment variable by which `up` tells its daemon where its satellite is: no setting, which it would outdo."""


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Port = Annotated[int, Field(ge=0, le=65535)]
Off = BeforeValidator(lambda given: "off" if given is False else given)
"""YAML reads `off` as false."""
Norwegian = BeforeValidator(lambda given: "no" if given is False else given)
"""YAML reads `no`, the code of a language, as false."""
FilePath = Annotated[str, AfterValidator(lambda text: str(at_home(text)) if text else text)]
"""The path of a file, `~` being a home folder; empty: none."""


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


def _web(text: str) -> str:
    if not text:
        return text
    try:
        parts = urlsplit(text if "//" in text else f"http://{text}")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(one.isspace() for one in text):
        raise ValueError("expected an address such as http://192.168.1.20:8000")
    return text


WebAddress = Annotated[str, AfterValidator(_web)]


def _service(text: str) -> str:
    return _web(text) if not text or text.startswith(("http://", "https://")) else _address(text)


Service = Annotated[str, AfterValidator(_service)]


def _fitting(engine: str, url: str) -> None:
    """Check that the address of an engine is of the kind that it speaks.

    Raises:
        ValueError: it is not.
    """
    web = url.startswith("http")
    if url and engine == "wyoming" and web:
        raise ValueError("expected an address such as tcp://192.168.1.20:10300 as url of the engine wyoming")
    if url and engine == "openai_api" and not web:
        raise ValueError("expected an address such as http://192.168.1.20:8000/v1 as url of the engine openai_api")


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
    wake: Endpoint = Endpoint(port=10400)

    @model_validator(mode="before")
    @classmethod
    def _own_ports(cls, given: Any) -> Any:
        """Let an endpoint that is only switched off, or on, keep its own port."""
        if not isinstance(given, dict):
            return given
        ports = {name: field.default.port for name, field in cls.model_fields.items()}
        return {
            name: {"port": ports[name], **value} if name in ports and isinstance(value, dict) else value
            for name, value in given.items()
        }

    @model_validator(mode="after")
    def _apart(self) -> Endpoints:
        taken: dict[int, str] = {}
        for name, endpoint in self:
            other = taken.setdefault(endpoint.port, name) if endpoint.enabled and endpoint.port else name
            if other != name:
                raise ValueError(f"expected a port of its own for each: {other} and {name} have {endpoint.port}")
        return self


class Gateway(Section):
    enabled: bool = True
    """Whether browsers and programs are served over HTTP and WebSockets."""
    host: str = "127.0.0.1"
    """The interface to listen on; empty: every interface. Any but this machine's own needs a token."""
    port: Port = 8000
    token: SecretStr | None = None
    """What clients must show; none, and a host beyond this machine: one is made and kept in the state folder."""
    origins: list[str] = []
    """Web pages of other hosts that may connect, such as https://house.example:8443."""
    proxies: list[Annotated[str, AfterValidator(_network)]] = []
    """Addresses and networks of reverse proxies, whose `X-Forwarded-For`, `-Proto` and `-Host` are believed."""
    certificate: FilePath = ""
    """A certificate (PEM) with its chain: HTTPS and WSS alone are then served."""
    key: FilePath = ""
    """Its private key (PEM); empty: in the same file."""
    sessions: int = Field(64, ge=1, le=1024)
    """At most so many WebSockets at once."""
    frame_bytes: int = Field(1_048_576, ge=1024, le=8_388_608)
    """The longest message of a WebSocket."""
    bytes_per_s: int = Field(64_000, ge=32_000, le=16_000_000)
    """What one WebSocket may bring, beyond a burst of a minute of speech; speech is 32 000."""
    transcripts: bool = False
    """Whether the dashboard shows what was said and answered in the last turns; else nobody keeps it."""


class Stt(Section):
    engine: Literal[
        "faster_whisper", "mlx_whisper", "openai_whisper", "vosk", "sherpa_onnx", "openai_api", "wyoming", "auto"
    ] = "faster_whisper"
    """auto: what fits the machine, what is installed and the language."""
    url: Service = ""
    """wyoming: where the service is, such as tcp://192.168.1.20:10300. openai_api: http://192.168.1.20:8000/v1."""
    api_key: SecretStr | None = None
    """openai_api: sent as a bearer token; better kept in a file: `api_key_file`."""
    ca_file: str = ""
    """openai_api: the certificate (PEM) of whoever signed the server's, where the system does not know them."""
    model: str = "embedded"
    """`embedded` (Whisper tiny, English), a size such as `small`, or the folder of a CTranslate2 model. mlx_whisper:
    `embedded`, a pulled Whisper, or the folder of a model in mlx-whisper's form or CTranslate2's. openai_whisper: a
    size, or a .pt file. vosk, sherpa_onnx: the folder of its model; `embedded`: the one that a package brings for the
    house's language (vosk). wyoming, openai_api: one of the service's models; `embedded`: its own choice."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "auto"
    """auto: int8 on a CPU (openai_whisper: float32), float16 on CUDA. mlx_whisper: float16 or float32."""
    threads: int = Field(0, ge=0, le=256)
    """0: as many as the machine has cores, at most 4."""
    hints: list[str] = []
    """Names and words that are often said here."""

    @model_validator(mode="after")
    def _fitting_url(self) -> Stt:
        _fitting(self.engine, self.url)
        return self


LlmEngine = Literal["embedded", "ollama", "openai_api", "homeassistant", "auto"]
SHARED = ("context", "reply_tokens", "temperature", "threads", "think", "conversations")
"""What an engine of `llm.fallback` takes over from the first one, unless it says otherwise."""


def as_chain(given: Any) -> Any:
    """Return `llm` as one section: a list is its first engine with the others as its fallback, a name its engine."""
    if isinstance(given, str):
        return {"engine": given}
    if isinstance(given, list) and given:
        first, others = as_chain(given[0]), given[1:]
        return {**first, "fallback": [*(first.get("fallback") or ()), *others]} if isinstance(first, dict) else first
    return given


class Llm(Section):
    engine: LlmEngine = "embedded"
    """auto: Ollama if it answers, else embedded."""
    model: str = ""
    """embedded: the path of a GGUF file, empty: the one that is bundled. ollama, openai_api: the model's name; empty:
    one that the server has. homeassistant: the agent's id, empty: its own agent."""
    url: WebAddress = ""
    """Where the server is; empty: Ollama on this machine."""
    api_key: SecretStr | None = None
    """Sent as a bearer token; better kept in a file: `api_key_file`."""
    organization: str = ""
    """openai_api: whom OpenAI is to bill."""
    headers: dict[str, str] = {}
    """Sent with each request to a server."""
    body: dict[str, Any] = {}
    """openai_api: further fields of each request; they win over ours."""
    options: dict[str, Any] = {}
    """ollama: further options of the model; they win over ours."""
    keep_alive: str | int = "30m"
    """ollama: how long the model stays loaded after a reply; -1: for ever."""
    ca_file: str = ""
    """The certificate (PEM) of whoever signed the server's, where the system does not know them."""
    think: bool | Literal["low", "medium", "high"] = False
    """Whether the model may think before it answers; its thoughts are never spoken."""
    context: int = Field(4096, ge=512, le=1_048_576)
    """Tokens that prompt, history and reply may take together."""
    conversations: int = Field(4, ge=1, le=16)
    """embedded: how many are answered at the same time, and keep their prompts; each takes memory for its context."""
    reply_tokens: int = Field(400, ge=1, le=32_768)
    """The longest reply."""
    temperature: float = Field(0.3, ge=0, le=2)
    threads: int = Field(0, ge=0, le=256)
    fallback: list[Llm] = []
    """Who answers when this one does not, in this order: names of engines, or sections like this one."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: Any) -> Any:
        section = as_chain(given)
        if isinstance(section, (dict, Llm)):
            return section
        raise ValueError("expected the name of an engine, a section, or a list of these")

    @field_validator("fallback")
    @classmethod
    def _flat(cls, engines: list[Llm]) -> list[Llm]:
        if any(one.fallback for one in engines):
            raise ValueError("expected engines without a fallback of their own: list them one after the other")
        return engines

    @property
    def chain(self) -> list[Llm]:
        """The engines in the order they are asked, each a section of its own; `auto` stands for two."""
        engines = [self.model_copy(update={"fallback": []})]
        for one in self.fallback:
            shared = {name: getattr(self, name) for name in SHARED if name not in one.model_fields_set}
            engines.append(one.model_copy(update=shared))
        return [engine for one in engines for engine in one._spelled_out()]

    def _spelled_out(self) -> list[Llm]:
        if self.engine != "auto":
            return [self]
        file = self.model if self.model.endswith(".gguf") else ""
        ollama = self.model_copy(update={"engine": "ollama", "model": "" if file else self.model})
        return [ollama, self.model_copy(update={"engine": "embedded", "model": file})]


NO_STYLETTS2 = (
    "styletts2 cannot be had: none of its packages is kept, and they need versions that nothing else here can use; "
    "take Kokoro, which is built like it, or run it as a service (openai_api, wyoming), see docs/engines.md"
)


class Tts(Section):
    engine: Literal["piper", "kokoro", "supertonic", "espeak", "coqui", "openai_api", "wyoming", "auto"] = "piper"
    """auto: what fits what is installed and the language."""
    url: Service = ""
    """wyoming: where the service is, such as tcp://192.168.1.20:10200. openai_api: http://192.168.1.20:8000/v1."""
    api_key: SecretStr | None = None
    """openai_api: sent as a bearer token; better kept in a file: `api_key_file`."""
    ca_file: str = ""
    """openai_api: the certificate (PEM) of whoever signed the server's, where the system does not know them."""
    model: str = ""
    """openai_api: the model's name; empty: the one that the server has."""
    voice: str = "embedded"
    """`embedded` (en_US joe), or the path of a Piper voice (.onnx with its .onnx.json beside it). espeak: a voice such
    as `en-us`; `embedded`: the one of the house's language. kokoro, supertonic: a pulled model, or its folder;
    `embedded`: the first of the catalogue. coqui: a name such as `tts_models/en/ljspeech/vits`, a model's folder or
    its .pth. wyoming, openai_api: one of the service's voices; `embedded`: its own choice."""
    speaker: str = ""
    """One of the voice's speakers; empty: its first. espeak: a variant, such as `f2`. kokoro, supertonic: one of the
    model's voices, such as `af_heart`, `F1`."""
    speed: float = Field(1.0, ge=0.25, le=4)
    threads: int = Field(0, ge=0, le=256)

    @field_validator("engine", mode="before")
    @classmethod
    def _one_that_can_be_had(cls, engine: Any) -> Any:
        if engine == "styletts2":
            raise ValueError(NO_STYLETTS2)
        return engine

    @model_validator(mode="after")
    def _fitting_url(self) -> Tts:
        _fitting(self.engine, self.url)
        return self


class Thresholds(Section):
    """How sure one must be of a turn's end in one language."""

    likely: float = Field(0.75, gt=0, le=1)
    unlikely: float = Field(0.35, ge=0, lt=1)


class Turn(Section):
    model: Literal["smart_turn", "silence"] = "smart_turn"
    """What tells how likely a turn is over: Smart Turn and the words, or (`silence`) nothing."""
    soft_end_ms: int = Field(100, ge=64, le=2000)
    """Silence after which a draft is begun."""
    likely_ms: int = Field(500, ge=100, le=5000)
    """Silence that ends a turn which is believed over."""
    unknown_ms: int = Field(750, ge=100, le=5000)
    """Silence that ends a turn when nothing tells whether it is over."""
    silence_ms: int = Field(890, ge=100, le=5000)
    """Silence that ends every turn."""
    likely: float = Field(0.75, gt=0, le=1)
    """Probability from which a turn is believed over."""
    unlikely: float = Field(0.35, ge=0, lt=1)
    """Probability below which it is believed unfinished; in between, the silence is in between."""
    languages: dict[str, Thresholds] = {}
    """Other probabilities for single languages."""
    longest_s: float = Field(60, ge=1, le=600)
    """A turn is answered at the latest after this much sound."""
    no_speech_s: float = Field(8, ge=1, le=60)
    """A turn in which nobody begins to speak ends after this."""
    speculate: Annotated[Literal["off", "transcript", "reply", "speech"], Off] = "speech"
    """How far a draft may go before the turn is over."""
    one_moment_s: float = Field(2.5, ge=0, le=60)
    """"One moment" is said when so long after the end of speech the reply has no sound yet; 0: never."""


class Conversation(Section):
    prompt: str = ""
    """What the language model is told first; empty: a prompt in the language of the house."""
    names: list[str] = []
    """Names of rooms and devices of this house, which the language model is told after that."""
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
    assistants: Literal["one", "each"] = "one"
    """Whether each word calls an assistant of its own: a satellite to Home Assistant, on ports one after another."""


class Sound(Section):
    input: str = Field("", coerce_numbers_to_str=True)
    """The microphone, by a part of its name or its number; empty: the system's default."""
    output: str = Field("", coerce_numbers_to_str=True)
    volume: int = Field(80, ge=0, le=100)
    cues: bool = True
    """Short sounds for heard, thinking, failed and timer."""
    echo_cancellation: bool = True
    """Take what the speaker plays out of the microphone's sound; off only where the device does it itself."""
    noise_suppression: bool = False
    """Take steady noise out of what is sent."""
    auto_gain: bool = False
    """Bring quiet voices to an even level in what is sent."""


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
    sound: str = ""
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
    barge_in: Annotated[Literal["voice", "wake", "off"], Off] = "voice"
    """What interrupts a reply, besides the button: a voice and wake words, wake words alone, or nothing."""
    barge_in_ms: int = Field(200, ge=100, le=2000)
    """Speech that lasts so long interrupts; what is shorter only makes the reply pause."""
    muted: bool = False
    """Start muted."""
    controller: str = ""
    """Who may drive it, when several would: a host, or `antiphon/…`; empty: Home Assistant before a daemon."""


class Models(Section):
    mirror: str = Field("https://huggingface.co", pattern=r"^https?://[^\s]+$")
    """Where `antiphon models pull` fetches from: the hub, or a mirror with the same paths."""


class HomeAssistant(Section):
    control: bool = True
    """Hand what concerns the house (lights, covers, climate, media, lists) to the Home Assistant that asks."""
    url: str = ""
    """Where Home Assistant is, such as http://homeassistant.local:8123, for what needs a token."""
    token: SecretStr | None = None
    """A long-lived access token, better kept in a file: `token_file`."""
    ca_file: str = ""
    """The certificate (PEM) of whoever signed Home Assistant's, where the system does not know them."""
    names_told: bool = True
    """Tell the language model the names of the rooms and of the devices that are exposed to Assist."""
    names_heard: bool = False
    """Give them to speech to text, too."""


class Settings(BaseSettings):
    """All of it. Made by `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, case_sensitive=False
    )

    language: Annotated[str, Norwegian] = Field("en", pattern=r"^[a-z]{2,3}$")
    """The language of the house, an ISO 639 code."""
    log: Log = Log()
    network: Network = Network()
    endpoints: Endpoints = Endpoints()
    gateway: Gateway = Gateway()
    stt: Stt = Stt()
    llm: Llm = Llm()
    tts: Tts = Tts()
    models: Models = Models()
    turn: Turn = Turn()
    conversation: Conversation = Conversation()
    home_assistant: HomeAssistant = HomeAssistant()
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
        """The environment is stronger than the file, which comes as arguments with what `_FILE` variables hold."""
        if isinstance(env_settings, EnvSettingsSource):
            own = env_settings.env_vars
            known = {f"{PREFIX}{'__'.join(path)}".lower() for path, _ in keys()}  # of which some end so: `ca_file`
            env_settings.env_vars = {
                name: value for name, value in own.items() if not name.endswith("_file") or name in known
            }
        return env_settings, init_settings


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
