"""Speech by Supertonic: the package itself on a model that speaks in tones, since no package brings its weights."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tone_voices import SUPERTONIC_RATE as RATE
from tone_voices import pitch_of, supertonic

from antiphon.settings import Settings, Tts
from antiphon_daemon.engines import models
from antiphon_daemon.engines.build import build_synthesizer
from antiphon_daemon.engines.contracts import EngineError, EngineMissing
from antiphon_daemon.engines.work import Token

PITCHES = {"F1": 250.0, "M1": 125.0}


async def made(folder: Path, language: str = "ko", **settings: Any) -> Any:
    """Return the engine on a model."""
    section = Tts(engine="supertonic", voice=str(folder), **settings)
    return await build_synthesizer(Settings(language=language, tts=section))


async def said(engine: Any, text: str, voice: str | None = None, language: str | None = None) -> list[bytes]:
    """Return the blocks of what is said."""
    return [pcm async for pcm in engine.speak(text, Token(), voice=voice, language=language)]


@pytest.fixture
async def tones(tmp_path: Path) -> AsyncIterator[Any]:
    """The engine on voices that speak in tones, in a Korean house."""
    engine = await made(supertonic(tmp_path / "tones", PITCHES))
    yield engine
    await engine.close()


async def test_each_voice_speaks_korean_and_thirty_other_languages(tones: Any) -> None:
    assert [one.name for one in tones.voices] == ["F1", "M1"]
    assert len(tones.voices[0].languages) == 31
    for voice, language, text in (
        ("F1", "ko", "부엌의 불을 켰습니다."),
        ("M1", "en-US", "The light is on."),
        ("F1", None, "네."),
    ):
        pcm = b"".join(await said(tones, text, voice, language))
        assert pitch_of(pcm, RATE) == pytest.approx(PITCHES[voice], abs=5)
    assert pitch_of(b"".join(await said(tones, "네, 켰습니다.", "tones/M1")), RATE) == pytest.approx(125, abs=5)


async def test_what_it_does_not_speak_is_refused_in_a_sentence(tones: Any) -> None:
    with pytest.raises(EngineError, match=r"^tones speaks en, ko, ja, .*, not zh: choose another tts\.engine"):
        await said(tones, "你好。", language="zh")
    with pytest.raises(EngineError, match="^There is no voice X9 here, only: F1, M1"):
        await said(tones, "네.", "X9")


@pytest.mark.parametrize(("version", "languages"), [("v1.5.0", ("en",)), ("v1.6.0", ("en", "ko", "es", "pt", "fr"))])
async def test_earlier_models_speak_what_they_were_trained_in(
    tmp_path: Path, version: str, languages: tuple[str, ...]
) -> None:
    engine = await made(supertonic(tmp_path / "old", PITCHES, version=version), language="en")
    assert engine.voices[0].languages == languages
    assert await said(engine, "Hello.", language="en")
    with pytest.raises(EngineError, match="not de"):
        await said(engine, "Hallo.", language="de")
    await engine.close()


async def test_long_text_comes_piece_by_piece(tones: Any) -> None:
    """A syllable of Hangul counts twice, so pieces stay below what the model can say of Korean."""
    kitchen, bedroom = "부엌의 불은 지금 켜져 있고,", "침실 창문은 오늘 아침 일곱 시부터 열려 있습니다,"
    blocks = await said(tones, f"{kitchen} {bedroom} 그래서 이제 닫아 주세요. 네.")
    assert len(blocks) >= 3
    assert all(len(block) < 2 * RATE * 15 for block in blocks)


async def test_speed_is_kept_within_what_the_model_can(tmp_path: Path) -> None:
    folder = supertonic(tmp_path / "tones", PITCHES)
    lengths = {}
    for speed in (0.25, 0.5, 1.0, 4.0):
        engine = await made(folder, speed=speed)
        lengths[speed] = len(b"".join(await said(engine, "안녕하세요, 반갑습니다.")))
        await engine.close()
    assert lengths[0.25] == lengths[0.5] > lengths[1.0] > lengths[4.0]


async def test_a_model_of_another_rate_is_given_out_at_the_one_rate(tmp_path: Path) -> None:
    engine = await made(supertonic(tmp_path / "tones", PITCHES, rate=24_000))
    assert engine.rate == RATE
    assert pitch_of(b"".join(await said(engine, "안녕하세요, 반갑습니다.")), RATE) == pytest.approx(250, abs=5)
    await engine.close()


@pytest.mark.parametrize("text", ["", " ", "...", "🙂", "\x00", "?!"])
async def test_nothing_speakable_is_nothing(tones: Any, text: str) -> None:
    assert await said(tones, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "a\x00b\x07c",
        "lone \ud800 surrogate",
        "Hello 안녕하세요 مرحبا 你好",
        "e\u0301",
        "𝓗i 🙂",
        "<en>no</en>",
        "x" * 2000,
    ],
)
async def test_odd_text_does_no_harm(tones: Any, text: str) -> None:
    assert await said(tones, text)


async def test_nothing_is_fetched_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package would fetch 400 MB when it is not told where its files are."""

    def refused(*_: object, **__: object) -> None:
        pytest.fail("it went to the network")

    monkeypatch.setenv("ANTIPHON_STATE", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    with pytest.raises(EngineMissing, match="^The model supertonic-3 is not here: fetch it with: antiphon models pull"):
        await build_synthesizer(Settings(tts=Tts(engine="supertonic")))
    folder = supertonic(tmp_path / "tones", PITCHES)
    (folder / "onnx" / "vocoder.onnx").unlink()
    with pytest.raises(EngineError, match=r"There is no model file .*vocoder\.onnx"):
        await made(folder)


async def test_a_pulled_model_lies_flat_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_STATE", str(tmp_path))
    source = supertonic(tmp_path / "hub", PITCHES)
    folder = models.own_folder() / "supertonic-3"
    folder.mkdir(parents=True)
    for file in [*source.glob("onnx/*"), *source.glob("voice_styles/*")]:
        file.rename(folder / file.name)
    (folder / models.MANIFEST).write_text(json.dumps({"files": {}}))
    engine = await build_synthesizer(Settings(language="ko", tts=Tts(engine="supertonic")))
    assert engine.name == "supertonic supertonic-3 F1"
    assert await said(engine, "네.")
    await engine.close()


async def test_what_is_no_such_model_is_named(tmp_path: Path) -> None:
    folder = supertonic(tmp_path / "tones", PITCHES)

    async def refuses(file: str, content: bytes, says: str) -> None:
        before = (folder / file).read_bytes()
        (folder / file).write_bytes(content)
        with pytest.raises(EngineError, match=says):
            await made(folder)
        (folder / file).write_bytes(before)

    again = "cannot be loaded; fetch it again"
    await refuses("onnx/vocoder.onnx", b"<!doctype html>", rf"vocoder\.onnx {again}")
    await refuses("onnx/tts.json", b"{", rf"tts\.json {again}")
    await refuses("onnx/tts.json", b"[]", rf"tts\.json {again}")
    await refuses("onnx/tts.json", b"{}", rf"tts\.json {again}")
    await refuses("onnx/unicode_indexer.json", b"{}", rf"unicode_indexer\.json {again}")
    await refuses("voice_styles/F1.json", b'{"a": 1}', rf"F1\.json {again}")
    for voice in (folder / "voice_styles").glob("*.json"):
        voice.unlink()
    with pytest.raises(EngineError, match="There are no voices in .*: fetch the folder voice_styles"):
        await made(folder)
    with pytest.raises(EngineError, match="There is no folder /nowhere: correct"):
        await made(Path("/nowhere"))


async def test_it_is_as_loud_as_other_voices_and_never_clipped(tones: Any) -> None:
    (pcm,) = await said(tones, "네.")
    assert 0.85 < np.abs(np.frombuffer(pcm, np.int16)).max() / 32768 <= 1
