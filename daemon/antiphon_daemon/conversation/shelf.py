"""A place for one draft that may be wanted again soon: a reply that was stopped, a reply whose speaker went on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from antiphon_daemon.conversation.drafts import Draft


class Shelf:
    """Keeps the draft that was put last, for `longest_s`; then its work is given up.

    Args:
        longer: whether it is kept for as long again: asked when the time is up.
    """

    def __init__(self, longest_s: float, *, longer: Callable[[], bool] = lambda: False) -> None:
        self._longest_s, self._longer = longest_s, longer
        self._draft: Draft | None = None
        self._timer: asyncio.TimerHandle | None = None

    def put(self, draft: Draft) -> None:
        """Keep `draft` instead of the one before."""
        self.drop()
        self._draft = draft
        self._wait()

    def look(self) -> Draft | None:
        """Return what is kept, and keep it."""
        return self._draft

    def take(self) -> Draft | None:
        """Return what is kept; it is the caller's from now on."""
        draft, self._draft = self._draft, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return draft

    def drop(self) -> None:
        """Give up what is kept."""
        draft = self.take()
        if draft is not None:
            draft.token.revoke()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._longest_s, self._lapse)

    def _lapse(self) -> None:
        if self._longer():
            self._wait()
        else:
            self.drop()
