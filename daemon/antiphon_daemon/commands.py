"""The daemon's commands: `antiphon daemon`, `ask` and `models`. Heavy imports wait until a command runs."""

from __future__ import annotations

import asyncio

import click

from antiphon_daemon.models.commands import models


def add_to(group: click.Group) -> None:
    """Add the commands to `antiphon`."""
    group.add_command(daemon)
    group.add_command(ask)
    group.add_command(models)


@click.command()
@click.pass_context
def daemon(context: click.Context) -> None:
    """Run the daemon in the foreground, as a service does."""
    from antiphon.wire.server import ListenError
    from antiphon_daemon.app import run
    from antiphon_daemon.engines.contracts import EngineError

    try:
        asyncio.run(run(context.obj.settings, context.obj.source))
    except (EngineError, ListenError) as error:
        raise click.ClickException(str(error)) from None


class Ordered(click.Command):
    """A command that keeps the order in which files and texts were given: the second may refer to the first."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note the order, then parse as usual."""
        inputs: list[tuple[str, str]] = []
        left = iter(args)
        for word in left:
            if word == "--text":
                inputs.append(("text", next(left, "")))
            elif word.startswith("--text="):
                inputs.append(("text", word.removeprefix("--text=")))
            elif word in ("--out", "--speed"):
                next(left, None)
            elif word == "--":
                inputs.extend(("file", rest) for rest in left)
            elif not word.startswith("-"):
                inputs.append(("file", word))
        ctx.meta["antiphon.inputs"] = inputs
        return super().parse_args(ctx, args)


@click.command(cls=Ordered)
@click.argument("files", nargs=-1, metavar="[FILE.wav]...")
@click.option("--text", "texts", multiple=True, metavar="T", help="A question in writing; may be given several times.")
@click.option("--out", metavar="REPLY.wav", help="Write the replies, one after another, into this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line instead of a waterfall.")
@click.option("--speed", type=click.Choice(["realtime", "max"]), default="realtime", show_default=True)
@click.pass_context
def ask(
    context: click.Context, files: tuple[str, ...], texts: tuple[str, ...], out: str | None, as_json: bool, speed: str
) -> None:
    """Ask questions, spoken (WAV files) or written, through the whole pipeline; one conversation, no sound device."""
    from antiphon.audio.wav import WavError
    from antiphon_daemon.ask import run
    from antiphon_daemon.engines.contracts import EngineError

    if not files and not texts:
        raise click.UsageError("Give a WAV file or --text: there is nothing to ask.")
    if "-" in files:
        raise click.UsageError("Standard input is not read: save the recording, and give the name of its file.")
    inputs = context.meta["antiphon.inputs"]
    try:
        wrong = asyncio.run(run(context.obj.settings, inputs, out=out, as_json=as_json, realtime=speed == "realtime"))
    except (EngineError, WavError) as error:
        raise click.ClickException(str(error)) from None
    if wrong:
        context.exit(1)
