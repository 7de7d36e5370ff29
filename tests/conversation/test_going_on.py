"""Who speaks over a reply, or soon after a turn: whether they go on, begin anew, or only coughed, and what was done.

The sound is levels, and time is its own: what is heard, and when, is what the test says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from scripted import Ears, Script, Tones, quick

from antiphon.audio.pcm import RATE, Samples
from antiphon.audio.vad import FRAME
from antiphon.settings import Settings
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.interruptions import is_filler
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.conversation.skills import Place, Timers
from antiphon_daemon.conversation.turn_types import Phase
from antiphon_daemon.engines.contracts import (
    EngineError,
    Engines,
    Message,
    Responder,
    TextDelta,
    Tool,
    ToolCall,
    Transcript,
    Work,
)
from antiphon_daemon.insight.metrics import COUNTS
from antiphon_daemon.insight.turns import Turns

SETTINGS = Settings.model_validate({"turn": {"unknown_ms": 400, "one_moment_s": 0}})
SPEECH, QUIET = np.full(FRAME, 0.1, dtype=np.float32), np.full(FRAME, 0.01, dtype=np.float32)


class Loud:
    """A voice activity model that takes what is loud for speech."""

    def probability(self, frame: Samples) -> float:
        return 0.9 if abs(frame[0]) > 0.05 else 0.0

    def reset(self) -> None: ...


class Measuring(Ears):
    """Notes how much of the speech it was given."""

    frames = 0.0

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        self.frames = np.count_nonzero(audio > 0.05) / FRAME
        return await super().transcribe(audio, work, language=language, hints=hints)


class Setter:
    """A language model that sets a timer as soon as it is let, as long as it is told, and then says so."""

    name, uses_tools = "setter", True

    def __init__(self) -> None:
        self.calls = asyncio.Event()

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        if messages[-1].role == "tool":
            yield TextDelta("It is set.")
            return
        await self.calls.wait()
        yield ToolCall("call", "set_timer", {"seconds": 630 if "thirty" in messages[-1].text else 600})

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None: ...

    async def close(self) -> None: ...


class Room:
    """A conversation, what it hears, and what it has been told."""

    def __init__(self, ears: Measuring, model: Responder, language: str, *, interrupts: bool) -> None:
        self.ears, self.timers, self._now = ears, Timers(), 100.0
        self.peer = Asker()
        self.peer.begin()
        engines, memory = Engines(ears, model, Tones()), new_memory(SETTINGS, language)
        self.conversation = Conversation(
            engines,
            SETTINGS,
            self.peer,
            Loud(),
            memory,
            place=Place(self.timers),
            interrupts=interrupts,
            clock=lambda: self._now,
        )
        self.conversation.open(language)

    async def hear(self, frame: Samples, count: int = 1) -> None:
        """Let so many frames be heard."""
        for _ in range(count):
            self._now += FRAME / RATE
            self.conversation.hear(frame)
            await asyncio.sleep(0.001)

    async def until(self, phase: Phase, frame: Samples = QUIET) -> None:
        """Let this be heard until the turn stands there."""
        for _ in range(400):
            if self.conversation.phase is phase:
                return
            await self.hear(frame)
        raise AssertionError(f"is {self.conversation.phase}")

    async def until_asked(self, model: Script) -> None:
        """Let it be quiet until the model is asked."""
        async with asyncio.timeout(5):
            while not model.asked:
                await self.hear(QUIET)

    async def speak_over(self, after: int) -> None:
        """Let so many quiet frames of the reply pass, and speech over it until that is meant."""
        await self.hear(QUIET, after)
        await self.until(Phase.HEARING, SPEECH)

    async def reply(self) -> str:
        """Say something, and return the reply as it begins."""
        await self.hear(SPEECH, 20)
        await self.until(Phase.SPEAKING)
        await asyncio.sleep(0.05)
        draft = self.conversation.draft
        assert draft is not None
        assert draft.reply is not None
        return draft.reply.text

    def heard(self, *, but_ms: int | None = None, ms: int = 0) -> None:
        """The satellite stops the reply: so much of it, or all but so much, was heard."""
        draft = self.conversation.draft
        assert draft is not None
        assert draft.reply is not None
        ms = ms if but_ms is None else draft.reply.samples * 1000 // Tones.rate - but_ms
        self._now += ms / 1000
        self.conversation.played(ms)

    @property
    def set_s(self) -> list[int]:
        """What timers are set for."""
        return sorted(timer.total_s for timer in self.timers.set)


@contextlib.asynccontextmanager
async def room(
    ears: Measuring, model: Responder | None = None, language: str = "en", *, interrupts: bool = False
) -> AsyncIterator[Room]:
    """Hold a conversation."""
    one = Room(ears, model or Script(quick), language, interrupts=interrupts)
    try:
        yield one
    finally:
        await one.conversation.close()
        one.timers.close()


@pytest.mark.parametrize("goes_on", [True, False])
async def test_what_a_model_wants_done_is_not_done_once_the_turn_goes_on_or_was_stopped(goes_on: bool) -> None:
    model = Setter()
    async with room(Measuring("please have the kitchen ring in ten minutes"), model) as one:
        await one.hear(SPEECH, 20)
        await one.until(Phase.THINKING)
        if not goes_on:
            one.conversation.stop()
        else:
            one.ears.text += " and thirty seconds"
            await one.until(Phase.HEARING, SPEECH)
        model.calls.set()
        await asyncio.sleep(0.1)
        assert one.set_s == []
        if goes_on:
            await one.hear(SPEECH, 10)
            await one.until(Phase.SPEAKING)
            assert one.set_s == [630]


@pytest.mark.parametrize("cough", ["", " Mm."])
async def test_a_cough_takes_back_nothing(cough: str) -> None:
    async with room(Measuring("Set a timer for ten minutes.")) as one:
        reply = await one.reply()
        assert one.set_s == [600]
        one.heard(ms=250)
        one.ears.text += cough
        one.conversation.open("en", by_voice=True)
        assert await one.reply() == reply, "it goes on"
        assert one.set_s == [600]


async def test_a_reply_that_went_on_after_a_cough_is_remembered_once_and_whole() -> None:
    async with room(Measuring("tell me a story"), Script(long)) as one:
        reply = await one.reply()
        one.heard(ms=1200)
        one.ears.text = ""
        one.conversation.open("en", by_voice=True)
        await one.reply()
        one.conversation.played()
        assert one.conversation._memory is not None
        remembered = one.conversation._memory.messages("")[1:-1]
        assert [(said.text, said.interrupted) for said in remembered] == [("tell me a story", False), (reply, False)]


async def test_what_comes_of_a_reply_while_it_is_stopped_is_heard_once_it_goes_on_and_what_it_does_is_done() -> None:
    """The race: somebody coughs over the beginning of a reply that is not whole, and the model has yet to act."""
    comes = asyncio.Event()

    class Talkative(Setter):
        """Says something before it sets the timer, and then the rest."""

        async def respond(
            self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
        ) -> AsyncIterator[TextDelta | ToolCall]:
            if messages[-1].role != "tool":
                yield TextDelta("I will do that for you at once. ")
                await comes.wait()
                yield TextDelta("It will ring in the kitchen. ")
            async for said in super().respond(messages, work, tools=tools):
                yield said

    model = Talkative()
    model.calls.set()
    async with room(Measuring("please have the kitchen ring in ten minutes"), model) as one:
        await one.reply()
        async with asyncio.timeout(5):
            while not one.peer.turn.sound:
                await asyncio.sleep(0.005)
        one.heard(ms=250)
        before = len(one.peer.turn.sound)
        comes.set()
        one.conversation.open("en", by_voice=True)
        await one.hear(SPEECH, 20)
        assert len(one.peer.turn.sound) == before, "it is stopped"
        assert one.set_s == []
        one.ears.text = ""
        await one.until(Phase.SPEAKING)
        async with asyncio.timeout(5):
            while not one.peer.turn.reply.endswith("It is set."):
                await one.hear(QUIET)
        assert one.set_s == [600]


async def half_heard(one: Room) -> Draft:
    """Have a reply begin of which 1.2 s are heard, and return it."""
    await one.reply()
    draft = one.conversation.draft
    assert draft is not None
    one.heard(ms=1200)
    return draft


async def test_a_stopped_reply_is_made_no_further_once_another_is() -> None:
    async with room(Measuring("tell me a story"), Script(long)) as one:
        stopped = await half_heard(one)
        one.ears.text = "what is the weather in Paris"
        one.conversation.open("en", by_voice=True)
        assert stopped.token.wanted(), "it may have been a cough"
        await one.reply()
        assert not stopped.token.wanted()


async def test_who_leaves_while_a_reply_is_stopped_takes_it_along() -> None:
    async with room(Measuring("tell me a story"), Script(long)) as one:
        stopped = await half_heard(one)
        one.conversation.open("en", by_voice=True)
        await one.hear(SPEECH, 10)
        assert stopped.token.wanted()
        await one.conversation.close()
        assert not stopped.token.wanted()


async def test_what_was_heard_of_a_reply_that_went_on_counts_from_its_beginning() -> None:
    async with room(Measuring("tell me a story"), Script(long)) as one:
        await one.reply()
        draft = one.conversation.draft
        assert draft is not None
        draft.turn = Turns().of("websocket", "page").began(draft.trace)
        one.heard(ms=1200)
        one.ears.text = ""
        one.conversation.open("en", by_voice=True)
        await one.reply()
        one.heard(ms=800)
        assert draft.turn.heard_ms == 2000


@pytest.mark.parametrize("same", [True, False], ids=["a cough", "more words"])
async def test_a_reply_to_the_same_words_is_not_made_twice_and_is_heard(same: bool) -> None:
    """Somebody clears their throat as the turn seems over: what was written and spoken for its words is still right."""
    model = Script(long)
    async with room(Measuring("what is the weather"), model) as one:
        await one.hear(SPEECH, 20)
        await one.until(Phase.PAUSED)
        await one.until_asked(model)
        one.ears.text = "What is the weather?" if same else "what is the weather in Paris"
        assert one.conversation.phase is Phase.PAUSED
        await one.until(Phase.HEARING, SPEECH)
        written = await one.reply()
        assert [asked[-1] for asked in model.asked] == ["what is the weather"] + ["what is the weather in Paris"] * (
            not same
        )
        assert written.startswith("This is a long story")
        async with asyncio.timeout(5):
            while not one.peer.turn.sound:
                await one.hear(QUIET)
        one.heard(but_ms=0)
        assert one.conversation.phase is Phase.IDLE
        assert one.peer.turn.transcript == one.ears.text


@pytest.mark.parametrize("same", [True, False], ids=["a cough", "more words"])
async def test_a_reply_that_comes_while_its_speaker_goes_on_is_not_heard_until_they_have_ended(same: bool) -> None:
    """The race: the turn is over, its reply is let out, and before its first sound its speaker goes on."""
    comes = asyncio.Event()

    async def late() -> AsyncIterator[str]:
        await comes.wait()
        yield "It is fine."

    model = Script(late)
    async with room(Measuring("what is the weather"), model) as one:
        await one.hear(SPEECH, 20)
        await one.until(Phase.THINKING)
        await one.until(Phase.HEARING, SPEECH)
        comes.set()
        one.ears.text = "what is the weather" if same else "what is the weather in Paris"
        await one.hear(SPEECH, 20)
        assert not one.peer.turn.sound
        assert await one.reply() == "It is fine."
        assert one.peer.turn.sound
        assert len(model.asked) == (1 if same else 2), "what was written for the same words is still right"
        one.heard(but_ms=0)
        assert one.conversation._memory is not None
        assert [m.text for m in one.conversation._memory.messages("")[1:-1]] == [one.ears.text, "It is fine."]


async def test_a_reply_that_fails_while_its_speaker_coughs_is_asked_for_anew() -> None:
    """The race: the turn seems over, its speaker coughs, and meanwhile the model cannot be reached."""
    fails = asyncio.Event()

    async def once() -> AsyncIterator[str]:
        if not fails.is_set():
            await fails.wait()
            raise EngineError("llm", "the model is gone")
        yield "It is fine."

    model = Script(once)
    async with room(Measuring("what is the weather"), model) as one:
        await one.hear(SPEECH, 20)
        await one.until(Phase.PAUSED)
        await one.until_asked(model)
        await one.until(Phase.HEARING, SPEECH)
        fails.set()
        await one.hear(SPEECH, 4)
        assert await one.reply() == "It is fine."
        assert len(model.asked) == 2


async def test_who_goes_on_for_long_still_has_the_first_half_taken_back() -> None:
    async with room(Measuring("Set a timer for ten minutes.")) as one:
        await one.reply()
        one.heard(ms=250)
        shelf = one.conversation._stopped
        one.conversation.open("en", by_voice=True)
        await one.hear(SPEECH, 10)
        shelf._lapse()
        one.ears.text = "Set a timer for ten minutes and thirty seconds."
        await one.reply()
        assert one.set_s == [630]


async def test_who_makes_a_noise_for_so_long_that_the_stopped_reply_is_gone_does_not_wait_for_it() -> None:
    async with room(Measuring("tell me a story"), Script(long)) as one:
        await one.reply()
        one.heard(ms=1200)
        one.peer.begin()
        one.conversation.open("en", by_voice=True)
        await one.hear(SPEECH, 10)
        one.conversation._stopped._lapse()
        one.ears.text = ""
        async with asyncio.timeout(5):
            while not one.peer.done.is_set():
                await one.hear(QUIET)
        assert one.peer.turn.failure == "no speech was heard"
        assert one.conversation.phase in (Phase.IDLE, Phase.LISTENING)


@pytest.mark.parametrize(
    ("language", "question", "answer", "over"),
    [
        ("en", "There is a timer for ten minutes. Shall I cancel it?", "Yes.", True),
        ("en", "There is a timer for ten minutes. Shall I cancel it?", "Mm.", False),
        ("en", "There is a timer for ten minutes, and it goes on.", "Yes.", False),
        ("en", "Would you like five minutes or ten minutes?", "Five minutes.", True),
        ("en", "Would you like five minutes or ten minutes?", "or ten minutes", False),
        ("ko", "거실에는 한 시간 타이머가 있어요. 지금 취소할까요?", "네.", True),
        ("ko", "거실에는 한 시간 타이머가 있어요. 지금 취소할까요?", "음.", False),
        ("ko", "첫 번째로 할까요, 두 번째로 할까요?", "첫 번째로", True),
    ],
)
async def test_an_answer_over_the_end_of_a_question_counts(
    language: str, question: str, answer: str, over: bool
) -> None:
    async def asks() -> AsyncIterator[str]:
        yield "There is a lot to tell of that, and this is all of it. " + question

    model = Script(asks)
    async with room(Measuring("what about my cooking"), model, language) as one:
        await one.reply()
        one.heard(but_ms=160)
        one.ears.text = answer
        one.conversation.open(language, by_voice=True)
        await one.reply()
        assert (model.asked[-1][-1] == answer) is over


async def test_a_yes_in_the_middle_of_a_question_is_none() -> None:
    async def asks() -> AsyncIterator[str]:
        yield "There is a timer for ten minutes, and another one in the living room. Shall I cancel both of them?"

    model = Script(asks)
    async with room(Measuring("what about my cooking"), model) as one:
        await one.reply()
        one.heard(ms=1200)
        one.ears.text = "Yes."
        one.conversation.open("en", by_voice=True)
        await one.reply()
        assert model.asked[-1][-1] == "what about my cooking"


STORY = "once there was a fox that was quick and brown and there was a lazy dog that it liked to jump over every day"


@pytest.mark.parametrize(
    ("text", "is_none"),
    [
        ("a lazy dog that", True),
        ("dog that it", True),
        ("lazy cat that", False),
        ("quick and brown", False),
        ("over every day", False),
        ("dog", False),
        ("yes yes okay", True),
    ],
)
def test_an_echo_is_what_was_just_being_said(text: str, is_none: bool) -> None:
    heard = STORY[: STORY.index(" it liked")]
    assert is_filler(text, "en", STORY, heard) is is_none


async def long() -> AsyncIterator[str]:
    """Say more than anybody hears."""
    yield "This is a long story about a fox that was quick and brown, and about a lazy dog that it jumped over, " * 3


@pytest.mark.parametrize(
    ("then", "asked"), [("what is the weather in Paris", "what is the weather in Paris"), ("what is the weather", None)]
)
async def test_who_speaks_on_as_the_reply_begins_is_heard_as_one_turn(then: str, asked: str | None) -> None:
    model = Script(long)
    async with room(Measuring("what is the weather"), model, interrupts=True) as one:
        reply = await one.reply()
        await one.speak_over(3)
        one.ears.text = then
        await one.hear(SPEECH, 5)
        assert await one.reply() == reply
        assert one.ears.frames > 40, "both halves"
        assert len(model.asked) == (1 if asked is None else 2), "a cough lets the reply go on"
        assert model.asked[-1][1:] == [asked or "what is the weather"]


async def test_what_is_certain_meanwhile_of_a_turn_that_goes_on_is_told_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Asker, "wants_partials", True)
    monkeypatch.setattr(Asker, "heard_so_far", lambda _, text: told.append(text))
    async with room(Measuring("what is the weather"), Script(long), interrupts=True) as one:
        await one.hear(SPEECH, 80)
        first = "".join(told)
        await one.reply()
        await one.speak_over(3)
        one.ears.text = "what is the weather in Paris and in London"
        told.clear()
        await one.hear(SPEECH, 120)
        assert first.startswith("what is")
        assert "".join(told).startswith("what is the weather in")


async def test_a_stop_as_the_reply_begins_is_a_turn_of_its_own() -> None:
    model = Script(long)
    async with room(Measuring("what is the weather"), model, interrupts=True) as one:
        await one.reply()
        await one.speak_over(3)
        one.ears.text = "What is the weather? Stop."
        await one.until(Phase.IDLE)
        assert len(model.asked) == 1, "a skill falls silent"


async def test_who_speaks_later_begins_a_turn_of_their_own() -> None:
    model = Script(long)
    async with room(Measuring("what is the weather"), model, interrupts=True) as one:
        await one.reply()
        await one.speak_over(40)
        one.ears.text = "and in Paris"
        await one.reply()
        assert one.ears.frames < 40
        assert model.asked[-1][-1] == "and in Paris"


async def test_a_microphone_that_is_switched_off_over_a_reply_is_heard_at_once() -> None:
    model = Script(long)
    async with room(Measuring("what is the weather"), model, interrupts=True) as one:
        await one.reply()
        await one.hear(QUIET, 40)
        await one.until(Phase.OVERLAP, SPEECH)
        one.ears.text = "thanks that is all"
        one.conversation.end()
        await asyncio.sleep(0.1)
        assert (one.conversation.phase, model.asked[-1][-1]) == (Phase.SPEAKING, "thanks that is all")


@pytest.mark.parametrize("before", [1, 2, 3])
async def test_a_word_that_begins_as_the_reply_ends_is_heard_from_its_beginning(before: int) -> None:
    async with room(Measuring("hello"), interrupts=True) as one:
        await one.reply()
        await one.hear(QUIET, 40)
        await one.hear(SPEECH, before)
        one.conversation.played()
        if one.conversation.phase is Phase.IDLE:
            one.conversation.open("en")
        await one.hear(SPEECH, 16 - before)
        await one.until(Phase.SPEAKING)
        assert one.ears.frames == 16


@pytest.mark.parametrize("before", [1, 2])
async def test_a_word_that_begins_as_the_wait_for_one_ends_is_heard_from_its_beginning(before: int) -> None:
    async with room(Measuring("hello")) as one:
        await one.hear(QUIET, int(SETTINGS.turn.no_speech_s * RATE / FRAME) - before)
        await one.hear(SPEECH, 16)
        await one.until(Phase.SPEAKING)
        assert one.ears.frames == 16


async def test_a_turn_over_a_reply_that_went_on_takes_back_nothing() -> None:
    """The page's stream is opened anew over it: what was said first is forgotten, and cannot be joined."""
    model = Script(long)
    async with room(Measuring("what is the weather"), model, interrupts=True) as one:
        await one.reply()
        await one.speak_over(60)
        one.ears.text = ""
        await one.until(Phase.SPEAKING)
        one.conversation.open("en")
        await one.hear(QUIET, 3)
        one.ears.text = "who was Napoleon"
        await one.until(Phase.HEARING, SPEECH)
        await one.hear(SPEECH, 20)
        await one.until(Phase.SPEAKING)
        assert "what is the weather" in model.asked[-1]


