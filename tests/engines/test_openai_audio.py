"""Hearing and speaking by a server with OpenAI's endpoints, behind which real engines work; and every way it fails."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from openai_audio_server import OpenAiAudioServer, wav_header
from pydantic import SecretStr, ValidationError
from speech import silence

from antiphon.audio.pcm import RATE, Samples, resample, to_bytes, to_samples
from antiphon.settings import Deadlines, Settings, Stt, Tts
from antiphon_daemon.engines.build import build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Engines, Fault, Remote, Revoked, Transcript
from antiphon_daemon.engines.stt.openai_api import OpenAiTranscriber
from antiphon_daemon.engines.stt.whisper_languages import LANGUAGES, code
from antiphon_daemon.engines.tts.openai_api import OpenAiSynthesizer
from antiphon_daemon.engines.work import Token

SAID = "What is the capital of France?"
NOISE: Samples = np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32)
HALF_A_SECOND = to_bytes((0.3 * np.sin(np.arange(12_000) / 10)).astype(np.float32))


@pytest.fixture
async def server(engines: Engines) -> AsyncIterator[OpenAiAudioServer]:
    async with OpenAiAudioServer(engines.transcriber, engines.synthesizer) as one:
        yield one


@pytest.fixture
async def ears(server: OpenAiAudioServer) -> AsyncIterator[OpenAiTranscriber]:
    stt = Stt(engine="openai_api", url=server.url, api_key=SecretStr("sesame"), hints=["Antiphon"])
    one = OpenAiTranscriber(stt, Deadlines())
    yield one
    await one.close()


@pytest.fixture
async def mouth(server: OpenAiAudioServer) -> AsyncIterator[OpenAiSynthesizer]:
    one = OpenAiSynthesizer(Tts(engine="openai_api", url=server.url), Deadlines(), "en")
    yield one
    await one.close()


async def hear(ears: OpenAiTranscriber, audio: Samples = NOISE, language: str | None = None) -> Transcript:
    return await ears.transcribe(audio, Token(), language=language, hints=["Seo-yeon"])


async def say(mouth: OpenAiSynthesizer, text: str = "Hello.", voice: str | None = None) -> bytes:
    return b"".join([pcm async for pcm in mouth.speak(text, Token(), voice=voice, language=None)])


async def test_a_real_engine_behind_the_server_hears(
    server: OpenAiAudioServer, ears: OpenAiTranscriber, speech: Mapping[str, Samples]
) -> None:
    heard = await hear(ears, speech[SAID], "en")
    assert "capital of France" in heard.text
    assert heard.language == "en"
    assert heard.avg_logprob is not None
    assert heard.avg_logprob < 0
    assert heard.tokens is not None
    assert server.headers["authorization"] == "Bearer sesame"
    asked = {name: value for name, value in server.asked[-1].items() if name != "file"}
    assert asked == {
        "model": "whisper-tiny.en",
        "language": "en",
        "prompt": "Antiphon, Seo-yeon.",
        "response_format": "verbose_json",
    }
    assert ears.name == f"127.0.0.1:{server.port} whisper-tiny.en"


async def test_the_language_that_the_server_found_is_told_by_its_code(
    ears: OpenAiTranscriber, speech: Mapping[str, Samples]
) -> None:
    assert (await hear(ears, speech[SAID])).language == "en"


async def test_a_model_without_scores_is_asked_for_text_alone_from_then_on(
    server: OpenAiAudioServer, ears: OpenAiTranscriber, speech: Mapping[str, Samples]
) -> None:
    server.scores = False
    assert "capital of France" in (await hear(ears, speech[SAID], "en")).text
    heard = await hear(ears, speech[SAID], "en")
    assert "capital of France" in heard.text
    assert heard.avg_logprob is None
    assert [one["response_format"] for one in server.asked] == ["verbose_json", "json", "json"]


async def test_so_is_one_whose_server_names_the_field_it_does_not_take(
    server: OpenAiAudioServer, ears: OpenAiTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As servers made with FastAPI refuse a value: there is no `message`."""
    transcribe, detail = server._transcribe, [{"loc": ["body", "response_format"], "msg": "Input should be 'json'"}]

    async def picky(writer: asyncio.StreamWriter, asked: dict[str, Any]) -> bool:
        if asked["response_format"] == "verbose_json":
            return await server._whole(writer, "422 Unprocessable", json.dumps({"detail": detail}).encode())
        return await transcribe(writer, asked)

    monkeypatch.setattr(server, "_transcribe", picky)
    server.scores = False
    await hear(ears)
    assert [one["response_format"] for one in server.asked] == ["verbose_json", "json"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            {"detail": {"error": "validation_error", "message": "Voice alloy not found. Available: af_heart"}},
            "af_heart",
        ),
        ({"detail": "Voice alloy not found. Available: af_heart"}, "Voice alloy not found"),
    ],
)
async def test_a_voice_that_is_not_there_is_named(
    server: OpenAiAudioServer, mouth: OpenAiSynthesizer, error: Any, says: str
) -> None:
    """As Kokoro-FastAPI says it."""
    server.status, server.error = "400 Bad Request", json.dumps(error).encode()
    with pytest.raises(EngineError, match=says):
        await say(mouth)


