"""What Antiphon weighs while it does nothing, and how soon it is there: `antiphon bench footprint [--json]`.

The satellite runs from its own small environment (made as `run.sh` makes it) on a virtual sound card in a quiet room,
driven by a controller that acts as Home Assistant does; that its wake word really works is tried at the end. The daemon
runs from the environment of this script with the embedded models. Both announce nothing: what mDNS would add to a
satellite is weighed apart. A megabyte is a million bytes. Other work on the machine raises all of the times.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click
import numpy as np
import yaml
from _clients import Controller, controller, describe, noise, request, speech, transcribe
from _processes import MB, READY_S, Program, Unmeasured, Usage, clean_environment, free_ports, program, usage
from rich.console import Console
from rich.table import Table
from wyoming.asr import Transcript
from wyoming.tts import Synthesize

from antiphon.audio import wav
from antiphon.configuration import ROOT
from antiphon.wire.link import Link, LinkError, open_link

sys.path.insert(0, str(ROOT / "tests"))

from virtual_sound import VirtualSound

Figures: TypeAlias = dict[str, Any]

BUDGETS = {
    "satellite": {"cpu_percent": 3.0, "rss_mb": 110.0, "rss_with_mdns_mb": 110.0, "install_mb": 150.0}
    | {"voice_cpu_percent": 8.0, "voice_noisy_cpu_percent": 8.0},
    "daemon": {"ready_s": 4.0, "rss_mb": 700.0, "rss_worked_mb": 700.0}
    | {"describe_p50_ms": 50.0, "describe_p99_ms": 50.0},
}
"""The most that each figure may be: section 8 of the design."""
QUIET_DB, NOISY_DB = -70.0, -50.0
"""A quiet room, in which the voice detector rests, and one with a fan, in which it works."""
WARM_S = 10.0
SOUND_S = 15.0
"""A virtual sound card takes some seconds until it moves."""
WAKE_S = 8.0
DESCRIBES = 1000
"""Asked of all services in turn while every engine works: enough for a 99th percentile."""
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
PAUSE_S = 0.03
"""Between two descriptions, so that they meet the engines at different work."""
ENDPOINTS = ("asr", "tts", "handle", "vad", "wake")
QUESTION = "What is the capital of France?"
STORY = "Tell me a long story about a dragon and a knight."
LONG = "This sentence is spoken for a long time, because it has many words in it, one after another. " * 2
SYNC = '. "$1/scripts/environment.sh"; sync "$root/.venv-satellite" requirements-satellite.lock . satellite'
IMPORTS = """
import asyncio, importlib, json, pkgutil, signal, sys, time
began = time.perf_counter()
import antiphon.cli, antiphon_satellite
for module in pkgutil.walk_packages(antiphon_satellite.__path__, "antiphon_satellite."):
    importlib.import_module(module.name)
took = time.perf_counter() - began
if sys.argv[1] == "mdns":
    from zeroconf.asyncio import AsyncZeroconf
    from antiphon.wire import discovery
    async def listen(): return AsyncZeroconf()
    kept = asyncio.run(listen())
heavy = sorted({"antiphon_daemon", "torch", "onnxruntime"} & set(sys.modules))
print(json.dumps({"modules": len(sys.modules), "import_s": took, "heavy": heavy}), file=sys.stderr, flush=True)
signal.pause()
"""
"""Imports all that a satellite is made of, with or without mDNS, tells what came with it, and waits to be weighed."""


@dataclass
class Bench:
    """One run: where it works, what it says meanwhile, and what it could not do."""

    folder: Path
    seconds: float
    progress: Callable[[str], None]
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def excused(self, what: str) -> Iterator[None]:
        """Note what cannot be measured, and go on without it."""
        self.progress(what)
        try:
            yield
        except (Unmeasured, LinkError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            self.notes.append(f"{what} cannot be measured: {error}")

    def config(self, name: str, **sections: object) -> str:
        """Write a settings file that listens on loopback and announces nothing; returns its path."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"network": {"host": "127.0.0.1", "zeroconf": False}, **sections}))
        return str(path)


