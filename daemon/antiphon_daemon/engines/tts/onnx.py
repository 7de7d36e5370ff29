"""What voices that run by ONNX Runtime have in common: how they are run, and how loud they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from antiphon.audio.pcm import Samples

READY = "Ready. One, two, three."
"""Said once, unheard, to warm a voice up and to learn how loud it is."""
PEAK = 0.9
MOST_GAIN = 4.0
"""A voice is made as loud as its peak in `READY` allows, but no more than this."""


def options(threads: int) -> Any:
    """Return the options of a session: so many threads, and no more memory than a sentence needs."""
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    # Waiting threads would spin on cores that the language model needs at the same moment.
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Every sentence has another length: remembered layouts and a growing arena double the memory and win nothing.
    made.enable_mem_pattern = False
    made.enable_cpu_mem_arena = False
    made.log_severity_level = 4
    return made


def peak_of(samples: Samples) -> float:
    """Return the largest amplitude."""
    return float(np.abs(samples).max(initial=0))


def gain_for(peak: float) -> float:
    """Return the gain of a voice whose peak in `READY` is `peak`."""
    return min(MOST_GAIN, PEAK / peak) if peak > 0 else 1.0


def unclipped(gain: float, samples: Samples) -> float:
    """Return `gain`, or as much of it as these samples can take."""
    peak = peak_of(samples)
    return min(gain, 1 / peak) if peak > 0 else gain


def raised(samples: Samples, gain: float) -> Samples:
    """Return the samples as loud as their voice is made, never clipped."""
    louder: Samples = samples * np.float32(unclipped(gain, samples))
    return louder
