"""Piper speaks, sentence by sentence."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from antiphon.audio.pcm import Samples, level_db, to_samples
from antiphon.settings import Settings, Tts
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.build import build_synthesizer
from antiphon_daemon.engines.contracts import EngineError, Engines, Revoked, Synthesizer
from antiphon_daemon.engines.tts import parting, vits
from antiphon_daemon.engines.tts.parting import CannotPart, part
from antiphon_daemon.engines.tts.piper import LEAST_PHONEMES, LONGEST_PIECE, MOST_PHONEMES, RATE, parts, pieces
from antiphon_daemon.engines.tts.vits import AROUND_FRAMES, FIRST_FRAMES, FLOW_AROUND, FLOW_FRAMES, Vits
from antiphon_daemon.engines.work import Token

Meanwhile = Callable[[Awaitable[list[bytes]]], Awaitable[list[bytes]]]


async def blocks(synthesizer: Synthesizer, text: str, voice: str | None = None) -> list[bytes]:
    return [block async for block in synthesizer.speak(text, Token(), voice=voice, language="en")]


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / RATE


async def test_sound_comes_sentence_by_sentence_while_the_loop_goes_on(
    engines: Engines, ticks_meanwhile: Meanwhile
) -> None:
    spoken = await ticks_meanwhile(blocks(engines.synthesizer, "The light is on. Good night! Anything else?"))
    assert len(spoken) >= 3
    assert 2 < seconds(b"".join(spoken)) < 6
    assert -40 < level_db(to_samples(b"".join(spoken))) < -6


async def test_the_first_sound_of_a_sentence_comes_before_the_rest_has_been_made(engines: Engines) -> None:
    """Order, not timing: the first block is a fraction of the sentence, and is there before the last one is begun."""
    text = "Octopuses have three hearts, and two of them pump blood through the gills, one to the rest of the body."
    first, *others = await blocks(engines.synthesizer, text)
    assert seconds(first) < 0.4
    assert seconds(b"".join(others)) > 3


def a_sentence() -> dict[str, Any]:
    """The inputs of a voice's model, with nothing left to chance."""
    ids = np.array([[1, 0, *([20, 0, 18, 0, 24, 0, 59, 0] * 20), 2]], dtype=np.int64)
    lengths, scales = np.array([ids.shape[1]], dtype=np.int64), np.array([0, 1, 0], dtype=np.float32)
    return {"input": ids, "input_lengths": lengths, "scales": scales}


def test_speech_in_pieces_is_the_speech_of_the_whole_model() -> None:
    options = onnxruntime.SessionOptions()
    model = Vits(catalogue.piper(), options)
    assert model.in_pieces
    whole = onnxruntime.InferenceSession(str(catalogue.piper()), options, providers=["CPUExecutionProvider"])
    arguments = a_sentence()
    pieces = list(model.speak(arguments))
    assert len(pieces) > 2
    wanted = whole.run(None, arguments)[0].reshape(-1)
    assert np.concatenate(pieces) == pytest.approx(wanted, abs=1e-4)
    assert model.warm_up(arguments) == pytest.approx(wanted, abs=1e-4)
    assert model.in_pieces


