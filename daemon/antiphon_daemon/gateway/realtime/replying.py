"""Responses: the one of the conversation that is active, those out of band, and one that waits for the user's end.

A response that is asked for while the user speaks waits: the turn is answered when it is over, with all that the client
has put into the conversation meanwhile; where turns are not answered by themselves, the response begins then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.owned import Tasks
from antiphon_daemon.conversation.turn_types import Phase
from antiphon_daemon.engines.contracts import EngineError, Message
from antiphon_daemon.gateway.realtime.config import Shape, Wish
from antiphon_daemon.gateway.realtime.creating import created
from antiphon_daemon.gateway.realtime.items import Item, said_first, told
from antiphon_daemon.gateway.realtime.response import Reason, Response
from antiphon_daemon.gateway.realtime.talk import Talk
from antiphon_daemon.gateway.realtime.wire import Json, Refusal, text_of
from antiphon_daemon.insight.trace import Trace

BESIDE_MOST = 4
"""Responses out of band at once."""
TRANSIT_S = 0.3
"""Nobody tells what was played: the sound needs so long to get there and be begun."""
ACTIVE = "conversation_already_has_active_response"

log = structlog.get_logger(__name__)


class Replies:
    """All responses of a session.

    Args:
        heard: waits until all that was said is known in words.
        hear: puts the sound that an item holds into words.
        ready: has the microphone listened to again, where turns are detected.
        played: called when a reply must have been played.
    """

    def __init__(
        self,
        talk: Talk,
        *,
        heard: Callable[[], Awaitable[None]],
        hear: Callable[[Item, bytes], Awaitable[None]],
        ready: Callable[[], None],
        played: Callable[[], None],
    ) -> None:
        self._talk, self._heard, self._hear, self._ready, self._played = talk, heard, hear, ready, played
        self.active: Response | None = None
        """The one that writes into the conversation."""
        self._any = False
        """Something was answered, or is being."""
        self._starting: asyncio.Task[None] | None = None
        self._waiting: tuple[Wish, Shape] | None = None
        self._text = ""
        self._reason: Reason = "turn_detected"
        self._reply_at = 0.0
        self._reply_bytes, self._rate = 0, 1
        self._playing: asyncio.TimerHandle | None = None
        self._beside: dict[str, Beside] = {}
        self._tasks = Tasks(lambda error: log.error("a response failed for a reason of ours", exc_info=error))

    @property
    def heard_out(self) -> bool:
        """Whether there was a reply, and all that there is must have been played."""
        return self._any and self.active is None and self._waiting is None and self._playing is None

    # What the client asks for.

    def create(self, asked: Json) -> None:
        """Begin a response.

        Raises:
            Refusal: there is one already, or it cannot be had.
        """
        if self._talk.config.listens_only:
            raise Refusal("unsupported", "a transcription session makes no responses", "type")
        wish, shape = self._talk.wished(asked)
        if wish.conversation == "none":
            self._begin_beside(wish, shape)
        elif self.active is not None or self._waiting is not None:
            raise Refusal(ACTIVE, "a response is being made already: cancel it, or wait for its response.done")
        else:
            self._begin(wish, shape)

    def cancel(self, response_id: str | None) -> None:
        """Give up a response: this one, else the one that is active.

        Raises:
            Refusal: there is none.
        """
        if response_id is not None and (one := self._beside.get(response_id)) is not None:
            one.cancel()
            return
        if self.active is not None and response_id in (None, self.active.id):
            self._waiting = None
            self.give_up("client_cancelled")
        elif self._waiting is not None and response_id is None:  # which has no id yet
            self._waiting = None
        else:
            raise Refusal("response_cancel_not_active", "there is no active response to cancel", "response_id")

    def give_up(self, reason: Reason) -> None:
        """End the active response, if there is one."""
        response = self.active
        if response is None:
            return
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        else:
            self._reason = reason
            self._talk.conversation.stop()  # which calls `stopped`
            self._reason = "turn_detected"
        self._end_active(reason)

    def truncated(self, item: Item, ms: int) -> None:
        """The client has played so much of an item, and no more is to come."""
        if item is self._talk.items.speaking and self.active is None and self._playing is not None:
            self._stop_waiting()
            self._talk.conversation.played(ms)

    # What becomes of turns.

    def answer_turn(self) -> None:
        """The turn is over, and its reply may be heard from now on."""
        self._waiting = None
        self._end_active("turn_detected")
        _, shape = self._talk.wished({})
        self._start(shape)
        self._follow()

    def turn_passed(self) -> None:
        """The user has ended, and nothing answers them: what waits for that begins."""
        waited, self._waiting = self._waiting, None
        if waited is not None and self.active is None:
            self._begin(*waited)

    def withdrawn(self) -> None:
        """The user goes on, or begins, before the reply was heard."""
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        self._end_active("turn_detected")

    def stopped(self) -> None:
        """The reply is not to be played any further."""
        self._stop_waiting()
        self._talk.outbox.drop_sound()
        self._end_active(self._reason)
        self._reason = "turn_detected"

    # What the conversation tells of the reply (see `ReplyPeer`).

    def reply_began(self, rate: int) -> None:
        """Sound of the reply follows."""
        self._stop_waiting()
        self._reply_at = max(time.monotonic(), self._reply_at)
        self._rate, self._reply_bytes = rate, 0
        if self.active is not None:
            self.active.began(rate)

    def reply_sound(self, pcm: bytes) -> None:
        """Pass sound on."""
        self._reply_bytes += len(pcm)
        if self.active is not None:
            self.active.sound(pcm)

    def reply_written(self, text: str) -> None:
        """The whole reply is `text`."""
        self._text = text

    def reply_ended(self, trace: Trace) -> None:
        """All of it has come; the client plays it in its own time."""
        response, self.active = self.active, None
        draft = self._talk.conversation.draft
        if response is not None and draft is not None:
            response.ended(self._text, calls=draft.calls, failure=failure_of(draft, self._text), cut=draft.shortened)
            if response.spoke:
                self._reply_at += self._reply_bytes / 2 / self._rate
                left_s = self._reply_at + TRANSIT_S - time.monotonic()
                self._playing = asyncio.get_running_loop().call_later(max(0.0, left_s), self._has_played)

    def failed(self, error: EngineError) -> bool:
        """The reply ends with an error that could not be spoken; return whether there was one."""
        response, self.active = self.active, None
        if response is not None:
            response.ended("", failure=str(error))
        return response is not None

    async def close(self) -> None:
        """Give everything up, and tell nothing."""
        self._stop_waiting()
        for one in self._beside.values():
            one.draft.token.revoke()
        if self.active is not None:
            self.active.stop()
            await self.active.told()
        await self._tasks.close()

    # The conversation's own.

    def _begin(self, wish: Wish, shape: Shape) -> None:
        conversation = self._talk.conversation
        if conversation.phase is Phase.SPEAKING:  # it is being played: what is asked for follows it
            self._stop_waiting()
            conversation.played()
        if conversation.phase not in (Phase.IDLE, Phase.LISTENING):
            self._waiting = (wish, shape)
            return
        self._starting = self._tasks.start(self._ask(self._start(shape), wish, shape))

    def _start(self, shape: Shape) -> Response:
        self._talk.items.speaking = None
        self._any = True
        self.active = response = Response(self._talk, shape)
        response.start()
        return response

    async def _ask(self, response: Response, wish: Wish, shape: Shape) -> None:
        """Have the reply made as soon as all that was said is known in words."""
        conversation = self._talk.conversation
        try:
            messages = await self._context(wish, shape)
        except Refusal as refused:
            self._starting = self.active = None
            response.refused(refused)
            return
        self._starting = None
        if self.active is not response:
            return
        self._ready()
        conversation.answer(shape.manner(messages=messages), "" if shape.own else self._talk.items.question)
        if conversation.phase is not Phase.THINKING:  # the user has begun to speak meanwhile
            self._end_active("turn_detected")
            return
        self._follow()

    async def _context(self, wish: Wish, shape: Shape) -> Sequence[Message]:
        await self._heard()
        if wish.input is None:
            return self._talk.items.history(shape.instructions)
        given: list[Item] = []
        for number, fields in enumerate(wish.input):
            given.append(await self._given(fields, f"response.input.{number}"))
        return [*said_first(shape.instructions), *told(given)]

    async def _given(self, fields: Json, place: str) -> Item:
        """Return an item of a response's own input: a new one, or one that is there."""
        try:
            if fields.get("type") == "item_reference":
                return self._talk.items.find(text_of(fields, "id"))
            item, sound = created(fields)
            if sound:
                await self._hear(item, sound)
        except Refusal as refused:
            raise Refusal(refused.code, f"{place}: {refused}", place) from None
        return item

    def _follow(self) -> None:
        draft = self._talk.conversation.draft
        self._text = ""
        if self.active is not None and draft is not None and draft.reply is not None:
            self.active.follow(draft.reply)

    def _end_active(self, reason: Reason) -> None:
        response, self.active = self.active, None
        if response is not None:
            response.cancel(reason)

    def _has_played(self) -> None:
        self._playing = None
        self._talk.conversation.played()
        self._played()

    def _stop_waiting(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None

    # Those out of band.

    def _begin_beside(self, wish: Wish, shape: Shape) -> None:
        if len(self._beside) >= BESIDE_MOST:
            raise Refusal("too_many_responses", f"{BESIDE_MOST} responses out of band are being made already")
        one = Beside(self._talk, shape)
        self._beside[one.response.id] = one
        one.response.start()
        task = self._tasks.start(self._run_beside(one, wish, shape))
        task.add_done_callback(lambda _: self._beside.pop(one.response.id, None))

    async def _run_beside(self, one: Beside, wish: Wish, shape: Shape) -> None:
        try:
            messages = await self._context(wish, shape)
            if not one.response.over:
                await one.run(messages, shape)
        except Refusal as refused:
            one.response.refused(refused)


def failure_of(draft: Draft, text: str) -> str | None:
    """Return what went wrong with a reply; None: nothing did. Only a skill may have nothing to say."""
    if draft.trace.failure is None and not text and not draft.calls and draft.answer is None:
        return "the language model answered nothing"
    return draft.trace.failure


class Beside:
    """A response out of band (a `Listener`): made like any other, but heard by nobody's turn."""

    def __init__(self, talk: Talk, shape: Shape) -> None:
        self._talk = talk
        self.response = Response(talk, shape, beside=True)
        self.draft = Draft(0, Trace())
        self._text = ""

    async def run(self, messages: Sequence[Message], shape: Shape) -> None:
        """Make it to its end."""
        talk = self._talk
        talk.drafts.answer(self.draft, "", talk.items, talk.language, self, manner=shape.manner(messages=messages))
        assert self.draft.reply is not None
        self.draft.commit()
        self.draft.reply.release()
        self.response.follow(self.draft.reply)
        try:
            await self.draft.reply.run()
        finally:
            self.response.stop()
            if not self.response.over and self.draft.token.wanted():  # a fault of ours, which is raised
                with contextlib.suppress(RuntimeError):
                    self.response.ended("", failure="the response failed for a reason of ours; the log says which")

    def cancel(self) -> None:
        """Give it up."""
        self.draft.token.revoke()
        self.response.cancel("client_cancelled")

    def reply_began(self, rate: int) -> None:
        """Sound follows."""
        if not self.response.over:
            self.response.began(rate)

    def reply_sound(self, pcm: bytes) -> None:
        """Send sound."""
        if not self.response.over:
            self.response.sound(pcm)

    def reply_written(self, text: str) -> None:
        """The whole reply is `text`."""
        self._text = text

    def reply_ended(self, samples: int) -> None:
        """All has come."""
        if not self.response.over:
            failure = failure_of(self.draft, self._text)
            self.response.ended(self._text, calls=self.draft.calls, failure=failure, cut=self.draft.shortened)

    def reply_failed(self, error: EngineError) -> None:
        """There is no voice to say it."""
        if not self.response.over:
            self.response.ended("", failure=str(error))
