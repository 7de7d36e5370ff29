"""The satellite's part of the command line."""

from __future__ import annotations

import click


def add_to(group: click.Group) -> None:
    """Add `antiphon satellite`."""
    group.add_command(satellite)


@click.command()
@click.pass_context
def satellite(context: click.Context) -> None:
    """A microphone and a speaker, driven by Home Assistant or a daemon."""
    from antiphon_satellite.app import run

    context.exit(run(context.obj.settings, context.obj.source))
