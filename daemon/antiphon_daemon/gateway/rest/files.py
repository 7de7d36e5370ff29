"""Sound files of every usual kind, in and out, by FFmpeg (PyAV)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import av
import numpy as np

from antiphon.audio.pcm import RATE, Resampler, Samples, to_bytes, to_samples
from antiphon_daemon.conversation.tempo import frame_of
from antiphon_daemon.gateway.rest.errors import ApiError

BLOCK = 10 * RATE
"""Samples that are read at a time."""
RATES = range(4_000, 384_001)
"""Samples a second that a file may have, as sound on the wire may (`pcm.Format`). Of a few bytes that claim to be hours
FFmpeg would make gigabytes at once, and so large is its filter between two rates that are far apart."""
FRAME_SAMPLES = 1 << 18
"""Samples that a file may have in one piece: FFmpeg turns a piece into our rate at once. Usual ones have a thousand."""
READ_AS = "wav,w64,aiff,caf,flac,ogg,mp3,aac,mov,mp4,m4a,matroska,webm,mpeg"
"""What a file may be. Playlists and other formats that name further files or addresses are not among them."""
OUT_RATE = 24_000
"""Samples a second of all that is sent: programs that ask for `pcm` take it for this."""
MEDIA = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""The formats that can be asked for."""
_CODERS: dict[str, tuple[str, str, int, dict[str, str]]] = {
    "mp3": ("mp3", "libmp3lame", 64_000, {"write_xing": "0"}),
    "opus": ("ogg", "libopus", 32_000, {"page_duration": "100000"}),
    "aac": ("adts", "aac", 64_000, {}),
    "flac": ("flac", "flac", 0, {}),
}
"""FFmpeg's container and encoder, bits a second, and what has each sent as it comes."""
_UNKNOWN_LENGTH = 0xFFFF_FFFF


def blocks(file: BinaryIO, longest_s: float) -> Iterator[Samples]:
    """Yield the sound of a file, mono at 16 kHz, some seconds at a time. Each step blocks.

    Raises:
        ApiError: it is no sound that can be read, or longer than `longest_s` seconds.
    """
    try:
        # Nothing but these bytes is read, whatever they say.
        options = {"format_whitelist": READ_AS, "protocol_whitelist": ""}
        with av.open(file, "r", options=options, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise ApiError(400, "The file holds no sound.", param="file", code="invalid_file")
            yield from _joined(_decoded(container), longest_s)
    except av.error.FFmpegError as error:
        message = f"The file is no sound that can be read ({error.strerror})."
        raise ApiError(400, message, param="file", code="invalid_file") from None


def _decoded(container: Any) -> Iterator[Samples]:
    resampler = _resampler()
    form: tuple[str, str, int] | None = None
    found, fault = False, None
    for packet in container.demux(audio=0):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError as error:  # one torn packet; players leave it out too
            fault = error
            continue
        for frame in frames:
            found = True
            if frame.sample_rate not in RATES:
                message = f"Sound of {frame.sample_rate} Hz cannot be used: 4 to 384 kHz can."
                raise ApiError(400, message, param="file", code="invalid_file")
            if frame.samples > FRAME_SAMPLES:
                message = f"The file has {frame.samples} samples in one piece, more than {FRAME_SAMPLES}."
                raise ApiError(400, message, param="file", code="invalid_file")
            before, form = form, (frame.format.name, frame.layout.name, frame.sample_rate)
            if before is not None and before != form:  # files that were joined, each as it was recorded
                for ready in resampler.resample(None):
                    yield _samples(ready)
                resampler = _resampler()
            for ready in resampler.resample(frame):
                yield _samples(ready)
    if not found and fault is not None:
        raise fault
    if found:
        for ready in resampler.resample(None):
            yield _samples(ready)


def _resampler() -> Any:
    return av.AudioResampler(format="fltp", layout="mono", rate=RATE)


def _samples(frame: Any) -> Samples:
    flat: Samples = frame.to_ndarray().reshape(-1)
    return flat


def _joined(pieces: Iterator[Samples], longest_s: float) -> Iterator[Samples]:
    waiting: list[Samples] = []
    held, total = 0, 0
    for piece in pieces:
        waiting.append(piece)
        held += len(piece)
        total += len(piece)
        if total > longest_s * RATE:
            message = f"The recording is longer than {longest_s / 60:g} minutes: send it in parts."
            raise ApiError(400, message, param="file", code="audio_too_long")
        if held >= BLOCK:
            yield _whole(waiting)
            waiting, held = [], 0
    if waiting:
        yield _whole(waiting)


def _whole(pieces: list[Samples]) -> Samples:
    samples = np.nan_to_num(np.concatenate(pieces), nan=0.0, posinf=1.0, neginf=-1.0)
    clipped: Samples = np.clip(samples, -1.0, 1.0)
    return clipped


class Encoder:
    """Turns s16le mono PCM, as it comes, into the bytes of one file at `OUT_RATE`.

    Args:
        kind: one of `MEDIA`.
        rate: samples a second of what comes.
    """

    def __init__(self, kind: str, rate: int) -> None:
        self._resampler = Resampler(rate, OUT_RATE)
        self._write: Callable[[Samples], None]
        self._sink = _Sink()
        self._container: Any = None
        self._at = 0
        if kind in _CODERS:
            form, codec, bits, options = _CODERS[kind]
            # What is encoded goes out at once; without that it would wait until some seconds are together.
            self._container = av.open(self._sink, "w", format=form, options={"flush_packets": "1", **options})
            self._stream = self._container.add_stream(codec, rate=OUT_RATE, layout="mono")
            if bits:
                self._stream.bit_rate = bits
        elif kind == "wav":
            head = b"RIFF", _UNKNOWN_LENGTH, b"WAVE", b"fmt ", 16, 1, 1, OUT_RATE, OUT_RATE * 2, 2, 16, b"data"
            self._sink.write(struct.pack("<4sI4s4sIHHIIHH4sI", *head, _UNKNOWN_LENGTH))

    def feed(self, pcm: bytes) -> bytes:
        """Return what is ready after `pcm` was added."""
        self._add(self._resampler.feed(to_samples(pcm)))
        return self._sink.taken()

    def end(self) -> bytes:
        """Return the rest."""
        self._add(self._resampler.feed(np.empty(0, dtype=np.float32), last=True))
        if self._container is not None:
            self._container.mux(self._stream.encode(None))
            self.close()
        return self._sink.taken()

    def close(self) -> None:
        """Free the encoder."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _add(self, samples: Samples) -> None:
        if not len(samples):
            return
        pcm = to_bytes(samples)
        if self._container is None:
            self._sink.write(pcm)
            return
        frame = frame_of(pcm, OUT_RATE, self._at)
        self._at += len(samples)
        self._container.mux(self._stream.encode(frame))


class _Sink:
    """Takes what FFmpeg writes; nothing can be gone back to."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def taken(self) -> bytes:
        given, self._bytes = bytes(self._bytes), bytearray()
        return given
