"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path


def at_home(text: str | Path) -> Path:
    """Return the path that `text` names: `~` is a home folder, or stays where nobody has that name (`~models`)."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
