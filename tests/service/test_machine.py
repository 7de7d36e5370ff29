"""On a machine with systemd as process 1: what `antiphon service` puts there runs, closed in as it is, and lives.

The daemon is the real one, with its models, as the unit's own user, on its usual ports.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Machine
from virtual_sound import VirtualSound

HERE = Path(__file__).parent
PROGRAM = str(Path(sys.executable).parent / "antiphon")
DAEMON, SATELLITE = "antiphon-daemon.service", "antiphon-satellite.service"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machine() as one:
        yield one


def service(machine: Machine, *arguments: str) -> str:
    ran = machine.run(PROGRAM, "service", *arguments, within_s=150)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def drop_in(machine: Machine, unit: str, text: str) -> None:
    """Change a unit as people do."""
    folder = f"/etc/systemd/system/{unit}.d"
    machine.must(
        "bash", "-c", f'mkdir -p {folder} && printf "%s\\n" "$1" >{folder}/test.conf', "-", f"[Service]\n{text}"
    )
    machine.systemctl("daemon-reload")


def until_restarted(machine: Machine, unit: str) -> None:
    end = time.monotonic() + 60
    while int(machine.known(unit, "NRestarts")) < 1 or machine.known(unit, "ActiveState") != "active":
        assert time.monotonic() < end
        time.sleep(0.2)


def test_installed_it_serves_as_nobody_in_particular(machine: Machine) -> None:
    """`install` returns when both have said that they are ready: they must answer then, without a moment's grace."""
    said = service(machine, "install")
    assert "daemon: active (running), enabled: Serving asr on 10300" in said
    talked = json.loads(machine.must(sys.executable, str(HERE / "talk.py")))
    assert "what is the capital of spain" in talked["heard"].lower()
    assert talked["answered"]
    assert machine.known(DAEMON, "NRestarts") == "0"
    for unit in (DAEMON, SATELLITE):
        owner = machine.must("ps", "-o", "user=", "-p", machine.known(unit, "MainPID")).strip()
        assert owner == "antiphon"
    assert machine.must("ls", "/var/lib/antiphon/").split() == ["identity.json"]
    assert "satellite: active (running), enabled: Listening on 10700" in service(machine, "status")


def test_it_reads_its_settings_again(machine: Machine) -> None:
    drop_in(machine, DAEMON, "StandardError=append:/run/daemon.log")
    service(machine, "restart", "daemon")
    machine.must("bash", "-c", "echo 'turn: {silence_ms: 777}' >>/etc/antiphon/config.yaml")
    machine.systemctl("reload", DAEMON)
    end = time.monotonic() + 20
    while "settings taken: turn.silence_ms" not in machine.must("cat", "/run/daemon.log"):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert machine.known(DAEMON, "ActiveState") == "active"


def test_a_loop_that_is_blocked_is_killed_and_started_again(machine: Machine) -> None:
    how = [
        f"ExecStart=\nExecStart={sys.executable} {HERE / 'block.py'}",
        f"BindReadOnlyPaths={HERE}",
        "ExecStopPost=+/bin/sh -c 'echo $SERVICE_RESULT >>/run/results'",
        "WatchdogSec=5\nRestartSec=1\nLimitCORE=0",
    ]
    drop_in(machine, DAEMON, "\n".join(how))
    machine.systemctl("restart", DAEMON)
    machine.systemctl("kill", "--kill-who=main", "--signal=USR2", DAEMON)
    until_restarted(machine, DAEMON)
    assert machine.must("cat", "/run/results").split()[-1] == "watchdog"
    assert json.loads(machine.must(sys.executable, str(HERE / "talk.py")))["answered"]


def test_killed_it_is_started_again(machine: Machine) -> None:
    drop_in(machine, SATELLITE, "RestartSec=1")
    machine.systemctl("kill", "--signal=KILL", SATELLITE)
    until_restarted(machine, SATELLITE)


