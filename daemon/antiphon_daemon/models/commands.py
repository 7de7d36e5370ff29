"""`antiphon models`: list, pull, verify, remove, use, bench."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from antiphon.text import json_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.settings import Settings
    from antiphon_daemon.engines.models import Model
    from antiphon_daemon.models.fetching import Progress
    from antiphon_daemon.models.keeping import Keeper
    from antiphon_daemon.models.measuring import Measured

ALL = 99
"""How many languages `*` stands for."""


@click.group()
def models() -> None:
    """Fetch models, keep them whole, choose between them."""


@models.command("list")
@click.option("--language", metavar="CODE", help="Only models that know this language, such as ko.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_context
def list_(context: click.Context, language: str | None, as_json: bool) -> None:
    """Show the models that can be pulled, and those that are here (✓; ● in use)."""
    from antiphon_daemon.engines.models import catalogue, place

    found = [model for model in catalogue().values() if language is None or model.knows(language)]
    used = _in_use(context.obj.settings)
    if as_json:
        entries = [
            {
                **model.model_dump(exclude={"files"}),
                "here": place(model.name) is not None,
                "in_use": model.name in used,
                "path": str(folder) if (folder := place(model.name)) else None,
                "files": [file.model_dump(exclude_none=True) for file in model.files],
            }
            for model in found
        ]
        click.echo(json_line(entries))
        return
    _print_table(found, used)
    if language is not None:
        for stage in sorted({"stt", "llm", "tts"} - {model.stage for model in found}):
            click.echo(f"For {stage} the catalogue has no model that knows {language}: see docs/models.md.")


@models.command()
@click.argument("name")
@click.option("--from", "source", metavar="PATH", help="Take it from a folder, or a file with the others beside it.")
@click.option("--mirror", metavar="URL", help="Fetch from here instead of models.mirror.")
@click.option("--shared", is_flag=True, help="For all users and for services of the system (needs root).")
@click.option("--trust-new", is_flag=True, help="Accept what differs from the first pull.")
@click.pass_context
def pull(
    context: click.Context, name: str, source: str | None, mirror: str | None, shared: bool, trust_new: bool
) -> None:
    """Fetch a model; a pull that was cut off goes on from where it was."""
    from antiphon_daemon.engines.models import SETTINGS, place
    from antiphon_daemon.models.fetching import PullError

    model = _model(name)
    here = place(name)
    keeper = _keeper(shared=shared)
    try:
        with _Bar(name) as progress:
            if source is not None:
                folder = keeper.bring(model, Path(source), progress, trust_new=trust_new)
            else:
                hub = mirror or context.obj.settings.models.mirror
                folder = keeper.pull(model, hub, progress, trust_new=trust_new)
    except PullError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is here already: {folder}" if here == folder and source is None else f"{name} is in {folder}")
    if name not in _in_use(context.obj.settings):
        click.echo(f"To use it ({SETTINGS[model.stage]}): antiphon models use {name}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_context
def verify(context: click.Context, names: tuple[str, ...]) -> None:
    """Compare pulled models with their hashes; all of them without a name."""
    from antiphon_daemon.engines.models import SHARED, manifest, own_folder, place
    from antiphon_daemon.models.keeping import Keeper

    if names:
        places = []
        for name in names:
            folder = place(name)
            if folder is None:
                raise click.ClickException(f"The model {name} is not here: antiphon models pull {name}")
            places.append(folder)
    else:
        there = [path for folder in (own_folder(), SHARED) if folder.is_dir() for path in sorted(folder.iterdir())]
        places = [path for path in there if manifest(path)]
    wrong = False
    for folder in places:
        found = Keeper(folder.parent, click.echo).verify(folder.name)
        wrong = wrong or bool(found)
        click.echo(f"✗ {folder.name}" if found else f"✓ {folder.name}")
        for sentence in found:
            click.echo(f"    {sentence}")
        if found:
            run, which = ("sudo antiphon", "--shared ") if folder.parent == SHARED else ("antiphon", "")
            again = f"{run} models pull {which}{folder.name}"
            click.echo(f"    → {run} models remove {which}--force {folder.name} && {again}")
    if not places:
        click.echo("No model has been pulled yet: antiphon models list shows what there is.")
    context.exit(int(wrong))


@models.command()
@click.argument("name")
@click.option("--shared", is_flag=True, help="The one for all users.")
@click.option("--force", is_flag=True, help="Even if the settings name it.")
@click.pass_context
def remove(context: click.Context, name: str, shared: bool, force: bool) -> None:
    """Delete a pulled model, or what has arrived of one."""
    from antiphon_daemon.engines.models import SHARED, manifest
    from antiphon_daemon.models.fetching import PullError

    _plain_name(name)
    if not force and name in _in_use(context.obj.settings):
        raise click.ClickException(
            f"The settings name {name}: use another first (antiphon models use), or add --force."
        )
    try:
        size = _keeper(shared=shared).remove(name)
    except PullError as error:
        if not shared and "There is no model" in str(error) and manifest(SHARED / name):
            mend = f"sudo antiphon models remove --shared {name}"
            raise click.ClickException(f"The {name} that is here is the one for all users: {mend}") from None
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is gone: {size / 1e6:,.0f} MB are free.")


@models.command()
@click.argument("name")
@click.pass_context
def use(context: click.Context, name: str) -> None:
    """Name a pulled model in the settings file; the rest of the file stays as it is."""
    from antiphon.configuration import locate
    from antiphon_daemon.engines.models import place
    from antiphon_daemon.models import choosing

    model, language = _model(name), context.obj.settings.language
    if place(name) is None:
        raise click.ClickException(f"The model {name} is not here: fetch it with: antiphon models pull {name}")
    if not model.knows(language):
        known = ", ".join(model.languages)
        raise click.ClickException(f"{name} knows {known} and the language is {language}: choose another model.")
    path = locate(context.obj.config)
    if path is None:
        import platformdirs

        path = Path(platformdirs.user_config_dir("antiphon")) / "config.yaml"
    try:
        choosing.use(model, path)
    except choosing.EditError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{path} now names {name}.")
    for variable in choosing.overridden(model):
        click.echo(f"But the variable {variable} is stronger than the file: take it away.")
    follows = model.stage == "tts" and model.engine == context.obj.settings.tts.engine
    click.echo("Voices change while the daemon runs." if follows else "Restart the daemon to load it.")


@models.command()
@click.option("--language", metavar="CODE", help="In this language instead of the settings', such as ko.")
@click.option("--text", "texts", multiple=True, metavar="T", help="What is said and heard; may be given several times.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="How often each is asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def bench(context: click.Context, language: str | None, texts: tuple[str, ...], rounds: int, as_json: bool) -> None:
    """Measure how quickly the engines that are here hear and speak; `engine: auto` then chooses by it.

    Each is measured with each model that is here, one after another. Let the machine do nothing else meanwhile: stop a
    daemon that runs.
    """
    import asyncio

    from antiphon_daemon.engines import measured
    from antiphon_daemon.models import measuring

    settings = context.obj.settings
    language = language or settings.language
    done = measuring.Measured()
    try:
        said = measuring.sentences(language, texts)
        asked = measuring.subjects(settings, language)
        if not asked:
            raise measuring.CannotMeasure(
                f"Nothing that is here knows {language!r}: antiphon models list --language {language} shows what does."
            )
        with _Status() as progress:
            asyncio.run(measuring.measure(asked, said, rounds, done, progress))
    except measuring.CannotMeasure as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{measured.file()} cannot be written: {error.strerror or error}.") from None
    except KeyboardInterrupt:
        _show_speeds(done, language, as_json=as_json)
        click.echo(f"Interrupted: {len(done.speeds)} of {len(asked)} were measured and are kept.", err=True)
        context.exit(130)
    _show_speeds(done, language, as_json=as_json)
    if not done.speeds:
        context.exit(1)


def _show_speeds(done: Measured, language: str, *, as_json: bool) -> None:
    """Print what was measured, and why the rest was not."""
    from antiphon_daemon.engines import by_speed, measured

    if as_json:
        speeds = [{**one.model_dump(exclude_none=True), "quick_enough": by_speed.fits(one)} for one in done.speeds]
        failed = [
            {"stage": one.stage, "engine": one.engine, "model": one.model, "why": why} for one, why in done.failed
        ]
        told = {"machine": measured.machine(), "language": language, "speaker": done.speaker}
        click.echo(json_line({**told, "speeds": speeds, "failed": failed}))
        return
    if done.speeds:
        _print_speeds(done)
        click.echo(f"Kept in {measured.file()} for engine: auto; ✓ is quick enough.")
    for subject, why in done.failed:
        click.echo(f"✗ {subject.stage} {subject.engine} {subject.model}: {why}")


def _print_speeds(done: Measured) -> None:
    from rich.console import Console
    from rich.table import Table

    from antiphon_daemon.engines import by_speed

    table = Table(box=None, pad_edge=False)
    for title in (
        "",
        "stage",
        "engine",
        "model",
        "ms to transcript / first sound",
        "s for 1 s of sound",
        "wrong words",
    ):
        table.add_column(title, justify="left" if title in ("", "stage", "engine", "model") else "right")
    for one in sorted(done.speeds, key=lambda one: (one.stage, one.ms)):
        rtf = "" if one.rtf is None else f"{one.rtf:.2f}"
        wrong = "" if one.wer is None else f"{one.wer:.0%}"
        mark = "✓" if by_speed.fits(one) else ""
        table.add_row(mark, one.stage, one.engine, one.model, f"{one.ms:,.0f}", rtf, wrong)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    console.print(table)
    if done.speaker:
        console.print(f"What was heard was said by {done.speaker}: errors compare models, people are heard otherwise.")


class _Status:
    """A line that tells what is being done, on a terminal; elsewhere a line for each new thing."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._shown = self._console.status("…") if self._console.is_terminal else None
        self._last = ""

    def __enter__(self) -> Callable[[str], None]:
        if self._shown:
            self._shown.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._shown.stop()

    def _tell(self, text: str) -> None:
        if self._shown:
            self._shown.update(text.replace("[", "\\["))
        elif text.endswith("loading …"):
            self._console.print(text, markup=False)


