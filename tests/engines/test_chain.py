"""Language models that answer for each other: who is asked, who takes over when, and what comes back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from http_servers import OllamaServer, OpenAiServer, line
from structlog.testing import capture_logs

from antiphon.settings import Deadlines, Llm, Settings
from antiphon_daemon.engines.contracts import (
    EngineError,
    Fault,
    Message,
    Revoked,
    TextDelta,
    Tool,
    ToolCall,
    Work,
)
from antiphon_daemon.engines.llm import health
from antiphon_daemon.engines.llm.chain import Chain
from antiphon_daemon.engines.llm.ollama import Ollama
from antiphon_daemon.engines.llm.openai_api import OpenAiApi
from antiphon_daemon.engines.work import Token

ASK = [Message("user", "What is the time?")]
NOON = [TextDelta("It is "), TextDelta("noon.")]


class Here:
    """A model of this process: it always answers, and remembers what it was asked to do."""

    name = "here"

    def __init__(self) -> None:
        self.asked = self.read = 0

    async def check(self) -> None: ...

    async def warm(self) -> None: ...

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.asked += 1
        yield TextDelta("Here.")

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        self.read += 1

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are asked again every twentieth of a second."""
    monkeypatch.setattr(health, "AGAIN_S", 0.05)


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer() as one:
        yield one


@pytest.fixture
def here() -> Here:
    return Here()


@pytest.fixture
async def chain(server: OllamaServer, here: Here) -> AsyncIterator[Chain]:
    """An Ollama, and who answers instead; a first word may take two seconds."""
    one = Chain([Ollama(Llm(engine="ollama", model="qwen3:4b", url=server.url)), here], first_s=2)
    await one.start()
    yield one
    await one.close()


async def reply(chain: Chain) -> list[Any]:
    return [piece async for piece in chain.respond(ASK, Token())]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def chats(server: OllamaServer) -> int:
    """Return how often a reply was wanted, not counting the loading of the model."""
    return sum(bool(one["messages"]) for one in server.asked)


def told(logs: Sequence[Any]) -> list[str]:
    return [one["event"] for one in logs if one["event"].startswith("language model")]


async def test_the_first_answers_and_is_loaded_before_it_is_asked(
    server: OllamaServer, here: Here, chain: Chain
) -> None:
    await until(lambda: bool(server.asked))
    assert server.asked[0]["messages"] == []
    assert await reply(chain) == NOON
    assert (chain.name, here.asked) == ("ollama qwen3:4b, else here", 0)


async def test_a_dead_server_is_passed_over_and_found_again(server: OllamaServer, here: Here, chain: Chain) -> None:
    assert await reply(chain) == NOON
    with capture_logs() as logs:
        server.stop()
        assert await reply(chain) == [TextDelta("Here.")]
        assert await reply(chain) == [TextDelta("Here.")]
        await asyncio.sleep(0.3)
        assert told(logs) == ["language model fails"]
        server.asked.clear()
        await server.start()
        await until(lambda: "language model is back" in told(logs))
        assert [one["messages"] for one in server.asked] == [[]], "it is loaded before it is asked again"
        assert await reply(chain) == NOON
    assert told(logs) == ["language model fails", "language model is back"]


async def test_a_dead_server_costs_a_turn_nothing(server: OllamaServer, here: Here, chain: Chain) -> None:
    """The server takes every question and is silent: only the first turn waits for it."""
    server.script = [asyncio.Event()]
    assert await reply(chain) == [TextDelta("Here.")]
    await asyncio.wait_for(server.hung_up.wait(), 5)
    asked = chats(server)
    for _ in range(5):
        assert await reply(chain) == [TextDelta("Here.")]
    assert (chats(server), here.asked) == (asked, 6)


async def test_after_the_first_word_there_is_no_way_back(server: OllamaServer, here: Here, chain: Chain) -> None:
    server.script = [line("It is "), None]
    stream = chain.respond(ASK, Token())
    assert await anext(stream) == TextDelta("It is ")
    with pytest.raises(EngineError, match="broke off in the middle"):
        await anext(stream)
    assert here.asked == 0


async def test_what_the_model_refuses_the_next_one_gets_and_the_turn_after_is_its_own_again(
    server: OllamaServer, here: Here, chain: Chain
) -> None:
    good, server.script = server.script, [line(thinking="hm"), line(done=True)]
    with capture_logs() as logs:
        for _ in range(3):
            assert await reply(chain) == [TextDelta("Here.")]
    assert (chats(server), told(logs)) == (3, ["language model fails"])
    server.script = good
    assert await reply(chain) == NOON


async def test_a_server_that_is_still_loading_is_asked_again() -> None:
    async with OpenAiServer() as server:
        server.status, server.error = "503 Service Unavailable", b'{"error": {"message": "Loading model"}}'
        chain = Chain([OpenAiApi(Llm(engine="openai_api", model="m", url=server.url))], first_s=5)
        task = asyncio.create_task(reply(chain))
        await until(lambda: len(server.asked) >= 2)
        server.status = "200 OK"
        assert await task == NOON
        server.status = "503 Service Unavailable"
        late = Chain([OpenAiApi(Llm(engine="openai_api", model="m", url=server.url))], first_s=0.5)
        with pytest.raises(EngineError, match="still loading its model") as raised:
            await reply(late)
        assert raised.value.fault is Fault.BUSY
        await chain.close()
        await late.close()


