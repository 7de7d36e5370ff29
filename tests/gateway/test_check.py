"""What the doctor says of the gateway."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from antiphon.checks import Check
from antiphon.configuration import state_dir
from antiphon.settings import Gateway
from antiphon_daemon.engines.contracts import Synthesizer
from antiphon_daemon.gateway import check
from antiphon_daemon.gateway.doors import TOKEN_FILE

from .certificates import make
from .conftest import quiet_settings
from .opening import opened


async def found(**settings: Any) -> list[Check]:
    return await check.run(quiet_settings(Gateway(**settings)))


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        yield server.getsockname()[1]


async def test_a_running_daemon_is_seen_to_be_ready_or_not(
    gateways: list[Any], voice: Synthesizer, tmp_path: Path
) -> None:
    certificate, key = make(tmp_path, days=100)
    tls = {"certificate": certificate, "key": key}
    for settings in ({}, tls, {"host": "0.0.0.0", "token": SecretStr("open-sesame"), **tls}):
        async with opened(gateways, voice, **settings) as gateway:
            one, *others = await found(**{**settings, "port": gateway.port})
            assert (one.ok, one.says.partition(";")[0]) == (True, "the daemon answers and is ready")
            assert ("no token" in one.says) == ("token" not in settings)
            assert [other.ok for other in others] == [True] * ("certificate" in settings)
            gateway.why_not = "the daemon is ending"
            assert (await found(**{**settings, "port": gateway.port}))[0].says.endswith("the daemon is ending")
            if "token" in settings:
                wrong = (await found(**{**settings, "port": gateway.port, "token": SecretStr("old")}))[0]
                assert wrong.ok is None
                assert "another token" in wrong.says


async def test_a_free_port_and_one_that_another_has(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (free,) = await found(port=0)
    assert (free.ok, free.says) == (True, "is free; for this machine alone, no token")
    monkeypatch.setattr(check, "ANSWER_S", 0.2)
    (other,) = await found(port=taken)
    assert other.ok is None
    assert "in use" in other.says
    assert "gateway.port" in other.mend
    assert (await found(enabled=False))[0].says == "is switched off"


async def test_looking_makes_no_token() -> None:
    (one,) = await found(port=0, host="0.0.0.0")
    assert "shows the token" in one.says
    assert not (state_dir() / TOKEN_FILE).exists()


@pytest.mark.parametrize(
    ("days", "ok", "says"), [(100, True, "valid until"), (5, None, "4 days from now"), (-1, None, "expired")]
)
async def test_a_certificate_is_told_before_it_ends(tmp_path: Path, days: int, ok: bool | None, says: str) -> None:
    certificate, key = make(tmp_path, days)
    _, one = await found(port=0, certificate=certificate, key=key)
    assert one.ok is ok
    assert says in one.says
    assert one.ok or "within a minute a daemon that runs shows the new one" in one.mend


async def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    certificate, _ = make(tmp_path)
    (tmp_path / "other").mkdir()
    _, key = make(tmp_path / "other")
    for settings in ({"certificate": certificate, "key": key}, {"certificate": str(tmp_path / "none.pem")}):
        _, one = await found(port=0, **settings)
        assert one.ok is None
        assert "cannot be used" in one.says
