"""What `antiphon doctor` says of language models that are somewhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from http_servers import OllamaServer, OpenAiServer

from antiphon.checks import Check
from antiphon.settings import Endpoint, Endpoints, Network, Settings
from antiphon.wire.server import Server
from antiphon_daemon.checks import _port, run
from antiphon_daemon.endpoints.info import handle_info, vad_info
from antiphon_daemon.endpoints.vad import VadHandler
from antiphon_daemon.engines.build import load_backends
from antiphon_daemon.engines.contracts import EngineError

NOWHERE = "http://127.0.0.1:9"


async def looked_at(llm: Any) -> dict[str, Check]:
    """Return the checks of the language models, by their names."""
    off = Endpoint(enabled=False, port=0)
    settings = Settings(llm=llm, endpoints=Endpoints(asr=off, tts=off, handle=off, vad=off))
    return {check.name: check for check in await run(settings) if "language model" in check.name}


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as one:
        yield one


async def test_an_ollama_that_does_not_run_lacks_the_model_or_works(ollama: OllamaServer) -> None:
    found = await looked_at({"engine": "ollama", "model": "qwen3:4b", "url": NOWHERE})
    assert (found["language model"].ok, "ollama serve" in found["language model"].says) == (False, True)
    found = await looked_at({"engine": "ollama", "model": "qwen4", "url": ollama.url})
    assert (found["language model"].ok, "ollama pull qwen4" in found["language model"].says) == (False, True)
    found = await looked_at({"engine": "ollama", "model": "qwen3:4b", "url": ollama.url})
    assert found["language model"].ok
    assert ollama.asked[-1]["messages"] == [], "it was loaded"


async def test_one_that_does_not_work_matters_only_when_no_other_does() -> None:
    found = await looked_at([{"engine": "ollama", "url": NOWHERE}, "embedded"])
    assert [check.ok for check in found.values()] == [None, True]
    assert found["language model 1"].mend == "Another one answers meanwhile."
    found = await looked_at([{"engine": "ollama", "url": NOWHERE}, {"engine": "openai_api", "url": NOWHERE}])
    assert [check.ok for check in found.values()] == [False, False]


async def test_a_server_that_refuses_the_key_is_told() -> None:
    async with OpenAiServer() as server:
        assert (await looked_at({"engine": "openai_api", "url": server.url}))["language model"].ok
        server.status, server.error = "401 Unauthorized", b'{"error": {"message": "no"}}'
        check = (await looked_at({"engine": "openai_api", "url": server.url}))["language model"]
        assert (check.ok, "api_key_file" in check.says) == (False, True)


@pytest.mark.parametrize("engine", ["openai_api", "ollama"])
async def test_a_password_in_an_address_is_shown_to_nobody(engine: str) -> None:
    settings = Settings.model_validate(
        {"llm": {"engine": engine, "url": "http://me:hunter2@127.0.0.1:9", "model": "m"}}
    )
    (backend,) = load_backends(settings)
    with pytest.raises(EngineError) as error:
        await backend.check()
    await backend.close()
    about = handle_info(backend, "en", control=False).event().data
    assert "hunter2" not in f"{backend.name} {error.value} {error.value.for_log} {about}"
    assert "127.0.0.1:9" in str(error.value)


async def test_a_daemon_that_listens_on_one_address_is_found_there() -> None:
    network = Network(host="127.0.0.2", zeroconf=False)
    server = Server("vad", 0, info=vad_info, handler=VadHandler, network=network)
    await server.start()
    settings = Settings(network=network, endpoints=Endpoints(vad=Endpoint(port=server.port)))
    check = await _port("vad", settings)
    await server.stop()
    assert (check.ok, "the daemon is running" in check.says) == (True, True)
