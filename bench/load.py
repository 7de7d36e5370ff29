"""Many at once: `antiphon bench load [--speakers N]… [--idle N] [--turns N] [--together] [--json] [--plot FILE.png]`.

One daemon, and clients of its `/ws`. First nobody is there; then `--idle` sessions are open, silent at first and then
with microphones that hear a quiet room, and one that hears a noisy one: what each costs in CPU, memory and descriptors.
Those stay while 1, 2, 4 (or as told) speak, each in a conversation of their own: an utterance, the reply to its end, a
thought, the next. Every turn is timed from the labelled end of speech to the first sound of the reply, and it is told
how many were given "one moment" to hear before it. `--together`: all end at the same instant, which is the worst case.
`--impatient`: nobody hears more than a second or three of a reply, of which all is made: more than people ask for.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
from _corpus import SEED, Utterance, corpus, load, noise_floor, sound
from _processes import Unmeasured, cpu_s, usage
from _report import percentile, plot_lines, show
from _turn import PATIENCE_S, STAGES, Result
from _wires import BLOCKS_PER_S, Daemon, WsCall, blocks_of, called, daemon, framed
from rich.console import Console

from antiphon import log
from antiphon.audio.pcm import RATE, Samples
from antiphon.configuration import load as load_settings

SETTLE_S = 3.0
"""Before anything is measured; a quiet room is left alone by the voice activity model after two of them."""
IDLE_S = 10.0
THINK_S = (0.5, 1.5)
"""How long somebody thinks after a reply: drawn anew each time."""
IMPATIENT_S = (1.0, 3.0)
"""How long somebody impatient hears a reply at most."""
NOISE_DB = -45.0
"""A room with a fan: the voice activity model has to listen to it."""
ROOM_S = 20
LOOK_S = 5.0
GAP_S = 0.05
"""A reply that is silent for longer than this in the middle is heard to stumble."""
BUDGET_MS = {"p50_ms": 600, "p95_ms": 900}


class Streaming:
    """A microphone that stays open, as long as the context lasts.

    Args:
        room: what it hears while nothing is said: blocks that `framed` made ready, for the microphones of a house do
            not compute on its daemon's cores.
    """

    def __init__(self, call: WsCall, room: Sequence[bytes]) -> None:
        self._call, self._room = call, room
        self._said: list[bytes] = []
        self.position = 0
        """Blocks that have been sent."""
        self._began = time.perf_counter()

    def say(self, blocks: Sequence[bytes]) -> float:
        """Let it hear these next; return when the first will be sent."""
        self._said = list(reversed(blocks))
        return self._began + self.position / BLOCKS_PER_S

    async def run(self) -> None:
        """Stream until cancelled."""
        while True:
            if self._said:
                await self._call.send(self._said.pop())
            else:
                self._call.send_framed(self._room[self.position % len(self._room)])
            self.position += 1
            await asyncio.sleep(max(0.0, self._began + self.position / BLOCKS_PER_S - time.perf_counter()))


@dataclass
class Spoken:
    """The turns of so many speakers at once."""

    speakers: int
    results: list[Result] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    """When "one moment" was heard, from the end of speech."""
    errors: list[str] = field(default_factory=list)
    cost: Mapping[str, Any] = field(default_factory=dict)
    """What the daemon took in the last `LOOK_S`."""
    busiest: float = 0.0
    """The most CPU that it took in any, in percent of a core; `own`: this bench."""
    own: float = 0.0
    cpu_s: float = 0.0
    """What the daemon took for all turns; idle sessions included."""
    replies_s: list[float] = field(default_factory=list)
    """How long the replies are."""
    gaps_s: list[float] = field(default_factory=list)
    """How long each was silent in the middle, for want of what comes next."""


class Speaker:
    """Somebody who says one thing after another over one connection."""

    def __init__(
        self, call: WsCall, microphone: Streaming, draw: random.Random, spoken: Spoken, *, impatient: bool
    ) -> None:
        self._call, self._microphone, self._draw, self._spoken = call, microphone, draw, spoken
        self._impatient = impatient

    async def turn(self, utterance: Utterance, samples: Samples) -> None:
        """Say one thing, and listen to the reply."""
        self._call.forget()
        began = self._microphone.say(blocks_of(samples, RATE))
        end = began + utterance.end_s
        result = Result(utterance)
        try:
            async with asyncio.timeout(max(0.0, end - time.perf_counter()) + 2 * PATIENCE_S):
                await self._call.done.wait()
                await asyncio.sleep(max(0.0, end - time.perf_counter()))  # cut off, and answered already
        except TimeoutError:
            pass
        result.drafts = int(self._call.turn.get("drafts", 0))
        if result.came(self._call.over_at, self._call.sound_at, end, self._call.turn.get("failure")):
            result.waterfall(self._call.turn.get("timeline", {}), int(self._call.turn.get("wasted_ms", 0)))
        self._spoken.results.append(result)
        self._spoken.moments += [at - end for at in self._call.moment_at]
        self._spoken.errors += self._call.errors
        self._call.errors.clear()
        reply_s = int(self._call.turn.get("reply_ms", 0)) / 1000
        self._spoken.replies_s.append(reply_s)
        self._spoken.gaps_s.append(self._call.gap_s)
        hears_s = min(reply_s, self._draw.uniform(*IMPATIENT_S)) if self._impatient else reply_s
        heard_s = time.perf_counter() - self._call.sound_at[-1] if self._call.sound_at else 0.0
        await asyncio.sleep(max(0.0, hears_s - heard_s))
        await self._call.played()
        await asyncio.sleep(self._draw.uniform(*THINK_S))


class Bench:
    """One run over one daemon."""

    def __init__(
        self, other: Daemon, folder: Path, utterances: Sequence[Utterance], *, together: bool, impatient: bool
    ) -> None:
        self._daemon, self._folder, self._utterances = other, folder, utterances
        self._together, self._impatient = together, impatient
        self._room = [framed(block) for block in blocks_of(noise_floor(ROOM_S), RATE)]
        self._own = psutil.Process(os.getpid())

    async def cost(self, seconds: float) -> dict[str, Any]:
        """Return what the daemon takes while so many seconds pass, and what this bench takes itself."""
        before = sum(self._own.cpu_times()[:2])
        used = await usage(self._daemon.pid, seconds)
        own = 100 * (sum(self._own.cpu_times()[:2]) - before) / seconds
        return {
            "cpu_percent": round(used.cpu_percent, 1),
            "rss_mb": round(used.rss_mb, 1),
            "descriptors": psutil.Process(self._daemon.pid).num_fds(),
            "threads": used.threads,
            "bench_cpu_percent": round(own, 1),
        }

    async def idle(self, count: int, progress: Callable[[str], None], leaving: AsyncExitStack) -> dict[str, Any]:
        """Open so many sessions, which stay, and return what they cost: silent, in a quiet and in a noisy room."""
        found: dict[str, Any] = {}
        progress("nobody is there")
        await asyncio.sleep(SETTLE_S)
        found["nobody"] = await self.cost(IDLE_S)
        calls = [await leaving.enter_async_context(called(WsCall, self._daemon.port)) for _ in range(count)]
        progress(f"{count} sessions that send nothing")
        await asyncio.sleep(SETTLE_S)
        found["connected"] = await self.cost(IDLE_S)
        noise = np.random.default_rng(SEED).normal(0, 10 ** (NOISE_DB / 20), ROOM_S * RATE).astype(np.float32)
        noisy = [framed(block) for block in blocks_of(noise, RATE)]
        for name, room in (("noisy", noisy), ("quiet", self._room)):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(Streaming(call, room).run()) for call in calls]
                progress(f"{count} sessions in a {name} room")
                await asyncio.sleep(SETTLE_S)
                found[name] = await self.cost(IDLE_S)
                for task in tasks:
                    task.cancel()
        for call in calls:
            leaving.push_async_callback(_stop, asyncio.create_task(Streaming(call, self._room).run()))
        each = {key: found["quiet"][key] - found["nobody"][key] for key in ("rss_mb", "descriptors", "cpu_percent")}
        found["each_in_a_quiet_room"] = {key: round(value / max(1, count), 3) for key, value in each.items()}
        return found

    async def speak(self, speakers: int, turns: int) -> Spoken:
        """Let so many speak at once, so many turns each."""
        spoken = Spoken(speakers)
        gate = asyncio.Barrier(speakers) if self._together else None
        over = asyncio.create_task(self._watch(spoken))
        before = cpu_s(psutil.Process(self._daemon.pid))
        async with asyncio.TaskGroup() as group:
            for number in range(speakers):
                group.create_task(self._one(number, turns, spoken, gate))
        spoken.cpu_s = cpu_s(psutil.Process(self._daemon.pid)) - before
        over.cancel()
        await asyncio.gather(over, return_exceptions=True)
        return spoken

    async def _watch(self, spoken: Spoken) -> None:
        while True:
            spoken.cost = await self.cost(LOOK_S)
            spoken.busiest = max(spoken.busiest, spoken.cost["cpu_percent"])
            spoken.own = max(spoken.own, spoken.cost["bench_cpu_percent"])

    async def _one(self, number: int, turns: int, spoken: Spoken, gate: asyncio.Barrier | None) -> None:
        draw = random.Random(SEED + 100 * spoken.speakers + number)
        async with called(WsCall, self._daemon.port) as call, AsyncExitStack() as leaving:
            assert isinstance(call, WsCall)
            microphone = Streaming(call, self._room)
            leaving.push_async_callback(_stop, asyncio.create_task(microphone.run()))
            speaker = Speaker(call, microphone, draw, spoken, impatient=self._impatient)
            await asyncio.sleep(draw.uniform(0, 2 * THINK_S[1]))
            chosen = draw.sample(self._utterances, min(turns, len(self._utterances)))
            longest = max(one.end_s for one in self._utterances)
            for utterance in islice(chosen, turns):
                if gate is not None:
                    await gate.wait()
                    await asyncio.sleep(longest - utterance.end_s)
                await speaker.turn(utterance, sound(self._folder, utterance))


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def figures(spoken: Spoken) -> dict[str, Any]:
    """Return the figures of so many speakers."""
    results = spoken.results
    heard = [one.first_audio_s for one in results if one.first_audio_s is not None]
    p50, p95 = percentile(heard, 50), percentile(heard, 95)
    within = {"p50_ms": p50, "p95_ms": p95}
    unanswered = sum(one.first_audio_s is None and not one.cut_off for one in results)
    return {
        "turns": len(results),
        **within,
        "worst_ms": percentile(heard, 100),
        "hold_p50_ms": percentile([one.hold_s for one in results if one.hold_s is not None], 50),
        "stages_p50_ms": {
            name: percentile([one.stages[name] for one in results if name in one.stages], 50) for name in STAGES
        },
        "hits": sum(one.hit for one in results),
        "cut_off": sum(one.cut_off for one in results),
        "unanswered": unanswered,
        "one_moments": len(spoken.moments),
        "one_moment_p50_ms": percentile(spoken.moments, 50),
        "reply_p50_s": round(float(np.median(spoken.replies_s)), 1) if spoken.replies_s else None,
        "gaps": sum(gap_s > GAP_S for gap_s in spoken.gaps_s),
        "gap_worst_ms": percentile(spoken.gaps_s, 100),
        "cpu_s_a_turn": round(spoken.cpu_s / max(1, len(results)), 2),
        "within_budget": bool(heard)
        and not unanswered
        and all((within[key] or 0) <= most for key, most in BUDGET_MS.items()),
        "errors": sorted(set(spoken.errors)),
        **spoken.cost,
        "cpu_percent": spoken.busiest,
        "bench_cpu_percent": spoken.own,
    }


async def measure(
    folder: Path,
    utterances: Sequence[Utterance],
    speakers: Sequence[int],
    idle: int,
    turns: int,
    config: str | None,
    progress: Callable[[str], None],
    *,
    together: bool = False,
    impatient: bool = False,
) -> tuple[dict[str, Any], list[Spoken]]:
    """Weigh the idle sessions, let people speak beside them, and return the figures.

    Raises:
        Unmeasured: the daemon does not start, or does not let that many in.
    """
    async with AsyncExitStack() as leaving:
        state = Path(leaving.enter_context(tempfile.TemporaryDirectory()))
        progress("starting a daemon")
        most = str(idle + max(speakers) + 1)
        other = await leaving.enter_async_context(daemon(config, state, GATEWAY__SESSIONS=most))
        bench = Bench(other, folder, utterances, together=together, impatient=impatient)
        found: dict[str, Any] = {"idle": await bench.idle(idle, progress, leaving)} if idle else {}
        await bench.speak(1, 1)  # what is loaded lazily is loaded now
        spoken = []
        for count in speakers:
            progress(f"{count} at once, {turns} turns each, {idle} idle")
            spoken.append(await bench.speak(count, turns))
            found[f"speakers_{count}"] = figures(spoken[-1])
        return found, spoken


@click.command()
@click.option("--speakers", multiple=True, type=click.IntRange(1, 64), help="So many at once; several times. 1, 2, 4.")
@click.option("--idle", default=30, show_default=True, type=click.IntRange(0, 500), help="Sessions that are silent.")
@click.option("--turns", default=12, show_default=True, type=click.IntRange(1), help="Turns of each speaker.")
@click.option("--together", is_flag=True, help="All end their turns at the same instant.")
@click.option("--impatient", is_flag=True, help="Nobody hears more than 1 to 3 s of a reply.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", metavar="FILE.png", help="Draw the distribution of the latencies.")
@click.option("--set", "given", metavar="DIR", help="Recordings of your own, as for `bench turns`.")
@click.option("--config", metavar="FILE", help="The settings to use.")
def main(
    speakers: Sequence[int],
    idle: int,
    turns: int,
    together: bool,
    impatient: bool,
    as_json: bool,
    plot: str | None,
    given: str | None,
    config: str | None,
) -> None:
    """Measure what sessions cost that are idle, and how soon each is answered when several speak at once."""
    try:
        with Console(stderr=True).status("…") as status:
            log.configure(load_settings(config).log.model_copy(update={"level": "error"}))
            folder, utterances = (Path(given), load(Path(given))) if given else corpus(status.update)
            counts = tuple(dict.fromkeys(speakers)) or (1, 2, 4)
            how = {"together": together, "impatient": impatient}
            work = measure(folder, utterances, counts, idle, turns, config, status.update, **how)
            found, spoken = asyncio.run(work)
    except* Unmeasured as errors:
        raise click.ClickException("; ".join(_sentences(errors))) from None
    if plot:
        lines = {f"{one.speakers} at once": [it.first_audio_s for it in one.results] for one in spoken}
        plot_lines(Path(plot), "share of turns", "ms from the end of speech to the reply", lines)
    print(json.dumps(found)) if as_json else show("load", found)


def _sentences(errors: BaseExceptionGroup[Unmeasured]) -> Iterator[str]:
    for error in errors.exceptions:
        yield from _sentences(error) if isinstance(error, BaseExceptionGroup) else (str(error),)


if __name__ == "__main__":
    main()
