"""How soon a reply is heard, and whether it is heard without a gap: `antiphon bench tts [--json] [--plot out.png]`.

Replies are written into the daemon's own reply pipeline and spoken by the embedded voice, in real time on one clock; a
loudspeaker that makes no sound tells what would have been heard of each. Twice: the replies of `replies.json` at 15 ms
a word, and what the embedded language model answers to its questions, which takes its share of the cores meanwhile.

The baseline speaks the same replies at 15 ms a word sentence by sentence, as they are written and untrimmed: the way of
most voice services. The rounds of both are interleaved, so that other work on the machine meets both.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import click
import numpy as np
from _player import Player
from _processes import Unmeasured
from rich.console import Console
from rich.table import Table

from antiphon.settings import Llm, Settings
from antiphon_daemon.conversation.drafts import written
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.conversation.reply import Reply
from antiphon_daemon.engines.build import build_responder, build_synthesizer
from antiphon_daemon.engines.contracts import EngineError, Responder, Synthesizer, Voice, Work
from antiphon_daemon.engines.work import Token
from antiphon_daemon.insight.trace import Trace

Figures: TypeAlias = dict[str, Any]

WORD_S = 0.015
PACES = {"words": "15 ms a word", "model": "embedded model", "baseline": "baseline: sentences, untrimmed"}
BUCKETS = ((0, 12), (12, 25), (25, 40), (40, 80), (80, 400))
"""Lengths of a first clause, in characters of what is said."""
SENTENCE = re.compile(r".+?(?:[.!?]+(?=\s|$)|\n+|$)", re.DOTALL)


class Stopwatch:
    """A `Synthesizer` that measures another one."""

    def __init__(self, voice: Synthesizer) -> None:
        self._voice = voice
        self.name, self.rate = voice.name, voice.rate
        self.spent_s = self.sound_s = 0.0
        self.firsts: list[tuple[int, float]] = []
        """The characters of each text, and the milliseconds to its first PCM."""

    @property
    def voices(self) -> Sequence[Voice]:
        return self._voice.voices

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Speak, and note how long it took."""
        began, first = time.perf_counter(), True
        async for pcm in self._voice.speak(text, work, voice=voice, language=language):
            if first:
                self.firsts.append((len(text), (time.perf_counter() - began) * 1000))
                first = False
            self.sound_s += len(pcm) / 2 / self.rate
            yield pcm
        self.spent_s += time.perf_counter() - began

    async def close(self) -> None:
        await self._voice.close()


@dataclass
class Heard:
    """One reply as it was heard; milliseconds from its first word."""

    text: str
    first_pcm_ms: float
    first_sound_ms: float
    dry_ms: list[float]
    silences_ms: list[float]
    sound_s: float
    clauses: int
    first_clause: int
    """Characters of what was said first."""


@dataclass
class Bench:
    """What is measured with, and what has been."""

    voice: Stopwatch
    model: Responder | None
    settings: Settings
    heard: dict[str, list[Heard]] = field(default_factory=lambda: {pace: [] for pace in PACES})


async def typed(text: str, began: list[float]) -> AsyncGenerator[str, None]:
    """Yield a text at 15 ms a word."""
    for word in re.findall(r"\s*\S+", text):
        await asyncio.sleep(WORD_S)
        if not began:
            began.append(time.perf_counter())
        yield word


async def answered(bench: Bench, question: str, began: list[float]) -> AsyncGenerator[str, None]:
    """Yield what the embedded model answers."""
    assert bench.model is not None
    messages = new_memory(bench.settings, "en").messages(question)
    async with aclosing(written(bench.model, messages, Token(), bench.settings.deadlines)) as deltas:
        async for delta in deltas:
            if not began:
                began.append(time.perf_counter())
            yield delta


async def hear(bench: Bench, words: AsyncGenerator[str, None], began: list[float]) -> Heard:
    """Speak one reply with the daemon's pipeline.

    Raises:
        Unmeasured: it could not be spoken.
    """
    player = Player()
    reply = Reply(
        words,
        bench.voice,
        player,
        Token(),
        language="en",
        voice=None,
        deadlines=bench.settings.deadlines,
        trace=Trace(),
    )
    reply.release()
    await reply.run()
    said = [clause for clause in reply.clauses if clause.samples]
    if reply.failed or not said:
        raise Unmeasured(f"a reply could not be spoken: {player.failure or reply.text}")
    return told(player, began[0], player.text, len(said), len(said[0].spoken.text))


