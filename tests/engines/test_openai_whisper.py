"""Whisper on PyTorch hears as faster-whisper does, with the same weights; and what is said where it cannot."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_models
from jiwer import wer
from speech import Say, silence

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings, Stt
from antiphon_daemon.engines.build import build_transcriber
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Engines, Revoked, Transcriber, Transcript
from antiphon_daemon.engines.stt.guards import plain
from antiphon_daemon.engines.stt.whisper import WINDOW_S
from antiphon_daemon.engines.work import Token

LIGHT = "Turn on the light in the kitchen."
SENTENCES = (
    LIGHT,
    "The station was full of people who were waiting for the train to London.",
    "My sister opened the window and called the dog.",
    "Please wake me up at half past six tomorrow morning.",
    "How warm will it be in Paris on Sunday?",
)


@pytest.fixture(scope="module")
def file(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return torch_models.whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def whisper(file: Path) -> Iterator[Transcriber]:
    """The embedded tiny.en as the daemon builds it of a .pt file."""
    one = asyncio.run(built(model=str(file)))
    yield one
    asyncio.run(one.close())


async def built(**stt: Any) -> Transcriber:
    return await build_transcriber(Settings(stt=Stt(engine="openai_whisper", **stt)))


async def hear(engine: Transcriber, audio: Samples, **more: Any) -> Transcript:
    return await engine.transcribe(audio, Token(), **{"language": "en", **more})


@pytest.mark.torch
async def test_it_hears_about_as_well_as_faster_whisper_with_the_same_weights(
    whisper: Transcriber, engines: Engines, say: Say
) -> None:
    assert (whisper.name, list(whisper.languages)) == ("openai-whisper tiny.en", ["en"])
    around = silence(0.2)
    errors = dict.fromkeys((whisper, engines.transcriber), 0.0)
    for text in SENTENCES:
        audio = np.concatenate((around, say(text) * np.float32(0.5), around))
        for engine in errors:
            errors[engine] += wer(plain(text), plain((await hear(engine, audio)).text)) / len(SENTENCES)
    assert errors[whisper] <= errors[engines.transcriber] + 0.05
    assert errors[whisper] < 0.2


@pytest.mark.torch
async def test_it_tells_what_the_guards_ask_for(whisper: Transcriber, speech: Mapping[str, Samples]) -> None:
    heard = await hear(whisper, speech[LIGHT], language=None)
    assert plain(heard.text) == plain(LIGHT)
    assert heard.language == "en"
    assert heard.avg_logprob is not None
    assert -1 < heard.avg_logprob < 0
    assert heard.no_speech_prob is not None
    assert heard.no_speech_prob < 0.5
    assert heard.tokens is not None
    assert 5 < heard.tokens < 15
    assert heard.window_s == WINDOW_S


@pytest.mark.torch
async def test_a_longer_window_is_as_good_and_the_next_short_one_too(
    whisper: Transcriber, speech: Mapping[str, Samples]
) -> None:
    """The model is told anew each time how much it sees."""
    long = np.concatenate([*speech.values(), *speech.values()])
    for audio, window_s in ((speech[LIGHT], WINDOW_S), (long, len(long) / RATE), (speech[LIGHT], WINDOW_S)):
        heard = await hear(whisper, audio)
        assert plain(LIGHT) in plain(heard.text)
        assert heard.window_s is not None
        assert heard.window_s >= window_s


@pytest.mark.torch
@pytest.mark.parametrize(("vocabulary", "mels", "count", "last"), [(51865, 80, 99, "su"), (51866, 128, 100, "yue")])
async def test_a_model_of_many_languages_finds_out_which_it_is(
    tmp_path: Path, speech: Mapping[str, Samples], vocabulary: int, mels: int, count: int, last: str
) -> None:
    """Nobody has trained this one, so it finds any; as the makers' small and large models it knows 99 or 100."""
    one = await built(model=str(torch_models.untrained_whisper(tmp_path, vocabulary, mels)))
    assert (len(one.languages), list(one.languages)[-1]) == (count, last)
    assert (await hear(one, speech[LIGHT], language=None)).language in one.languages
    assert (await hear(one, speech[LIGHT], language="ko-KR")).language == "ko"
    with pytest.raises(EngineError, match="does not know the language xx: correct language in config.yaml"):
        await hear(one, speech[LIGHT], language="xx")
    await one.close()


