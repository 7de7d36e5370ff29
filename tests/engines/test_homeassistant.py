"""Home Assistant's conversation agents: asked once, when the turn is over; and what is said when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from home_assistant_server import TOKEN, HomeAssistantServer, spoken
from http_servers import OllamaServer
from pydantic import SecretStr
from structlog.testing import capture_logs

from antiphon.settings import HomeAssistant, Llm, Settings
from antiphon_daemon.conversation.memory import Memory
from antiphon_daemon.conversation.messages import unwritten
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
    Unsettled,
    Work,
)
from antiphon_daemon.engines.llm.chain import Chain
from antiphon_daemon.engines.llm.homeassistant import AT_ONCE, HomeAssistantAgent
from antiphon_daemon.engines.llm.ollama import Ollama
from antiphon_daemon.engines.work import Token

ASK = [Message("system", "Be brief."), Message("user", "Hello."), Message("assistant", "Yes?")]
ASK += [Message("user", "Turn on the light.")]
DONE = [TextDelta("Turned on the light.")]


@pytest.fixture
async def server() -> AsyncIterator[HomeAssistantServer]:
    async with HomeAssistantServer() as one:
        yield one


def home(server: HomeAssistantServer, token: str = TOKEN) -> HomeAssistant:
    return HomeAssistant(url=server.url, token=SecretStr(token))


@pytest.fixture
async def agent(server: HomeAssistantServer) -> AsyncIterator[HomeAssistantAgent]:
    one = HomeAssistantAgent(Llm(engine="homeassistant"), home(server), connect_s=2)
    yield one
    await one.close()


def over(conversation: str | None = None, language: str | None = "en") -> Token:
    """Return the token of a turn that is over."""
    token = Token()
    token.conversation, token.language = conversation, language
    token.settle()
    return token


async def reply(responder: Responder, work: Work | None = None) -> list[Any]:
    return [piece async for piece in responder.respond(ASK, work or over())]


async def refused(responder: Responder, says: str) -> EngineError:
    with pytest.raises(EngineError, match=says) as raised:
        await reply(responder)
    assert TOKEN not in str(raised.value)
    return raised.value


async def test_what_is_asked_and_answered(server: HomeAssistantServer, agent: HomeAssistantAgent) -> None:
    server.answer = spoken("불을 켰습니다.")
    assert await reply(agent, over("antiphon-1", "ko")) == [TextDelta("불을 켰습니다.")]
    assert server.asked == [{"text": "Turn on the light.", "language": "ko", "conversation_id": "antiphon-1"}]
    assert server.headers["authorization"] == f"bearer {TOKEN}"


async def test_a_draft_asks_nothing(server: HomeAssistantServer, agent: HomeAssistantAgent) -> None:
    """A light must not go on by a guess."""
    with pytest.raises(Unsettled):
        await reply(agent, Token())
    await agent.prefill(ASK, Token())
    await agent.warm()
    await agent.check()
    assert server.asked == []


async def test_a_conversation_keeps_the_name_that_home_assistant_gives_it(
    server: HomeAssistantServer, agent: HomeAssistantAgent
) -> None:
    server.answer = spoken("Yes.", id="01KXYZ")
    for conversation in ("antiphon-1", "antiphon-1", "antiphon-2"):
        await reply(agent, over(conversation))
    assert [one["conversation_id"] for one in server.asked] == ["antiphon-1", "01KXYZ", "antiphon-2"]


def test_a_conversation_has_one_name_until_it_starts_over() -> None:
    now = [0.0]
    memory = Memory("", budget_tokens=100, reset_after_s=300, clock=lambda: now[0])
    first = memory.name
    memory.remember("a", "b")
    assert memory.name == first
    memory.forget()
    second = memory.name
    now[0] = 301.0
    third = memory.name
    memory.remember("a", "b")
    assert memory.name == third
    assert len({first, second, third, Memory("", budget_tokens=1, reset_after_s=1).name}) == 4


async def test_an_agent_is_chosen_and_checked(server: HomeAssistantServer) -> None:
    server.states.append("conversation.gpt")
    for name, wrong in (
        ("conversation.gpt", None),
        ("conversation.gtp", "has no agent conversation.gtp: correct llm.m"),
    ):
        agent = HomeAssistantAgent(Llm(engine="homeassistant", model=name), home(server))
        assert agent.name == f"Home Assistant {name}"
        if wrong is None:
            await agent.check()
            await reply(agent)
            assert server.asked[-1]["agent_id"] == name
        else:
            with pytest.raises(EngineError, match=wrong):
                await agent.check()
            await refused(agent, wrong)
        await agent.close()


@pytest.mark.parametrize(
    ("status", "error", "says", "fault"),
    [
        ("401 Unauthorized", b"401: Unauthorized", "refused the token: make a new one", Fault.KEY),
        ("403 Forbidden", b"403: Forbidden", r"take its address out of ip_bans\.yaml", Fault.KEY),
        ("404 Not Found", b"404: Not Found", "does not speak as Home Assistant does .*404", Fault.LOST),
        ("400 Bad Request", b'{"message": "bad language"}', r"refused the request \(bad language\)", Fault.REFUSED),
        ("500 Internal Server Error", b'{"message": "boom"}', r"failed \(boom\): see its log", Fault.DOUBT),
        ("504 Gateway Timeout", b"<html>", r"failed \(504\)", Fault.DOUBT),
        ("502 Bad Gateway", b"<html>", r"No Home Assistant runs behind .* \(502\): start it", Fault.LOST),
        ("301 Moved\r\nLocation: https://x", b"", r"sends elsewhere \(https://x\)", Fault.LOST),
    ],
)
async def test_a_refusal_says_what_mends_it(
    server: HomeAssistantServer, agent: HomeAssistantAgent, status: str, error: bytes, says: str, fault: Fault
) -> None:
    server.status, server.error = status, error
    assert (await refused(agent, says)).fault is fault


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: "


@pytest.mark.parametrize(
    ("raw", "says", "fault"),
    [
        (b"", "broke off in the middle", Fault.DOUBT),
        (HEAD + b"application/json\r\nContent-Length: 90\r\n\r\n{", "broke off in the middle", Fault.DOUBT),
        (HEAD + b"application/json\r\nContent-Length: 1\r\n\r\n{", "broke off in the middle", Fault.DOUBT),
        (HEAD + b"text/html\r\nContent-Length: 6\r\n\r\n<html>", "does not speak as Home Assistant does", Fault.LOST),
        (HEAD + b"application/json\r\nContent-Length: 2\r\n\r\n[]", "tells no response", Fault.LOST),
        (b"SSH-2.0-OpenSSH\r\n", "broke off in the middle", Fault.DOUBT),
        (HEAD + b"text/html\r\n\r\n" + bytes(2 << 20), "answers without end", Fault.LOST),
    ],
)
async def test_half_an_answer_and_a_strangers(
    server: HomeAssistantServer, agent: HomeAssistantAgent, raw: bytes, says: str, fault: Fault
) -> None:
    server.raw = raw
    assert (await refused(agent, says)).fault is fault
    assert len(server.asked) == 1


async def test_revoking_hangs_up_at_once(server: HomeAssistantServer, agent: HomeAssistantAgent) -> None:
    server.waits = asyncio.Event()
    token = over()
    task = asyncio.create_task(reply(agent, token))
    while not server.asked:
        await asyncio.sleep(0.005)
    await asyncio.to_thread(token.revoke)
    with pytest.raises(Revoked):
        await task
    await asyncio.wait_for(server.hung_up.wait(), 10)


async def test_nobody_at_that_address(server: HomeAssistantServer, agent: HomeAssistantAgent) -> None:
    server.stop()
    says = r"No Home Assistant answers at http://127\.0\.0\.1:\d+: start it, or correct home_assistant\.url"
    assert (await refused(agent, says)).fault is Fault.LOST
    with pytest.raises(EngineError, match=says):
        await agent.check()


@pytest.mark.parametrize(
    ("llm", "given", "says"),
    [
        ({}, {"token": TOKEN}, r"No Home Assistant is named: set home_assistant\.url"),
        ({}, {"url": "http://h:8123"}, "wants a token: make a new one"),
        ({}, {"url": "http://h:8123", "token": "a\nb"}, "is no token"),
        ({}, {"url": "ftp://h", "token": TOKEN}, r"home_assistant\.url is no address"),
        ({}, {"url": "http://me:pass@h", "token": TOKEN}, r"home_assistant\.url is no address"),
        ({}, {"url": "http://h:x", "token": TOKEN}, r"home_assistant\.url is no address"),
        ({}, {"url": "https://h", "token": TOKEN, "ca_file": "/nowhere"}, r"correct home_assistant\.ca_file"),
        ({"url": "http://h"}, {"url": "http://h:8123", "token": TOKEN}, r"leave llm\.url and llm\.api_key empty"),
    ],
)
async def test_settings_that_cannot_be_used(llm: dict[str, Any], given: dict[str, Any], says: str) -> None:
    settings = Settings(llm={"engine": "homeassistant", **llm}, home_assistant=given)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=says) as raised:
        await build_responder(settings)
    assert TOKEN not in str(raised.value)
    assert TOKEN not in repr(settings)


async def test_a_wrong_token_is_tried_once(server: HomeAssistantServer) -> None:
    """Home Assistant shows each attempt to the people of the house, and may shut this machine out."""
    with capture_logs() as logs:
        agent = HomeAssistantAgent(Llm(engine="homeassistant"), home(server, "guess-guess"))
        for _ in range(3):
            with pytest.raises(EngineError, match="refused the token") as raised:
                await agent.check()
            assert raised.value.fault is Fault.KEY
        await agent.close()
    assert server.refused == 1
    assert "guess-guess" not in f"{logs} {raised.value}"


async def test_a_token_that_has_expired_is_not_shown_with_every_turn(server: HomeAssistantServer) -> None:
    """Nobody else answers, so it is asked each time."""
    agent = HomeAssistantAgent(Llm(engine="homeassistant"), home(server, "was-revoked"))
    for _ in range(3):
        assert (await refused(agent, "refused the token")).fault is Fault.KEY
    with pytest.raises(EngineError, match="refused the token"):
        await agent.check()
    await agent.close()
    assert server.refused == 1


async def test_who_is_let_in_again_is_answered_at_once(server: HomeAssistantServer, agent: HomeAssistantAgent) -> None:
    """Who had done what the sentence asks for, and restarted Home Assistant, was told the same for ten minutes."""
    server.status, server.error = "403 Forbidden", b"403: Forbidden"
    await refused(agent, r"take its address out of ip_bans\.yaml")
    with pytest.raises(EngineError, match="ip_bans"):
        await agent.check()
    server.status = "200 OK"
    assert await reply(agent) == [TextDelta("Turned on the light.")]
    await agent.check()


async def test_something_that_says_nothing_is_told(agent: HomeAssistantAgent, server: HomeAssistantServer) -> None:
    server.answer = spoken("", kind="action_done")
    assert await reply(agent) == [TextDelta("Okay.")]
    assert await reply(agent, over(language="ko")) == [TextDelta("네.")]
    server.answer = spoken("", kind="error", code="unknown")
    assert (await refused(agent, "failed and says nothing of it")).fault is Fault.DOUBT


async def test_home_assistants_own_apology_is_said_where_nobody_else_answers(
    server: HomeAssistantServer, agent: HomeAssistantAgent
) -> None:
    server.answer = spoken("Sorry, I couldn't understand that.", kind="error", code="no_intent_match")
    assert await reply(agent) == [TextDelta("Sorry, I couldn't understand that.")]


async def test_an_agent_that_asks_this_daemon_again_is_not_asked_for_ever(
    server: HomeAssistantServer, agent: HomeAssistantAgent
) -> None:
    server.waits = asyncio.Event()
    asking = [asyncio.create_task(reply(agent)) for _ in range(AT_ONCE)]
    while len(server.asked) < AT_ONCE:
        await asyncio.sleep(0.005)
    assert (await refused(agent, r"asks this daemon again: choose another one as llm\.model")).fault is Fault.REFUSED
    server.waits.set()
    assert await asyncio.gather(*asking) == [DONE] * AT_ONCE
    assert await reply(agent) == DONE


class Here:
    """A model of this process that always answers."""

    name = "here"

    def __init__(self) -> None:
        self.asked = 0

    async def check(self) -> None: ...

    async def warm(self) -> None: ...

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.asked += 1
        yield TextDelta("Here.")

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
async def chain(server: HomeAssistantServer) -> AsyncIterator[Chain]:
    """Home Assistant, and who answers what it does not understand."""
    first = HomeAssistantAgent(Llm(engine="homeassistant"), home(server), others=True)
    one = Chain([first, Here()], first_s=1)
    await one.start()
    yield one
    await one.close()


async def test_what_is_no_command_is_answered_by_the_next(server: HomeAssistantServer, chain: Chain) -> None:
    with capture_logs() as logs:
        for code in ("no_intent_match", "no_valid_targets"):
            server.answer = spoken("Sorry, I am not aware of any device called x.", kind="error", code=code)
            assert await reply(chain) == [TextDelta("Here.")]
    assert not [log for log in logs if log["log_level"] == "warning"]
    server.answer = spoken("Turned on the light.")
    assert await reply(chain) == DONE, "it still goes first"
    server.answer = spoken("I cannot do that.", kind="error", code="failed_to_handle")
    assert await reply(chain) == [TextDelta("I cannot do that.")]


@pytest.mark.parametrize("fails", ["late", "half", "500"])
async def test_what_may_have_been_done_is_asked_of_nobody_again(
    server: HomeAssistantServer, chain: Chain, fails: str
) -> None:
    if fails == "late":
        server.waits = asyncio.Event()
    elif fails == "half":
        server.raw = b""
    else:
        server.status = "500 Internal Server Error"
    error = await refused(chain, "has said nothing within|broke off|failed")
    assert (error.fault, unwritten(error)) == (Fault.DOUBT, "doubt")
    assert len(server.asked) == (0 if fails == "500" else 1)


async def test_one_that_is_away_is_answered_for(server: HomeAssistantServer, chain: Chain) -> None:
    server.stop()
    assert await reply(chain) == [TextDelta("Here.")]


async def test_a_draft_of_another_model_that_fails_waits_for_the_end_of_the_turn(server: HomeAssistantServer) -> None:
    """The race: the first model fails inside a draft, and Home Assistant would be asked in its place."""
    async with OllamaServer() as ollama:
        ollama.status = "500 Internal Server Error"
        first = Ollama(Llm(engine="ollama", model="qwen3:4b", url=ollama.url))
        chain = Chain([first, HomeAssistantAgent(Llm(engine="homeassistant"), home(server))], first_s=2)
        draft = Token()
        with pytest.raises(Unsettled):
            await reply(chain, draft)
        assert server.asked == []
        draft.settle()
        assert await reply(chain, draft) == DONE
        await chain.close()
    assert len(server.asked) == 1


async def test_it_is_built_from_the_settings(server: HomeAssistantServer) -> None:
    home_assistant = {"url": f"{server.url}/api/", "token": TOKEN}
    settings = Settings(llm=["homeassistant", "embedded"], home_assistant=home_assistant)  # type: ignore[arg-type]
    built = await build_responder(settings)
    assert built.name.startswith("Home Assistant, else ")
    assert await reply(built) == DONE
    await built.close()
