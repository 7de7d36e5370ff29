"""One response: its events, in the documented order.

response.created
  output_item.added · conversation.item.added · content_part.added
    output_audio.delta, output_audio_transcript.delta … or output_text.delta …
  output_audio.done · output_audio_transcript.done (or output_text.done) · content_part.done · output_item.done
  conversation.item.done
  the same for each function call, with function_call_arguments.delta and .done
response.done
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from antiphon_daemon.conversation.reply import Reply
from antiphon_daemon.engines.contracts import ToolCall
from antiphon_daemon.gateway.realtime.audio import Encoder, bytes_a_second
from antiphon_daemon.gateway.realtime.config import Shape
from antiphon_daemon.gateway.realtime.items import Item, Sound
from antiphon_daemon.gateway.realtime.talk import Talk
from antiphon_daemon.gateway.realtime.wire import Json, Refusal, new_id

DELTA_MS = 100
"""Sound of one delta: clients take messages of a megabyte at most, and what was sent cannot be taken back."""

Status: TypeAlias = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]
Reason: TypeAlias = Literal["turn_detected", "client_cancelled"]


class Response:
    """From its creation to its end.

    Args:
        shape: how it is to be.
        beside: it is out of band: nothing of it is put into the conversation.
    """

    def __init__(self, talk: Talk, shape: Shape, *, beside: bool = False) -> None:
        self._talk, self._shape, self._beside = talk, shape, beside
        self.id = new_id("resp")
        self.status: Status = "in_progress"
        self._details: Json | None = None
        self._output: list[Item] = []
        self._message: Item | None = None
        """The message that is being written or spoken."""
        self._reply: Reply | None = None
        self._captions: asyncio.Task[None] | None = None
        self._encoder: Encoder | None = None
        self._held = b""
        self._said = ""
        """The words that were told."""

    @property
    def over(self) -> bool:
        """Whether `response.done` was said."""
        return self.status != "in_progress"

    @property
    def spoke(self) -> bool:
        """Whether any sound of it was sent."""
        return self._encoder is not None

    def start(self) -> None:
        """Say that there is one."""
        self._say("created")

    def follow(self, reply: Reply) -> None:
        """Tell the words of a reply as they are written."""
        self._reply = reply
        self._captions = asyncio.create_task(self._caption(reply))

    async def _caption(self, reply: Reply) -> None:
        whole = ""
        async for part in reply.written.parts():
            whole += part
            self._tell(whole.strip())

    def began(self, rate: int) -> None:
        """Sound of `rate` Hz (s16le, mono) follows."""
        self._encoder = Encoder(self._shape.kind, rate)
        item = self._open()
        if self._reply is not None:
            item.sound = Sound(self._reply.clauses, rate, whole=False)

    def sound(self, pcm: bytes) -> None:
        """Send sound."""
        if self._encoder is not None:
            self._send(self._encoder.feed(pcm))

    def ended(
        self, text: str, *, calls: Sequence[ToolCall] = (), failure: str | None = None, cut: bool = False
    ) -> None:
        """All of it has come.

        Args:
            text: the whole of its words.
            calls: the functions that the model wants the client to call.
            failure: what went wrong; the words are an apology then.
            cut: it was cut at the longest that the client wants.
        """
        if text.startswith(self._said):
            self._tell(text)
        if self._encoder is not None:
            self._send(self._encoder.end(), last=True)
        self._close("incomplete" if cut else "completed", told=failure is None)
        for call in calls:
            self._call(call)
        if failure is not None:
            error = {"type": "server_error", "code": "engine_failed", "message": failure}
            self._finish("failed", {"type": "failed", "error": error})
        elif cut:
            self._finish("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        else:
            self._finish("completed", {"type": "completed"})

    def refused(self, why: Refusal) -> None:
        """Its own input cannot be used: nothing was made of it, and asking again would not help."""
        if not self.over:
            error = {"type": why.kind, "code": why.code, "message": str(why)}
            self._finish("failed", {"type": "failed", "error": error})

    def cancel(self, reason: Reason) -> None:
        """It is given up: what was sent of it is its end."""
        if not self.over:
            self._close("incomplete", told=self.spoke or not self._shape.aloud)
            self._finish("cancelled", {"type": "cancelled", "reason": reason})

    def stop(self) -> None:
        """Tell nothing any more."""
        if self._captions is not None:
            self._captions.cancel()

    async def told(self) -> None:
        """Wait until its words are told, or that was stopped."""
        if self._captions is not None:
            await asyncio.gather(self._captions, return_exceptions=True)

    # The message.

    def _open(self) -> Item:
        if self._message is not None:
            return self._message
        item = Item("message", "assistant", "output_audio" if self._shape.aloud else "output_text", "")
        item.status = "in_progress"
        self._message = item
        self._output_added(item)
        if not self._beside:
            self._talk.items.speaking = item
        part = {"type": "audio", "transcript": ""} if self._shape.aloud else {"type": "text", "text": ""}
        self._say("content_part.added", item=item, part=part)
        return item

    def _tell(self, text: str) -> None:
        """Tell what is new in the words so far."""
        fresh = text[len(self._said) :]
        if not fresh or self.over:
            return
        item = self._open()
        self._said = text
        self._say("output_audio_transcript.delta" if self._shape.aloud else "output_text.delta", item=item, delta=fresh)

    def _send(self, sound: bytes, *, last: bool = False) -> None:
        size = bytes_a_second(self._shape.kind) * DELTA_MS // 1000
        sound = self._held + sound
        whole = len(sound) if last else len(sound) - len(sound) % size
        for start in range(0, whole, size):
            delta = base64.b64encode(sound[start : min(start + size, whole)]).decode()
            self._say("output_audio.delta", item=self._open(), sound=True, delta=delta)
        self._held = sound[whole:]

    def _close(self, status: Literal["completed", "incomplete"], *, told: bool = True) -> None:
        item, self._message = self._message, None
        self.stop()
        if item is None:
            return
        item.status, item.told = status, told
        if item.sound is not None:
            item.sound.whole = True
        if item.cut_ms is None:
            item.text = self._said
        else:
            item.truncate(item.cut_ms)  # how its words lie in its sound is known now
        if self._shape.aloud:
            self._say("output_audio.done", item=item)
            self._say("output_audio_transcript.done", item=item, transcript=item.text)
            part = {"type": "audio", "transcript": item.text}
        else:
            self._say("output_text.done", item=item, text=item.text)
            part = {"type": "text", "text": item.text}
        self._say("content_part.done", item=item, part=part)
        self._output_done(item)

    def _call(self, call: ToolCall) -> None:
        item = Item("function_call", name=call.name, call_id=call.id, text=None, status="in_progress")
        self._output_added(item)
        item.arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
        kind = "function_call_arguments"
        self._say(f"{kind}.delta", item=item, content=False, call_id=call.id, delta=item.arguments)
        self._say(f"{kind}.done", item=item, content=False, call_id=call.id, name=call.name, arguments=item.arguments)
        item.status = "completed"
        self._output_done(item)

    # What is said.

    def _output_added(self, item: Item) -> None:
        self._output.append(item)
        at = len(self._output) - 1
        self._say("output_item.added", response_id=self.id, output_index=at, item_shown=item)
        if not self._beside:
            self._talk.added(item)

    def _output_done(self, item: Item) -> None:
        at = self._output.index(item)
        self._say("output_item.done", response_id=self.id, output_index=at, item_shown=item)
        if not self._beside:
            self._talk.done(item)

    def _finish(self, status: Status, details: Json) -> None:
        self.status, self._details = status, details
        self._say("done")

    def _say(
        self,
        kind: str,
        *,
        item: Item | None = None,
        item_shown: Item | None = None,
        content: bool = True,
        sound: bool = False,
        **fields: Any,
    ) -> None:
        """Send an event: of a part of `item`, of the whole of `item_shown`, or of the response."""
        where: Json = {}
        if item is not None:
            where = {"response_id": self.id, "item_id": item.id, "output_index": self._output.index(item)}
            where |= {"content_index": 0} if content else {}
        elif item_shown is not None:
            where = {"item": item_shown.shown()}
        else:
            where = {"response": self.shown()}
        # who speaks over a reply, or cancels it, does not silence what is made beside it
        self._talk.say(f"response.{kind}", sound=sound and not self._beside, **where, **fields)

    def shown(self) -> Json:
        """Return it as it is on the wire."""
        output = {"format": _format(self._shape), "voice": self._shape.voice}
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": self._details,
            "output": [item.shown() for item in self._output],
            "conversation_id": None if self._beside else self._talk.id,
            "output_modalities": ["audio"] if self._shape.aloud else ["text"],
            "max_output_tokens": self._shape.tokens,
            "audio": {"output": output},
            "usage": None,
            "metadata": self._shape.metadata,
        }


def _format(shape: Shape) -> Json:
    return {"type": shape.kind, "rate": 24000} if shape.kind == "audio/pcm" else {"type": shape.kind}
