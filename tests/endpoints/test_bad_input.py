"""What comes to a house that no one wanted to send: which test proves that each is borne, and those that stand here."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import numpy as np
import pytest
import stand_in
from proofs import absent
from scripted import Ears, Script, quick
from speech import Say, silence
from wyoming.asr import Transcript
from wyoming.error import Error
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from antiphon.settings import Deadlines, Turn
from antiphon.wire.frames import parse
from antiphon.wire.link import ask_info, open_link
from antiphon_daemon.app import serving
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.engines.contracts import Engines, Message, Synthesizer, TextDelta, Tool, Voice, Work

from .conftest import Running, quiet_settings
from .test_services import events_until, plain, speech, transcribe

HERE = "endpoints/test_bad_input.py::"
PROOFS: Mapping[str, Sequence[str]] = {
    "a peer that connects and says nothing": (
        f"{HERE}test_peers_that_say_nothing_and_half_events_keep_nobody_out",
        "satellite/test_traps.py::test_trap_11_polls_are_answered_beside_the_connection_that_drives_it",
        "ground/test_wire.py::test_connections_are_bounded_and_places_come_free",
    ),
    "half an event": (
        f"{HERE}test_peers_that_say_nothing_and_half_events_keep_nobody_out",
        "ground/test_wire.py::test_a_frame_must_come_whole_in_time",
        "ground/test_wire.py::test_a_bad_peer_gets_an_error_and_is_closed_and_others_are_served",
        "endpoints/test_hostile.py::test_hostile_frames_harm_nobody",
        "satellite/test_hostile.py::test_hostile_frames_harm_nobody",
    ),
    "two Home Assistants": (
        f"{HERE}test_two_home_assistants_at_once_get_each_their_own",
        "satellite/test_traps.py::test_two_home_assistants_one_drives_and_the_other_takes_over",
        "satellite/test_service.py::test_two_controllers_one_drives_the_other_waits_and_takes_over",
    ),
    "a Home Assistant restarted in mid-reply": (
        f"{HERE}test_a_home_assistant_that_is_restarted_in_mid_reply_leaves_no_work_behind",
        "satellite/test_traps.py::test_home_assistant_restarts_in_the_middle_of_a_reply",
    ),
    "a daemon killed in mid-utterance": (
        "satellite/test_traps.py::test_a_daemon_killed_in_the_middle_of_an_utterance_costs_the_turn",
        "satellite/test_service.py::test_losing_the_controller_in_a_turn_sounds_and_ends_it",
    ),
    "an address that changes": (
        "network/test_advertised.py::test_the_satellite_follows_its_addresses_and_says_goodbye",
        "ground/test_discovery.py::test_announced_anew_when_addresses_change",
    ),
    "a clock that jumps": (f"{HERE}test_a_clock_that_jumps_changes_nothing",),
    "an empty transcript": (
        "endpoints/test_services.py::test_a_request_that_cannot_be_answered_is_told_so",
        "endpoints/test_services.py::test_a_transcript_is_answered_when_no_sound_came_or_none_was_announced",
        "satellite/test_traps.py::test_silence_ends_as_nothing_heard_and_the_next_turn_works",
    ),
    "a reply of 20 000 words": (
        f"{HERE}test_a_model_that_writes_20000_words_is_cut_short",
        f"{HERE}test_a_text_of_20000_words_is_spoken_from_its_first_and_given_up_when_nobody_listens",
        "satellite/test_speaker.py::test_a_reply_is_kept_up_to_its_bound",
    ),
    "a voice that does not exist": (
        "endpoints/test_services.py::test_a_voice_that_is_not_there_is_an_error_and_the_next_request_works",
        f"{HERE}test_a_voice_or_a_language_that_is_not_there_is_an_error_and_no_hang",
    ),
    "SSML": (f"{HERE}test_of_ssml_only_the_words_are_spoken",),
    "a language that the models do not know": (
        "endpoints/test_services.py::test_a_language_that_the_model_does_not_know_is_refused",
        f"{HERE}test_a_voice_or_a_language_that_is_not_there_is_an_error_and_no_hang",
        "house/test_ask.py::test_a_language_that_no_model_knows_is_answered_with_a_sentence",
    ),
}


def test_each_bad_input_has_its_test() -> None:
    assert absent(itertools.chain.from_iterable(PROOFS.values())) == []


class Parrot:
    """A language model that answers with what it was told."""

    name = "parrot"

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta]:
        await asyncio.sleep(0.05)
        yield TextDelta(f"You said: {messages[-1].text}, after {len(messages)}.")

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None: ...

    async def close(self) -> None: ...


class Mouth:
    """A real voice that notes what it says, and how much of it is still under way."""

    name = "mouth"

    def __init__(self, voice: Synthesizer) -> None:
        self._voice = voice
        self.voices: Sequence[Voice] = voice.voices
        self.rate = voice.rate
        self.said: list[str] = []
        self.under_way = 0

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        self.said.append(text)
        self.under_way += 1
        try:
            async for pcm in self._voice.speak(text, work, voice=voice, language=language):
                yield pcm
        finally:
            self.under_way -= 1

    async def close(self) -> None: ...


HALVES = (
    b'{"type": "transcr',
    b'{"type": "transcript", "data_length": 50}\n{"text": "half',
    b'{"type": "audio-chunk", "data": {"rate": 16000, "width": 2, "channels": 1}, "payload_length": 320}\n12',
)


async def test_peers_that_say_nothing_and_half_events_keep_nobody_out(daemon: Running, say: Say) -> None:
    writers = []
    for server in daemon.servers.values():
        for number in range(12):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(HALVES[number % 4 - 1] if number % 4 else b"")
            await writer.drain()
            writers.append(writer)
    for name in daemon.servers:
        await ask_info(daemon.uri(name), within_s=1)
    text = "What is the capital of Spain?"
    assert plain(await transcribe(daemon, np.concatenate((say(text), silence(0.5))))) == plain(text)
    for writer in writers:
        writer.transport.abort()
    async with asyncio.timeout(10):
        while any(server.connections for server in daemon.servers.values()):
            await asyncio.sleep(0.05)


async def test_two_home_assistants_at_once_get_each_their_own(voice: Synthesizer, say: Say) -> None:
    """Both on one host, as in a house that moves from an old one to a new one; their conversations have ids."""
    async with serving(quiet_settings(turn=Turn(unknown_ms=500)), Engines(Ears("hello"), Parrot(), voice)) as servers:
        homes = [await stand_in.Pipeline.over(servers) for _ in range(2)]

        async def turns(number: int) -> list[str]:
            found = []
            for turn in range(3):
                text = f"home {number} turn {turn}"
                context = {"conversation_id": f"01HOME{number}"}
                reply, _ = await stand_in.answer(homes[number].conversation, text, "en", context)
                sound = [pcm async for _, pcm in stand_in.speak(homes[number].tts, reply)]
                assert sum(map(len, sound)) > 20_000
                found.append(reply)
            return found

        for number, replies in enumerate(await asyncio.gather(turns(0), turns(1))):
            told = [f"You said: home {number} turn {turn}, after {2 + 2 * turn}." for turn in range(3)]
            assert replies == told
        question = say("What is this about?")
        spoken = [stand_in.run(homes[0], stand_in.microphone(question), {"conversation_id": "01NEW"})]
        spoken.append(stand_in.run(homes[1], stand_in.microphone(question), {"conversation_id": "01OTHER"}))
        assert [turn.reply for turn in await asyncio.gather(*spoken)] == ["You said: hello, after 2."] * 2


async def test_a_home_assistant_that_is_restarted_in_mid_reply_leaves_no_work_behind(voice: Synthesizer) -> None:
    async def slow() -> AsyncIterator[str]:
        for _ in range(1000):
            yield "And so on and on. "
            await asyncio.sleep(0.02)

    model, mouth = Script(slow), Mouth(voice)
    async with serving(quiet_settings(), Engines(Ears(), model, mouth)) as servers:
        handle = await open_link(f"tcp://127.0.0.1:{servers['handle'].port}")
        await handle.send(Transcript(text="Tell me a story.", context={"conversation_id": "one"}))
        await events_until(handle, "handled-chunk")
        tts = await open_link(f"tcp://127.0.0.1:{servers['tts'].port}")
        await tts.send(Synthesize(text="This is a sentence of some length. " * 40))
        await events_until(tts, "audio-chunk")
        handle.abort()
        tts.abort()
        async with asyncio.timeout(10):
            while model.closed == 0 or mouth.under_way or servers["handle"].connections or servers["tts"].connections:
                await asyncio.sleep(0.02)
        said = len(mouth.said)
        pipeline = await stand_in.Pipeline.over(servers)
        assert [pcm async for _, pcm in stand_in.speak(pipeline.tts, "It is back.")]
        assert len(mouth.said) == said + 1


async def test_a_clock_that_jumps_changes_nothing(
    voice: Synthesizer, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without a battery has its time set an hour, or years, after its start; summer time comes and goes."""
    jumps = itertools.cycle((0.0, 7200.0, -86_400.0, 1e9))
    now = time.time  # noqa: TID251 - the clock that jumps
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    async with serving(quiet_settings(turn=Turn(unknown_ms=500)), Engines(Ears("hello"), Parrot(), voice)) as servers:
        pipeline = await stand_in.Pipeline.over(servers)
        for turn in range(2):
            sound = stand_in.microphone(say("What is this about?"))
            heard = await stand_in.run(pipeline, sound, {"conversation_id": "one"})
            assert heard.reply == f"You said: hello, after {2 + 2 * turn}.", "nothing was forgotten"
            assert 0.5 < len(heard.pcm) / 2 / heard.rate < 10


