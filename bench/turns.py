"""How soon a reply is heard, and whom it cuts off: `antiphon bench turns [--json] [--plot FILE] [--set DIR]`.

Every utterance is played in real time into a conversation with the daemon's own engines, and the first sound of the
reply is timed from the labelled end of speech. A cut-off is a turn that is taken for over, or sound, before that end,
withdrawn later or not. Beside it, in the same run, stands what a serial pipeline does with the same models: silence of
0.7 s, then Whisper with its full window, then the language model, then the voice with a whole sentence. From what the
judges said at every pause the policy is swept: the latency that it would have had at 5 % and 10 % cut-offs.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
from _corpus import Utterance, corpus, load, noise_floor, sound
from _processes import Unmeasured
from _report import percentile, plot_lines, show
from _whisper import whisper_on_all_cores
from rich.console import Console

from antiphon import log
from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples
from antiphon.configuration import load as load_settings
from antiphon.settings import Settings
from antiphon_daemon.app import build_engines
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation import turn_types as turns
from antiphon_daemon.conversation.conversation import Conversation, policy_of
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import Engines, TextDelta
from antiphon_daemon.engines.work import Token

BLOCK = RATE // 50
PATIENCE_S = 15.0
BASELINE_EVERY = 3
BASELINE_SILENCE_S = 0.7
SHORT_S = 0.8
"""Cut-offs are judged on inner pauses up to this; longer ones are reported beside."""
STAGES = ("soft_end", "stt", "llm_first", "tts_first", "turn_end", "first_audio")


@dataclass
class Result:
    """What became of one utterance; times in seconds from its labelled end."""

    utterance: Utterance
    first_audio_s: float | None = None
    hold_s: float | None = None
    """When the turn was taken for over."""
    cut_off: bool = False
    hit: bool = False
    """The reply's first sound was ready when the turn was over."""
    drafts: int = 0
    wasted_ms: int = 0
    """Work on drafts that came to nothing."""
    stages: dict[str, float] = field(default_factory=dict)
    pauses: list[tuple[float, float | None]] = field(default_factory=list)
    """Every pause: where it began, and the probability that the turn was over."""


class Heard(Asker):
    """The peer of the conversation: notes when the turn was over and when sound came."""

    def __init__(self) -> None:
        super().__init__()
        self.over_at: list[float] = []
        self.sound_at: list[float] = []

    def turn_over(self, text: str, language: str | None) -> None:
        self.over_at.append(time.perf_counter())
        super().turn_over(text, language)

    def reply_began(self, rate: int) -> None:
        self.sound_at.append(time.perf_counter())
        super().reply_began(rate)


class Observed(Conversation):
    """A conversation that keeps what its judges said at each pause."""

    def observe(self) -> None:
        self.pauses: dict[int, float | None] = {}
        self.drafts = 0

    def _transcribe(self, revision: int) -> None:
        self.drafts += 1
        self.pauses.setdefault(self._state.paused, None)
        super()._transcribe(revision)

    def _judged(self, draft: Draft, likely: float) -> None:
        self.pauses[self._state.paused] = likely
        super()._judged(draft, likely)


async def converse(engines: Engines, settings: Settings, utterance: Utterance, samples: Samples) -> Result:
    """Play one utterance into a new conversation and wait for the reply's first sound."""
    peer = Heard()
    peer.begin()
    conversation = Observed(engines, settings, peer, vad.load(), new_memory(settings, settings.language))
    conversation.observe()
    conversation.open()
    began = time.perf_counter()
    position, patience = 0, len(samples) / RATE + PATIENCE_S
    while not peer.sound_at or position < utterance.end_s * RATE:
        block = samples[position : position + BLOCK]
        conversation.hear(block if len(block) == BLOCK else noise_floor(BLOCK / RATE, position))
        position += BLOCK
        await asyncio.sleep(max(0.0, began + position / RATE - time.perf_counter()))
        if time.perf_counter() - began > patience:
            break
    end = began + utterance.end_s
    result = Result(utterance, drafts=conversation.drafts)
    result.cut_off = any(at < end for at in (*peer.over_at, *peer.sound_at))
    result.pauses = [(at / RATE, likely) for at, likely in sorted(conversation.pauses.items())]
    late = [at - end for at in peer.sound_at if at >= end]
    if late and not result.cut_off:
        result.first_audio_s, result.hold_s = late[0], peer.over_at[-1] - end
        draft = conversation._draft
        timeline = draft.trace.timeline() if draft is not None else {}
        result.wasted_ms = draft.trace.wasted_ms if draft is not None else 0
        result.stages = {name: at / 1000 for name, at in timeline.items() if at is not None and name in STAGES}
        result.hit = result.stages.get("tts_first", 9.0) <= result.stages.get("turn_end", 0.0)
    conversation.stop()
    await conversation.close()
    return result