def _model(name: str) -> Model:
    import difflib

    from antiphon_daemon.engines.models import catalogue

    if name in catalogue():
        return catalogue()[name]
    near = difflib.get_close_matches(name, catalogue(), 1, 0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise click.ClickException(f"There is no model {name} in the catalogue: {hint}antiphon models list shows all.")


def _plain_name(name: str) -> None:
    """Refuse what could be the name of another folder."""
    if not name or name.startswith(".") or Path(name).name != name:
        raise click.ClickException(f"{name!r} is no name of a model.")


def _keeper(*, shared: bool) -> Keeper:
    from antiphon_daemon.engines import models as places
    from antiphon_daemon.models.keeping import Keeper

    return Keeper(places.SHARED if shared else places.own_folder(), lambda text: click.echo(text, err=True))


def _in_use(settings: Settings) -> set[str]:
    return {settings.stt.model, settings.tts.voice, *(one.model for one in settings.llm.chain)}


class _Bar:
    """A progress bar on a terminal; elsewhere nothing."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Speed

        console = Console(stderr=True)
        columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed()]
        self._shown = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
        self._task = self._shown.add_task(name, total=None)

    def __enter__(self) -> Progress:
        self._shown.start()
        return lambda done, total: self._shown.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._shown.stop()


def _print_table(found: list[Model], used: set[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from antiphon_daemon.engines.models import place

    table = Table(box=None, pad_edge=False)
    for title in ("", "name", "stage", "languages", "MB", "licence", "quality", "speed"):
        table.add_column(title, justify="right" if title == "MB" else "left", no_wrap=title in ("name", "stage"))
    for model in found:
        mark = "●" if model.name in used else "✓" if place(model.name) else ""
        languages = f"{ALL} languages" if "*" in model.languages else " ".join(model.languages)
        about = (languages, f"{model.size_mb:,}", model.licence, model.quality, model.speed)
        table.add_row(mark, model.name, model.stage, *about)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    console.print(table)
