"""Piper speaks, sentence by sentence, each from its beginning on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from antiphon.audio.pcm import level_db, to_samples
from antiphon.settings import Settings, Tts
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.build import build_synthesizer
from antiphon_daemon.engines.contracts import EngineError, Engines, Revoked, Synthesizer
from antiphon_daemon.engines.tts.piper import LONGEST_PIECE, RATE, _open, pieces
from antiphon_daemon.engines.tts.piper_parts import parts
from antiphon_daemon.engines.work import Token

Meanwhile = Callable[[Awaitable[list[bytes]]], Awaitable[list[bytes]]]


async def blocks(synthesizer: Synthesizer, text: str, voice: str | None = None) -> list[bytes]:
    return [block async for block in synthesizer.speak(text, Token(), voice=voice, language="en")]


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / RATE


async def test_a_sentence_begins_before_it_is_whole_while_the_loop_goes_on(
    engines: Engines, ticks_meanwhile: Meanwhile
) -> None:
    spoken = await ticks_meanwhile(blocks(engines.synthesizer, "Once upon a time there was a dragon. Good night!"))
    assert len(spoken) > 3
    assert len(spoken[0]) / 2 / engines.synthesizer.rate < 0.6
    for block in spoken:
        assert 0 < seconds(block) < 3
        assert -40 < level_db(to_samples(block)) < -6


@pytest.mark.parametrize("text", ["", " ", "...", "—", "\n\n", "🙂", "**", "\x00", "[[", "?!"])
async def test_nothing_speakable_is_nothing(engines: Engines, text: str) -> None:
    assert await blocks(engines.synthesizer, text) == []


@pytest.mark.parametrize(
    "text", ["a\x00b\x07c", "lone \ud800 surrogate", "Hello 안녕하세요 مرحبا", "e\u0301", "1/2 & 3 < 4", "x" * 2000]
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


def test_the_pieces_of_a_sentence_are_the_sentence() -> None:
    """A voice in two parts, decoded in pieces, gives the very samples of the voice as it is."""
    path = catalogue.piper()
    two = parts(path, partial(_open, computing=2))
    assert two is not None
    ids = [1, *(symbol for number in range(20, 60) for symbol in (0, number)), 0, 2]
    given = {
        "input": np.array([ids], dtype=np.int64),
        "input_lengths": np.array([len(ids)], dtype=np.int64),
        "scales": np.array([0.0, 1.0, 0.0], dtype=np.float32),
    }
    whole = _open(path, 2).run(None, given)[0].reshape(-1)
    pieces = list(two.say(given))
    assert len(pieces) > 2
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


def test_a_voice_of_another_shape_is_used_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    other = catalogue.smart_turn()  # a model, but no voice
    assert parts(other, partial(_open, computing=1)) is None
