"""A conversation's items, in order, which are what it remembers: the language model is told what they hold.

Of a reply that was not heard to its end the model is told the words that were heard: those of the client's
`conversation.item.truncate`, else as far as it must have been played when it was stopped.
"""

from __future__ import annotations

import json
import uuid
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, TypeAlias

from antiphon_daemon.conversation.heard import Clause, heard_text, length
from antiphon_daemon.conversation.memory import estimate_tokens
from antiphon_daemon.engines.contracts import Message, ToolCall
from antiphon_daemon.gateway.realtime.wire import Json, Refusal, new_id

ITEMS_MOST = 1000
"""Items that are kept; beyond that the oldest goes."""

Kind: TypeAlias = Literal["message", "function_call", "function_call_output"]
Role: TypeAlias = Literal["user", "assistant", "system"]
Part: TypeAlias = Literal["input_text", "input_audio", "output_text", "output_audio"]


@dataclass
class Sound:
    """How the words of a spoken item lie in its sound."""

    clauses: Sequence[Clause]
    rate: int
    whole: bool = True
    """No more of it is in the making."""

    @property
    def ms(self) -> int:
        """Its length."""
        return length(self.clauses) * 1000 // self.rate

    def heard(self, ms: int) -> str:
        """Return the words that were heard in the first `ms`."""
        return heard_text(self.clauses, ms * self.rate / 1000, self.rate, whole=self.whole)


@dataclass(eq=False)
class Item:
    """One item."""

    kind: Kind = "message"
    role: Role = "user"
    part: Part = "input_text"
    """What a message consists of."""
    text: str | None = ""
    """Its words; the output of a function; None: not known (yet)."""
    id: str = field(default_factory=lambda: new_id("item"))
    status: Literal["in_progress", "completed", "incomplete"] = "completed"
    name: str = ""
    """Of the function that is called."""
    call_id: str = ""
    arguments: str = ""
    """Of the call, as JSON."""
    heard: str | None = None
    """The words that were heard, where those are not all."""
    cut_ms: int | None = None
    """The client has said that so much of it was heard."""
    instead: str | None = None
    """What the model is told in place of words that there are not."""
    told: bool = True
    """Whether the model is told of it: of an apology it is not."""
    sound: Sound | None = None
    """None: there is none (yet)."""

    def shown(self) -> Json:
        """Return it as it is on the wire."""
        head: Json = {"id": self.id, "object": "realtime.item", "type": self.kind, "status": self.status}
        if self.kind == "function_call":
            return {**head, "name": self.name, "call_id": self.call_id, "arguments": self.arguments}
        if self.kind == "function_call_output":
            return {**head, "call_id": self.call_id, "output": self.text}
        return {**head, "role": self.role, "content": [] if self.status == "in_progress" else [self.content()]}

    def content(self) -> Json:
        """Return what a message consists of, as it is on the wire."""
        name = "transcript" if self.part in ("input_audio", "output_audio") else "text"
        return {"type": self.part, name: self.text}

    def truncate(self, ms: int) -> int:
        """Keep the words of the first `ms` of its sound; return how much that is: at most all.

        Raises:
            Refusal: it is not spoken.
        """
        if self.kind != "message" or self.role != "assistant" or self.part != "output_audio":
            why = "only a message of the assistant that was spoken can be truncated"
            raise Refusal("invalid_value", why, "item_id")
        ms = min(ms, self.sound.ms) if self.sound is not None else 0
        if self.cut_ms is not None:
            ms = min(ms, self.cut_ms)  # what was cut does not come back
        self.text = self.heard = self.sound.heard(ms) if self.sound is not None else ""
        self.cut_ms = ms
        return ms

    def call(self) -> ToolCall:
        """Return the call that it is."""
        try:
            arguments = json.loads(self.arguments or "{}")
        except ValueError:
            arguments = None
        given = arguments if isinstance(arguments, dict) else {"arguments": self.arguments}
        return ToolCall(self.call_id, self.name, given)

    def messages(self) -> list[Message]:
        """Return what the model is told of it; of a call, see `told`."""
        if not self.told:
            return []
        if self.kind == "function_call_output":
            return [Message("tool", self.text or "", tool_call_id=self.call_id)]
        text = self.heard if self.heard is not None else self.text or self.instead
        return [Message(self.role, text, interrupted=self.heard is not None)] if text else []


def told(items: Sequence[Item], first: int = 0) -> list[Message]:
    """Return what the model is told of items, from the one numbered `first` on.

    What came of calls is told where it came, all that came at once behind one message that made those calls: servers
    refuse calls that what came of them does not follow at once, and what was told before stays as it was. A call that
    nothing has come of is left out, and so is what came of no call.
    """
    messages: list[Message] = []
    pending: dict[str, Item] = {}
    for kind, run in groupby(enumerate(items), lambda numbered: numbered[1].kind):
        if kind == "message":
            messages += [message for number, item in run if number >= first for message in item.messages()]
        elif kind == "function_call":
            pending |= {item.call_id: item for _, item in run}
        else:
            answered = [(at, pending.pop(item.call_id), item) for at, item in run if item.call_id in pending]
            halves = [(call, output) for at, call, output in answered if at >= first]
            if halves:
                messages.append(Message("assistant", "", tool_calls=tuple(call.call() for call, _ in halves)))
                messages += [message for _, output in halves for message in output.messages()]
    return messages