# The satellite.


async def measure_satellite(bench: Bench) -> Figures:
    """Return the figures of a satellite; those that cannot be measured here are None."""
    figures: Figures = dict.fromkeys(("rss_mb", "cpu_percent", "install_mb", "start_s", *BUDGETS["satellite"]))
    with bench.excused("the satellite's environment"):
        venv = await asyncio.to_thread(bring_environment)
        figures |= await weigh_imports(bench, venv)
        figures["install_mb"] = installed_mb(venv)
        if not VirtualSound.available():
            raise Unmeasured("PulseAudio is not installed, which makes the virtual sound card")
        with VirtualSound() as sound:
            with bench.excused("the satellite in wake-word mode"):
                figures |= await idle(bench, venv, sound, "wake", QUIET_DB)
            for key, level in (("voice", QUIET_DB), ("voice_noisy", NOISY_DB)):
                with bench.excused(f"the satellite in voice-alone mode at {level:.0f} dB"):
                    found = await idle(bench, venv, sound, "voice", level)
                    figures[f"{key}_cpu_percent"] = found["cpu_percent"]
    if figures["rss_mb"] is not None and "mdns_mb" in figures:
        figures["rss_with_mdns_mb"] = figures["rss_mb"] + figures["mdns_mb"]
    return figures


