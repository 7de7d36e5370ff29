"""What every engine must do, asked of each that is installed.

A table tells which ran, and in the engines' own words why others did not.

`pytest -s tests/engines/test_conformance.py -k table` prints it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch_models
from http_servers import OllamaServer, OpenAiServer
from openai_audio_server import OpenAiAudioServer
from speech import Say, espeak, silence
from tone_models import HIGH_HZ, LOW_HZ, streaming, tones
from tone_voices import kokoro, supertonic

from antiphon.audio.pcm import RATE
from antiphon.settings import Llm, Settings, Stt, Tts
from antiphon_daemon.engines import available
from antiphon_daemon.engines.build import build_responder, build_synthesizer, build_transcriber, load_backends
from antiphon_daemon.engines.contracts import EngineError, Engines, Message, Remote, Revoked, Stage, TextDelta
from antiphon_daemon.engines.work import Token

WITHIN_S = 60
"""So long anything may take on a machine that does much else."""
CALLS, FIRST_CALLS = 100, 10
ON_TORCH: tuple[tuple[Stage, str], ...] = (("stt", "openai_whisper"), ("tts", "coqui"))
"""Installed where their own tests are run (`./test.sh --torch`); elsewhere the table says what brings them."""
NO_FILE = "There is no model file /nowhere/model"
GROWTH_MB = 25
"""What a hundred calls may leave behind; a model that was kept twice, or all that was said, would be more."""

BUILD: dict[str, Callable[[Settings], Awaitable[Any]]] = {
    "stt": build_transcriber,
    "llm": build_responder,
    "tts": build_synthesizer,
}


@dataclass
class Case:
    """What an engine is told and given here."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Of the section of its stage."""
    language: str = "en"
    given: Any = None
    """Something short to hear or say."""
    huge: Any = None
    """Much more than one gives it."""
    wrong: dict[str, Any] = field(default_factory=dict)
    """Settings that name a model which is not there."""
    says: str = ""
    """What is said then."""
    server: Any = None
    """What must be entered before it can be asked, and has a `url`; it belongs to the test's event loop."""


@dataclass
class Bench:
    """All cases, and the engines that were made; those that hold a model are made once."""

    cases: Mapping[tuple[Stage, str], Case]
    made: dict[tuple[Stage, str], Any] = field(default_factory=dict)

    async def make(self, stage: Stage, engine: str, **changes: Any) -> Any:
        """Return a new engine.

        Raises:
            EngineError: it says why it cannot be had.
        """
        case = self.cases.get((stage, engine), Case())
        section = {"stt": Stt, "llm": Llm, "tts": Tts}[stage](engine=engine, **{**case.settings, **changes})
        settings = Settings(language=case.language, **{stage: section})
        if stage == "llm":
            (made,) = await asyncio.to_thread(load_backends, settings)
            await made.check()
            return made
        made = await BUILD[stage](settings)
        if isinstance(made, Remote):
            await made.check()
        return made


def here(stage: Stage, engine: str) -> bool:
    """Whether an engine is installed."""
    return not available.missing(stage, engine)