def test_the_decoder_is_parted_where_it_makes_values_more() -> None:
    model, options = catalogue.piper().read_bytes(), onnxruntime.SessionOptions()
    options.log_severity_level = 4
    parts = part(model)
    frames = np.random.default_rng(1).normal(size=(1, 192, 60)).astype(np.float32)
    values, sizes = frames, []
    for stage in parts.stages:
        session = onnxruntime.InferenceSession(stage, options, providers=["CPUExecutionProvider"])
        values = session.run(None, {session.get_inputs()[0].name: values})[0]
        sizes.append(values.shape[-1] // frames.shape[-1])
    assert sizes == [8, 64, 256]


def test_the_first_piece_needs_a_part_of_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    model, taken = Vits(catalogue.piper(), onnxruntime.SessionOptions()), list[int]()
    arguments = a_sentence()
    model.warm_up(arguments)
    run = model._flow.run

    def noted(names: list[str], values: Mapping[str, Any]) -> Any:
        taken.extend({value.shape[-1] for value in values.values()})
        return run(names, values)

    monkeypatch.setattr(model, "_flow", SimpleNamespace(run=noted))
    pieces = model.speak(arguments)
    next(pieces)
    assert taken == [FIRST_FRAMES + AROUND_FRAMES[0][0] + FLOW_AROUND]
    assert sum(len(piece) for piece in pieces) / 256 > taken[0]
    assert len(taken) == 2
    assert max(taken) <= FLOW_FRAMES + 2 * FLOW_AROUND


@pytest.mark.parametrize(("flow", "comes"), [("/another/flow", 0), ("/flow/flows.0/pre/Conv", 3)])
def test_a_flow_of_another_kind_is_spoken_all_the_same(monkeypatch: pytest.MonkeyPatch, flow: str, comes: int) -> None:
    """Without a flow that is known, and with one to which several things come."""
    monkeypatch.setattr(parting, "FLOW", flow)
    parts = part(catalogue.piper().read_bytes())
    assert len(parts.names.latent) == comes
    assert (parts.flow is None) == (comes == 0)
    model, arguments = Vits(catalogue.piper(), onnxruntime.SessionOptions()), a_sentence()
    wanted = model.warm_up(arguments)
    assert model.in_pieces
    assert np.concatenate(list(model.speak(arguments))) == pytest.approx(wanted, abs=1e-4)


def test_a_flow_that_looks_further_than_it_should_is_run_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vits, "FLOW_AROUND", 2)
    model, arguments = Vits(catalogue.piper(), onnxruntime.SessionOptions()), a_sentence()
    wanted = model.warm_up(arguments)
    assert model.in_pieces
    assert np.concatenate(list(model.speak(arguments))) == pytest.approx(wanted, abs=1e-4)


