"""The handlers of the Wyoming services by themselves: what is sent, how often and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import numpy as np
import pytest
from scripted import Ears, Script, Tones, quick
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, Eventable
from wyoming.tts import Synthesize

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.settings import Settings
from antiphon_daemon.conversation.across import Across
from antiphon_daemon.conversation.clauses import Ending
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.pacing import PAUSES_MS
from antiphon_daemon.endpoints import vad as vad_endpoint
from antiphon_daemon.endpoints.asr import AsrHandler
from antiphon_daemon.endpoints.handle import HandleHandler, Memories
from antiphon_daemon.endpoints.tts import TtsHandler
from antiphon_daemon.engines.contracts import EngineError, Engines
from antiphon_daemon.insight.turns import Recorder, Turns

SETTINGS = Settings.model_validate({"turn": {"longest_s": 5}})


class Line:
    """A connection that keeps what is sent."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.sent: list[Event] = []

    async def send(self, event: Event | Eventable) -> None:
        self.send_nowait(event)

    def send_nowait(self, event: Event | Eventable) -> None:
        self.sent.append(event if isinstance(event, Event) else event.event())

    @property
    def kinds(self) -> list[str]:
        return [event.type for event in self.sent]

    async def until(self, kind: str) -> Event:
        """Wait until one of this kind was sent."""
        async with asyncio.timeout(10):
            while kind not in self.kinds:
                await asyncio.sleep(0.005)
        return next(event for event in self.sent if event.type == kind)


class Loud:
    """A voice activity model that takes what is loud for speech."""

    def probability(self, frame: Samples) -> float:
        return 0.9 if abs(frame[0]) > 0.05 else 0.0

    def reset(self) -> None: ...


def started() -> Event:
    return AudioStart(rate=RATE, width=2, channels=1).event()


def sound(seconds: float, level: float = 0.1) -> Event:
    pcm = to_bytes(np.full(round(seconds * RATE), level, dtype=np.float32))
    return AudioChunk(rate=RATE, width=2, channels=1, audio=pcm).event()


def asr(line: Line, ears: Ears) -> AsrHandler:
    engines, recorder = Engines(ears, Script(quick), Tones()), Recorder(Turns(), "asr", line.host)
    return AsrHandler(cast(Any, line), engines, SETTINGS, Across(), recorder)


async def test_an_utterance_has_one_transcript_however_often_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vad, "load", Loud)
    line = Line()
    one = asr(line, Ears("hello there"))
    for event in (Transcribe().event(), started(), sound(1.0), AudioStop().event()):
        await one.handle(event)
    assert (await line.until("transcript")).data["text"] == "hello there"
    await one.handle(sound(1.0))
    await one.handle(AudioStop().event())
    await asyncio.sleep(0.05)
    assert line.kinds.count("transcript") == 1
    await one.gone()


