"""`antiphon service` in a home of its own, where no service manager runs: what it writes, keeps, removes and says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(".config/systemd/user")
SETTINGS = Path(".config/antiphon/config.yaml")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="units are Linux's")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def service(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `antiphon service` as somebody who lives in `home`."""
    others = ("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "ANTIPHON_STATE")
    environment = {name: value for name, value in os.environ.items() if name not in others}
    return subprocess.run(
        [sys.executable, "-m", "antiphon", "service", *arguments],
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def done(home: Path, *arguments: str) -> str:
    ran = service(home, *arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def files(home: Path) -> set[Path]:
    return {path.relative_to(home) for path in home.rglob("*")}


def test_it_is_installed_shown_and_removed_without_a_trace(home: Path) -> None:
    said = done(home, "install", "--user")
    assert {path for path in files(home) if (home / path).is_file()} == {
        UNITS / "antiphon-daemon.service",
        UNITS / "antiphon-satellite.service",
        SETTINGS,
    }
    assert "type: systemctl --user enable --now antiphon-daemon.service" in said
    assert "is up to date" in done(home, "install", "--user")
    shown = service(home, "status", "--user")
    assert shown.returncode == 1
    assert f"daemon: your systemd does not run here; {home / UNITS / 'antiphon-daemon.service'}" in shown.stdout
    done(home, "uninstall", "--user")
    assert files(home) == set()


def test_one_program_can_be_meant(home: Path) -> None:
    done(home, "install", "--user", "satellite")
    assert not (home / UNITS / "antiphon-daemon.service").exists()
    done(home, "install", "--user", "daemon")
    done(home, "uninstall", "--user", "satellite")
    assert (home / UNITS / "antiphon-daemon.service").exists()
    assert (home / SETTINGS).exists()  # the other still reads them
    done(home, "uninstall", "--user")
    assert files(home) == set()


def test_what_a_person_changed_is_kept_and_said_so(home: Path) -> None:
    done(home, "install", "--user")
    unit, settings = home / UNITS / "antiphon-daemon.service", home / SETTINGS
    for path in (unit, settings):
        path.write_text(path.read_text() + "# mine\n")
    kept = {path: path.read_text() for path in (unit, settings)}
    said = done(home, "install", "--user")
    assert f"daemon: {unit} kept as you changed it" in said
    assert f"settings: {settings} kept as it is" in said
    assert "(changed by hand)" in service(home, "status", "--user").stdout
    said = done(home, "uninstall", "--user")
    assert f"{unit} is kept, as you changed it" in said
    assert {path: path.read_text() for path in kept} == kept
    assert not (home / UNITS / "antiphon-satellite.service").exists()


def test_files_that_were_there_before_are_not_touched(home: Path) -> None:
    other, link = home / SETTINGS, home / UNITS / "antiphon-daemon.service"
    other.parent.mkdir(parents=True)
    other.write_text("language: ko\n")
    link.parent.mkdir(parents=True)
    link.symlink_to("/dev/null")  # as `systemctl mask` does
    done(home, "install", "--user")
    assert other.read_text() == "language: ko\n"
    done(home, "uninstall", "--user")
    assert other.read_text() == "language: ko\n"
    assert link.is_symlink()


def test_settings_that_were_changed_in_place_stay_in_force(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README offers that, and `antiphon models use` does it: a file of comments must not go before them."""
    from antiphon import configuration
    from antiphon.service import actions, programs

    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    shipped = home / "config.yaml"
    shipped.write_text("language: ko\nllm: {api_key: secret}\n")
    for module in (programs, configuration):
        monkeypatch.setattr(module, "ROOT", home)
    actions._install_settings(user=True)
    assert f"{shipped} is read, as it was changed there." in capsys.readouterr().out
    assert not (home / SETTINGS).exists()
    assert configuration.load().language == "ko"


def test_an_older_unit_of_ours_is_brought_up_to_date(home: Path) -> None:
    from antiphon.service.written import sealed

    unit = home / UNITS / "antiphon-daemon.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(sealed("[Service]\nExecStart=/old/antiphon daemon\n"))
    assert f"{unit} written" in done(home, "install", "--user", "daemon")
    assert "/old/" not in unit.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "--user"], "Nothing is installed as a service here: antiphon service install does that."),
        (["uninstall", "--user", "daemon"], "The daemon is not installed as a service here"),
        (["logs", "--user"], "Nothing is installed as a service here"),
        (["restart", "--user"], "Nothing is installed as a service here"),
        (["install", "--user", "toaster"], "'toaster' is not one of"),
    ],
)
def test_each_failure_is_one_sentence(home: Path, arguments: list[str], said: str) -> None:
    ran = service(home, *arguments)
    assert ran.returncode in (1, 2)
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_folder_that_cannot_be_written_is_one_sentence(home: Path) -> None:
    (home / ".config").write_text("a file where the folder should be")
    ran = service(home, "install", "--user")
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: ")
    assert "cannot be written" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_wrong_settings_keep_nobody_from_removing_a_service(home: Path) -> None:
    done(home, "install", "--user")
    (home / SETTINGS).write_text("nonsense: true\n")
    assert "removed" in done(home, "uninstall", "--user")


def test_a_service_of_the_system_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    from antiphon.service.actions import manager
    from antiphon.service.written import ServiceError

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ServiceError, match="needs root: type sudo before it, or add --user"):
        manager(None, user=False, changes=True)
    assert manager(None, user=False, changes=False).name == "systemd"


def test_what_a_service_of_the_system_runs_is_compiled_as_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not write beside it, and would compile some eight hundred files at each start."""
    from antiphon.service import programs

    packages, daemon = tmp_path / "packages", tmp_path / "daemon"
    for folder in (packages, daemon / "antiphon_daemon"):
        folder.mkdir(parents=True)
        (folder / "one.py").write_text("ONE = 1\n")
        (folder / "older.py").write_text("print 'of another Python'\n")
    monkeypatch.setattr(programs, "ROOT", tmp_path)
    monkeypatch.setattr(programs.sysconfig, "get_path", lambda name: str(packages))
    programs.compile_all()
    found = {path.parent.parent for path in tmp_path.rglob("__pycache__/one.*.pyc")}
    assert found == {packages, daemon / "antiphon_daemon"}

    asked: dict[str, object] = {}
    monkeypatch.setattr(programs.subprocess, "run", lambda command, **how: asked.update(how))
    monkeypatch.setattr(programs.os, "geteuid", lambda: 0)
    if os.getuid() == 0:
        os.chown(daemon, 12, 34)
    programs.compile_all()
    assert (asked["user"], asked["group"]) == (daemon.stat().st_uid, daemon.stat().st_gid)
    assert asked["extra_groups"] == []