@pytest.fixture(scope="module")
def bench(own_state: None, say: Say, engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """What each engine is asked. Behind the server of OpenAI's endpoints the embedded engines work."""
    word = np.concatenate((silence(0.2), say("Hello.") * np.float32(0.5), silence(0.2)))
    korean = np.concatenate((silence(0.2), espeak("아버지", "ko+f2", speed=150), silence(0.2)))
    sentence = "This goes on and on, and nobody knows the end of it. "
    model = str(streaming(tmp_path_factory.mktemp("tones")))
    whisper = {"model": _scripted(tmp_path_factory.mktemp("whisper"))} if here("stt", "mlx_whisper") else {}
    voices = tmp_path_factory.mktemp("voices")
    gone = "/nowhere/model"
    torch_folder = tmp_path_factory.mktemp("torch")
    whisper_pt = {"model": str(torch_models.whisper(torch_folder))} if here("stt", "openai_whisper") else {}
    noise = {"voice": str(torch_models.voice(torch_folder / "noise"))} if here("tts", "coqui") else {}
    heard = {"given": word, "huge": np.tile(word, 40)}
    spoken = {"given": "Hello.", "huge": sentence * 2000}
    asked = {"given": "Say hello.", "huge": sentence * 2000}
    built = Bench(
        {
            ("stt", "faster_whisper"): Case(**heard, wrong={"model": gone}, says=NO_FILE),
            ("stt", "mlx_whisper"): Case(
                whisper,
                **heard,
                wrong={"model": gone},
                says="There is no folder /nowhere/model",
            ),
            ("stt", "openai_whisper"): Case(whisper_pt, **heard, wrong={"model": f"{gone}.pt"}, says=f"{NO_FILE}.pt"),
            ("stt", "vosk"): Case(
                language="ko",
                given=korean,
                huge=np.tile(korean, 4),
                wrong={"model": gone},
                says=NO_FILE,
            ),
            ("stt", "sherpa_onnx"): Case(
                {"model": model},
                given=tones(LOW_HZ, HIGH_HZ),
                huge=tones(*[LOW_HZ, HIGH_HZ] * 60),
                wrong={"model": gone},
                says="There is no folder /nowhere/model",
            ),
            ("stt", "openai_api"): Case(
                **heard,
                wrong={"model": "whisper-9"},
                says=r"has no model whisper-9: correct stt\.model",
                server=lambda: OpenAiAudioServer(engines.transcriber, engines.synthesizer),
            ),
            ("tts", "piper"): Case(**spoken, wrong={"voice": gone}, says=NO_FILE),
            ("tts", "kokoro"): Case(
                {"voice": str(kokoro(voices / "kokoro", {"af_heart": 200}))},
                **spoken,
                wrong={"voice": gone},
                says=NO_FILE,
            ),
            ("tts", "supertonic"): Case(
                {"voice": str(supertonic(voices / "supertonic", {"F1": 200}))},
                language="ko",
                given="안녕하세요.",
                huge="부엌의 불은 켜져 있고, 창문은 열려 있습니다. " * 2000,
                wrong={"voice": gone},
                says="There is no folder /nowhere/model",
            ),
            ("tts", "espeak"): Case(
                **spoken, wrong={"voice": "xx"}, says="has no voice xx: take one that espeak-ng --voices"
            ),
            ("tts", "coqui"): Case(
                noise, **spoken, wrong={"voice": gone}, says="There is no model file /nowhere/config.json"
            ),
            ("tts", "openai_api"): Case(
                **spoken,
                wrong={"model": "tts-9"},
                says=r"has no model tts-9: correct tts\.model",
                server=lambda: OpenAiAudioServer(engines.transcriber, engines.synthesizer),
            ),
            ("llm", "embedded"): Case(
                {"context": 512, "reply_tokens": 8, "temperature": 0},
                **asked,
                wrong={"model": f"{gone}.gguf"},
                says=NO_FILE,
            ),
            ("llm", "ollama"): Case(
                **asked,
                wrong={"model": "llama9"},
                says="ollama pull llama9",
                server=OllamaServer,
            ),
            ("llm", "openai_api"): Case({"model": "m"}, **asked, server=OpenAiServer),
        }
    )
    yield built
    for one in built.made.values():
        asyncio.run(one.close())


@pytest.fixture
async def made(bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Any, Case]]:
    """The engine that a test is about, and its case."""
    stage, engine = request.param
    case = bench.cases[stage, engine]
    async with AsyncExitStack() as stack:
        if case.server is not None:
            server = await stack.enter_async_context(case.server())
            one = await bench.make(stage, engine, url=server.url)
            stack.push_async_callback(one.close)
        else:
            if request.param not in bench.made:
                bench.made[request.param] = await bench.make(stage, engine)
            one = bench.made[request.param]
        yield one, case


def _scripted(folder: Path) -> str:
    """Return the folder of a Whisper for MLX, which its maker needs too."""
    from scripted_whisper import scripted

    return str(scripted(folder, "Hello.", "en"))


def each(*stages: Stage, local: bool = False, but: tuple[Stage, str] | None = None) -> Any:
    """Return a mark that has a test run once for each installed engine of `stages`; the table has the others.

    Args:
        local: only those whose work is done on this machine.
    """
    asked: list[tuple[Stage, str]] = [
        ("stt", "faster_whisper"),
        ("stt", "mlx_whisper"),
        ("stt", "openai_whisper"),
        ("stt", "vosk"),
        ("stt", "sherpa_onnx"),
        ("tts", "piper"),
        ("tts", "kokoro"),
        ("tts", "supertonic"),
        ("tts", "espeak"),
        ("tts", "coqui"),
        ("llm", "embedded"),
    ]
    if not local:
        asked += [("stt", "openai_api"), ("tts", "openai_api"), ("llm", "ollama"), ("llm", "openai_api")]
    chosen = [one for one in asked if one[0] in stages and one != but and here(*one)]
    params = [
        pytest.param(one, id="-".join(one), marks=[pytest.mark.torch] if one in ON_TORCH else []) for one in chosen
    ]
    return pytest.mark.parametrize("made", params, indirect=True)


