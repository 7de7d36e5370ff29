"""`antiphon up`: the daemon, and the satellite on this machine's sound, as two processes that live and end together.

They meet on the wire like any daemon and satellite; this only starts them and watches over them. SIGHUP is passed on
to them: they read the settings again. Run by a service manager, this speaks for all three.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click

from antiphon.checks import Check
from antiphon.life import Life
from antiphon.notify import Notifier
from antiphon.settings import OWN_SATELLITE, Settings
from antiphon.wire.link import LinkError, ask_info, here

PATIENCE_S = 60.0
"""A daemon that does not serve after so long fetches a model, or hangs: it is said, and waited for."""
LOOK_S = 0.1
END_S = 6.0
"""A process that has not ended so long after it was told to is killed."""


def run(settings: Settings, config: str | None) -> int:
    """Run both until Ctrl-C or until one of them ends; return the exit code."""
    return asyncio.run(_run(settings, config))


async def _run(settings: Settings, config: str | None) -> int:
    life, notifier = Life(), Notifier()
    click.echo("Starting: the models are being loaded …")
    sound = await _sound(settings)
    beside = f"tcp://{here(settings.network.host)}:{settings.satellite.port}"
    processes = [await _start("daemon", config, {OWN_SATELLITE: beside} if sound.ok else {})]
    passing_on = asyncio.create_task(_pass_on(life, processes))
    try:
        async with notifier.starting("Loading the models"):
            serves = await _serves(settings, processes[0], life.ended)
        if not serves:
            return 0 if life.ended.is_set() else processes[0].returncode or 1
        if sound.ok:
            processes.append(await _start("satellite", config, {}))
            click.echo(f"Ready. {_how(settings)} Ctrl-C ends.")
        else:
            click.echo(f"Ready, without a microphone: {sound.says}. {sound.mend}")
            click.echo(
                "The services are up for Home Assistant and satellites; `antiphon ask` talks to files. Ctrl-C ends."
            )
        notifier.ready("Serving")
        async with notifier.watched():
            code = await _watch(processes, life.ended)
        notifier.stopping()
        return code
    finally:
        passing_on.cancel()
        await _end(processes)


async def _start(command: str, config: str | None, extra: dict[str, str]) -> asyncio.subprocess.Process:
    """Start one of the programs; it gets Ctrl-C as we do, and the terminal's keys (Enter may start a turn)."""
    named = ["--config", config] if config else []
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "antiphon", *named, command, env={**os.environ, **extra}
    )


async def _serves(settings: Settings, daemon: asyncio.subprocess.Process, ended: asyncio.Event) -> bool:
    """Wait until the daemon answers on one of its ports."""
    ports = settings.endpoints
    port = next((e.port for e in (ports.asr, ports.tts, ports.handle, ports.vad) if e.enabled), None)
    told_at = asyncio.get_running_loop().time() + PATIENCE_S
    while port and daemon.returncode is None and not ended.is_set():
        try:
            await ask_info(f"tcp://{here(settings.network.host)}:{port}", within_s=2)
            return True
        except LinkError:
            if asyncio.get_running_loop().time() > told_at:
                click.echo("Still starting: a model that is fetched first takes minutes. Ctrl-C ends.")
                told_at = float("inf")
            await asyncio.sleep(LOOK_S)
    return not port


async def _sound(settings: Settings) -> Check:
    """Ask the satellite program whether this machine has a microphone and a speaker."""
    points = [point for point in entry_points(group="antiphon.sound") if point.name == "devices"]
    if not points:
        return Check("sound", False, "the satellite is not installed here")
    found: Check = await asyncio.to_thread(points[0].load(), settings)
    return found


def _how(settings: Settings) -> str:
    start = settings.satellite.start
    if start == "wake":
        phrases = " or ".join(Path(word).stem.replace("_", " ") for word in settings.satellite.wake.words)
        return f"Say “{phrases}”, then your question."
    return "Just speak." if start == "voice" else "Press Enter, then speak."


async def _pass_on(life: Life, processes: list[asyncio.subprocess.Process]) -> None:
    """Tell the programs to read their settings again whenever we are told."""
    while True:
        await life.again.wait()
        life.again.clear()
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGHUP)


async def _watch(processes: list[asyncio.subprocess.Process], ended: asyncio.Event) -> int:
    """Wait for Ctrl-C (0), or for a process to end by itself (its code)."""
    waiting = [asyncio.ensure_future(process.wait()) for process in processes]
    stop = asyncio.ensure_future(ended.wait())
    done, _ = await asyncio.wait((*waiting, stop), return_when=asyncio.FIRST_COMPLETED)
    for task in (*waiting, stop):
        task.cancel()
    if stop in done:
        return 0
    code = next(task.result() for task in waiting if task in done)
    return int(code) or 1


async def _end(processes: list[asyncio.subprocess.Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.terminate()
    for process in processes:
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
