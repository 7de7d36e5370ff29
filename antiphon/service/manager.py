"""What systemd and launchd have in common, to `antiphon service`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from antiphon.service.written import ServiceError

CALL_S = 30.0
"""A manager answers within this."""
START_S = 90.0
"""A program is waited for so long; a model that is fetched takes longer, and is left to it."""


@dataclass(frozen=True)
class Condition:
    """How a program does."""

    running: bool
    says: str


class Manager(Protocol):
    """A service manager, and where its files are."""

    name: str
    top: Path
    """Folders above this are never removed."""
    config: Path | None
    """The settings file that the programs are to read, where one was named."""

    def path(self, program: str) -> Path:
        """Return the file that describes the program to the manager."""
        ...

    def text(self, program: str) -> str:
        """Return what is to stand in that file."""
        ...

    def present(self) -> bool:
        """Whether the manager runs here and can be spoken to."""
        ...

    def by_hand(self, program: str) -> str:
        """Return the command that starts the program once a manager runs."""
        ...

    def hint(self) -> str:
        """Return what else the user may want to do; empty: nothing."""
        ...

    def start(self, program: str) -> Condition:
        """Have the program started now and at every boot (or login); restart it if it runs."""
        ...

    def stop(self, program: str) -> None:
        """End the program and do not start it any more."""
        ...

    def clean(self, program: str) -> None:
        """The last program is about to go: remove what they have kept, where that is theirs alone."""
        ...

    def reload(self, program: str) -> None:
        """The program's file is gone: forget it."""
        ...

    def restart(self, program: str) -> Condition:
        """End the program and start it anew."""
        ...

    def condition(self, program: str) -> Condition:
        """Return how the program does."""
        ...

    def logs(self, programs: Sequence[str], *, lines: int, follow: bool) -> list[str]:
        """Return the command that shows the logs."""
        ...


def call(*command: str, within_s: float = CALL_S) -> subprocess.CompletedProcess[str]:
    """Run a command of the manager's; whether it failed stands in the result.

    Raises:
        ServiceError: it is not here, or does not end.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=within_s)
    except OSError as error:
        raise ServiceError(f"{command[0]} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ServiceError(f"`{' '.join(command)}` does not end within {within_s:.0f} s") from None


def must(*command: str, within_s: float = CALL_S) -> str:
    """Run a command of the manager's and return what it says.

    Raises:
        ServiceError: it failed.
    """
    ran = call(*command, within_s=within_s)
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines() or [f"it returned {ran.returncode}"]
        raise ServiceError(f"`{' '.join(command)}` failed: {said[0]}")
    return ran.stdout
