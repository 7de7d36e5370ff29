"""What a conversation's prompts have in common: the part that a model can read before the question is known."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon_daemon.engines.contracts import Message


def unasked(messages: Sequence[Message]) -> list[Message]:
    """Return `messages` with a question that has no words yet: templates want one, and it is left out of the cache."""
    return [*messages, Message("user", "")]


def begins(messages: Sequence[Message], prefix: Sequence[Message]) -> bool:
    """Return whether the prompt of `messages` begins with that of `prefix`."""
    return list(messages[: len(prefix)]) == list(prefix)
