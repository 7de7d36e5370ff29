"""Replies from servers of chat completions, and what is said when they are not there, refuse, fail or die."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from http_servers import END, OllamaServer, OpenAiServer, event
from pydantic import SecretStr

from antiphon.settings import Llm, Settings
from antiphon_daemon.engines.build import build_responder
from antiphon_daemon.engines.contracts import (
    EngineError,
    Fault,
    Message,
    Responder,
    Revoked,
    TextDelta,
    Tool,
    ToolCall,
)
from antiphon_daemon.engines.llm.ollama import Ollama
from antiphon_daemon.engines.llm.openai_api import OpenAiApi
from antiphon_daemon.engines.llm.tools import reply as reply_of
from antiphon_daemon.engines.work import Token

ASK = [Message("system", "Be brief."), Message("user", "What is the time?")]


@pytest.fixture
async def server() -> AsyncIterator[OpenAiServer]:
    async with OpenAiServer() as one:
        yield one


@pytest.fixture
async def responder(server: OpenAiServer) -> AsyncIterator[OpenAiApi]:
    one = OpenAiApi(Llm(engine="openai_api", model="m", url=server.url, api_key=SecretStr("sesame")))
    yield one
    await one.close()


async def reply(responder: Responder, messages: Sequence[Message] = ASK, tools: Sequence[Tool] = ()) -> list[Any]:
    return [piece async for piece in responder.respond(messages, Token(), tools=tools)]


async def test_a_reply_is_streamed_as_it_is_written(server: OpenAiServer, responder: OpenAiApi) -> None:
    written = asyncio.Event()
    server.script = [event("It is "), written, event("noon."), event(finish="stop"), END]
    stream = responder.respond(ASK, Token())
    assert await anext(stream) == TextDelta("It is ")
    written.set()
    assert [piece async for piece in stream] == [TextDelta("noon.")]


async def test_what_the_server_is_asked(
    server: OpenAiServer, responder: OpenAiApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reply(responder)
    asked = server.asked[0]
    assert (asked["model"], asked["stream"], asked["temperature"], asked["max_tokens"]) == ("m", True, 0.3, 400)
    assert [one["content"] for one in asked["messages"]] == ["Be brief.", "What is the time?"]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False}
    assert server.headers["authorization"] == "bearer sesame"
    assert "openai-organization" not in server.headers
    monkeypatch.setenv("OPENAI_ORG_ID", "somebody")
    given = Llm(
        engine="openai_api",
        url=f"{server.url}/v1/",
        organization="ours",
        headers={"X-House": "mine"},
        body={"top_p": 0.9, "max_tokens": 7},
    )
    other = OpenAiApi(given)
    await reply(other)
    await other.close()
    assert (server.asked[1]["top_p"], server.asked[1]["max_tokens"]) == (0.9, 7)
    assert (server.headers["openai-organization"], server.headers["x-house"]) == ("ours", "mine")


async def test_without_a_name_it_is_the_only_model_of_the_server(server: OpenAiServer) -> None:
    responder = OpenAiApi(Llm(engine="openai_api", url=server.url))
    await responder.check()
    assert responder.name == f"127.0.0.1:{server.port} m"
    await reply(responder)
    assert server.asked[0]["model"] == "m"
    await responder.close()
    for models, says in ((["a", "b"], r"several models: set llm\.model to one of a, b"), ([], "has no model loaded")):
        server.models = models
        responder = OpenAiApi(Llm(engine="openai_api", url=server.url))
        with pytest.raises(EngineError, match=says):
            await responder.check()
        with pytest.raises(EngineError, match=says):
            await reply(responder)
        await responder.close()


async def test_tools_are_offered_called_in_pieces_and_answered(server: OpenAiServer, responder: OpenAiApi) -> None:
    def piece(index: int, arguments: str, name: str | None = None, id: str | None = None) -> bytes:
        function = {"arguments": arguments, **({"name": name} if name else {})}
        return event(tool_calls=[{"index": index, "function": function, **({"id": id} if id else {})}])

    server.script = [
        piece(0, "", "light", "c1"),
        piece(0, '{"room": '),
        piece(1, "", "time", "c2"),
        piece(0, '"kitchen"}'),
        event(finish="tool_calls"),
        END,
    ]
    schema = {"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]}
    light = Tool("light", "Switches a light.", schema, run=lambda: asyncio.sleep(0, ""))
    called = await reply(responder, tools=[light])
    assert called == [ToolCall("c1", "light", {"room": "kitchen"}), ToolCall("c2", "time", {})]
    assert server.asked[0]["tools"][0]["function"]["parameters"] == schema
    server.script = [event("It is on."), event(finish="stop"), END]
    history = [*ASK, Message("assistant", "", tool_calls=called[:1]), Message("tool", "done", tool_call_id="c1")]
    assert await reply(responder, history) == [TextDelta("It is on.")]
    sent = server.asked[1]["messages"]
    assert sent[2]["tool_calls"][0]["function"] == {"name": "light", "arguments": '{"room": "kitchen"}'}
    assert (sent[3]["role"], sent[3]["tool_call_id"]) == ("tool", "c1")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (
            "400 Bad Request",
            {"message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'},
        ),
        ("500 Internal Server Error", {"message": "tools param requires --jinja flag", "code": 500}),
        ("400 Bad Request", "This model does not support tools"),
    ],
)
async def test_a_server_that_was_started_without_tools_is_asked_without(
    server: OpenAiServer, responder: OpenAiApi, monkeypatch: pytest.MonkeyPatch, status: str, error: Any
) -> None:
    server.status, server.error = status, json.dumps({"error": error}).encode()
    create = responder._create

    async def as_it_does(*given: Any, **more: Any) -> Any:
        server.status = status if more.get("tools") else "200 OK"
        return await create(*given, **more)

    monkeypatch.setattr(responder, "_create", as_it_does)

    async def run() -> str:
        return "noon"

    clock = Tool("clock", "Tells the time.", {"type": "object", "properties": {}}, run)
    pieces = [piece async for piece in reply_of(responder, ASK, Token(), [clock])]
    assert pieces == [TextDelta("It is "), TextDelta("noon.")]


@pytest.mark.parametrize("index", [{}, {"index": 0}])
async def test_whole_calls_with_one_number_or_none_are_several(
    server: OpenAiServer, responder: OpenAiApi, index: dict[str, int]
) -> None:
    first = {**index, "id": "a", "type": "function", "function": {"name": "timer", "arguments": '{"seconds": 60}'}}
    second = {**index, "id": "b", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    server.script = [event(tool_calls=[first]), event(tool_calls=[second]), event(finish="tool_calls"), END]
    assert await reply(responder) == [ToolCall("a", "timer", {"seconds": 60}), ToolCall("b", "clock", {})]


@pytest.mark.parametrize("number", [{"index": None, "id": ""}, {"index": 0}])
async def test_whole_calls_without_ids_are_several(
    server: OpenAiServer, responder: OpenAiApi, number: dict[str, Any]
) -> None:
    """As Gemini's server sends them, one after the other."""
    given = [("timer", '{"seconds": 60}'), ("timer", '{"seconds": 90}'), ("clock", "{}")]
    whole = [{**number, "function": {"name": name, "arguments": arguments}} for name, arguments in given]
    server.script = [*(event(tool_calls=[call]) for call in whole), event(finish="tool_calls"), END]
    called = [(call.name, call.arguments) for call in await reply(responder)]
    assert called == [("timer", {"seconds": 60}), ("timer", {"seconds": 90}), ("clock", {})]


