"""`antiphon doctor`: what works here, what does not, and what mends it. Each program brings its own checks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TypeAlias

from rich.console import Console
from rich.markup import escape

from antiphon.checks import Check
from antiphon.configuration import locate, state_dir
from antiphon.settings import Settings
from antiphon.text import json_line, shown
from antiphon.wire.discovery import Found, Mdns, addresses

FOUND_S = 4.0
"""An announcement is found within this, or mDNS does not work."""
MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]–[/]"}

Checks: TypeAlias = Callable[[Settings], Awaitable[list[Check]]]


def run(settings: Settings, config: str | None, *, as_json: bool) -> int:
    """Run every check and print what came of it; 1 when the main job cannot be done."""
    console = Console(highlight=False)
    sources: list[Checks] = [ground, *(point.load() for point in entry_points(group="antiphon.checks"))]
    path = locate(config)
    found = [Check("settings", True, str(path) if path else "no file: the defaults")]
    if not as_json:
        _print(console, found[0])
    for source in sources:
        for check in asyncio.run(_run(source, settings)):
            found.append(check)
            if not as_json:
                _print(console, check)
    wrong = any(check.ok is False for check in found)
    if as_json:
        checks = [{"name": c.name, "ok": c.ok, "says": c.says, "mend": c.mend} for c in found]
        print(json_line({"ok": not wrong, "checks": checks}))
    return int(wrong)


def _print(console: Console, check: Check) -> None:
    console.print(f"{MARKS[check.ok]} [bold]{check.name}[/]: {escape(shown(check.says))}")
    if check.mend and check.ok is not True:
        console.print(f"    → {escape(shown(check.mend))}")


async def _run(source: Checks, settings: Settings) -> list[Check]:
    return await source(settings)


async def ground(settings: Settings) -> list[Check]:
    """Check the state folder and mDNS."""
    return [_state(), await _mdns(settings)]


def _state() -> Check:
    """Write something into the state folder, as keeping an identity does."""
    folder = state_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(512))
            file.flush()
    except OSError as error:
        mend = "Make the folder writable and make room, or set ANTIPHON_STATE to another: names change at each start."
        return Check("state", None, f"nothing can be kept in {folder}: {error.strerror}", mend)
    return Check("state", True, str(folder))


async def _mdns(settings: Settings) -> Check:
    """Announce a service under a passing identity and look for it, as Home Assistant would."""
    if not settings.network.zeroconf:
        return Check("mDNS", None, "is switched off (network.zeroconf)")
    seen = asyncio.Event()
    with contextlib.ExitStack() as folders:
        from pathlib import Path

        try:
            one, other = (folders.enter_context(TemporaryDirectory()) for _ in range(2))
        except OSError as error:
            return Check("mDNS", None, f"was not tried: {error.strerror}", "Make room on the disk, or in TMPDIR.")
        ours, theirs = Mdns(Path(one), settings.network.host), Mdns(Path(other), settings.network.host)

        def look(instance: str, found: Found | None) -> None:
            if instance == ours.instance("doctor") and found is not None:
                seen.set()

        try:
            await ours.start()
            await theirs.start()
            theirs.browse(look)
            await ours.announce("doctor", 9)
            async with asyncio.timeout(FOUND_S):
                await seen.wait()
        except TimeoutError:
            mend = "Open UDP port 5353 in the firewall; meanwhile name satellites in satellites.known."
            return Check("mDNS", None, "an announcement was not found again: discovery will not work", mend)
        finally:
            await theirs.stop()
            await ours.stop()
    return Check("mDNS", True, f"announced and found; this host is {', '.join(addresses(settings.network.host))}")
