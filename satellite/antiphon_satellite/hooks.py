"""Hooks: the user's commands, run when something happens, with what happened on standard input as JSON.

Nothing waits for them. A few run at once, more wait in a bounded queue, and one that does not end is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping
from typing import Any

import structlog

from antiphon.log import spoken
from antiphon.notify import VARIABLES
from antiphon.settings import Hooks as Commands

AT_ONCE = 4
QUEUED = 64
LONGEST_S = 10.0
"""Then a command is killed, with what it started."""
SAID = 500
"""So many letters of what a command complains of are told."""
GONE_S = 1.0
"""A killed command that is not gone by then is left behind: another user's, or one whose child has left its group."""

QUOTING = ("transcript", "timer", "error")
"""Hooks that are given words of people: what their commands complain of may quote them."""

GIVEN = {name: value for name, value in os.environ.items() if name not in VARIABLES}
"""The environment that the program was started with, which commands get: `app.py` sets variables for itself alone, and
the service manager's line is nobody else's."""

log = structlog.get_logger(__name__)


class Hooks:
    """Runs the commands of the settings for as long as `run` runs."""

    def __init__(self, commands: Commands, *, longest_s: float = LONGEST_S) -> None:
        self._commands = commands
        self._longest_s = longest_s
        self._queue: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue(QUEUED)

    def adopt(self, commands: Commands) -> None:
        """Run other commands from now on."""
        self._commands = commands

    def fire(self, name: str, data: Mapping[str, Any] | None = None) -> None:
        """Run the command for `name`, if there is one, soon; never waits."""
        command: str = getattr(self._commands, name)
        if not command:
            return
        told = {"event": name, **(data or {})} | {"event": name}  # whatever a peer has put into its data
        text = json.dumps(told, ensure_ascii=False).encode()
        try:
            self._queue.put_nowait((name, command, text))
        except asyncio.QueueFull:
            log.warning("a hook is left out: too many wait", hook=name)

    async def run(self) -> None:
        """Run commands until cancelled; those that run are then killed."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            name, command, text = await self._queue.get()
            await self._call(name, command, text)

    async def _call(self, name: str, command: str, text: bytes) -> None:
        try:
            process = await asyncio.create_subprocess_shell(
                command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=GIVEN,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("a hook cannot be started", hook=name, why=error.strerror)
            return
        try:
            async with asyncio.timeout(self._longest_s):
                complaint = await _over(process, text)
        except TimeoutError:
            log.warning("a hook was killed: it took too long", hook=name, longest_s=self._longest_s)
            await _kill(process)
        except asyncio.CancelledError:
            await _kill(process)
            raise
        else:
            if process.returncode:
                said = complaint.decode(errors="replace").strip()[-SAID:]
                if name in QUOTING:
                    said = spoken(said)
                log.warning("a hook failed", hook=name, code=process.returncode, said=said)


async def _over(process: asyncio.subprocess.Process, text: bytes) -> bytes:
    """Give a command its event, and return the end of what it complained of when it is over."""
    assert process.stdin is not None
    assert process.stderr is not None
    with contextlib.suppress(ConnectionError):  # it does not want to know
        process.stdin.write(text)
        await process.stdin.drain()
    process.stdin.close()
    kept = b""
    while complaint := await process.stderr.read(1 << 16):
        kept = (kept + complaint)[-4 * SAID :]
    await process.wait()
    return kept


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End a command and what it has started (it leads a process group of its own)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, or became another user
        os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(GONE_S):
            await process.wait()
    except TimeoutError:
        # Somebody holds its pipe still; only the transport can let go of it, and complains once the loop is closed.
        process._transport.close()  # type: ignore[attr-defined]
