"""The formats of sound: s16le PCM at 24 kHz, and the two of telephones (G.711 at 8 kHz); mono."""

from __future__ import annotations

import io
from collections import deque
from typing import Literal, Protocol, TypeAlias

import numpy as np
import soundfile

from antiphon.audio.pcm import RATE, Converter, Format, Resampler, Samples, to_bytes

Kind: TypeAlias = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]

PCM_RATE = 24_000
G711_RATE = 8_000
PIECE = RATE // 10
"""Less than this is joined with what comes next: a thousand tiny messages are no thousand pieces."""
_LAWS = {"audio/pcmu": "ULAW", "audio/pcma": "ALAW"}


class HalfASample(Exception):
    """Sound that ends in the middle of a sample."""


class Decoder(Protocol):
    """What comes, as samples at 16 kHz."""

    def feed(self, sound: bytes) -> Samples:
        """Return what is ready of the sound.

        Raises:
            HalfASample: it ends in the middle of a sample; nothing of it was taken.
        """
        ...

    def end(self) -> Samples:
        """Return what is left, and begin anew."""
        ...


class _Pcm:
    def __init__(self) -> None:
        self._converter = Converter(Format(PCM_RATE), RATE)

    def feed(self, sound: bytes) -> Samples:
        if len(sound) % 2:
            raise HalfASample
        return self._converter.feed(sound)

    def end(self) -> Samples:
        return self._converter.end()


class _G711:
    def __init__(self, law: str) -> None:
        self._law = law
        self._resampler = Resampler(G711_RATE, RATE)

    def feed(self, sound: bytes) -> Samples:
        read, _ = soundfile.read(
            io.BytesIO(sound), dtype="float32", samplerate=G711_RATE, channels=1, format="RAW", subtype=self._law
        )
        return self._resampler.feed(np.asarray(read, dtype=np.float32))

    def end(self) -> Samples:
        rest = self._resampler.feed(np.empty(0, dtype=np.float32), last=True)
        self._resampler = Resampler(G711_RATE, RATE)
        return rest


def decoder(kind: Kind) -> Decoder:
    """Return a new decoder of one stream."""
    return _G711(_LAWS[kind]) if kind in _LAWS else _Pcm()


class Kept:
    """The newest of what comes, at 16 kHz: a microphone that is always on never fills it."""

    def __init__(self) -> None:
        self._pieces: deque[Samples] = deque()
        self._samples = 0

    def put(self, samples: Samples, most: int) -> None:
        """Keep more; beyond `most` samples the oldest go."""
        self._samples += len(samples)
        if self._pieces and len(self._pieces[-1]) < PIECE:
            samples = np.concatenate((self._pieces.pop(), samples))
        self._pieces.append(samples)
        while (beyond := self._samples - most) > 0:
            oldest = self._pieces.popleft()
            left = oldest[beyond:]
            self._samples -= len(oldest) - len(left)
            if len(left):
                self._pieces.appendleft(left)

    def whole(self) -> Samples:
        """Return all that is kept."""
        return np.concatenate(self._pieces) if self._pieces else np.empty(0, dtype=np.float32)

    def clear(self) -> None:
        """Forget it."""
        self._pieces.clear()
        self._samples = 0


class Encoder:
    """The sound of one reply, in the client's format.

    Args:
        rate: of the s16le PCM that is given.
    """

    def __init__(self, kind: Kind, rate: int) -> None:
        self._law = _LAWS.get(kind)
        self._converter = Converter(Format(rate), PCM_RATE if self._law is None else G711_RATE)

    def feed(self, pcm: bytes) -> bytes:
        """Return what is ready of the sound."""
        return self._written(self._converter.feed(pcm))

    def end(self) -> bytes:
        """Return what is left."""
        return self._written(self._converter.end())

    def _written(self, samples: Samples) -> bytes:
        if self._law is None or not len(samples):
            return to_bytes(samples)
        file = io.BytesIO()
        soundfile.write(file, samples, G711_RATE, format="RAW", subtype=self._law)
        return file.getvalue()


def bytes_a_second(kind: Kind) -> int:
    """Return how many bytes a second of sound has."""
    return PCM_RATE * 2 if kind == "audio/pcm" else G711_RATE
