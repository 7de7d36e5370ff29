"""`/v1/realtime`: a client, from its coming to its leaving, and what each of its events does.

An event that cannot be used is answered with an `error`, and the session goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.websockets import WebSocket

from antiphon.audio import vad
from antiphon.audio.pcm import RATE
from antiphon.settings import Settings
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.turn_types import Phase
from antiphon_daemon.engines.contracts import EngineError, Engines
from antiphon_daemon.gateway.outbox import Outbox
from antiphon_daemon.gateway.realtime import config as fields
from antiphon_daemon.gateway.realtime.creating import created
from antiphon_daemon.gateway.realtime.detection import Threshold
from antiphon_daemon.gateway.realtime.hearing import Hearing
from antiphon_daemon.gateway.realtime.items import Item
from antiphon_daemon.gateway.realtime.replying import Replies
from antiphon_daemon.gateway.realtime.talk import Talk, prompt_of
from antiphon_daemon.gateway.realtime.wire import (
    Json,
    Refusal,
    audio_of,
    event_id,
    index_of,
    new_id,
    object_of,
    parsed,
    text_of,
)
from antiphon_daemon.gateway.served import Served
from antiphon_daemon.gateway.sound import MESSAGE_COST, Allowance
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Recorder

WAITS_MOST = 32 * 1024 * 1024
"""What may wait for a client: the longest reply as base64 at 24 kHz."""
DEARER = 3
"""Sound as base64 at 24 kHz, with its JSON, is so many times the bytes of int16 at 16 kHz, for which the bounds are."""
BURST_S = 60
COMPLAIN_S = 1.0
"""A client that sends too much is told so once in so long."""


class Realtime(Served):
    """One session (the `Peer` of its conversation).

    Args:
        change: fields that it begins with, as a partial update.
        abort: drops the connection at once.
        recorder: keeps a record of each turn.

    Raises:
        Refusal: the fields cannot be had.
    """

    kind = "realtime"

    def __init__(
        self,
        websocket: WebSocket,
        engines: Engines,
        settings: Settings,
        *,
        change: Json,
        abort: Callable[[], None],
        recorder: Recorder,
    ) -> None:
        super().__init__(websocket, Outbox(most_bytes=WAITS_MOST), abort)
        self._id = new_id("sess")
        self._limits = settings.gateway
        burst = max(BURST_S * RATE * 2, self._limits.frame_bytes) * DEARER
        self._allowance = Allowance(self._limits.bytes_per_s * DEARER, burst)
        self._complained = -math.inf
        self._talk = talk = Talk(engines, settings, self._outbox)
        talk.config = fields.updated(talk.config, change, engines)
        self._judge = Threshold(vad.load())
        talk.conversation = Conversation(engines, talk.settings, self, self._judge, talk.items, recorder=recorder)
        self._hearing = hearing = Hearing(talk)
        self._replies = hearing.replies = Replies(
            talk, heard=hearing.all_heard, hear=hearing.hear, ready=hearing.listen, played=hearing.look
        )
        self._follow()

    @property
    def phase(self) -> Phase:
        """Where its turn stands."""
        return self._talk.conversation.phase

    @property
    def rests(self) -> int:
        """How much sound may come in one piece, and a moment late; here it comes in events, which stay whole."""
        return int(self._talk.config.detection is not None and self._talk.conversation.resting)

    def adopt(self, settings: Settings) -> None:
        """Follow other settings of the house from the next turn on."""
        if self._talk.config.instructions == self._talk.house_prompt:
            self._talk.config.instructions = prompt_of(settings)
        self._talk.house, self._talk.house_prompt = settings, prompt_of(settings)
        self._talk.adopt()

    def goodbye(self) -> None:
        """The daemon ends: fall silent, and close."""
        self._replies.give_up("client_cancelled")
        self._outbox.drop_sound()
        self._outbox.end()

    async def opened(self) -> None:
        """Tell what holds."""
        self._talk.say("session.created", session=self._shown())

    async def free(self) -> None:
        """Let go of everything."""
        await self._replies.close()
        await self._hearing.close()
        await self._talk.conversation.close()

    # What comes.

    async def take(self, message: Mapping[str, Any]) -> None:
        """Do what an event asks for, or tell why not."""
        asked: str | None = None
        try:
            event = self._event(message)
            if event is not None:
                asked = event_id(event)
                await self._obey(event)
        except Refusal as refused:
            self._talk.say("error", error=refused.told(asked))

    def fault(self) -> None:
        """Tell of a fault of ours."""
        why = "that failed for a reason of ours; the log says why"
        self._talk.say("error", error=Refusal("internal", why, kind="server_error").told(None))

    def _event(self, message: Mapping[str, Any]) -> Json | None:
        """Return the event that a message holds; None: it came too fast, and that has just been said."""
        text = message.get("text")
        if text is None:
            why = "events are JSON text: sound is sent as base64 in input_audio_buffer.append"
            raise Refusal("invalid_event", why)
        size = len(text.encode("utf-8", "replace"))
        if size > self._limits.frame_bytes:
            most = self._limits.frame_bytes
            raise Refusal("too_large", f"an event of {size} bytes: at most {most} are taken (gateway.frame_bytes)")
        if not self._allowance.take(max(size, MESSAGE_COST)):
            if time.monotonic() - self._complained <= COMPLAIN_S:
                return None
            self._complained = time.monotonic()
            most = self._limits.bytes_per_s * DEARER
            why = f"more than {most} bytes a second: left out (gateway.bytes_per_s)"
            raise Refusal("rate_limit_exceeded", why, kind="rate_limit_error")
        return parsed(text)

    async def _obey(self, event: Json) -> None:
        match event["type"]:
            case "session.update":
                self._update(object_of(event, "session"))
            case "input_audio_buffer.append":
                await self._hearing.append(audio_of(event))
            case "input_audio_buffer.commit":
                self._hearing.commit()
            case "input_audio_buffer.clear":
                self._hearing.clear()
            case "conversation.item.create":
                self._create_item(object_of(event, "item"), event)
            case "conversation.item.retrieve":
                item = self._named(event, "item_retrieve_invalid_item_id")
                self._talk.say("conversation.item.retrieved", item=item.shown())
            case "conversation.item.delete":
                item = self._named(event, "item_delete_invalid_item_id")
                self._talk.items.remove(item)
                self._talk.conversation.renew()
                self._talk.say("conversation.item.deleted", item_id=item.id)
            case "conversation.item.truncate":
                self._truncate(event)
            case "response.create":
                response = event.get("response")
                self._replies.create(object_of(event, "response") if response is not None else {})
            case "response.cancel":
                asked = event.get("response_id")
                self._replies.cancel(text_of(event, "response_id") if asked is not None else None)
            case "output_audio_buffer.clear":
                why = "output_audio_buffer.clear is for WebRTC: over a WebSocket the client holds the sound"
                raise Refusal("unsupported", why, "type")
            case kind:
                raise Refusal("unknown_event", f"{kind[:60]!r} is no event that is known here", "type")

    def _update(self, change: Json) -> None:
        before = self._talk.config
        config = fields.updated(before, change, self._talk.engines)
        if config.type != before.type and not self._fresh:
            raise Refusal("invalid_value", "session.type: it stays as it is once something was said", "session.type")
        self._talk.config = config
        self._follow()
        self._hearing.configure(
            format_changed=config.input_kind != before.input_kind,
            mode_changed=(config.detection is None) is not (before.detection is None),
        )
        if config != before:
            self._talk.conversation.renew()
        self._talk.say("session.updated", session=self._shown())

    def _follow(self) -> None:
        detection = self._talk.config.detection
        self._judge.at = detection.threshold if isinstance(detection, fields.ServerVad) else vad.SPEECH
        self._talk.adopt()

    @property
    def _fresh(self) -> bool:
        """Nothing has been said yet, by anybody."""
        return not len(self._talk.items) and self._replies.active is None and not self._hearing.hears

    def _shown(self) -> Json:
        return self._talk.config.shown(self._id)

    def _create_item(self, item_fields: Json, event: Json) -> None:
        item, sound = created(item_fields)
        after = text_of(event, "previous_item_id") if event.get("previous_item_id") is not None else None
        samples = None
        if sound:
            self._hearing.check_room()
            samples = self._hearing.samples_of(sound)
        self._talk.added(item, after)
        self._talk.done(item)
        self._talk.conversation.renew()
        if samples is not None:
            self._hearing.transcribe(item, samples)

    def _named(self, event: Json, otherwise: str) -> Item:
        """Return the item that an event names; `otherwise` is the code where there is none."""
        return self._talk.items.find(text_of(event, "item_id"), otherwise)

    def _truncate(self, event: Json) -> None:
        item = self._named(event, "item_truncate_invalid_item_id")
        if index_of(event, "content_index") != 0:
            raise Refusal("invalid_value", "a message has one part: content_index is 0", "content_index")
        ms = item.truncate(index_of(event, "audio_end_ms"))
        self._replies.truncated(item, ms)
        self._talk.say("conversation.item.truncated", item_id=item.id, content_index=0, audio_end_ms=ms)

    # What the conversation tells (see `Peer`).

    @property
    def wants_partials(self) -> bool:
        """Whether the client reads what is said while it is said."""
        return self._talk.config.transcribes

    def heard_so_far(self, text: str) -> None:
        """Some of the turn is certain."""
        self._hearing.heard_so_far(text)

    def speech_began(self, at_ms: int) -> None:
        """Somebody speaks."""
        self._hearing.speech_began(at_ms)

    def speech_paused(self, at_ms: int) -> None:
        """They fell silent."""
        self._hearing.speech_paused(at_ms)

    def turn_over(self, text: str, language: str | None) -> None:
        """The turn is over."""
        self._hearing.turn_over(text)

    def nothing_heard(self) -> None:
        """There were no words."""
        self._hearing.nothing_heard()

    def stop_speaking(self) -> None:
        """The reply is stopped."""
        self._hearing.stop_speaking()

    def duck(self) -> None:
        """Do nothing: there is no event for it."""

    def swell(self) -> None:
        """Do nothing."""

    def failed(self, error: EngineError) -> None:
        """The turn ends with an error that could not be spoken."""
        self._hearing.answered()
        if not self._replies.failed(error):
            self._hearing.failed(error)

    def reply_began(self, rate: int) -> None:
        """Sound of the reply follows."""
        self._hearing.answered()
        self._replies.reply_began(rate)

    def reply_sound(self, pcm: bytes) -> None:
        """Some of it."""
        self._replies.reply_sound(pcm)

    def reply_written(self, text: str) -> None:
        """Its words."""
        self._replies.reply_written(text)

    def reply_ended(self, trace: Trace) -> None:
        """All of it has come."""
        self._hearing.answered()
        self._replies.reply_ended(trace)
