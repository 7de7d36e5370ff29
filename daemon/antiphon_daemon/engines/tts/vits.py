"""Runs a VITS voice: phonemes in, sound out, the first of it before the rest has been made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from antiphon.audio.pcm import Samples
from antiphon_daemon.engines.tts.parting import CannotPart, Names, part

FIRST_FRAMES = 24
"""Frames (of some 12 ms) that are decoded first; then each time twice as many, up to `MOST_FRAMES`."""
MOST_FRAMES = 64
"""Three quarters of a second of sound: somebody else's first piece has to wait for the one that is being decoded."""
FLOW_AROUND = 32
"""Frames on each side that a frame depends on in the flow: four layers of five in each of its four couplings."""
FLOW_FRAMES = 256
"""After those that the first piece needs so many go through the flow at once: 50 to 100 ms of work, while the first
piece is heard. Fewer would be looked at twice as often, for those around them; more would hold up other speakers."""
AROUND_FRAMES = (10, 1, 1), (16, 4, 2)
"""Frames on each side that a frame's sound depends on, in each stage of the decoder (the last number holds for all that
follow): the first in models of medium size, measured; some more for others. They are decoded and not heard, so there
are no more of them than it takes: the first of these that will do. The later stages do four fifths of the work: with 10
around in all of them a first piece takes 25 ms instead of 18, and everything a fifth longer."""
EVERYWHERE = 1 << 30
"""A frame depends on all others."""
EQUAL = 1e-3
"""Pieces must be so much like the whole, or the voice is decoded whole."""


class _Frames:
    """The frames of one sentence, which go through the flow as they are needed.

    Args:
        made: what the encoder gave.
        around: how many frames on each side a frame depends on.
    """

    def __init__(self, names: Names, flow: Any, made: Mapping[str, Any], around: int) -> None:
        self._name, self._flow, self._around = names.frames, flow, around
        self._latent = {name: made[name] for name in names.latent}
        self.extras = {name: made[name] for name in names.extras}
        self._ready: Any = made.get(names.frames)  # there already where there is no flow
        self.total: int = made[next(iter(self._latent), names.frames)].shape[-1]

    def until(self, end: int) -> Any:
        """Return the first frames, `end` or more of them: shape (1, channels, n)."""
        while (have := 0 if self._ready is None else self._ready.shape[-1]) < end:
            stop = max(end, have + FLOW_FRAMES) if have else end
            stop = stop if stop + self._around < self.total else self.total
            low, high = max(0, have - self._around), min(self.total, stop + self._around)
            taken = {
                name: values[..., low:high] if values.shape[-1] == self.total else values
                for name, values in self._latent.items()
            }
            (frames,) = self._flow.run([self._name], taken)
            new = frames[:, :, have - low : stop - low]
            self._ready = np.concatenate((self._ready, new), axis=-1) if have else new
        return self._ready


class Vits:
    """A voice's model. Making one loads it, which blocks.

    Raises:
        Exception: onnxruntime cannot load it; its errors have no common base.
    """

    def __init__(self, path: Path, options: Any) -> None:
        self._whole: Any = None
        self._around, self._flow_around = AROUND_FRAMES[-1], FLOW_AROUND
        self._encoder: Any = None
        self._flow: Any = None
        self._stages: list[Any] = []
        self._options, self._path = options, path
        try:
            parts = part(path.read_bytes())
            self._encoder = self._session(parts.encoder)
            self._flow = self._session(parts.flow) if parts.flow is not None else None
            self._stages = [self._session(stage) for stage in parts.stages]
            self._names = parts.names
        except CannotPart:
            self._load_whole()

    @property
    def in_pieces(self) -> bool:
        """Whether sound comes before a sentence is whole."""
        return self._whole is None

    def warm_up(self, arguments: Mapping[str, Any]) -> Samples:
        """Return one sentence, decoded whole; from here on it is sure whether pieces are the same as the whole."""
        if self._whole is None:
            made = self._encode(arguments)
            frames = self._frames(made)
            sound = self._decode(frames, 0, frames.total)
            for self._flow_around, self._around in product((FLOW_AROUND, EVERYWHERE), AROUND_FRAMES):
                pieces = np.concatenate(list(self._pieces(self._frames(made))))
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
            yield from self._pieces(self._frames(self._encode(arguments)))

    def _encode(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        names = [output.name for output in self._encoder.get_outputs()]
        return dict(zip(names, self._encoder.run(names, arguments), strict=True))

    def _frames(self, made: Mapping[str, Any]) -> _Frames:
        return _Frames(self._names, self._flow, made, self._flow_around)

    def _pieces(self, frames: _Frames) -> Iterator[Samples]:
        total, start, size = frames.total, 0, FIRST_FRAMES
        while start < total:
            end = start + size if start + size + FIRST_FRAMES <= total else total
            yield self._decode(frames, start, end)
            start, size = end, min(2 * size, MOST_FRAMES)

    def _decode(self, frames: _Frames, start: int, end: int) -> Samples:
        """Return the sound of the frames from `start` to `end`."""
        total = frames.total
        values, low, size = frames.until(min(total, end + self._around[0])), 0, 1  # from `low` on so many values each
        given = frames.extras
        for number, stage in enumerate(self._stages):
            around = self._around[min(number, len(self._around) - 1)]
            first, last = max(0, start - around), min(total, end + around)
            taken = {stage.get_inputs()[0].name: values[:, :, (first - low) * size : (last - low) * size]}
            values = stage.run(None, taken | given)[0]
            low, size, given = first, values.shape[-1] // (last - first), {}
        piece: Samples = values.reshape(-1)[(start - low) * size : (end - low) * size]
        return piece

    def _load_whole(self) -> None:
        self._encoder, self._flow, self._stages = None, None, []
        self._whole = self._session(str(self._path))

    def _session(self, model: str | bytes) -> Any:
        session = onnxruntime.InferenceSession(model, sess_options=self._options, providers=["CPUExecutionProvider"])
        # It would keep the file's bytes as well, in case that it should be loaded again for other hardware.
        session._model_bytes = None
        return session
