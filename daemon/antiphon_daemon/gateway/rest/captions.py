"""Subtitles: SubRip and WebVTT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Cue: TypeAlias = tuple[float, float, str]
"""From when to when in seconds, and what is said."""


def srt(cues: Sequence[Cue]) -> str:
    """Return SubRip subtitles."""
    blocks = [
        f"{at}\n{_time(start, ',')} --> {_time(end, ',')}\n{_plain(text)}\n"
        for at, (start, end, text) in enumerate(cues, 1)
    ]
    return "\n".join(blocks)


def vtt(cues: Sequence[Cue]) -> str:
    """Return WebVTT subtitles."""
    blocks = [f"{_time(start, '.')} --> {_time(end, '.')}\n{_plain(text)}\n" for start, end, text in cues]
    return "\n".join(("WEBVTT\n", *blocks))


def _plain(text: str) -> str:
    """Return a text that ends no cue: an arrow would begin the next one."""
    return " ".join(text.split()).replace("-->", "→")


def _time(seconds: float, point: str) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{ms:03}"
