"""What a person hears when something fails. The model is a script here: real ones do not stall when asked to.

The voice is the real one; the scripts keep the contract (they stream, end when revoked, and raise what engines raise).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from scripted import Ears, Script, quick
from speech import Say, silence

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Deadlines, Settings, Turn
from antiphon_daemon.ask import Asker
from antiphon_daemon.ask import Turn as Asked
from antiphon_daemon.conversation import turn_types as turns
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import Memory, new_memory
from antiphon_daemon.conversation.messages import Key, message
from antiphon_daemon.engines.contracts import (
    EngineError,
    Engines,
    Fault,
    Synthesizer,
    Transcript,
    Work,
)
from antiphon_daemon.engines.worker import revocable

SHORT = Deadlines(stt_s=0.3, llm_first_s=0.3, llm_next_s=0.3, tts_first_s=5, reply_s=6)


class House:
    """A conversation with scripted engines and a real voice."""

    def __init__(self, voice: Synthesizer, model: Script, ears: Ears | None = None, **settings: Any) -> None:
        self.settings = Settings(**{"deadlines": SHORT, **settings})
        self.asker = Asker()
        self.memory: Memory = new_memory(self.settings, "en")
        engines = Engines(ears or Ears(), model, voice)
        self.conversation = Conversation(engines, self.settings, self.asker, vad.load(), self.memory)

    async def type(self, text: str) -> Asked:
        turn = self.asker.begin()
        self.conversation.typed(text)
        await self.done()
        self.conversation.played()
        return turn

    async def speak(self, sound: Samples) -> Asked:
        turn = self.asker.begin()
        self.conversation.open()
        for at in range(0, len(sound), RATE // 50):
            self.conversation.hear(sound[at : at + RATE // 50])
            await asyncio.sleep(0)
        self.conversation.end()
        await self.done()
        self.conversation.played()
        return turn

    async def done(self) -> None:
        async with asyncio.timeout(30):
            await self.asker.done.wait()

    @property
    def remembered(self) -> list[str]:
        return [one.text for one in self.memory.messages("")[1:-1]]


async def test_a_model_that_never_begins(voice: Synthesizer) -> None:
    async def stall() -> AsyncIterator[str]:
        await asyncio.sleep(60)
        yield "too late"

    model = Script(stall)
    house = House(voice, model)
    turn = await house.type("hello")
    assert turn.reply == message("llm", "en")
    assert turn.sound
    assert turn.failure == "the language model has stopped answering"
    assert (model.closed, house.remembered) == (1, [])
    assert house.conversation.phase is turns.Phase.IDLE


async def test_a_model_that_stalls_in_the_middle_says_what_it_had_and_then_what_is_wrong(voice: Synthesizer) -> None:
    async def stall() -> AsyncIterator[str]:
        yield "The first part is here. The sec"
        await asyncio.sleep(60)

    turn = await House(voice, Script(stall)).type("hello")
    assert turn.reply == f"The first part is here. The sec {message('llm', 'en')}"


async def test_a_model_that_answers_nothing(voice: Synthesizer) -> None:
    async def nothing() -> AsyncIterator[str]:
        for text in ("", "  ", "***", "\n"):
            yield text

    house = House(voice, Script(nothing))
    turn = await house.type("hello")
    assert (turn.reply, turn.failure) == (message("empty", "en"), "the language model answered nothing")
    assert house.remembered == []


async def test_a_model_that_answers_ten_thousand_words_is_stopped(voice: Synthesizer) -> None:
    async def flood() -> AsyncIterator[str]:
        for number in range(10_000):
            yield f"word {number}, and this. "

    model = Script(flood)
    turn = await House(voice, model).type("hello")
    assert turn.reply.endswith(message("cut_short", "en"))
    assert sum(map(len, turn.sound)) / 2 / turn.rate < SHORT.reply_s + 8
    assert model.closed == 1


async def test_a_model_that_cannot_be_reached(voice: Synthesizer) -> None:
    async def refuse() -> AsyncIterator[str]:
        raise EngineError("llm", "nobody answers at port 9")
        yield ""

    turn = await House(voice, Script(refuse)).type("hello")
    assert (turn.reply, turn.failure) == (message("llm", "en"), "nobody answers at port 9")


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (Fault.LOST, "llm"),
        (Fault.BROKE, "llm"),
        (Fault.REFUSED, "llm"),
        (Fault.KEY, "llm_key"),
        (Fault.BUSY, "llm_busy"),
        (Fault.EMPTY, "empty"),
    ],
)
async def test_what_is_wrong_with_the_model_is_said_as_far_as_it_helps(
    voice: Synthesizer, fault: Fault, key: Key
) -> None:
    async def refuse() -> AsyncIterator[str]:
        raise EngineError("llm", "for a reason", fault)
        yield ""

    turn = await House(voice, Script(refuse)).type("hello")
    assert (turn.reply, turn.failure) == (message(key, "en"), "for a reason")
    assert message(key, "ko") != message(key, "en")


async def test_hearing_that_fails_once_is_tried_again(voice: Synthesizer, say: Say) -> None:
    house = House(voice, Script(quick), Ears(fails=1), turn=Turn(soft_end_ms=100, silence_ms=400))
    sound = np.concatenate((silence(0.3), say("What is the capital of France?"), silence(0.3)))
    house.asker.begin()
    house.conversation.open()
    for at in range(0, len(sound) + RATE * 3, RATE // 50):
        block = sound[at : at + RATE // 50]
        house.conversation.hear(block if len(block) else silence(0.02))
        await asyncio.sleep(0.01)
        if house.asker.over.is_set():
            break
    await house.done()
    assert (house.asker.turn.transcript, house.asker.turn.reply) == ("hello there", "It is fine.")


@pytest.mark.parametrize("ears", [Ears(fails=9), Ears(takes_s=60)], ids=["fails", "hangs"])
async def test_hearing_that_fails_for_good_is_said(voice: Synthesizer, say: Say, ears: Ears) -> None:
    house = House(voice, Script(quick), ears)
    turn = await house.speak(say("What is the capital of France?"))
    assert turn.reply == message("stt", "en")
    assert turn.failure
    assert house.remembered == []
    ears.fails = ears.takes_s = 0
    assert (await house.speak(say("What is the capital of France?"))).reply == "It is fine."


async def test_a_draft_is_thrown_away_when_speech_goes_on(voice: Synthesizer, say: Say) -> None:
    """The race: the draft's reply is ready, and the person speaks on before the silence has lasted."""
    model, ears = Script(quick), Ears()
    house = House(voice, model, ears, turn=Turn(soft_end_ms=100, silence_ms=900))
    one = say("What is the capital of France?")
    sound = np.concatenate((silence(0.3), one, silence(0.3), one, silence(1.5)))
    house.asker.begin()
    house.conversation.open()
    for at in range(0, len(sound), RATE // 50):
        assert not house.asker.turn.sound or at > len(sound) - RATE, "a draft was heard"
        house.conversation.hear(sound[at : at + RATE // 50])
        await asyncio.sleep(0.02)
    await house.done()
    house.conversation.played()
    assert len(ears.heard) == 2
    assert ears.heard[1] > ears.heard[0] + len(one) * 0.8, "the second hearing is the whole utterance"
    assert len(model.asked) == 2
    assert house.remembered == ["hello there", "It is fine."]
    await house.conversation.close()


async def test_what_was_not_heard_is_not_remembered(voice: Synthesizer) -> None:
    async def long() -> AsyncIterator[str]:
        yield "One two three four five six. Seven eight nine ten eleven twelve."

    house = House(voice, Script(long))
    house.asker.begin()
    house.conversation.typed("count")
    await house.done()
    total_ms = sum(map(len, house.asker.turn.sound)) / 2 / house.asker.turn.rate * 1000
    house.conversation.played(round(total_ms / 4))
    question, answer = house.remembered
    assert question == "count"
    assert answer.startswith("One")
    assert "Seven" not in answer


async def test_a_peer_that_leaves_takes_its_work_along(voice: Synthesizer) -> None:
    async def endless() -> AsyncIterator[str]:
        while True:
            await asyncio.sleep(0.01)
            yield "more and more, "

    model = Script(endless)
    house = House(voice, model)
    before = asyncio.all_tasks()
    house.conversation.typed("go on")
    await asyncio.sleep(0.2)
    await house.conversation.close()
    assert model.closed == 1
    assert asyncio.all_tasks() == before


async def test_a_skill_answers_without_the_model_and_acts_on_commit(voice: Synthesizer) -> None:
    model = Script(quick)
    house = House(voice, model)
    await house.type("hello")
    assert house.remembered == ["hello", "It is fine."]
    turn = await house.type("Start over.")
    assert turn.reply == message("started_over", "en")
    assert (house.remembered, len(model.asked)) == ([], 1)


async def test_typing_interrupts_what_is_being_said(voice: Synthesizer) -> None:
    async def endless() -> AsyncIterator[str]:
        while True:
            await asyncio.sleep(0.01)
            yield "and so on. "

    model = Script(endless)
    house = House(voice, model)
    house.asker.begin()
    house.conversation.typed("tell me")
    async with asyncio.timeout(20):
        while not house.asker.turn.sound:
            await asyncio.sleep(0.01)
    model._say = quick
    turn = await house.type("what else")
    assert turn.reply == "It is fine."
    assert model.closed == 1


async def test_a_fault_of_ours_in_the_model_ends_the_turn_and_is_told(voice: Synthesizer) -> None:
    """The race: the writer falls with an error that no engine may raise, and the speaker waits for its next clause."""

    async def fall() -> AsyncIterator[str]:
        yield "It began well. And then "
        raise KeyError("a fault")

    house = House(voice, Script(fall))
    turn = await house.type("hello")
    assert turn.failure
    async with asyncio.timeout(5):
        while house.conversation.phase is not turns.Phase.IDLE:
            await asyncio.sleep(0.01)
    house.conversation._drafts._engines.responder._say = quick  # type: ignore[attr-defined]
    assert (await house.type("what else")).reply == "It is fine."


async def test_discarded_drafts_leave_no_task_behind(voice: Synthesizer, say: Say) -> None:
    """The race: a draft that may not speak before its turn is over waits for that, and is discarded instead."""
    model = Script(quick)
    house = House(voice, model, turn=Turn(soft_end_ms=100, unknown_ms=5000, speculate="reply"))
    before = asyncio.all_tasks()
    one = say("What is the capital of France?")
    house.conversation.open()
    for sound in (silence(0.3), one, silence(0.6), one, silence(0.6), one):
        for at in range(0, len(sound), RATE // 50):
            house.conversation.hear(sound[at : at + RATE // 50])
            await asyncio.sleep(0.02)
    assert len(model.asked) >= 2
    house.conversation.stop()
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:
            await asyncio.sleep(0.01)
    await house.conversation.close()


async def test_a_backlog_sent_at_once_does_not_keep_a_turn_from_ending(voice: Synthesizer, say: Say) -> None:
    """The race: a satellite held the microphone back for seconds, sends it all at once, and goes on live."""
    house = House(voice, Script(quick))
    house.asker.begin()
    house.conversation.open()
    for sound, paced in ((np.concatenate((silence(3), say("What is the capital"))), False), (silence(4), True)):
        for at in range(0, len(sound), RATE // 50):
            house.conversation.hear(sound[at : at + RATE // 50])
            if paced:
                await asyncio.sleep(0.02)
            if house.asker.over.is_set():
                break
    assert house.asker.over.is_set(), "the turn has not ended by its silence"
    await house.done()
    await house.conversation.close()


class Held(Ears):
    """Ears that listen until they are told that nobody wants to know."""

    def __init__(self) -> None:
        super().__init__()
        self.works: list[Work] = []

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        self.works.append(work)
        async with revocable(work):
            await asyncio.sleep(60)
        raise AssertionError("nobody stopped it")


async def test_a_turn_that_is_stopped_while_it_is_heard_stops_the_ears(voice: Synthesizer, say: Say) -> None:
    """The race: the turn is over, its transcript is still being made, and the peer wants silence."""
    ears = Held()
    house = House(voice, Script(quick), ears, deadlines=Deadlines(stt_s=60))
    house.conversation.open()
    house.conversation.hear(np.concatenate((silence(0.3), say("What is the capital of France?"))))
    house.conversation.end()
    await asyncio.sleep(0.05)
    assert house.conversation.phase is turns.Phase.THINKING
    assert ears.works[-1].wanted()
    house.conversation.stop()
    assert not ears.works[-1].wanted()
    await house.conversation.close()
