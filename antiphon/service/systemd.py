"""systemd: units of the system, or of a user."""

from __future__ import annotations

import getpass
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path

from antiphon.service import programs
from antiphon.service.manager import START_S, Condition, call, must
from antiphon.service.written import ServiceError
from antiphon.settings import Settings

STEPS_SINCE = 254
"""The version of systemd that can wait longer from one restart to the next."""
KEPT = (Path("/var/lib/antiphon"), Path("/var/cache/antiphon"))
"""The units' state and cache: links to folders of the same name in `private`, as they have a user of their own."""
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""Folders of others, of which a service of the system sees only what it needs."""


class Systemd:
    """A `Manager`.

    Args:
        user: the user's own manager, not the system's.
        config: the settings file that was named on the command line.
    """

    def __init__(self, settings: Settings, config: Path | None, *, user: bool) -> None:
        self._settings, self.config, self._user = settings, config, user
        self.name = "your systemd" if user else "systemd"
        if user:
            home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
            self._folder, self.top = home / "systemd" / "user", Path.home()
        else:
            self._folder, self.top = Path("/etc/systemd/system"), Path("/etc/systemd/system")

    def path(self, program: str) -> Path:
        """Return the unit's file."""
        return self._folder / _unit(program)

    def text(self, program: str) -> str:
        """Return the unit, made from its template."""
        kind = "user" if self._user else "system"
        values = {
            "command": " ".join(quoted(word).replace("$", "$$") for word in programs.command(self.config)),
            "backoff": "\n".join(backoff(_version())),
            "environment": "\n".join(f"Environment={quoted(f'{k}={v}')}" for k, v in programs.passed_on().items()),
            "binds": "\n".join(f"BindReadOnlyPaths={_bind(folder)}" for folder in self._hidden_folders()),
            "allow": "".join(f" {ip_network(text)}" for text in self._settings.network.allow),
        }
        text = programs.template("systemd", f"antiphon-{program}.{kind}.service")
        return re.sub(rf"@({'|'.join(values)})@\n?", lambda found: _filled(found, values), text)

    def present(self) -> bool:
        """Whether systemd answers."""
        try:
            return call(*self._systemctl("show", "--property=Version")).returncode == 0
        except ServiceError:
            return False

    def by_hand(self, program: str) -> str:
        """Return the command that enables and starts the unit."""
        return " ".join(self._systemctl("enable", "--now", _unit(program)))

    def hint(self) -> str:
        """Say how a user's service starts with the machine: it is not ours to change how an account is treated."""
        user = getpass.getuser()
        if not self._user or Path("/var/lib/systemd/linger", user).exists():
            return ""
        return (
            f"They run while you are logged in; to have them start with the machine: sudo loginctl enable-linger {user}"
        )

    def start(self, program: str) -> Condition:
        """Enable the unit and (re)start it."""
        must(*self._systemctl("daemon-reload"))
        must(*self._systemctl("enable", _unit(program)))
        return self.restart(program)

    def stop(self, program: str) -> None:
        """Stop and disable the unit."""
        call(*self._systemctl("disable", "--now", _unit(program)))
        for wants in self._folder.glob(f"*.target.wants/{_unit(program)}"):  # where no manager has done so
            wants.unlink(missing_ok=True)

    def clean(self, program: str) -> None:
        """Remove what the services of the system have kept: their identity, and the models that they fetched."""
        if self._user:
            return
        for kept in KEPT:
            if kept.is_symlink():
                kept.unlink()
            shutil.rmtree(kept.parent / "private" / kept.name, ignore_errors=True)

    def reload(self, program: str) -> None:
        """Have systemd notice that the unit is gone."""
        call(*self._systemctl("daemon-reload"))
        call(*self._systemctl("reset-failed", _unit(program)))

    def restart(self, program: str) -> Condition:
        """Restart the unit and wait until it serves."""
        try:
            ran = call(*self._systemctl("restart", _unit(program)), within_s=START_S)
        except ServiceError:
            return Condition(False, "is still starting")
        found = self.condition(program)
        return found if ran.returncode == 0 else Condition(False, f"did not start ({found.says})")

    def condition(self, program: str) -> Condition:
        """Return what systemd says of the unit."""
        names = ("ActiveState", "SubState", "StatusText", "UnitFileState", "NRestarts")
        said = must(*self._systemctl("show", _unit(program), *(f"--property={name}" for name in names)))
        known = dict(line.partition("=")[::2] for line in said.splitlines())
        state = f"{known.get('ActiveState')} ({known.get('SubState')}), {known.get('UnitFileState') or 'not enabled'}"
        restarts = f", restarted {known['NRestarts']} times" if known.get("NRestarts") not in ("0", "", None) else ""
        text = f": {known['StatusText']}" if known.get("StatusText") else ""
        return Condition(known.get("ActiveState") in ("active", "reloading"), f"{state}{restarts}{text}")

    def logs(self, programs: Sequence[str], *, lines: int, follow: bool) -> list[str]:
        """Return the call of journalctl."""
        units = [f"{'--user-unit' if self._user else '--unit'}={_unit(program)}" for program in programs]
        return ["journalctl", *units, f"--lines={lines}", *(["--follow"] if follow else ["--no-pager"])]

    def _systemctl(self, *arguments: str) -> list[str]:
        return ["systemctl", *(["--user"] if self._user else []), *arguments]

    def _hidden_folders(self) -> list[Path]:
        folders = programs.needed_folders(self.config)
        tops = {found for top in map(Path, HIDDEN) for found in (top, top.resolve())}  # a link hides where it leads
        return [folder for folder in folders if tops & set(folder.parents)]


def _filled(found: re.Match[str], values: Mapping[str, str]) -> str:
    """Return what stands for a placeholder; a line of its own that holds nothing is left out."""
    value, end = values[found[1]], "\n" if found[0].endswith("\n") else ""
    alone = found.string[found.start() - 1] == "\n"
    return f"{value}{end}" if value or not alone else ""


def _unit(program: str) -> str:
    return f"antiphon-{program}.service"


def _version() -> int:
    """Return the version of systemd that is installed; 0: none."""
    try:
        found = re.search(r"systemd (\d+)", call("systemctl", "--version").stdout)
    except ServiceError:
        return 0
    return int(found[1]) if found else 0


def backoff(version: int) -> list[str]:
    """Return how a unit waits before it is restarted: longer each time, where systemd is new enough for that."""
    if version >= STEPS_SINCE:
        return ["RestartSec=2", "RestartSteps=5", "RestartMaxDelaySec=60"]
    return ["RestartSec=5"]


def quoted(word: str) -> str:
    """Return `word` as one word of a unit file, whatever is in it."""
    plain = word.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
    return f'"{plain}"' if plain != word or re.search(r"[\s';]", word) else word


def _bind(folder: Path) -> str:
    return quoted(str(folder).replace(":", "\\:"))
