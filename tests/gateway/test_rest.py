"""OpenAI's REST endpoints on a real daemon: by their official client, and by raw HTTP for what it would never send."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from speech import Say, silence

from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon_daemon.gateway.rest import files

Running = tuple[int, Any, Any]
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."


def words(text: str) -> set[str]:
    return {word.strip(".,!?").lower() for word in text.split()}


def wav(sound: Samples) -> bytes:
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(to_bytes(sound))
    return whole.getvalue()


def decoded(data: bytes) -> Samples:
    return np.concatenate(list(files.blocks(io.BytesIO(data), 60)))


@pytest.fixture(scope="module")
def question(say: Say) -> bytes:
    return wav(np.concatenate((silence(0.3), say(QUESTION), silence(0.3))))


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{running[0]}/v1", max_retries=0) as one:
        yield one


@pytest.fixture
def http(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{running[0]}/v1", trust_env=False, timeout=60) as one:
        yield one


def test_what_is_spoken_is_transcribed_back(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=ANSWER, response_format="opus"
    ) as response:
        assert response.headers["content-type"] == "audio/ogg"
        spoken = b"".join(response.iter_bytes())
    back = client.audio.transcriptions.create(model="whisper-1", file=("answer.ogg", spoken), language="en")
    assert len(words(back.text) & words(ANSWER)) >= 4, back.text


@pytest.mark.parametrize("form", ["mp3", "aac", "flac", "wav", "pcm"])
def test_every_format_holds_the_same_sound(http: httpx.Client, form: str) -> None:
    answer = http.post("/audio/speech", json={"model": "tts-1", "input": "Good evening.", "response_format": form})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == files.MEDIA[form]
    if form == "pcm":
        sound = np.frombuffer(answer.content, dtype="<i2").astype(np.float32) / 32768
        seconds = len(sound) / files.OUT_RATE
    else:
        sound = decoded(answer.content)
        seconds = len(sound) / RATE
    assert 0.5 < seconds < 2.5
    assert np.sqrt(np.mean(np.square(sound))) > 0.01


def test_the_first_clause_comes_before_the_whole_is_made(http: httpx.Client) -> None:
    text = "Well, " + "the ships sail on the wide sea, and the winds carry them home again. " * 20
    request = {"model": "tts-1", "input": text, "response_format": "pcm"}
    with http.stream("POST", "/audio/speech", json=request) as response:
        pieces = [piece for piece, _ in zip(response.iter_raw(), range(3), strict=False)]
    assert 0 < sum(map(len, pieces)) < 20 * 2 * files.OUT_RATE, "all of it came at once"


def test_speech_comes_in_events(http: httpx.Client) -> None:
    request = {"model": "gpt-4o-mini-tts", "input": ANSWER, "voice": {"id": "marin"}, "stream_format": "sse"}
    answer = http.post("/audio/speech", json={**request, "response_format": "pcm"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert [event["type"] for event in events[-2:]] == ["speech.audio.delta", "speech.audio.done"]
    assert len(b"".join(base64.b64decode(event["audio"]) for event in events[:-1])) > files.OUT_RATE


def test_speech_is_as_fast_as_asked(http: httpx.Client) -> None:
    def seconds(speed: float) -> float:
        request = {"model": "tts-1", "input": ANSWER, "speed": speed, "response_format": "pcm"}
        return len(http.post("/audio/speech", json=request).content) / 2 / files.OUT_RATE

    assert 2.5 < seconds(0.5) / seconds(2.0) < 6


def test_a_voice_by_its_name_and_by_those_of_others(http: httpx.Client, running: Running) -> None:
    name = running[1].synthesizer.voices[0].name
    for voice in (name, "nova", None):
        request = {"model": "tts-1", "input": "Yes.", "voice": voice, "response_format": "pcm"}
        assert http.post("/audio/speech", json=request).status_code == 200
    unknown = http.post("/audio/speech", json={"model": "tts-1", "input": "Yes.", "voice": "nobody"})
    assert unknown.status_code == 400
    assert unknown.json()["error"] == {
        "message": unknown.json()["error"]["message"],
        "type": "invalid_request_error",
        "param": "voice",
        "code": "voice_not_found",
    }
    assert name in unknown.json()["error"]["message"]


def test_a_transcript_in_each_format(client: openai.OpenAI, question: bytes) -> None:
    def ask(form: Any) -> Any:
        return client.audio.transcriptions.create(model="whisper-1", file=("q.wav", question), response_format=form)

    assert {"capital", "france"} <= words(ask("json").text)
    assert {"capital", "france"} <= words(ask("text"))
    whole = ask("verbose_json")
    assert whole.language == "en"
    assert whole.duration == pytest.approx(len(question) / 2 / RATE, abs=0.1)
    (segment,) = whole.segments
    assert 0.2 < segment.start < 0.7 < segment.end < whole.duration
    assert segment.avg_logprob < 0
    subtitles = ask("srt").splitlines()
    assert subtitles[0] == "1"
    assert subtitles[1].startswith("00:00:00,")
    assert " --> 00:00:0" in subtitles[1]
    assert "capital" in words(subtitles[2])
    assert ask("vtt").startswith("WEBVTT\n\n00:00:00.")


def test_a_recording_with_pauses_is_heard_part_by_part(client: openai.OpenAI, say: Say) -> None:
    sound = np.concatenate((silence(2), say(QUESTION), silence(4), say("How are you today?"), silence(3)))
    stream = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("long.flac", flac(sound)), stream=True, prompt="Paris, France"
    )
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) == 2
    assert "capital" in words(deltas[0])
    assert "today" in words(deltas[1])
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == "".join(deltas)
    whole = client.audio.transcriptions.create(
        model="whisper-1",
        file=("long.flac", flac(sound)),
        response_format="verbose_json",
        timestamp_granularities=["segment"],
    )
    assert whole.segments is not None
    first, second = whole.segments
    begins = 2 + len(say(QUESTION)) / RATE + 4
    assert first.start == pytest.approx(2.1, abs=0.4)
    assert second.start == pytest.approx(begins + 0.1, abs=0.4)
    assert second.end < len(sound) / RATE - 2


def flac(sound: Samples) -> bytes:
    encoder = files.Encoder("flac", RATE)
    return encoder.feed(to_bytes(sound)) + encoder.end()


def test_silence_is_an_empty_transcript(client: openai.OpenAI) -> None:
    whole = client.audio.transcriptions.create(
        model="whisper-1", file=("quiet.wav", wav(silence(3))), response_format="verbose_json"
    )
    assert (whole.text, whole.segments) == ("", [])


def test_models_are_what_there_is(client: openai.OpenAI, question: bytes) -> None:
    models = {model.model_extra["task"]: model.id for model in client.models.list() if model.model_extra}
    assert set(models) == {"transcription", "speech"}
    assert client.models.retrieve(models["speech"]).id == models["speech"]
    heard = client.audio.transcriptions.create(model=models["transcription"], file=("q.wav", question))
    assert "capital" in words(heard.text)
    with pytest.raises(openai.NotFoundError, match="There is no model 'large'"):
        client.audio.transcriptions.create(model="large", file=("q.wav", question))
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("large")


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("fields", "file", "status", "param"),
    [
        ({"model": "whisper-1"}, None, 400, "file"),
        ({}, b"RIFF", 400, "model"),
        ({"model": "whisper-1"}, b"", 400, "file"),
        ({"model": "whisper-1"}, b"this is no sound" * 99, 400, "file"),
        ({"model": "whisper-1"}, PLAYLIST, 400, "file"),
        ({"model": "whisper-1", "response_format": "diarized_json"}, b"RIFF", 400, "response_format"),
        ({"model": "whisper-1", "language": "tlh"}, b"RIFF", 400, "language"),
        ({"model": "whisper-1", "response_format": "srt", "stream": "true"}, b"RIFF", 400, "response_format"),
        (
            {"model": "whisper-1", "response_format": "verbose_json", "timestamp_granularities[]": "word"},
            b"RIFF",
            400,
            "timestamp_granularities",
        ),
        ({"model": "whisper-1", "include[]": "logprobs"}, b"RIFF", 400, "include"),
        ({"model": "whisper-1", "prompt": "x" * 70_000}, b"RIFF", 400, None),
    ],
    ids=str,
)
def test_what_cannot_be_transcribed_is_refused(
    http: httpx.Client, fields: dict[str, str], file: bytes | None, status: int, param: str | None
) -> None:
    sent = {"file": ("x.wav", file)} if file is not None else {"other": ("x", b"")}
    answer = http.post("/audio/transcriptions", data=fields, files=sent)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"][0].isupper()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "tts-1"}, "input"),
        ({"model": "tts-1", "input": "  "}, "input"),
        ({"model": "tts-1", "input": "…!"}, "input"),
        ({"model": "tts-1", "input": "a" * 4097}, "input"),
        ({"input": "Yes."}, "model"),
        ({"model": "tts-1", "input": "Yes.", "response_format": "midi"}, "response_format"),
        ({"model": "tts-1", "input": "Yes.", "response_format": ["wav"]}, "response_format"),
        ({"model": "tts-1", "input": "Yes.", "stream_format": "ws"}, "stream_format"),
        ({"model": "tts-1", "input": "Yes.", "speed": 9}, "speed"),
        ({"model": "tts-1", "input": "Yes.", "speed": True}, "speed"),
        ({"model": "tts-1", "input": "Yes.", "voice": ["alloy"]}, "voice"),
        ([], None),
        (None, None),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_refused(http: httpx.Client, body: Any, param: str | None) -> None:
    answer = http.post("/audio/speech", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_what_is_no_json_and_no_form_is_refused(http: httpx.Client) -> None:
    for content, kind in ((b"{", "application/json"), (b"[" * 90_000, "application/json"), (b"{}", "text/plain")):
        answer = http.post("/audio/speech", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 400, answer.text
    torn = {"Content-Type": "multipart/form-data; boundary=x"}
    for headers in (torn, {"Content-Type": "multipart/form-data"}, {"Content-Type": "audio/wav"}):
        answer = http.post("/audio/transcriptions", content=b"--x\r\nnothing", headers=headers)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["message"]


def test_a_large_recording_is_taken_and_one_that_is_too_large_is_not(http: httpx.Client) -> None:
    fits = {"file": ("x.wav", wav(silence(400)))}
    assert http.post("/audio/transcriptions", data={"model": "whisper-1"}, files=fits).json()["text"] == ""
    file = {"file": ("x.wav", bytes(27 * 1024 * 1024))}
    assert http.post("/audio/transcriptions", data={"model": "whisper-1"}, files=file).status_code == 413
    large = http.post("/audio/speech", content=iter([b" " * 700_000] * 2), headers={"Content-Type": "application/json"})
    assert large.status_code == 413
    assert large.json()["error"]["type"] == "invalid_request_error"


def test_unknown_addresses_and_methods_are_told_in_the_same_shape(http: httpx.Client) -> None:
    for method, path, status in (("POST", "/chat/completions", 404), ("GET", "/audio/speech", 405)):
        answer = http.request(method, path, json={})
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


async def test_a_recording_does_not_hold_up_a_live_turn(running: Running, say: Say, question: bytes) -> None:
    """Six minutes of speech are being heard when somebody asks a question: it is answered before they are through."""
    from .client import client as talking

    long = flac(np.tile(np.concatenate((say(QUESTION), silence(1.2))), 120))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running[0]}/v1", trust_env=False, timeout=120) as http:
        sending = asyncio.create_task(
            http.post("/audio/transcriptions", data={"model": "whisper-1"}, files={"file": ("long.flac", long)})
        )
        async with talking(running[0]) as one:
            await one.speak(np.concatenate((silence(0.2), say("How are you today?"))), paced=False)
            await one.send("end")
            assert "today" in words((await one.until("transcript"))["text"])
            assert not sending.done(), "the recording is too short to tell anything"
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