def test_stopped_it_says_goodbye_within_five_seconds(machine: Machine) -> None:
    listening = machine.start(sys.executable, str(HERE / "listen.py"))
    assert listening.stdout is not None
    there: set[str] = set()
    while not all(
        any(f"-antiphon-{kind}-" in name for name in there) for kind in ("asr", "tts", "handle", "satellite")
    ):
        sign, name = listening.stdout.readline().split()
        assert sign == "+"
        there.add(name)
    for unit in (DAEMON, SATELLITE):
        began = time.monotonic()
        machine.systemctl("stop", unit)
        assert time.monotonic() - began < 5
        assert machine.known(unit, "Result") == "success"
    while there:
        sign, name = listening.stdout.readline().split()
        assert sign == "-"
        there.discard(name)
    listening.kill()
    listening.wait(10)


@pytest.mark.skipif(not VirtualSound.available(), reason="PulseAudio is not installed")
def test_closed_in_it_has_its_microphone_and_speaker(machine: Machine) -> None:
    with VirtualSound() as sound:
        for path in (sound.folder, *sound.folder.rglob("*")):
            path.chmod(0o777)  # the unit's own user plays here
        names = ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_SERVER")
        sounds = [f"Environment={name}={sound.environment[name]}" for name in names]
        log = "/run/satellite.log"
        drop_in(machine, SATELLITE, "\n".join((*sounds, f"BindPaths={sound.folder}", f"StandardError=append:{log}")))
        machine.systemctl("restart", SATELLITE)
        end = time.monotonic() + 30
        while "sound devices open" not in machine.must("cat", log):
            assert time.monotonic() < end, machine.must("cat", log)
            time.sleep(0.2)
        assert machine.known(SATELLITE, "ActiveState") == "active"
        assert machine.known(SATELLITE, "NRestarts") == "0"
        machine.systemctl("stop", SATELLITE)
    drop_in(machine, SATELLITE, "RestartSec=1")  # the folder is gone


def test_wrong_settings_are_not_tried_again_and_again(machine: Machine) -> None:
    machine.must("bash", "-c", "echo 'nonsense: true' >>/etc/antiphon/config.yaml")
    ran = machine.run(PROGRAM, "service", "restart", "satellite")
    assert ran.returncode == 1
    assert "satellite: did not start" in ran.stdout
    assert machine.known(SATELLITE, "ActiveState") == "failed"


def test_uninstalled_it_is_gone_but_for_what_a_person_wrote(machine: Machine) -> None:
    said = service(machine, "uninstall")
    assert "settings: /etc/antiphon/config.yaml is kept, as you changed it." in said
    left = machine.must("find", "/etc/systemd/system", "/var/lib/private", "/var/cache/private", "-type", "f")
    assert sorted(left.split()) == [f"/etc/systemd/system/{unit}.d/test.conf" for unit in (DAEMON, SATELLITE)]
    assert machine.known(DAEMON, "LoadState") == "not-found"


def test_a_users_own_manager_runs_it_too(machine: Machine) -> None:
    runtime = "/run/user/0"
    unit = f"[Service]\nType=notify\nDelegate=yes\nEnvironment=HOME=/root/own XDG_RUNTIME_DIR={runtime}\n"
    script = f'mkdir -p {runtime} /root/own && printf "%s" "$1" >/etc/systemd/system/own.service'
    machine.must("bash", "-c", script, "-", f"{unit}ExecStart=/lib/systemd/systemd --user --unit=basic.target\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "own.service")
    given = {"HOME": "/root/own", "XDG_RUNTIME_DIR": runtime}
    ran = machine.run(PROGRAM, "service", "install", "--user", "satellite", within_s=120, **given)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "satellite: active (running), enabled: Listening on 10700" in ran.stdout
    assert "loginctl enable-linger root" in ran.stdout
    ran = machine.run(PROGRAM, "service", "uninstall", "--user", **given)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    left = machine.must("find", "/root/own", "-type", "f").split()
    assert left == ["/root/own/.local/state/antiphon/identity.json"]  # which a program that is run by hand uses too
