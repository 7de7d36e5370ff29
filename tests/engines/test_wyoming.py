"""Other makers' Wyoming services as engines: what is sent to them, and every way in which they fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest
from alone import ALONE
from speech import silence
from wyoming.asr import Transcript, TranscriptStart
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Info
from wyoming_services import BY, HEARS, NEVER, SPEAKS, Script, Service

from antiphon.audio.pcm import RATE, Samples, level_db, to_bytes, to_samples
from antiphon.settings import Deadlines, Settings, Stt, Tts
from antiphon_daemon import checks
from antiphon_daemon.engines.build import build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import EngineError, Following, Revoked, Synthesizer, Transcriber, Tunable
from antiphon_daemon.engines.tts.wyoming import RATE as SPOKEN
from antiphon_daemon.engines.work import Token
from antiphon_daemon.languages import spoken

QUICK = Deadlines(connect_s=1, stt_s=0.4, tts_first_s=0.4)


def tone(seconds: float, rate: int) -> Samples:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def chunk(seconds: float = 0.5, rate: int = 16_000) -> AudioChunk:
    return AudioChunk(rate=rate, width=2, channels=1, audio=to_bytes(tone(seconds, rate)))


START, STOP = AudioStart(rate=16_000, width=2, channels=1), AudioStop()


@pytest.fixture
async def hears() -> AsyncIterator[Service]:
    async with Service(HEARS, "audio-stop") as service:
        service.script = [Transcript(text="hello")]
        yield service


@pytest.fixture
async def speaks() -> AsyncIterator[Service]:
    async with Service(SPEAKS, "synthesize") as service:
        service.script = [START, chunk(), STOP]
        yield service


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    async with asyncio.timeout(2):
        while any("antiphon_daemon" in repr(task.get_coro()) for task in asyncio.all_tasks() - before):
            await asyncio.sleep(0.01)


def settings(deadlines: Deadlines = QUICK, **changes: object) -> Settings:
    return Settings(**ALONE, deadlines=deadlines, **changes)  # type: ignore[arg-type]


async def ears(service: Service, deadlines: Deadlines = QUICK, **more: object) -> Transcriber:
    stt = Stt(engine="wyoming", url=service.url, **more)  # type: ignore[arg-type]
    return await build_transcriber(settings(deadlines, stt=stt))


async def mouth(service: Service, deadlines: Deadlines = QUICK, **more: object) -> Synthesizer:
    tts = Tts(engine="wyoming", url=service.url, **more)  # type: ignore[arg-type]
    return await build_synthesizer(settings(deadlines, tts=tts))


async def hear(engine: Transcriber, sound: Samples | None = None, language: str | None = "en") -> str:
    found = await engine.transcribe(tone(1, RATE) if sound is None else sound, Token(), language=language)
    return found.text


async def say(engine: Synthesizer, voice: str | None = None, language: str | None = "en") -> bytes:
    return b"".join([pcm async for pcm in engine.speak("Hello.", Token(), voice=voice, language=language)])


# Speech to text.


async def test_an_utterance_is_sent_at_once_with_all_that_the_protocol_has_for_it(hears: Service) -> None:
    engine = await ears(hears, model="large")
    assert engine.name == "wyoming stranger large"
    assert set(engine.languages) == {"en", "ko"}
    hears.script = [TranscriptStart(), Event("nobody-knows-this"), Transcript(text=" 안녕 ", language="ko-KR")]
    sound, began = tone(3.05, RATE), time.monotonic()
    heard = await engine.transcribe(sound, Token(), language="ko", hints=["Seo-yeon"])
    assert time.monotonic() - began < 1
    assert (heard.text, heard.language, heard.duration_s) == ("안녕", "ko", 3.05)
    first, *others = hears.requests[0]
    assert first.type == "transcribe"
    asked = {"name": "large", "language": "ko_KR", "transcript_names": ["Seo-yeon"], "whole": True}
    assert first.data == asked
    assert b"".join(one.payload or b"" for one in others) == to_bytes(sound)
    assert [others[0].type, others[-1].type] == ["audio-start", "audio-stop"]


@pytest.mark.parametrize(
    ("tags", "asked"),
    [(["en-US"], "en-US"), (["en-GB", "en-US"], "en-GB"), (["en-US", "en"], "en"), (["EN"], "EN"), ([], "en")],
)
async def test_a_language_is_named_as_the_service_names_it(hears: Service, tags: list[str], asked: str) -> None:
    """Some services know `en-US` alone, as Home Assistant sends it to them, and hear nothing in `en`."""
    model = AsrModel("large", BY, True, None, None, tags)
    hears.info = Info(asr=[AsrProgram("stranger", BY, True, None, None, [model])])
    hears.script = [Transcript(text="hello")]
    engine = await ears(hears)
    heard = await engine.transcribe(tone(1, RATE), Token(), language="en")
    assert hears.requests[0][0].data["language"] == asked
    assert (heard.text, heard.language, list(engine.languages)) == ("hello", "en", ["en"])


async def test_silence_is_not_sent(hears: Service) -> None:
    assert await hear(await ears(hears), silence(2)) == ""
    assert not hears.requests


STT_FAULTS: dict[str, tuple[Script, str]] = {
    "answers error": ([Error(text="Out of memory.", code="oom")], "answers: Out of memory"),
    "hangs up": ([None], "has closed the connection"),
    "half an event": ([b'{"type": "transcript", "data_length": 50}\n{"te', None], "ended inside a frame"),
    "no Wyoming": ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "not JSON"),
    "nonsense": ([Event("transcript", {"text": 5})], "does not fit"),
    "hangs": ([NEVER], "not done within 0.38 s"),
    "never comes to the point": ([TranscriptStart(), NEVER], "not done within 0.38 s"),
}


@pytest.mark.parametrize("fault", STT_FAULTS)
async def test_a_service_that_fails_to_hear_is_one_sentence_and_asked_again(hears: Service, fault: str) -> None:
    engine = await ears(hears)
    hears.script, says = STT_FAULTS[fault]
    with pytest.raises(EngineError, match=says) as raised:
        await hear(engine)
    sentence = str(raised.value)
    assert "of stt.url fails" in sentence
    assert "\n" not in sentence
    assert sentence.count(hears.url) == 1
    hears.script = [Transcript(text="again")]
    assert await hear(engine) == "again"


async def test_deadlines_change_while_it_runs(hears: Service, speaks: Service) -> None:
    engines = await ears(hears, Deadlines()), await mouth(speaks, Deadlines())
    hears.script = speaks.script = [NEVER]
    for engine in engines:
        assert isinstance(engine, Following)
        engine.follow(settings())
    for asking in (hear(engines[0]), say(engines[1])):
        with pytest.raises(EngineError, match=r"not done within 0\.38 s"):
            await asking


async def test_an_error_before_the_sound_is_taken_is_heard(hears: Service) -> None:
    """The race: the service refuses while a long utterance is still being sent, reads no more, and leaves."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"type": "error", "data": {"text": "not now"}}\n')
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()

    engine = await ears(hears, Deadlines(connect_s=1, stt_s=5))
    hears.stop()
    server = await asyncio.start_server(refuse, "127.0.0.1", hears.port)
    with pytest.raises(EngineError, match="answers: not now"):
        await hear(engine, tone(300, RATE))
    server.close()


