"""Whisper hears by MLX: tiny.en in earnest, on Linux on the CPU, and scripted models for what happens around it."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from scripted_whisper import scripted
from speech import silence

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings, Stt
from antiphon_daemon.engines import catalogue, metal
from antiphon_daemon.engines.build import build_transcriber
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Engines, Revoked, Transcriber, Transcript
from antiphon_daemon.engines.stt import mlx_models
from antiphon_daemon.engines.stt.guards import plain
from antiphon_daemon.engines.stt.whisper import AGAIN, WINDOW_S
from antiphon_daemon.engines.work import Token

Meanwhile = Callable[[Awaitable[Transcript]], Awaitable[Transcript]]

KOREAN = "거실 불을 켜 줘."


async def ears(model: Path | str, **settings: str) -> Transcriber:
    return await build_transcriber(Settings(stt=Stt(engine="mlx_whisper", model=str(model), **settings)))  # type: ignore[arg-type]


def sound(seconds: float = 1.0) -> Samples:
    """Return something that a scripted model can be asked about."""
    return np.random.default_rng(7).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny.en in the form that mlx-whisper's own converter writes."""
    folder = tmp_path_factory.mktemp("mlx") / "whisper-tiny.en-mlx"
    folder.mkdir()
    model = mlx_models.load(catalogue.whisper(), mx.float16)
    (folder / "config.json").write_text(json.dumps({**asdict(model.dims), "model_type": "whisper"}))
    mx.save_safetensors(str(folder / "weights.safetensors"), dict(tree_flatten(model.parameters())))
    return folder


@pytest.fixture(scope="module")
def tiny(own_state: None, folder: Path) -> Iterator[Transcriber]:
    """The engine with that model."""
    built = asyncio.run(ears(folder))
    yield built
    asyncio.run(built.close())


@pytest.fixture
async def korean(tmp_path: Path) -> AsyncIterator[Transcriber]:
    """The engine with a model that always hears the same in Korean."""
    built = await ears(scripted(tmp_path / "ko", KOREAN))
    yield built
    await built.close()


async def test_commands_are_heard_as_faster_whisper_hears_them_while_the_loop_goes_on(
    tiny: Transcriber, engines: Engines, speech: Mapping[str, Samples], ticks_meanwhile: Meanwhile
) -> None:
    assert (tiny.name, tuple(tiny.languages)) == ("mlx-whisper whisper-tiny.en-mlx", ("en",))
    for text, said in speech.items():
        heard = await ticks_meanwhile(tiny.transcribe(said, Token(), language="en"))
        other = await engines.transcriber.transcribe(said, Token(), language="en")
        for one in (heard, other):
            assert plain(one.text).replace("10", "ten") == plain(text)
        assert (heard.language, heard.duration_s, heard.window_s) == ("en", len(said) / RATE, WINDOW_S)
        assert heard.tokens is not None
        assert 5 < heard.tokens < 15
        # The other one computes with integers of eight bits.
        assert heard.avg_logprob == pytest.approx(other.avg_logprob, abs=0.15)
        assert heard.no_speech_prob == pytest.approx(other.no_speech_prob, abs=0.15)
        assert heard.compression_ratio == pytest.approx(other.compression_ratio, abs=0.1)
    for nothing in (silence(1), sound(0.6)):
        assert not (await tiny.transcribe(nothing, Token(), language="en")).text


async def test_the_bundled_model_is_heard_with_too(speech: Mapping[str, Samples]) -> None:
    """It is CTranslate2's, as those of the catalogue are."""
    engine = await ears("embedded", compute_type="float16")
    assert engine.name == "mlx-whisper tiny.en"
    text, said = next(iter(speech.items()))
    assert plain((await engine.transcribe(said, Token(), language=None)).text) == plain(text)
    await engine.close()


async def test_the_language_is_found_where_none_is_given_and_believed_where_one_is(korean: Transcriber) -> None:
    assert {"ko", "en", "de"} <= set(korean.languages)
    heard = await korean.transcribe(sound(), Token(), language=None)
    assert (heard.text, heard.language) == (KOREAN, "ko")
    heard = await korean.transcribe(sound(), Token(), language="de-AT")
    assert (heard.text, heard.language) == (KOREAN, "de")
    with pytest.raises(EngineError, match="does not know the language xx: correct language in config.yaml"):
        await korean.transcribe(sound(), Token(), language="xx")


async def test_another_language_than_english_is_refused_with_what_mends_it(tiny: Transcriber) -> None:
    with pytest.raises(EngineError, match=r"whisper-tiny\.en-mlx knows English only, not ko: .* antiphon models pull"):
        await tiny.transcribe(sound(), Token(), language="ko")


@pytest.mark.parametrize("seconds", [0.3, 4.0, 9.0, 29.2, 50.0])
async def test_sound_of_any_length_fits_a_window(korean: Transcriber, seconds: float) -> None:
    heard = await korean.transcribe(sound(seconds), Token(), language="ko")
    assert heard.text == " ".join([KOREAN] * (2 if seconds > 30 else 1))


async def test_what_goes_round_in_a_circle_is_asked_twice_and_heard_once(tmp_path: Path) -> None:
    engine = await ears(scripted(tmp_path / "circle", " na", "en", ends=False))
    heard = await engine.transcribe(sound(2), Token(), language="en")
    assert heard.text == "na"
    assert heard.window_s == AGAIN * WINDOW_S
    assert heard.tokens is not None
    assert 40 < heard.tokens < 60, "no more than can be spoken"
    await engine.close()


