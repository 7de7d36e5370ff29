"""Make the satellite's cues: short, soft, synthesised, the same bytes each time.

Run it from the root of the repository: `python scripts/make_cues.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.audio.pcm import Samples
from antiphon.audio.wav import write

RATE = 24_000
FOLDER = Path(__file__).resolve().parent.parent / "satellite" / "antiphon_satellite" / "cues"

A4, C5, D5, E5, G5, A5, C6 = 440.0, 523.25, 587.33, 659.25, 783.99, 880.0, 1046.5


def note(pitch_hz: float, duration_s: float, level: float) -> Samples:
    """Return one struck note: a fundamental with two soft overtones that die sooner, no click at either end."""
    t = np.arange(int(duration_s * RATE)) / RATE
    decay = np.exp(-t * 5.0 / duration_s)
    tone = (
        np.sin(2 * np.pi * pitch_hz * t)
        + 0.30 * np.sin(4 * np.pi * pitch_hz * t) * np.exp(-t * 8.0 / duration_s)
        + 0.12 * np.sin(6 * np.pi * pitch_hz * t) * np.exp(-t * 12.0 / duration_s)
    )
    attack = np.minimum(1.0, t / 0.006)
    release = np.minimum(1.0, (duration_s - t) / 0.02)
    whole: Samples = (level * tone / 1.42 * decay * attack * release).astype(np.float32)
    return whole


def melody(*notes: tuple[float, float, float], level: float) -> Samples:
    """Return notes given as (pitch in Hz, start in s, duration in s), ringing over each other."""
    length = max(start + duration for _, start, duration in notes)
    mixed = np.zeros(int(length * RATE) + 1, dtype=np.float32)
    for pitch_hz, start_s, duration_s in notes:
        sound = note(pitch_hz, duration_s, level)
        at = int(start_s * RATE)
        mixed[at : at + len(sound)] += sound
    return mixed


CUES = {
    "heard": melody((E5, 0.0, 0.10), (A5, 0.055, 0.13), level=0.22),
    "thinking": melody((A4, 0.0, 0.14), (C5, 0.08, 0.16), level=0.14),
    "failed": melody((E5, 0.0, 0.16), (C5, 0.12, 0.16), (A4, 0.24, 0.16), level=0.28),
    "timer": melody((C6, 0.0, 0.16), (G5, 0.11, 0.16), (C6, 0.22, 0.18), level=0.40),
    "muted": melody((D5, 0.0, 0.12), (A4, 0.07, 0.15), level=0.22),
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, samples in CUES.items():
        write(FOLDER / f"{name}.wav", samples, RATE)
        print(f"{name}: {len(samples) / RATE * 1000:.0f} ms")