async def test_a_turn_over_the_reply_to_one_that_was_ended_takes_back_nothing() -> None:
    model = Script(long)
    async with room(Measuring("what is the weather"), model, interrupts=True) as one:
        await one.hear(SPEECH, 20)
        one.conversation.end()
        async with asyncio.timeout(5):
            while one.conversation.phase is not Phase.SPEAKING:
                await asyncio.sleep(0.01)
        one.conversation.open("en")
        await one.hear(QUIET, 3)
        one.ears.text = "who was Napoleon"
        await one.until(Phase.HEARING, SPEECH)
        await one.hear(SPEECH, 20)
        await one.until(Phase.SPEAKING)
        assert "what is the weather" in model.asked[-1]


def recorded(one: Room) -> Turns:
    """Return what keeps the turns of a conversation from now on."""
    turns = Turns()
    one.conversation._recorder = turns.of("websocket", "page")
    return turns


async def test_the_drafts_of_what_came_to_nothing_are_not_those_of_the_next_turn() -> None:
    async with room(Measuring("")) as one:
        turns = recorded(one)
        await one.hear(SPEECH, 20)
        await one.until(Phase.IDLE)
        one.ears.text = "what is the weather"
        one.conversation.open("en")
        await one.reply()
        assert [turn.trace.drafts for turn in turns] == [1]