def said_first(instructions: str) -> list[Message]:
    """Return what comes before all else that the model is told."""
    return [Message("system", instructions)] if instructions else []


class Items:
    """All items of a conversation (a `Recollection`).

    Args:
        instructions: what the model is told first.
        budget: tokens of all that it is told; the oldest items are left out beyond it, by halves, since a model has
            to read everything anew when they are.
    """

    def __init__(self, instructions: str, budget: int) -> None:
        self.instructions, self.budget = instructions, budget
        self._items: list[Item] = []
        self._first = 0
        """The items before it are no longer told."""
        self.speaking: Item | None = None
        """The item that is being spoken, or was last."""
        self.name = f"antiphon-{uuid.uuid4().hex}"

    def __len__(self) -> int:
        return len(self._items)

    # What the client does.

    def find(self, item_id: str, code: str = "item_not_found", param: str = "item_id") -> Item:
        """Return an item.

        Args:
            param: the field that named it.

        Raises:
            Refusal: there is none of that id; `code` says so.
        """
        found = next((item for item in self._items if item.id == item_id), None)
        if found is None:
            raise Refusal(code, f"there is no item {item_id[:80]!r}", param)
        return found

    def add(self, item: Item, after: str | None = None) -> tuple[str | None, Item | None]:
        """Put an item behind another; return the id of that one, and the item that had to go for it.

        Args:
            after: an id; "root": at the beginning; None: at the end.

        Raises:
            Refusal: there is no such item, or already one of this id.
        """
        if any(one.id == item.id for one in self._items):
            raise Refusal("item_id_taken", f"there is an item {item.id!r} already", "item.id")
        if after == "root":
            at = 0
        elif after is not None:
            at = self._items.index(self.find(after, param="previous_item_id")) + 1
        else:
            at = len(self._items)
        self._items.insert(at, item)
        if at < self._first:
            self._first += 1
        before = self._items[at - 1].id if at else None
        gone = self._items[0] if len(self._items) > ITEMS_MOST else None
        if gone is not None:
            self.remove(gone)
        return before, gone

    def remove(self, item: Item) -> bool:
        """Take an item out; return whether it was there."""
        if item not in self._items:
            return False
        at = self._items.index(item)
        del self._items[at]
        if at < self._first:
            self._first -= 1
        return True

    def before(self, item: Item) -> str | None:
        """Return the id of the item before this one."""
        at = self._items.index(item) if item in self._items else len(self._items)
        return self._items[at - 1].id if at else None

    @property
    def last_id(self) -> str | None:
        """The id of the last item."""
        return self._items[-1].id if self._items else None

    @property
    def question(self) -> str:
        """What the user has said last, if nothing came after it."""
        last = next((item for item in reversed(self._items) if item.told), None)
        asks = last is not None and last.kind == "message" and last.role == "user"
        return (last.text or "") if last is not None and asks else ""

    # What the conversation asks (see `Recollection`).

    @property
    def last_reply(self) -> str | None:
        """What was said last."""
        spoken = (item.text for item in reversed(self._items) if item.kind == "message" and item.role == "assistant")
        return next(spoken, None)

    def history(self, instructions: str | None = None) -> list[Message]:
        """Return all that the model is told.

        Args:
            instructions: those of one response, in place of the session's.
        """
        first = self.instructions if instructions is None else instructions
        messages = told(self._items, self._first)
        if _tokens(messages) > self.budget:
            left = range(self._first, len(self._items) - 1)
            fits = bisect_left(left, -(self.budget // 2), key=lambda first: -_tokens(told(self._items, first)))
            self._first += fits
            messages = told(self._items, self._first)
        return [*said_first(first), *messages]

    def messages(self, text: str) -> list[Message]:
        """Return what the model is told so that it answers `text`."""
        return [*self.history(), Message("user", text)]

    def remember(self, text: str, reply: str, *, interrupted: bool = False, whole: str | None = None) -> bool:
        """The reply is over, of which so much was heard; its item is there already."""
        item = self.speaking
        if item is not None and interrupted and item.cut_ms is None:
            item.heard = reply
        first = self._first
        self.history()
        return self._first != first

    def withdraw(self) -> None:
        """Do nothing: the item of a turn that goes on is taken out by the session."""

    def forget(self) -> None:
        """Forget all that was told; the client's items stay."""
        self._first = len(self._items)


def _tokens(messages: Sequence[Message]) -> int:
    return sum(estimate_tokens(message.text) for message in messages)