def test_what_the_decoder_needs_passes_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the speaker does in models of several; in this one nothing does but a mask."""
    monkeypatch.setattr(parting, "DECODER", "/Mul_7")
    model, options, arguments = catalogue.piper().read_bytes(), onnxruntime.SessionOptions(), a_sentence()
    options.log_severity_level = 4
    parts = part(model)
    encoder, flow, *stages = (
        onnxruntime.InferenceSession(one, options, providers=["CPUExecutionProvider"])
        for one in (parts.encoder, parts.flow, *parts.stages)
    )
    names = [output.name for output in encoder.get_outputs()]
    assert set(names) == {*parts.names.latent, *parts.names.extras}
    made = dict(zip(names, encoder.run(names, arguments), strict=True))
    values = flow.run([parts.names.frames], {name: made[name] for name in parts.names.latent})[0]
    values = stages[0].run(None, {parts.names.frames: values} | {name: made[name] for name in parts.names.extras})[0]
    for stage in stages[1:]:
        values = stage.run(None, {stage.get_inputs()[0].name: values})[0]
    whole = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    assert values == pytest.approx(whole.run(None, arguments)[0], abs=1e-4)


def test_a_decoder_without_stages_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parting, "STAGE", "/another/{}")
    model = Vits(catalogue.piper(), onnxruntime.SessionOptions())
    assert len(part(catalogue.piper().read_bytes()).stages) == 1
    arguments = a_sentence()
    wanted = model.warm_up(arguments)
    assert model.in_pieces
    pieces = list(model.speak(arguments))
    assert len(pieces) > 2
    assert np.concatenate(pieces) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("model", [b"", b"\x3a\x00", b"x" * 1000, b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 20])
def test_what_is_no_voice_cannot_be_parted(model: bytes) -> None:
    with pytest.raises(CannotPart):
        part(model)


async def test_a_model_that_cannot_be_parted_is_spoken_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parting, "DECODER", "/another/decoder")
    synthesizer = await build_synthesizer(Settings())
    try:
        assert len(await blocks(synthesizer, "The light in the kitchen is on right now.")) == 1
    finally:
        await synthesizer.close()


@pytest.mark.parametrize("text", ["", " ", "...", "—", "\n\n", "🙂", "**", "\x00", "[[", "?!", "「あ、い。」"])
async def test_nothing_speakable_is_nothing(engines: Engines, text: str) -> None:
    assert await blocks(engines.synthesizer, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "a\x00b\x07c",
        "lone \ud800 surrogate",
        "Hello 안녕하세요 مرحبا",
        "e\u0301",
        "1/2 & 3 < 4",
        "x" * 2000,
        *("à.é." * 60, "a.." * 100, "α.β." * 60, "a .b ." * 60),  # what espeak-ng takes for one abbreviation
    ],
)
async def test_odd_text_does_no_harm(engines: Engines, text: str) -> None:
    stream = engines.synthesizer.speak(text, Token(), voice=None, language=None)
    assert len(await anext(stream)) > 1000
    await stream.aclose()  # type: ignore[attr-defined]


async def test_raw_phonemes_are_not_taken_from_the_text(engines: Engines) -> None:
    """`[[…]]` would be pronounced phoneme by phoneme; here its words are read like any others."""
    plain = seconds(b"".join(await blocks(engines.synthesizer, "Say wonderful things today.")))
    marked = seconds(b"".join(await blocks(engines.synthesizer, "Say [[wonderful]] things today.")))
    assert marked == pytest.approx(plain, rel=0.25)
    assert all("[[" not in piece for piece in pieces("a [[[[b]]]] [[ c"))


def test_long_text_is_taken_in_pieces_and_loses_no_word() -> None:
    words = [f"word{n}" for n in range(3000)]
    for separator in (" ", ". ", "\n", ", "):
        cut = list(pieces(separator.join(words)))
        assert max(len(piece) for piece in cut) <= LONGEST_PIECE
        assert " ".join(cut).replace(".", "").replace(",", "").split() == words


SAID = [
    "9876543210 " * 36,
    "the cat sat on a mat and " * 16,
    "The cat, the mat, " * 22,
    "x" * 390,
]


@pytest.mark.parametrize("text", SAID)
async def test_no_sentence_is_encoded_so_long_that_its_first_sound_is_late(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    encoded: list[int] = []
    speak = Vits.speak

    def noted(model: Vits, arguments: Mapping[str, Any]) -> Iterator[Samples]:
        encoded.append(arguments["input"].shape[1])
        return speak(model, arguments)

    monkeypatch.setattr(Vits, "speak", noted)
    assert seconds(b"".join(await blocks(engines.synthesizer, text))) > 5
    assert max(encoded) <= 2 * MOST_PHONEMES + 3  # a blank behind each, and what begins and ends them


@pytest.mark.parametrize("pause", [",", ""])
@pytest.mark.parametrize("size", [0, 1, LEAST_PHONEMES, MOST_PHONEMES, MOST_PHONEMES + 1, 2 * MOST_PHONEMES + 5, 5000])
def test_a_sentence_is_parted_where_it_breathes_and_loses_nothing(size: int, pause: str) -> None:
    phonemes = [*f"one two three four five six seven{pause} " * 160][:size]
    cut = list(parts(phonemes))
    assert [one for part in cut for one in part] == phonemes
    assert all(LEAST_PHONEMES <= len(part) <= MOST_PHONEMES for part in cut) or len(cut) == (size > 0)
    assert {part[-1] for part in cut[:-1]} <= set(pause or " ")


def test_phonemes_without_a_space_are_parted_anywhere() -> None:
    assert [len(part) for part in parts("a" * 330)] == [160, 130, 40]


async def test_ten_thousand_words_are_cut_off_by_revoking(engines: Engines, ticks_meanwhile: Meanwhile) -> None:
    token = Token()

    async def listen() -> list[bytes]:
        text = "The sea was calm and the wind was low that day. " * 1000
        stream = engines.synthesizer.speak(text, token, voice=None, language=None)
        heard = [await anext(stream), await anext(stream)]
        token.revoke()
        with pytest.raises(Revoked):
            await anext(stream)
        return heard

    assert len(await ticks_meanwhile(listen())) == 2
    assert await blocks(engines.synthesizer, "Still here.")


async def test_two_at_once_take_turns(engines: Engines) -> None:
    order: list[str] = []

    async def listen(name: str, text: str) -> None:
        stream = engines.synthesizer.speak(text, Token(), voice=None, language=None)
        while await anext(stream, None):
            order.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(listen("long", "This is one sentence. " * 8))
        group.create_task(listen("short", "Yes."))
    assert order.index("short") < 4


async def test_unknown_voices_and_languages_say_what_there_is(engines: Engines) -> None:
    voice = engines.synthesizer.voices[0]
    assert (voice.name, list(voice.languages)) == ("en_US-joe-medium", ["en"])
    assert await blocks(engines.synthesizer, "Yes.", voice.name)
    with pytest.raises(EngineError, match="There is no voice amy here, only: en_US-joe-medium"):
        await blocks(engines.synthesizer, "Yes.", "amy")
    with pytest.raises(EngineError, match=r"speaks en, not ko: name a voice for ko as tts\.voice"):
        await anext(engines.synthesizer.speak("안녕", Token(), voice=None, language="ko"))


def copied_voice(folder: Path, **changes: object) -> Path:
    """Return a copy of the embedded voice with another `.json`."""
    path = folder / "voice.onnx"
    path.symlink_to(catalogue.piper())
    config = json.loads(Path(f"{catalogue.piper()}.json").read_text())
    Path(f"{path}.json").write_text(json.dumps(config | changes))
    return path


def tear(path: Path, size: int) -> Path:
    start = path.read_bytes()[:size]
    path.unlink()
    path.write_bytes(start)
    return path


async def test_a_voice_of_another_rate_and_speed_is_given_out_at_the_one_rate(engines: Engines, tmp_path: Path) -> None:
    path = copied_voice(tmp_path, audio={"sample_rate": 16_000}, language={"code": "en_GB", "family": "en"})
    synthesizer = await build_synthesizer(Settings(tts=Tts(voice=str(path), speed=2)))
    assert synthesizer.rate == RATE
    text = "The light in the kitchen is on right now."
    usual = seconds(b"".join(await blocks(engines.synthesizer, text)))
    other = seconds(b"".join(await blocks(synthesizer, text)))
    # Twice as fast halves it (Piper's timing is partly chance); at 16 000 Hz it takes 22 050 / 16 000 times as long.
    assert 0.6 * usual < other < 1.1 * usual
    await synthesizer.close()


async def test_a_speaker_that_the_voice_has_not_is_named(tmp_path: Path) -> None:
    path = copied_voice(tmp_path, speaker_id_map={"ann": 0, "ben": 1})
    with pytest.raises(EngineError, match="There is no voice carl here, only: voice, ann, ben"):
        await build_synthesizer(Settings(tts=Tts(voice=str(path), speaker="carl")))
    synthesizer = await build_synthesizer(Settings(tts=Tts(voice=str(path), speaker="ben")))
    assert list(synthesizer.voices[0].speakers) == ["ann", "ben"]
    assert await blocks(synthesizer, "Yes.", "ann")
    assert await blocks(synthesizer, "Yes.", "voice/ben")
    await synthesizer.close()


@pytest.mark.parametrize(("suffix", "size"), [("", 0), ("", 10), ("", 30_000_000), (".json", 0), (".json", 800)])
async def test_a_voice_cut_short_is_named(tmp_path: Path, suffix: str, size: int) -> None:
    path = copied_voice(tmp_path)
    torn = tear(Path(f"{path}{suffix}"), size)
    with pytest.raises(EngineError, match="fetch it again") as raised:
        await build_synthesizer(Settings(tts=Tts(voice=str(path))))
    assert str(torn) in str(raised.value)


async def test_closing_while_it_speaks() -> None:
    synthesizer = await build_synthesizer(Settings())
    stream = synthesizer.speak("One sentence. " * 50, Token(), voice=None, language=None)
    await anext(stream)
    began = time.monotonic()
    await synthesizer.close()
    assert time.monotonic() - began < 10
    with pytest.raises(Revoked):
        [block async for block in stream]
