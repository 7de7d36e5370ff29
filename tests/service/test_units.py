"""The units and agents, as they are written: accepted by systemd without a word, closed to what they do not need."""

from __future__ import annotations

import plistlib
import re
import subprocess
from pathlib import Path

import pytest

from antiphon.service import PROGRAMS
from antiphon.service.launchd import Launchd
from antiphon.service.systemd import Systemd, backoff, quoted
from antiphon.service.written import sealed
from antiphon.settings import Network, Settings

EXPOSED_AT_MOST = {
    ("daemon", "system"): 2.0,
    ("satellite", "system"): 2.0,
    ("daemon", "user"): 7.0,
    ("satellite", "user"): 7.0,
}
"""What `systemd-analyze security` may make of a unit, of 10."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "a home"))
    for name in ("XDG_CONFIG_HOME", "ANTIPHON_STATE", "ANTIPHON_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "a home"


def unit(folder: Path, program: str, kind: str, **settings: object) -> Path:
    """Write a unit as `install` would."""
    manager = Systemd(Settings(**settings), None, user=kind == "user")  # type: ignore[arg-type]
    path = folder / manager.path(program).name
    path.write_text(sealed(manager.text(program)))
    return path


def analyze(*arguments: str, runtime: Path) -> str:
    """Return what systemd-analyze says, on both ways."""
    ran = subprocess.run(
        ["systemd-analyze", *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": str(runtime), "XDG_RUNTIME_DIR": str(runtime), "SYSTEMD_COLORS": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("kind", ["system", "user"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_systemd_has_nothing_to_say_against_a_unit(tmp_path: Path, home: Path, program: str, kind: str) -> None:
    path = unit(tmp_path, program, kind, network=Network(allow=["100.64.0.0/10"]))
    said = analyze(f"--{kind}", "verify", "--man=no", str(path), runtime=tmp_path)
    about_it = [line for line in said.splitlines() if path.name in line or "Failed" in line]
    assert about_it == []
    assert "@" not in re.sub(r"@(system-service|privileged|resources)", "", path.read_text())


@pytest.mark.parametrize("kind", ["system", "user"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_unit_is_closed_to_what_it_does_not_need(tmp_path: Path, home: Path, program: str, kind: str) -> None:
    path = unit(tmp_path, program, kind)
    said = analyze(f"--{kind}", "security", "--no-pager", "--offline=true", str(path), runtime=tmp_path)
    exposed = float(re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)[0])
    print(f"{path.name} ({kind}): {exposed}")
    assert exposed <= EXPOSED_AT_MOST[program, kind]


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_agent_is_a_property_list_that_says_what_it_should(home: Path, program: str) -> None:
    text = Launchd(Path("/Users/a & b/my.yaml")).text(program)
    for whole in (text, sealed(text)):
        agent = plistlib.loads(whole.encode())
        assert agent["Label"] == f"local.antiphon.{program}"
        assert agent["ProgramArguments"][-3:] == ["--config", "/Users/a & b/my.yaml", program]
        assert Path(agent["ProgramArguments"][0]).is_absolute()
        assert agent["StandardErrorPath"] == str(home / "Library" / "Logs" / "antiphon" / f"{program}.log")
        assert agent["KeepAlive"] == {"SuccessfulExit": False}
        assert agent["RunAtLoad"] is True
        assert agent["ThrottleInterval"] >= 10
        assert agent["ProcessType"] == "Interactive"
        assert agent["EnvironmentVariables"]["PATH"].startswith("/opt/homebrew/bin:")


def test_what_says_where_files_are_is_passed_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_STATE", "/srv/100% mine")
    manager = Systemd(Settings(), Path("/srv/my settings.yaml"), user=True)
    text = manager.text("satellite")
    assert 'Environment="ANTIPHON_STATE=/srv/100%% mine"' in text
    assert 'antiphon --config "/srv/my settings.yaml" satellite' in text
    assert plistlib.loads(Launchd(None).text("daemon").encode())["EnvironmentVariables"]["ANTIPHON_STATE"]


def test_whatever_engine_fetches_keeps_it_where_a_daemon_of_the_system_may_write(home: Path) -> None:
    text = Systemd(Settings(), None, user=False).text("daemon")
    kept = re.findall(r"(\w+)=%C/antiphon\S*", text)
    assert set(kept) == {"HF_HOME", "XDG_CACHE_HOME", "TTS_HOME"}


def test_a_checkout_in_homes_that_are_a_link_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `/home` leads elsewhere, what it leads to is hidden, and the checkout goes by its real path."""
    (tmp_path / "data").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "data")
    checkout = tmp_path / "data" / "anna" / "antiphon"
    monkeypatch.setattr("antiphon.service.systemd.HIDDEN", (str(tmp_path / "home"),))
    monkeypatch.setattr("antiphon.service.programs.ROOT", checkout)
    monkeypatch.setattr("antiphon.service.programs.template", lambda *_: "@binds@\n")
    assert f"BindReadOnlyPaths={checkout}\n" in Systemd(Settings(), None, user=False).text("daemon")


def test_a_vpn_that_is_allowed_is_let_through_to_a_satellite() -> None:
    text = Systemd(Settings(network=Network(allow=["100.64.0.0/10"])), None, user=False).text("satellite")
    assert re.search(r"^IPAddressAllow=.* 100\.64\.0\.0/10$", text, re.MULTILINE)


def test_a_new_systemd_waits_longer_each_time() -> None:
    assert "RestartSteps=5" in backoff(257)
    assert backoff(252) == ["RestartSec=5"]


def test_a_path_is_one_word_whatever_is_in_it() -> None:
    assert quoted("/plain/path") == "/plain/path"
    assert quoted('/a "b" 5%') == '"/a \\"b\\" 5%%"'


@pytest.mark.parametrize("kind", ["system", "user"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_what_makes_code_as_it_runs_is_allowed_to(tmp_path: Path, home: Path, program: str, kind: str) -> None:
    """PortAudio calls Python through cffi, whose callbacks need memory that is both written and executed."""
    assert "MemoryDenyWriteExecute" not in unit(tmp_path, program, kind).read_text()
