"""The models that `antiphon models` can pull (`catalogue.yaml`), and those that it has pulled.

A pulled model is a folder with its files and `antiphon.json`, which says where they came from and what their hashes
are. It appears there whole or not at all.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from antiphon.configuration import state_dir
from antiphon_daemon.engines import available
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Stage
from antiphon_daemon.engines.stt.whisper_languages import LANGUAGES

SHARED = Path("/usr/local/share/antiphon/models")
"""Models for all users of this machine and for services of the system, which see no home folders."""
MANIFEST = "antiphon.json"
SETTINGS = {"stt": "stt.model", "llm": "llm.model", "tts": "tts.voice"}
"""The setting that names a stage's model."""

FOLDERS = frozenset({"faster_whisper", "kokoro", "supertonic"})
"""Engines that open a folder of files; others open the first file."""

Kind = Literal["ctranslate2", "gguf", "onnx", "json", "text", "floats"]


class File(BaseModel):
    """A file of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    """Where it lies in the hub's repository; its last part is its name here."""
    kind: Kind
    size: int | None = None
    """Bytes, where they are known for certain."""
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    md5: str | None = Field(None, pattern="^[0-9a-f]{32}$")
    """What its makers publish, where that is all they publish."""

    @property
    def name(self) -> str:
        """What the file is called here."""
        return self.path.rsplit("/", 1)[-1]


class Model(BaseModel):
    """A model of the catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    stage: Literal["stt", "llm", "tts"]
    engine: str
    languages: tuple[str, ...]
    """ISO 639 codes; `*`: a hundred, as Whisper knows them."""
    size_mb: int
    """About how much there is to pull, in millions of bytes."""
    licence: str
    quality: str
    speed: str
    source: str
    """The repository on the hub: owner/name."""
    revision: str = "main"
    files: tuple[File, ...]

    def knows(self, language: str) -> bool:
        """Whether it is meant for `language`."""
        return language in self.languages or ("*" in self.languages and language in LANGUAGES)

    def url(self, hub: str, file: File) -> str:
        """Return the address of `file` on a hub, or on a mirror that has the hub's paths."""
        return f"{hub.rstrip('/')}/{self.source}/resolve/{self.revision}/{file.path}"

    def opened(self, folder: Path) -> Path:
        """Return what its engine opens: the folder, or the first file."""
        return folder if self.engine in FOLDERS else folder / self.files[0].name


@cache
def catalogue() -> dict[str, Model]:
    """Return the models that can be pulled, by name; of a stage the first that knows a language is the one to offer."""
    entries = yaml.safe_load(Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8"))
    return {entry["name"]: Model(**entry) for entry in entries}


def own_folder() -> Path:
    """Return where this user's models are kept."""
    return state_dir() / "models"


def place(name: str) -> Path | None:
    """Return the folder of a pulled model, None where it is not here."""
    return next((folder / name for folder in (own_folder(), SHARED) if manifest(folder / name)), None)


def manifest(folder: Path) -> dict[str, Any] | None:
    """Return what is written down about the model in `folder`; None: there is none."""
    try:
        written = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return written if isinstance(written, dict) and isinstance(written.get("files"), dict) else None


def path(stage: Stage, name: str) -> Path | None:
    """Return where the model of the catalogue called `name` lies; None: the catalogue has no such name.

    Raises:
        EngineMissing: it was not pulled.
        EngineError: it is a model for another stage.
    """
    model = catalogue().get(name)
    if model is None:
        return None
    _same_stage(stage, model)
    folder = place(name)
    if folder is None:
        raise EngineMissing(stage, f"The model {name} is not here: fetch it with: antiphon models pull {name}")
    return model.opened(folder)


def same_engine(stage: Stage, name: str, engine: str) -> None:
    """Check that `name` is no model of the catalogue for another engine than `engine`.

    Raises:
        EngineError: it is.
    """
    model = catalogue().get(name)
    if model is not None:
        _same_stage(stage, model)
    if model is not None and model.engine != engine:
        says = f"{name} is a model for {model.engine}, not for {engine}: correct {stage}.engine or {SETTINGS[stage]}."
        raise EngineError(stage, says)


def _same_stage(stage: Stage, model: Model) -> None:
    if model.stage != stage:
        says = f"{model.name} belongs into {SETTINGS[model.stage]}, not into {SETTINGS[stage]}: correct config.yaml."
        raise EngineError(stage, says)


def offer(stage: Stage, language: str) -> str:
    """Return the command that brings a model for `language`, or brings one that is here into use; empty: none is known.

    It reads on after a sentence: "…: antiphon models pull whisper-small && antiphon models use whisper-small".
    """
    fitting = [model.name for model in catalogue().values() if model.stage == stage and model.knows(language)]
    here = next((name for name in fitting if place(name)), None)
    if here:
        return f"antiphon models use {here}"
    if not fitting:
        return ""
    engine = catalogue()[fitting[0]].engine
    brings = f"{available.brings(stage, engine)} && " if available.missing(stage, engine) else ""
    return f"{brings}antiphon models pull {fitting[0]} && antiphon models use {fitting[0]}"