class Serial:
    """The pipeline that others have: each stage waits for the one before."""

    def __init__(self, engines: Engines, settings: Settings) -> None:
        self._engines, self._settings = engines, settings
        self._whisper: Any = whisper_on_all_cores(settings)

    async def converse(self, utterance: Utterance, samples: Samples) -> Result:
        """Play one utterance and wait for the reply's first sound."""
        whole = np.concatenate((samples, noise_floor(BASELINE_SILENCE_S + 1)))
        began, tracker = time.perf_counter(), vad.SpeechTracker(vad.load())
        position, paused = 0, None
        while paused is None or position < paused + BASELINE_SILENCE_S * RATE:
            for event in tracker.feed(whole[position : position + BLOCK]):
                paused = event.at if isinstance(event, vad.SpeechPaused) else None
            position += BLOCK
            await asyncio.sleep(max(0.0, began + position / RATE - time.perf_counter()))
            if position > len(whole):
                break
        over = time.perf_counter()
        text = await asyncio.to_thread(self._hear, whole[:position])
        await self._first_sound(text)
        end = began + utterance.end_s
        result = Result(utterance, cut_off=over < end)
        if not result.cut_off:
            result.first_audio_s, result.hold_s = time.perf_counter() - end, over - end
        return result

    def _hear(self, samples: Samples) -> str:
        segments, _ = self._whisper.transcribe(
            samples, language="en", beam_size=1, temperature=0.0, without_timestamps=True
        )
        return " ".join(segment.text.strip() for segment in segments) or "Hello"

    async def _first_sound(self, text: str) -> None:
        work, sentence = Token(), ""
        messages = new_memory(self._settings, self._settings.language).messages(text)
        async with aclosing(self._engines.responder.respond(messages, work)) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    sentence += delta.text
                if sentence.rstrip().endswith((".", "!", "?")):
                    break
        speech = self._engines.synthesizer.speak(sentence or "Yes.", work, voice=None, language="en")
        async with aclosing(speech) as blocks:  # type: ignore[type-var]
            await anext(blocks, b"")
        work.revoke()


def figures(results: Sequence[Result]) -> dict[str, Any]:
    """Return the figures of one pipeline over its results."""
    heard = [one.first_audio_s for one in results if one.first_audio_s is not None]
    short = [one for one in results if 0 < one.utterance.longest_pause_s <= SHORT_S]
    long = [one for one in results if one.utterance.longest_pause_s > SHORT_S]
    return {
        "n": len(results),
        "p50_ms": percentile(heard, 50),
        "p95_ms": percentile(heard, 95),
        "hold_p50_ms": percentile([one.hold_s for one in results if one.hold_s is not None], 50),
        "over_hold_p50_ms": percentile(
            [one.first_audio_s - one.hold_s for one in results if one.first_audio_s and one.hold_s], 50
        ),
        "cutoff_rate": _share(short),
        "pauses": len(short),
        "cutoff_rate_long_pauses": _share(long),
        "long_pauses": len(long),
        "cutoff_rate_no_pause": _share([one for one in results if not one.utterance.pauses]),
        "unanswered": sum(1 for one in results if one.first_audio_s is None and not one.cut_off),
    }


def _share(results: Sequence[Result]) -> float | None:
    return round(sum(one.cut_off for one in results) / len(results), 3) if results else None


def sweep(results: Sequence[Result], settings: Settings) -> list[dict[str, float]]:
    """Return, for many policies, the hold and the cut-offs they would have had with what the judges said."""
    found = []
    for quick, longest, likely, unlikely in product(
        (300, 350, 400, 450, 500, 550, 600, 700),
        (700, 800, 900, 950, 1000, 1100, 1200),
        (0.6, 0.75, 0.9),
        (0.2, 0.35, 0.5),
    ):
        if quick > longest:
            continue
        given = {"likely_ms": quick, "silence_ms": longest, "likely": likely, "unlikely": unlikely}
        turn = settings.turn.model_copy(update=given)
        policy = policy_of(settings.model_copy(update={"turn": turn}), answers=True)
        holds, cut, pauses = [], 0, 0
        for one in results:
            cuts = [_cuts(policy, one, index) for index in range(len(one.pauses))]
            holds.append(policy.hold(one.pauses[-1][1]) / RATE if one.pauses else 0.0)
            if 0 < one.utterance.longest_pause_s <= SHORT_S:
                pauses += 1
                cut += any(cuts)
        rate = cut / pauses if pauses else 0.0
        found.append(
            {
                **given,
                "cutoff_rate": round(rate, 3),
                "hold_p50_ms": percentile(holds, 50) or 0,
                "hold_p95_ms": percentile(holds, 95) or 0,
            }
        )
    return found


