"""What `antiphon doctor --home-assistant URL` says of what Home Assistant sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from alone import ALONE
from home_assistant_server import TOKEN, VERSION, HomeAssistantServer

from antiphon.checks import Check
from antiphon.settings import Endpoint, Endpoints, Satellite, Settings
from antiphon.wire.server import Server
from antiphon_daemon import other_side
from antiphon_daemon.endpoints.info import wake_info
from antiphon_daemon.endpoints.vad import VadHandler

OFF = Endpoint(enabled=False, port=0)
TITLE = "Home Assistant: wake"


class Seen:
    """One Home Assistant with an entry, a pipeline and a satellite, and our wake service."""

    def __init__(self, server: HomeAssistantServer, port: int) -> None:
        self.server, self.port = server, port
        self.info = wake_info().to_dict()
        entry = {"entry_id": "e1", "title": "antiphon", "state": "loaded", "reason": None, "disabled_by": None}
        self.entry: dict[str, Any] = entry
        self.state = "unknown"
        self.pipeline: dict[str, Any] = {"id": "p1", "name": "House", "wake_word_entity": "wake_word.antiphon"}
        self.flows: list[dict[str, Any]] = []

    async def checks(self, token: str | None = TOKEN, url: str | None = None) -> dict[str, Check]:
        satellite = {"entry_id": "e2", "title": "kitchen", "state": "setup_retry", "reason": "Unable to connect"}
        registry = [("wake_word.antiphon", "e1"), ("assist_satellite.kitchen", "e2"), ("switch.kitchen_mute", "e2")]
        states = [{"entity_id": "wake_word.antiphon", "state": self.state}]
        self.server.results = {
            "config_entries/get": [self.entry, {**satellite, "disabled_by": None}] if self.entry else [],
            "wyoming/info": {"info": {"e1": self.info}},
            "config/entity_registry/list": [
                {"entity_id": name, "config_entry_id": entry, "platform": "wyoming"} for name, entry in registry
            ],
            "get_states": [*states, {"entity_id": "assist_satellite.kitchen", "state": "unavailable"}],
            "config_entries/flow/progress": self.flows,
            "assist_pipeline/pipeline/list": {"pipelines": [self.pipeline], "preferred_pipeline": "p1"},
            **self.server.results,
        }
        endpoints = Endpoints(asr=OFF, tts=OFF, handle=OFF, vad=OFF, wake=Endpoint(port=self.port))
        home = {"url": url or self.server.url, "token": token}
        given = {**ALONE, "endpoints": endpoints, "satellite": Satellite(name="attic", port=1), "home_assistant": home}
        return {check.name: check for check in await other_side.run(Settings(**given))}


@pytest.fixture
async def seen() -> AsyncIterator[Seen]:
    wake = Server("wake", 0, info=wake_info, handler=VadHandler, network=ALONE["network"])
    await wake.start()
    async with HomeAssistantServer() as server:
        yield Seen(server, wake.port)
    await wake.stop()


async def test_what_works_is_told(seen: Seen) -> None:
    found = await seen.checks()
    assert found["Home Assistant"].says == f"{VERSION} answers at {seen.server.url} and takes the token"
    assert found[TITLE].ok
    assert found[TITLE].says == "wake_word.antiphon, reached, as it is here"
    assistant = found["Home Assistant: assistant 'House', the preferred one"]
    assert (assistant.ok, assistant.says) == (True, "wake_word.antiphon listens for the wake word")
    kitchen = found["Home Assistant: kitchen"]
    assert (kitchen.ok, kitchen.says) == (None, "assist_satellite.kitchen is unavailable")
    assert "delete the entry and add it again" in kitchen.mend


async def test_a_service_at_another_address_than_is_kept(seen: Seen) -> None:
    seen.entry |= {"state": "setup_retry", "reason": "Unable to connect"}
    seen.info, seen.state = {}, "unavailable"
    found = await seen.checks()
    assert found[TITLE].ok is False
    assert found[TITLE].says == "wake_word.antiphon is not reached (Unable to connect) although it runs here"
    assert "another address than 127.0.0.1" in found[TITLE].mend
    dead = found["Home Assistant: assistant 'House', the preferred one"]
    assert (dead.ok, "not reached: wake_word.antiphon" in dead.says) == (False, True)


async def test_one_that_does_not_run_is_disabled_differs_or_is_not_there(seen: Seen) -> None:
    port, seen.port = seen.port, 1
    assert (await seen.checks())[TITLE].says.startswith(
        "wake_word.antiphon is reached, but not at this machine's port 1"
    )
    seen.port, seen.info = port, {"wake": [{"name": "antiphon", "models": []}]}
    seen.server.results = {}
    check = (await seen.checks())[TITLE]
    assert (check.ok, "not known as it is here now" in check.says) == (None, True)
    seen.server.results = {}
    seen.entry |= {"disabled_by": "user"}
    assert "is disabled there" in (await seen.checks())[TITLE].says
    seen.server.results = {}
    seen.entry = {}
    found = await seen.checks()
    assert (found["Home Assistant: services"].ok, found[TITLE].ok) == (False, None)
    assert f"port {seen.port}" in found[TITLE].mend


async def test_what_waits_to_be_confirmed_and_an_assistant_of_others(seen: Seen) -> None:
    context = {"source": "zeroconf", "unique_id": "x", "title_placeholders": {"name": "antiphon"}}
    seen.flows = [{"handler": "wyoming", "context": context}, {"handler": "hue", "context": {}}]
    seen.pipeline = {"id": "p2", "name": "Cloud", "wake_word_entity": None}
    found = await seen.checks()
    assert found["Home Assistant: discovered"].says == "antiphon"
    assert "add one, or choose the services" in found["Home Assistant: assistants"].mend


@pytest.mark.parametrize(
    ("token", "url", "says"),
    [
        (None, None, "wants a token: make a new one"),
        ("guess-guess", None, "refused the token"),
        (TOKEN, "http://127.0.0.1:1", "No Home Assistant answers at http://127.0.0.1:1"),
        (TOKEN, "http://", "is no address"),
    ],
)
async def test_why_nothing_can_be_seen(seen: Seen, token: str | None, url: str | None, says: str) -> None:
    found = await seen.checks(token, url)
    assert list(found) == ["Home Assistant"]
    assert found["Home Assistant"].ok is False
    assert says in found["Home Assistant"].says
    assert "guess-guess" not in str(found)


async def test_no_administrator_and_odd_answers(seen: Seen) -> None:
    seen.server.refuses["wyoming/info"] = "unauthorized"
    assert "is no administrator's" in (await seen.checks())["Home Assistant"].says
    seen.server.refuses.clear()
    seen.server.results = {"config_entries/get": [{"title": "x"}]}
    assert "does not speak as Home Assistant does" in (await seen.checks())["Home Assistant"].says
    seen.server.results = {}
    seen.server.status = "404 Not Found"
    assert "/api/websocket is answered with 404" in (await seen.checks())["Home Assistant"].says


async def test_one_that_says_nothing_is_not_waited_for(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_side, "WITHIN_S", 0.3)
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(5), "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        found = await seen.checks(TOKEN, f"http://127.0.0.1:{port}")
    assert "has not answered within" in found["Home Assistant"].says
