"""Replies from an Ollama server, and what is said when it is not there, fails or dies."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from http_servers import OllamaServer, line
from pydantic import SecretStr

from antiphon.settings import Llm, Settings
from antiphon_daemon.engines.build import build_responder
from antiphon_daemon.engines.contracts import EngineError, Fault, Message, Responder, Revoked, TextDelta, Tool, ToolCall
from antiphon_daemon.engines.llm.ollama import Ollama
from antiphon_daemon.engines.work import Token

ASK = [Message("system", "Be brief."), Message("user", "What is the time?")]


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as one:
        yield one


@pytest.fixture
async def responder(server: OllamaServer) -> AsyncIterator[Ollama]:
    ollama = Ollama(Llm(engine="ollama", model="qwen3:4b", url=server.url, api_key=SecretStr("sesame")))
    yield ollama
    await ollama.close()


async def reply(responder: Responder, messages: Sequence[Message] = ASK, tools: Sequence[Tool] = ()) -> list[Any]:
    return [piece async for piece in responder.respond(messages, Token(), tools=tools)]


async def test_a_reply_is_streamed_as_it_is_written(server: OllamaServer, responder: Ollama) -> None:
    written = asyncio.Event()
    server.script = [line("It is "), written, line("noon."), line(done=True)]
    stream = responder.respond(ASK, Token())
    assert await anext(stream) == TextDelta("It is ")
    written.set()
    assert [piece async for piece in stream] == [TextDelta("noon.")]


async def test_what_the_server_is_asked(server: OllamaServer, responder: Ollama) -> None:
    await reply(responder)
    asked = server.asked[0]
    assert asked["model"] == "qwen3:4b"
    assert asked["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the time?"},
    ]
    assert asked["think"] is False
    assert asked["keep_alive"] == "30m"
    assert asked["options"] == {"num_ctx": 4096, "num_predict": 400, "temperature": 0.3}
    assert server.headers["authorization"] == "bearer sesame"


async def test_a_name_and_a_password_in_the_address_are_shown(server: OllamaServer) -> None:
    url = server.url.replace("//", "//bob:s%40ame@")
    ollama = Ollama(Llm(engine="ollama", model="qwen3:4b", url=url))
    await reply(ollama)
    await ollama.close()
    assert server.headers["authorization"] == f"basic {b64encode(b'bob:s@ame').decode().lower()}"


async def test_tools_are_offered_called_and_answered(server: OllamaServer, responder: Ollama) -> None:
    call = {"function": {"name": "light", "arguments": {"room": "kitchen", "on": True}}}
    server.script = [line(tool_calls=[call]), line(done=True)]
    schema = {"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]}
    light = Tool("light", "Switches a light.", schema, run=lambda: asyncio.sleep(0, ""))
    (called,) = await reply(responder, tools=[light])
    assert isinstance(called, ToolCall)
    assert (called.name, called.arguments) == ("light", {"room": "kitchen", "on": True})
    assert server.asked[0]["tools"][0]["function"] == {
        "name": "light",
        "description": "Switches a light.",
        "parameters": schema,
    }
    server.script = [line("It is on.", done=True)]
    history = [*ASK, Message("assistant", "", tool_calls=[called]), Message("tool", "done", tool_call_id=called.id)]
    assert await reply(responder, history) == [TextDelta("It is on.")]
    assert server.asked[1]["messages"][2]["tool_calls"] == [call]
    assert server.asked[1]["messages"][3] == {"role": "tool", "content": "done", "tool_name": "light"}


async def test_thoughts_are_not_spoken(server: OllamaServer, responder: Ollama) -> None:
    server.script = [
        line(thinking="The user wants the time."),
        line("<thi"),
        line("nk>Noon?</think>\n\nNoon."),
        line(done=True),
    ]
    assert await reply(responder) == [TextDelta("Noon.")]


async def test_thoughts_that_a_server_breaks_off_are_not_spoken(server: OllamaServer, responder: Ollama) -> None:
    server.script = [line("Noon?</think>Noon."), line(done=True)]
    await reply(responder)
    server.script = [line("The user")]
    with pytest.raises(EngineError, match="broke off"):
        await anext(responder.respond(ASK, Token()))


@pytest.mark.parametrize("thought", [line(thinking="The user wants "), line("<think>The user wants ")])
async def test_a_model_that_only_thinks_has_failed(server: OllamaServer, responder: Ollama, thought: bytes) -> None:
    server.script = [thought, line(done=True)]
    with pytest.raises(EngineError, match=r"only thought and answered nothing: raise llm\.reply_tokens") as raised:
        await reply(responder)
    assert raised.value.fault is Fault.EMPTY


async def test_closing_the_iterator_hangs_up(server: OllamaServer, responder: Ollama) -> None:
    server.script = [line("Once "), asyncio.Event()]
    stream = responder.respond(ASK, Token())
    assert await anext(stream) == TextDelta("Once ")
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(server.hung_up.wait(), 10)


@pytest.mark.parametrize("script", [[asyncio.Event()], [line("Once "), asyncio.Event()]])
async def test_revoking_hangs_up_at_once(server: OllamaServer, responder: Ollama, script: list[Any]) -> None:
    """Race: the server is silent, so there is no next line to stop at."""
    server.script = [asyncio.Event() if isinstance(item, asyncio.Event) else item for item in script]
    token = Token()
    got: list[Any] = []

    async def listen() -> None:
        got.extend([piece async for piece in responder.respond(ASK, token)])

    task = asyncio.create_task(listen())
    while not server.asked:
        await asyncio.sleep(0.005)
    await asyncio.to_thread(token.revoke)
    with pytest.raises(Revoked):
        await task
    await asyncio.wait_for(server.hung_up.wait(), 10)
    server.script = [line("Here.", done=True)]
    assert await reply(responder) == [TextDelta("Here.")]


async def test_what_is_asked_of_the_server_can_be_set(server: OllamaServer) -> None:
    given = Llm(
        engine="ollama",
        model="gpt-oss",
        url=server.url,
        think="low",
        keep_alive=-1,
        options={"top_p": 0.9, "num_ctx": 8192},
        headers={"X-House": "mine"},
    )
    responder = Ollama(given)
    await reply(responder)
    await responder.close()
    asked = server.asked[0]
    assert (asked["think"], asked["keep_alive"], server.headers["x-house"]) == ("low", -1, "mine")
    assert asked["options"] == {"num_ctx": 8192, "num_predict": 400, "temperature": 0.3, "top_p": 0.9}


async def test_without_a_name_it_is_the_loaded_model_else_the_newest_that_can_talk_here(server: OllamaServer) -> None:
    server.abilities = {
        "glm-5:cloud": ["completion"],
        "bge-m3": ["embedding"],
        "a": ["completion"],
        "b": ["completion"],
    }
    for loaded, chosen in ([[], "a"], [["b"], "b"]):
        server.loaded = loaded
        responder = Ollama(Llm(engine="ollama", url=server.url))
        await reply(responder)
        assert (server.asked[-1]["model"], responder.name) == (chosen, f"ollama {chosen}")
        await responder.close()
    server.abilities = {"glm-5:cloud": ["completion"], "bge-m3": ["embedding"]}
    responder = Ollama(Llm(engine="ollama", url=server.url))
    server.loaded = []
    with pytest.raises(EngineError, match="has no model that can talk: run: ollama pull qwen3:4b"):
        await responder.check()
    await responder.close()


async def test_a_prefill_reads_what_the_reply_will_begin_with(server: OllamaServer, responder: Ollama) -> None:
    await responder.prefill(ASK[:1], Token())
    await reply(responder)
    read, asked = server.asked
    assert read["messages"][:1] == asked["messages"][:1]
    assert read["options"] == {**asked["options"], "num_predict": 1}
    assert (read["model"], read["think"]) == (asked["model"], asked["think"])
    server.stop()
    await responder.prefill(ASK[:1], Token())


async def test_two_at_once(server: OllamaServer, responder: Ollama) -> None:
    replies = await asyncio.gather(reply(responder), reply(responder))
    assert replies == [[TextDelta("It is "), TextDelta("noon.")]] * 2


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("503 Service Unavailable", "is busy .* ask again in a moment"),
        ("400 Bad Request", r"refused the conversation .* correct llm\.model"),
        ("404 Not Found", "has no model qwen3:4b: run: ollama pull qwen3:4b"),
        ("500 Internal Server Error", r"failed \(something about the model\)"),
        ("401 Unauthorized", r"refused the key: correct llm\.api_key"),
    ],
)
async def test_a_refusal_says_what_mends_it(server: OllamaServer, responder: Ollama, status: str, says: str) -> None:
    server.status = status
    with pytest.raises(EngineError, match=says):
        await reply(responder)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ([line("It "), None], "broke off in the middle"),
        ([line("It "), line("is ")], "broke off in the middle"),
        ([line("It "), b'{"model": "qwen3:4b", "mess'], "does not speak as Ollama does"),
        ([b"[]\n"], "does not speak as Ollama does"),
        ([b'{"done": true}\n'], "does not speak as Ollama does"),
        ([line("It "), b'{"error": "out of memory"}\n'], r"failed \(out of memory\)"),
    ],
)
async def test_a_server_that_fails_midway(
    server: OllamaServer, responder: Ollama, script: list[Any], says: str
) -> None:
    server.script = script
    with pytest.raises(EngineError, match=says):
        await reply(responder)


async def test_a_server_that_does_not_run_says_how_to_start_it(server: OllamaServer) -> None:
    settings = Settings(llm=Llm(engine="ollama", model="qwen3:4b", url="http://127.0.0.1:1"))
    responder = await build_responder(settings)
    with pytest.raises(EngineError, match=r"does not answer at http://127\.0\.0\.1:1: start it with: ollama serve"):
        await reply(responder)
    await responder.close()


async def test_something_else_at_that_address_is_told(server: OllamaServer, responder: Ollama) -> None:
    server.status, server.error = "404 Not Found", b"404 page not found"
    with pytest.raises(EngineError, match="does not speak as Ollama does"):
        await responder.check()


async def test_a_model_that_is_not_pulled_is_found_out_before_it_is_asked(server: OllamaServer) -> None:
    responder = Ollama(Llm(engine="ollama", model="qwen4", url=server.url))
    with pytest.raises(EngineError, match="has no model qwen4: run: ollama pull qwen4"):
        await responder.check()
    await responder.close()


async def test_building_has_the_model_loaded(server: OllamaServer) -> None:
    responder = await build_responder(Settings(llm=Llm(engine="ollama", model="qwen3:4b", url=server.url)))
    assert server.asked[0]["messages"] == []
    await responder.close()


async def test_a_proxy_does_not_stand_between_this_machine_and_itself(
    server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    responder = Ollama(Llm(engine="ollama", model="qwen3:4b", url=server.url))
    assert await reply(responder)
    await responder.close()
