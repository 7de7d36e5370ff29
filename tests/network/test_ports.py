"""From another machine: the daemon has the doors that the README lists and no other, and the gateway's is locked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from spaces import Space, cable, space

pytestmark = pytest.mark.timeout(180)
HERE = Path(__file__).parent
START_S = 90.0
OURS, THEIRS = ("10.77.1.2/24", "fd77:1::2/64"), ("10.77.1.1/24", "fd77:1::1/64")
ADDRESSES = [address.partition("/")[0] for address in OURS]
OPEN = {"/": 200, "/health": 200, "/metrics": 200, "/v1/models": 200, "/dashboard/data": 200, "/nothing": 404}
OPEN_TOO = {"speech": 200, "transcription": 200, "secret": 200, "/ws": "open", "/v1/realtime": "open"}
SHELLS = {"/client": 200, "/dashboard": 200}
"""Pages without a word of the house; what they show needs the token."""


def documented() -> set[int]:
    """Return the TCP ports that the README lists for the daemon."""
    rows = re.findall(r"^\| (\d+) TCP \| (.*?) \|", (HERE.parents[1] / "README.md").read_text(), re.MULTILINE)
    return {int(port) for port, what in rows if not what.startswith("a satellite")}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Space]:
    """Return a machine beside one on which a daemon runs whose gateway listens everywhere."""
    with space() as ours, space() as beside:
        cable(ours, beside, "lan")
        ours.addresses("lan", *OURS)
        beside.addresses("lan", *THEIRS)
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump({"gateway": {"host": ""}, "network": {"zeroconf": False}}))
        command = [*ours.enter, sys.executable, "-m", "antiphon", "--config", str(config), "daemon"]
        given = {**os.environ, "ANTIPHON_STATE": str(tmp_path)}
        with (tmp_path / "log").open("wb") as log:
            daemon = subprocess.Popen(command, env=given, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + START_S
            while '"ready"' not in (tmp_path / "log").read_text():
                assert daemon.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.1)
            yield beside
        finally:
            daemon.kill()
            daemon.wait(10)


def ran(place: Space, script: str, *arguments: str) -> str:
    command = [*place.enter, sys.executable, str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_no_door_but_those_listed_and_the_gateway_wants_the_token(other: Space, tmp_path: Path) -> None:
    token = (tmp_path / "gateway-token").read_text().strip()
    for address in ADDRESSES:
        assert {int(port) for port in ran(other, "scan.py", address).split()} == documented(), address
    none, wrong, right = map(
        json.loads, ran(other, "knock.py", f"http://{ADDRESSES[0]}:8000", "", "x", token).splitlines()
    )
    for answers in (none, wrong):
        assert answers.pop("text") == ""
        assert {path: answers.pop(path) for path in SHELLS} == SHELLS
        assert set(answers.values()) <= {401, 429}, answers  # 429: too many wrong ones
    assert set(none.values()) == {401}
    assert "evening" in right.pop("text").lower()
    assert right == {**OPEN, **OPEN_TOO, **SHELLS}