@pytest.mark.parametrize("id", ["a", ""])
async def test_a_name_that_is_repeated_with_every_piece_is_one(
    server: OpenAiServer, responder: OpenAiApi, id: str
) -> None:
    parts = ["", '{"seconds"', ": 60}", ""]
    pieces = [{"index": 0, "id": id, "function": {"name": "timer", "arguments": part}} for part in parts]
    server.script = [*(event(tool_calls=[piece]) for piece in pieces), event(finish="tool_calls"), END]
    assert [(call.name, call.arguments) for call in await reply(responder)] == [("timer", {"seconds": 60})]


@pytest.mark.parametrize("arguments", ['{"room": ', "[1]"])
async def test_a_tool_call_that_is_no_json_has_failed(
    server: OpenAiServer, responder: OpenAiApi, arguments: str
) -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "light", "arguments": arguments}}
    server.script = [event(tool_calls=[call]), event(finish="tool_calls"), END]
    with pytest.raises(EngineError, match="called light with arguments that are no JSON object"):
        await reply(responder)


async def test_thoughts_are_not_spoken(server: OpenAiServer, responder: OpenAiApi) -> None:
    server.script = [
        event(reasoning_content="The user wants"),
        event("<think>the time"),
        event(".</think>"),
        event("\n\nNoon."),
        event(finish="stop"),
        END,
    ]
    assert await reply(responder) == [TextDelta("Noon.")]


