"""How quickly and how rightly speech is heard: `antiphon bench stt [--json] [--plot FILE] [--set DIR]`.

The daemon's own transcriber beside the same Whisper with its full window of 30 s (greedy, once), one utterance after
another in the same run: commands, long sentences and one-word answers, by three voices; then silence and noise, in
which nothing must be heard. Word errors count "10" and "ten" as the same.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from _corpus import SEED, SENTENCES, VOICES, load, sound, spoken_by
from _processes import Unmeasured
from _report import percentile, plot_lines, show
from _whisper import whisper_on_all_cores
from jiwer import wer
from num2words import num2words
from rich.console import Console

from antiphon import log
from antiphon.audio.pcm import RATE, Samples
from antiphon.configuration import load as load_settings
from antiphon.settings import Settings
from antiphon_daemon.engines.build import build_transcriber
from antiphon_daemon.engines.work import Token

AROUND_S = 0.3
LONG = (
    "If it does not rain tomorrow, I would like to walk through the park and then meet my sister for a coffee.",
    "Please tell me what I need to buy for a vegetable soup, and how long each of the vegetables has to be cooked.",
    "When I was a child we lived in a small house near the river, and every summer my brother and I went swimming.",
    "Could you explain the difference between weather and climate in a way that a seven year old would understand?",
    "I am looking for a quiet place in the mountains where my family can spend a week without any telephones.",
    "The train leaves at a quarter past nine, so we should be at the station before nine to find good seats.",
    "Remember that my neighbor borrowed the ladder last month and promised to bring it back within a week.",
    "First turn off the lights in the hall, then close the windows upstairs, and after that set the alarm for seven.",
)
ONE_WORD = (
    "Yes.",
    "No.",
    "Stop.",
    "Seven.",
    "Kitchen.",
    "Tomorrow.",
    "Louder.",
    "Hello.",
    "Thanks.",
    "Never.",
    "Okay.",
)
NOISE_S = 3.0


SETTLE_S = 0.25
"""The threads of a model spin for a while after their work; nobody else's time is to be measured meanwhile."""


def utterances(given: str | None) -> Iterator[tuple[str, str, Samples]]:
    """Yield (set, text, samples)."""
    if given:
        folder = Path(given)
        for one in load(folder):
            yield "given", one.text, sound(folder, one)
        return
    around = np.zeros(round(AROUND_S * RATE), dtype=np.float32)
    for name, texts in (("commands", SENTENCES), ("long", LONG), ("one_word", ONE_WORD)):
        for number, text in enumerate(texts):
            voices = (VOICES[number % len(VOICES)],) if name == "commands" else VOICES
            for voice in voices:
                yield name, text, np.concatenate((around, spoken_by(voice, text), around))