async def ask(engine: Any, case: Case, given: Any, work: Token | None = None) -> str | bytes:
    """Return all that an engine makes of something."""
    work = work or Token()
    async with asyncio.timeout(WITHIN_S):
        if isinstance(given, np.ndarray):
            heard = await engine.transcribe(given, work, language=case.language)
            return str(heard.text)
        if hasattr(engine, "speak"):
            return b"".join([pcm async for pcm in engine.speak(given, work, voice=None, language=case.language)])
        messages = [Message("user", given)]
        return "".join([one.text async for one in engine.respond(messages, work) if isinstance(one, TextDelta)])


@each("stt", "tts", "llm")
async def test_two_at_once_are_each_answered(made: tuple[Any, Case]) -> None:
    engine, case = made
    both = await asyncio.gather(ask(engine, case, case.given), ask(engine, case, case.given))
    assert all(both)
    if isinstance(case.given, np.ndarray):
        assert both[0] == both[1]


@each("stt", "tts")
async def test_nothing_makes_nothing(made: tuple[Any, Case]) -> None:
    engine, case = made
    empty: tuple[Any, ...] = (
        (case.given[:0], case.given[:1], silence(1)) if hasattr(engine, "transcribe") else ("", " \n")
    )
    for given in empty:
        assert not await ask(engine, case, given)


@each("stt")
async def test_what_hears_as_it_goes_tells_words_before_the_last_of_the_sound(made: tuple[Any, Case]) -> None:
    engine, case = made
    if not hasattr(engine, "open"):
        return  # it does not claim to
    audio = np.concatenate((case.given, case.given, case.given))
    end = len(audio) * 3 // 4
    stream = engine.open(Token(), language=case.language)
    stream.push(audio[:end])
    async with asyncio.timeout(WITHIN_S), aclosing(stream.partials()) as partials:
        first = await anext(partials)
        assert first
        stream.push(audio[end:])
        assert (await stream.finish()).text.startswith(first)


@each("tts")
async def test_the_first_of_much_speech_comes_soon_and_closing_ends_it(made: tuple[Any, Case]) -> None:
    engine, case = made
    blocks = engine.speak(case.huge, Token(), voice=None, language=case.language)
    async with asyncio.timeout(WITHIN_S), aclosing(blocks):
        first = await anext(blocks)
    assert 0 < len(first) < 20 * 2 * engine.rate, "most of it was made beforehand"
    assert await ask(engine, case, case.given)


@each("stt", "llm")
async def test_much_more_than_one_gives_it_ends_in_an_answer_or_a_sentence(made: tuple[Any, Case]) -> None:
    engine, case = made
    try:
        assert await ask(engine, case, case.huge)
    except EngineError as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert await ask(engine, case, case.given), "and it works on"


@each("stt", "tts", "llm")
async def test_revoked_in_the_middle_nothing_more_is_told_and_the_next_one_is_answered(made: tuple[Any, Case]) -> None:
    engine, case = made
    work = Token()
    told: list[Any] = []

    async def listen() -> None:
        if hasattr(engine, "transcribe"):
            told.append(await engine.transcribe(case.huge, work, language=case.language))
        elif hasattr(engine, "speak"):
            async for pcm in engine.speak(case.huge, work, voice=None, language=case.language):
                told.append(pcm)
                work.revoke()
        else:
            async for piece in engine.respond([Message("user", case.given)], work):
                told.append(piece)
                work.revoke()

    async with asyncio.timeout(WITHIN_S):
        listening = asyncio.create_task(listen())
        if hasattr(engine, "transcribe"):
            await asyncio.sleep(0.05)
            work.revoke()
        with pytest.raises(Revoked):
            await listening
    assert len(told) == (0 if hasattr(engine, "transcribe") else 1)
    assert await ask(engine, case, case.given)