async def test_a_connection_that_breaks_before_the_first_word_is_made_again(server: OllamaServer, chain: Chain) -> None:
    server.script, good = [None], server.script
    task = asyncio.create_task(reply(chain))
    await until(lambda: chats(server) > 0)
    server.script = good
    assert await task == NOON


async def test_alone_it_is_asked_every_time_and_says_what_is_wrong(server: OllamaServer) -> None:
    chain = Chain([Ollama(Llm(engine="ollama", model="qwen3:4b", url=server.url))], first_s=1)
    server.stop()
    await chain.start()
    for _ in range(2):
        with pytest.raises(EngineError, match="start it with: ollama serve"):
            await reply(chain)
    await server.start()
    assert await reply(chain) == NOON
    server.script = [asyncio.Event()]
    with pytest.raises(EngineError, match=r"ollama qwen3:4b has said nothing within 0\.9\d* s|within 1\.0 s"):
        await reply(chain)
    await chain.close()


async def test_the_time_for_a_first_word_changes_while_it_runs() -> None:
    class Thoughtful(Here):
        async def respond(
            self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
        ) -> AsyncIterator[TextDelta | ToolCall]:
            await asyncio.sleep(0.4)
            yield TextDelta("Here.")

    chain = Chain([Thoughtful()], first_s=0.1)
    with pytest.raises(EngineError, match=r"said nothing within 0\.1 s"):
        await reply(chain)
    chain.follow(Settings(deadlines=Deadlines(llm_first_s=10)))
    assert await reply(chain) == [TextDelta("Here.")]
    await chain.close()


async def test_one_that_fails_at_the_start_is_not_said_to_answer(server: OllamaServer) -> None:
    for url, says in (("http://127.0.0.1:9", "language model fails"), (server.url, "language model")):
        alone = Chain([Ollama(Llm(engine="ollama", url=url, model="qwen3:4b"))], first_s=1)
        with capture_logs() as logs:
            await alone.start()
        await alone.close()
        assert told(logs) == [says]


async def test_revoked_nobody_takes_over(server: OllamaServer, here: Here, chain: Chain) -> None:
    await until(lambda: bool(server.asked))
    server.script = [asyncio.Event()]
    token = Token()
    task = asyncio.create_task(anext(chain.respond(ASK, token)))
    await until(lambda: chats(server) > 0)
    token.revoke()
    with pytest.raises(Revoked):
        await task
    await asyncio.wait_for(server.hung_up.wait(), 10)
    assert here.asked == 0
    server.script = [line("Noon.", done=True)]
    assert await reply(chain) == [TextDelta("Noon.")]


async def test_closing_it_hangs_up(server: OllamaServer, chain: Chain) -> None:
    server.script = [line("It is "), asyncio.Event()]
    stream = chain.respond(ASK, Token())
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_a_prefill_goes_to_whoever_will_be_asked(server: OllamaServer, here: Here, chain: Chain) -> None:
    await until(lambda: bool(server.asked))
    await chain.prefill(ASK, Token())
    assert (chats(server), here.read) == (1, 0)
    server.stop()
    await reply(chain)
    await chain.prefill(ASK, Token())
    assert here.read == 1


async def test_a_clock_that_is_set_back_does_not_keep_a_model_out(
    server: OllamaServer, here: Here, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    server.stop()
    await reply(chain)
    now = time.time  # noqa: TID251 - the clock that is set back
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    await server.start()
    with capture_logs() as logs:
        await until(lambda: "language model is back" in told(logs))
    assert await reply(chain) == NOON


async def test_closed_it_leaves_no_task_behind(server: OllamaServer) -> None:
    before = asyncio.all_tasks()
    server.stop()
    chain = Chain([Ollama(Llm(engine="ollama", model="qwen3:4b", url=server.url))], first_s=1)
    await chain.start()
    await chain.close()
    assert asyncio.all_tasks() == before


class NoTools(Here):
    """A model that is taken to know tools, whose server says otherwise."""

    uses_tools = True

    def __init__(self) -> None:
        super().__init__()
        self.offered: list[int] = []

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.offered.append(len(tools))
        if tools:
            raise EngineError("llm", "registry/llama does not support tools", Fault.REFUSED)
        yield TextDelta("Here.")


async def test_a_model_whose_server_refuses_tools_answers_without_and_another_is_still_offered_them(here: Here) -> None:
    async def run() -> str:
        return "done"

    lamp, model, knows = Tool("lamp", "Switches the lamp.", {}, run), NoTools(), NoTools()
    chain = Chain([model, here], first_s=5)
    assert chain.uses_tools
    for _ in range(2):
        assert [piece async for piece in chain.respond(ASK, Token(), tools=[lamp])] == [TextDelta("Here.")]
    assert (model.offered, here.asked) == ([1, 0, 0], 0)
    assert not chain.uses_tools
    assert Chain([model, knows], first_s=5).uses_tools
