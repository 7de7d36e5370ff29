"""How quickly engines hear and speak on this machine: what `antiphon models bench` has measured, and keeps."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from antiphon.configuration import state_dir
from antiphon.cores import cores
from antiphon_daemon.engines import available

FORMAT = 1
HOLDS_DAYS = 180
"""Times are not believed for longer: systems, drivers and what else runs change."""
AGAIN = "antiphon models bench"
DISTRIBUTIONS = {"piper": "piper-tts", "whisper": "openai-whisper", "TTS": "coqui-tts"}
"""What packages are called in the index where it is not what is imported."""


class Speed(BaseModel):
    """How quickly one engine with one model does its work in one language."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stage: Literal["stt", "tts"]
    engine: str
    model: str
    """As `stt.model` or `tts.voice` name it."""
    language: str
    ms: float = Field(ge=0, allow_inf_nan=False)
    """The median. stt: from the end of an utterance to its transcript. tts: to the first sound of a short sentence."""
    rtf: float | None = Field(None, ge=0, allow_inf_nan=False)
    """tts: seconds of work for a second of sound."""
    wer: float | None = Field(None, ge=0, allow_inf_nan=False)
    cer: float | None = Field(None, ge=0, allow_inf_nan=False)
    """stt: the words, and the characters, that were heard wrongly, of those that were said."""
    version: str = ""
    """Of the engine's package; empty: it has none."""


class Measurement(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: int
    machine: str
    measured: AwareDatetime
    """When the last of it was."""
    speeds: tuple[Speed, ...]


def file() -> Path:
    """Return where measurements are kept."""
    return state_dir() / "measured.json"


def machine() -> str:
    """Return what this machine is called, and what it is."""
    return f"{platform.node()}, {platform.system()} {platform.machine()}, {cores()} cores"


def installed_version(stage: Literal["stt", "tts"], engine: str) -> str:
    """Return the version of the package that an engine runs on; empty: it has none."""
    for package in available.ENGINES[stage][engine].packages if engine in available.ENGINES[stage] else ():
        with contextlib.suppress(PackageNotFoundError):
            return version(DISTRIBUTIONS.get(package, package))
    return ""


def read() -> tuple[tuple[Speed, ...], str]:
    """Return what was measured on this machine, and a sentence (without its full stop) about what is ignored.

    A file that cannot be used is no error: there is nothing measured then.
    """
    try:
        kept = Measurement.model_validate_json(file().read_bytes())
    except FileNotFoundError:
        return (), ""
    except (OSError, ValidationError):
        return (), f"{file()} is no measurement and is ignored: {AGAIN} makes it anew"
    if kept.format != FORMAT:
        return (), f"{file()} was written by another version of Antiphon and is ignored: {AGAIN} makes it anew"
    if kept.machine != machine():
        return (), f"what was measured on another machine ({kept.machine}) is ignored: {AGAIN} measures this one"
    if datetime.now(UTC) - kept.measured > timedelta(days=HOLDS_DAYS):
        return (), f"what was measured on {kept.measured:%Y-%m-%d} is too old and is ignored: {AGAIN} measures anew"
    speeds = tuple(one for one in kept.speeds if one.version == installed_version(one.stage, one.engine))
    other = sorted({one.engine for one in kept.speeds} - {one.engine for one in speeds})
    says = f"what was measured with another version of {', '.join(other)} is ignored: {AGAIN} measures anew"
    return speeds, says if other else ""


def add(speeds: Iterable[Speed]) -> None:
    """Keep measurements beside those of other models and languages; the file is there whole or as it was.

    Raises:
        OSError: it cannot be written.
    """
    before, _ = read()
    kept: Mapping[tuple[str, ...], Speed] = {_key(one): one for one in (*before, *speeds)}
    now = datetime.now(UTC).replace(microsecond=0)
    whole = Measurement(format=FORMAT, machine=machine(), measured=now, speeds=tuple(kept.values()))
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(whole.model_dump_json(indent=1, exclude_none=True), encoding="utf-8")
    draft.replace(path)


def _key(one: Speed) -> tuple[str, ...]:
    return (one.stage, one.engine, one.model, one.language)
