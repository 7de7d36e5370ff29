"""The names of the house: fetched beside everything else, told to the language model, to the ears only on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from home_assistant_server import TOKEN, HomeAssistantServer
from structlog.testing import capture_logs

from antiphon.live import Live
from antiphon.settings import Settings
from antiphon_daemon import names
from antiphon_daemon.app import SCOPE
from antiphon_daemon.conversation.memory import NAMES_CHARACTERS, new_memory
from antiphon_daemon.names import HouseNames

TOLD = ["Kitchen", "Cook's corner", "Lounge", "Floor lamp", "Uplighter"]
RESULTS: dict[str, Any] = {
    "config/area_registry/list": [
        {"area_id": "kitchen", "name": "Kitchen", "aliases": ["Cook's corner"]},
        {"area_id": "lounge", "name": "Lounge", "aliases": []},
    ],
    "homeassistant/expose_entity/list": {
        "exposed_entities": {
            "light.floor": {"conversation": True},
            "light.off": {"conversation": True},
            "light.secret": {"cloud.alexa": True},
        }
    },
    "config/entity_registry/get_entries": {
        "light.floor": {"aliases": [None, "Uplighter", "kitchen"]},
        "light.off": None,
    },
}
EVENTS = {"subscribe_entities": {"a": {"light.floor": {"s": "off", "a": {"friendly_name": "Floor  lamp"}}}}}


@pytest.fixture
async def server() -> AsyncIterator[HomeAssistantServer]:
    async with HomeAssistantServer() as one:
        one.results, one.events = dict(RESULTS), dict(EVENTS)
        yield one


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again after a twentieth of a second."""
    monkeypatch.setattr(names, "AGAIN_S", 0.05)


def live_with(server: HomeAssistantServer, token: str | None = TOKEN, **given: Any) -> Live:
    home = {"url": server.url, "token": token, **given}
    return Live(Settings(home_assistant=home, stt={"hints": ["Antiphon"]}), SCOPE)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_rooms_and_exposed_devices_are_told_to_the_model_and_not_to_the_ears(server: HomeAssistantServer) -> None:
    live = live_with(server)
    house = HouseNames(live)
    house.start()
    assert live.settings.conversation.names == [], "no start waits for it"
    await until(lambda: live.settings.conversation.names == TOLD)
    assert live.settings.stt.hints == ["Antiphon"]
    prompt = new_memory(live.settings, "en").messages("x")[0].text
    assert prompt.endswith(f" Rooms and devices in this house: {', '.join(TOLD)}.")
    assert server.commands[2]["entity_ids"] == ["light.floor", "light.off"], "what is not exposed is not asked after"
    await house.stop()


async def test_switches_count_at_once_and_the_settings_file_may_change_meanwhile(server: HomeAssistantServer) -> None:
    live = live_with(server)
    house = HouseNames(live)
    house.start()
    await until(lambda: bool(live.settings.conversation.names))
    read = live_with(server, names_told=False, names_heard=True).settings
    read = read.model_copy(update={"stt": read.stt.model_copy(update={"hints": ["Seo-yeon"]})})
    await live.change(read)
    await until(lambda: live.settings.stt.hints == ["Seo-yeon", *TOLD])
    assert live.settings.conversation.names == []
    await house.stop()


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_token_nobody_is_asked(server: HomeAssistantServer, token: str | None) -> None:
    live = live_with(server, token)
    house = HouseNames(live)
    tasks = asyncio.all_tasks()
    house.start()
    assert asyncio.all_tasks() == tasks
    await house.stop()


async def test_a_home_assistant_that_is_away_is_told_once_and_found_again(server: HomeAssistantServer) -> None:
    live = live_with(server)
    server.stop()
    house = HouseNames(live)
    with capture_logs() as logs:
        house.start()
        await until(lambda: bool(logs))
        await asyncio.sleep(0.2)
        assert [log["event"] for log in logs] == ["the names of the house cannot be had"]
        assert "No Home Assistant answers at" in logs[0]["why"]
        await server.start()
        await until(lambda: live.settings.conversation.names == TOLD)
    await house.stop()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (b"[]", "a message is no object"),
        (b"<html>", "a message is no JSON"),
        (b'{"type": "hello"}', "it asks for no token"),
    ],
)
async def test_a_stranger_is_told(server: HomeAssistantServer, words: bytes, says: str) -> None:
    server.first_words = words
    house = HouseNames(live_with(server))
    with capture_logs() as logs:
        house.start()
        await until(lambda: bool(logs))
    await house.stop()
    assert says in logs[0]["why"]


async def test_a_wrong_token_and_one_that_may_not_ask_are_tried_once(server: HomeAssistantServer) -> None:
    for token, says in (("guess", "refused the token"), (TOKEN, "is no administrator's")):
        server.refuses["homeassistant/expose_entity/list"] = "unauthorized"
        house = HouseNames(live_with(server, token))
        with capture_logs() as logs:
            house.start()
            await until(lambda logs=logs: bool(logs))  # type: ignore[misc]
            await asyncio.sleep(0.2)
        await house.stop()
        assert len(logs) == 1
        assert says in logs[0]["why"]
        assert "guess" not in str(logs)
    assert server.refused == 1


async def test_one_that_never_answers_keeps_nobody(
    server: HomeAssistantServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "WITHIN_S", 0.2)
    del server.events["subscribe_entities"]
    server.results["subscribe_entities"] = None
    house = HouseNames(live_with(server))
    with capture_logs() as logs:
        house.start()
        await until(lambda: bool(logs))
    assert "has not told its names" in logs[0]["why"]
    async with asyncio.timeout(2):
        await house.stop()


def test_the_ears_are_given_a_whole_sentence_of_each_name_once() -> None:
    """What has no full stop before it is heard without one."""
    from antiphon_daemon.engines.stt.whisper import as_sentence

    assert as_sentence(["Velux", "Lounge", "Velux"]) == "Velux, Lounge."
    assert as_sentence([]) == ""


def test_the_prompt_stays_short_in_a_large_house() -> None:
    settings = Settings(conversation={"names": [f"Lamp {number}" for number in range(1000)]})  # type: ignore[arg-type]
    prompt = new_memory(settings, "en").messages("x")[0].text
    plain = new_memory(Settings(), "en").messages("x")[0].text
    assert "Lamp 59," in prompt
    assert len(prompt) < len(plain) + 1.5 * NAMES_CHARACTERS
