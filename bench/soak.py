"""Conversation for hours, at speed, with interruptions: `antiphon bench soak [--minutes N] [--json] [--plot FILE]`.

One daemon's engines and several conversations at once. Time runs `SPEED` times as fast for them as it does for us, so
that a minute holds many turns. A turn is a question, an interruption of a reply by the next question, a cough or an
"mm" over a reply, or a person who goes on just when the reply begins; a seeded draw says which. Every turn must be
answered, and memory and file descriptors must stay what they were after the warm-up.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
from _corpus import SEED, noise_floor, spoken_by
from _processes import MB, Unmeasured
from _report import show
from rich.console import Console

from antiphon import log
from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples
from antiphon.configuration import load as load_settings
from antiphon.settings import Settings
from antiphon_daemon.app import build_engines
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import EngineError, Engines
from antiphon_daemon.insight.trace import Trace

SPEED = 3.0
PEOPLE = 2
BLOCK = RATE // 50
ANSWER_S = 60.0
"""A turn that has no answer after so long is stuck."""
WARM_SHARE = 0.25
SAMPLE_S = 2.0
QUESTIONS = (
    "What is the capital of France?",
    "Tell me a story about a dragon.",
    "Why is the sky blue?",
    "Who wrote Hamlet?",
)
FILLERS = ("Yeah.", "Okay.")


class Ears(Asker):
    """The peer of one conversation: says when sound came, and when the reply was over."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally
        self.sounds = asyncio.Event()
        self.sound_ms = 0.0

    def fresh(self) -> None:
        self.begin()
        self.sounds.clear()
        self.sound_ms = 0.0

    def reply_began(self, rate: int) -> None:
        super().reply_began(rate)
        self.sounds.set()

    def reply_sound(self, pcm: bytes) -> None:
        self.sound_ms += len(pcm) / 2 / max(1, self.turn.rate) * 1000

    def failed(self, error: EngineError) -> None:
        super().failed(error)
        self._tally.apologies[" ".join(str(error).split())] += 1

    def reply_ended(self, trace: Trace) -> None:
        super().reply_ended(trace)
        if trace.failure is not None:
            self._tally.apologies[" ".join(trace.failure.split())] += 1
        self.sounds.set()

    def nothing_heard(self) -> None:
        super().nothing_heard()
        self.sounds.set()


@dataclass
class Tally:
    """What has happened so far."""

    turns: int = 0
    stuck: list[str] = field(default_factory=list)
    """Turns without an answer: their kind, and the phase in which they were left."""
    apologies: Counter[str] = field(default_factory=Counter)
    """Turns in which an engine failed, and a sentence said so, by what failed."""
    kinds: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, float, int]] = field(default_factory=list)
    """Seconds since the start, megabytes resident, file descriptors."""


