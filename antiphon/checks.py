"""What `antiphon doctor` finds out: one result for each thing looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool | None
    """False: it does not work, and the main job cannot be done. None: it does not apply, or does without."""
    says: str
    mend: str = ""
    """What to do about it."""
