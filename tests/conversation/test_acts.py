"""A draft does nothing: skills and tools act when the turn is over, once, and are taken back when it goes on.

Ears and model are scripts: real ones do not hear half a sentence, or call a tool, when asked to. The voice is real.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from scripted import Ears, Script, quick
from speech import Say, silence

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings, Turn
from antiphon_daemon.ask import Asker
from antiphon_daemon.ask import Turn as Asked
from antiphon_daemon.conversation import turns
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.conversation.skills import Place, Timers
from antiphon_daemon.conversation.tool_calls import ROUNDS
from antiphon_daemon.engines.contracts import (
    EngineError,
    Engines,
    Message,
    Responder,
    Synthesizer,
    TextDelta,
    Tool,
    ToolCall,
    Transcript,
    Voice,
    Work,
)

SET = ToolCall("call_1", "set_timer", {"seconds": 600, "name": "tea"})


class Growing(Ears):
    """Hears one text the first time, and another from then on."""

    def __init__(self, first: str, then: str) -> None:
        super().__init__(first)
        self._then = then

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        heard = await super().transcribe(audio, work, language=language, hints=hints)
        self.text = self._then
        return heard


class Slow:
    """A real voice that takes its time before it begins."""

    name = "slow"

    def __init__(self, voice: Synthesizer, takes_s: float) -> None:
        self._voice, self._takes_s = voice, takes_s
        self.voices: Sequence[Voice] = voice.voices
        self.rate = voice.rate

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        await asyncio.sleep(self._takes_s)
        async for pcm in self._voice.speak(text, work, voice=voice, language=language):
            yield pcm

    async def close(self) -> None: ...


class Caller:
    """A language model that can call tools: it answers each request with the next of `rounds`, the last for ever."""

    name = "caller"
    uses_tools = True

    def __init__(self, *rounds: Sequence[TextDelta | ToolCall]) -> None:
        self._rounds = rounds
        self.asked: list[list[Message]] = []
        self.offered: list[list[str]] = []

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.asked.append(list(messages))
        self.offered.append([tool.name for tool in tools])
        for item in self._rounds[min(len(self.asked), len(self._rounds)) - 1]:
            await asyncio.sleep(0)
            yield item

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None: ...

    async def close(self) -> None: ...


class Setter(Caller):
    """One that sets a timer, and then says so."""

    def __init__(self) -> None:
        super().__init__([SET])

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self._rounds = ([TextDelta("Done.")],) if messages[-1].role == "tool" else ([SET],)
        async for item in super().respond(messages, work, tools=tools):
            yield item


class Refusing(Caller):
    """One whose server says that its model knows no tools."""

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        if tools:
            self.offered.append([tool.name for tool in tools])
            raise EngineError("llm", "Ollama at x failed (registry/gemma does not support tools)")
        async for item in super().respond(messages, work, tools=tools):
            yield item


class House:
    """A conversation at a place where timers ring."""

    def __init__(self, voice: Synthesizer, model: Responder, ears: Ears | None = None, **turn: Any) -> None:
        self.settings = Settings(turn=Turn(**{"soft_end_ms": 200, **turn}))
        self.timers = Timers()
        self.asker = Asker()
        self.memory = new_memory(self.settings, "en")
        engines = Engines(ears or Ears(), model, voice)
        place = Place(self.timers)
        self.conversation = Conversation(engines, self.settings, self.asker, vad.load(), self.memory, place=place)

    @property
    def lengths(self) -> list[int]:
        return [timer.total_s for timer in self.timers.set]

    async def hear(self, *sounds: Samples) -> None:
        """Let it hear these, four times as fast as they were said."""
        for sound in sounds:
            for at in range(0, len(sound), RATE // 50):
                self.conversation.hear(sound[at : at + RATE // 50])
                await asyncio.sleep(0.005)

    async def done(self) -> Asked:
        async with asyncio.timeout(30):
            await self.asker.done.wait()
        self.conversation.played()
        return self.asker.turn

    async def type(self, text: str) -> Asked:
        self.asker.begin()
        self.conversation.typed(text)
        return await self.done()

    async def close(self) -> None:
        await self.conversation.close()
        self.timers.close()


async def test_ten_minutes_and_thirty_seconds_are_one_timer(voice: Synthesizer, say: Say) -> None:
    """The race: the draft of "ten minutes" is ready before the speaker goes on."""
    ears = Growing("Set a timer for ten minutes.", "Set a timer for ten minutes and thirty seconds.")
    house = House(voice, Script(quick), ears, unknown_ms=1500)
    house.asker.begin()
    house.conversation.open()
    await house.hear(silence(0.3), say("Set a timer for ten minutes."), silence(0.4))
    assert ears.heard, "there was a draft"
    assert house.lengths == []
    await house.hear(say("and thirty seconds."), silence(2.0))
    turn = await house.done()
    assert turn.reply == "Timer set for 10 minutes and 30 seconds."
    assert house.lengths == [630]
    await house.close()


async def test_a_timer_of_a_turn_that_goes_on_after_its_end_is_taken_back(voice: Synthesizer, say: Say) -> None:
    """The race: the turn is over and its timer set, and the speaker goes on before the reply has begun."""
    ears = Growing("Set a timer for ten minutes.", "Set a timer for ten minutes and thirty seconds.")
    house = House(Slow(voice, 2.0), Script(quick), ears, unknown_ms=300, speculate="reply")
    house.asker.begin()
    house.conversation.open()
    await house.hear(silence(0.3), say("Set a timer for ten minutes."), silence(0.5))
    assert house.conversation.phase is turns.Phase.THINKING
    assert house.lengths == [600]
    await house.hear(say("and thirty seconds."))
    assert house.lengths == []
    await house.hear(silence(0.6))
    await house.done()
    assert house.lengths == [630]
    await house.close()


async def test_silence_is_an_answer(voice: Synthesizer) -> None:
    house = House(voice, Script(quick))
    for text in ("Stop.", "Never mind.", "그만"):
        turn = await house.type(text)
        assert (turn.reply, turn.sound, turn.failure) == ("", [], None)
        assert house.conversation.phase is turns.Phase.IDLE
    assert house.memory.messages("x")[1:-1] == []
    await house.close()


async def test_what_is_repeated_is_the_whole_reply_also_when_it_was_cut_short(voice: Synthesizer) -> None:
    house = House(voice, Script(quick))
    house.asker.begin()
    house.conversation.typed("hello")
    async with asyncio.timeout(30):
        await house.asker.done.wait()
    house.conversation.played(heard_ms=100)
    assert house.memory.messages("x")[2].text != "It is fine."
    assert (await house.type("Say that again.")).reply == "It is fine."
    assert (await house.type("Say that again.")).reply == "It is fine."
    await house.close()


async def test_start_over_forgets(voice: Synthesizer) -> None:
    house = House(voice, Script(quick))
    await house.type("hello")
    assert len(house.memory.messages("x")) == 4
    await house.type("Start over.")
    assert len(house.memory.messages("x")) == 2
    assert (await house.type("Say that again.")).reply == "I haven't said anything yet."
    await house.close()


async def test_a_typed_answer_that_no_voice_speaks_is_written(voice: Synthesizer) -> None:
    house = House(voice, Script(quick))
    turn = await house.type("십 분 타이머 맞춰 줘")
    assert (turn.reply, turn.language, turn.sound, turn.failure) == ("10분 타이머를 맞췄어요.", "ko", [], None)
    await house.close()


async def test_a_spoken_answer_is_heard_in_a_language_that_a_voice_speaks(voice: Synthesizer, say: Say) -> None:
    house = House(voice, Script(quick), Ears("십 분 타이머 맞춰 줘"))
    house.asker.begin()
    house.conversation.open()
    await house.hear(silence(0.3), say("Hello there."), silence(0.3))
    house.conversation.end()
    turn = await house.done()
    assert turn.reply == "Timer set for 10 minutes."
    assert turn.sound
    await house.close()


async def test_a_tool_is_run_and_the_model_goes_on_from_what_it_says(voice: Synthesizer) -> None:
    model = Caller([TextDelta("I am on it."), SET], [TextDelta("Your tea will be "), TextDelta("ready.")])
    house = House(voice, model)
    turn = await house.type("Could you brew my tea somehow in ten minutes")
    assert turn.reply == "I am on it. Your tea will be ready."
    assert house.lengths == [600]
    assert {"get_time", "set_timer", "cancel_timer"} <= set(model.offered[0])
    called, result = model.asked[1][-2:]
    assert (called.role, called.text, list(called.tool_calls)) == ("assistant", "I am on it.", [SET])
    assert (result.role, result.tool_call_id) == ("tool", "call_1")
    assert result.text == "The tea timer is set for 10 minutes."
    assert [one.role for one in house.memory.messages("x")] == ["system", "user", "assistant", "user"]
    await house.close()


async def test_a_pending_call_waits_for_the_end_of_the_turn_and_is_dropped_with_its_draft(
    voice: Synthesizer, say: Say
) -> None:
    """The race: the model calls its tool inside a pause."""
    model = Setter()
    ears = Growing("Tea takes ten minutes", "Tea takes ten minutes, so mind it")
    house = House(voice, model, ears, unknown_ms=1500)
    tasks = asyncio.all_tasks()
    house.asker.begin()
    house.conversation.open()
    await house.hear(silence(0.3), say("Tea takes ten minutes,"), silence(0.4))
    drafts = len(model.asked)
    assert drafts, "the draft has called"
    assert house.lengths == []
    await house.hear(say("so mind it."), silence(0.4))
    assert len(model.asked) > drafts
    assert house.lengths == [], "still a draft"
    await house.hear(silence(1.6))
    turn = await house.done()
    assert turn.reply == "Done."
    assert house.lengths == [600], "once"
    await house.close()
    assert asyncio.all_tasks() == tasks


async def test_a_call_that_is_wrong_is_told_to_the_model(voice: Synthesizer) -> None:
    wrong = [
        ToolCall("1", "launch_rocket", {}),
        ToolCall("2", "set_timer", {"minutes": 10}),
        ToolCall("3", "set_timer", {"seconds": "soon"}),
        ToolCall("4", "set_timer", {}),
        ToolCall("5", "set_timer", {"seconds": "90"}),
    ]
    model = Caller(wrong, [TextDelta("Well.")])
    house = House(voice, model)
    assert (await house.type("do something odd")).reply == "Well."
    assert [message.text for message in model.asked[1][-5:]] == [
        "Error: there is no tool launch_rocket",
        "Error: set_timer takes no minutes",
        "Error: seconds must be a whole number",
        "Error: set_timer needs seconds",
        "Timer set for 1 minute and 30 seconds.",
    ]
    await house.close()


async def test_a_model_that_calls_for_ever_is_asked_to_speak(voice: Synthesizer) -> None:
    model = Caller([TextDelta("Hm."), ToolCall("1", "get_time", {})])
    house = House(voice, model)
    assert (await house.type("do something odd")).reply == " ".join(["Hm."] * ROUNDS)
    assert len(model.asked) == ROUNDS
    assert model.offered[-1] == []
    await house.close()


async def test_a_model_whose_server_refuses_tools_is_asked_without(voice: Synthesizer) -> None:
    model = Refusing([TextDelta("It is fine.")])
    house = House(voice, model)
    assert (await house.type("hello")).reply == "It is fine."
    assert (await house.type("hello again to you")).reply == "It is fine."
    assert [bool(names) for names in model.offered] == [True, False, False], "it is offered them once"
    await house.close()


async def test_a_model_without_tools_is_offered_none(voice: Synthesizer) -> None:
    model = Caller([TextDelta("It is fine.")])
    model.uses_tools = False
    house = House(voice, model)
    await house.type("hello")
    assert model.offered == [[]]
    await house.close()


async def test_what_a_tool_did_is_taken_back_when_the_turn_goes_on(voice: Synthesizer, say: Say) -> None:
    """The race: the tool has run, and the speaker goes on before the reply has begun."""
    house = House(
        Slow(voice, 2.0), Setter(), Ears("Tea takes ten minutes, so mind it"), unknown_ms=300, speculate="reply"
    )
    house.asker.begin()
    house.conversation.open()
    await house.hear(silence(0.3), say("Tea takes ten minutes."), silence(0.5))
    async with asyncio.timeout(10):
        while not house.timers.set:
            await asyncio.sleep(0.01)
    (first,) = house.timers.set
    await house.hear(say("So mind it, and tell me."), silence(0.8))
    await house.done()
    (second,) = house.timers.set
    assert second.id != first.id
    await house.close()
