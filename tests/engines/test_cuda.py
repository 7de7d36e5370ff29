"""Hearing on a GPU of NVIDIA's, and on the CPU where a GPU is there and cannot be used."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ctranslate2
import pytest
from structlog.testing import capture_logs

from antiphon.audio.pcm import Samples
from antiphon.settings import Settings, Stt
from antiphon_daemon import checks
from antiphon_daemon.engines import auto
from antiphon_daemon.engines.build import build_transcriber
from antiphon_daemon.engines.contracts import EngineError
from antiphon_daemon.engines.stt import cuda
from antiphon_daemon.engines.stt.guards import plain
from antiphon_daemon.engines.work import Token

LIGHT = "Turn on the light in the kitchen."
LACKING = r"The GPU needs cuBLAS of CUDA 12 \(libcublas.*\): install it with: \./run\.sh extra cuda"


@pytest.fixture
def no_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU, as CTranslate2 counts them, and no cuBLAS."""
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(cuda, "PACKAGE", "nvidia.no_such_package")
    monkeypatch.setattr(cuda, "LIBRARIES", ("libcublasLt.so.no", "libcublas.so.no"))


async def heard(speech: Mapping[str, Samples], **stt: Any) -> str:
    engine = await build_transcriber(Settings(stt=Stt(**stt)))
    transcript = await engine.transcribe(speech[LIGHT], Token(), language="en")
    await engine.close()
    return transcript.text


@pytest.mark.parametrize("compute_type", ["auto", "float16"])
async def test_a_gpu_without_its_library_leaves_hearing_to_the_cpu(
    no_cublas: None, speech: Mapping[str, Samples], compute_type: str
) -> None:
    with capture_logs() as logs:
        assert plain(await heard(speech, compute_type=compute_type)) == plain(LIGHT)
    (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert "on the CPU, though there is a GPU" in warning["event"]
    assert re.fullmatch(LACKING, warning["why"])
    assert not auto.this_machine().cuda, "it would choose a model for a GPU"
    (check,) = checks._gpu(Settings())
    assert check.ok is None
    assert re.search(LACKING, check.says)


@pytest.mark.skipif(bool(ctranslate2.get_cuda_device_count()), reason="its failure is that of a GPU that is not there")
async def test_so_does_a_gpu_that_fails(monkeypatch: pytest.MonkeyPatch, speech: Mapping[str, Samples]) -> None:
    monkeypatch.setattr(cuda, "present", lambda: True)
    monkeypatch.setattr(cuda, "missing", lambda: "")
    with capture_logs() as logs:
        assert plain(await heard(speech)) == plain(LIGHT)
    assert "CUDA failed" in next(entry["why"] for entry in logs if entry["log_level"] == "warning")


async def test_a_gpu_that_is_asked_for_and_lacks_its_library_is_refused_plainly(no_cublas: None) -> None:
    with pytest.raises(EngineError, match=f"{LACKING}; set stt.device to auto or cpu in config.yaml to do without"):
        await build_transcriber(Settings(stt=Stt(device="cuda")))


def none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)


@pytest.mark.parametrize(
    ("stt", "says"),
    [
        ({"device": "cuda"}, "CTranslate2 finds no GPU with CUDA here; set stt.device to auto or cpu"),
        ({"device": "cpu", "compute_type": "float16"}, "faster_whisper cannot compute with float16 on this CPU: set"),
    ],
)
async def test_what_cannot_be_used_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, stt: dict[str, Any], says: str
) -> None:
    none(monkeypatch)
    with pytest.raises(EngineError, match=re.escape(says)) as raised:
        await build_transcriber(Settings(stt=Stt(**stt)))
    assert "\n" not in str(raised.value)
    assert "fetch it again" not in str(raised.value)


def test_without_a_gpu_nothing_is_said_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    none(monkeypatch)
    assert checks._gpu(Settings()) == []


FIND = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from antiphon_daemon.engines.stt import cuda
assert cuda.missing() == "", cuda.missing()
print(Path("/proc/self/maps").read_text())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="CUDA is for Linux")
def test_the_library_is_found_among_pythons_packages(tmp_path: Path) -> None:
    """The dynamic linker does not look there; what is loaded already, it finds."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    (library,) = Path(ctranslate2.__file__).parent.parent.glob("ctranslate2.libs/libgomp*")
    for name in cuda.LIBRARIES:
        shutil.copyfile(library, folder / name)
    command = [sys.executable, "-c", FIND, str(tmp_path)]
    maps = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    for name in cuda.LIBRARIES:
        assert str(folder / name) in maps


@pytest.mark.gpu
@pytest.mark.parametrize("compute_type", ["auto", "int8_float16"])
async def test_the_gpu_hears(speech: Mapping[str, Samples], compute_type: str) -> None:
    with capture_logs() as logs:
        assert plain(await heard(speech, device="cuda", compute_type=compute_type)) == plain(LIGHT)
    assert not logs