async def test_hints_are_read_before_the_utterance(tiny: Transcriber, say: Callable[[str], Samples]) -> None:
    said = np.concatenate((silence(0.2), say("Open the Velux in the Arbeitszimmer.") * np.float32(0.5)))
    assert "Velux" not in (await tiny.transcribe(said, Token(), language="en")).text
    assert "Velux" in (await tiny.transcribe(said, Token(), language="en", hints=["Velux"])).text


class AFewTimes(Token):
    """Work that is wanted so many times, and then no more."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def wanted(self) -> bool:
        self.times -= 1
        return self.times >= 0


async def test_revoked_between_two_words_the_model_says_no_more(korean: Transcriber) -> None:
    work = AFewTimes(5)
    with pytest.raises(Revoked):
        await korean.transcribe(sound(), work, language="ko")
    assert work.times == -1, "it was asked again after it had been given up"
    assert (await korean.transcribe(sound(), Token(), language="ko")).text == KOREAN


async def test_nothing_is_computed_while_another_engine_has_the_gpu(korean: Transcriber) -> None:
    with metal.alone():
        hearing = asyncio.create_task(korean.transcribe(sound(), Token(), language="ko"))
        await asyncio.sleep(0.5)
        assert not hearing.done()
    assert (await hearing).text == KOREAN


@pytest.mark.parametrize("name", mlx_models.WEIGHTS)
@pytest.mark.parametrize("bits", [4, 8])
async def test_quantised_models_stay_quantised(tmp_path: Path, name: str, bits: int) -> None:
    engine = await ears(scripted(tmp_path / "q", KOREAN, bits=bits, name=name), compute_type="float32")
    heard = await engine.transcribe(sound(), Token(), language=None)
    assert (heard.text, heard.language) == (KOREAN, "ko")
    await engine.close()


async def refused(model: Path | str, **settings: str) -> str:
    """Return the one sentence with which a model is refused."""
    with pytest.raises(EngineError) as raised:
        await ears(model, **settings)
    says = str(raised.value)
    assert "\n" not in says
    return says


@pytest.mark.parametrize("name", [*mlx_models.WEIGHTS, mlx_models.CTRANSLATE2, "config.json"])
@pytest.mark.parametrize("size", [0, 5, 0.5])
async def test_a_file_cut_short_is_named(tmp_path: Path, name: str, size: float) -> None:
    if name == mlx_models.CTRANSLATE2:
        whole = (catalogue.whisper() / name).read_bytes()
    else:
        weights = mlx_models.WEIGHTS[0] if name == "config.json" else name
        whole = (scripted(tmp_path, KOREAN, name=weights) / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: round(size * len(whole)) if size < 1 else int(size)])
    says = await refused(tmp_path)
    assert says.startswith("The model ")
    assert str(tmp_path) in says
    assert "fetch it again" in says


async def test_a_model_that_lacks_a_part_or_has_others_than_it_says_is_found_at_the_start(tmp_path: Path) -> None:
    config = scripted(tmp_path, KOREAN) / "config.json"
    dims = json.loads(config.read_text())
    for name, value in (("n_text_layer", 2), ("n_mels", 40), ("n_vocab", 100), ("n_audio_state", 32)):
        config.write_text(json.dumps({**dims, name: value}))
        assert "fetch it again" in await refused(tmp_path), name


async def test_a_folder_of_another_kind_is_named_with_what_to_do(tmp_path: Path) -> None:
    nowhere = await refused("/nowhere")
    assert nowhere.startswith("There is no folder /nowhere: correct stt.model in config.yaml, or fetch a model")
    assert "There is no folder small" in await refused("small"), "sizes are faster_whisper's"
    (tmp_path / "model.safetensors").write_bytes(b"as others name it")
    assert "has no weights.safetensors or weights.npz for mlx-whisper" in await refused(tmp_path)
    with pytest.raises(EngineMissing, match="antiphon models pull whisper-small"):
        await ears("whisper-small")
    assert "belongs into llm.model" in await refused("qwen3-0.6b")


def ctranslate2(kind: str, dtype: int) -> bytes:
    """Return a model of CTranslate2's with nothing but the embeddings of two tokens."""
    said = [struct.pack("<H", len(name) + 1) + name.encode() + b"\0" for name in (kind, "decoder/embeddings/weight")]
    width = {0: 4, 1: 1, 4: 2}[dtype]
    array = struct.pack("<BIIBI", 2, 2, 3, dtype, 6 * width) + bytes(6 * width)
    return struct.pack("<I", 6) + said[0] + struct.pack("<II", 3, 1) + said[1] + array + struct.pack("<I", 0)


async def test_a_model_of_ctranslate2_that_it_cannot_use_is_named(tmp_path: Path) -> None:
    for kind, dtype, why in (
        ("TransformerSpec", 4, "is no Whisper (TransformerSpec): correct stt.model"),
        ("WhisperSpec", 1, "are quantised, as faster_whisper reads them and mlx_whisper does not: take a model in"),
        ("WhisperSpec", 4, "cannot be loaded; fetch it again"),
    ):
        (tmp_path / "model.bin").write_bytes(ctranslate2(kind, dtype))
        assert why in await refused(tmp_path)


async def test_another_type_than_mlx_computes_with_is_refused(tmp_path: Path) -> None:
    says = await refused(scripted(tmp_path, KOREAN), compute_type="int8")
    assert says.startswith("mlx_whisper cannot compute with int8: set stt.compute_type to auto, float16 or float32")


def test_it_brings_neither_torch_nor_what_finds_the_times_of_words() -> None:
    code = "import sys, antiphon_daemon.engines.stt.mlx_whisper; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"torch", "numba", "scipy", "faster_whisper", "ctranslate2"} & set(ran.stdout.split())