async def test_a_model_that_writes_20000_words_is_cut_short(voice: Synthesizer) -> None:
    written, draw = 0, random.Random(1)

    async def flood() -> AsyncIterator[str]:
        nonlocal written
        for written in range(20_000):  # by chance: one that says the same again and again is ended sooner
            yield draw.choice(("stone", "river", "house", "cloud")) + (" " if written % 10 else ". ")

    model = Script(flood)
    settings = quiet_settings(deadlines=Deadlines(reply_s=20))
    async with serving(settings, Engines(Ears(), model, voice)) as servers:
        pipeline = await stand_in.Pipeline.over(servers)
        reply, _ = await stand_in.answer(pipeline.conversation, "Go on.", "en", {"conversation_id": "one"})
        assert reply.endswith(message("cut_short", "en"))
        assert written < 19_000
        assert len(reply.split()) < 1000
        assert model.closed == 1


async def test_a_model_that_goes_round_in_a_circle_is_ended_with_the_sentence(voice: Synthesizer) -> None:
    again = "He was the first man on the moon, and the first to come back. "

    async def circle() -> AsyncIterator[str]:
        for word in (again * 100).split():
            yield f"{word} "

    model = Script(circle)
    async with serving(quiet_settings(), Engines(Ears(), model, voice)) as servers:
        pipeline = await stand_in.Pipeline.over(servers)
        reply, _ = await stand_in.answer(pipeline.conversation, "Go on.", "en", {"conversation_id": "one"})
        assert reply.strip() == (again * 3).strip()
        assert model.closed == 1