async def hear_sentences(bench: Bench, text: str) -> Heard:
    """Speak one reply sentence by sentence, each once it has been written, and as it is."""
    player, began = Player(rate=bench.voice.rate), list[float]()
    sentences: asyncio.Queue[str | None] = asyncio.Queue()

    async def write() -> None:
        so_far = ""
        async for word in typed(text, began):
            so_far += word
            *whole, so_far = SENTENCE.findall(so_far)
            for sentence in whole:
                await sentences.put(sentence)
        await sentences.put(so_far)
        await sentences.put(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        while (sentence := await sentences.get()) is not None:
            async for pcm in bench.voice.speak(sentence, Token(), voice=None, language="en"):
                player.reply_sound(pcm)
    return told(player, began[0], text, len(SENTENCE.findall(text)), len(SENTENCE.findall(text)[0]))


def told(player: Player, began: float, text: str, clauses: int, first_clause: int) -> Heard:
    return Heard(
        text,
        (player.came[0][0] - began) * 1000,
        (player.first_sound_s() - began) * 1000,
        player.dry_ms(),
        player.silences_ms(),
        player.sound_s,
        clauses,
        first_clause,
    )


async def measure(replies: list[str], questions: list[str], rounds: int, status: Any) -> Bench:
    """Speak everything.

    Raises:
        Unmeasured: an engine is missing, or could not do it.
    """
    settings = Settings(llm=Llm(temperature=0))
    try:
        voice = Stopwatch(await build_synthesizer(settings))
        model = await build_responder(settings) if questions else None
    except EngineError as error:
        raise Unmeasured(str(error)) from None
    bench = Bench(voice, model, settings)
    try:
        for number in range(rounds):
            for text in replies:
                status.update(f"Round {number + 1} of {rounds}: {text[:50]!r} …")
                began: list[float] = []
                bench.heard["words"].append(await hear(bench, typed(text, began), began))
            for question in questions:
                status.update(f"Round {number + 1} of {rounds}: {question} …")
                began = []
                bench.heard["model"].append(await hear(bench, answered(bench, question, began), began))
            firsts, spent, sound = list(voice.firsts), voice.spent_s, voice.sound_s
            for text in replies:
                status.update(f"Round {number + 1} of {rounds}: baseline {text[:40]!r} …")
                bench.heard["baseline"].append(await hear_sentences(bench, text))
            voice.firsts, voice.spent_s, voice.sound_s = firsts, spent, sound
    finally:
        await voice.close()
        if model is not None:
            await model.close()
    return bench


def figures(heard: list[Heard]) -> Figures:
    """Return the figures of one pace."""
    if not heard:
        return {"n": 0}
    dry = [gap for one in heard for gap in one.dry_ms]
    silences = [gap for one in heard for gap in one.silences_ms]
    return {
        "n": len(heard),
        **spread("first_pcm", [one.first_pcm_ms for one in heard]),
        **spread("first_sound", [one.first_sound_ms for one in heard]),
        "underruns": len(dry),
        "underrun_max_ms": max(dry, default=0.0),
        "replies_with_underruns": sum(1 for one in heard if one.dry_ms),
        **spread("gap", silences),
        "gap_max_ms": max(silences, default=0.0),
        "clauses": sum(one.clauses for one in heard),
        "sound_s": sum(one.sound_s for one in heard),
    }


def spread(name: str, values: list[float]) -> Figures:
    p50, p95 = np.percentile(values, (50, 95)) if values else (0.0, 0.0)
    return {f"{name}_p50_ms": float(p50), f"{name}_p95_ms": float(p95)}


def report(bench: Bench) -> Figures:
    """Return all figures; those at the top are of both paces together."""
    found = {pace: figures(heard) for pace, heard in bench.heard.items()}
    whole = figures([*bench.heard["words"], *bench.heard["model"]])
    costs = {
        f"{low}-{high}": {"n": len(took), **spread("first_pcm", took)}
        for low, high in BUCKETS
        if (took := [ms for size, ms in bench.voice.firsts if low <= size < high])
    }
    rtf = bench.voice.spent_s / bench.voice.sound_s
    return rounded({**whole, "rtf": rtf, **found, "synthesis_by_characters": costs})


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return round(value, 3) if isinstance(value, float) else value


ROWS = {
    "n": "replies",
    "first_pcm_p50_ms": "first word written → first PCM, p50 ms",
    "first_pcm_p95_ms": "the same, p95",
    "first_sound_p50_ms": "first word written → first sound, p50 ms",
    "first_sound_p95_ms": "the same, p95",
    "underruns": "moments without sound",
    "underrun_max_ms": "the longest, ms",
    "gap_p50_ms": "silence between sounds, p50 ms",
    "gap_p95_ms": "the same, p95",
    "gap_max_ms": "the same, longest",
    "clauses": "clauses",
    "sound_s": "seconds of sound",
}


def tables(found: Figures) -> list[Table]:
    """Return the figures as tables."""
    main = Table("", *PACES.values())
    for key, what in ROWS.items():
        main.add_row(what, *(shown(found[pace].get(key)) for pace in PACES))
    costs = Table("characters", "clauses", "first PCM p50 ms", "p95 ms", title="What the voice takes for a clause")
    for size, one in found["synthesis_by_characters"].items():
        costs.add_row(size, str(one["n"]), shown(one["first_pcm_p50_ms"]), shown(one["first_pcm_p95_ms"]))
    return [main, costs]


def shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def plot(bench: Bench, path: str) -> None:
    """Draw when each reply is first heard, and the moments without sound.

    Raises:
        Unmeasured: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Unmeasured(
            "matplotlib is not installed, which draws: install the group dev, or leave --plot out"
        ) from None
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for pace, heard in bench.heard.items():
        if heard:
            values = sorted(one.first_sound_ms for one in heard)
            left.step(values, np.arange(1, len(values) + 1) / len(values), where="post", label=PACES[pace])
            right.hist(
                [gap for one in heard for gap in one.silences_ms],
                bins=np.arange(0, 800, 20),
                histtype="step",
                label=PACES[pace],
            )
    left.set(
        title="First sound", xlabel="ms after the first word", ylabel="share of replies", xlim=(0, None), ylim=(0, 1)
    )
    right.set(title="Silence between sounds", xlabel="ms", ylabel="count")
    left.legend(fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise Unmeasured(f"{path} cannot be written: {error}") from None


def texts(folder: str | None) -> tuple[list[str], list[str]]:
    """Return the replies and the questions: the repository's, or the texts of a set's `manifest.json`.

    Raises:
        Unmeasured: the set cannot be read.
    """
    if folder is None:
        given = json.loads((Path(__file__).parent / "replies.json").read_text(encoding="utf-8"))
        return given["replies"], given["questions"]
    path = Path(folder) / "manifest.json"
    try:
        found = [str(one["text"]) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unmeasured(f"{path} is no list of objects with a text ({error})") from None
    if not found:
        raise Unmeasured(f"{path} is empty")
    return found, []


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", "picture", metavar="FILE.png", help="Draw the figures into this file.")
@click.option("--set", "folder", metavar="DIR", help="Speak the texts of DIR/manifest.json instead.")
@click.option("--rounds", default=1, show_default=True, help="How often everything is spoken.")
@click.option("--no-model", is_flag=True, help="Leave the embedded language model out.")
def main(as_json: bool, picture: str | None, folder: str | None, rounds: int, no_model: bool) -> None:
    """Measure how soon replies are heard, and whether without a gap."""
    machine = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    try:
        replies, questions = texts(folder)
        with Console(stderr=True).status("Loading the engines …") as status:
            bench = asyncio.run(measure(replies, [] if no_model else questions, rounds, status))
        if picture:
            plot(bench, picture)
    except Unmeasured as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    found = report(bench)
    machine["load_after"] = os.getloadavg()[0]
    if as_json:
        print(json.dumps({**found, "machine": machine}))
        return
    console = Console(highlight=False)
    for table in tables(found):
        console.print(table)
    console.print(f"real-time factor of the voice {found['rtf']:.2f}")
    console.print("{cores} cores, load {load_before:.1f} before and {load_after:.1f} after".format_map(machine))


if __name__ == "__main__":
    main()
