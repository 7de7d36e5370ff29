"""When the stages of a turn began and ended: the bars of its waterfall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["hold", "stt", "turn_model", "llm", "clause", "tts", "first_audio"]

SPANS: Mapping[Stage, tuple[tuple[str, ...], str]] = {
    "hold": (("speech_end",), "turn_end"),
    "stt": (("soft_end",), "stt"),
    "turn_model": (("judging",), "judged"),
    "llm": (("stt", "speech_end"), "llm_first"),
    "clause": (("llm_first",), "clause"),
    "tts": (("clause", "speech_end"), "tts_first"),
    "first_audio": (("speech_end",), "first_audio"),
}
"""Of each stage the marks that it begins with (the first of them that there is) and the one that ends it.

hold: the silence until the turn was over. stt: its transcript. turn_model: whether it sounded over. llm: its reply's
first word. clause: enough of the reply to say. tts: the first sound of that. first_audio: all together, from the end of
speech to the first sound that goes out.
"""


def spans(timeline: Mapping[str, int | None]) -> dict[Stage, tuple[int, int]]:
    """Return when the stages of one turn began and ended, in ms as in its timeline; those that it had."""
    found: dict[Stage, tuple[int, int]] = {}
    for stage, (beginnings, ending) in SPANS.items():
        end = timeline.get(ending)
        begin = next((at for name in beginnings if (at := timeline.get(name)) is not None), None)
        if begin is not None and end is not None:
            found[stage] = (min(begin, end), end)
    return found
