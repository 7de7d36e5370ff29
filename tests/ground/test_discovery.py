"""mDNS: announced under real addresses and a name that stays, found by others, withdrawn, announced anew."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from ipaddress import ip_address, ip_interface
from pathlib import Path
from subprocess import PIPE

import pytest

from antiphon.wire import discovery
from antiphon.wire.discovery import Found, Mdns, addresses, identity, nearest


class Seen:
    """What a browser was told."""

    def __init__(self) -> None:
        self.now: dict[str, Found | None] = {}
        self._changed = asyncio.Event()

    def __call__(self, instance: str, found: Found | None) -> None:
        self.now[instance] = found
        self._changed.set()

    async def until(self, instance: str, *, there: bool) -> Found | None:
        async with asyncio.timeout(15):
            while instance not in self.now or (self.now[instance] is not None) is not there:
                self._changed.clear()
                await self._changed.wait()
        return self.now[instance]

    async def until_at(self, instance: str, uri: str) -> None:
        """Wait until it is there, and known to be at this address: the one before may be remembered for a second."""
        async with asyncio.timeout(15):
            while self.now.get(instance) != Found(instance, uri):
                self._changed.clear()
                await self._changed.wait()


def test_the_name_stays_over_restarts(tmp_path: Path) -> None:
    first = identity(tmp_path)
    assert identity(tmp_path) == first
    assert identity(tmp_path, fresh=True) != first


@pytest.mark.parametrize(
    "held",
    [
        b"",
        b"{",
        b'{"identity": "0123456789',
        b"[]",
        b"null",
        b'{"identity": null}',
        b'{"identity": 123456789012}',
        b'{"identity": "0123456789AB"}',
        b'{"identity": ["0123456789ab"]}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"\0" * 40,
    ],
)
def test_a_file_that_holds_no_identity_is_mended(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "identity.json").write_bytes(held)
    drawn = identity(tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", drawn)
    assert identity(tmp_path) == drawn
    assert [path.name for path in tmp_path.iterdir()] == ["identity.json"]


def test_programs_that_start_at_once_for_the_first_time_are_one_installation(tmp_path: Path) -> None:
    """Two that both found no file each kept their own, and the one that was overwritten had another name next time."""
    script = (
        "import sys, pathlib; from antiphon.wire.discovery import identity; folder = pathlib.Path(sys.argv[1])\n"
        "print('here', flush=True); sys.stdin.readline(); print(identity(folder))"
    )
    folder = tmp_path / "state"
    command = [sys.executable, "-c", script, str(folder)]
    started = [subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) for _ in range(6)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    drawn = {process.communicate(timeout=30)[0].strip() for process in started}
    assert drawn == {identity(folder)}


def test_an_identity_that_cannot_be_kept_stays_the_same_while_the_program_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "state"
    drawn = identity(nowhere)
    assert re.fullmatch("[0-9a-f]{12}", drawn)
    assert identity(nowhere) == drawn
    assert identity(nowhere, fresh=True) != drawn


def test_a_disk_without_room_leaves_the_old_identity_or_none(tmp_path: Path) -> None:
    script = (
        "import resource, sys, pathlib; from antiphon.wire.discovery import identity\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "print(identity(pathlib.Path(sys.argv[1]), fresh=True))"
    )
    kept = identity(tmp_path / "old")
    for folder in (tmp_path / "old", tmp_path / "new"):
        ran = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
        assert re.fullmatch("[0-9a-f]{12}", ran.stdout.splitlines()[-1])
        assert "identity cannot be kept" in ran.stdout + ran.stderr
    assert identity(tmp_path / "old") == kept
    assert list((tmp_path / "new").iterdir()) == []


def test_addresses_are_those_that_others_can_reach() -> None:
    found = [ip_address(text) for text in addresses()]
    assert found
    assert not any(address.is_unspecified or address.is_link_local for address in found)
    assert addresses("192.168.7.7") == ["192.168.7.7"]
    assert addresses("0.0.0.0") == addresses()


def test_where_no_router_gives_addresses_others_are_told_the_link_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were told 127.0.0.1, and whoever believed it looked for the satellite on itself."""
    here, cable = [ip_interface("127.0.0.1/8"), ip_interface("fe80::7/64")], ip_interface("169.254.7.7/16")
    monkeypatch.setattr(discovery, "_interfaces", lambda: [*here, cable])
    assert addresses() == ["169.254.7.7"]
    monkeypatch.setattr(discovery, "_interfaces", lambda: here)
    assert addresses() == ["127.0.0.1"]
    monkeypatch.setattr(discovery, "_interfaces", lambda: [*here, cable, ip_interface("192.168.0.7/24")])
    assert addresses() == ["192.168.0.7"]


