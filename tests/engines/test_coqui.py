"""Speaking by Coqui TTS: with models that nobody has trained, on the same way as with those that can speak."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_models

from antiphon.settings import Settings, Tts
from antiphon_daemon.engines.build import build_synthesizer
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Revoked, Synthesizer, Tunable, Voice
from antiphon_daemon.engines.work import Token

TEXT = "Good evening, the light is on. It is cold outside!"
NAMED = "tts_models/en/ljspeech/vits"


async def built(language: str = "en", **tts: Any) -> Synthesizer:
    return await build_synthesizer(Settings(language=language, tts=Tts(engine="coqui", **tts)))


@pytest.fixture(scope="module")
def folder(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return torch_models.voice(tmp_path_factory.mktemp("coqui") / "noise")


@pytest.fixture(scope="module")
def several(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three speakers and two languages."""
    where = tmp_path_factory.mktemp("coqui") / "several"
    return torch_models.voice(where, ("anna", "bert", "cleo"), ("en", "pt-br"))


@pytest.fixture(scope="module")
def coqui(folder: Path) -> Iterator[Synthesizer]:
    one = asyncio.run(built(voice=str(folder)))
    yield one
    asyncio.run(one.close())


async def spoken(engine: Synthesizer, text: str, **more: Any) -> list[bytes]:
    asked = {"voice": None, "language": None, **more}
    return [pcm async for pcm in engine.speak(text, Token(), **asked)]


def seconds(blocks: list[bytes], engine: Synthesizer) -> float:
    return sum(map(len, blocks)) / 2 / engine.rate


@pytest.mark.torch
async def test_each_sentence_is_sound_of_its_own_at_the_one_rate(coqui: Synthesizer) -> None:
    assert (coqui.name, coqui.rate) == ("coqui noise", 22_050)
    assert coqui.voices == (Voice("noise", ("en",)),)
    blocks = await spoken(coqui, TEXT)
    assert len(blocks) == 2
    sounds = [np.frombuffer(block, np.int16) for block in blocks]
    assert all(np.abs(sound).max() > 0 for sound in sounds)
    assert all(np.abs(sound).max() < 2**15 - 1 for sound in sounds)
    # As long as its letters take, whatever the rate it is made at: the package's half second of silence follows none.
    half, whole = [seconds(await spoken(coqui, "an even measure " * times), coqui) for times in (2, 4)]
    assert whole == pytest.approx(2 * half, rel=0.1)


@pytest.mark.torch
@pytest.mark.parametrize("text", ["", " \n", "…!?", "🙂", "«»"])
async def test_what_cannot_be_said_is_no_sound(coqui: Synthesizer, text: str) -> None:
    assert not await spoken(coqui, text)


@pytest.mark.torch
async def test_letters_that_the_model_does_not_know_fail_or_are_left_out_and_the_next_text_is_said(
    coqui: Synthesizer,
) -> None:
    try:
        await spoken(coqui, "안녕하세요.")
    except EngineError as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert await spoken(coqui, "Hello.")


@pytest.mark.torch
async def test_no_log_tells_what_was_said(coqui: Synthesizer, caplog: pytest.LogCaptureFixture) -> None:
    """The package logs a whole text when it lacks one of its letters."""
    with caplog.at_level(logging.DEBUG):
        await spoken(coqui, "The secret word is façade.")
    assert "secret" not in caplog.text


@pytest.mark.torch
async def test_revoked_in_the_middle_nothing_more_is_said(coqui: Synthesizer) -> None:
    work = Token()
    blocks = coqui.speak(TEXT * 50, work, voice=None, language=None)
    assert await anext(blocks)
    work.revoke()
    with pytest.raises(Revoked):
        await anext(blocks)
    assert await spoken(coqui, "Hello.")


@pytest.mark.torch
async def test_the_first_sentence_comes_before_the_last_is_made(coqui: Synthesizer) -> None:
    async with aclosing(coqui.speak(TEXT * 500, Token(), voice=None, language="en_GB")) as blocks:
        assert seconds([await anext(blocks)], coqui) < 10


