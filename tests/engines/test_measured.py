"""What is kept of measurements, and what of it is believed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from antiphon_daemon.engines import measured
from antiphon_daemon.engines.measured import Speed

TINY = Speed(stage="stt", engine="espeak", model="a", language="en", ms=90)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where measurements are kept."""
    monkeypatch.setenv("ANTIPHON_STATE", str(tmp_path / "state"))
    return measured.file()


def test_nothing_measured_is_nothing_to_say() -> None:
    assert measured.read() == ((), "")


def test_what_is_measured_again_takes_the_place_of_what_was_before(kept: Path) -> None:
    korean = TINY.model_copy(update={"language": "ko", "ms": 120})
    measured.add([TINY])
    measured.add([korean])
    measured.add([TINY.model_copy(update={"ms": 80})])
    assert measured.read() == ((TINY.model_copy(update={"ms": 80}), korean), "")
    assert [path.name for path in kept.parent.iterdir()] == ["measured.json"]
    assert "machine" in json.loads(kept.read_text())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"machine": "attic, Linux riscv64, 1 cores"}, r"another machine \(attic, Linux riscv64, 1 cores\) is ignored"),
        ({"format": 99}, "written by another version of Antiphon and is ignored"),
        ({"measured": (datetime.now(UTC) - timedelta(days=200)).isoformat()}, "is too old and is ignored"),
        ({"speeds": "many"}, "is no measurement and is ignored"),
        ({"measured": "2026-01-01T00:00:00"}, "is no measurement and is ignored"),
        ({"speeds": [{**TINY.model_dump(), "ms": float("nan")}]}, "is no measurement and is ignored"),
        ({"speeds": [{**TINY.model_dump(), "ms": -1}]}, "is no measurement and is ignored"),
        ({"speeds": [{**TINY.model_dump(), "version": "0.1"}]}, "with another version of espeak is ignored"),
    ],
)
def test_a_wrong_or_old_file_is_ignored_with_a_sentence(kept: Path, changes: dict[str, Any], says: str) -> None:
    measured.add([TINY])
    kept.write_text(json.dumps(json.loads(kept.read_text()) | changes))
    speeds, why = measured.read()
    assert speeds == ()
    assert re.search(says, why)
    assert "antiphon models bench" in why
    measured.add([TINY])
    assert measured.read() == ((TINY,), ""), "measuring anew replaces it"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"null", b"<html>"])
def test_what_is_no_such_file_is_ignored(kept: Path, content: bytes) -> None:
    kept.write_bytes(content)
    assert measured.read()[0] == ()
    assert str(kept) in measured.read()[1]


@pytest.mark.parametrize(
    ("stage", "engine", "name"),
    [
        ("stt", "openai_whisper", "openai-whisper"),
        ("stt", "mlx_whisper", "mlx"),
        ("tts", "coqui", "coqui-tts"),
        ("tts", "piper", "piper-tts"),
    ],
)
def test_a_version_is_that_of_the_engines_own_package(
    stage: Literal["stt", "tts"], engine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "version", lambda asked: asked)
    assert measured.installed_version(stage, engine) == name


def test_engines_that_are_packages_have_a_version() -> None:
    assert measured.installed_version("stt", "faster_whisper")
    assert measured.installed_version("tts", "piper")
    assert measured.installed_version("tts", "espeak") == ""
    assert measured.installed_version("tts", "gone") == ""
