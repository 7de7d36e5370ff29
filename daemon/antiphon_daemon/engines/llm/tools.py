"""Which models can be offered tools: that a server's model knows none is told only when it is asked."""

from __future__ import annotations

import re
from weakref import WeakSet

import structlog

from antiphon_daemon.engines.contracts import EngineError, Responder

_REFUSED = re.compile(r"(?:not|n't) support (?:\w+ )?tools|tools? (?:\w+ )?(?:is|are) not supported", re.IGNORECASE)
"""What servers answer whose model knows no tools; there is no code for it."""
_without: WeakSet[Responder] = WeakSet()
"""Models whose server has refused tools: they are asked without from then on."""

log = structlog.get_logger(__name__)


def uses_tools(responder: Responder) -> bool:
    """Return whether a model can be offered tools (`Responder.uses_tools`)."""
    return bool(getattr(responder, "uses_tools", False)) and responder not in _without


def does_without(responder: Responder) -> bool:
    """Return whether its server has refused tools."""
    return responder in _without


def refused(responder: Responder, error: EngineError) -> bool:
    """Return whether `error` says that the model knows no tools; from then on it is offered none."""
    if not _REFUSED.search(str(error)):
        return False
    log.info("the language model knows no tools", model=responder.name)
    _without.add(responder)
    return True