@each(
    "stt", "tts", "llm", but=("llm", "openai_api")
)  # whose server does not refuse: test_openai_api.py has one that does
async def test_a_missing_model_is_named_with_what_mends_it(
    made: tuple[Any, Case], bench: Bench, request: pytest.FixtureRequest
) -> None:
    _, case = made
    stage, name = request.node.callspec.params["made"]
    async with AsyncExitStack() as stack:
        where = {"url": (await stack.enter_async_context(case.server())).url} if case.server is not None else {}

        async def use() -> None:
            one = await bench.make(stage, name, **case.wrong, **where)
            stack.push_async_callback(one.close)
            await ask(one, case, case.given)

        with pytest.raises(EngineError, match=case.says) as raised:
            await use()
    assert raised.value.stage == stage
    assert any(word in str(raised.value) for word in ("correct", "fetch", "take", "pull"))


@each("stt", "tts", "llm", local=True)
async def test_a_hundred_calls_leave_little_behind(made: tuple[Any, Case]) -> None:
    engine, case = made
    given = case.given
    if isinstance(given, np.ndarray):
        loud = int(np.argmax(np.abs(given) > 0.1))
        given = given[loud : loud + RATE // 8]
    process = psutil.Process()

    async def used_mb(calls: int) -> float:
        for _ in range(calls):
            await ask(engine, case, given)
        gc.collect()
        return process.memory_info().rss / 1e6

    before = await used_mb(FIRST_CALLS)
    assert await used_mb(CALLS) - before < GROWTH_MB


async def table(bench: Bench) -> dict[tuple[Stage, str], str]:
    """Return for each engine that there is why it is not run here, in its own words; empty: it is run."""
    rows: dict[tuple[Stage, str], str] = {}
    stages: tuple[Stage, ...] = ("stt", "llm", "tts")
    for stage in stages:
        for engine in available.ENGINES[stage]:
            case = bench.cases.get((stage, engine))
            if case is not None and here(stage, engine):
                rows[stage, engine] = ""
                continue
            try:
                made = await bench.make(stage, engine)
            except EngineError as error:
                rows[stage, engine] = str(error)
            else:
                await made.close()
                rows[stage, engine] = f"{made.name} works, but is not asked here"
    return rows


async def test_the_table_has_every_engine_and_the_reasons_are_the_engines_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = await table(bench)
    print("\n| stage | engine | ran | why not |\n| --- | --- | --- | --- |")
    for (stage, engine), why in rows.items():
        print(f"| {stage} | {engine} | {'no' if why else 'yes'} | {why} |")
    assert {(stage, name) for stage, name in rows if not rows[stage, name]} == {
        key for key in bench.cases if here(*key)
    }
    # These live on a service elsewhere: they say themselves that none is named. Tests of their own have stand-ins.
    assert {key for key in rows if key not in bench.cases} == {
        ("stt", "wyoming"),
        ("tts", "wyoming"),
        ("llm", "homeassistant"),
    }
    for stage in ("stt", "tts"):
        assert rows[stage, "wyoming"].startswith(f"No service is named: set {stage}.url")  # type: ignore[index]
    assert rows["llm", "homeassistant"].startswith("No Home Assistant is named: set home_assistant.url")
    for stage, engine in (key for key in bench.cases if not here(*key)):
        assert rows[stage, engine].endswith(f"install it with: {available.brings(stage, engine)}")
    for package in ("mlx_whisper", "vosk", "sherpa_onnx", "openai", "piper", "kokoro_onnx", "supertonic"):
        monkeypatch.setitem(sys.modules, package, None)
    lacking = {key: why for key, why in (await table(bench)).items() if why and not rows[key]}
    of_these: set[tuple[Stage, str]] = {
        ("stt", "mlx_whisper"),
        ("stt", "vosk"),
        ("stt", "sherpa_onnx"),
        ("stt", "openai_api"),
        ("tts", "openai_api"),
        ("llm", "openai_api"),
        ("tts", "piper"),
        ("tts", "kokoro"),
        ("tts", "supertonic"),
    }
    assert set(lacking) == {key for key in of_these if not rows[key]}
    for (stage, engine), why in lacking.items():
        extra = available.ENGINES[stage][engine].extra
        assert why.endswith(f"is not installed: install it with: ./run.sh extra {extra}")