def nothing() -> Iterator[tuple[str, Samples]]:
    """Yield sound in which nobody speaks: silence, noise of several colours and levels, hum, clicks, a melody."""
    draw = np.random.default_rng(SEED)
    count = round(NOISE_S * RATE)
    at = np.arange(count) / RATE
    white = draw.standard_normal(count)
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), count)
    brown = np.cumsum(white - white.mean())
    clicks = np.where(draw.random(count) < 0.0002, 1.0, 0.0)
    melody = np.sin(2 * np.pi * np.repeat([262, 330, 392, 523, 392, 330], count // 6 + 1)[:count] * at)
    kinds = {"white": white, "pink": pink, "brown": brown, "hum": np.sin(2 * np.pi * 50 * at), "clicks": clicks}
    yield "silence", np.zeros(count, dtype=np.float32)
    for name, wave in (kinds | {"melody": melody}).items():
        for level in (-60, -50, -40, -30, -20):
            scaled = wave / max(1e-9, float(np.sqrt(np.mean(np.square(wave))))) * 10 ** (level / 20)
            yield f"{name} {level} dB", np.clip(scaled, -1, 1).astype(np.float32)


def words(text: str) -> str:
    """Return text as it is compared: lower case, numbers as words, no marks."""
    text = re.sub(r"(\d+)(?:st|nd|rd|th)\b", lambda m: num2words(int(m[1]), to="ordinal"), text.lower())
    text = re.sub(r"\d+", lambda m: f" {num2words(int(m[0]))} ", text)
    return " ".join(re.sub(r"[^\w\s']+", " ", text).replace("all right", "alright").split())


def figures(rows: Sequence[tuple[str, str, str, float]]) -> dict[str, Any]:
    """Return the figures of (set, said, heard, seconds)."""
    by_set = {
        name: round(
            wer(
                [words(said) for kind, said, _, _ in rows if kind == name],
                [words(heard) for kind, _, heard, _ in rows if kind == name],
            ),
            4,
        )
        for name in dict.fromkeys(kind for kind, *_ in rows)
    }
    return {
        "p50_ms": percentile([took for *_, took in rows], 50),
        "p95_ms": percentile([took for *_, took in rows], 95),
        "wer": round(wer([words(said) for _, said, _, _ in rows], [words(heard) for _, _, heard, _ in rows]), 4),
        "wer_by_set": by_set,
    }


async def measure(
    settings: Settings, given: str | None, progress: Callable[[str], None]
) -> tuple[dict[str, Any], Mapping[str, list[float | None]]]:
    """Transcribe everything twice and return the figures and the times."""
    transcriber = await build_transcriber(settings)
    whisper = whisper_on_all_cores(settings)
    language = settings.language if whisper.model.is_multilingual else "en"

    def full(samples: Samples) -> str:
        segments, _ = whisper.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text.strip() for segment in segments)

    ours: list[tuple[str, str, str, float]] = []
    theirs: list[tuple[str, str, str, float]] = []
    texts = []
    try:
        for kind, text, samples in utterances(given):
            progress(text)
            await asyncio.sleep(SETTLE_S)
            began = time.perf_counter()
            heard = await transcriber.transcribe(samples, Token(), language=settings.language)
            took = time.perf_counter() - began
            await asyncio.sleep(SETTLE_S)
            between = time.perf_counter()
            whole = await asyncio.to_thread(full, samples)
            ours.append((kind, text, heard.text, took))
            theirs.append((kind, text, whole, time.perf_counter() - between))
        invented = 0
        for name, samples in nothing():
            progress(name)
            heard = await transcriber.transcribe(samples, Token(), language=settings.language)
            texts += [f"{name}: {heard.text}"] if heard.text else []
            invented += bool((await asyncio.to_thread(full, samples)).strip())
    finally:
        await transcriber.close()
    baseline = figures(theirs) | {"silence_texts": invented}
    found = (
        {"n": len(ours)} | figures(ours) | {"silence_texts": len(texts), "silence_heard": texts, "baseline": baseline}
    )
    found["times_faster_p50"] = round(baseline["p50_ms"] / found["p50_ms"], 2)
    return found, {"short window": [row[3] for row in ours], "full window": [row[3] for row in theirs]}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", metavar="FILE.png", help="Draw the distribution of the times.")
@click.option(
    "--set", "given", metavar="DIR", help="Recordings of your own: a folder with manifest.json and WAV files."
)
@click.option("--config", metavar="FILE", help="The settings to use.")
def main(as_json: bool, plot: str | None, given: str | None, config: str | None) -> None:
    """Measure speech to text beside the full window of the same model."""
    settings = load_settings(config)
    log.configure(settings.log.model_copy(update={"level": "error"}))
    try:
        with Console(stderr=True).status("…") as status:
            found, times = asyncio.run(measure(settings, given, status.update))
    except Unmeasured as error:
        raise click.ClickException(str(error)) from None
    if plot:
        plot_lines(Path(plot), "share of utterances", "ms to the transcript", times)
    print(json.dumps(found)) if as_json else show("stt", found)


if __name__ == "__main__":
    main()
