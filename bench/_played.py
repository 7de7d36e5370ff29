"""What a speaker's output says of a reply: when it fell, and whether it went on from where it had stopped."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from _overlaps import PIPER_RATE

from antiphon.audio.pcm import Converter, Format, Samples, to_bytes
from antiphon_satellite.sound.speaker import FADE_S

Sound: TypeAlias = npt.NDArray[np.int16]

DROP = 10 ** (-10 / 20)
WINDOW_S = 0.0025
QUIET = 0.004
"""A reply that is softer is pausing by itself: no drop can be seen."""
LOUD = 300
"""Samples beyond this are surely no silence."""


def as_played(reply: Samples, rate: int, volume: int) -> Sound:
    """Return a reply as the speaker hands it out, undisturbed."""
    converter = Converter(Format(PIPER_RATE), rate)
    pcm = to_bytes(reply)
    parts = [converter.feed(pcm[start : start + 2048]) for start in range(0, len(pcm), 2048)] + [converter.end()]
    whole = np.rint(np.concatenate(parts) * 32768).clip(-32768, 32767).astype(np.float32)
    return (whole * (volume / 100) ** 2).astype(np.int16)


def same_until(played: Sound, expected: Sound) -> int:
    """Return how many samples of what is expected were played before anything else was."""
    count = min(len(played), len(expected))
    differs = np.flatnonzero(np.abs(played[:count].astype(int) - expected[:count]) > 2)
    return int(differs[0]) if len(differs) else count


def drop_ms(played: Sound, first: int, expected: Sound, began: int, rate: int) -> float | None:
    """Return the milliseconds from sample `first` of what is played until it is 10 dB below what is expected."""
    size = int(WINDOW_S * rate)
    for at in range(first, min(len(played), began + len(expected)) - size, size):
        wanted = expected[max(0, at - began) : at - began + size].astype(float) / 32768
        is_ = played[at : at + size].astype(float) / 32768
        due = float(np.sqrt(np.mean(wanted**2))) if len(wanted) == size else 0.0
        if due > QUIET and np.sqrt(np.mean(is_**2)) < DROP * due:
            return (at + size - first) / rate * 1000
    return None


def followed(played: Sound, expected: Sound, rate: int) -> tuple[int, list[bool]]:
    """Follow a reply through its breaks.

    Returns:
        How many of its samples were played, and for each break whether it went on from the very sample at which it had
        begun to fade: nothing is left out then, and nothing repeated but the few milliseconds of the fade.
    """
    fade, short = int(FADE_S * rate) + 2, rate // 20
    exact: list[bool] = []
    heard = at = 0
    while True:
        count = same_until(played[at:], expected[heard:])
        heard, at = heard + count, at + count
        if heard >= len(expected) - short or at >= len(played) - short:
            return heard, exact
        loud = np.flatnonzero(np.abs(expected[heard + fade : -short].astype(int)) > LOUD)
        if not len(loud):
            return heard, exact
        needle_at = heard + fade + int(loud[0])
        found = find(played[at:], expected[needle_at : needle_at + short])
        if found is None:
            return heard, exact
        goes_on = at + found - (needle_at - heard)
        between = played[at : max(at, goes_on)]
        exact.append(bool(goes_on >= at and np.count_nonzero(between) <= fade))
        heard, at = needle_at, at + found


def find(sound: Sound, part: Sound) -> int | None:
    """Return where `part` occurs in `sound`, to the sample."""
    if len(sound) <= len(part):
        return None
    size = 1 << (len(sound) + len(part)).bit_length()
    spectrum = np.fft.rfft(sound.astype(float), size) * np.conj(np.fft.rfft(part.astype(float), size))
    matches = np.fft.irfft(spectrum, size)[: len(sound) - len(part)]
    energy = np.convolve(sound.astype(float) ** 2, np.ones(len(part)), "valid")[: len(matches)]
    for place in np.argsort(matches / np.sqrt(energy + 1))[::-1][:5]:
        if np.max(np.abs(sound[place : place + len(part)].astype(int) - part)) <= 2:
            return int(place)
    return None