def test_an_address_on_our_own_network_is_dialled_before_another(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [ip_interface("192.168.0.10/24"), ip_interface("fd00::10/64"), ip_interface("127.0.0.1/8")]
    monkeypatch.setattr(discovery, "_interfaces", lambda: ours)
    assert nearest(["172.17.0.1", "192.168.0.7"]) == "192.168.0.7"
    assert nearest(["192.168.122.1", "fd00::7", "192.168.0.7"]) == "192.168.0.7"
    assert nearest(["10.1.1.1", "fd00::7"]) == "fd00::7"
    assert nearest(["10.1.1.2", "10.1.1.1"]) == "10.1.1.1"


async def test_announced_found_and_withdrawn(tmp_path: Path) -> None:
    ours, theirs, seen = pair(tmp_path)
    await ours.start()
    await theirs.start()
    theirs.browse(seen)
    await ours.announce("asr", 10_300)
    found = await seen.until(ours.instance("asr"), there=True)
    assert found is not None
    assert found.uri.endswith(":10300")
    assert found.uri.removeprefix("tcp://").rpartition(":")[0].strip("[]") in addresses()
    await ours.stop()
    await seen.until(ours.instance("asr"), there=False)
    await theirs.stop()


async def test_announced_anew_when_addresses_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "LOOK_S", 0.1)
    ours, theirs, seen = pair(tmp_path, "127.0.0.1")
    await theirs.start()
    theirs.browse(seen)
    monkeypatch.setattr(discovery, "addresses", lambda host="": [host or "10.9.8.7"])
    await ours.start()
    await ours.announce("asr", 10_300)
    found = await seen.until(ours.instance("asr"), there=True)
    assert found == Found(ours.instance("asr"), "tcp://10.9.8.7:10300")
    monkeypatch.setattr(discovery, "addresses", lambda host="": [host or "10.9.8.6"])
    await seen.until(ours.instance("asr"), there=False)
    await seen.until_at(ours.instance("asr"), "tcp://10.9.8.6:10300")
    await ours.stop()
    await theirs.stop()


async def test_announced_anew_when_the_machine_wakes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a night's sleep everybody has forgotten a laptop, and its addresses are the same."""
    monkeypatch.setattr(discovery, "LOOK_S", 0.1)
    ours, theirs, seen = pair(tmp_path)
    await ours.start()
    await ours.announce("asr", 10_300)
    await theirs.start()
    theirs.browse(seen)
    await seen.until(ours.instance("asr"), there=True)
    forget(theirs, seen)
    monkeypatch.setattr(discovery, "slept_s", lambda: 8 * 3600.0)
    await seen.until(ours.instance("asr"), there=True)
    await ours.stop()
    await theirs.stop()


async def test_who_was_forgotten_behind_a_cut_line_is_found_when_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An access point was off for hours: records have expired, and neither side's addresses have changed."""
    monkeypatch.setattr(discovery, "LOOK_S", 0.1)
    ours, theirs, seen = pair(tmp_path)
    await ours.start()
    await ours.announce("asr", 10_300)
    await theirs.start()
    theirs.browse(seen)
    await seen.until(ours.instance("asr"), there=True)
    forget(theirs, seen)
    monkeypatch.setattr(discovery, "ASK_S", 5.0)  # the first question is answered to one of this host's sockets alone
    await seen.until(ours.instance("asr"), there=True)
    await ours.stop()
    await theirs.stop()


def pair(folder: Path, host: str = "") -> tuple[Mdns, Mdns, Seen]:
    """Return two places in mDNS, of which the second is to see the first, and what it sees."""
    for name in "ab":
        (folder / name).mkdir()
    return Mdns(folder / "a"), Mdns(folder / "b", host), Seen()


