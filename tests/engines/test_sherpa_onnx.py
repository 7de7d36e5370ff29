"""sherpa-onnx with models that hear tones (no package brings a real one), and folders that hold none."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from tone_models import HIGH_HZ, LOW_HZ, offline, streaming, tones

from antiphon.settings import Settings, Stt
from antiphon_daemon.engines.build import build_transcriber
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Transcriber
from antiphon_daemon.engines.stt.sherpa_models import find
from antiphon_daemon.engines.stt.sherpa_onnx import Streaming
from antiphon_daemon.engines.work import Token


async def ears(folder: Path, language: str = "en") -> Transcriber:
    return await build_transcriber(Settings(language=language, stt=Stt(engine="sherpa_onnx", model=str(folder))))


@pytest.mark.parametrize("make", [streaming, offline])
async def test_tones_are_heard(tmp_path: Path, make: object) -> None:
    assert callable(make)
    engine = await ears(make(tmp_path / "sherpa-onnx-streaming-zipformer-korean-2024-06-16"), "ko")
    assert engine.name == "sherpa-onnx sherpa-onnx-streaming-zipformer-korean-2024-06-16"
    assert tuple(engine.languages) == ("ko",)
    for heights, text in (((LOW_HZ,), "low"), ((HIGH_HZ,), "high"), ((HIGH_HZ, LOW_HZ, HIGH_HZ), "high low high")):
        heard = await engine.transcribe(tones(*heights), Token(), language="ko")
        assert (heard.text, heard.language) == (text, "ko")
    with pytest.raises(EngineError, match="knows ko only, not en"):
        await engine.transcribe(tones(LOW_HZ), Token(), language="en")
    await engine.close()


async def test_a_streaming_model_tells_words_before_the_end(tmp_path: Path) -> None:
    engine = await ears(streaming(tmp_path / "tones"))
    assert isinstance(engine, Streaming)
    stream = engine.open(Token(), language=None)
    stream.push(tones(LOW_HZ))
    async with asyncio.timeout(30), aclosing(stream.partials()) as partials:  # type: ignore[type-var]
        assert await anext(partials) == "low"
        stream.push(tones(HIGH_HZ))
        assert (await stream.finish()).text == "low high"
    await engine.close()


async def test_minutes_of_sound_are_heard_in_parts(tmp_path: Path) -> None:
    engine = await ears(offline(tmp_path / "tones"))
    heard = await engine.transcribe(tones(*[LOW_HZ, HIGH_HZ] * 40), Token(), language=None)
    assert heard.text == " ".join(["low high"] * 40)
    await engine.close()


async def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="There is no folder /nowhere: correct stt.model in config.yaml, or fetch"):
        await ears(Path("/nowhere"))
    with pytest.raises(EngineError, match=r"No package brings a model of sherpa-onnx: name the folder of one"):
        await ears(Path("embedded"))
    with pytest.raises(EngineError, match=r"whisper-small is a model for faster_whisper, not for sherpa_onnx"):
        await ears(Path("whisper-small"))
    with pytest.raises(EngineError, match=r"There is no model file .*tokens\.txt"):
        await ears(tmp_path)
    (tmp_path / "tokens.txt").write_text("a 1")
    with pytest.raises(EngineError, match="it has neither an encoder nor a model in ONNX"):
        await ears(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "joiner.onnx").unlink(), r"it holds decoder and encoder of the type lstm"),
        (lambda folder: (folder / "encoder.onnx").write_bytes(b"<html>"), r"encoder\.onnx cannot be loaded; fetch it"),
        (lambda folder: (folder / "joiner.onnx").write_bytes(b""), r"joiner\.onnx cannot be loaded.*cut short"),
        (
            lambda folder: (folder / "encoder.onnx").write_bytes((folder / "encoder.onnx").read_bytes()[:900]),
            r"encoder\.onnx cannot be loaded; fetch it again, it may be cut short",
        ),
        (
            lambda folder: (folder / "encoder.onnx").write_bytes(
                (folder / "encoder.onnx").read_bytes().replace(b"d_model", b"e_model")
            ),
            r"its encoder does not say d_model",
        ),
    ],
)
async def test_what_would_end_the_program_is_found_before(tmp_path: Path, spoil: object, says: str) -> None:
    folder = streaming(tmp_path / "tones")
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(EngineError, match=says):
        await ears(folder)


def test_the_names_of_files_and_folders_tell_parts_and_languages(tmp_path: Path) -> None:
    made = streaming(tmp_path / "made")
    folder = tmp_path / "sherpa-onnx-streaming-zipformer-bilingual-zh-en-2023-02-20"
    folder.mkdir()
    for part in ("encoder", "decoder", "joiner"):
        shutil.copy(made / f"{part}.onnx", folder / f"{part}-epoch-99-avg-1.onnx")
        shutil.copy(made / f"{part}.onnx", folder / f"{part}-epoch-99-avg-1.int8.onnx")
    shutil.copy(made / "tokens.txt", folder)
    found = find(folder)
    assert (found.kind, found.type, found.languages) == ("streaming", "lstm", ("zh", "en"))
    assert found.files["encoder"].endswith("encoder-epoch-99-avg-1.int8.onnx")


async def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)
    with pytest.raises(EngineMissing, match=r"\./run\.sh extra sherpa-onnx"):
        await ears(streaming(tmp_path))