async def test_thoughts_that_the_template_begins_are_left_out_from_the_second_reply_on(
    server: OpenAiServer, responder: OpenAiApi
) -> None:
    server.script = [event("The user"), event(" wants.\n</think>\n\n"), event("Noon."), event(finish="stop"), END]
    assert await reply(responder) == [TextDelta("The user"), TextDelta("Noon.")]
    assert await reply(responder) == [TextDelta("Noon.")]
    server.script = [event("The user"), event(finish="length"), END]
    with pytest.raises(EngineError, match="only thought and answered nothing"):
        await reply(responder)


@pytest.mark.parametrize("end", [event(), event(finish="content_filter")])
async def test_thoughts_that_a_server_breaks_off_are_not_spoken(
    server: OpenAiServer, responder: OpenAiApi, end: bytes
) -> None:
    server.script = [event("Noon?</think>Noon."), event(finish="stop"), END]
    await reply(responder)
    server.script = [event("The user"), end, END]
    with pytest.raises(EngineError, match="broke off|only thought"):
        await reply(responder)
    server.script = [event("One?"), event("</think>It is one."), event(finish="stop"), END]
    assert await reply(responder) == [TextDelta("It is one.")], "the habit is not forgotten"


@pytest.mark.parametrize("thought", [event(reasoning_content="The user"), event("<think>The user wants")])
async def test_a_model_that_only_thinks_has_failed(server: OpenAiServer, responder: OpenAiApi, thought: bytes) -> None:
    server.script = [thought, event(finish="length"), END]
    with pytest.raises(EngineError, match="only thought and answered nothing") as raised:
        await reply(responder)
    assert raised.value.fault is Fault.EMPTY


@pytest.mark.parametrize("script", [[None], [event("Once "), None]], ids=["before a word", "after one"])
async def test_revoking_hangs_up_at_once(server: OpenAiServer, responder: OpenAiApi, script: list[Any]) -> None:
    """Race: the server is silent, so there is no next word to stop at."""
    server.script = [asyncio.Event() if item is None else item for item in script]
    token = Token()
    task = asyncio.create_task(anext(responder.respond(ASK, token), None))
    while not server.asked:
        await asyncio.sleep(0.005)
    if len(script) == 2:
        assert await task == TextDelta("Once ")
        task = asyncio.create_task(anext(responder.respond(ASK, token), None))
        server.script = [asyncio.Event()]
        while len(server.asked) < 2:
            await asyncio.sleep(0.005)
    token.revoke()
    with pytest.raises(Revoked):
        await task
    await asyncio.wait_for(server.hung_up.wait(), 10)


@pytest.mark.parametrize(
    "chunk",
    [
        b"null",
        b'{"id": "c1", "choices": null, "usage": {"total_tokens": 9}}',
        b'{"id": "c1", "usage": {"total_tokens": 9}}',
        b'{"id": "c1", "choices": [{"index": 0, "finish_reason": null, "content_filter_offsets": {}}]}',
        b'{"id": "c1", "choices": [{"index": 0, "delta": null, "finish_reason": "stop"}]}',
    ],
)
async def test_a_chunk_that_says_nothing_ends_no_reply(
    server: OpenAiServer, responder: OpenAiApi, chunk: bytes
) -> None:
    """Counts of tokens, signs of life and notes of filters come in the middle and at the end."""
    nothing = b"data: " + chunk + b"\n\n"
    server.script = [nothing, event("It is "), nothing, event("noon."), event(finish="stop"), nothing, END]
    assert await reply(responder) == [TextDelta("It is "), TextDelta("noon.")]


async def test_closing_the_iterator_hangs_up(server: OpenAiServer, responder: OpenAiApi) -> None:
    server.script = [event("Once "), asyncio.Event()]
    stream = responder.respond(ASK, Token())
    assert await anext(stream) == TextDelta("Once ")
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(server.hung_up.wait(), 10)


