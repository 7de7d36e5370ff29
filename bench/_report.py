"""How a benchmark shows what it found: percentiles, a table, a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table


def percentile(seconds: Sequence[float | None], share: float) -> int | None:
    """Return a percentile of seconds in whole milliseconds; None without any."""
    known = [one for one in seconds if one is not None]
    return round(float(np.percentile(known, share)) * 1000) if known else None


def show(title: str, found: Mapping[str, Any]) -> None:
    """Print the figures as a table, sections of figures as their own."""
    console = Console(highlight=False)
    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in found.items():
        if not isinstance(value, Mapping):
            table.add_row(name.replace("_", " "), "–" if value is None else str(value))
    console.print(table)
    for name, value in found.items():
        if isinstance(value, Mapping):
            show(f"{title}: {name.replace('_', ' ')}", value)


def beside(title: str, columns: Mapping[str, Mapping[str, Any]], words: Sequence[str] = ()) -> None:
    """Print figures in columns, a row for each that any column has, and sentences below."""
    console = Console(highlight=False)
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for row in dict.fromkeys(key for figures in columns.values() for key in figures):
        values = [figures.get(row) for figures in columns.values()]
        table.add_row(row.replace("_", " "), *["–" if value is None else str(value) for value in values])
    console.print(table)
    for sentence in words:
        console.print(sentence)


def plot_lines(path: Path, y: str, x: str, lines: Mapping[str, Sequence[float | None]]) -> None:
    """Draw the distribution of each line's seconds (as milliseconds) into a PNG.

    Raises:
        click.ClickException: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise click.ClickException("--plot needs matplotlib: uv pip install matplotlib") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for name, values in lines.items():
        known = np.sort([one * 1000 for one in values if one is not None])
        if len(known):
            axes.plot(known, np.arange(1, len(known) + 1) / len(known), label=name)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