@pytest.mark.torch
async def test_hints_are_what_it_reads_before(whisper: Transcriber, speech: Mapping[str, Samples]) -> None:
    heard = await hear(whisper, speech[LIGHT], hints=["Antiphon", "Wohnzimmer", "kitchen"])
    assert "light in the kitchen" in heard.text


@pytest.mark.torch
@pytest.mark.parametrize("level_db", [-60, -40, -20])
async def test_noise_is_nothing(whisper: Transcriber, level_db: float) -> None:
    noise = np.random.default_rng(7).standard_normal(3 * RATE).astype(np.float32) * np.float32(10 ** (level_db / 20))
    assert (await hear(whisper, np.clip(noise, -1, 1))).text == ""


@pytest.mark.torch
async def test_revoked_between_two_tokens(whisper: Transcriber, speech: Mapping[str, Samples]) -> None:
    work = Token()
    minute = np.concatenate([*speech.values()] * 12)
    task = asyncio.create_task(whisper.transcribe(minute, work, language="en"))
    await asyncio.sleep(0.1)
    work.revoke()
    with pytest.raises(Revoked):
        await task
    assert plain((await hear(whisper, speech[LIGHT])).text) == plain(LIGHT)


@pytest.mark.torch
async def test_another_language_says_what_to_do(whisper: Transcriber) -> None:
    with pytest.raises(EngineError, match=r"The model tiny\.en knows English only, not ko: name a model .* stt\.model"):
        await hear(whisper, silence(1), language="ko")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("stt", "says"),
    [
        ({}, "openai_whisper has no embedded model: name one as stt.model in config.yaml, such as tiny.en"),
        ({"model": "huge"}, "knows no model huge: correct stt.model in config.yaml, it can be one of tiny.en, tiny"),
        ({"model": "/nowhere/tiny.pt"}, "There is no model file /nowhere/tiny.pt: correct stt in config.yaml"),
        ({"model": "whisper-small"}, "whisper-small is a model for faster_whisper, not for openai_whisper: correct"),
        ({"device": "cuda"}, "PyTorch finds no GPU with CUDA here: set stt.device to auto or cpu"),
        ({"compute_type": "int8"}, "cannot compute with int8 on cpu: set stt.compute_type to auto or float32"),
    ],
)
async def test_what_cannot_be_used_is_one_sentence(stt: dict[str, Any], says: str) -> None:
    import torch

    if "device" in stt and torch.cuda.is_available():
        return
    with pytest.raises(EngineError, match=re.escape(says)) as raised:
        await built(**{"device": "cpu", **stt})
    assert "\n" not in str(raised.value)


@pytest.mark.torch
@pytest.mark.parametrize("size", [0, 5, 1000, 40_000_000])
def test_a_model_cut_short_is_named(tmp_path: Path, file: Path, size: int) -> None:
    torn = tmp_path / "torn.pt"
    torn.write_bytes(file.read_bytes()[:size])
    with pytest.raises(EngineError, match=f"{re.escape(str(torn))} .*fetch it again") as raised:
        asyncio.run(built(model=str(torn)))
    assert "\n" not in str(raised.value)


@pytest.mark.torch
async def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    import torch

    other = tmp_path / "other.pt"
    torch.save({"weights": torch.zeros(3)}, other)
    with pytest.raises(EngineError, match="other.pt cannot be loaded"):
        await built(model=str(other))


@pytest.mark.torch
async def test_a_size_that_cannot_be_fetched_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package fetches by itself; here it finds a proxy that does not answer."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(EngineError, match=r"The model base cannot be fetched or loaded .*name a \.pt file") as raised:
        await built(model="base")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("package", ["whisper", "torch"])
async def test_where_it_is_not_installed_its_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whisper", "torch"):
        monkeypatch.setitem(sys.modules, name, sys if name != package else None)
    with pytest.raises(
        EngineMissing, match=rf"^{package} is not installed: install it with: \./run\.sh extra openai-whisper$"
    ) as raised:
        await built(model="small")
    assert raised.value.stage == "stt"