async def test_a_turn_that_could_not_be_heard_counts_with_its_own_drafts() -> None:
    async with room(Measuring("what is the weather")) as one:
        turns, before = recorded(one), COUNTS.turns
        one.ears.fails = 2
        await one.reply()
        one.conversation.played()
        one.conversation.open("en")
        await one.reply()
        assert [turn.trace.drafts for turn in turns] == [2, 1]
        assert COUNTS.turns - before == 2


async def test_a_turn_that_the_next_one_holds_can_be_taken_off_the_count() -> None:
    async with room(Measuring("what is the weather"), Script(long), interrupts=True) as one:
        turns, withdrawn = COUNTS.turns, COUNTS.withdrawn
        await one.reply()
        await one.speak_over(3)
        one.ears.text = "what is the weather in Paris"
        await one.hear(SPEECH, 5)
        await one.reply()
        assert (COUNTS.turns - turns, COUNTS.withdrawn - withdrawn) == (2, 1)


async def test_the_drafts_of_what_came_to_nothing_are_not_those_of_what_is_written_next() -> None:
    async with room(Measuring("")) as one:
        turns = recorded(one)
        await one.hear(SPEECH, 20)
        await one.until(Phase.IDLE)
        one.conversation.typed("what is the weather")
        await one.until(Phase.SPEAKING)
        assert [turn.trace.drafts for turn in turns] == [0]