def _cuts(policy: turns.Policy, result: Result, index: int) -> bool:
    """Return whether the policy takes the turn for over in this pause, which speech ends."""
    at, likely = result.pauses[index]
    inner = [end for begin, end in result.utterance.pauses if begin - 0.1 <= at <= end]
    return bool(inner) and at + policy.hold(likely) / RATE < inner[0]


def best(swept: Sequence[dict[str, float]], rate: float) -> dict[str, float] | None:
    """Return the quickest policy that cuts off no more than `rate`."""
    able = [one for one in swept if one["cutoff_rate"] <= rate]
    return min(able, key=lambda one: (one["hold_p50_ms"], one["hold_p95_ms"]), default=None)


async def measure(
    settings: Settings, folder: Path, utterances: Sequence[Utterance], progress: Callable[[str], None]
) -> tuple[dict[str, Any], list[Result]]:
    """Play every utterance, every third also to the serial pipeline, and return the figures."""
    engines = await build_engines(settings)
    serial = Serial(engines, settings)
    ours: list[Result] = []
    theirs: list[Result] = []
    try:
        warm = utterances[0]
        await converse(engines, settings, warm, sound(folder, warm))
        for number, utterance in enumerate(utterances):
            progress(f"{number + 1} of {len(utterances)}: {utterance.file}")
            samples = sound(folder, utterance)
            ours.append(await converse(engines, settings, utterance, samples))
            if number % BASELINE_EVERY == 0:
                theirs.append(await serial.converse(utterance, samples))
    finally:
        await engines.close()
    tuned_away = [one for one in ours if one.utterance.held_out]
    swept = sweep(ours, settings)
    found = figures(ours) | {
        "draft_hit_rate": round(float(np.mean([one.hit for one in ours if one.first_audio_s is not None])), 3),
        "drafts_per_turn": round(float(np.mean([one.drafts for one in ours])), 2),
        "wasted_mean_ms": round(float(np.mean([one.wasted_ms for one in ours]))),
        "stages_p50_ms": {
            name: percentile([one.stages[name] for one in ours if name in one.stages], 50) for name in STAGES
        },
        "held_out": figures(tuned_away),
        "at_5_percent": best(swept, 0.05),
        "at_10_percent": best(swept, 0.10),
        "baseline": figures(theirs),
    }
    if found["p50_ms"] and found["baseline"]["p50_ms"]:
        found["times_faster_p50"] = round(found["baseline"]["p50_ms"] / found["p50_ms"], 2)
    return found, ours


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", metavar="FILE.png", help="Draw the distribution of the latencies.")
@click.option(
    "--set", "given", metavar="DIR", help="Recordings of your own: a folder with manifest.json and WAV files."
)
@click.option("--every", default=1, show_default=True, type=click.IntRange(1), help="Take every N-th utterance only.")
@click.option("--config", metavar="FILE", help="The settings to use.")
def main(as_json: bool, plot: str | None, given: str | None, every: int, config: str | None) -> None:
    """Measure turn-taking in real time: about six seconds for each of 189 utterances."""
    console = Console(stderr=True)
    try:
        with console.status("…") as status:
            folder, utterances = (Path(given), load(Path(given))) if given else corpus(status.update)
            settings = load_settings(config)
            log.configure(settings.log.model_copy(update={"level": "error"}))
            found, results = asyncio.run(measure(settings, folder, utterances[::every], status.update))
    except Unmeasured as error:
        raise click.ClickException(str(error)) from None
    if plot:
        lines = {"first audio": [one.first_audio_s for one in results], "turn over": [one.hold_s for one in results]}
        plot_lines(Path(plot), "share of turns", "ms after the end of speech", lines)
    print(json.dumps(found)) if as_json else show("turns", found)


if __name__ == "__main__":
    main()
