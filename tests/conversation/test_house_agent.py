"""Home Assistant as the language model of a conversation: it is asked when the turn is over, once, with all the words.

Ears are a script: real ones do not hear half a sentence when asked to. The voice is real.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from home_assistant_server import TOKEN, HomeAssistantServer, spoken
from pydantic import SecretStr
from speech import Say, silence
from test_acts import Growing, House

from antiphon.settings import HomeAssistant, Llm
from antiphon_daemon.engines.contracts import Synthesizer
from antiphon_daemon.engines.llm.chain import Chain
from antiphon_daemon.engines.llm.homeassistant import HomeAssistantAgent


@pytest.fixture
async def server() -> AsyncIterator[HomeAssistantServer]:
    async with HomeAssistantServer() as one:
        yield one


@pytest.fixture
async def agent(server: HomeAssistantServer) -> AsyncIterator[Chain]:
    home = HomeAssistant(url=server.url, token=SecretStr(TOKEN))
    one = Chain([HomeAssistantAgent(Llm(engine="homeassistant"), home)], first_s=1)
    yield one
    await one.close()


async def test_nothing_is_asked_in_a_pause_and_all_of_it_at_the_end(
    server: HomeAssistantServer, agent: Chain, voice: Synthesizer, say: Say
) -> None:
    """The race: "turn on the light" is drafted before the speaker goes on with "in the cellar"."""
    ears = Growing("Turn on the light", "Turn on the light in the cellar")
    house = House(voice, agent, ears, unknown_ms=1500)
    house.asker.begin()
    house.conversation.open()
    await house.hear(silence(0.3), say("Turn on the light,"), silence(0.4))
    assert ears.heard, "there was a draft"
    await house.hear(say("in the cellar."), silence(0.4))
    assert server.asked == [], "still a draft"
    await house.hear(silence(1.6))
    turn = await house.done()
    assert (turn.reply, turn.failure) == ("Turned on the light.", None)
    assert [(one["text"], one["language"]) for one in server.asked] == [("Turn on the light in the cellar", "en")]
    await house.close()


async def test_a_draft_waits_longer_than_the_deadline_for_a_first_word(
    server: HomeAssistantServer, agent: Chain, voice: Synthesizer, say: Say
) -> None:
    """The chain allows a second: what counts is from the end of the turn on."""
    house = House(voice, agent, unknown_ms=4900, silence_ms=5000)
    house.asker.begin()
    house.conversation.open()
    await house.hear(silence(0.3), say("Hello there."), silence(0.4))
    await asyncio.sleep(1.2)
    house.conversation.end()
    assert (await house.done()).reply == "Turned on the light."
    await house.close()


async def test_one_conversation_is_one_there(server: HomeAssistantServer, agent: Chain, voice: Synthesizer) -> None:
    house = House(voice, agent)
    await house.type("turn on the fan over there")
    await house.type("and the other fan too")
    await house.type("Start over.")
    await house.type("now the first one again")
    names = [one["conversation_id"] for one in server.asked]
    assert names[0] == names[1] != names[2]
    await house.close()


async def test_silence_after_an_act_is_told_as_what_it_is(
    server: HomeAssistantServer, agent: Chain, voice: Synthesizer
) -> None:
    server.raw = b""
    house = House(voice, agent)
    turn = await house.type("open the garage over there")
    assert turn.reply == "Sorry, Home Assistant gave no answer. I don't know whether it was done."
    assert len(server.asked) == 1, "it is not asked again"
    server.raw, server.answer = None, spoken("Fine.")
    assert (await house.type("open the garage over there")).reply == "Fine."
    await house.close()
