"""The command line: `antiphon COMMAND`. Each program adds its own commands through the entry point antiphon.commands.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings. An error is one sentence that says what to do.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import click

from antiphon import __version__
from antiphon.settings import Settings

if TYPE_CHECKING:
    from antiphon.configuration import Source

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)
"""What becomes of output on a full disk, or when its reader has gone."""


@dataclass(frozen=True)
class Given:
    """What every command is given, as `context.obj`."""

    settings: Settings
    config: str | None
    """The settings file that was named on the command line."""
    source: Source
    """The file that is to be watched by what goes on running."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", prog_name="antiphon")
@click.option("--config", metavar="FILE", help="The settings to use (default: the user's, the system's, the shipped).")
@click.pass_context
def antiphon(context: click.Context, config: str | None) -> None:
    """A voice assistant that runs on your own machines, answers at once and can be interrupted."""
    from antiphon import log
    from antiphon.configuration import SettingsError, Source, load

    source = Source.at(config)
    try:
        settings = load(config)
    except SettingsError as error:
        # Wrong settings must not keep anybody from stopping a service, or from reading what a command does.
        if context.invoked_subcommand == "service" or {"-h", "--help"} & set(sys.argv):
            context.obj = Given(Settings.model_construct(), config, source)
            return
        click.echo("\n".join(f"Error: {line}" for line in str(error).splitlines()), err=True)
        context.exit(2)
    log.configure(settings.log)
    context.obj = Given(settings, config, source)


@antiphon.command()
@click.pass_context
def up(context: click.Context) -> None:
    """Daemon and satellite on this machine's microphone: talk."""
    from antiphon.up import run

    context.exit(run(context.obj.settings, context.obj.config))


@antiphon.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--home-assistant", "url", metavar="URL", help="Look from there, too (token: home_assistant.token_file).")
@click.pass_context
def doctor(context: click.Context, as_json: bool, url: str | None) -> None:
    """Say what works here and what does not, each with its mend."""
    from antiphon.doctor import run

    settings: Settings = context.obj.settings
    if url is not None:
        home = settings.home_assistant.model_copy(update={"url": url})
        settings = settings.model_copy(update={"home_assistant": home})
    context.exit(run(settings, context.obj.config, as_json=as_json))


@antiphon.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def bench(context: click.Context, name: str, arguments: tuple[str, ...]) -> None:
    """Measure: `antiphon bench turns|load|stt|tts|bargein|soak|chaos|homeassistant|footprint` (in a checkout)."""
    from antiphon.configuration import ROOT

    script = ROOT / "bench" / f"{name}.py"
    if not name.isidentifier() or not script.is_file():
        known = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if not path.stem.startswith("_"))
        raise click.UsageError(f"There is no benchmark {name!r} here, only: {', '.join(known) or 'none'}.")
    import subprocess

    context.exit(subprocess.run([sys.executable, str(script), *arguments], check=False).returncode)


def main() -> None:
    """Run the command line."""
    from antiphon.service.commands import service

    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # a terminal without our letters gets question marks in their place
    antiphon.add_command(service)
    for point in entry_points(group="antiphon.commands"):
        point.load()(antiphon)
    try:
        try:
            antiphon(prog_name="antiphon")
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # what still waits would fail behind our back, when nobody can say so
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        _forget_output()
        if error.errno != errno.EPIPE:
            click.echo(f"Error: What this prints cannot be written: {error.strerror}; make room there.", err=True)
        sys.exit(1)


def _forget_output() -> None:
    """Let what could not be printed go nowhere, instead of being tried once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