async def test_a_turn_that_goes_on_before_its_words_are_known_is_none_that_was_taken_back() -> None:
    ears = Measuring("what is the weather")
    ears.takes_s = 0.2
    async with room(ears) as one:
        turns, withdrawn = COUNTS.turns, COUNTS.withdrawn
        await one.hear(SPEECH, 20)
        await one.until(Phase.THINKING)
        await one.until(Phase.HEARING, SPEECH)
        ears.takes_s = 0.0
        await one.reply()
        assert (COUNTS.turns - turns, COUNTS.withdrawn - withdrawn) == (1, 0)


@pytest.mark.parametrize("text", ["아이고", "어머", "하하하하", "네네네", "그랬구나", "네, 알겠어요.", "음 음 음 음"])
def test_korean_murmurs_and_laughter_are_no_turn(text: str) -> None:
    assert is_filler(text, "ko", "내일은 맑아요.", "내일은")


@pytest.mark.parametrize("text", ["Hmmmm.", "Haha.", "Oh my gosh!", "Cool.", "Yeah yeah yeah yeah."])
def test_english_murmurs_and_laughter_are_no_turn(text: str) -> None:
    assert is_filler(text, "en", STORY, "")


@pytest.mark.parametrize(
    ("text", "language"), [("그만", "ko"), ("잠깐만", "ko"), ("stop stop stop", "en"), ("wait", "en")]
)
def test_words_that_stop_a_reply_are_a_turn(text: str, language: str) -> None:
    assert not is_filler(text, language, STORY, "")


@pytest.mark.parametrize(("text", "is_none"), [("yes oh okay", True), ("yes oh okay sure", False)])
def test_few_words_that_only_acknowledge_are_no_turn(text: str, is_none: bool) -> None:
    assert is_filler(text, "en", STORY, "") is is_none