def bring_environment() -> Path:
    """Return the satellite's environment, made or brought to its lock as `run.sh` does.

    Raises:
        Unmeasured: it cannot be made.
    """
    command = ["bash", "-euo", "pipefail", "-c", SYNC, "footprint", str(ROOT)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unmeasured(f"it cannot be made: {error}") from None
    if ran.returncode:
        raise Unmeasured((ran.stderr.strip().splitlines() or ["it cannot be made"])[-1])
    return ROOT / ".venv-satellite"


def installed_mb(venv: Path) -> float:
    """Return the size of everything in its site-packages and of our own two packages, which lie beside it."""
    folders = [*venv.glob("lib/python*/site-packages"), ROOT / "antiphon", ROOT / "satellite" / "antiphon_satellite"]
    files = (path for folder in folders for path in folder.rglob("*"))
    return sum(path.lstat().st_size for path in files if path.is_file() and not path.is_symlink()) / MB


async def weigh_imports(bench: Bench, venv: Path) -> Figures:
    """Return what importing a satellite loads, in both environments: in the whole one there is more to be caught."""
    _, whole = await weigh(bench, sys.executable, "bare")
    bare_mb, found = await weigh(bench, str(venv / "bin" / "python"), "bare")
    mdns_mb, _ = await weigh(bench, str(venv / "bin" / "python"), "mdns")
    heavy = sorted({*found.pop("heavy"), *whole["heavy"]})
    return {**found, "heavy_modules": heavy, "imported_mb": bare_mb, "mdns_mb": max(0.0, mdns_mb - bare_mb)}


async def weigh(bench: Bench, python: str, kind: str) -> tuple[float, Figures]:
    with program("imports", [python, "-c", IMPORTS, kind], bench.folder, clean_environment(bench.folder)) as one:
        await one.until_said("}\n", 30)
        return (await usage(one.process.pid, 0)).rss_mb, json.loads(one.said.splitlines()[-1])


async def idle(bench: Bench, venv: Path, sound: VirtualSound, start: str, level: float) -> Figures:
    """Return what a satellite takes that waits in a room for somebody to begin."""
    (port,) = free_ports(1)
    given = {"port": port, "name": "bench", "start": start}
    config = bench.config("satellite", log={"format": "json"}, satellite=given)
    command = [str(venv / "bin" / "antiphon"), "--config", config, "satellite"]
    environment = clean_environment(bench.folder, sound.environment)
    uri = f"tcp://127.0.0.1:{port}"
    lasts_s = bench.seconds + WARM_S + 2 * SOUND_S + WAKE_S + READY_S
    with (
        noise(bench.folder, sound.environment, level, lasts_s) as player,
        program("satellite", command, bench.folder, environment) as satellite,
    ):
        start_s = await satellite.described([uri])
        await satellite.until_said("sound devices open", SOUND_S)
        async with controller(uri) as driver:
            await satellite.until_said('"now": "idle"', SOUND_S)
            await asyncio.sleep(WARM_S)
            found = await usage(satellite.process.pid, bench.seconds)
            satellite.must_run()
            if player.poll() is not None:
                raise Unmeasured("the noise has ended too early")
            if driver.runs:
                raise Unmeasured(f"it took the noise for speech {driver.runs} times")
            wakes = await hears_its_word(bench, sound, driver) if start == "wake" else None
    return {"start_s": start_s, **figures_of(found), "wakes": wakes}


def figures_of(found: Usage) -> Figures:
    whole = {"cpu_percent": found.cpu_percent, "rss_mb": found.rss_mb, "rss_peak_mb": found.peak_mb}
    return {**whole, "pss_mb": found.pss_mb, "threads": found.threads}


async def hears_its_word(bench: Bench, sound: VirtualSound, driver: Controller) -> bool:
    """Return whether a spoken wake word is answered by a run: what was measured did listen."""
    path = bench.folder / "word.wav"
    wav.write(path, await asyncio.to_thread(speech, "Okay Nabu."))
    await asyncio.to_thread(sound.say, path)
    return await driver.asked_within(WAKE_S)


# The daemon.


async def measure_daemon(bench: Bench) -> Figures:
    """Return the figures of a daemon; those that cannot be measured here are None."""
    wanted = ("rss_mb", "ready_s", "cold_first_answer_s", "first_answer_s", "describe_p99_ms")
    figures: Figures = dict.fromkeys((*wanted, *BUDGETS["daemon"]))
    ports = dict(zip(ENDPOINTS, free_ports(len(ENDPOINTS)), strict=True))
    uris = {name: f"tcp://127.0.0.1:{port}" for name, port in ports.items()}
    endpoints = {name: {"port": port} for name, port in ports.items()}
    config = bench.config("daemon", endpoints=endpoints, satellites={"discover": False})
    antiphon = [sys.executable, "-m", "antiphon", "--config", config]
    environment = clean_environment(bench.folder)
    with bench.excused("the first answer after a cold start"):
        figures["cold_disk"] = await asyncio.to_thread(cool_disk)
        if not figures["cold_disk"]:
            bench.notes.append("the cold start began with a warm disk: only root on Linux can have it forgotten")
        cold = await asyncio.to_thread(ask, antiphon, environment)
        figures |= {f"cold_{key}": value for key, value in cold.items()}
        figures |= await asyncio.to_thread(ask, antiphon, environment)
    with (
        bench.excused("the daemon"),
        program("daemon", [*antiphon, "daemon"], bench.folder, environment) as daemon,
    ):
        figures["ready_s"] = await daemon.described(list(uris.values()))
        figures |= spread("describe_idle", await asyncio.to_thread(describe, list(uris.values()), DESCRIBES // 4))
        figures |= await work_and_describe(bench, daemon, uris)
    return figures


def cool_disk() -> bool:
    """Have the system forget what it has read of the disk, as after a boot; returns whether it could (root)."""
    try:
        os.sync()
        DROP_CACHES.write_text("3\n")
    except OSError:
        return False
    return True


def ask(antiphon: list[str], environment: Mapping[str, str]) -> Figures:
    """Return how long a question in writing takes with everything started for it: from nothing to the whole reply,
    and from the question to its first sound.
    """
    began = time.monotonic()
    command = [*antiphon, "ask", "--text", QUESTION, "--json"]
    try:
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        raise Unmeasured("antiphon ask does not end within 120 s") from None
    if ran.returncode:
        raise Unmeasured((ran.stderr.strip().splitlines() or ["antiphon ask has failed"])[-1])
    timeline = json.loads(ran.stdout)["timeline"]
    return {"first_answer_s": time.monotonic() - began, "first_audio_ms": timeline["first_audio"]}


async def work_and_describe(bench: Bench, daemon: Program, uris: Mapping[str, str]) -> Figures:
    """Return what the daemon weighs after one turn, and how it describes itself while all engines work.

    Recordings are sent at once, as a file is: that asks more of the daemon than a microphone does.
    """
    question = speech(QUESTION)
    done: Counter[str] = Counter()
    jobs: dict[str, Callable[[Link], Awaitable[None]]] = {
        "asr": partial(transcribe, sound=np.tile(question, 5)),
        "handle": lambda link: request(link, Transcript(text=STORY, language="en").event(), "handled-stop"),
        "tts": lambda link: request(link, Synthesize(text=LONG).event(), "audio-stop"),
    }
    first: dict[str, Callable[[Link], Awaitable[None]]] = {**jobs, "asr": partial(transcribe, sound=question)}
    for name, job in first.items():
        async with await open_link(uris[name]) as link:
            await job(link)
    figures: Figures = {"rss_mb": (await usage(daemon.process.pid, 0)).rss_mb}
    bench.progress("describing while all engines work")
    workers = [asyncio.create_task(work(uris[name], name, job, done)) for name, job in jobs.items()]
    try:
        took = await asyncio.to_thread(describe, list(uris.values()), DESCRIBES, PAUSE_S)
        for worker in workers:
            if worker.done():
                worker.result()
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    after = await usage(daemon.process.pid, 0)
    figures |= {"rss_worked_mb": after.rss_mb, "pss_mb": after.pss_mb, "threads": after.threads}
    figures |= {**spread("describe", took), "describes": len(took)}
    return {**figures, "works_ended": {name: done[name] for name in jobs}}


async def work(uri: str, name: str, job: Callable[[Link], Awaitable[None]], done: Counter[str]) -> None:
    """Do the same work again and again, until cancelled."""
    async with await open_link(uri) as link:
        while True:
            await job(link)
            done[name] += 1


def spread(name: str, took_ms: list[float]) -> Figures:
    p50, p99 = np.percentile(took_ms, (50, 99))
    return {f"{name}_p50_ms": float(p50), f"{name}_p99_ms": float(p99), f"{name}_max_ms": max(took_ms)}


# What is told.


def table(part: str, figures: Figures) -> Table:
    """Return the figures of one program, each beside its budget."""
    drawn = Table(part, "measured", "budget", "")
    for key, value in figures.items():
        budget = BUDGETS[part].get(key)
        verdict = "" if budget is None or value is None else "ok" if value <= budget else "over"
        drawn.add_row(key, shown(value), "" if budget is None else f"{budget:g}", verdict)
    return drawn


def shown(value: Any) -> str:
    if value is None:
        return "not measured"
    return f"{value:.3g}" if isinstance(value, float) and value < 1000 else str(value)


def rounded(figures: Figures) -> Figures:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}


async def measure(bench: Bench, only: str | None) -> dict[str, Figures]:
    parts = {"satellite": measure_satellite, "daemon": measure_daemon}
    return {name: rounded(await part(bench)) for name, part in parts.items() if only in (None, name)}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--seconds", default=30.0, show_default=True, help="How long each idle state is watched.")
@click.option("--only", type=click.Choice(["satellite", "daemon"]), help="Measure one of the two.")
def main(as_json: bool, seconds: float, only: str | None) -> None:
    """Weigh satellite and daemon, and say how soon they are there."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    machine = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    with (
        tempfile.TemporaryDirectory(prefix="antiphon-bench-") as folder,
        Console(stderr=True).status("…") as status,
    ):
        bench = Bench(Path(folder), seconds, lambda what: status.update(f"Measuring: {what} …"))
        found = asyncio.run(measure(bench, only))
    machine["load_after"] = os.getloadavg()[0]
    if as_json:
        print(json.dumps({**found, "budgets": BUDGETS, "machine": machine, "notes": bench.notes}))
        return
    console = Console(highlight=False)
    for part, figures in found.items():
        console.print(table(part, figures))
    for note in bench.notes:
        console.print(note)
    console.print("{cores} cores, load {load_before:.1f} before and {load_after:.1f} after".format_map(machine))


if __name__ == "__main__":
    main()
