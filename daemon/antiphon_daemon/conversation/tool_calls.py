"""A model's reply, with the tools that it calls on the way.

    round 1: text … call(s) ──► pending until the turn is committed ──► run ──► round 2: text … (at most `ROUNDS`)

A tool acts, and a draft must not: a call waits until the turn is over, and is dropped with its draft. In the last round
no tools are offered, so that the model has to speak. A model that acts by being asked (Home Assistant) is asked only
when the turn is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import structlog

from antiphon.settings import Deadlines
from antiphon.text import Composer
from antiphon_daemon.conversation.reply import limited
from antiphon_daemon.engines.contracts import (
    EngineError,
    Fault,
    ForcedCaller,
    Message,
    Responder,
    TextDelta,
    Tool,
    ToolCall,
    Unsettled,
    Work,
)
from antiphon_daemon.engines.llm.tools import reply, uses_tools
from antiphon_daemon.engines.worker import revocable

ROUNDS = 3
"""Answers that a model may write in one turn; what it calls after the one before the last is done is its last word."""
CALLS = 8
"""Calls of one round that are run; a model that asks for more is told so."""

log = structlog.get_logger(__name__)


async def written(
    responder: Responder,
    messages: Sequence[Message],
    work: Work,
    deadlines: Deadlines,
    *,
    tools: Sequence[Tool] = (),
    committed: asyncio.Event | None = None,
    handed: list[ToolCall] | None = None,
    forced: bool = False,
) -> AsyncGenerator[str, None]:
    """Yield the text of a model's reply, within the deadlines; closing this (use `aclosing`) stops the model.

    Args:
        tools: what the model may call.
        committed: set when the turn is over (and `work` is settled), before which nothing is run; needed where there
            are tools, or a model that acts.
        handed: the tools are the peer's, which runs them itself: the calls are put in here, and are the reply's end.
        forced: the model has to call one of them.

    Raises:
        EngineError: the model failed, or stopped answering.
        Revoked: the work was given up while a call was pending.
    """
    told = list(messages)
    for left in reversed(range(1 if handed is not None else ROUNDS)):
        offered = tools if handed is not None or (left and uses_tools(responder)) else ()
        said: list[str] = []
        calls: list[ToolCall] = []
        composer = Composer()
        async with aclosing(_round(responder, told, work, offered, deadlines, committed, forced=forced)) as deltas:
            async for delta in deltas:
                if not isinstance(delta, TextDelta):
                    calls += [delta] if offered else []
                elif text := composer.feed(delta.text):
                    said.append(text)
                    yield text
        if text := composer.rest():
            said.append(text)
            yield text
        if handed is not None:
            handed += calls
            return
        if not calls:
            return
        assert committed is not None
        if said:
            yield " "  # what was said so far is whole: it need not wait for the tool
        await _over(work, committed)
        told.append(Message("assistant", "".join(said), tool_calls=tuple(calls)))
        for number, call in enumerate(calls):
            result = await _run(call, tools, deadlines) if number < CALLS else "Error: too many calls at once"
            told.append(Message("tool", result, tool_call_id=call.id))


async def _over(work: Work, committed: asyncio.Event) -> None:
    """Wait until the turn is over; one that goes on after all is not."""
    async with revocable(work):
        while not committed.is_set():
            await committed.wait()


async def _round(
    responder: Responder,
    messages: Sequence[Message],
    work: Work,
    tools: Sequence[Tool],
    deadlines: Deadlines,
    committed: asyncio.Event | None,
    *,
    forced: bool = False,
) -> AsyncGenerator[TextDelta | ToolCall, None]:
    """Yield one answer of the model; ask again when the turn is over, if that is what it wants."""
    late = EngineError("llm", "the language model has stopped answering")
    deltas = (_forced if forced else reply)(responder, messages, work, tools)
    try:
        async with aclosing(limited(deltas, deadlines.llm_first_s, deadlines.llm_next_s, lambda: late)) as timely:
            async for delta in timely:
                yield delta
    except Unsettled:
        assert committed is not None
        await _over(work, committed)
        async with aclosing(_round(responder, messages, work, tools, deadlines, committed, forced=forced)) as settled:
            async for delta in settled:
                yield delta


def _forced(
    responder: Responder, messages: Sequence[Message], work: Work, tools: Sequence[Tool]
) -> AsyncIterator[TextDelta | ToolCall]:
    if not isinstance(responder, ForcedCaller):
        says = f"{responder.name} cannot be made to call a tool: leave the choice to it."
        raise EngineError("llm", says, Fault.REFUSED)
    return responder.call(messages, work, tools=tools)


async def _run(call: ToolCall, tools: Sequence[Tool], deadlines: Deadlines) -> str:
    """Return what a tool says, or what was wrong with the call: the model can say it, or try again."""
    tool = next((one for one in tools if one.name == call.name), None)
    if tool is None:
        return f"Error: there is no tool {call.name}"
    try:
        async with asyncio.timeout(deadlines.llm_next_s):
            return await tool.run(**call.arguments)
    except (ValueError, TypeError) as error:
        return f"Error: {error}"
    except TimeoutError:
        return f"Error: {call.name} took too long"
    except Exception:  # the edge: a tool's fault must not end the turn
        log.exception("a tool failed", tool=call.name)
        return f"Error: {call.name} failed"
