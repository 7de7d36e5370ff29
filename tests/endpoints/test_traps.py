"""What Home Assistant does to the daemon's services: traps by their number (those of a satellite are tested there)."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Ears, Script, quick
from wyoming.info import Info

from antiphon.settings import Endpoints, Network
from antiphon.wire.discovery import Mdns
from antiphon.wire.link import ask_info
from antiphon_daemon import app
from antiphon_daemon.engines.contracts import Engines, Synthesizer

from .conftest import quiet_settings


class Told(Mdns):
    """Announces nothing; asks each service what it is at the moment when it would be announced."""

    infos: dict[str, Info]
    names: list[str]

    def __init__(self, folder: Path, host: str = "") -> None:
        super().__init__(folder, host)
        Told.infos, Told.names = {}, []

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def announce(self, kind: str, port: int) -> None:
        self.infos[kind] = await ask_info(f"tcp://127.0.0.1:{port}", within_s=2)
        self.names.append(self.instance(kind))


async def test_trap_13_services_are_announced_when_they_answer_with_all_that_they_are(
    voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Mdns", Told)
    settings = quiet_settings(network=Network(host="127.0.0.1", zeroconf=True))
    names: list[str] = []
    for _ in range(2):
        async with app.serving(settings, Engines(Ears(), Script(quick), voice)) as servers:
            assert Told.infos.keys() == {"asr", "tts", "handle", "wake"}, "what has no info is not announced"
            for kind, info in Told.infos.items():
                assert info == await ask_info(f"tcp://127.0.0.1:{servers[kind].port}")
                (program,) = getattr(info, kind)
                assert program.installed
        assert names in ([], Told.names), "the names are those of the start before"
        names = Told.names


def test_trap_14_addresses_are_the_same_after_every_start() -> None:
    ports = {name: getattr(Endpoints(), name).port for name in ("asr", "tts", "handle", "wake", "vad")}
    assert ports == {"asr": 10_300, "tts": 10_200, "handle": 10_500, "wake": 10_400, "vad": 10_600}