async def test_a_service_that_is_away_may_come_later(hears: Service) -> None:
    hears.stop()
    engine = await ears(hears)
    assert list(engine.languages) == ["en"], "the house's, until the service has said which"
    with pytest.raises(EngineError, match=r"cannot be reached: .*correct stt\.url"):
        await hear(engine)
    await hears.start()
    assert await hear(engine) == "hello"
    assert set(engine.languages) == {"en", "ko"}
    hears.info = Info(asr=[HEARS.asr[1]])
    hears.info.asr[0].models[0].languages = ["en", "fr"]
    hears.stop()
    with pytest.raises(EngineError):
        await hear(engine)
    await hears.start()
    await hear(engine)
    assert set(engine.languages) == {"en", "fr"}, "who comes back may be another"


async def test_revoking_hangs_up_on_who_hears(hears: Service) -> None:
    engine, work = await ears(hears, Deadlines()), Token()
    hears.script = [NEVER]
    hearing = asyncio.create_task(engine.transcribe(tone(1, RATE), work, language="en"))
    while not hears.requests:
        await asyncio.sleep(0.01)
    work.revoke()
    with pytest.raises(Revoked):
        await hearing
    await asyncio.wait_for(hears.hung_up.wait(), 1)


async def test_what_a_service_cannot_hear_is_said_before_it_is_asked(hears: Service) -> None:
    engine = await ears(hears, model="small")
    with pytest.raises(EngineError, match="does not know the language ko, only en"):
        await hear(engine, language="ko")
    assert not hears.requests
    with pytest.raises(EngineError, match=r"no model huge, only large, small: correct stt\.model"):
        await ears(hears, model="huge")
    hears.info = SPEAKS
    with pytest.raises(EngineError, match="has no speech to text"):
        await ears(hears)