async def test_what_is_asked_for_anew_is_not_answered_with_the_utterance_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The race: the next utterance begins before there are words for the one before."""
    monkeypatch.setattr(vad, "load", Loud)
    line, ears = Line(), Ears("the one before", takes_s=0.1)
    one = asr(line, ears)
    for event in (Transcribe().event(), started(), sound(1.0), AudioStop().event()):
        await one.handle(event)
    await asyncio.sleep(0.02)
    assert ears.heard
    for event in (Transcribe().event(), AudioStop().event()):
        await one.handle(event)
    await asyncio.sleep(0.2)
    assert [event.data["text"] for event in line.sent if event.type == "transcript"] == [""]
    await one.gone()


async def test_an_utterance_whose_ends_are_known_has_a_longest() -> None:
    line, ears = Line(), Ears("hello there")
    one = asr(line, ears)
    for seconds in (10.0, 10.1):
        await one.handle(Event("transcribe", {"whole": True}))
        for event in (started(), sound(seconds), AudioStop().event()):
            await one.handle(event)
    assert ears.heard == [10 * RATE]
    assert [kind for kind in line.kinds if kind in ("transcript", "error")] == ["transcript", "error"]
    assert "turn.longest_s" in line.sent[-1].data["text"]
    await one.gone()


def handler(line: Line, say: Callable[[], AsyncIterator[str]]) -> tuple[HandleHandler, Script]:
    model = Script(say)
    engines, memories = Engines(Ears(), model, Tones()), Memories(SETTINGS)
    recorder = Recorder(Turns(), "handle", line.host)
    return HandleHandler(cast(Any, line), engines, memories, Across(), SETTINGS, recorder), model


def asked(text: str) -> Event:
    return Transcript(text=text, language="en", context={"conversation_id": "kitchen"}).event()


async def test_who_starts_over_is_a_stranger() -> None:
    line = Line()
    one, model = handler(line, quick)
    for text in ("My name is Kim.", "Who am I?", "Start over.", "Who am I now?"):
        await one.handle(asked(text))
    assert line.kinds.count("handled") == 4
    assert [told[1:] for told in model.asked] == [
        ["My name is Kim."],
        ["My name is Kim.", "It is fine.", "Who am I?"],
        ["Who am I now?"],
    ]
    await one.gone()


async def test_an_apology_is_not_handled_and_not_remembered() -> None:
    fails = [True, False]

    async def say() -> AsyncIterator[str]:
        if fails.pop(0):
            raise EngineError("llm", "the model is gone")
        yield "It is fine."

    line = Line()
    one, model = handler(line, say)
    await one.handle(asked("How are you?"))
    assert line.kinds[-1] == "not-handled"
    await one.handle(asked("And now?"))
    assert line.kinds[-2:] == ["handled", "handled-stop"]
    assert model.asked[-1][1:] == ["And now?"]
    await one.gone()


@pytest.mark.parametrize("written", ["😀", "...", "**", "\u200b", " \n ", ""])
async def test_what_no_voice_can_say_is_no_answer(written: str) -> None:
    """A small model answered with an emoji, or three dots: whoever had asked Home Assistant heard nothing at all."""

    async def say() -> AsyncIterator[str]:
        yield written

    line = Line()
    one, model = handler(line, say)
    await one.handle(asked("How are you?"))
    assert line.kinds[-1] == "not-handled"
    assert line.sent[-1].data["text"] == f"{written} {message('empty', 'en')}".strip()
    told = "".join(event.data["text"] for event in line.sent if event.type == "handled-chunk")
    assert told.strip() == line.sent[-1].data["text"]
    await one.handle(asked("And now?"))
    assert model.asked[-1][1:] == ["And now?"]
    await one.gone()


@pytest.mark.parametrize("written", ["```python\nprint(1)\n```", "https://example.com/tides"])
async def test_what_can_be_read_is_an_answer_in_every_language(written: str) -> None:
    """A block of code, or a link, in German ended in an apology and was forgotten: there it has no spoken form."""

    async def say() -> AsyncIterator[str]:
        yield written

    line = Line()
    one, model = handler(line, say)
    for text in ("Zeig es mir.", "Und jetzt?"):
        await one.handle(Transcript(text=text, language="de", context={"conversation_id": "kitchen"}).event())
    assert [event.data["text"] for event in line.sent if event.type == "handled"] == [written, written]
    assert "".join(event.data["text"] for event in line.sent if event.type == "handled-chunk") == written * 2
    assert model.asked[-1][1:] == ["Zeig es mir.", written, "Und jetzt?"]
    await one.gone()


async def test_sentences_are_spoken_with_a_pause_and_their_sound_has_no_gap() -> None:
    line, voice = Line(), Tones()
    recorder = Recorder(Turns(), "tts", line.host)
    one = TtsHandler(cast(Any, line), voice, SETTINGS, Across(), recorder)
    await one.handle(Synthesize(text="This is the first of them. And this is the other one.").event())
    assert line.kinds[0] == "audio-start"
    assert line.kinds[-1] == "audio-stop"
    at = 0
    for event in line.sent[1:-1]:
        assert event.data["timestamp"] == at * 1000 // RATE
        at += len(event.payload or b"") // 2
    assert line.sent[-1].data["timestamp"] == at * 1000 // RATE
    said = sum(len(voice.sound(text)) // 2 for text in voice.texts)
    assert len(voice.texts) == 2
    assert abs((at - said) * 1000 / RATE - PAUSES_MS[Ending.SENTENCE]) < 30
    await one.gone()


async def test_speech_that_a_stream_ends_in_has_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vad_endpoint, "load", Loud)
    line = Line()
    one = vad_endpoint.VadHandler(cast(Any, line))
    for _ in range(2):
        for event in (started(), sound(0.5, 0.0), sound(1.0), AudioStop().event(), AudioStop().event()):
            await one.handle(event)
    assert line.kinds == ["voice-started", "voice-stopped"] * 2
    assert [event.data["timestamp"] for event in line.sent] == pytest.approx([500, 1500] * 2, abs=64)
