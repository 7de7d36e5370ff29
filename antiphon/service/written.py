"""Files that are written for the user, and left alone as soon as they have changed them.

Each carries a digest of itself in a comment. A file whose digest is wrong or missing is somebody's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from enum import Enum
from pathlib import Path

MARK = "antiphon-digest:"
_NOTE = "Written by `antiphon service install`, and left alone once it has been changed."
_FOUND = re.compile(MARK + r" ([0-9a-f]{64})")


class ServiceError(Exception):
    """Something cannot be done; the message is one sentence that says what to do."""


class State(Enum):
    """Whose a file is."""

    ABSENT = "absent"
    OURS = "ours"
    THEIRS = "theirs"
    """Somebody has written or changed it."""


def sealed(text: str) -> str:
    """Return `text` with its digest in a comment: at its top, or below the head of an XML document."""
    lines = text.splitlines(keepends=True)
    xml = text.startswith("<?xml")
    note = f"{_NOTE} {MARK} {_digest(text)}"
    lines.insert(2 if xml else 0, f"<!-- {note} -->\n" if xml else f"# {note}\n")
    return "".join(lines)


def state_of(path: Path) -> State:
    """Return whose the file at `path` is."""
    if path.is_symlink():
        return State.THEIRS
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return State.ABSENT
    except (OSError, UnicodeDecodeError):
        return State.THEIRS
    found = _FOUND.search(text)
    return State.OURS if found and found[1] == _digest(text) else State.THEIRS


def write(path: Path, text: str) -> bool:
    """Write a sealed file where there is none of somebody's own; returns whether it is new or different now.

    Raises:
        ServiceError: it cannot be written.
    """
    if state_of(path) is State.THEIRS:
        return False
    whole = sealed(text)
    try:
        if path.exists() and path.read_text(encoding="utf-8") == whole:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.write_text(whole, encoding="utf-8")
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}") from None
    return True


def remove(path: Path, top: Path) -> None:
    """Remove a file, and the folders above it, below `top`, that are empty then.

    Raises:
        ServiceError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ServiceError(f"{path} cannot be removed: {error.strerror}") from None
    with contextlib.suppress(OSError):  # a folder that holds something else
        for folder in path.parents:
            if folder == top or top not in folder.parents:
                break
            folder.rmdir()


def _digest(text: str) -> str:
    kept = "".join(line for line in text.splitlines(keepends=True) if MARK not in line)
    return hashlib.sha256(kept.encode()).hexdigest()
