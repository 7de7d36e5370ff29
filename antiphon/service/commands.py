"""`antiphon service`, the command. What it does is imported when it is asked for: most runs are others."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from antiphon.service import PROGRAMS


@click.group()
def service() -> None:
    """Keep the daemon and the satellite running: at every start of this machine, and after every fall."""


def _action(function: Callable[..., int]) -> click.Command:
    """Return the command: which programs, whose manager; an error is one sentence."""

    @functools.wraps(function)
    def run(context: click.Context, user: bool, **given: Any) -> None:
        from antiphon.service.written import ServiceError

        try:
            code = function(config=context.obj.config, user=user or sys.platform == "darwin", **given)
        except (ServiceError, OSError) as error:
            raise click.ClickException(str(error)) from None
        context.exit(code)

    wrapped: Callable[..., Any] = click.pass_context(run)
    for decorate in (
        click.option("--user", is_flag=True, help="Your own service, not the system's."),
        click.argument("names", nargs=-1, metavar="[daemon|satellite]", type=click.Choice(PROGRAMS)),
    ):
        wrapped = decorate(wrapped)
    return service.command()(wrapped)


@_action
def install(config: str | None, names: Sequence[str], user: bool) -> int:
    """Write what the service manager needs, and start what is installed here (or what is named)."""
    from antiphon.service import actions

    one = actions.manager(config, user=user, changes=True)
    return actions.install(one, names, user=user)


@_action
def uninstall(config: str | None, names: Sequence[str], user: bool) -> int:
    """Stop it, and remove what `install` wrote; what you have changed is kept."""
    from antiphon.service import actions

    one = actions.manager(config, user=user, changes=True)
    return actions.uninstall(one, names, user=user)


@_action
def restart(config: str | None, names: Sequence[str], user: bool) -> int:
    """Restart it: after an update, or for settings that need it."""
    from antiphon.service import actions

    return actions.restart(actions.manager(config, user=user, changes=True), names, user=user)


@_action
def status(config: str | None, names: Sequence[str], user: bool) -> int:
    """Say how it does; the exit code is 1 when something does not run."""
    from antiphon.service import actions

    return actions.status(actions.manager(config, user=user, changes=False), names)


@_action
@click.option("--lines", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many of the last.")
@click.option("--follow", "-f", is_flag=True, help="Go on showing what comes.")
def logs(config: str | None, names: Sequence[str], user: bool, lines: int, follow: bool) -> int:
    """Show the logs."""
    from antiphon.service import actions

    return actions.logs(actions.manager(config, user=user, changes=False), names, lines=lines, follow=follow)
