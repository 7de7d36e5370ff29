"""What `antiphon service` does: each action prints what it did, a sentence a line."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from antiphon.configuration import SettingsError, load
from antiphon.places import at_home
from antiphon.service import PROGRAMS, programs, written
from antiphon.service.launchd import Launchd
from antiphon.service.manager import Condition, Manager
from antiphon.service.systemd import Systemd
from antiphon.service.written import ServiceError, State
from antiphon.settings import Settings


def manager(config: str | None, *, user: bool, changes: bool) -> Manager:
    """Return the manager that is meant.

    Args:
        changes: it is to be changed: a system's needs root.

    Raises:
        ServiceError: this user may not change it.
    """
    config = config or os.environ.get("ANTIPHON_CONFIG")
    named = at_home(config).absolute() if config else None
    if sys.platform == "darwin":
        if changes and os.geteuid() == 0 and os.environ.get("SUDO_USER"):
            raise ServiceError("On a Mac the service is that of whoever is logged in: type it without sudo.")
        return Launchd(named)
    if changes and not user and os.geteuid() != 0:
        raise ServiceError("A service of the system needs root: type sudo before it, or add --user for your own.")
    return Systemd(_settings(config, user=user), named, user=user)


def _settings(config: str | None, *, user: bool) -> Settings:
    """Return the settings that the service will have; wrong ones do not keep anybody from stopping or removing it."""
    own = programs.settings_file(user=user)
    try:
        return load(config or (str(own) if own.is_file() else None))
    except SettingsError as error:
        click.echo(f"The settings are wrong, and nothing starts until they are mended: {str(error).splitlines()[0]}")
        return Settings.model_construct()


def install(one: Manager, names: Sequence[str], *, user: bool) -> int:
    """Put the programs into the manager's care."""
    chosen = list(names) or programs.installed()
    missing = [name for name in chosen if name not in programs.installed()]
    if missing:
        raise ServiceError(f"The {missing[0]} is not installed in {sys.prefix}: run ./run.sh {missing[0]} there first.")
    if not one.config:
        _install_settings(user=user)
    for name in chosen:
        path = one.path(name)
        kept = written.state_of(path) is State.THEIRS
        new = written.write(path, one.text(name))
        how = "kept as you changed it (delete it to have ours)" if kept else "written" if new else "is up to date"
        click.echo(f"{name}: {path} {how}.")
    if not one.present():
        for name in chosen:
            click.echo(f"{name}: not started, as {one.name} does not run here; once it does, type: {one.by_hand(name)}")
        return 0
    _compile(user=user)
    code = _told([(name, one.start(name)) for name in chosen])
    if hint := one.hint():
        click.echo(hint)
    return code


def _install_settings(*, user: bool) -> None:
    path, text = programs.settings_file(user=user), programs.shipped_settings()
    if written.state_of(path) is State.THEIRS:
        click.echo(f"settings: {path} kept as it is.")
        return
    if not user and (own := programs.unread_settings()):
        says = f"settings: {own} is not read by a service of the system; to have it do so, type:"
        click.echo(f"{says} sudo install -Dm644 {shlex.quote(str(own))} {path} && sudo ./run.sh service restart")
    if changed := programs.changed_settings():  # a file of comments would go before it, and undo what it says
        if written.state_of(path) is State.OURS:
            written.remove(path, Path.home() if user else Path("/etc"))
        click.echo(f"settings: {changed} is read, as it was changed there.")
        return
    if text is not None and written.write(path, text):
        click.echo(f"settings: {path} written, with every setting in it, commented out.")


def _compile(*, user: bool) -> None:
    if not user and sys.platform != "darwin":
        click.echo("Compiling what the service runs, but may not write beside …")
        programs.compile_all()


def uninstall(one: Manager, names: Sequence[str], *, user: bool) -> int:
    """Take the programs out of the manager's care, and remove what `install` wrote."""
    present = one.present()
    chosen = _here(one, names)
    for name in chosen:
        path = one.path(name)
        ours = written.state_of(path) is State.OURS
        if present or sys.platform != "darwin":
            one.stop(name)
        if not ours:
            click.echo(f"{name}: stopped; {path} is kept, as you changed it.")
            continue
        last = not [other for other in _installed(one) if other != name]
        if present and last:
            one.clean(name)
        written.remove(path, one.top)
        if present:
            one.reload(name)
        click.echo(f"{name}: {path} removed.")
    settings = programs.settings_file(user=user)
    if _installed(one):
        return 0
    if written.state_of(settings) is State.OURS:
        written.remove(settings, Path.home() if user else Path("/etc"))
        click.echo(f"settings: {settings} removed.")
    elif written.state_of(settings) is State.THEIRS:
        click.echo(f"settings: {settings} is kept, as you changed it.")
    return 0


def restart(one: Manager, names: Sequence[str], *, user: bool) -> int:
    """Restart the programs: after an update, or for settings that need it."""
    chosen = _here(one, names)
    if not one.present():
        raise ServiceError(f"{one.name} does not run here: there is nothing to restart.")
    _compile(user=user)
    return _told([(name, one.restart(name)) for name in chosen])


def status(one: Manager, names: Sequence[str]) -> int:
    """Say how the programs do; 1 when one of them does not run."""
    present, running = one.present(), True
    for name in _here(one, names):
        path = one.path(name)
        whose = "" if written.state_of(path) is State.OURS else " (changed by hand)"
        found = one.condition(name) if present else Condition(False, f"{one.name} does not run here")
        running = running and found.running
        click.echo(f"{name}: {found.says}; {path}{whose}")
    return 0 if running else 1


def logs(one: Manager, names: Sequence[str], *, lines: int, follow: bool) -> int:
    """Show the logs, as the manager keeps them."""
    command = one.logs(_here(one, names), lines=lines, follow=follow)
    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        raise ServiceError(f"{command[0]} cannot be run: {error.strerror}") from None
    except KeyboardInterrupt:
        return 0


def _told(results: Sequence[tuple[str, Condition]]) -> int:
    for name, found in results:
        more = "" if found.running else "; `antiphon service logs` says more"
        click.echo(f"{name}: {found.says}{more}")
    return 0 if all(found.running for _, found in results) else 1


def _installed(one: Manager) -> list[str]:
    return [name for name in PROGRAMS if written.state_of(one.path(name)) is not State.ABSENT]


def _here(one: Manager, names: Sequence[str]) -> list[str]:
    """Return the programs that are meant: those that are named, or all that are in the manager's care."""
    here = _installed(one)
    absent = [name for name in names if name not in here]
    if absent:
        raise ServiceError(f"The {absent[0]} is not installed as a service here: antiphon service install does that.")
    if not here:
        raise ServiceError("Nothing is installed as a service here: antiphon service install does that.")
    return [name for name in here if not names or name in names]
