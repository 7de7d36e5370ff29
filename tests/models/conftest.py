"""A hub, a small model that lies there, and a keeper of models."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon_daemon.engines import models
from antiphon_daemon.engines.models import File, Model
from antiphon_daemon.models import fetching
from antiphon_daemon.models.keeping import Keeper
from models.hub import Hub

WEIGHTS = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + random.Random(7).randbytes(3_000_000)
NOTES = b'{"about": "a model for tests"}'


def tiny_model(**weights: object) -> Model:
    """Return a model of two files, what is known of its weights being `weights`."""
    files = (File.model_validate({"path": "deep/w.gguf", "kind": "gguf", **weights}), File(path="n.json", kind="json"))
    return Model(
        name="tiny-test",
        stage="llm",
        engine="embedded",
        languages=("en", "ko"),
        size_mb=3,
        licence="MIT",
        quality="none",
        speed="quick",
        source="maker/tiny",
        revision="abc",
        files=files,
    )


WEIGHTS_AT = "/maker/tiny/resolve/abc/deep/w.gguf"
NOTES_AT = "/maker/tiny/resolve/abc/n.json"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the model; pauses between tries are short."""
    monkeypatch.setattr(fetching, "PAUSE_S", 0.01)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    hub = Hub()
    hub.files = {WEIGHTS_AT: WEIGHTS, NOTES_AT: NOTES}
    yield hub
    hub.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models, none yet; the catalogue knows the model."""
    monkeypatch.setenv("ANTIPHON_STATE", str(tmp_path))
    monkeypatch.setattr(models, "SHARED", tmp_path / "shared")
    known = {**models.catalogue(), "tiny-test": tiny_model()}
    monkeypatch.setattr(models, "catalogue", lambda: known)
    return tmp_path / "models"


@pytest.fixture
def told() -> list[str]:
    """What the keeper said."""
    return []


@pytest.fixture
def keeper(folder: Path, told: list[str]) -> Keeper:
    return Keeper(folder, told.append)
