"""How much later one way in is than another, turn by turn, and where in the waterfall that comes from.

The time to the first sound is a sum, for each turn: until the turn was over; from there until a reply that was not
ready then had its first sound; until that went out; and what lies outside the daemon's own clock, which begins where
it took speech to end: the way of the sound to it and of the reply from it. Means of differences add up; medians do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from _turn import STAGES, Result

PARTS = ("hold", "not_ready", "out", "wire")
SAYS = {
    "hold": "the turn is taken for over",
    "not_ready": "the reply is not ready then",
    "out": "its first sound goes out",
    "wire": "the way there and back takes",
}
STEPS = {"stt": ("soft_end", "stt"), "llm": ("stt", "llm_first"), "tts": ("llm_first", "tts_first")}
"""The steps of a draft: from one stage to another."""


def parts_of(result: Result) -> dict[str, float] | None:
    """Return the parts of a turn's time to the first sound, in seconds; None where its waterfall is not known."""
    stages = result.stages
    if result.first_audio_s is None or not {"turn_end", "tts_first", "first_audio"} <= stages.keys():
        return None
    ready = max(stages["turn_end"], stages["tts_first"])
    return {
        "hold": stages["turn_end"],
        "not_ready": ready - stages["turn_end"],
        "out": stages["first_audio"] - ready,
        "wire": result.first_audio_s - stages["first_audio"],
    }


def difference(one: Sequence[Result], other: Sequence[Result], name: str, than: str) -> dict[str, Any]:
    """Return how much later the turns of `one` are answered than the same turns of `other`, and why.

    Args:
        one: results in the order of `other`, of the same utterances.
        name: what the way of `one` is called, and `than` that of `other`.
    """
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a.first_audio_s and b.first_audio_s]
    found: dict[str, Any] = {"pairs": len(pairs)}
    if not pairs:
        return found
    late = [(a.first_audio_s or 0) - (b.first_audio_s or 0) for a, b in pairs]
    found |= {"later_mean_ms": _ms(late), "later_p50_ms": round(float(np.median(late)) * 1000)}
    found["hold_mean_ms"] = _ms([(a.hold_s or 0) - (b.hold_s or 0) for a, b in pairs])
    known = [(x, y, a, b) for a, b in pairs if (x := parts_of(a)) and (y := parts_of(b))]
    if not known:
        found["says"] = (
            f"{name} answers {found['later_mean_ms']:+} ms against {than} in the mean of {len(pairs)} turns: "
            f"{SAYS['hold']} {found['hold_mean_ms']:+} ms, and what follows "
            f"{found['later_mean_ms'] - found['hold_mean_ms']:+} ms; it tells no waterfall."
        )
        return found
    parts = {part: _ms([x[part] - y[part] for x, y, _, _ in known]) for part in PARTS}
    found["parts_mean_ms"] = parts
    found["steps_mean_ms"] = {
        step: _ms([_step(a, *ends) - _step(b, *ends) for _, _, a, b in known]) for step, ends in STEPS.items()
    }
    found["stages_p50_ms"] = {
        stage: round(float(np.median([a.stages[stage] - b.stages[stage] for _, _, a, b in known])) * 1000)
        for stage in STAGES
        if all(stage in one.stages for _, _, a, b in known for one in (a, b))
    }
    found["says"] = _says(name, than, found["later_mean_ms"], parts, found["steps_mean_ms"], len(known))
    return found


def rows(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of one way's figures stands in the table beside another's."""
    named = ("n", "p50_ms", "p95_ms", "hold_p50_ms", "cutoff_rate", "draft_hit_rate", "unanswered")
    return {name: found.get(name) for name in named} | dict(found.get("stages_p50_ms", {}))


def later(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the column of differences: medians of what the same turns were later."""
    signed = {name: f"{ms:+}" for name, ms in found.get("stages_p50_ms", {}).items()}
    if "later_p50_ms" in found:
        signed |= {"p50_ms": f"{found['later_p50_ms']:+}", "hold_p50_ms": f"{found['hold_mean_ms']:+} (mean)"}
    return {"n": found["pairs"], **signed}


def _step(result: Result, begin: str, end: str) -> float:
    return result.stages.get(end, 0.0) - result.stages.get(begin, 0.0)


def _ms(seconds: Sequence[float]) -> int:
    return round(float(np.mean(seconds)) * 1000)


def _says(name: str, than: str, total: int, parts: Mapping[str, int], steps: Mapping[str, int], count: int) -> str:
    ordered = sorted(PARTS, key=lambda part: -abs(parts[part]))
    told = ", ".join(f"{SAYS[part]} {parts[part]:+} ms" for part in ordered)
    late = f" (of its draft: {', '.join(f'{step} {ms:+} ms' for step, ms in steps.items())})"
    return f"{name} answers {total:+} ms against {than} in the mean of {count} turns: {told}{late}."
