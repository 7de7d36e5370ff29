"""Client secrets: what a page may show in place of the token, for a while."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from antiphon_daemon.gateway.realtime.wire import Json

PREFIX = "ek_"
MOST = 256
"""Secrets at once; when there are more, none is made until one is past."""
SECONDS = 600
SHORTEST_S, LONGEST_S = 10, 7200


@dataclass(frozen=True)
class Secret:
    """What a secret stands for."""

    value: str
    session: Json
    """What its sessions are to be like, as a partial update."""
    until: float


class Full(Exception):
    """There are as many secrets as there may be."""


class Secrets:
    """All that are valid.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, Secret] = {}

    def make(self, session: Json, seconds: int = SECONDS) -> Secret:
        """Return a new secret.

        Raises:
            Full: there are as many as there may be.
        """
        now = self._clock()
        self._kept = {value: secret for value, secret in self._kept.items() if secret.until > now}
        if len(self._kept) >= MOST:
            raise Full
        secret = Secret(PREFIX + secrets.token_urlsafe(32), session, now + seconds)
        self._kept[secret.value] = secret
        return secret

    def find(self, value: str) -> Secret | None:
        """Return what is shown, if it is a secret that is valid."""
        found = self._kept.get(value)
        return found if found is not None and found.until > self._clock() else None