def forget(mdns: Mdns, seen: Seen) -> None:
    """Have all records of others expire, as if their first hours were over."""
    assert mdns._zeroconf is not None
    assert mdns._browser is not None
    cache = mdns._zeroconf.zeroconf.cache
    cache.async_remove_records([record for name in cache.names() for record in cache.entries_with_name(name)])
    mdns._browser.query_scheduler.stop()
    seen.now.clear()


async def test_a_failure_that_passes_does_not_end_announcing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file descriptor to spare, the system does not tell its addresses."""
    monkeypatch.setattr(discovery, "LOOK_S", 0.1)
    ours, theirs, seen = pair(tmp_path, "127.0.0.1")
    await theirs.start()
    theirs.browse(seen)
    monkeypatch.setattr(discovery, "addresses", lambda host="": [host or "10.9.8.7"])
    await ours.start()
    await ours.announce("asr", 10_300)
    await seen.until(ours.instance("asr"), there=True)

    def none_left(host: str = "") -> list[str]:
        if host:
            return [host]
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(discovery, "addresses", none_left)
    await asyncio.sleep(0.5)
    monkeypatch.setattr(discovery, "addresses", lambda host="": [host or "10.9.8.6"])
    await seen.until_at(ours.instance("asr"), "tcp://10.9.8.6:10300")
    await ours.stop()
    await theirs.stop()


async def test_mdns_that_cannot_be_had_at_the_start_is_had_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program has its port for itself, and ends."""
    monkeypatch.setattr(discovery, "LOOK_S", 0.1)
    ours, theirs, seen = pair(tmp_path)
    await theirs.start()
    theirs.browse(seen)

    def taken() -> discovery.AsyncZeroconf:
        raise OSError(98, "Address already in use")

    with monkeypatch.context() as port:
        port.setattr(discovery, "_join", taken)
        await ours.start()
        await ours.announce("asr", 10_300)
        await asyncio.sleep(0.5)
    assert await seen.until(ours.instance("asr"), there=True)
    await ours.stop()
    await theirs.stop()


async def test_own_services_are_not_offered_back(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    ours, theirs, own, other = Mdns(tmp_path), Mdns(tmp_path / "b"), Seen(), Seen()
    await ours.start()
    await theirs.start()
    ours.browse(own)
    theirs.browse(other)
    await ours.announce("asr", 10_300)
    await ours.announce("satellite", 10_700)
    await other.until(ours.instance("asr"), there=True)
    await own.until(ours.instance("satellite"), there=True)
    assert ours.instance("asr") not in own.now
    await ours.stop()
    await theirs.stop()


async def test_a_copied_identity_is_noticed_and_replaced(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "identity.json").write_text('{"identity": "0123456789ab"}')
    one, two = Mdns(tmp_path / "a"), Mdns(tmp_path / "b")
    await one.start()
    await two.start()
    await one.announce("asr", 10_300)
    await two.announce("asr", 10_301)
    assert one.instance("asr") != two.instance("asr")
    assert identity(tmp_path / "b") != "0123456789ab"
    await one.stop()
    await two.stop()


async def test_a_copied_identity_under_another_host_name_keeps_its_own_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copied memory card whose host was renamed: both hosts' addresses stood under one name, and one was dialled."""
    seen, other = Seen(), Mdns(tmp_path / "other")
    homes = {"kitchen": "10.77.0.1", "bedroom": "10.77.0.2"}
    await other.start()
    other.browse(seen)
    copies = []
    for host, address in homes.items():
        (tmp_path / host).mkdir()
        (tmp_path / host / "identity.json").write_text('{"identity": "0123456789ad"}')
        monkeypatch.setattr(discovery.socket, "gethostname", lambda host=host: host)
        copies.append(Mdns(tmp_path / host, address))
        await copies[-1].start()
        await copies[-1].announce("satellite", 10_700)
        found = await seen.until(f"{host}-antiphon-satellite-012345", there=True)
        assert found is not None
        assert found.uri == f"tcp://{address}:10700"
    for one in (*copies, other):
        await one.stop()
