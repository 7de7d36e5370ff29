"""Sound: formats, resampling without seams, speech found and noise not, wake words, files of all kinds."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech import Say, silence

from antiphon.audio import pcm, vad, wake, wav
from antiphon.audio.pcm import RATE, Converter, Format, FormatError, Framer, Resampler


def tone(seconds: float, rate: int = RATE, hertz: float = 440.0) -> pcm.Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_bytes_and_samples_are_inverse_and_clip() -> None:
    values = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0], dtype=np.float32)
    back = pcm.to_samples(pcm.to_bytes(values))
    assert np.allclose(back, np.clip(values, -1, 1), atol=1e-4)
    assert len(pcm.to_samples(b"\x00\x01\x02")) == 1


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_width_and_channel_count_decodes_to_the_same_sound(width: int, channels: int) -> None:
    sound = tone(0.1)
    frames = np.repeat(sound[:, None], channels, axis=1).reshape(-1)
    whole = np.rint(frames.astype(np.float64) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        raw = (whole + 128).astype(np.uint8).tobytes()
    else:
        raw = b"".join(int(value).to_bytes(width, "little", signed=True) for value in whole)
    heard = pcm.decode(raw + b"\x01" * (width * channels - 1), Format(RATE, width, channels))
    assert np.allclose(heard, sound, atol=0.02)


@pytest.mark.parametrize("values", [(0, 2, 1), (16_000, 5, 1), (16_000, 2, 0), (10**9, 2, 1), (16_000, 2, 99)])
def test_formats_that_cannot_be_used_are_refused(values: tuple[int, int, int]) -> None:
    with pytest.raises(FormatError, match="cannot be used"):
        Format(*values)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_resampling_in_blocks_is_the_same_as_at_once(rate: int) -> None:
    sound = tone(1.0, rate)
    once = pcm.resample(sound, rate, RATE)
    stream = Resampler(rate)
    blocks = [stream.feed(sound[at : at + 137]) for at in range(0, len(sound), 137)]
    blocks.append(stream.feed(np.empty(0, dtype=np.float32), last=True))
    joined = np.concatenate(blocks)
    assert abs(len(joined) - RATE) <= 2
    assert np.allclose(joined[: len(once)], once[: len(joined)], atol=1e-3)


def test_torn_frames_wait_for_their_other_half() -> None:
    raw = pcm.to_bytes(tone(0.2))
    converter = Converter(Format(RATE))
    pieces = [converter.feed(raw[at : at + 7]) for at in range(0, len(raw), 7)]
    assert np.allclose(np.concatenate(pieces), pcm.to_samples(raw))


@pytest.mark.parametrize("rate", [RATE, 22_050, 24_000, 44_100, 48_000])
def test_a_stream_ends_with_its_last_sample(rate: int) -> None:
    raw = pcm.to_bytes(tone(1.0, rate))
    converter = Converter(Format(rate))
    for _ in range(2):  # it can be used again after its end
        parts = [converter.feed(raw[at : at + 2048]) for at in range(0, len(raw), 2048)]
        sound = np.concatenate((*parts, converter.end()))
        assert abs(len(sound) - RATE) <= 1
        assert np.allclose(sound[RATE // 4 : -RATE // 4], tone(1.0)[RATE // 4 : -RATE // 4], atol=0.01)
        assert np.max(np.abs(sound[-RATE // 100 :])) > 0.4


def test_the_framer_keeps_what_is_left() -> None:
    framer, sound = Framer(512), tone(0.5)
    frames = [frame for at in range(0, len(sound), 333) for frame in framer.feed(sound[at : at + 333])]
    assert {len(frame) for frame in frames} == {512}
    assert np.array_equal(np.concatenate(frames), sound[: len(frames) * 512])


@pytest.mark.parametrize("light", [True, False])
def test_speech_begins_and_pauses_where_it_does(say: Say, light: bool) -> None:
    speech = say("What is the capital of France?")
    sound = np.concatenate((silence(1), speech, silence(1)))
    bounds = vad.speech_bounds(sound, vad.load(light=light))
    assert bounds is not None
    assert abs(bounds[0] - RATE) < RATE * 0.2
    assert abs(bounds[1] - (RATE + len(speech))) < RATE * 0.4


def test_what_is_no_speech_is_none() -> None:
    noise = np.random.default_rng(7).normal(0, 0.02, RATE * 5).astype(np.float32)
    for sound in (silence(5), noise, tone(5), noise * 0.001):
        tracker = vad.SpeechTracker(vad.load())
        assert tracker.feed(sound) == []


def test_speech_far_below_the_floor_is_none(say: Say) -> None:
    quiet = (say("What is the capital of France?") * 0.0005).astype(np.float32)
    assert vad.SpeechTracker(vad.load()).feed(quiet) == []


@pytest.mark.parametrize("engine", ["microwakeword", "openwakeword"])
def test_each_wake_word_is_told_from_the_others_and_from_speech(say: Say, engine: wake.Engine) -> None:
    words = wake.WakeWords(["okay_nabu", "hey_jarvis"], engine)
    for text, names in (("Okay Nabu.", ["okay_nabu"]), ("Hey Jarvis.", ["hey_jarvis"]), ("The weather is nice.", [])):
        words.reset()
        raw = pcm.to_bytes(np.concatenate((silence(1.5), say(text), silence(1))))
        heard = [word.name for at in range(0, len(raw), 700) for word in words.feed(raw[at : at + 700])]
        assert heard == names, text


def test_a_wake_word_that_is_not_there_is_named() -> None:
    with pytest.raises(wake.WakeError, match="choose of .*okay_nabu"):
        wake.WakeWords(["okay_nobody"])
    with pytest.raises(wake.WakeError, match="does not exist"):
        wake.WakeWords(["/nowhere/mine.json"])


@pytest.mark.parametrize(
    ("subtype", "rate", "channels"),
    [("PCM_U8", 8000, 1), ("PCM_16", 16_000, 1), ("PCM_24", 44_100, 2), ("FLOAT", 48_000, 2), ("DOUBLE", 96_000, 1)],
)
def test_wav_files_of_every_kind_are_heard(tmp_path: Path, subtype: str, rate: int, channels: int) -> None:
    path, sound = tmp_path / "a.wav", tone(0.5, rate)
    soundfile.write(path, np.repeat(sound[:, None], channels, axis=1), rate, subtype=subtype)
    heard = wav.read(path)
    assert abs(len(heard) - RATE // 2) <= 2
    middle = slice(RATE // 10, RATE * 4 // 10)
    assert np.allclose(heard[middle], tone(0.5)[middle], atol=0.03)


def test_files_that_cannot_be_heard_say_why(tmp_path: Path) -> None:
    whole = tmp_path / "whole.wav"
    wav.write(whole, tone(1.0))
    cases = {
        "empty": (b"", "the file is empty"),
        "text": (b"hello, this is not sound at all" * 9, "is no sound file"),
        "header": (whole.read_bytes()[:20], "is cut short"),
        "torn": (whole.read_bytes()[:9000], "is cut short: 8956 of 32000 bytes"),
    }
    for name, (content, said) in cases.items():
        path = tmp_path / f"{name}.wav"
        path.write_bytes(content)
        with pytest.raises(wav.WavError, match=said):
            wav.read(path)
    with pytest.raises(wav.WavError, match="no such file"):
        wav.read(tmp_path / "nowhere.wav")
    with pytest.raises(wav.WavError, match="no such file"):
        wav.read(tmp_path)


def test_an_hour_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(4000)
        file.writeframes(b"\x80" * (4000 * 3600))
    with pytest.raises(wav.WavError, match="lasts 60 minutes; at most 10"):
        wav.read(path)


def test_a_stream_that_could_not_know_its_length_is_heard_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "stream.wav"
    wav.write(path, tone(1.0))
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 0xFFFF_FFFF)
    content[4:8] = struct.pack("<I", 0xFFFF_FFFF)
    path.write_bytes(bytes(content))
    assert abs(len(wav.read(path)) - RATE) <= 2


def test_a_file_of_nothing_but_a_header_holds_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    wav.write(path, np.empty(0, dtype=np.float32))
    with pytest.raises(wav.WavError, match="holds no sound"):
        wav.read(path)
