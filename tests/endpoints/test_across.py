"""What `asr` drafted `handle` finds, what `handle` wrote `tts` finds spoken: for peers with that habit alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import stand_in
from scripted import Ears
from speech import Say, silence

from antiphon.settings import Turn
from antiphon_daemon.app import serving
from antiphon_daemon.conversation.across import MATCHES, WITHIN_S, Across, Habit, Key
from antiphon_daemon.engines.contracts import Engines, Message, Synthesizer, TextDelta, Tool, Voice, Work

from .conftest import quiet_settings


class Model:
    """A language model that notes what it is asked, and names it in its answer."""

    name = "model"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.given_up = 0

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta]:
        self.asked.append(messages[-1].text)
        try:
            for word in f"This is answer number {len(messages) // 2}. It has two sentences.".split(" "):
                await asyncio.sleep(0.005)
                yield TextDelta(word + " ")
        except asyncio.CancelledError:
            self.given_up += 1
            raise

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None: ...

    async def close(self) -> None: ...


class Mouth:
    """A real voice that notes what it says."""

    name = "mouth"

    def __init__(self, voice: Synthesizer) -> None:
        self._voice = voice
        self.voices: Sequence[Voice] = voice.voices
        self.rate = voice.rate
        self.said: list[str] = []

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        self.said.append(text)
        async for pcm in self._voice.speak(text, work, voice=None, language=language):
            yield pcm

    async def close(self) -> None: ...


class House:
    """A daemon with a scripted model, and the pipeline of a Home Assistant over it."""

    def __init__(self, model: Model, mouth: Mouth, ears: Ears, pipeline: stand_in.Pipeline, say: Say) -> None:
        self.model, self.mouth, self.ears, self.pipeline, self._say = model, mouth, ears, pipeline, say

    async def hear(self, text: str) -> str:
        self.ears.text = text
        sound = self._say("Please tell me a little more.")
        return await stand_in.hear(self.pipeline.stt, stand_in.microphone(sound), "en")

    async def answer(self, text: str, conversation: str = "kitchen") -> str:
        reply, _ = await stand_in.answer(self.pipeline.conversation, text, "en", {"conversation_id": conversation})
        return reply

    async def speak(self, text: str) -> bytes:
        return b"".join([pcm async for _, pcm in stand_in.speak(self.pipeline.tts, text)])

    async def turn(self, text: str, conversation: str = "kitchen") -> tuple[str, bytes]:
        reply = await self.answer(await self.hear(text), conversation)
        return reply, await self.speak(reply)


@asynccontextmanager
async def house(voice: Synthesizer, say: Say, speculate: str = "speech") -> AsyncIterator[House]:
    model, mouth, ears = Model(), Mouth(voice), Ears("")
    settings = quiet_settings(turn=Turn(unknown_ms=700, speculate=speculate))  # type: ignore[arg-type]
    async with serving(settings, Engines(ears, model, mouth)) as servers:
        yield House(model, mouth, ears, await stand_in.Pipeline.over(servers), say)


async def test_a_peer_with_the_habit_finds_its_reply_written_and_spoken(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as one:
        for number in range(MATCHES):
            await one.turn(f"question {number}")
        heard = await one.hear("question three")
        assert one.model.asked == ["question 0", "question 1", "question three"], "before `handle` is asked"
        reply = await one.answer(heard)
        assert reply == "This is answer number 3. It has two sentences."
        async with asyncio.timeout(10):
            while one.mouth.said[-2:] != ["This is answer number three.", "It has two sentences."]:
                await asyncio.sleep(0.01)  # before `tts` is asked
        said, sound = list(one.mouth.said), await one.speak(reply)
        assert one.mouth.said == said, "the sound was there"
        assert one.model.asked[2:] == ["question three"], "and the reply was written once"
        assert len(sound) / 2 / 22_050 > 2.0
        aloud = await one.speak("Now this. " + reply)  # the same voice, asked without a habit
        assert len(aloud) > len(sound)


async def test_the_first_turns_prepare_nothing(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as one:
        heard = await one.hear("a question")
        assert one.model.asked == []
        await one.answer(heard)
        await asyncio.sleep(0.2)
        assert one.mouth.said == []


async def test_another_conversation_never_gets_the_draft_of_this_one(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as one:
        for number in range(MATCHES):
            await one.turn(f"question {number}")
        heard = await one.hear("and in the kitchen?")
        assert await one.answer(heard, "bedroom") == "This is answer number 1. It has two sentences."
        assert one.model.asked[-2:] == ["and in the kitchen?"] * 2, "drafted for the one, written for the other"


async def test_a_draft_acts_on_nothing_until_it_is_asked_for(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as one:
        for number in range(MATCHES):
            await one.turn(f"question {number}")
        await one.hear("start over")
        await asyncio.sleep(0.1)
        assert (await one.answer("and now?")).startswith("This is answer number 3."), "nothing was forgotten"
        for number in range(MATCHES):
            await one.turn(f"question {number}")
        await one.answer(await one.hear("start over"))
        assert (await one.answer("and now?")).startswith("This is answer number 1.")


@pytest.mark.parametrize("speculate", ["off", "transcript"])
async def test_nothing_is_prepared_where_the_settings_say_so(voice: Synthesizer, say: Say, speculate: str) -> None:
    async with house(voice, say, speculate) as one:
        for number in range(MATCHES + 1):
            await one.turn(f"question {number}")
        await one.hear("question four")
        assert len(one.model.asked) == MATCHES + 1


async def test_speech_that_goes_on_drops_the_draft(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as one:
        for number in range(MATCHES):
            await one.turn(f"question {number}")
        one.ears.text = "half"
        sound = say("Please tell me a little more.")
        pieces = [sound, silence(0.3), sound]

        async def spoken() -> AsyncIterator[bytes]:
            for number, piece in enumerate(pieces):
                async for block in stand_in.microphone(piece, open_end=False):
                    yield block
                one.ears.text = "half" if number == 0 else "the whole of it"
            async for block in stand_in.microphone(silence(0)):
                yield block

        heard = await stand_in.hear(one.pipeline.stt, spoken(), "en")
        assert heard == "the whole of it"
        await one.answer(heard)
        assert one.model.asked[MATCHES:] == ["half", "the whole of it"]


def test_a_habit_is_formed_by_matches_and_lost_by_one_that_fails() -> None:
    now = [0.0]
    habit = Habit(lambda: now[0])
    for number in range(MATCHES):
        assert not habit.formed
        habit.gave(f"text  {number}")
        habit.asked(f"text {number}")
    assert habit.formed
    habit.gave("never asked")
    assert habit.formed
    now[0] += WITHIN_S + 1
    assert not habit.formed
    for number in range(MATCHES):
        habit.gave(f"{number}")
        habit.asked(f"{number}")
    habit.asked("something else")
    assert not habit.formed


async def test_peers_are_forgotten_and_what_waits_for_them_is_given_up() -> None:
    across = Across()
    first = across.of("10.0.0.1")
    assert across.of("10.0.0.1") is first
    for number in range(100):
        across.of(f"10.0.1.{number}")
    assert across.of("10.0.0.1") is not first
    await across.close()


def test_a_key_tells_conversations_apart() -> None:
    system, one, two = Message("system", "s"), Message("user", "a"), Message("user", "b")
    key = Key.of("hello  there", "en", [system, one])
    assert key == Key.of("hello there", "en", [system, two])
    assert key != Key.of("hello there", "ko", [system, one])
    assert key != Key.of("hello there", "en", [system, one, Message("assistant", "x"), two])