@pytest.mark.torch
async def test_speed_and_speaker_change_while_it_runs(folder: Path) -> None:
    one = await built(voice=str(folder))
    usual = seconds(await spoken(one, TEXT), one)
    assert isinstance(one, Tunable)
    await one.tune(Tts(engine="coqui", voice=str(folder), speed=2))
    assert seconds(await spoken(one, TEXT), one) == pytest.approx(usual / 2, rel=0.2)
    with pytest.raises(EngineError, match="There is no voice nobody here, take one of: noise"):
        await one.tune(Tts(engine="coqui", voice=str(folder), speaker="nobody"))
    assert seconds(await spoken(one, TEXT), one) == pytest.approx(usual / 2, rel=0.2)
    await one.close()


@pytest.mark.torch
async def test_speakers_and_languages_are_those_of_the_model(several: Path) -> None:
    one = await built("pt", voice=str(several), speaker="bert")
    assert one.voices == (Voice("several", ("pt", "en"), ("anna", "bert", "cleo")),)
    for voice in (None, "anna", "several", "several/cleo"):
        assert await spoken(one, "Hello.", voice=voice, language="en-US")
    with pytest.raises(EngineError, match="There is no voice several/dora here, take one of: several, anna, bert"):
        await spoken(one, "Hello.", voice="several/dora")
    with pytest.raises(EngineError, match=r"several speaks en, pt, not ko: name a voice for ko as tts\.voice"):
        await spoken(one, "안녕하세요.", language="ko")
    await one.close()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("changes", "house", "language"),
    [
        ({"languages": []}, "fi", "fi"),
        ({"languages": [], "phoneme_language": "de-de"}, "fi", "de"),
        ({"languages": [], "datasets": [{"language": "fr-fr"}]}, "fi", "fr"),
        ({"languages": ["yor"]}, "fi", "fi"),
    ],
)
async def test_a_model_speaks_what_it_says_or_else_the_language_of_the_house(
    folder: Path, tmp_path: Path, changes: dict[str, Any], house: str, language: str
) -> None:
    one = await built(house, voice=str(changed(folder, tmp_path / "changed", **changes)))
    assert one.voices[0].languages == (language,)
    assert await spoken(one, "Hello.", language=language)
    await one.close()


@pytest.mark.torch
async def test_a_model_of_other_letters_is_warmed_up_with_its_own(tmp_path: Path) -> None:
    one = await built("bg", voice=str(torch_models.voice(tmp_path / "bg", letters="абвгдежзийклмнопрстуфхцчшщъьюя")))
    assert await spoken(one, "Добър ден.", language="bg")
    await one.close()


def changed(folder: Path, to: Path, **changes: Any) -> Path:
    """Return a copy of a model with another configuration."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps({**config, **changes}))
    return to


@pytest.mark.torch
async def test_files_are_found_beside_a_model_that_was_trained_elsewhere(several: Path, tmp_path: Path) -> None:
    """A configuration names them where they were on the machine that trained it."""
    import torch

    there = {"speakers": [], "speakers_file": "/home/trainer/run/speakers.pth"}
    moved = changed(several, tmp_path / "moved", **there)
    config = json.loads((moved / "config.json").read_text())
    config["model_args"]["speakers_file"] = there["speakers_file"]
    (moved / "config.json").write_text(json.dumps(config))
    torch.save({"xaver": 0, "yvonne": 1, "zoe": 2}, moved / "speakers.pth")
    one = await built(voice=str(moved))
    assert one.voices[0].speakers == ("xaver", "yvonne", "zoe")
    assert json.loads((moved / "config.json").read_text()) == config, "it is left as it is"
    await one.close()


@pytest.mark.torch
async def test_a_model_is_found_by_the_packages_name_where_it_was_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    shutil.copytree(folder, tmp_path / "tts" / NAMED.replace("/", "--"))
    one = await built(voice=NAMED)
    assert one.voices == (Voice(NAMED, ("en",)),)
    assert await spoken(one, "Hello.", voice=NAMED, language="en")
    await one.close()


@pytest.mark.torch
async def test_a_model_that_makes_no_sound_itself_has_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the algorithm of Griffin and Lim; better by a vocoder: beside it, or the one that the package says fits."""
    mute = torch_models.mute_voice(tmp_path / "mute")
    glow, melgan = "tts_models--en--ljspeech--glow-tts", "vocoder_models--en--ljspeech--multiband-melgan"
    shutil.copytree(mute, tmp_path / "tts" / glow)
    torch_models.vocoder(tmp_path / "tts" / melgan)
    with_vocoder = tmp_path / "heard"
    shutil.copytree(mute, with_vocoder)
    shutil.copytree(tmp_path / "tts" / melgan, with_vocoder / "vocoder")
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    for voice, vocoder in ((str(mute), False), (str(with_vocoder), True), (glow.replace("--", "/"), True)):
        one = await built(voice=voice)
        assert await spoken(one, TEXT)
        assert (one._loaded._synthesizer.vocoder_model is not None) == vocoder  # type: ignore[attr-defined]
        await one.close()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("voice", "says"),
    [
        ("embedded", f"coqui has no embedded model: name one as tts.voice in config.yaml, such as {NAMED}"),
        (
            "tts_models/en/ljspeech/vitz",
            f"knows no model .*vitz: correct tts.voice in .*, did you mean {NAMED}",
        ),
        ("/nowhere/model", "There is no model file /nowhere/config.json"),
        (
            "tts_models/multilingual/multi-dataset/xtts_v2",
            "is under the CPML, which allows no commercial use: agree to it with COQUI_TOS_AGREED=1",
        ),
        (NAMED, rf"The model {NAMED} cannot be fetched .*: see to the network and start again, or name a folder\.$"),
    ],
)
async def test_what_cannot_be_had_is_one_sentence(
    voice: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):  # it fetches by itself; here it finds a proxy that does not answer
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(EngineError, match=says) as raised:
        await built(voice=voice)
    assert "\n" not in str(raised.value)


