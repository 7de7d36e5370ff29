"""On a machine with two interfaces and IPv6: what a second machine on both networks is told of us over mDNS, and when.

The programs are the real ones, each in a network namespace; what they announce is seen with the `zeroconf` library.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from spaces import Space, cable, space

from antiphon.wire.discovery import LOOK_S

pytestmark = pytest.mark.timeout(180)
HERE = Path(__file__).parent
START_S = 60.0
CHANGE_S = LOOK_S + 5.0
"""By then a change of addresses has been seen, and told to everybody."""
GOODBYE_S = 5.0
"""Without a goodbye a service is remembered for more than an hour."""
FIRST = {"10.77.1.2", "10.77.2.2", "fd77:1::2", "2001:db8:77::2"}
ASK = """
import asyncio, sys
from antiphon.wire.link import ask_info
for uri in sys.argv[1:]:
    info = asyncio.run(ask_info(uri))
    assert [*info.asr, *info.tts, *info.handle, *info.wake] or info.satellite, uri
"""
"""Asks each of these services what it is."""


class Observer:
    """A second machine that listens on the network, and remembers what it has been told."""

    def __init__(self, place: Space, versions: str) -> None:
        command = [*place.enter, sys.executable, str(HERE / "observer.py"), versions]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.now: dict[str, tuple[set[str], int]] = {}
        """The addresses and the port of each service that is there."""
        self._reading = threading.Thread(target=self._read)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "{}\n"
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if told["what"] == "removed":
                self.now.pop(told["name"], None)
            else:
                self.now[told["name"]] = set(told["addresses"]), told["port"]

    @property
    def kinds(self) -> set[str]:
        """The kinds of service that are there."""
        return {name.split("-antiphon-")[1].split("-")[0] for name in list(self.now)}

    @property
    def addresses(self) -> set[str]:
        """All the addresses that are told now."""
        return set[str]().union(*(addresses for addresses, _ in list(self.now.values())))

    def until(self, true: Callable[[], bool], within_s: float) -> None:
        end = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < end, self.now
            time.sleep(0.05)

    def until_kinds(self, kinds: set[str], within_s: float) -> None:
        self.until(lambda: self.kinds == kinds, within_s)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._reading.join(10)


class Network:
    """A machine for our programs and one beside it, joined by two cables; a bridge to containers on ours."""

    def __init__(self, ours: Space, other: Space, folder: Path) -> None:
        self.ours, self.other, self.folder = ours, other, folder
        for device, here, there in (
            ("lan", ("10.77.1.2/24", "fd77:1::2/64"), ("10.77.1.1/24", "fd77:1::1/64")),
            ("wifi", ("10.77.2.2/24", "2001:db8:77::2/64"), ("10.77.2.1/24", "2001:db8:77::1/64")),
        ):
            cable(ours, other, device)
            ours.addresses(device, *here)
            other.addresses(device, *there)
        ours.ip("link add docker0 type bridge")
        ours.addresses("docker0", "172.17.0.1/16")

    @contextmanager
    def observer(self, versions: str) -> Iterator[Observer]:
        one = Observer(self.other, versions)
        try:
            yield one
        finally:
            one.close()

    @contextmanager
    def program(self, name: str, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
        config = self.folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings))
        command = [*self.ours.enter, sys.executable, "-m", "antiphon", "--config", str(config), name]
        given = {**os.environ, "ANTIPHON_STATE": str(self.folder)}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=given, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with space() as ours, space() as other:
        yield Network(ours, other, tmp_path)


def test_the_daemon_is_told_by_its_real_addresses_over_either_protocol_and_says_goodbye(network: Network) -> None:
    with network.observer("4") as four, network.observer("6") as six, network.program("daemon") as daemon:
        for observer in (four, six):
            observer.until_kinds({"asr", "tts", "handle", "wake"}, START_S)
            assert all(addresses == FIRST for addresses, _ in observer.now.values()), observer.now
        uris = [
            f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"
            for addresses, port in four.now.values()
            for address in addresses
        ]
        asked = [*network.other.enter, sys.executable, "-c", ASK, *uris]
        ran = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(20) == 0
        for observer in (four, six):
            observer.until_kinds(set(), GOODBYE_S)
        assert "Traceback" not in network.log("daemon"), network.log("daemon")


def test_the_satellite_follows_its_addresses_and_says_goodbye(network: Network) -> None:
    """An address goes and another comes; then all go and one comes back, as when Wi-Fi is lost for a while."""
    with network.observer("46") as observer, network.program("satellite", satellite={"name": "k"}) as satellite:
        observer.until(lambda: observer.addresses == FIRST, START_S)
        (name,) = observer.now
        network.ours.ip("addr del 10.77.1.2/24 dev lan")
        network.ours.addresses("lan", "10.77.1.9/24")
        observer.until(lambda: observer.addresses == FIRST - {"10.77.1.2"} | {"10.77.1.9"}, CHANGE_S)
        network.ours.ip("addr flush dev lan")
        network.ours.ip("addr flush dev wifi")
        observer.until(lambda: not observer.now, CHANGE_S)
        network.ours.addresses("wifi", "10.77.2.7/24", "fd77:2::7/64")
        observer.until(lambda: observer.addresses == {"10.77.2.7", "fd77:2::7"}, CHANGE_S)
        assert list(observer.now) == [name], "Home Assistant knows it by its name"
        satellite.send_signal(signal.SIGTERM)
        assert satellite.wait(20) == 0
        observer.until(lambda: not observer.now, GOODBYE_S)
        assert "Traceback" not in network.log("satellite"), network.log("satellite")
