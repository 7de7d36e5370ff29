"""Clients of the REST endpoints that leave, fail or crowd: with engines that follow a script, and a real voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from scripted import Ears
from speech import Say

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Stt
from antiphon_daemon.engines.contracts import EngineError, Fault, Synthesizer, Transcript, Urgency, Voice, Work
from antiphon_daemon.engines.worker import revocable

from .opening import opened
from .test_rest import flac

SAYS = {"model": "tts-1", "input": "One sentence. And another one.", "response_format": "pcm"}


class Slow(Ears):
    """Hears nothing before it is let; tells what it was given and whether that is still wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.works: list[Work] = []
        self.may = asyncio.Event()

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        self.works.append(work)
        async with revocable(work):
            await self.may.wait()
        return Transcript("yes", language)


class Mouth:
    """A voice that makes a second of sound at a time, and stops or fails where it is told to."""

    name, rate = "mouth", 16_000
    voices = (Voice("mouth", ("en",)),)

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.works: list[Work] = []
        self.made = 0

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        self.works.append(work)
        while work.wanted():
            if self.made == self.fails_at:
                raise EngineError("tts", "The voice is hoarse.", Fault.BROKE)
            self.made += 1
            tone = np.sin(np.arange(self.rate) * 0.3) * 9000
            yield tone.astype("<i2").tobytes()
            await asyncio.sleep(0.01)

    async def close(self) -> None: ...


def http(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1", trust_env=False, timeout=30)


async def until(true: Any) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_who_leaves_before_the_transcript_has_no_work_done(
    gateways: list[Any], voice: Synthesizer, say: Say, stream: str
) -> None:
    ears = Slow()
    async with opened(gateways, voice, ears=ears) as gateway, http(gateway.port) as one:
        form = {"model": "whisper-1", "stream": stream}
        asking = asyncio.create_task(
            one.post("/audio/transcriptions", data=form, files={"file": ("x.flac", flac(say("Hello there.")))})
        )
        await until(lambda: ears.works)
        (work,) = ears.works
        assert work.urgency() is Urgency.PATIENT
        assert work.wanted()
        asking.cancel()
        await until(lambda: not work.wanted())


async def test_who_leaves_in_the_middle_of_speech_has_no_more_made(gateways: list[Any]) -> None:
    mouth = Mouth()
    async with opened(gateways, mouth) as gateway, http(gateway.port) as one:
        async with one.stream("POST", "/audio/speech", json=SAYS) as response:
            async for _ in response.aiter_raw():
                break
        (work,) = mouth.works
        await until(lambda: not work.wanted())


async def test_who_takes_nothing_is_dropped(gateways: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon_daemon.gateway.bounds.SEND_S", 0.3)
    mouth = Mouth()
    async with opened(gateways, mouth) as gateway, http(gateway.port) as one:
        async with one.stream("POST", "/audio/speech", json=SAYS):
            await until(lambda: mouth.works and not mouth.works[0].wanted())
        assert mouth.made > 10


async def test_a_voice_that_fails_is_told(gateways: list[Any]) -> None:
    async with opened(gateways, Mouth(fails_at=0)) as gateway, http(gateway.port) as one:
        answer = await one.post("/audio/speech", json=SAYS)
        assert answer.status_code == 503
        assert answer.json()["error"] == {
            "message": "The voice is hoarse.",
            "type": "server_error",
            "param": None,
            "code": "tts_failed",
        }


async def test_a_voice_that_fails_on_the_way_leaves_no_file_that_seems_whole(gateways: list[Any]) -> None:
    mouth = Mouth(fails_at=3)
    async with opened(gateways, mouth) as gateway, http(gateway.port) as one:
        with pytest.raises(httpx.TransportError):
            await one.post("/audio/speech", json=SAYS)
        mouth.made = 0
        events = (await one.post("/audio/speech", json={**SAYS, "stream_format": "sse"})).text
        assert '"type": "error"' in events or '"code": "tts_failed"' in events
        assert "hoarse" in events
        assert "audio.done" not in events


async def test_ears_that_fail_are_told(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    sound = {"file": ("x.flac", flac(say("Hello there.")))}
    async with opened(gateways, voice, ears=Ears(fails=1)) as gateway, http(gateway.port) as one:
        answer = await one.post("/audio/transcriptions", data={"model": "whisper-1"}, files=sound)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stt_failed")
        answer = await one.post("/audio/transcriptions", data={"model": "whisper-1"}, files=sound)
        assert answer.json()["text"] == "hello there"


async def test_the_hints_of_the_house_are_told_to_any_engine(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    class Attentive(Ears):
        told: Sequence[str] = ()

        async def transcribe(
            self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
        ) -> Transcript:
            self.told = hints
            return await super().transcribe(audio, work, language=language, hints=hints)

    ears = Attentive()
    async with opened(gateways, voice, ears=ears) as gateway, http(gateway.port) as one:
        gateway.adopt(gateway.settings.model_copy(update={"stt": Stt(hints=["Antiphon"])}))
        form, file = {"model": "whisper-1", "keywords[]": "Busan"}, {"file": ("x.flac", flac(say("Hello there.")))}
        assert (await one.post("/audio/transcriptions", data=form, files=file)).status_code == 200
    assert list(ears.told) == ["Antiphon", "Busan"]


async def test_more_than_can_be_worked_at_wait_and_then_are_turned_away(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    ears = Slow()
    sound = flac(say("Hello there."))
    async with opened(gateways, voice, ears=ears) as gateway, http(gateway.port) as one:

        async def ask() -> httpx.Response:
            file = {"file": ("x.flac", sound)}
            return await one.post("/audio/transcriptions", data={"model": "whisper-1"}, files=file)

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask()) for _ in range(24)]
            await until(lambda: sum(task.done() for task in asked) >= 6)
            assert len(ears.works) <= 2
            ears.may.set()
        codes = [task.result().status_code for task in asked]
        assert sorted(codes) == [200] * 18 + [429] * 6
        turned = next(task.result() for task in asked if task.result().status_code == 429)
        assert turned.json()["error"]["type"] == "rate_limit_error"
        assert turned.headers["retry-after"]


async def test_a_daemon_that_ends_says_so(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, voice) as gateway, http(gateway.port) as one:
        gateway.why_not = "the daemon is ending"
        answer = await one.post("/audio/speech", json=SAYS)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")


async def test_recordings_and_texts_are_counted(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    async with opened(gateways, voice) as gateway, http(gateway.port) as one:

        async def counts() -> dict[str, float]:
            text = (await one.get(f"http://127.0.0.1:{gateway.port}/metrics")).text
            lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
            return {name: float(value) for name, value in lines}

        before = await counts()
        await one.post("/audio/speech", json=SAYS)
        sound = {"file": ("x.flac", flac(say("Hello there.")))}
        await one.post("/audio/transcriptions", data={"model": "whisper-1"}, files=sound)
        after = await counts()
        for name in ("antiphon_speeches_total", "antiphon_transcriptions_total"):
            assert after[name] == before[name] + 1


async def test_a_recording_longer_than_is_heard_is_refused(
    gateways: list[Any], voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon_daemon.gateway.rest.transcriptions.LONGEST_S", 30.0)
    async with opened(gateways, voice) as gateway, http(gateway.port) as one:
        sound = {"file": ("x.flac", flac(np.zeros(40 * RATE, dtype=np.float32)))}
        answer = await one.post("/audio/transcriptions", data={"model": "whisper-1"}, files=sound)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "audio_too_long")