@pytest.mark.parametrize("extensible", [False, True])
async def test_sound_in_floats_is_heard_as_it_is(
    server: OpenAiAudioServer, mouth: OpenAiSynthesizer, extensible: bool
) -> None:
    """Taken for integers it would be noise at full scale."""
    samples = to_samples(HALF_A_SECOND)
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else 3, 1, 24_000, 96_000, 4, 32)
    if extensible:
        form += struct.pack("<HHIH", 22, 32, 4, 3) + bytes.fromhex("000000001000800000aa00389b71")
    head = b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", len(form)) + form + b"data\xff\xff\xff\xff"
    sent = head + samples.astype("<f4").tobytes()
    server.script = [sent[at : at + 1001] for at in range(0, len(sent), 1001)]
    assert await say(mouth) == HALF_A_SECOND


@pytest.mark.parametrize("audio", [silence(0), silence(2), NOISE[: RATE // 20]])
async def test_nobody_is_asked_about_silence_or_a_click(
    server: OpenAiAudioServer, ears: OpenAiTranscriber, audio: Samples
) -> None:
    assert (await hear(ears, audio)).text == ""
    assert server.asked == []


async def test_what_whisper_invents_is_left_out(server: OpenAiAudioServer, ears: OpenAiTranscriber) -> None:
    scores = b'"avg_logprob": -1.4, "no_speech_prob": 0.9, "compression_ratio": 1.0, "tokens": [1, 2]'
    server.kind = "application/json"
    server.script = [b'{"text": "A word.", "segments": [{"id": 0, "text": "A word.", %s}]}' % scores]
    heard = await hear(ears)
    assert heard.text == ""
    assert heard.no_speech_prob == pytest.approx(0.9)
    server.script = [b'{"text": "Thank you for watching!"}']
    assert (await hear(ears)).text == ""
    server.script = [b'{"text": "Turn on the light."}']
    assert (await hear(ears)).text == "Turn on the light."


async def test_an_english_model_is_not_asked_for_another_language(
    server: OpenAiAudioServer, ears: OpenAiTranscriber
) -> None:
    says = r"whisper-tiny\.en knows English only, not ko: .*antiphon models pull whisper-small"
    with pytest.raises(EngineError, match=says):
        await hear(ears, language="ko")
    assert server.asked == []


async def test_revoked_while_the_server_hears_the_connection_is_closed(
    server: OpenAiAudioServer, ears: OpenAiTranscriber
) -> None:
    server.script = [asyncio.Event()]
    work = Token()
    hearing = asyncio.create_task(ears.transcribe(NOISE, work, language="en"))
    async with asyncio.timeout(30):
        while not server.asked:
            await asyncio.sleep(0.01)
        work.revoke()
        with pytest.raises(Revoked):
            await hearing
        await server.hung_up.wait()


async def test_speech_of_a_real_engine_behind_the_server(
    server: OpenAiAudioServer, mouth: OpenAiSynthesizer, engines: Engines
) -> None:
    said = "Turn on the light in the kitchen."
    sound = to_samples(await say(mouth, said, voice="nova"))
    assert server.asked == [{"model": "piper-joe", "voice": "nova", "input": said, "response_format": "wav"}]
    assert mouth.rate == 24_000
    heard = await engines.transcriber.transcribe(resample(sound, mouth.rate, RATE), Token(), language="en")
    assert "the light in the kitchen" in heard.text


async def test_sound_is_played_as_it_comes(server: OpenAiAudioServer, mouth: OpenAiSynthesizer) -> None:
    made = asyncio.Event()
    server.script = [wav_header(48_000)[:20], wav_header(48_000)[20:] + HALF_A_SECOND, made, HALF_A_SECOND]
    async with asyncio.timeout(30), aclosing(mouth.speak("Hello.", Token(), voice=None, language=None)) as blocks:
        first = await anext(blocks)
        assert len(first) > 10_000, "half of what came is to be heard before the rest is made"
        made.set()
        rest = b"".join([pcm async for pcm in blocks])
    assert len(first + rest) == pytest.approx(len(HALF_A_SECOND), rel=0.01)


async def test_revoked_in_the_middle_the_connection_is_closed_even_if_nobody_reads(
    server: OpenAiAudioServer, mouth: OpenAiSynthesizer
) -> None:
    server.script = [wav_header(24_000) + HALF_A_SECOND, asyncio.Event()]
    work = Token()
    blocks = mouth.speak("Hello.", work, voice=None, language=None)
    async with asyncio.timeout(30):
        await anext(blocks)
        work.revoke()
        await server.hung_up.wait()
    with pytest.raises(Revoked):
        await anext(blocks)


async def test_voice_and_speed_change_while_it_runs(server: OpenAiAudioServer, mouth: OpenAiSynthesizer) -> None:
    assert mouth.voices[0].name == "alloy"
    await mouth.tune(Tts(engine="openai_api", url=server.url, voice="echo", speed=1.5))
    await say(mouth)
    assert (server.asked[-1]["voice"], server.asked[-1]["speed"]) == ("echo", 1.5)
    assert mouth.voices[0].name == "echo"


async def test_a_long_text_goes_in_parts_that_the_server_takes(
    server: OpenAiAudioServer, mouth: OpenAiSynthesizer
) -> None:
    server.script = [wav_header(24_000) + HALF_A_SECOND]
    text = "This goes on and on. " * 500
    sound = await say(mouth, text)
    assert "".join(one["input"] for one in server.asked) == text
    assert max(len(one["input"]) for one in server.asked) <= 4000
    assert len(sound) == len(server.asked) * len(HALF_A_SECOND)


async def test_nothing_to_say_asks_nobody(server: OpenAiAudioServer, mouth: OpenAiSynthesizer) -> None:
    assert await say(mouth, " …\n") == b""
    assert server.asked == []


async def test_a_voice_without_end_is_cut_off(server: OpenAiAudioServer) -> None:
    mouth = OpenAiSynthesizer(Tts(engine="openai_api", url=server.url), Deadlines(reply_s=1), "en")
    server.script = [wav_header(24_000), *[HALF_A_SECOND] * 5]
    with pytest.raises(EngineError, match="speaks without an end"):
        await say(mouth)
    await mouth.close()


@pytest.mark.parametrize(
    ("status", "says", "fault"),
    [
        ("401 Unauthorized", r"refused the key: correct (stt|tts)\.api_key_file", Fault.KEY),
        ("404 Not Found", "does not speak as OpenAI does", Fault.LOST),
        ("413 Too Large", "takes no sound or text as long as this", Fault.REFUSED),
        ("422 Unprocessable", r"refused the request \(.*something is wrong.*\): correct (stt|tts)", Fault.REFUSED),
        ("429 Too Many", "is busy or still loading", Fault.BUSY),
        ("500 Internal", r"failed \(.*something is wrong", Fault.LOST),
        ("503 Unavailable", "is busy or still loading", Fault.BUSY),
    ],
)
async def test_a_refusal_is_one_sentence(
    server: OpenAiAudioServer,
    ears: OpenAiTranscriber,
    mouth: OpenAiSynthesizer,
    status: str,
    says: str,
    fault: Fault,
) -> None:
    server.status = status
    with pytest.raises(EngineError, match=says) as heard:
        await hear(ears)
    with pytest.raises(EngineError, match=says) as spoken:
        await say(mouth)
    assert [(one.value.stage, one.value.fault) for one in (heard, spoken)] == [("stt", fault), ("tts", fault)]


@pytest.mark.parametrize(
    ("kind", "script", "says"),
    [
        ("text/html", [b"<html>Log in</html>"], "does not speak as OpenAI does"),
        ("audio/mpeg", [b"ID3\x04" + bytes(60)], r"sends something that begins with b'ID3"),
        ("audio/wav", [b"RIFF"], r"sends a WAV that is cut short"),
        ("audio/wav", [wav_header(24_000).replace(b"\x01\0\x01\0", b"\x55\0\x01\0")], r"in codec 85, which cannot be"),
        ("audio/wav", [wav_header(24_000)], "it makes no sound"),
        ("audio/wav", [], "it makes no sound"),
        ("audio/wav", [wav_header(24_000) + HALF_A_SECOND, None], "broke off in the middle"),
    ],
)
async def test_what_is_no_speech_is_one_sentence(
    server: OpenAiAudioServer, mouth: OpenAiSynthesizer, kind: str, script: list[bytes | None], says: str
) -> None:
    server.kind, server.script = kind, script
    with pytest.raises(EngineError, match=says):
        await say(mouth)


@pytest.mark.parametrize(
    ("kind", "script", "says"),
    [
        ("text/html", [b"<html>Log in</html>"], "does not speak as OpenAI does"),
        ("application/json", [b'{"txt": "hello"}'], "a transcription has no text"),
        ("application/json", [b'{"text": "hel'], "does not speak as OpenAI does"),
        ("application/json", [b'{"text": "hel', None], "broke off in the middle"),
    ],
)
async def test_what_is_no_transcription_is_one_sentence(
    server: OpenAiAudioServer, ears: OpenAiTranscriber, kind: str, script: list[bytes | None], says: str
) -> None:
    server.kind, server.script = kind, script
    with pytest.raises(EngineError, match=says):
        await hear(ears)


async def test_a_server_that_hangs_is_told_before_the_conversation_gives_up(server: OpenAiAudioServer) -> None:
    quick = Deadlines(stt_s=0.3, tts_first_s=0.3)
    ears = OpenAiTranscriber(Stt(engine="openai_api", url=server.url, model="whisper-tiny.en"), quick)
    mouth = OpenAiSynthesizer(Tts(engine="openai_api", url=server.url, model="piper-joe"), quick, "en")
    server.script = [asyncio.Event()]
    with pytest.raises(EngineError, match=r"is not done within 0\.285 s"):
        await hear(ears)
    with pytest.raises(EngineError, match=r"is not done within 0\.285 s"):
        await say(mouth)
    await ears.close()
    await mouth.close()


async def test_deadlines_and_hints_change_while_it_runs(server: OpenAiAudioServer, ears: OpenAiTranscriber) -> None:
    mouth = OpenAiSynthesizer(Tts(engine="openai_api", url=server.url, model="piper-joe"), Deadlines(), "en")
    quick = Settings(stt=Stt(hints=["Busan"]), deadlines=Deadlines(stt_s=0.3, tts_first_s=0.3))
    ears.follow(quick)
    mouth.follow(quick)
    server.script = [asyncio.Event()]
    with pytest.raises(EngineError, match=r"is not done within 0\.285 s"):
        await hear(ears)
    assert server.asked[-1]["prompt"] == "Busan, Seo-yeon."
    with pytest.raises(EngineError, match=r"is not done within 0\.285 s"):
        await say(mouth)
    await mouth.close()


async def test_a_server_that_is_away_is_no_error_before_it_is_needed() -> None:
    nowhere = "http://127.0.0.1:9/v1"
    settings = Settings(stt=Stt(engine="openai_api", url=nowhere), tts=Tts(engine="openai_api", url=nowhere))
    ears, mouth = await build_transcriber(settings), await build_synthesizer(settings)
    for one in (ears, mouth):
        assert isinstance(one, Remote)
        with pytest.raises(EngineError, match=r"No server answers at http://127\.0\.0\.1:9/v1: start it, or correct"):
            await one.check()
        await one.close()


async def test_which_model_is_asked(server: OpenAiAudioServer, ears: OpenAiTranscriber) -> None:
    server.models = ["whisper-1", "gpt-4o-transcribe", "tts-1"]
    with pytest.raises(EngineError, match=r"set stt\.model to one of whisper-1, gpt-4o-transcribe\."):
        await hear(ears)
    server.models = ["something"]
    server.kind, server.script = "application/json", [b'{"text": "hello"}']
    assert (await hear(ears)).text == "hello"
    server.models = ["another"]
    with pytest.raises(EngineError, match=r"has no model something: correct stt\.model"):
        await hear(ears)
    assert (await hear(ears)).text == "hello", "it looks again"


async def test_the_check_of_the_doctor_hears_and_speaks(
    server: OpenAiAudioServer, ears: OpenAiTranscriber, mouth: OpenAiSynthesizer
) -> None:
    await ears.check()
    await mouth.check()
    assert len(server.asked) == 2


async def test_an_address_of_another_kind_is_refused_with_the_settings() -> None:
    with pytest.raises(ValidationError, match="expected an address such as http"):
        Stt(engine="openai_api", url="tcp://gpu-box:10300")
    with pytest.raises(ValidationError, match="expected an address such as tcp"):
        Tts(engine="wyoming", url="http://gpu-box:8000")
    for section in (Settings(stt=Stt(engine="openai_api")), Settings(tts=Tts(engine="openai_api"))):
        with pytest.raises(EngineError, match=r"No server is named: set (stt|tts)\.url"):
            await (build_transcriber if section.stt.engine == "openai_api" else build_synthesizer)(section)


async def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    url = "http://127.0.0.1:9/v1"
    with pytest.raises(EngineMissing, match=r"run\.sh extra openai"):
        await build_transcriber(Settings(stt=Stt(engine="openai_api", url=url)))
    with pytest.raises(EngineMissing, match=r"run\.sh extra openai"):
        await build_synthesizer(Settings(tts=Tts(engine="openai_api", url=url)))


def test_whispers_languages_are_those_that_another_library_has_of_them() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    assert set(LANGUAGES) == set(_LANGUAGE_CODES)
    assert [code(said) for said in ("Korean", "ko", " haitian creole", "martian")] == ["ko", "ko", "ht", None]
