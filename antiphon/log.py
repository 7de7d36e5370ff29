"""Structured logs: a line per event, for people on a terminal, as JSON everywhere else, quiet by default.

What was said never reaches a log unless `log.transcripts` asks for it: code logs it through `spoken`, and of an
exception that nobody foresaw the log tells where and of which type, not its words, which may quote anything.
A log that cannot be written (a full disk, a closed terminal) is left out: it must not end the program.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import structlog

from antiphon.settings import Log
from antiphon.text import shown

NO_MORE = "socket.accept() out of system resource"
"""What asyncio says, a hundred times a second, when somebody connects and the system has no descriptor for them."""
NO_MORE_EVERY_S = 60.0

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
            structlog.processors.ExceptionRenderer(_describe),
            *([_harmless] if console else []),  # JSON has escapes of its own
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Line(),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Others()])
    logging.getLogger().setLevel(max(level, logging.WARNING))


def spoken(text: str) -> str:
    """Return `text` as a log may show it: itself where transcripts are asked for, else its length."""
    return text if _transcripts else f"<{len(text)} characters>"


def _harmless(_: Any, __: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """Spell out what would command a terminal: peers name themselves, and a log is read on one."""
    return {key: shown(value) if isinstance(value, str) else value for key, value in line.items()}


def divert_libraries() -> None:
    """Let what C libraries print on standard error become lines of the log, at level debug.

    PortAudio and ALSA print a dozen lines for each device that cannot be opened. Call once, early.
    """
    sys.stderr.flush()
    ours = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    raw = os.fdopen(ours, "wb", buffering=0)  # what a full disk refuses must not be tried again at the end
    sys.stderr = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
    faulthandler.enable(sys.stderr)  # a library that crashes has no time to say so
    threading.Thread(target=_relay, args=(os.fdopen(reading, "rb"),), name="stderr", daemon=True).start()


def _relay(lines: io.BufferedReader) -> None:
    log = structlog.get_logger(__name__)
    for line in lines:
        if text := line.decode(errors="replace").strip():
            log.debug("a library says", text=text)


class _Line:
    """Writes lines to what is standard error now."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a full disk; closed
            sys.stderr.write(message + "\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


class _Others(logging.Handler):
    """Lets what libraries log through `logging` be lines like ours.

    asyncio names an exception's words in the lines after the first.
    """

    _refused_at = -NO_MORE_EVERY_S

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - the library's own mistake, of which it is told nothing
            said = str(record.msg)
        if said.startswith(NO_MORE):
            self._no_more(record)
            return
        level = max(logging.DEBUG, min(record.levelno // 10 * 10, logging.CRITICAL))  # libraries have more of their own
        text = said if _transcripts else said.partition("\n")[0]
        structlog.get_logger(record.name).log(level, text, logger=record.name, exc_info=record.exc_info)

    def _no_more(self, record: logging.LogRecord) -> None:
        """Tell now and then that nobody more can connect, and what mends it."""
        if time.monotonic() - self._refused_at < NO_MORE_EVERY_S:
            return
        self._refused_at = time.monotonic()
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger(__name__).error(
            "nobody more can connect: allow more open files (LimitNOFILE= of the service, or ulimit -n)",
            why=error.strerror if isinstance(error, OSError) else NO_MORE,
        )


def _describe(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Return an exception's traceback; without its own words, and those of its causes, unless they are asked for."""
    if _transcripts:
        return "".join(traceback.format_exception(exc_info[1])).rstrip()
    return "\n".join(_without_words(exc_info[1]))


def _without_words(error: BaseException) -> Iterator[str]:
    """Yield the lines of a traceback: places and types, first what came first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _without_words(before)
        yield "which led to:"
    yield "Traceback (most recent call last):"
    for lines in traceback.format_tb(error.__traceback__):
        yield lines.rstrip()
    yield f"{type(error).__qualname__}: {spoken(str(error))}"
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from (f"  | {line}" for line in _without_words(part))