async def test_a_text_of_20000_words_is_spoken_from_its_first_and_given_up_when_nobody_listens(
    voice: Synthesizer,
) -> None:
    mouth = Mouth(voice)
    text = "These are five short words. " * 4000
    async with serving(quiet_settings(), Engines(Ears(), Script(quick), mouth)) as servers:
        uri = f"tcp://127.0.0.1:{servers['tts'].port}"
        async with asyncio.timeout(20), await open_link(uri) as link:
            for event in (SynthesizeStart(), SynthesizeChunk(text=text), Synthesize(text=text), SynthesizeStop()):
                await link.send(event)
            while (await link.receive()).type != "audio-chunk":
                pass
            for _ in range(20):
                await ask_info(uri, within_s=1)
        async with asyncio.timeout(10):
            while mouth.under_way or servers["tts"].connections:
                await asyncio.sleep(0.02)
        assert len(mouth.said) < 400, "nobody hears the rest"


SSML = (
    ('<speak>Hello there. <break time="0.5s"/>How are you?</speak>', "hello there how are you"),
    (
        '<?xml version="1.0"?><speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">'
        '<p><s>The <emphasis level="strong">first</emphasis> one.</s> <s>And the <prosody rate="slow" pitch="+2st">'
        "second</prosody>.</s></p></speak>",
        "the first one and the second",
    ),
    ('<speak><say-as interpret-as="characters">ok</say-as> &amp; done<mark name="here"/></speak>', "ok and done"),
    ("<speak>It never ends <prosody", "it never ends"),
)


