"""The `handle` endpoint: what was said in, what is answered out, one conversation per `conversation_id`.

    transcript{text, language?, context{conversation_id?}}  →  handled-start · handled-chunk… · handled · handled-stop

Home Assistant sends no history: it is kept here, for five silent minutes. It closes the connection at `handled`.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from wyoming.asr import Transcript
from wyoming.event import Event
from wyoming.handle import Handled, HandledChunk, HandledStart, HandledStop, NotHandled

from antiphon.settings import Settings
from antiphon.wire.frames import parse
from antiphon.wire.server import Connection
from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation.memory import Memory, new_memory
from antiphon_daemon.conversation.messages import message, unwritten
from antiphon_daemon.conversation.tool_calls import uses_tools, written
from antiphon_daemon.endpoints.info import plain_language
from antiphon_daemon.engines.contracts import EngineError, Responder, Revoked
from antiphon_daemon.engines.work import Token

CONVERSATIONS = 256
"""Conversations that are remembered at most; the one longest silent is forgotten first."""
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

    def __init__(self, peer: Connection, engine: Responder, memories: Memories, settings: Settings) -> None:
        self._peer, self._engine, self._memories, self._settings = peer, engine, memories, settings

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if not Transcript.is_type(event.type):
            return
        request = parse(Transcript, event)
        language = plain_language(request.language) or self._settings.language
        context = request.context if isinstance(request.context, dict) else {}
        text = unicodedata.normalize("NFC", str(request.text)).strip()
        if not text or len(text) > TEXT_CHARACTERS:
            await self._peer.send(NotHandled(text=message("empty", language), context=request.context))
            return
        conversation_id = context.get("conversation_id")
        memory = self._memories.of(str(conversation_id) if conversation_id else None, language)
        work = Token()
        try:
            await self._answer(text, language, memory, work, request.context)
        except Revoked:
            return
        except EngineError as error:
            log.error("the reply cannot be written", why=error.for_log)
            await self._peer.send(NotHandled(text=message(unwritten(error), language), context=request.context))
        finally:
            work.revoke()

    async def gone(self) -> None:
        """The peer left; the request that was being answered has been cancelled."""

    async def _answer(
        self, text: str, language: str, memory: Memory, work: Token, context: dict[str, object] | None
    ) -> None:
        await self._peer.send(HandledStart(context=context))
        if answer := skills.match(text, language, last_reply=memory.last_reply):
            answer.commit()
            if answer.starts_over:
                memory.forget()
            # Nobody tells a peer that there is nothing to say: Home Assistant's satellites would wait for it.
            reply = answer.text or message("okay", answer.language)
            if answer.remembered:
                memory.remember(text, reply)
            await self._peer.send(HandledChunk(text=reply))
        else:
            parts: list[str] = []
            async with aclosing(self._written(text, language, memory, work)) as writing:
                async for part in writing:
                    parts.append(part)
                    await self._peer.send(HandledChunk(text=part))
            reply = "".join(parts).strip()
            if reply:
                memory.remember(text, reply)
        await self._peer.send(Handled(text=reply or message("empty", language), context=context))
        await self._peer.send(HandledStop())

    def _written(self, text: str, language: str, memory: Memory, work: Token) -> AsyncGenerator[str, None]:
        committed = asyncio.Event()
        committed.set()  # what is asked here is no draft
        tools = skills.tools(skills.NOWHERE, language) if uses_tools(self._engine) else ()
        deadlines = self._settings.deadlines
        return written(self._engine, memory.messages(text), work, deadlines, tools=tools, committed=committed)
