"""What many turns have in common: how long their stages took, as percentiles, and how many came to what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from antiphon_daemon.insight.spans import SPANS, Stage
from antiphon_daemon.insight.turns import Outcome, Turn


def percentile(sorted_values: list[int], share: float) -> int:
    """Return the value that `share` of them do not exceed (nearest rank); the list must hold one."""
    rank = max(1, -(-len(sorted_values) * round(share * 100) // 100))
    return sorted_values[rank - 1]


def summary(turns: Iterable[Turn]) -> dict[str, Any]:
    """Return what the turns have in common: percentiles of each stage in ms, and how many came to what.

    A turn that was taken back counts nowhere: the one that holds it does.
    """
    counted = [turn for turn in turns if turn.outcome is not Outcome.WITHDRAWN]
    took: dict[Stage, list[int]] = {stage: [] for stage in SPANS}
    for turn in counted:
        for stage, (begin, end) in turn.stages.items():
            if stage != "first_audio" or not turn.typed:
                took[stage].append(end - begin)
    hits = [turn.hit for turn in counted if turn.hit is not None]
    outcomes = [turn.outcome for turn in counted]
    return {
        "turns": len(counted),
        "stages": {
            stage: {"n": len(values), "p50_ms": percentile(values, 0.5), "p95_ms": percentile(values, 0.95)}
            for stage, some in took.items()
            if (values := sorted(some))
        },
        "drafts": sum(turn.trace.drafts for turn in counted),
        "hits": sum(hits),
        "could_hit": len(hits),
        "wasted_ms": sum(turn.trace.wasted_ms for turn in counted),
        "interrupted": outcomes.count(Outcome.INTERRUPTED),
        "failed": outcomes.count(Outcome.FAILED),
    }
