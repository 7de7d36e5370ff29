"""What `engine: auto` takes where it was measured: the best that is quick enough on this machine. Pure.

A draft of the reply is begun 100 ms after the last of the speech (`turn.soft_end_ms`), and the turn is over after 500
at the soonest (`turn.likely_ms`): 400 ms in which to hear, think and speak cost nobody anything, and 200 more are the
most that a reply may be late. Of these 600 ms half is for the transcript and a third for the first sound; the rest is
the language model's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from antiphon_daemon.engines import models
from antiphon_daemon.engines.contracts import Stage
from antiphon_daemon.engines.measured import AGAIN, Speed

HEARING_MS = 300
SPEAKING_MS = 200
RTF = 0.7
"""A voice that makes a second of sound in less has some of a core left for the model that still writes."""

EARS = (
    "whisper-large-v3",
    "whisper-large-v3-turbo",
    "whisper-medium",
    "whisper-small",
    "whisper-base",
    "whisper-tiny",
)
"""By quality; in English each comes after its English-only sibling. What is embedded stands behind them."""
VOICES = ("kokoro", "supertonic", "piper", "espeak")
"""Engines by the quality of their voices; of an engine the catalogue's order is taken, and what is embedded last."""


def choose(
    stage: Stage, language: str, speeds: Sequence[Speed], usable: Callable[[str, str], bool]
) -> tuple[Speed, str] | None:
    """Return the best that is quick enough, else the quickest, and what is to be said of it; None: nothing is measured.

    Args:
        speeds: all that was measured on this machine.
        usable: whether an engine with a model is here and knows the language.
    """
    known = [one for one in speeds if (one.stage, one.language) == (stage, language) and usable(one.engine, one.model)]
    if not known:
        return None
    fitting = [one for one in known if fits(one)]
    if fitting:
        chosen = min(fitting, key=rank)
        return chosen, f"measured {chosen.ms:.0f} ms on this machine"
    chosen = min(known, key=lambda one: (not _keeps_up(one), one.ms))
    enough = f"{HEARING_MS} ms" if stage == "stt" else f"{SPEAKING_MS} ms and {RTF} s of work for a second of speech"
    return (
        chosen,
        f"measured {chosen.ms:.0f} ms on this machine, the best that there is; {enough} would be quick enough",
    )


def fits(one: Speed) -> bool:
    """Whether it is quick enough."""
    if one.stage == "stt":
        return one.ms <= HEARING_MS
    return one.ms <= SPEAKING_MS and _keeps_up(one)


def unmeasured(chosen: Speed, speeds: Sequence[Speed], pulled: Collection[str], language: str) -> str:
    """Return a sentence that goes on about what is here, and may be better, but was not measured; empty: nothing is."""
    seen = {one.model for one in speeds if one.language == language}
    catalogue: Mapping[str, models.Model] = models.catalogue()
    left = [
        one.name
        for one in catalogue.values()
        if one.stage == chosen.stage and one.name in pulled and one.name not in seen and one.knows(language)
    ]
    return f"; not measured: {', '.join(left)} ({AGAIN})" if left else ""


def _keeps_up(one: Speed) -> bool:
    return one.rtf is None or one.rtf <= RTF


def rank(one: Speed) -> tuple[int, int, float]:
    """Return what sorts by quality, and among equals by time."""
    names = [*models.catalogue()]
    if one.stage == "tts":
        engine = VOICES.index(one.engine) if one.engine in VOICES else len(VOICES)
        return (engine, names.index(one.model) if one.model in names else len(names), one.ms)
    plain = one.model.removesuffix(".en")
    return (EARS.index(plain) if plain in EARS else len(EARS), plain == one.model, one.ms)