class Person:
    """Somebody who talks, in one conversation, until told to stop."""

    def __init__(
        self, engines: Engines, settings: Settings, speech: dict[str, Samples], seed: int, tally: Tally
    ) -> None:
        self._ears = Ears(tally)
        memory = new_memory(settings, settings.language)
        self._talk = Conversation(engines, settings, self._ears, vad.load(), memory, clock=_fast)
        self._speech, self._draw, self._tally = speech, random.Random(seed), tally

    async def run(self, until: float) -> None:
        """Talk until the monotonic clock says so."""
        try:
            while time.monotonic() < until:
                await self._turn()
        finally:
            await self._talk.close()

    async def _turn(self) -> None:
        self._ears.fresh()
        self._talk.open()
        await self._say(self._draw.choice(QUESTIONS))
        if not await self._answered("question"):
            return
        kind = self._draw.choices(("listen", "interrupt", "filler", "cough", "goes on"), (4, 2, 1, 1, 1))[0]
        if kind == "listen":
            await self._end_of_reply()
            self._talk.played()
            return
        if kind != "goes on":
            await asyncio.sleep(self._draw.uniform(0.3, 3.0) / SPEED)
        heard_ms = min(self._ears.sound_ms, self._draw.uniform(100, 900) if kind == "goes on" else 1500)
        self._talk.played(round(heard_ms))
        self._ears.fresh()
        self._talk.open(by_voice=True)
        if kind == "cough":
            await self._cough()
        else:
            await self._say(self._draw.choice(FILLERS if kind == "filler" else QUESTIONS))
        if await self._answered(kind):
            await self._end_of_reply()
            self._talk.played()

    async def _say(self, text: str) -> None:
        await self._hear(self._speech[text])

    async def _cough(self) -> None:
        burst = np.random.default_rng(self._draw.randrange(2**32)).standard_normal(RATE // 3).astype(np.float32)
        await self._hear(burst * np.hanning(len(burst)).astype(np.float32) * np.float32(0.3))

    async def _hear(self, samples: Samples) -> None:
        """Let the conversation hear it, and then the room, until the turn is over."""
        began, position = time.monotonic(), 0
        while not self._ears.over.is_set() and not self._ears.sounds.is_set():
            block = samples[position : position + BLOCK]
            self._talk.hear(block if len(block) == BLOCK else noise_floor(BLOCK / RATE, position))
            position += BLOCK
            if position / RATE > len(samples) / RATE + ANSWER_S:
                return
            await asyncio.sleep(max(0.0, began + position / RATE / SPEED - time.monotonic()))

    async def _answered(self, kind: str) -> bool:
        self._tally.turns += 1
        self._tally.kinds[kind] += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._ears.sounds.wait()
        except TimeoutError:
            self._give_up(kind)
            return False
        return True

    def _give_up(self, kind: str) -> None:
        self._tally.stuck.append(f"{kind}: {self._talk.phase.value}")
        self._talk.stop()

    async def _end_of_reply(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._ears.done.wait()
        except TimeoutError:
            self._give_up("end of reply")


def _fast() -> float:
    return time.monotonic() * SPEED


async def measure(settings: Settings, minutes: float, progress: Callable[[str], None]) -> tuple[dict[str, Any], Tally]:
    """Let people talk for so long and return the figures."""
    speech = {text: spoken_by("joe", text) for text in (*QUESTIONS, *FILLERS)}
    engines = await build_engines(settings)
    tally = Tally()
    began = time.monotonic()
    until = began + minutes * 60
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(PEOPLE):
                group.create_task(Person(engines, settings, speech, SEED + number, tally).run(until))
            group.create_task(_watch(tally, began, until, progress))
    finally:
        await engines.close()
    return figures(tally, minutes), tally


async def _watch(tally: Tally, began: float, until: float, progress: Callable[[str], None]) -> None:
    process = psutil.Process()
    while (now := time.monotonic()) < until:
        tally.memory.append((now - began, process.memory_info().rss / MB, process.num_fds()))
        progress(f"{now - began:.0f} s, {tally.turns} turns, {tally.memory[-1][1]:.0f} MB")
        await asyncio.sleep(SAMPLE_S)


def figures(tally: Tally, minutes: float) -> dict[str, Any]:
    """Return the figures; growth is the last tenth against the tenth after the warm-up."""
    warm = tally.memory[int(len(tally.memory) * WARM_SHARE) :]
    tenth = max(1, len(warm) // 10)

    def mean(rows: Sequence[tuple[float, float, int]], column: int) -> float:
        return float(np.mean([row[column] for row in rows])) if rows else 0.0

    return {
        "minutes": minutes,
        "turns": tally.turns,
        "unanswered": len(tally.stuck),
        "stuck": tally.stuck,
        "apologised": tally.apologies.total(),
        "apologies": dict(tally.apologies),
        "rss_growth_mb": round(mean(warm[-tenth:], 1) - mean(warm[:tenth], 1), 1),
        "fd_growth": round(mean(warm[-tenth:], 2) - mean(warm[:tenth], 2), 1),
        "rss_mb": round(mean(warm[-tenth:], 1), 1),
        "kinds": dict(tally.kinds),
    }


def _plot(path: Path, tally: Tally) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    axes.plot([row[0] / 60 for row in tally.memory], [row[1] for row in tally.memory])
    axes.set_xlabel("minutes")
    axes.set_ylabel("MB resident")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


@click.command()
@click.option("--minutes", default=30.0, show_default=True, type=click.FloatRange(0.1), help="How long to talk.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", metavar="FILE.png", help="Draw the memory over time.")
@click.option("--config", metavar="FILE", help="The settings to use.")
def main(minutes: float, as_json: bool, plot: str | None, config: str | None) -> None:
    """Talk for a long time and look for what grows or gets stuck."""
    settings = load_settings(config)
    log.configure(settings.log.model_copy(update={"level": "error"}))
    try:
        with Console(stderr=True).status("…") as status:
            found, tally = asyncio.run(measure(settings, minutes, status.update))
    except Unmeasured as error:
        raise click.ClickException(str(error)) from None
    if plot:
        _plot(Path(plot), tally)
    print(json.dumps(found)) if as_json else show("soak", found)


if __name__ == "__main__":
    main()
