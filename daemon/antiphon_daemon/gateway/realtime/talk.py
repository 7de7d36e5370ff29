"""What the parts of a session share."""

from __future__ import annotations

import json
from typing import Any

from antiphon.settings import Settings
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.drafts import Drafts
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.gateway.outbox import Outbox
from antiphon_daemon.gateway.realtime import config as fields
from antiphon_daemon.gateway.realtime import detection
from antiphon_daemon.gateway.realtime.config import Shape, Wish
from antiphon_daemon.gateway.realtime.items import Item, Items
from antiphon_daemon.gateway.realtime.wire import Json, new_id


class Talk:
    """One conversation with one client: its fields, its items, the way to tell the client something.

    Args:
        house: the settings of the house.
    """

    conversation: Conversation

    def __init__(self, engines: Engines, house: Settings, outbox: Outbox) -> None:
        self.engines, self.house, self.outbox = engines, house, outbox
        self.id = new_id("conv")
        voice = fields.voice_of(None, engines, "voice")
        self.house_prompt = prompt_of(house)
        self.config = fields.default(voice, self.house_prompt)
        self.settings = detection.settings_for(self.config, house)
        """Those that turns are heard and answered by."""
        self.items = Items(self.house_prompt, house.conversation.history_tokens)
        self.drafts = Drafts(engines, self.settings, None)

    @property
    def language(self) -> str:
        """What is spoken."""
        return self.settings.language

    def say(self, kind: str, *, sound: bool = False, **content: Any) -> None:
        """Send an event.

        Args:
            sound: it is not wanted any more once the reply is stopped.
        """
        event = {"type": kind, "event_id": new_id("event"), **content}
        self.outbox.put(json.dumps(event, ensure_ascii=False), sound=sound)

    def added(self, item: Item, after: str | None = None) -> None:
        """Put an item into the conversation, and tell it."""
        before, gone = self.items.add(item, after)
        if gone is not None:
            self.say("conversation.item.deleted", item_id=gone.id)
        self.say("conversation.item.added", previous_item_id=before, item=item.shown())

    def done(self, item: Item) -> None:
        """Tell that an item of the conversation is whole."""
        self.say("conversation.item.done", previous_item_id=self.items.before(item), item=item.shown())

    def wished(self, asked: Json) -> tuple[Wish, Shape]:
        """Return what a `response.create` wishes.

        Raises:
            Refusal: it cannot be had.
        """
        return fields.wished(self.config, asked, self.engines, self.house_prompt)

    def adopt(self) -> None:
        """Follow the fields and the settings of the house from the next turn on."""
        self.settings = self.drafts.settings = detection.settings_for(self.config, self.house)
        self.items.instructions = self.config.instructions
        self.items.budget = self.house.conversation.history_tokens
        _, shape = self.wished({})
        self.conversation.manner = shape.manner()
        self.conversation.language = self.settings.language
        vad = self.config.detection
        self.conversation.adopt(self.settings)
        self.conversation.behave(
            answers=vad is not None and vad.create_response and not self.config.listens_only,
            interrupts=vad is not None and vad.interrupt_response,
            resumes=False,
        )


def prompt_of(settings: Settings) -> str:
    """Return what the language model of the house is told first."""
    return new_memory(settings, settings.language).messages("")[0].text
