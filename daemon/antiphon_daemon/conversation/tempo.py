"""Speech that is faster or slower than the voice says it, at the same pitch."""

from __future__ import annotations

from typing import Any

import numpy as np


class Tempo:
    """Changes the pace of one stretch of speech (FFmpeg's `atempo`).

    Args:
        speed: 0.25 to 4; 1 changes nothing, and costs nothing.
        rate: samples a second.
    """

    def __init__(self, speed: float, rate: int) -> None:
        self._rate, self._at = rate, 0
        self._graph: Any = None
        if speed == 1:
            return
        import av.filter  # megabytes, which hardly any house ever needs

        self._av = av
        self._graph = av.filter.Graph()
        nodes = [self._graph.add_abuffer(sample_rate=rate, format="s16", layout="mono")]
        steps = (speed,) if speed >= 0.5 else (0.5, speed / 0.5)  # it takes no less than a half at a time
        nodes += [self._graph.add("atempo", f"{step:.4f}") for step in steps]
        nodes.append(self._graph.add("aformat", "sample_fmts=s16:channel_layouts=mono"))
        nodes.append(self._graph.add("abuffersink"))
        self._graph.link_nodes(*nodes).configure()

    def feed(self, pcm: bytes) -> bytes:
        """Return what is ready after s16le mono `pcm` was added."""
        if self._graph is None or not pcm:
            return pcm
        self._graph.push(frame_of(pcm, self._rate, self._at))
        self._at += len(pcm) // 2
        return self._ready()

    def end(self) -> bytes:
        """Return the rest."""
        if self._graph is None:
            return b""
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> bytes:
        parts = []
        while True:
            try:
                parts.append(self._graph.pull().to_ndarray().tobytes())
            except (self._av.error.BlockingIOError, self._av.error.EOFError):
                return b"".join(parts)


def frame_of(pcm: bytes, rate: int, at: int) -> Any:
    """Return s16le mono `pcm`, the samples from `at` on, as FFmpeg takes it."""
    import av

    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, dtype="<i2").reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate, frame.pts = rate, at
    return frame
