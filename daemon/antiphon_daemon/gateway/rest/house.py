"""What the REST endpoints ask of the daemon."""

from __future__ import annotations

from typing import Protocol

from antiphon.settings import Settings
from antiphon_daemon.engines.contracts import Engines


class RestHouse(Protocol):
    """The daemon."""

    engines: Engines

    @property
    def settings(self) -> Settings: ...

    @property
    def why_not(self) -> str:
        """Why it is not ready; empty when it is."""
        ...

    def abort(self, client: tuple[str, int]) -> None:
        """Drop the connection of a client."""
        ...
