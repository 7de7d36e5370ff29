"""Whisper hears commands, and nothing where nothing was said."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speech import silence

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings, Stt
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.build import build_transcriber
from antiphon_daemon.engines.contracts import EngineError, Engines, Revoked, Transcript, Urgency
from antiphon_daemon.engines.stt.cutting import CUT_TO_S, cut
from antiphon_daemon.engines.stt.faster_whisper import FasterWhisper
from antiphon_daemon.engines.stt.guards import Heard, plain
from antiphon_daemon.engines.stt.whisper import LEVEL_DB, WINDOW_S, levelled, with_quiet_around
from antiphon_daemon.engines.work import Token

Meanwhile = Callable[[Awaitable[Transcript]], Awaitable[Transcript]]

LIGHT = "Turn on the light in the kitchen."


def noise(kind: str, seconds: float, level_db: float) -> Samples:
    """Return what a room sounds like when nobody speaks, at a level in dB of full scale."""
    count = round(seconds * RATE)
    random = np.random.default_rng(7)
    time = np.arange(count) / RATE
    sound = random.standard_normal(count)
    if kind == "pink":
        spectrum = np.fft.rfft(sound)
        sound = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    elif kind == "hum":
        sound = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 8)) + 0.01 * sound
    elif kind == "click":
        sound = sound * np.exp(-((time % 0.7) * 150))
    return (sound / np.sqrt(np.mean(np.square(sound))) * 10 ** (level_db / 20)).astype(np.float32)


async def test_a_command_is_heard_while_the_loop_goes_on(
    engines: Engines, speech: Mapping[str, Samples], ticks_meanwhile: Meanwhile
) -> None:
    sound = speech[LIGHT]
    heard = await ticks_meanwhile(engines.transcriber.transcribe(sound, Token(), language="en"))
    assert plain(heard.text) == plain(LIGHT)
    assert heard.language == "en"
    assert heard.avg_logprob is not None
    assert -1 < heard.avg_logprob < 0
    assert heard.no_speech_prob is not None
    assert heard.no_speech_prob < 0.5
    assert heard.compression_ratio is not None
    assert heard.tokens is not None
    assert 5 < heard.tokens < 15
    assert heard.duration_s == len(sound) / RATE
    assert heard.window_s == WINDOW_S


async def test_whether_anybody_spoke_is_asked_only_of_an_answer_in_doubt(
    speech: Mapping[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FasterWhisper(Stt())
    asked: list[float] = []
    ask = engine._no_speech_prob

    def counted(encoded: Any, prompt: list[int]) -> float:
        asked.append(ask(encoded, prompt))
        return asked[-1]

    monkeypatch.setattr(engine, "_no_speech_prob", counted)
    try:
        await engine.transcribe(speech[LIGHT], Token(), language="en")
        assert asked == []
        heard = await engine.transcribe(noise("pink", 2, -30), Token(), language="en")
        assert asked
        assert max(asked) > 0.5
        assert (heard.text, heard.no_speech_prob) == ("", asked[-1])
    finally:
        await engine.close()


async def test_two_at_once_hear_their_own(engines: Engines, speech: Mapping[str, Samples]) -> None:
    texts = list(speech)[:2]
    heard = await asyncio.gather(
        *(engines.transcriber.transcribe(speech[text], Token(), language=None, hints=()) for text in texts)
    )
    assert [plain(one.text) for one in heard] == [plain(text) for text in texts]


async def test_hints_do_not_spoil_a_command(engines: Engines, speech: Mapping[str, Samples]) -> None:
    heard = await engines.transcriber.transcribe(
        speech[LIGHT], Token(), language="en", hints=["Antiphon", "Wohnzimmer", "kitchen"]
    )
    assert "light in the kitchen" in heard.text


STORY = """\
The morning was cold and the garden was covered with snow. My sister opened the window and called the dog. It did
not come back before breakfast, so we put on our boots and walked to the river. There we met an old man who had
lost his hat in the wind. He told us that he had seen a brown dog near the railway station about an hour ago. We
thanked him and went there as fast as we could. The station was full of people who were waiting for the train to
London. Nobody had seen our dog, but a woman in a green coat gave us some bread and a cup of tea. When we came home
in the evening the dog was lying in front of the fire, and my mother was laughing. It had been asleep under the
kitchen table all day long. We gave it a large piece of cheese and wrote a letter to the old man by the river."""


async def test_a_minute_is_heard_to_its_end(engines: Engines, say: Callable[[str], Samples]) -> None:
    pause = np.zeros(RATE // 2, dtype=np.float32)
    sentences = re.findall(r"[^.]+\.", " ".join(STORY.split()))
    sound = np.concatenate([part for sentence in sentences for part in (say(sentence.strip()), pause)])
    heard = await engines.transcriber.transcribe(sound, Token(), language="en")
    assert heard.duration_s is not None
    assert 45 < heard.duration_s < 75
    spoken, words = plain(STORY).split(), plain(heard.text).split()
    assert len([word for word in spoken if word in words]) > 0.9 * len(spoken)
    assert abs(len(words) - len(spoken)) < 0.1 * len(spoken)


def test_long_sound_is_cut_in_its_pauses(speech: Mapping[str, Samples]) -> None:
    sound = np.concatenate([*speech.values()] * 12)
    parts = list(cut(sound))
    assert np.array_equal(np.concatenate(parts), sound)
    assert len(parts) > 1
    for part in parts[:-1]:
        assert len(part) <= CUT_TO_S * RATE
        assert np.abs(part[-800:]).max() < 0.02


@pytest.mark.parametrize("samples", [0, 1, 160, RATE, 35 * RATE])
async def test_silence_of_any_length_is_nothing(engines: Engines, samples: int) -> None:
    silence = np.zeros(samples, dtype=np.float32)
    heard = await engines.transcriber.transcribe(silence, Token(), language="en")
    assert heard.text == ""
    assert heard.duration_s == samples / RATE


@pytest.mark.parametrize(
    ("kind", "seconds", "level_db"),
    [("white", 0.6, -25), ("white", 4, -40), ("pink", 4, -25), ("pink", 9, -12), ("hum", 9, -40), ("click", 4, -30)],
)
async def test_noise_is_nothing(engines: Engines, kind: str, seconds: float, level_db: float) -> None:
    heard = await engines.transcriber.transcribe(noise(kind, seconds, level_db), Token(), language="en")
    assert heard.text == ""


async def test_a_few_samples_of_sound_do_no_harm(engines: Engines) -> None:
    for count in (1, 10, 300, 1700):
        heard = await engines.transcriber.transcribe(noise("white", count / RATE, -20), Token(), language="en")
        assert heard.text == ""


async def test_another_language_says_what_to_do(engines: Engines, speech: Mapping[str, Samples]) -> None:
    assert list(engines.transcriber.languages) == ["en"]
    with pytest.raises(EngineError, match=r"tiny\.en knows English only, not ko: name a model .* stt\.model"):
        await engines.transcriber.transcribe(speech[LIGHT], Token(), language="ko")
    heard = await engines.transcriber.transcribe(speech[LIGHT], Token(), language="en-GB")
    assert plain(heard.text) == plain(LIGHT)


async def test_revoked_in_the_middle(engines: Engines, speech: Mapping[str, Samples]) -> None:
    token = Token()
    minute = np.concatenate([*speech.values()] * 12)
    task = asyncio.create_task(engines.transcriber.transcribe(minute, token, language="en"))
    await asyncio.sleep(0.05)
    token.revoke()
    with pytest.raises(Revoked):
        await task
    heard = await engines.transcriber.transcribe(speech[LIGHT], Token(), language="en")
    assert plain(heard.text) == plain(LIGHT)


async def test_no_more_of_a_long_recording_is_heard_for_one_who_has_left(
    engines: Engines, speech: Mapping[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    ears: Any = engines.transcriber
    token, heard = Token(), list[int]()

    def leave(*_: Any) -> tuple[str, Heard]:
        heard.append(len(heard))
        token.revoke()
        return "en", Heard("It is a fine day.", -0.2, 0.0, 1.0, 6, True, 30.0)

    monkeypatch.setattr(ears, "_window", leave)
    with pytest.raises(Revoked):
        await ears.transcribe(np.concatenate([*speech.values()] * 12), token, language="en")
    await ears.transcribe(speech[LIGHT], Token(), language="en")
    assert len(heard) == 2, "one part of it, and what came next"


@pytest.mark.parametrize(
    ("name", "size"), [("model.bin", 0), ("model.bin", 5), ("model.bin", 40_000_000), ("config.json", 300)]
)
async def test_a_model_cut_short_is_named(tmp_path: Path, name: str, size: int) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for file in catalogue.whisper().iterdir():
        (folder / file.name).symlink_to(file)
    (folder / name).unlink()
    with (catalogue.whisper() / name).open("rb") as whole:
        (folder / name).write_bytes(whole.read(size))
    with pytest.raises(EngineError, match="fetch it again") as raised:
        await build_transcriber(Settings(stt=Stt(model=str(folder))))
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["vocabulary.txt", "tokenizer.json"])
async def test_a_torn_vocabulary_is_found_before_the_first_command(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(catalogue.whisper(), folder, copy_function=lambda source, to: Path(to).symlink_to(source))
    (folder / name).unlink()
    (folder / name).write_bytes((catalogue.whisper() / name).read_bytes()[:1000])
    with pytest.raises(EngineError, match="fetch it again"):
        await build_transcriber(Settings(stt=Stt(model=str(folder))))


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="There is no model file"):
        await build_transcriber(Settings(stt=Stt(model=str(tmp_path / "none"))))


@pytest.mark.parametrize(
    ("seconds", "wrong", "urgency", "windows"),
    [
        (2.0, 0, Urgency.TURN, [7]),
        (2.0, 1, Urgency.TURN, [7, 9.8]),
        (2.0, 9, Urgency.DRAFT, [7, 9.8]),
        (2.0, 9, Urgency.PATIENT, [7, 9.8]),
        (2.0, 9, Urgency.MEANWHILE, [7]),
        (9.0, 9, Urgency.TURN, [10.1, 14.14]),
        (28.8, 9, Urgency.TURN, [29.9, 30]),
        (29.2, 9, Urgency.TURN, [30]),
    ],
)
async def test_a_longer_window_is_asked_once_if_the_answer_looks_wrong(
    engines: Engines,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    wrong: int,
    urgency: Urgency,
    windows: list[float],
) -> None:
    """But for what nobody relies on."""
    asked: list[float] = []

    def window(features: object, duration_s: float, window_s: float, *_: object) -> tuple[str, Heard]:
        asked.append(window_s)
        logprob = -2.0 if len(asked) <= wrong else -0.2
        return "en", Heard("hello", logprob, 0.1, 1.0, 3, True, window_s)

    monkeypatch.setattr(engines.transcriber, "_window", window)
    heard = await engines.transcriber.transcribe(noise("white", seconds, -20), Token(urgency=urgency), language="en")
    assert asked == pytest.approx(windows)
    assert heard.window_s == asked[-1]


@pytest.mark.parametrize(("before_s", "after_s"), [(0.0, 0.0), (0.1, 0.1), (0.3, 0.3), (1.0, 2.0)])
def test_speech_gets_quiet_around_it(before_s: float, after_s: float) -> None:
    noise = np.random.default_rng(2).normal(0, 1e-4, round((before_s + 1 + after_s) * RATE)).astype(np.float32)
    begin = round(before_s * RATE)
    noise[begin : begin + RATE] += 0.3
    found = with_quiet_around(noise)
    loud = np.flatnonzero(found > 0.1)
    assert abs(loud[0] / RATE - 0.3) <= 0.02
    assert abs((len(found) - loud[-1]) / RATE - max(0.3, after_s)) <= 0.02
    assert len(loud) == RATE


def test_what_has_no_speech_stays_as_it_is() -> None:
    for sound in (silence(0.5), silence(0.01)):
        assert with_quiet_around(sound) is sound


def test_speech_comes_to_the_model_equally_loud_from_near_and_from_far(speech: Mapping[str, Samples]) -> None:
    near, far = (levelled(speech[LIGHT] * np.float32(gain)) for gain in (1.0, 0.003))
    assert np.allclose(near, far, atol=1e-4)
    frames = np.square(near[: len(near) // 320 * 320].reshape(-1, 320)).mean(axis=1)
    assert 10 * np.log10(frames[frames > frames.max() / 1000].mean()) == pytest.approx(LEVEL_DB, abs=0.1)
    silent = np.zeros(RATE, dtype=np.float32)
    assert levelled(silent) is silent


async def test_a_faint_voice_is_heard_in_the_same_words(engines: Engines, speech: Mapping[str, Samples]) -> None:
    for text, sound in speech.items():
        loud, faint = [
            (await engines.transcriber.transcribe(sound * np.float32(gain), Token(), language="en")).text
            for gain in (1.0, 0.01)
        ]
        assert plain(faint) == plain(loud), text
