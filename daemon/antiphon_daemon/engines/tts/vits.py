"""Runs a VITS voice: phonemes in, sound out, the first of it before the rest has been made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from antiphon.audio.pcm import Samples
from antiphon_daemon.engines.tts.parting import CannotPart, part

FIRST_FRAMES = 24
"""Frames (of some 12 ms) that are decoded first; then each time twice as many, up to `MOST_FRAMES`."""
MOST_FRAMES = 64
"""Three quarters of a second of sound: somebody else's first piece has to wait for the one that is being decoded."""
AROUND_FRAMES = (10, 1, 1), (16, 4, 2)
"""Frames on each side that a frame's sound depends on, in each stage of the decoder (the last number holds for all that
follow): the first in models of medium size, measured; some more for others. They are decoded and not heard, so there
are no more of them than it takes: the first of these that will do. The later stages do four fifths of the work: with 10
around in all of them a first piece takes 25 ms instead of 18, and everything a fifth longer."""
EQUAL = 1e-3
"""Pieces must be so much like the whole, or the voice is decoded whole."""


class Vits:
    """A voice's model. Making one loads it, which blocks.

    Raises:
        Exception: onnxruntime cannot load it; its errors have no common base.
    """

    def __init__(self, path: Path, options: Any) -> None:
        self._whole: Any = None
        self._around = AROUND_FRAMES[-1]
        self._encoder: Any = None
        self._stages: list[Any] = []
        self._options, self._path = options, path
        try:
            parts = part(path.read_bytes())
            self._encoder = self._session(parts.encoder)
            self._stages = [self._session(stage) for stage in parts.stages]
            self._names = (parts.frames, *parts.extras)
        except CannotPart:
            self._load_whole()

    @property
    def in_pieces(self) -> bool:
        """Whether sound comes before a sentence is whole."""
        return self._whole is None

    def warm_up(self, arguments: Mapping[str, Any]) -> Samples:
        """Return one sentence, decoded whole; from here on it is sure whether pieces are the same as the whole."""
        if self._whole is None:
            made = self._encoder.run(self._names, arguments)
            sound = self._decode(made, 0, made[0].shape[-1])
            for self._around in AROUND_FRAMES:
                pieces = np.concatenate(list(self._pieces(made)))
                if len(pieces) == len(sound) and float(np.abs(pieces - sound).max(initial=0)) < EQUAL:
                    return sound
            self._load_whole()
        return next(self.speak(arguments))

    def speak(self, arguments: Mapping[str, Any]) -> Iterator[Samples]:
        """Yield the sound of one sentence at the voice's own rate and level.

        Args:
            arguments: the model's inputs: `input`, `input_lengths`, `scales` and, where it has speakers, `sid`.
        """
        if self._whole is not None:
            sound: Samples = self._whole.run(None, arguments)[0].reshape(-1)
            yield sound
        else:
            yield from self._pieces(self._encoder.run(self._names, arguments))

    def _pieces(self, made: list[Any]) -> Iterator[Samples]:
        total, start, size = made[0].shape[-1], 0, FIRST_FRAMES
        while start < total:
            end = start + size if start + size + FIRST_FRAMES <= total else total
            yield self._decode(made, start, end)
            start, size = end, min(2 * size, MOST_FRAMES)

    def _decode(self, made: list[Any], start: int, end: int) -> Samples:
        """Return the sound of the frames from `start` to `end`."""
        frames, *extras = made
        total = frames.shape[-1]
        values, low, size = frames, 0, 1  # of the frames from `low` on there are so many values each
        given = dict(zip(self._names[1:], extras, strict=True))
        for number, stage in enumerate(self._stages):
            around = self._around[min(number, len(self._around) - 1)]
            first, last = max(0, start - around), min(total, end + around)
            taken = {stage.get_inputs()[0].name: values[:, :, (first - low) * size : (last - low) * size]}
            values = stage.run(None, taken | given)[0]
            low, size, given = first, values.shape[-1] // (last - first), {}
        piece: Samples = values.reshape(-1)[(start - low) * size : (end - low) * size]
        return piece

    def _load_whole(self) -> None:
        self._encoder, self._stages = None, []
        self._whole = self._session(str(self._path))

    def _session(self, model: str | bytes) -> Any:
        session = onnxruntime.InferenceSession(model, sess_options=self._options, providers=["CPUExecutionProvider"])
        # It would keep the file's bytes as well, in case that it should be loaded again for other hardware.
        session._model_bytes = None
        return session
