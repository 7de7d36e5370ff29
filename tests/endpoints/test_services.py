"""The daemon's Wyoming services with the embedded models, as Home Assistant and other clients use them."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from jiwer import wer
from speech import Say, silence
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.handle import Handled
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice
from wyoming.wake import Detect

from antiphon.audio.pcm import RATE, Samples, resample, to_bytes, to_samples
from antiphon.wire.frames import parse
from antiphon.wire.link import Link, ask_info, open_link

from .conftest import Running

WORDS = str.maketrans("", "", ".,!?")


def plain(text: str) -> str:
    return text.lower().translate(WORDS)


async def send_all(link: Link, *events: Eventable | Event) -> None:
    for event in events:
        await link.send(event)


async def send_sound(link: Link, sound: Samples, *, paced: bool = False, rate: int = RATE) -> None:
    """Send 10 ms chunks, as Home Assistant does; `paced`: as a microphone gives them."""
    began = time.monotonic()
    for at in range(0, len(sound), rate // 100):
        chunk = to_bytes(sound[at : at + rate // 100])
        await link.send(AudioChunk(rate=rate, width=2, channels=1, audio=chunk))
        if paced:
            await asyncio.sleep(max(0.0, began + at / rate - time.monotonic()))


async def events_until(link: Link, *kinds: str) -> list[Event]:
    """Return everything up to the first event of one of these kinds."""
    found: list[Event] = []
    while True:
        found.append(await link.receive(30))
        if found[-1].type in kinds:
            return found


async def transcribe(daemon: Running, sound: Samples, *, rate: int = RATE) -> str:
    async with await open_link(daemon.uri("asr")) as link:
        await send_all(link, Transcribe(language="en"), AudioStart(rate=rate, width=2, channels=1))
        await send_sound(link, sound, rate=rate)
        await link.send(AudioStop())
        return parse(Transcript, (await events_until(link, "transcript", "error"))[-1]).text


async def speech(link: Link, until: str) -> tuple[list[Event], Samples]:
    """Return the events of a synthesis and its sound at 16 kHz."""
    events = await events_until(link, until, "error")
    pcm = b"".join(event.payload or b"" for event in events if event.type == "audio-chunk")
    return events, resample(to_samples(pcm), 22_050, RATE)


async def test_each_service_describes_itself_as_home_assistant_wants_it(daemon: Running) -> None:
    asr = (await ask_info(daemon.uri("asr"))).asr[0]
    assert (asr.installed, asr.requires_external_vad, asr.supports_transcript_streaming) == (True, False, True)
    assert asr.models[0].languages == ["en"]
    tts = (await ask_info(daemon.uri("tts"))).tts[0]
    assert tts.supports_synthesize_streaming
    assert tts.voices[0].languages[0].startswith("en")
    handle = (await ask_info(daemon.uri("handle"))).handle[0]
    assert {"en", "ko"} <= set(handle.models[0].languages)
    for name in ("asr", "tts", "handle", "vad", "wake"):
        info = await ask_info(daemon.uri(name))
        assert info.satellite is None
        for program in (*info.asr, *info.tts, *info.handle):
            assert program.attribution.name
            assert program.attribution.url is not None


async def test_a_recording_becomes_its_words(daemon: Running, say: Say) -> None:
    text = "What is the capital of Spain?"
    assert plain(await transcribe(daemon, np.concatenate((say(text), silence(0.5))))) == plain(text)


async def test_any_rate_is_heard(daemon: Running, say: Say) -> None:
    text = "What is the capital of France?"
    for rate in (8000, 44_100):
        heard = await transcribe(daemon, resample(say(text), RATE, rate), rate=rate)
        assert wer(plain(text), plain(heard)) <= 0.2, heard


async def test_the_turn_is_ended_here_without_audio_stop(daemon: Running, say: Say) -> None:
    sound = np.concatenate((silence(0.3), say("Turn on the lamp in the kitchen."), silence(3)))
    async with await open_link(daemon.uri("asr")) as link:
        await send_all(link, Transcribe(language="en"), AudioStart(rate=RATE, width=2, channels=1))
        sending = asyncio.create_task(send_sound(link, sound, paced=True))
        events = await events_until(link, "transcript", "error")
        assert not sending.done(), "the transcript must not wait for the rest of the sound"
        sending.cancel()
        assert plain(events[-1].data["text"]) == "turn on the lamp in the kitchen"
        assert [event.type for event in events] == ["transcript-start", "transcript-chunk", "transcript"]


async def test_the_last_syllable_is_heard_at_any_rate_without_silence_after_it(daemon: Running, say: Say) -> None:
    """What a program sends that has cut its sound to the speech: nothing may stay in the resampler."""
    sound = say("What is the capital of Spain?")
    for rate in (22_050, 24_000, 44_100, 48_000):
        pcm = to_bytes(resample(sound, RATE, rate))
        async with await open_link(daemon.uri("asr")) as link:
            await send_all(link, Transcribe(language="en"), AudioStart(rate=rate, width=2, channels=1))
            await send_all(link, AudioChunk(rate=rate, width=2, channels=1, audio=pcm), AudioStop())
            events = await events_until(link, "transcript", "error")
        assert plain(events[-1].data["text"]) == "what is the capital of spain", rate


async def test_a_recording_sent_at_once_is_not_cut_at_its_pauses(daemon: Running, say: Say) -> None:
    sound = np.concatenate((say("Turn on the light."), silence(1.5), say("And close the door.")))
    heard = plain(await transcribe(daemon, np.concatenate((sound, silence(0.3)))))
    assert "light" in heard
    assert "door" in heard


@pytest.mark.parametrize("kind", ["nothing", "silence", "noise", "hum"])
async def test_what_is_no_speech_has_no_words(daemon: Running, kind: str) -> None:
    sound = {
        "nothing": silence(0),
        "silence": silence(4),
        "noise": np.random.default_rng(3).normal(0, 0.05, RATE * 4).astype(np.float32),
        "hum": (0.2 * np.sin(2 * np.pi * 50 * np.arange(RATE * 4) / RATE)).astype(np.float32),
    }[kind]
    assert await transcribe(daemon, sound) == ""


async def test_several_utterances_on_one_connection(daemon: Running, say: Say) -> None:
    async with await open_link(daemon.uri("asr")) as link:
        for text in ("Open the window.", "Close the door."):
            await send_all(link, Transcribe(language="en-US"), AudioStart(rate=RATE, width=2, channels=1))
            await send_sound(link, say(text))
            await send_all(link, AudioStop())
            events = await events_until(link, "transcript-stop", "error")
            assert wer(plain(text), plain(events[-2].data["text"])) <= 0.34


async def test_a_transcript_is_answered_when_no_sound_came_or_none_was_announced(daemon: Running, say: Say) -> None:
    async with await open_link(daemon.uri("asr")) as link:
        await send_all(link, Transcribe(language="en"), AudioStop())
        assert (await events_until(link, "transcript", "error"))[-1].data["text"] == ""
        for text in ("Open the window.", "Close the door."):
            await link.send(Transcribe(language="en"))
            await send_sound(link, say(text))
            await link.send(AudioStop())
            heard = (await events_until(link, "transcript", "error"))[-1].data["text"]
            assert wer(plain(text), plain(heard)) <= 0.34


async def test_a_language_that_the_model_does_not_know_is_refused(daemon: Running) -> None:
    async with await open_link(daemon.uri("asr")) as link:
        await link.send(Transcribe(language="ko"))
        error = parse(Error, await link.receive(5))
        assert "'ko'" in error.text
        await link.send(AudioStart(rate=0, width=2, channels=1))
        assert parse(Error, await link.receive(5)).code == "audio-format"


async def test_text_becomes_speech_that_says_it(daemon: Running) -> None:
    text = "The kitchen light is on. The front door is closed."
    async with await open_link(daemon.uri("tts")) as link:
        await link.send(Synthesize(text=text))
        events, sound = await speech(link, "audio-stop")
    assert events[0].data["rate"] == 22_050
    assert [event.type for event in events].count("audio-start") == 1
    stamps = [event.data["timestamp"] for event in events if event.type == "audio-chunk"]
    assert stamps == sorted(stamps)
    assert stamps[0] == 0
    assert wer(plain(text), plain(await transcribe(daemon, sound))) <= 0.2


async def test_streamed_text_is_spoken_before_it_is_whole(daemon: Running) -> None:
    async with await open_link(daemon.uri("tts")) as link:
        await send_all(link, SynthesizeStart(), SynthesizeChunk(text="The first sentence is here. "))
        await events_until(link, "audio-chunk")
        await send_all(
            link,
            SynthesizeChunk(text="And this is the second."),
            Synthesize(text="The first sentence is here. And this is the second."),
            SynthesizeStop(),
        )
        events, _ = await speech(link, "synthesize-stopped")
    kinds = [event.type for event in events]
    assert kinds.count("audio-start") == 0
    assert kinds[-2:] == ["audio-stop", "synthesize-stopped"]


@pytest.mark.parametrize("text", ["", "…", "😀", "```"])
async def test_text_without_words_is_an_empty_reply(daemon: Running, text: str) -> None:
    async with await open_link(daemon.uri("tts")) as link:
        await link.send(Synthesize(text=text))
        events, sound = await speech(link, "audio-stop")
        assert [event.type for event in events] == ["audio-start", "audio-stop"]
        assert len(sound) == 0


async def test_a_voice_that_is_not_there_is_an_error_and_the_next_request_works(daemon: Running) -> None:
    async with await open_link(daemon.uri("tts")) as link:
        await link.send(Synthesize(text="Hello.", voice=SynthesizeVoice(name="nobody")))
        events = await events_until(link, "error")
        assert "nobody" in events[-1].data["text"]
        await events_until(link, "audio-stop")
        await link.send(Synthesize(text="Hello."))
        events, _ = await speech(link, "audio-stop")
        assert any(event.type == "audio-chunk" for event in events)


async def answered(link: Link, text: str, conversation: str | None) -> str:
    context = {"conversation_id": conversation} if conversation else None
    await link.send(Transcript(text=text, language="en", context=context))
    events = await events_until(link, "handled-stop", "not-handled", "error")
    assert events[0].type == "handled-start"
    streamed = "".join(event.data["text"] for event in events if event.type == "handled-chunk")
    handled = parse(Handled, events[-2])
    assert handled.text == streamed.strip()
    assert handled.context == context
    return handled.text or ""


async def test_a_question_is_answered_and_the_next_may_refer_to_it(daemon: Running) -> None:
    async with await open_link(daemon.uri("handle")) as link:
        assert "Paris" in await answered(link, "What is the capital of France?", "kitchen")
        await answered(link, "What did I ask you about?", "kitchen")
        assert "over" in await answered(link, "Start over.", "kitchen")


async def test_no_room_hears_of_another(daemon: Running) -> None:
    from antiphon_daemon.endpoints.handle import Memories

    memories = Memories(daemon.settings)
    memories.of("kitchen", "en").remember("My name is Zorro.", "Hello, Zorro.")
    assert len(memories.of("kitchen", "en").messages("x")) == 4
    assert len(memories.of("bedroom", "en").messages("x")) == 2
    assert len(memories.of(None, "en").messages("x")) == 2
    for number in range(1000):
        memories.of(str(number), "en")
    assert len(memories.of("kitchen", "en").messages("x")) == 2


@pytest.mark.parametrize("text", ["", "   ", "word " * 10_000])
async def test_a_request_that_cannot_be_answered_is_told_so(daemon: Running, text: str) -> None:
    async with await open_link(daemon.uri("handle")) as link:
        await link.send(Transcript(text=text, language="en"))
        assert (await link.receive(10)).type == "not-handled"


async def test_voices_come_and_go(daemon: Running, say: Say) -> None:
    sound = np.concatenate((silence(1), say("Good morning."), silence(1)))
    async with await open_link(daemon.uri("vad")) as link:
        await link.send(AudioStart(rate=RATE, width=2, channels=1))
        await send_sound(link, sound)
        started, stopped = await link.receive(5), await link.receive(5)
    assert (started.type, stopped.type) == ("voice-started", "voice-stopped")
    assert abs(started.data["timestamp"] - 1000) < 200
    assert stopped.data["timestamp"] > started.data["timestamp"] + 300


async def test_a_wake_word_is_heard_by_its_name_and_phrase(daemon: Running, say: Say) -> None:
    info = await ask_info(daemon.uri("wake"))
    phrases = {model.name: model.phrase for model in info.wake[0].models}
    assert phrases["okay_nabu"] == "Okay Nabu"
    sound = np.concatenate((silence(1.5), say("Okay Nabu."), silence(1)))
    async with await open_link(daemon.uri("wake")) as link:
        for names in (["okay_nabu"], None):
            await send_all(link, Detect(names=names), AudioStart(rate=RATE, width=2, channels=1))
            await send_sound(link, sound)
            heard = await link.receive(10)
            assert (heard.type, heard.data["name"]) == ("detection", "okay_nabu")
            assert 1500 < heard.data["timestamp"] < 3500
        await send_all(link, Detect(names=["hey_jarvis"]), AudioStart(rate=RATE, width=2, channels=1))
        await send_sound(link, sound)
        await link.send(AudioStop())
        assert (await link.receive(10)).type == "not-detected"
        await link.send(Detect(names=["okay_nobody"]))
        assert "okay_nobody" in (await link.receive(10)).data["text"]


async def test_what_concerns_the_house_goes_to_home_assistant_and_only_there(daemon: Running) -> None:
    assert (await ask_info(daemon.uri("handle"))).handle[0].supports_home_control
    async with await open_link(daemon.uri("handle")) as link:
        context = {"conversation_id": "house"}
        await link.send(Transcript(text="Turn on the light in the kitchen.", language="en", context=context))
        intent = await link.receive(10)
        entities = {one["name"]: one["value"] for one in intent.data["entities"]}
        assert (intent.type, intent.data["name"]) == ("intent", "HassTurnOn")
        assert entities == {"area": "kitchen", "domain": "light"}
        assert intent.data["text"]
        both = "Turn off the kitchen light and close the blinds in the bedroom."
        await link.send(Transcript(text=both, language="en", context=context))
        kinds = [event.type for event in await events_until(link, "intents-stop")]
        assert kinds == ["intents-start", "intent", "intent", "intents-stop"]
        await link.send(Transcript(text="Turn on the light in the kitchen.", language="en"))
        assert (await link.receive(10)).type == "handled-start", "who has no conversation is no Home Assistant"


async def test_describe_is_answered_while_every_engine_is_inside_its_work(daemon: Running, say: Say) -> None:
    """Order of events, not a timing: twenty descriptions come before the work that was begun first is done."""
    long = np.concatenate([say("This is a long sentence that takes a while to be heard.")] * 8)
    text = "This sentence is spoken for a long time, because it has many words in it, one after another. " * 6
    async with (
        await open_link(daemon.uri("asr")) as asr,
        await open_link(daemon.uri("tts")) as tts,
        await open_link(daemon.uri("handle")) as handle,
    ):
        await send_all(asr, Transcribe(language="en"), AudioStart(rate=RATE, width=2, channels=1))
        await send_sound(asr, long)
        await send_all(asr, AudioStop())
        await tts.send(Synthesize(text=text))
        await handle.send(Transcript(text="Tell me a long story about a dragon and a knight.", language="en"))
        works = [
            asyncio.create_task(events_until(asr, "transcript", "error")),
            asyncio.create_task(events_until(tts, "audio-stop", "error")),
            asyncio.create_task(events_until(handle, "handled", "error", "not-handled")),
        ]
        for _ in range(5):
            for name in ("asr", "tts", "handle", "vad", "wake"):
                await ask_info(daemon.uri(name))
        pending = [work for work in works if not work.done()]
        assert pending, "the descriptions waited for the engines"
        for work in works:
            assert (await work)[-1].type not in ("error", "not-handled")
