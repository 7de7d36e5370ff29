"""How soon a reply is heard, and whom it cuts off: `antiphon bench turns [--face ws|realtime]… [--json] [--plot FILE]`.

Every utterance is played in real time into a conversation with the daemon's own engines, and the first sound of the
reply is timed from the labelled end of speech. A cut-off is a turn that is taken for over, or sound, before that end,
withdrawn later or not. Beside it, in the same run, stands what a serial pipeline does with the same models: silence of
0.7 s, then Whisper with its full window, then the language model, then the voice with a whole sentence. From what the
judges said at every pause the policy is swept: the latency that it would have had at 5 % and 10 % cut-offs.

With `--face`, the same utterances also go over a WebSocket to a daemon of their own, turn by turn beside the
conversation itself, so that whatever disturbs the machine disturbs both; and what one is later than the other is told
by the parts of its waterfall.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
from _corpus import Utterance, corpus, load, noise_floor, sound
from _difference import difference, later, rows
from _processes import Unmeasured
from _report import beside, percentile, plot_lines, show
from _turn import BLOCK, STAGES, Result, Satellite, Way
from _whisper import whisper_on_all_cores
from _wires import CALLS, Wire, daemon
from rich.console import Console

from antiphon import log
from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples
from antiphon.configuration import load as load_settings
from antiphon.settings import Settings
from antiphon_daemon.app import build_engines
from antiphon_daemon.conversation import turn_types as turns
from antiphon_daemon.conversation.conversation import policy_of
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import Engines, TextDelta
from antiphon_daemon.engines.work import Token

BASELINE_EVERY = 3
BASELINE_SILENCE_S = 0.7
SHORT_S = 0.8
"""Cut-offs are judged on inner pauses up to this; longer ones are reported beside."""
QUIET = {"TURN__ONE_MOMENT_S": "0"}
"""What is timed is the reply, not what is said while it is waited for."""


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


def waterfall(results: Sequence[Result]) -> dict[str, Any]:
    """Return what the waterfalls of one way in say."""
    answered = [one for one in results if one.first_audio_s is not None]
    return {
        "draft_hit_rate": round(float(np.mean([one.hit for one in answered])), 3) if answered else None,
        "drafts_per_turn": round(float(np.mean([one.drafts for one in results])), 2),
        "wasted_mean_ms": round(float(np.mean([one.wasted_ms for one in results]))),
        "stages_p50_ms": {
            name: percentile([one.stages[name] for one in results if name in one.stages], 50) for name in STAGES
        },
    }


async def measure(
    settings: Settings,
    folder: Path,
    utterances: Sequence[Utterance],
    faces: Sequence[str],
    config: str | None,
    progress: Callable[[str], None],
) -> tuple[dict[str, Any], Mapping[str, list[Result]]]:
    """Play every utterance over each way in, every third also to the serial pipeline, and return the figures."""
    async with AsyncExitStack() as leaving:
        engines = await build_engines(settings)
        leaving.push_async_callback(engines.close)
        serial = Serial(engines, settings)
        ways: list[Way] = [Satellite(engines, settings)]
        if faces:
            progress("starting a daemon")
            state = Path(leaving.enter_context(tempfile.TemporaryDirectory()))
            other = await leaving.enter_async_context(daemon(config, state, **QUIET))
            ways += [Wire(face, other.port) for face in faces]
        results: dict[str, list[Result]] = {way.name: [] for way in ways}
        theirs: list[Result] = []
        for way in ways:
            await way.converse(utterances[0], sound(folder, utterances[0]))
        for number, utterance in enumerate(utterances):
            progress(f"{number + 1} of {len(utterances)}: {utterance.file}")
            samples = sound(folder, utterance)
            first = number % len(ways)  # none always follows the same other
            for way in (*ways[first:], *ways[:first]):
                results[way.name].append(await way.converse(utterance, samples))
            if number % BASELINE_EVERY == 0:
                theirs.append(await serial.converse(utterance, samples))
    ours = results["satellite"]
    swept = sweep(ours, settings)
    found = figures(ours) | waterfall(ours)
    found |= {
        "held_out": figures([one for one in ours if one.utterance.held_out]),
        "at_5_percent": best(swept, 0.05),
        "at_10_percent": best(swept, 0.10),
        "baseline": figures(theirs),
    }
    if found["p50_ms"] and found["baseline"]["p50_ms"]:
        found["times_faster_p50"] = round(found["baseline"]["p50_ms"] / found["p50_ms"], 2)
    for face in faces:
        found[face] = figures(results[face]) | waterfall(results[face])
        found[f"{face}_against_satellite"] = difference(results[face], ours, face, "the conversation itself")
    return found, results


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", metavar="FILE.png", help="Draw the distribution of the latencies.")
@click.option(
    "--set", "given", metavar="DIR", help="Recordings of your own: a folder with manifest.json and WAV files."
)
@click.option(
    "--face",
    "faces",
    multiple=True,
    type=click.Choice(["satellite", *CALLS]),
    help="A way in that is measured beside the conversation itself, which is always; may be given several times.",
)
@click.option("--every", default=1, show_default=True, type=click.IntRange(1), help="Take every N-th utterance only.")
@click.option("--config", metavar="FILE", help="The settings to use.")
def main(
    as_json: bool, plot: str | None, given: str | None, faces: Sequence[str], every: int, config: str | None
) -> None:
    """Measure turn-taking in real time: about six seconds for each of 189 utterances, and as many for each face."""
    console = Console(stderr=True)
    wires = [face for face in dict.fromkeys(faces) if face in CALLS]
    try:
        with console.status("…") as status:
            folder, utterances = (Path(given), load(Path(given))) if given else corpus(status.update)
            settings = load_settings(config)
            turn = settings.turn.model_copy(update={"one_moment_s": 0.0})
            settings = settings.model_copy(update={"turn": turn})
            log.configure(settings.log.model_copy(update={"level": "error"}))
            work = measure(settings, folder, utterances[::every], wires, config, status.update)
            found, results = asyncio.run(work)
    except Unmeasured as error:
        raise click.ClickException(str(error)) from None
    if plot:
        lines = {}
        for name, ours in results.items():
            lines[f"{name}: first audio"] = [one.first_audio_s for one in ours]
            lines[f"{name}: turn over"] = [one.hold_s for one in ours]
        plot_lines(Path(plot), "share of turns", "ms after the end of speech", lines)
    if as_json:
        print(json.dumps(found))
        return
    show("turns", found)
    for face in wires:
        against = found[f"{face}_against_satellite"]
        columns = {"satellite": rows(found), face: rows(found[face]), "later": later(against)}
        beside(f"turns: {face} beside the conversation itself (ms)", columns, [against.get("says", "no pairs")])


if __name__ == "__main__":
    main()
