"""Structured logs: a line per event, for people on a terminal, as JSON everywhere else, quiet by default.

What was said never reaches a log unless `log.transcripts` asks for it: code logs it through `spoken`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog

from antiphon.settings import Log

_transcripts = False


def configure(settings: Log) -> None:
    """Send logs to standard error as the settings say; called before anything logs, and when the settings change."""
    global _transcripts
    _transcripts = settings.transcripts
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=False),
            structlog.processors.StackInfoRenderer(),
            *([] if console else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(max(level, logging.WARNING))


class _Stderr:
    """Standard error, as it is now. A line that cannot be written (a full disk, a reader that left) harms nothing."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def spoken(text: str) -> str:
    """Return `text` as a log may show it: itself where transcripts are asked for, else its length."""
    return text if _transcripts else f"<{len(text)} characters>"
