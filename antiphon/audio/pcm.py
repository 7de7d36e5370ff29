"""PCM: formats, the wire's bytes and the inside's samples, stateful resampling, framing.

On the wire PCM is signed 16-bit little-endian bytes. Inside it is `Samples`: float32 in [-1, 1], mono, 16 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono sound, shape (n,), float32 in [-1, 1]."""

RATE = 16_000
"""Samples a second of everything inside."""

SCALE = 32_768.0
"""What 1.0 is as a 16-bit integer (the largest that exists is one less)."""

S16LE = np.dtype("<i2")
"""A sample on the wire."""


class FormatError(ValueError):
    """Sound in a format that cannot be used; the message is a sentence that names the format."""


@dataclass(frozen=True)
class Format:
    """What raw PCM bytes mean."""

    rate: int
    """Samples a second, 4 000 to 384 000."""
    width: int = 2
    """Bytes a sample: 1 (unsigned), 2 or 4 (signed), little-endian."""
    channels: int = 1
    """Interleaved channels, 1 to 32."""
    floating: bool = False
    """Samples of 4 bytes are floats in [-1, 1], not integers."""

    def __post_init__(self) -> None:
        if not (4_000 <= self.rate <= 384_000 and self.width in (1, 2, 3, 4) and 1 <= self.channels <= 32):
            raise FormatError(
                f"sound of {self.rate} Hz, {self.width * 8} bit and {self.channels} channels cannot be used: "
                "4 to 384 kHz, 8 to 32 bit and at most 32 channels can"
            )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample in every channel."""
        return self.width * self.channels


WIRE = Format(RATE)
"""What a satellite's microphone sends."""


def to_samples(pcm: bytes | bytearray | memoryview) -> Samples:
    """Return s16le mono bytes as samples; an odd last byte is dropped."""
    samples = np.frombuffer(pcm, S16LE, len(pcm) // 2).astype(np.float32)
    samples /= np.float32(SCALE)
    return samples


def to_bytes(samples: Samples) -> bytes:
    """Return samples as s16le bytes; what is beyond [-1, 1] is clipped."""
    whole: bytes = np.clip(np.rint(samples * SCALE), -SCALE, SCALE - 1).astype(S16LE).tobytes()
    return whole


def decode(pcm: bytes, form: Format) -> Samples:
    """Return raw bytes of any `Format` as mono samples at that format's rate; a torn last frame is dropped."""
    whole = pcm[: len(pcm) - len(pcm) % form.frame_bytes]
    if form.floating and form.width == 4:
        flat = np.clip(np.nan_to_num(np.frombuffer(whole, dtype="<f4")), -1, 1).astype(np.float32)
    elif form.width == 1:
        flat = (np.frombuffer(whole, dtype=np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    elif form.width == 2:
        flat = to_samples(whole)
    else:
        flat = _wide(whole, form.width).astype(np.float32) / np.float32(2**31)
    return mix(flat.reshape(-1, form.channels))


def _wide(pcm: bytes, width: int) -> npt.NDArray[np.int32]:
    """Return 24- or 32-bit samples as 32-bit integers."""
    if width == 4:
        return np.frombuffer(pcm, dtype="<i4")
    padded = np.zeros((len(pcm) // 3, 4), dtype=np.uint8)
    padded[:, 1:] = np.frombuffer(pcm, dtype=np.uint8).reshape(-1, 3)
    return padded.view("<i4").reshape(-1)


def mix(frames: npt.NDArray[np.float32]) -> Samples:
    """Return frames of shape (n, channels) as mono samples, the mean of the channels."""
    if frames.ndim == 1 or frames.shape[1] == 1:
        return np.ascontiguousarray(frames.reshape(-1), dtype=np.float32)
    mono: Samples = frames.mean(axis=1, dtype=np.float32)
    return mono


def level_db(samples: Samples) -> float:
    """Return the root mean square level in dB of full scale; silence is -120."""
    if not len(samples):
        return -120.0
    return 10 * math.log10(max(1e-12, float(np.dot(samples, samples)) / len(samples)))


class Resampler:
    """Changes the rate of mono samples, block by block, with no seam between blocks (soxr)."""

    def __init__(self, rate_in: int, rate_out: int = RATE) -> None:
        self.rate_in, self.rate_out = rate_in, rate_out
        self._stream = (
            None if rate_in == rate_out else soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="MQ")
        )

    def feed(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return what is ready of the resampled sound; with `last`, all that is left (then use a new one)."""
        if self._stream is None:
            return samples
        ready: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples, dtype=np.float32), last=last)
        return ready


def resample(samples: Samples, rate_in: int, rate_out: int) -> Samples:
    """Return the whole of `samples` at another rate."""
    return Resampler(rate_in, rate_out).feed(samples, last=True)


class Converter:
    """Turns a stream of raw bytes in one `Format` into samples at `rate`, keeping torn frames for the next block."""

    def __init__(self, form: Format, rate: int = RATE) -> None:
        self.form = form
        self._resampler = Resampler(form.rate, rate)
        self._torn = b""

    @property
    def rate(self) -> int:
        """Samples a second that come out."""
        return self._resampler.rate_out

    def feed(self, pcm: bytes) -> Samples:
        """Return the samples that are ready after `pcm` was added."""
        pcm = self._torn + pcm
        whole = len(pcm) - len(pcm) % self.form.frame_bytes
        self._torn = pcm[whole:]
        return self._resampler.feed(decode(pcm[:whole], self.form))

    def end(self) -> Samples:
        """Return what the resampler still holds (up to 45 ms, half a syllable) and begin anew; a torn frame is lost."""
        rest = self._resampler.feed(np.empty(0, dtype=np.float32), last=True)
        self._resampler = Resampler(self.form.rate, self.rate)
        self._torn = b""
        return rest


class Framer:
    """Cuts a stream of samples into frames of exactly `size` samples."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rest: Samples = np.empty(size, dtype=np.float32)
        self._held = 0
        """How many samples of `_rest` wait for the others of their frame."""

    def feed(self, samples: Samples) -> Iterator[Samples]:
        """Yield every full frame; what is left waits for the next call. Exhaust the iterator before feeding again."""
        at = 0
        if self._held:
            at = min(self.size - self._held, len(samples))
            self._rest[self._held : self._held + at] = samples[:at]
            self._held += at
            if self._held < self.size:
                return
            frame, self._rest, self._held = self._rest, np.empty(self.size, dtype=np.float32), 0
            yield frame
        while len(samples) - at >= self.size:
            yield samples[at : at + self.size]
            at += self.size
        self._held = len(samples) - at
        self._rest[: self._held] = samples[at:]
