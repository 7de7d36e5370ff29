"""The `handle` endpoint: what was said in, what is answered out, one conversation per `conversation_id`.

    transcript{text, language?, context{conversation_id?}}  →  handled-start · handled-chunk… · handled · handled-stop
                                         what concerns the house  →  intent, or intents-start · intent… · intents-stop

Home Assistant sends no history: it is kept here, for five silent minutes. It closes the connection at `handled`, and
then asks for the sound of what it was given: for a peer with that habit the sound is made meanwhile (`across`).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import aclosing

import structlog
from wyoming.asr import Transcript
from wyoming.event import Event
from wyoming.handle import Handled, HandledChunk, HandledStart, HandledStop, NotHandled
from wyoming.intent import Entity, Intent, IntentsStart, IntentsStop

from antiphon.settings import Settings
from antiphon.text import composed
from antiphon.wire.frames import parse
from antiphon.wire.server import Connection
from antiphon_daemon.conversation.across import Across, Key, Peer
from antiphon_daemon.conversation.drafts import Draft, Drafts, Nobody
from antiphon_daemon.conversation.memory import Memory, new_memory
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.skills import house
from antiphon_daemon.endpoints.info import plain_language
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.insight import metrics
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Outcome, Recorder

CONVERSATIONS = 256
"""Conversations that are remembered at most; the one longest silent is forgotten first."""
ID_CHARACTERS = 256
"""So much of a conversation's id tells it from others; Home Assistant's have 26."""
TEXT_CHARACTERS = 20_000
"""A longer request is refused: no speech is so long."""

log = structlog.get_logger(__name__)


class Memories:
    """The conversations of all peers, by their id."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: OrderedDict[str, tuple[Memory, str]] = OrderedDict()

    def adopt(self, settings: Settings) -> None:
        """Follow other settings: those who are known are answered by the new prompt from now on."""
        self._settings = settings
        for memory, language in self._kept.values():
            memory.adopt(new_memory(settings, language))

    def of(self, conversation_id: str | None, language: str) -> Memory:
        """Return what was said under this id; a peer without one is a stranger each time."""
        if not conversation_id:
            return new_memory(self._settings, language)
        kept = self._kept.pop(conversation_id, None) or (new_memory(self._settings, language), language)
        self._kept[conversation_id] = kept
        while len(self._kept) > CONVERSATIONS:
            self._kept.popitem(last=False)
        return kept[0]


class HandleHandler:
    """One connection: any number of requests, one after another."""

    def __init__(
        self,
        peer: Connection,
        engines: Engines,
        memories: Memories,
        across: Across,
        settings: Settings,
        recorder: Recorder,
    ) -> None:
        self._peer, self._engines, self._memories, self._settings = peer, engines, memories, settings
        self._across, self._recorder = across, recorder
        self._draft: Draft | None = None
        self._asked_at = 0.0

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if not Transcript.is_type(event.type):
            return
        self._asked_at = time.monotonic()
        request = parse(Transcript, event)
        language = plain_language(request.language) or self._settings.language
        context = request.context if isinstance(request.context, dict) else {}
        text = composed(str(request.text)).strip()
        if not text or len(text) > TEXT_CHARACTERS:
            metrics.handled("empty")
            await self._peer.send(NotHandled(text=message("empty", language), context=request.context))
            return
        conversation_id = str(context.get("conversation_id") or "")[:ID_CHARACTERS]
        memory = self._memories.of(conversation_id or None, language)
        peer = self._across.of(self._peer.host)
        peer.replies.asked(text)
        self._draft = peer.drafts.take(Key.of(text, language, memory.messages(text)))
        if self._draft is not None:
            self._draft.belong_to(memory)
        if conversation_id and self._settings.home_assistant.control and (asked := house.commands(text, language)):
            await self._give_up()
            await self._hand_over(asked, text, memory, peer, language, request.context)
            return
        self._draft = self._draft or self._begin(text, language, memory, peer)
        self._record(self._draft, text)
        try:
            await self._answer(self._draft, memory, peer, language, request.context)
        finally:
            await self._give_up()

    async def gone(self) -> None:
        """The peer left; the request that was being answered has been cancelled."""
        await self._give_up()

    async def _give_up(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            await draft.drop()

    def _record(self, draft: Draft, text: str) -> None:
        """Go on with the record that `asr` began of this turn, or begin one."""
        if draft.turn is not None:
            draft.turn.resume(draft.trace)
        else:
            draft.turn = self._recorder.began(draft.trace, typed=True, said=text)

    async def _hand_over(
        self,
        asked: Sequence[house.Command],
        text: str,
        memory: Memory,
        peer: Peer,
        language: str,
        context: dict[str, object] | None,
    ) -> None:
        """Have Home Assistant do what concerns the house; it answers in its own words, or in these if it has none."""
        said, trace = message("okay", language), Trace()
        trace.mark("speech_end")
        if len(asked) > 1:
            await self._peer.send(IntentsStart(context=context))
        for command in asked:
            entities = [Entity(name, value) for name, value in command.slots.items()]
            await self._peer.send(Intent(command.intent, entities, text=said, context=context))
        if len(asked) > 1:
            await self._peer.send(IntentsStop(context=context))
        metrics.handled("house")
        log.info("the house is asked", intents=[command.intent for command in asked])
        trace.mark("done")
        self._recorder.began(trace, typed=True, said=text).end(Outcome.ANSWERED, answered=said)
        memory.remember(text, said)
        peer.talks(memory)
        peer.sounds.excuse()

    def _begin(self, text: str, language: str, memory: Memory, peer: Peer) -> Draft:
        """Return the reply to a request that nobody foresaw."""
        draft = Draft(0, Trace())
        draft.trace.mark("speech_end")
        drafts = Drafts(self._engines, peer.limited(self._settings), peer.voice)
        drafts.answer(draft, text, memory, language, Nobody(), read=True)
        assert draft.reply is not None
        draft.running = asyncio.create_task(draft.reply.run())
        return draft

    async def _answer(
        self, draft: Draft, memory: Memory, peer: Peer, language: str, context: dict[str, object] | None
    ) -> None:
        assert draft.reply is not None
        draft.commit()
        if draft.answer is not None and draft.answer.starts_over:
            memory.forget()
        await self._peer.send(HandledStart(context=context))
        told = False
        async with aclosing(draft.reply.written.parts()) as writing:
            async for part in writing:
                if not told:
                    metrics.handled_first(time.monotonic() - self._asked_at)
                    told = True
                await self._peer.send(HandledChunk(text=part))
        if draft.reply.fault is not None:
            raise draft.reply.fault
        reply = draft.reply.written.text
        draft.trace.first("done")
        if draft.turn is not None:
            draft.turn.end(Outcome.ANSWERED, answered=reply)
        metrics.handled("failed" if draft.reply.failed else "reply")
        if draft.reply.failed:
            await self._peer.send(NotHandled(text=reply, context=context))
            return
        if reply and (draft.answer is None or draft.answer.remembered):
            memory.remember(draft.text, reply)
            peer.talks(memory)
        if not reply:  # nobody tells a peer that there is nothing to say: Home Assistant's satellites would wait for it
            reply = message("okay" if draft.answer is not None else "empty", language)
            await self._peer.send(HandledChunk(text=reply))
        elif peer.sounds.formed:
            peer.leave(reply, draft)
            self._draft = None
        peer.sounds.gave(reply)
        await self._peer.send(Handled(text=reply, context=context))
        await self._peer.send(HandledStop())
