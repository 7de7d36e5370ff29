"""Sound files in and out, and files that are not what they say."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from antiphon.audio import wav
from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon_daemon.conversation.tempo import Tempo
from antiphon_daemon.gateway.rest.errors import ApiError
from antiphon_daemon.gateway.rest.files import MEDIA, OUT_RATE, Encoder, blocks


def tone(seconds: float, rate: int = 22_050) -> bytes:
    return to_bytes((0.3 * np.sin(np.arange(round(seconds * rate)) / rate * 2 * np.pi * 440)).astype(np.float32))


def pitch(sound: Samples, rate: int) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax()) * rate / len(sound)


def read(data: bytes, longest_s: float = 60) -> Samples:
    return np.concatenate(list(blocks(io.BytesIO(data), longest_s)))


@pytest.mark.parametrize("kind", [kind for kind in MEDIA if kind != "pcm"])
def test_a_file_is_written_as_it_comes_and_read_again(kind: str) -> None:
    encoder, pcm = Encoder(kind, 22_050), tone(2)
    pieces = [encoder.feed(pcm[at : at + 4410]) for at in range(0, len(pcm), 4410)]
    assert sum(map(len, pieces[:8])) > 500, "it is held back"
    sound = read(b"".join(pieces) + encoder.end())
    assert len(sound) / RATE == pytest.approx(2, abs=0.1)
    assert pitch(sound, RATE) == pytest.approx(440, abs=2)


def encoded(kind: str, codec: str, rate: int, layout: str) -> bytes:
    """Return a tone of a second as a file."""
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.frombuffer(tone(1, rate), dtype="<i2")[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for ready in av.AudioResampler(format=stream.format, layout=layout, rate=rate).resample(frame):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return out.getvalue()


def of_one_piece(rate: int, samples: int) -> bytes:
    """Return a Matroska file whose sound is one block."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream: Any = container.add_stream("pcm_u8", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.full((1, samples), 128, dtype=np.uint8), format="u8", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(
    ("rate", "samples", "why"),
    [(8, 3000, "8 Hz"), (100_000_007, 3000, "100000007 Hz"), (4000, 300_000, "one piece")],
)
def test_a_few_bytes_that_would_become_gigabytes_are_refused(rate: int, samples: int, why: str) -> None:
    with pytest.raises(ApiError, match=why):
        read(of_one_piece(rate, samples), longest_s=7200)


@pytest.mark.parametrize("rate", [4000, 384_000])
def test_the_slowest_and_the_fastest_sound_is_read(rate: int) -> None:
    assert len(read(of_one_piece(rate, rate // 2))) / RATE == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("kind", "codec"), [("mp3", "libmp3lame"), ("adts", "aac")])
@pytest.mark.parametrize("second", [(44_100, "stereo"), (22_050, "mono")], ids=str)
def test_files_that_were_joined_are_heard_to_the_end(kind: str, codec: str, second: tuple[int, str]) -> None:
    sound = read(encoded(kind, codec, 44_100, "mono") + encoded(kind, codec, *second))
    assert len(sound) / RATE == pytest.approx(2, abs=0.3)
    assert pitch(sound[-RATE // 2 :], RATE) == pytest.approx(440, abs=4)


@pytest.mark.parametrize("speed", [0.25, 0.7, 1.0, 2.0, 4.0])
def test_faster_speech_keeps_its_pitch(speed: float) -> None:
    tempo, pcm = Tempo(speed, 22_050), tone(3)
    out = b"".join(tempo.feed(pcm[at : at + 4410]) for at in range(0, len(pcm), 4410)) + tempo.end()
    sound = np.frombuffer(out, dtype="<i2").astype(np.float32)
    assert len(sound) / 22_050 == pytest.approx(3 / speed, rel=0.05)
    assert pitch(sound, 22_050) == pytest.approx(440, abs=5)


def test_raw_sound_has_one_rate_whatever_the_voice(tmp_path: Path) -> None:
    for rate in (16_000, 22_050, 48_000):
        encoder = Encoder("pcm", rate)
        out = encoder.feed(tone(1, rate)) + encoder.end()
        assert len(out) // 2 == pytest.approx(OUT_RATE, abs=10)


@pytest.mark.parametrize("data", [b"", b"abc", b"RIFF", os.urandom(5000), b"ID3" + bytes(999), bytes(9999)], ids=len)
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(ApiError, match=r"^The file "):
        read(data)


def test_a_file_that_names_other_files_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    wav.write(secret, np.full(RATE, 0.1, dtype=np.float32))
    for text in (
        f"ffconcat version 1.0\nfile '{secret}'\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"[playlist]\nFile1={secret}\n",
    ):
        with pytest.raises(ApiError):
            read(text.encode())


def test_a_torn_file_is_heard_as_far_as_it_goes() -> None:
    for kind in ("mp3", "wav", "opus"):
        encoder = Encoder(kind, 22_050)
        whole = encoder.feed(tone(2)) + encoder.end()
        assert 0.5 < len(read(whole[: len(whole) // 2])) / RATE < 1.5


def test_numbers_that_are_none_are_silence_and_longer_than_may_be_is_refused(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "nan.wav"
    soundfile.write(path, np.array([np.nan, np.inf, -np.inf, 0.5] * RATE, dtype=np.float32), RATE, subtype="FLOAT")
    sound = read(path.read_bytes())
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 1
    with pytest.raises(ApiError, match="longer than 0.05 minutes"):
        read(path.read_bytes(), 3)
