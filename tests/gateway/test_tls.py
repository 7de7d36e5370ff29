"""https and wss by certificate files; what does not come to a handshake is not waited for."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from antiphon_daemon.engines.contracts import Synthesizer
from antiphon_daemon.gateway import quiet, renewal, validity

from .certificates import CURVE, RSA, make
from .opening import opened

TOKEN = "open-sesame"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusting(certificate: tuple[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


async def test_https_and_wss_alone_are_served(
    gateways: list[Any], voice: Synthesizer, certificate: tuple[str, str], trusting: ssl.SSLContext
) -> None:
    tls: dict[str, Any] = {"certificate": certificate[0], "key": certificate[1]}
    async with opened(gateways, voice, host="0.0.0.0", token=SecretStr(TOKEN), **tls) as gateway:
        at = f"localhost:{gateway.port}"
        shown = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as http:
            assert (await http.get(f"https://{at}/health", headers=shown)).json() == {"status": "ready"}
            assert (await http.get(f"https://{at}/health")).status_code == 401
            with pytest.raises(httpx.TransportError):
                await http.get(f"http://{at}/health", headers=shown)
        query = f"?token={TOKEN}"
        page = f"https://{at}"
        async with connect(f"wss://{at}/ws{query}", ssl=trusting, proxy=None, origin=page) as socket:  # type: ignore[arg-type]
            await socket.recv()
            await socket.send('{"type": "text", "content": "Hello there!"}')
            kinds = []
            async with asyncio.timeout(30):
                while "sound" not in kinds:
                    message = await socket.recv()
                    kinds.append("sound" if isinstance(message, bytes) else message)


async def test_who_does_not_come_to_a_handshake_is_not_waited_for(
    gateways: list[Any], voice: Synthesizer, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "HANDSHAKE_S", 0.3)
    async with opened(gateways, voice, certificate=certificate[0], key=certificate[1]) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"\x16\x03\x01")
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()


async def test_a_key_that_belongs_to_another_leaves_the_gateway_closed(
    gateways: list[Any], voice: Synthesizer, certificate: tuple[str, str], tmp_path: Path
) -> None:
    _, other = make(tmp_path)
    async with opened(gateways, voice, certificate=certificate[0], key=other) as gateway:
        assert gateway._server is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("kind", [CURVE, RSA], ids=["of the same kind", "of another kind"])
async def test_a_certificate_that_is_renewed_is_shown_without_a_restart(
    gateways: list[Any],
    voice: Synthesizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: list[str],
    host: str,
) -> None:
    """Authorities give them for weeks: a daemon that had read it at its start was shut out by every browser then."""
    monkeypatch.setattr(renewal, "LOOK_S", 0.1)
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = make(tmp_path / "old"), make(tmp_path / "new", kind=kind)
    trusted = Path(shutil.copy(old[0], tmp_path / "trusted"))
    async with opened(gateways, voice, certificate=old[0], key=old[1]) as gateway:
        at = f"https://{host}:{gateway.port}/health"

        async def is_shown(certificate: Path | str) -> bool:
            trusting = ssl.create_default_context(cafile=certificate)
            async with httpx.AsyncClient(verify=trusting, trust_env=False) as http:
                try:
                    return (await http.get(at)).status_code == 200
                except httpx.TransportError:
                    return False

        await asyncio.to_thread(shutil.move, new[0], old[0])  # its key is still to come
        await asyncio.sleep(0.5)
        assert await is_shown(trusted)
        await asyncio.to_thread(shutil.move, new[1], old[1])
        async with asyncio.timeout(30):
            while not await is_shown(old[0]):
                await asyncio.sleep(0.1)
        assert not await is_shown(trusted)


@pytest.mark.parametrize(("days", "says"), [(-1, "has expired"), (3, "2 days from now"), (100, "")])
async def test_a_certificate_that_ends_is_told_once_in_the_log_and_so_is_its_successor(
    gateways: list[Any], voice: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, says: str
) -> None:
    """A gateway whose certificate nobody renewed served on, shut out by every browser, and its log was silent."""
    monkeypatch.setattr(renewal, "LOOK_S", 0.05)
    monkeypatch.setattr(renewal, "VALID_S", 0.0)
    (tmp_path / "new").mkdir()
    certificate, key = make(tmp_path, days)
    with capture_logs() as logs:
        async with opened(gateways, voice, certificate=certificate, key=key):
            await asyncio.sleep(0.5)
            new = make(tmp_path / "new", 100)
            await asyncio.to_thread(shutil.move, new[0], certificate)
            await asyncio.to_thread(shutil.move, new[1], key)
            async with asyncio.timeout(30):
                while not any("renewed" in line["event"] for line in logs):
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.2)
    told = [line["event"] for line in logs if line["log_level"] == "warning" and "in its place" in line["event"]]
    assert len(told) == bool(says)
    assert says in "".join(told)


def test_a_clock_that_is_behind_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_yet(*_: str) -> datetime:
        error = ssl.SSLCertVerificationError("certificate is not yet valid")
        error.verify_code, error.verify_message = validity.NOT_YET, "certificate is not yet valid"
        raise error

    monkeypatch.setattr(validity, "ends", not_yet)
    assert "by this machine's clock (20" in validity.trouble("cert.pem", "key.pem")
