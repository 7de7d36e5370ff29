"""WAV files in and out, through libsndfile: any rate, width and channel count, and the other formats it reads."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import soundfile

from antiphon.audio.pcm import RATE, Resampler, Samples, mix, to_bytes

LONGEST_S = 600.0
"""More than this of one file is not read: a turn is a minute at most."""
BLOCK = 65_536


class WavError(Exception):
    """A file cannot be heard; the message is one sentence that names it and says why."""


def read(path: Path | str, *, longest_s: float = LONGEST_S) -> Samples:
    """Return the sound of a file, mono at 16 kHz.

    Raises:
        WavError: there is no such file, it is no sound, it is empty or cut short, or longer than `longest_s` seconds.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise WavError(f"{path}: there is no such file")
        if path.stat().st_size == 0:
            raise WavError(f"{path}: the file is empty")
        _refuse_torn(path)
        with soundfile.SoundFile(path) as file:
            if file.frames / file.samplerate > longest_s:
                minutes = file.frames / file.samplerate / 60
                raise WavError(f"{path}: lasts {minutes:.0f} minutes; at most {longest_s / 60:g} can be heard")
            resampler = Resampler(file.samplerate)
            blocks = [resampler.feed(mix(block)) for block in file.blocks(BLOCK, dtype="float32", always_2d=True)]
            blocks.append(resampler.feed(np.empty(0, dtype=np.float32), last=True))
    except soundfile.LibsndfileError as error:
        raise WavError(f"{path}: is no sound file that can be read ({error.error_string})") from None
    except OSError as error:
        raise WavError(f"{path}: cannot be read: {error.strerror or error}") from None
    samples = np.nan_to_num(np.concatenate(blocks), nan=0.0, posinf=1.0, neginf=-1.0)
    if not len(samples):
        raise WavError(f"{path}: holds no sound")
    clipped: Samples = np.clip(samples, -1.0, 1.0)
    return clipped


def write(path: Path | str, samples: Samples, rate: int = RATE) -> None:
    """Write mono samples as a 16-bit WAV file, whole or not at all.

    Raises:
        WavError: the file cannot be written.
    """
    path = Path(path)
    if not path.name:
        raise WavError(f"{path}: is a folder: name a file in it")
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(to_bytes(samples))
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise WavError(f"{path}: cannot be written: {error.strerror or error}") from None


def _refuse_torn(path: Path) -> None:
    """Refuse a WAV whose header promises more than the file holds (libsndfile reads what is there and says nothing).

    Lengths of 0 and of the largest number are what programs write that stream and cannot know; they are let pass.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return
        size = path.stat().st_size
        while len(chunk := file.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                held = size - file.tell()
                if 0 < length < 0x7FFF_0000 and held < length:
                    raise WavError(f"{path}: is cut short: {held} of {length} bytes of sound are there")
                return
            file.seek(length + length % 2, 1)
    raise WavError(f"{path}: is cut short: it ends before its sound begins")