@pytest.mark.parametrize(
    ("status", "error", "fault", "says"),
    [
        ("401 Unauthorized", "Incorrect key", Fault.KEY, r"refused the key: correct llm\.api_key_file"),
        ("403 Forbidden", "not you", Fault.KEY, "refused the key"),
        ("404 Not Found", "The model m does not exist", Fault.LOST, r"has no model m: correct llm\.model"),
        ("404 Not Found", "Not Found", Fault.LOST, r"does not speak as OpenAI does .* check llm\.url"),
        ("400 Bad Request", "too long", Fault.REFUSED, r"refused the conversation .*too long"),
        ("429 Too Many Requests", "slow down", Fault.BUSY, "is busy or still loading its model .*slow down"),
        ("503 Service Unavailable", "Loading model", Fault.BUSY, "is busy or still loading its model .*Loading"),
        ("500 Internal Server Error", "out of memory", Fault.LOST, "failed .*out of memory"),
    ],
)
async def test_a_refusal_says_what_mends_it(
    server: OpenAiServer, responder: OpenAiApi, status: str, error: str, fault: Fault, says: str
) -> None:
    server.status = status
    server.error = f'{{"error": {{"message": "{error}", "code": null}}}}'.encode()
    with pytest.raises(EngineError, match=says) as raised:
        await reply(responder)
    assert raised.value.fault is fault
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ({"error": "Model m was unloaded"}, r"refused the conversation \(.* - Model m was unloaded\)"),
        ({"detail": "No such lora"}, r"refused the conversation \(.* - No such lora\)"),
        ({"detail": [{"loc": ["body", "top_p"], "msg": "Input should be less than 1"}]}, "top_p: Input should be less"),
        ("The queue is closed", r"refused the conversation \(.* - The queue is closed\)"),
        ({"detail": "Half \ud83d"}, "refused the conversation \\(.* - Half \ufffd\\)"),
        ("<html><body>nginx</body></html>", r"refused the conversation \(Error code: 400\)"),
    ],
)
async def test_what_a_server_says_is_told_however_it_says_it(
    server: OpenAiServer, responder: OpenAiApi, error: Any, says: str
) -> None:
    server.status = "400 Bad Request"
    server.error = error.encode() if isinstance(error, str) else json.dumps(error).encode()
    with pytest.raises(EngineError, match=says):
        await reply(responder)


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("text/html", b"<html>Log in</html>"),
        ("application/json", b'{"error": "Unexpected endpoint or method. (POST /chat/completions)"}'),
    ],
)
async def test_a_page_in_place_of_a_reply_is_a_strangers(
    server: OpenAiServer, responder: OpenAiApi, kind: str, page: bytes
) -> None:
    """As LM Studio answers what it does not know, and web pages answer everything: asking again mends nothing."""
    server.kind, server.script = kind, [page]
    with pytest.raises(
        EngineError, match=rf"does not speak as OpenAI does \(it answers {kind}.*check llm\.url"
    ) as raised:
        await reply(responder)
    assert raised.value.fault is Fault.LOST


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ([event("It "), None], "broke off in the middle"),
        ([event("It ")], "broke off in the middle"),
        ([event("It "), b'data: {"choices": [{"del\n\n'], "does not speak as OpenAI does"),
        ([b"data: []\n\n"], "does not speak as OpenAI does"),
        ([event("It "), b'data: {"error": {"message": "out of memory"}}\n\n'], "failed .*out of memory"),
        ([event("It "), b'event: error\ndata: {"error": "Model unloaded"}\n\n'], "failed .*Model unloaded"),
        ([event("It "), b'data: {"error": {"message": "Half \\ud83d"}}\n\n'], "failed .*Half \ufffd"),
    ],
)
async def test_a_server_that_fails_midway(
    server: OpenAiServer, responder: OpenAiApi, script: list[Any], says: str
) -> None:
    server.script = script
    with pytest.raises(EngineError, match=says):
        await reply(responder)


async def test_a_server_that_does_not_run_is_told() -> None:
    responder = await build_responder(Settings(llm=Llm(engine="openai_api", model="m", url="http://127.0.0.1:9")))
    with pytest.raises(EngineError, match=r"No language model answers at http://127\.0\.0\.1:9/v1: start its server"):
        await reply(responder)
    await responder.close()