# Text to speech.


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
async def test_sound_comes_as_it_is_sent_at_one_rate_to_the_last_sample(speaks: Service, rate: int) -> None:
    engine, more = await mouth(speaks, Deadlines()), asyncio.Event()
    start = AudioStart(rate=rate, width=2, channels=1)
    speaks.script = [start, chunk(0.5, rate), more, chunk(0.5, rate), STOP]
    async with aclosing(engine.speak("Hello.", Token(), voice=None, language="en")) as blocks:  # type: ignore[type-var]
        first = await asyncio.wait_for(anext(blocks), 2)
        more.set()
        pcm = first + b"".join([block async for block in blocks])
    assert engine.rate == SPOKEN
    assert len(pcm) // 2 == pytest.approx(SPOKEN, abs=2)
    assert level_db(to_samples(pcm)[-SPOKEN // 20 :]) == pytest.approx(level_db(tone(1, SPOKEN)), abs=1)


async def test_the_format_may_change_in_the_middle(speaks: Service) -> None:
    stereo = to_bytes(np.repeat(tone(0.5, 44_100), 2))
    speaks.script = [START, chunk(), AudioChunk(rate=44_100, width=2, channels=2, audio=stereo), STOP]
    assert len(await say(await mouth(speaks))) // 2 == pytest.approx(SPOKEN, abs=4)


async def test_a_voice_is_asked_for_by_name_and_speaker(speaks: Service) -> None:
    engine = await mouth(speaks)
    assert [(voice.name, voice.languages, voice.speakers) for voice in engine.voices] == [
        ("amy", ("en",), ()),
        ("bo", ("ko",), ("one", "two")),
    ]

    async def asked(voice: str | None, language: str | None) -> object:
        await say(engine, voice, language)
        return speaks.requests[-1][0].data.get("voice")

    assert await asked(None, None) is None
    assert await asked(None, "en") == {"language": "en"}
    assert await asked("bo/two", "ko") == {"name": "bo", "speaker": "two"}
    for voice, language, says in (
        ("bo", "en", "The voice bo speaks ko, not en"),
        ("bo/three", "ko", "no speaker three, only one, two"),
        ("dee", "en", "no voice dee at .*, only amy, bo"),
        (None, "de", "speaks en, ko, not de"),
    ):
        with pytest.raises(EngineError, match=says):
            await asked(voice, language)
    assert isinstance(engine, Tunable)
    await engine.tune(Tts(engine="wyoming", url=speaks.url, voice="bo", speaker="one"))
    assert await asked(None, "ko") == {"name": "bo", "speaker": "one"}
    assert engine.voices[0].name == "bo", "the first is the default"
    with pytest.raises(EngineError, match=r"no voice dee .*correct tts\.voice"):
        await engine.tune(Tts(engine="wyoming", url=speaks.url, voice="dee"))
    assert await asked(None, "ko") == {"name": "bo", "speaker": "one"}


TTS_FAULTS: dict[str, tuple[Script, str]] = {
    "answers error": ([Error(text="Out of memory.")], "answers: Out of memory"),
    "fails in the middle": ([START, chunk(), Error(text="Out of memory.")], "answers: Out of memory"),
    "hangs up": ([None], "has closed the connection"),
    "no audio-stop": ([START, chunk(), None], "has closed the connection"),
    "half an event": ([START, b'{"type": "audio-chunk", "payload_length": 500}\nx', None], "ended inside a frame"),
    "hangs": ([NEVER], "not done within 0.38 s"),
    "hangs in the middle": ([START, chunk(), NEVER], "not done within 0.38 s"),
    "no such sound": ([AudioChunk(rate=9, width=2, channels=1, audio=b"xx")], "cannot be used"),
    "no end": ([START, *[chunk(1)] * 400], "speaks without an end"),
}


@pytest.mark.parametrize("fault", TTS_FAULTS)
async def test_a_service_that_fails_to_speak_is_one_sentence_and_asked_again(speaks: Service, fault: str) -> None:
    engine = await mouth(speaks)
    speaks.script, says = TTS_FAULTS[fault]
    with pytest.raises(EngineError, match=says) as raised:
        await say(engine)
    sentence = str(raised.value)
    assert "of tts.url fails" in sentence
    assert "\n" not in sentence
    assert sentence.count(speaks.url) == 1
    speaks.script = [START, chunk(), STOP]
    assert len(await say(engine)) // 2 == pytest.approx(SPOKEN / 2, abs=2)


async def test_a_voice_that_is_away_may_come_later(speaks: Service) -> None:
    speaks.stop()
    engine = await mouth(speaks, voice="amy")
    assert [voice.name for voice in engine.voices] == ["amy"]
    with pytest.raises(EngineError, match=r"cannot be reached: .*correct tts\.url"):
        await say(engine)
    await speaks.start()
    assert await say(engine)
    assert len(engine.voices) == 2


@pytest.mark.parametrize("how", ["revoked", "closed"])
async def test_who_is_not_wanted_any_more_is_hung_up_on_though_nobody_asks_for_sound(speaks: Service, how: str) -> None:
    """The race: a barge-in comes between two blocks, while the reply is not being pulled."""
    engine, work = await mouth(speaks, Deadlines()), Token()
    speaks.script = [START, chunk(), NEVER]
    async with aclosing(engine.speak("Hello.", work, voice=None, language="en")) as blocks:  # type: ignore[type-var]
        assert await anext(blocks)
        if how == "revoked":
            work.revoke()
            await asyncio.wait_for(speaks.hung_up.wait(), 1)
            with pytest.raises(Revoked):
                await anext(blocks)
    await asyncio.wait_for(speaks.hung_up.wait(), 1)


# The settings, and the doctor.


async def test_a_service_needs_an_address() -> None:
    with pytest.raises(EngineError, match=r"set stt\.url, such as tcp://192\.168\.1\.20:10300"):
        await build_transcriber(settings(stt=Stt(engine="wyoming")))
    with pytest.raises(EngineError, match=r"set tts\.url, such as tcp://192\.168\.1\.20:10200"):
        await build_synthesizer(settings(tts=Tts(engine="wyoming")))
    with pytest.raises(ValueError, match="expected an address"):
        Stt(engine="wyoming", url="gpu-box")


async def test_the_doctor_tries_them(hears: Service, speaks: Service) -> None:
    async def look(language: str = "en") -> list[tuple[bool | None, str]]:
        house = settings(language=language)
        stt = await checks._engine("ears", ears(hears), lambda e: e.languages, house, "stt")
        tts = await checks._engine("voice", mouth(speaks), spoken, house, "tts")
        return [(check.ok, check.says) for check in (*stt, *tts)]

    assert [ok for ok, _ in await look()] == [True, True]
    assert len(hears.requests) == len(speaks.requests) == 1, "they were tried"
    assert [ok for ok, _ in await look("de")] == [True, False, True, False]
    hears.script, speaks.script = [NEVER], [START, STOP]
    found = await look()
    assert [ok for ok, _ in found] == [False, False]
    assert "not done within" in found[0][1]
    assert "makes no sound" in found[1][1]
    hears.stop()
    speaks.stop()
    found = await look()
    assert [ok for ok, _ in found] == [False, False]
    assert all("cannot be reached" in says for _, says in found)
