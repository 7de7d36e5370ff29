"""What a conversation remembers: its messages within a budget of tokens, until it has been silent for long."""

from __future__ import annotations

import math
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

from antiphon.elapsed import elapsed_s
from antiphon.settings import Settings
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.engines.contracts import Message


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` is: four letters each, but one a syllable or ideograph."""
    wide = sum(1 for character in text if unicodedata.east_asian_width(character) in "WF")
    return math.ceil(wide + (len(text) - wide) / 4) + 4


class Recollection(Protocol):
    """What a conversation remembers, as far as replies need it; `Memory` is one."""

    @property
    def name(self) -> str:
        """Names the conversation to those who keep one of their own beside it."""
        ...

    @property
    def last_reply(self) -> str | None:
        """What was said last."""
        ...

    def messages(self, text: str) -> list[Message]:
        """Return what the model is to be told so that it answers `text`. Nothing is remembered by asking."""
        ...

    def remember(self, text: str, reply: str, *, interrupted: bool = False, whole: str | None = None) -> bool:
        """Write one exchange: `text` was said, `reply` was heard of the `whole` reply."""
        ...

    def withdraw(self) -> None:
        """Take the last exchange back: its turn goes on."""
        ...

    def forget(self) -> None:
        """Start over."""
        ...


class Memory:
    """The messages of one conversation.

    The system prompt and the order of messages are stable to the byte, so that a model's cache of them stays warm;
    the oldest exchanges are dropped by halves of the budget, not one by one, for the same reason.
    """

    def __init__(
        self, prompt: str, *, budget_tokens: int, reset_after_s: float, clock: Callable[[], float] = elapsed_s
    ) -> None:
        self._system = Message("system", prompt)
        self._budget = budget_tokens
        self._reset_after_s = reset_after_s
        self._clock = clock
        self._messages: list[Message] = []
        self._before: list[Message] | None = None
        """The messages without the last exchange."""
        self._last_reply: str | None = None
        self._reply_before: str | None = None
        """What was said last before the last exchange."""
        self._touched = clock()
        self._own = uuid.uuid4().hex
        self._beginnings = 0

    def adopt(self, other: Memory) -> None:
        """Take over the prompt and the bounds of another memory; what was said stays."""
        self._system, self._budget, self._reset_after_s = other._system, other._budget, other._reset_after_s

    @property
    def idle_s(self) -> float:
        """Seconds since the last exchange."""
        return self._clock() - self._touched

    @property
    def name(self) -> str:
        """Names the conversation to those who keep one of their own beside it; another one once it starts over."""
        return f"antiphon-{self._own}-{self._beginnings + (self.idle_s > self._reset_after_s)}"

    @property
    def last_reply(self) -> str | None:
        """What was said last, the whole of it, also what was not heard; None when nothing was, or it is forgotten."""
        return None if self.idle_s > self._reset_after_s else self._last_reply

    @property
    def goes_on(self) -> bool:
        """Whether there is something to go on with."""
        return bool(self._messages) and self.idle_s <= self._reset_after_s

    def messages(self, text: str) -> list[Message]:
        """Return what the model is to be told so that it answers `text`. Nothing is remembered by asking."""
        history = [] if self.idle_s > self._reset_after_s else self._messages
        return [self._system, *history, Message("user", text)]

    def remember(self, text: str, reply: str, *, interrupted: bool = False, whole: str | None = None) -> bool:
        """Write one exchange. A reply of which nothing was heard leaves the user's words alone.

        Returns whether the oldest exchanges were dropped for it: a model that has read them has to read anew.

        Args:
            reply: what was heard of it.
            whole: the whole reply, where that is more.
        """
        self._reply_before = self.last_reply
        if self.idle_s > self._reset_after_s:
            self._messages.clear()
            self._beginnings += 1
        self._touched = self._clock()
        self._before = list(self._messages)
        self._last_reply = whole or reply
        self._messages.append(Message("user", text))
        self._messages.append(Message("assistant", reply, interrupted=interrupted))
        full = _tokens(self._messages) > self._budget
        if full:
            while len(self._messages) > 2 and _tokens(self._messages) > self._budget // 2:
                del self._messages[:2]
            if _tokens(self._messages) > self._budget:  # the last exchange alone
                self._messages.clear()
        return full

    def withdraw(self) -> None:
        """Take the last exchange back: its turn goes on. Once; without one, nothing happens."""
        if self._before is not None:
            self._messages, self._before = self._before, None
            self._last_reply = self._reply_before

    def forget(self) -> None:
        """Start over."""
        self._beginnings += 1
        self._messages.clear()
        self._before = None
        self._last_reply = None


def _tokens(messages: Sequence[Message]) -> int:
    return sum(estimate_tokens(message.text) for message in messages)


NAMES_CHARACTERS = 600
"""Of the names in a house so many letters are told to the model, which reads them before each conversation."""


def new_memory(settings: Settings, language: str) -> Memory:
    """Return an empty memory as the settings want it."""
    conversation = settings.conversation
    prompt = conversation.prompt or message("prompt", language)
    names = ""
    for name in conversation.names:
        if len(names) + len(name) > NAMES_CHARACTERS:
            break
        names += f", {name}" if names else name
    return Memory(
        f"{prompt} {message('names', language).format(names)}" if names else prompt,
        budget_tokens=conversation.history_tokens,
        reset_after_s=conversation.reset_after_s,
    )