async def test_a_proxy_does_not_stand_between_this_machine_and_itself(
    server: OpenAiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    near = OpenAiApi(Llm(engine="openai_api", model="m", url=server.url))
    assert await reply(near)
    await near.close()
    monkeypatch.setenv("http_proxy", server.url)
    far = OpenAiApi(Llm(engine="openai_api", model="m", url="http://models.example/v1"))
    with pytest.raises(EngineError, match="does not speak as OpenAI does"):  # the proxy was asked, which is none
        await reply(far)
    await far.close()


async def test_a_prefill_reads_what_the_reply_will_begin_with(server: OpenAiServer, responder: OpenAiApi) -> None:
    await responder.prefill(ASK[:1], Token())
    await reply(responder)
    read, asked = server.asked
    assert read["messages"][:1] == asked["messages"][:1]
    assert read["max_tokens"] == 1
    far = OpenAiApi(Llm(engine="openai_api", model="m", url="https://models.example/v1"))
    await far.prefill(ASK[:1], Token())  # it would cost money: nobody is asked
    await far.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody has signed but itself, and its key beside it."""
    assert shutil.which("openssl"), "openssl is not installed"
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=house"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.mark.parametrize("kind", ["openai_api", "ollama"])
async def test_a_certificate_of_an_unknown_hand_is_told_and_can_be_named(certificate: Path, kind: str) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    made: type[OpenAiServer | OllamaServer] = OpenAiServer if kind == "openai_api" else OllamaServer
    engine: type[OpenAiApi | Ollama] = OpenAiApi if kind == "openai_api" else Ollama
    async with made(tls) as server:
        given = {"engine": kind, "model": "qwen3:4b", "url": server.url}
        stranger = engine(Llm(**given))
        with pytest.raises(EngineError, match=r"is not trusted \(self.signed certificate\): name .* llm\.ca_file"):
            await reply(stranger)
        await stranger.close()
        friend = engine(Llm(**given, ca_file=str(certificate)))
        assert await reply(friend) == [TextDelta("It is "), TextDelta("noon.")]
        await friend.close()
        plain = engine(Llm(**{**given, "url": server.url.replace("https", "http")}))
        with pytest.raises(EngineError, match=r"broke off|does not"):
            await reply(plain)
        await plain.close()
    with pytest.raises(EngineError, match="holds no certificate"):
        engine(Llm(**given, ca_file=str(certificate.with_name("key.pem"))))
    with pytest.raises(EngineError, match=r"cannot be read .*llm\.ca_file"):
        engine(Llm(**given, ca_file="/nowhere/ca.pem"))


@pytest.mark.parametrize(
    ("days", "host", "says"),
    [
        (-1, "127.0.0.1", r"has expired: have it renewed there, or set this machine's clock, which says 20\d\d-"),
        (2, "localhost", r"is for another name \(.*'localhost'\): correct llm\.url"),
    ],
)
async def test_a_certificate_that_no_file_of_a_signer_mends_is_told_so(
    certificate: Path, tmp_path: Path, days: int, host: str, says: str
) -> None:
    """It was said to be not trusted, and that llm.ca_file should name its signer, which was named there already."""
    names, ended = tmp_path / "names", tmp_path / "cert.pem"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    key, asks = certificate.with_name("key.pem"), tmp_path / "asks.pem"
    request = ["openssl", "req", "-new", "-key", key, "-subj", "/CN=house", "-out", asks]
    signed = ["openssl", "x509", "-req", "-in", asks, "-signkey", key, "-days", str(days), "-extfile", names]
    for command in (request, [*signed, "-out", ended]):
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(ended, key)
    async with OpenAiServer(tls) as server:
        url = server.url.replace("127.0.0.1", host)
        responder = OpenAiApi(Llm(engine="openai_api", model="m", url=url, ca_file=str(ended)))
        with pytest.raises(EngineError, match=says) as failed:
            await reply(responder)
        assert "ca_file" not in str(failed.value)
        await responder.close()


async def test_encryption_where_there_is_none_is_told(server: OpenAiServer) -> None:
    responder = OpenAiApi(Llm(engine="openai_api", model="m", url=server.url.replace("http", "https")))
    with pytest.raises(EngineError, match=r"should llm\.url begin with http or https"):
        await reply(responder)
    await responder.close()


async def test_a_call_whose_pieces_have_an_id_each_is_one(server: OpenAiServer, responder: OpenAiApi) -> None:
    """As vLLM has long sent them."""
    pieces = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "timer"}},
        {"index": 0, "id": "b", "type": "function", "function": {"arguments": '{"seconds"'}},
        {"index": 0, "id": "c", "type": "function", "function": {"arguments": ": 60}"}},
    ]
    server.script = [*(event(tool_calls=[piece]) for piece in pieces), event(finish="tool_calls"), END]
    assert await reply(responder) == [ToolCall("a", "timer", {"seconds": 60})]
