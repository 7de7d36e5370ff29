"""The names under which this machine is announced: as long as mDNS takes, and no two alike."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from antiphon.audio.wake import Word
from antiphon.settings import Settings
from antiphon.wire.discovery import Mdns
from antiphon_satellite import service


@pytest.mark.parametrize("kind", ["satellite", "satellite-hey-mycroft-v0-1", "satellite-" + "x" * 60])
def test_a_long_name_can_be_announced(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Seonghyeons-MacBook-Pro.local")
    mdns = Mdns(tmp_path)
    mdns._known = ["127.0.0.1"]
    mdns._service(kind, 10_701)
    assert "-antiphon-satellite" in mdns.instance(kind)


async def test_each_word_is_announced_whatever_its_script() -> None:
    words = [Word(name, name, ["ko"]) for name in ("okay_nabu", "헤이 나부", "컴퓨터야")]
    settings = Settings(satellite={"wake": {"words": ["okay_nabu"], "assistants": "each"}})  # type: ignore[arg-type]
    one = service.Service(settings, words, None)  # type: ignore[arg-type]
    assert len(one.announced()) == 3, one.announced()
