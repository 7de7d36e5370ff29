"""What Home Assistant's users hear, and when: `antiphon bench homeassistant [--json] [--every N]`.

Questions are asked in real time through the stand-in for Home Assistant (`tests/stand_in.py`): speech to text,
conversation and text to speech over three connections, one after another. Three times each, in one run:

- `drafts`: our services, preparing across them for a peer that is seen to ask for all three;
- `plain`: the same with that switched off;
- `others`: wyoming-faster-whisper and wyoming-piper with the same models and the same language model between them, in
  an environment of their own (`build/others`, from PyPI).

Each figure is the time from the labelled end of speech to the first byte of the reply's sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from _corpus import Utterance, corpus, sound
from _processes import Unmeasured
from _report import percentile, show
from _strangers import SERVICES, bring, services
from rich.console import Console

from antiphon import log
from antiphon.configuration import ROOT
from antiphon.configuration import load as load_settings
from antiphon.settings import Settings
from antiphon_daemon.app import build_engines, serving
from antiphon_daemon.engines.contracts import Engines

sys.path.insert(0, str(ROOT / "tests"))

import stand_in
from alone import ALONE

WARM = 3
"""Turns before anything is counted: what is loaded late is there, and a habit is formed."""
REST_S = 0.5
"""Between two turns: threads that spin after their work have stopped."""


def own(settings: Settings, speculate: str) -> Settings:
    """Return settings for services on free ports of this machine alone."""
    return settings.model_copy(update={**ALONE, "turn": settings.turn.model_copy(update={"speculate": speculate})})


@contextlib.asynccontextmanager
async def ours(engines: Engines, settings: Settings) -> AsyncIterator[stand_in.Pipeline]:
    """Serve, and give the pipeline over it."""
    async with serving(settings, engines) as servers:
        yield await stand_in.Pipeline.over(servers)


@contextlib.asynccontextmanager
async def others(conversation: stand_in.Service, progress: Callable[[str], None]) -> AsyncIterator[stand_in.Pipeline]:
    """Run other makers' services with the same models, around our conversation."""
    progress("bringing wyoming-faster-whisper and wyoming-piper")
    programs = await asyncio.to_thread(bring, "others", *SERVICES)
    async with services(programs, programs.parent) as (stt, tts):
        yield stand_in.Pipeline(await stand_in.add(stt), conversation, await stand_in.add(tts))


async def ask(pipeline: stand_in.Pipeline, utterance: Utterance, folder: Path, number: int) -> float | None:
    """Return the seconds from the end of speech to the first byte of the reply; None when the turn failed."""
    samples = sound(folder, utterance)
    began = time.perf_counter()
    context = {"conversation_id": f"bench-{number}"}
    try:
        turn = await stand_in.run(pipeline, stand_in.microphone(samples), context)
    except stand_in.AssistError:
        return None
    return turn.first_byte_at - began - utterance.end_s if turn.first_byte_at else None


async def measure(
    settings: Settings, folder: Path, utterances: Sequence[Utterance], progress: Callable[[str], None]
) -> dict[str, Any]:
    """Ask everything three ways and return the figures."""
    engines = await build_engines(settings)
    took: dict[str, list[float | None]] = {"drafts": [], "plain": [], "others": []}
    try:
        async with (
            ours(engines, own(settings, "speech")) as drafts,
            ours(engines, own(settings, "transcript")) as plain,
            others(plain.conversation, progress) as strangers,
        ):
            pipelines = {"drafts": drafts, "plain": plain, "others": strangers}
            for number, utterance in enumerate([*utterances[:WARM], *utterances]):
                progress(f"{number + 1} of {len(utterances) + WARM}: {utterance.text}")
                for name, pipeline in pipelines.items():
                    seconds = await ask(pipeline, utterance, folder, number)
                    if number >= WARM:
                        took[name].append(seconds)
                    await asyncio.sleep(REST_S)
    finally:
        await engines.close()
    return figures(took)


def figures(took: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    """Return the figures of each way, and how much faster ours is."""
    found: dict[str, Any] = {
        name: {
            "n": len(each),
            "failed": sum(one is None for one in each),
            "p50_ms": percentile(each, 50),
            "p95_ms": percentile(each, 95),
        }
        for name, each in took.items()
    }
    for name in ("plain", "others"):
        if found[name]["p50_ms"] and found["drafts"]["p50_ms"]:
            found[f"times_faster_than_{name}"] = round(found[name]["p50_ms"] / found["drafts"]["p50_ms"], 2)
    return found


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--every", default=6, show_default=True, type=click.IntRange(1), help="Take every N-th question only.")
@click.option("--config", metavar="FILE", help="The settings to use.")
def main(as_json: bool, every: int, config: str | None) -> None:
    """Measure a whole Home Assistant pipeline, three ways."""
    try:
        with Console(stderr=True).status("…") as status:
            folder, utterances = corpus(status.update)
            settings = load_settings(config)
            log.configure(settings.log.model_copy(update={"level": "error"}))
            whole = [one for one in utterances if not one.pauses]
            found = asyncio.run(measure(settings, folder, whole[::every], status.update))
    except Unmeasured as error:
        raise click.ClickException(str(error)) from None
    print(json.dumps(found)) if as_json else show("homeassistant", found)


if __name__ == "__main__":
    main()
