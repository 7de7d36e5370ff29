"""Speech by espeak-ng: every language it has, as it is made, killed when nobody wants it, and a program that fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import numpy as np
import psutil
import pytest

from antiphon.audio.pcm import to_samples
from antiphon.settings import Settings, Tts
from antiphon_daemon.engines.build import build_synthesizer
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Revoked
from antiphon_daemon.engines.tts.espeak import Espeak, speakable
from antiphon_daemon.engines.work import Token

LONG = "This sentence is one of many, and there is no end to them. " * 400
SAYS = {
    "en": "Good morning.",
    "ko": "안녕하세요, 좋은 아침입니다.",
    "ja": "おはようございます。",
    "zh": "早上好。",
    "ru": "Доброе утро.",
    "ar": "صباح الخير.",
    "de": "Guten Morgen.",
}


@pytest.fixture
async def espeak() -> AsyncIterator[Espeak]:
    one = Espeak(Tts(engine="espeak"), "en")
    yield one
    await one.close()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that puts a script in the program's place; lists of voices are still its own."""
    real = shutil.which("espeak-ng")

    def put(script: str) -> None:
        path = tmp_path / "espeak-ng"
        path.write_text(f'#!/bin/sh\ncase $1 in --voices*) exec {real} "$@";; esac\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


async def said(engine: Espeak, text: str, *, voice: str | None = None, language: str | None = None) -> bytes:
    return b"".join([pcm async for pcm in engine.speak(text, Token(), voice=voice, language=language)])


def processes() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if one.name() == "espeak-ng"]


@pytest.mark.parametrize("language", SAYS)
async def test_each_language_is_spoken_by_its_own_voice(espeak: Espeak, language: str) -> None:
    own = to_samples(await said(espeak, SAYS[language], language=language))
    assert 0.3 < len(own) / espeak.rate < 5
    assert np.abs(own).max() > 0.1
    if language != "en":
        other = to_samples(await said(espeak, SAYS[language], language="en"))
        assert len(own) != len(other) or not np.array_equal(own, other), "the same as an English voice makes of it"


async def test_the_house_decides_which_voice_comes_first() -> None:
    korean = Espeak(Tts(engine="espeak", speaker="f2"), "ko")
    assert korean.name == "espeak-ng ko+f2"
    assert korean.voices[0].name == "ko"
    assert korean.voices[0].languages == ("ko",)
    assert len(korean.voices) > 100
    names = {language: Espeak(Tts(engine="espeak"), language).name for language in ("en", "zh", "no", "pt", "ru", "fr")}
    assert names == {
        "en": "espeak-ng en-gb",
        "zh": "espeak-ng cmn",
        "no": "espeak-ng nb",
        "pt": "espeak-ng pt",
        "ru": "espeak-ng ru",
        "fr": "espeak-ng fr-fr",
    }


async def test_speed_and_voice_change_while_it_runs(espeak: Espeak) -> None:
    plain = await said(espeak, SAYS["en"])
    await espeak.tune(Tts(engine="espeak", speed=2))
    assert len(await said(espeak, SAYS["en"])) < 0.75 * len(plain)
    await espeak.tune(Tts(engine="espeak", voice="en-us+f3"))
    assert espeak.name == "espeak-ng en-us+f3"
    assert await said(espeak, SAYS["en"]) != plain
    with pytest.raises(EngineError, match=r"has no variant xyz: take one that espeak-ng --voices=variant lists"):
        await espeak.tune(Tts(engine="espeak", voice="en-us+xyz"))
    assert espeak.name == "espeak-ng en-us+f3"


@pytest.mark.parametrize(
    ("voice", "language", "says"),
    [
        ("--help", None, "has no voice --help"),
        ("../../etc/passwd", None, "has no voice"),
        ("ko", "en", "The voice ko speaks ko, not en"),
        (None, "xx", "does not speak xx: name a voice as tts.voice"),
    ],
)
async def test_what_it_does_not_have_is_refused(
    espeak: Espeak, voice: str | None, language: str | None, says: str
) -> None:
    with pytest.raises(EngineError, match=says):
        await said(espeak, "Hello.", voice=voice, language=language)
    assert not processes()