@pytest.mark.parametrize(("text", "words"), SSML)
@pytest.mark.parametrize("streamed", [False, True])
async def test_of_ssml_only_the_words_are_spoken(voice: Synthesizer, text: str, words: str, streamed: bool) -> None:
    mouth = Mouth(voice)
    async with serving(quiet_settings(), Engines(Ears(), Script(quick), mouth)) as servers:
        async with await open_link(f"tcp://127.0.0.1:{servers['tts'].port}") as link:
            if streamed:
                await link.send(Event("synthesize-start", {"text_format": "ssml"}))
                for at in range(0, len(text), 7):
                    await link.send(SynthesizeChunk(text=text[at : at + 7]))
                await link.send(SynthesizeStop())
            else:
                await link.send(Event("synthesize", {"text": text}))  # Home Assistant does not say what it is
            _, sound = await speech(link, "synthesize-stopped" if streamed else "audio-stop")
        assert len(sound) > 1000
        said = " ".join(re.sub(r"[^a-z]+", " ", " ".join(mouth.said).lower()).split())
        assert said == words


async def test_a_voice_or_a_language_that_is_not_there_is_an_error_and_no_hang(voice: Synthesizer) -> None:
    async with serving(quiet_settings(), Engines(Ears(), Parrot(), voice)) as servers:
        pipeline = await stand_in.Pipeline.over(servers)
        with pytest.raises(stand_in.AssistError) as told:
            async for _ in stand_in.speak(pipeline.tts, "Hello.", voice="nobody"):
                pass
        assert (told.value.code, "nobody" in told.value.text) == ("tts-failed", True)
        with pytest.raises(stand_in.AssistError) as told:
            await stand_in.hear(pipeline.stt, stand_in.microphone(b"", open_end=False), "tlh")  # type: ignore[arg-type]
        assert (told.value.code, "'tlh'" in told.value.text) == ("stt-stream-failed", True)
        async with await open_link(pipeline.tts.uri) as link:
            await link.send(Synthesize(text="Qapla'!", voice=SynthesizeVoice(language="tlh")))
            assert "tlh" in parse(Error, (await events_until(link, "error"))[-1]).text
            await events_until(link, "audio-stop")
            await link.send(Synthesize(text="Hello."))
            _, sound = await speech(link, "audio-stop")
            assert len(sound) > 1000
        reply, _ = await stand_in.answer(pipeline.conversation, "nuqneH", "tlh", {"conversation_id": "one"})
        assert reply == "You said: nuqneH, after 2."
        with contextlib.suppress(stand_in.AssistError):
            assert [pcm async for _, pcm in stand_in.speak(pipeline.tts, reply)]
