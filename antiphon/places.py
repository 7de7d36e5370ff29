"""Paths as people write them, and what the files there are known by."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int, int]


def at_home(text: str | Path) -> Path:
    """Return the path that `text` names: `~` is a home folder, or stays where nobody has that name (`~models`)."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def stamp(path: str | Path) -> Stamp | None:
    """Return what a file's content, and who may read it, are known by; None: there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_ctime_ns