@pytest.mark.torch
async def test_a_folder_that_was_fetched_in_part_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package takes a folder for a model, whatever is in it."""
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    half = tmp_path / "tts" / NAMED.replace("/", "--")
    half.mkdir(parents=True)
    with pytest.raises(EngineError, match=rf"delete {re.escape(str(half))}"):
        await built(voice=NAMED)


@pytest.mark.torch
async def test_what_a_folder_lacks_is_named(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(EngineError, match="There is no model file .*bare/config.json"):
        await built(voice=str(bare))
    shutil.copy(folder / "config.json", bare)
    with pytest.raises(EngineError, match=r"The folder .*bare has no model \(\.pth\): name the model's file"):
        await built(voice=str(bare))
    for name in ("one.pth", "two.pth"):
        shutil.copy(folder / "model.pth", bare / name)
    with pytest.raises(EngineError, match=r"has several models \(one\.pth, two\.pth\): name the model's file"):
        await built(voice=str(bare))
    one = await built(voice=str(bare / "two.pth"))
    assert await spoken(one, "Hello.")
    await one.close()


@pytest.mark.torch
@pytest.mark.parametrize(("name", "size"), [("model.pth", 0), ("model.pth", 1000), ("config.json", 300)])
async def test_a_model_cut_short_is_named(folder: Path, tmp_path: Path, name: str, size: int) -> None:
    torn = tmp_path / "torn"
    shutil.copytree(folder, torn)
    (torn / name).write_bytes((folder / name).read_bytes()[:size])
    with pytest.raises(EngineError, match="torn.*fetch it again") as raised:
        await built(voice=str(torn))
    assert "\n" not in str(raised.value)


@pytest.mark.torch
async def test_a_model_that_needs_more_packages_names_them(folder: Path, tmp_path: Path) -> None:
    wants = changed(folder, tmp_path / "wants", use_phonemes=True, phonemizer="gruut", phoneme_language="en-us")
    with pytest.raises(EngineError, match=r"The model wants needs more packages \(.*gruut") as raised:
        await built(voice=str(wants))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("package", ["TTS", "torch", "torchaudio", "torchcodec"])
async def test_where_it_is_not_installed_its_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TTS", "torch", "torchaudio", "torchcodec"):
        monkeypatch.setitem(sys.modules, name, sys if name != package else None)
    with pytest.raises(
        EngineMissing, match=rf"^{package} is not installed: install it with: \./run\.sh extra coqui$"
    ) as raised:
        await built(voice=NAMED)
    assert raised.value.stage == "tts"


def test_the_engine_that_cannot_be_had_says_why_and_what_can() -> None:
    with pytest.raises(ValueError, match="styletts2 cannot be had: none of its packages is kept.*take Kokoro"):
        Tts(engine="styletts2")  # type: ignore[arg-type]
