"""Which models can be offered tools: that a server's model knows none is told only when it is asked."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeAlias, cast
from weakref import WeakSet

import structlog

from antiphon_daemon.engines.contracts import EngineError, Message, Responder, TextDelta, Tool, ToolCall, Work

Pieces: TypeAlias = AsyncGenerator[TextDelta | ToolCall, None]

_REFUSED = re.compile(
    r"(?:not|n't) support (?:\w+ )?tools|tools? (?:\w+ )?(?:is|are) not supported"
    r"|tool choice requires|tools param requires",
    re.IGNORECASE,
)
"""What servers answer whose model knows no tools, or that were started without (vLLM without its
`--enable-auto-tool-choice`, llama-server without `--jinja`); there is no code for it."""
_without: WeakSet[Responder] = WeakSet()
"""Models whose server has refused tools: they are asked without from then on."""

log = structlog.get_logger(__name__)


def uses_tools(responder: Responder) -> bool:
    """Return whether a model can be offered tools (`Responder.uses_tools`)."""
    return bool(getattr(responder, "uses_tools", False)) and responder not in _without


def offered(responder: Responder, tools: Sequence[Tool]) -> Sequence[Tool]:
    """Return which of `tools` it is offered: none once its server has refused them."""
    return () if responder in _without else tools


async def reply(responder: Responder, messages: Sequence[Message], work: Work, tools: Sequence[Tool]) -> Pieces:
    """Yield a model's reply; one whose server refuses tools is asked again without.

    Raises:
        EngineError: the model failed.
        Revoked: the work was given up.
    """
    given, begun = offered(responder, tools), False
    pieces = cast(Pieces, responder.respond(messages, work, tools=given))  # a generator, as in every engine
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                begun = True
                yield piece
        return
    except EngineError as error:
        if begun or not given or not _REFUSED.search(str(error)):
            raise
    log.info("the language model knows no tools", model=responder.name)
    _without.add(responder)
    async with aclosing(reply(responder, messages, work, ())) as pieces:
        async for piece in pieces:
            yield piece