async def test_no_abbreviation_is_too_long_for_it(espeak: Espeak) -> None:
    assert await said(espeak, "à.é." * 60)


@pytest.mark.parametrize("text", ["", " \n", "…", "\0\x1b", "\ud800"])
async def test_nothing_to_say_is_silence_and_starts_nothing(espeak: Espeak, text: str) -> None:
    assert await said(espeak, text) == b""


async def test_letters_that_it_could_only_spell_are_left_out(espeak: Espeak) -> None:
    plain = await said(espeak, "It is written there.", voice="en-us+f2")
    quoted = await said(espeak, "It is written ありがとうございます there.", voice="en-us+f2")
    assert len(quoted) < 1.2 * len(plain)
    assert not await said(espeak, "ありがとう", voice="en-us+f2")
    assert await said(espeak, "ありがとう", voice="ja")


def test_brackets_are_no_phonemes_and_controls_are_spaces() -> None:
    assert speakable("a[[h@l'oU]]b\0c\ud800") == "a[ [h@l'oU]]b c"


async def test_the_first_sound_comes_long_before_the_last(espeak: Espeak) -> None:
    async with aclosing(espeak.speak(LONG, Token(), voice=None, language=None)) as blocks:
        first = await anext(blocks)
        running = processes()
        assert len(first) <= 2 * 4096
        assert [one.status() != psutil.STATUS_ZOMBIE for one in running] == [True], "it had made all of it"
    assert not processes()


async def test_revoked_in_the_middle_the_program_is_killed_even_if_nobody_reads(espeak: Espeak) -> None:
    work = Token()
    blocks = espeak.speak(LONG, work, voice=None, language=None)
    await anext(blocks)
    (running,) = processes()
    work.revoke()
    await asyncio.to_thread(psutil.wait_procs, [running], 10)
    assert not running.is_running() or running.status() == psutil.STATUS_ZOMBIE
    with pytest.raises(Revoked):
        assert [pcm async for pcm in blocks] == []
    assert not processes()


async def test_closed_in_the_middle_it_ends() -> None:
    engine = Espeak(Tts(engine="espeak"), "en")
    blocks = engine.speak(LONG, Token(), voice=None, language=None)
    await anext(blocks)
    await engine.close()
    with pytest.raises(Revoked):
        assert [pcm async for pcm in blocks] == []
    with pytest.raises(Revoked):
        await said(engine, "Hello.")
    assert not processes()


async def test_more_than_the_machine_can_do_is_turned_away(espeak: Espeak) -> None:
    many = [espeak.speak(LONG, Token(), voice=None, language=None) for _ in range(17)]
    for one in many[:16]:
        await anext(one)
    with pytest.raises(EngineError, match="more to say here than this machine can keep up with"):
        await anext(many[16])
    for one in many[:16]:
        await one.aclose()
    assert await said(espeak, "Hello.")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("cat >/dev/null; kill -SEGV $$", r"crashed on this text \(Segmentation fault\)"),
        ("echo no data >&2; exit 1", r"does not work \(no data\): install it anew"),
        ("cat >/dev/null; exit 0", r"does not work \(exit code 0\)"),
        (f"cat >/dev/null; printf '{'<html>' * 20}'", r"where a WAV should be\)"),
    ],
)
async def test_a_program_that_fails_is_one_sentence(
    program: Callable[[str], None], espeak: Espeak, script: str, says: str
) -> None:
    program(script)
    with pytest.raises(EngineError, match=says):
        await said(espeak, "Hello.")
    assert not processes()


async def test_a_machine_without_the_program_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineMissing, match=r"espeak-ng is not installed: install it with: (sudo apt|brew) install"):
        await build_synthesizer(Settings(tts=Tts(engine="espeak")))


async def test_settings_name_it(espeak: Espeak) -> None:
    built = await build_synthesizer(Settings(language="ko", tts=Tts(engine="espeak")))
    assert built.name == "espeak-ng ko"
    await built.close()
