"""Who waits long for a reply is told "one moment", once; who does not is not. Model and voice follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from scripted import Ears, Script, Tones, quick

from antiphon.audio import vad
from antiphon.settings import Deadlines, Settings, Turn
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation import one_moment
from antiphon_daemon.conversation import turn_types as turns
from antiphon_daemon.conversation.clauses import Ending
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.drafts import Draft, Nobody, Told
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.pacing import PAUSES_MS, pace_of
from antiphon_daemon.conversation.reply import Reply
from antiphon_daemon.engines.contracts import EngineError, Engines, Message
from antiphon_daemon.engines.work import Token
from antiphon_daemon.insight.metrics import COUNTS
from antiphon_daemon.insight.trace import Trace

WAIT_S = 30.0
MOMENT = message("one_moment", "en")


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_moment, "GRACE_S", 0.0)


class Slow:
    """A language model that says what it has before each `|` only when `go` is set for it."""

    def __init__(self, text: str) -> None:
        self.go = [asyncio.Event() for _ in range(text.count("|"))]
        self._parts = text.split("|")

    async def __call__(self) -> AsyncIterator[str]:
        for number, part in enumerate(self._parts):
            if number:
                await self.go[number - 1].wait()
            yield part


class Peer(Asker):
    """Notes the captions of "one moment", and when the reply is to be heard no more."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[str] = []
        self.moment = asyncio.Event()
        self.sounded = asyncio.Condition()
        self.stopped = 0

    def one_moment(self, text: str) -> None:
        self.moments.append(text)
        self.moment.set()

    def stop_speaking(self) -> None:
        self.stopped += 1

    @property
    def heard(self) -> bytes:
        return b"".join(self.turn.sound)


class House:
    """A conversation with a script for a model."""

    def __init__(self, model: Script, voice: Tones | None = None, language: str = "en", after_s: float = 0.05) -> None:
        self.voice = voice or Tones()
        self.settings = Settings(language=language, turn=Turn(one_moment_s=after_s))
        self.peer = Peer()
        self.memory = new_memory(self.settings, language)
        engines = Engines(Ears(), model, self.voice)
        self.talk = Conversation(engines, self.settings, self.peer, vad.load(), self.memory)

    def ask(self, text: str = "hello") -> None:
        self.peer.begin()
        self.talk.typed(text)

    async def done(self) -> None:
        await within(self.peer.done)

    @property
    def remembered(self) -> list[Message]:
        return self.memory.messages("")[1:-1]

    @property
    def moment(self) -> bytes:
        """The sound of "one moment", and the silence after it."""
        rate = self.voice.rate
        return self.voice.sound(message("one_moment", self.settings.language)) + bytes(
            2 * rate * one_moment.PAUSE_MS // 1000
        )


async def within(event: asyncio.Event) -> None:
    async with asyncio.timeout(WAIT_S):
        await event.wait()


async def until(true: object) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_a_late_reply_begins_with_one_moment_which_is_no_part_of_it(language: str) -> None:
    model, counted = Slow("|It is fine."), sum(COUNTS.first_audio)
    house = House(Script(model), language=language)
    house.ask()
    await within(house.peer.moment)
    assert house.peer.heard == house.moment
    assert sum(COUNTS.first_audio) == counted, "only the reply's own sound counts"
    model.go[0].set()
    await house.done()
    assert house.peer.heard == house.moment + house.voice.sound("It is fine.")
    assert (house.peer.turn.reply, house.peer.moments) == ("It is fine.", [message("one_moment", language)])
    trace = house.peer.turn.trace
    assert trace.one_moment_ms is not None
    assert trace.one_moment_ms <= (trace.timeline()["first_audio"] or 0)
    house.talk.played()
    assert [one.text for one in house.remembered] == ["hello", "It is fine."]
    assert sum(COUNTS.first_audio) == counted + 1
    await house.talk.close()


async def test_a_quick_reply_never_gets_it() -> None:
    house = House(Script(quick), after_s=20)
    house.ask()
    await house.done()
    assert house.voice.texts == ["It is fine."]
    await until(lambda: not house.talk._tasks)
    assert (house.peer.moments, house.peer.turn.trace.one_moment_ms) == ([], None)
    await house.talk.close()


async def test_it_is_said_once_a_turn_and_made_once() -> None:
    script = Script(quick)
    house = House(script)
    for _ in range(2):
        script._say = model = Slow("|It is| fine.")
        house.peer.moment.clear()
        house.ask()
        await within(house.peer.moment)
        model.go[0].set()
        await asyncio.sleep(0.1)
        model.go[1].set()
        await house.done()
        house.talk.played()
    assert house.peer.moments == [MOMENT, MOMENT]
    assert house.voice.texts == [MOMENT, "It is fine.", "It is fine."]
    await house.talk.close()


async def test_where_it_is_switched_off_a_late_reply_is_silence_and_then_the_reply() -> None:
    model = Slow("|It is fine.")
    house = House(Script(model), after_s=0)
    house.ask()
    await asyncio.sleep(0.2)
    model.go[0].set()
    await house.done()
    assert house.peer.heard == house.voice.sound("It is fine.")
    await house.talk.close()


async def test_the_first_clause_waits_neither_for_it_nor_for_more_words() -> None:
    """The sound of "one moment" is there, and lasts; what comes next must not be held back to be joined to more."""
    model = Slow("|Well, that is a question, and| it is fine.")
    house = House(Script(model))
    pace_of(house.voice)._letter_s = 0.0001
    await one_moment.prepare(house.voice, house.settings)
    assert house.voice.texts == [MOMENT]
    house.ask()
    await within(house.peer.moment)
    model.go[0].set()
    await until(lambda: len(house.peer.heard) > len(house.moment))
    assert house.voice.texts[1] == "Well,"
    model.go[1].set()
    await house.done()
    assert house.peer.turn.reply == "Well, that is a question, and it is fine."
    await house.talk.close()


async def test_a_reply_that_the_voice_is_saying_already_is_waited_for() -> None:
    voice = Tones("It is fine.")
    house = House(Script(quick), voice)
    pace_of(voice)._letter_s = 0.75 / (len("It is fine.") + 10)
    house.ask()
    await until(lambda: voice.texts == ["It is fine."])
    await asyncio.sleep(0.2)
    voice.go.set()
    await house.done()
    assert house.peer.moments == []
    house.peer.begin()
    voice.go.clear()
    house.ask()
    await within(house.peer.moment)  # it was expected in three quarters of a second
    voice.go.set()
    await house.done()
    assert house.peer.heard == house.moment + voice.sound("It is fine.")
    await house.talk.close()


async def test_who_interrupts_it_has_heard_nothing_of_the_reply() -> None:
    model = Slow("|It is fine. And| so on.")
    voice = Tones("It is fine.")
    house = House(Script(model), voice)
    house.ask()
    await within(house.peer.moment)
    model.go[0].set()
    await until(lambda: "It is fine." in voice.texts)
    assert house.talk.phase is turns.Phase.SPEAKING
    await asyncio.sleep(0.5)  # longer than it lasts: how much was heard is estimated
    house.talk.stop()
    assert house.peer.stopped == 1
    voice.go.set()
    await asyncio.sleep(0.05)
    assert house.peer.heard == house.moment
    assert [(one.text, one.interrupted) for one in house.remembered] == [("hello", False), ("", True)]
    await house.talk.close()


async def test_who_interrupts_the_reply_has_heard_its_words_and_not_one_moment() -> None:
    model = Slow("|It is fine. And that| is all.")
    house = House(Script(model))
    house.ask()
    await within(house.peer.moment)
    model.go[0].set()
    await until(lambda: len(house.peer.heard) > len(house.moment))
    lead_ms = len(house.moment) // 2 * 1000 // house.voice.rate
    house.talk.stop(heard_ms=lead_ms + 20 * len("It is "))
    assert house.remembered[-1] == Message("assistant", "It is", interrupted=True)
    await house.talk.close()


async def test_what_failed_after_it_is_said_all_the_same() -> None:
    async def fails() -> AsyncIterator[str]:
        await gate.wait()
        raise EngineError("llm", "it is away")
        yield ""

    async def nothing() -> AsyncIterator[str]:
        await gate.wait()
        yield " "

    for say, key in ((fails, "llm"), (nothing, "empty")):
        gate = asyncio.Event()
        house = House(Script(say))
        house.ask()
        await within(house.peer.moment)
        gate.set()
        await house.done()
        assert house.peer.turn.reply == message(key, "en")  # type: ignore[arg-type]
        assert house.peer.heard.startswith(house.moment)
        assert len(house.peer.heard) > len(house.moment)
        await house.talk.close()


async def test_a_reply_that_goes_on_after_a_cough_does_not_say_it_again() -> None:
    model = Slow("|It is fine. And| so on.")
    house = House(Script(model))
    house.ask()
    await within(house.peer.moment)
    reply = house.talk._draft.reply  # type: ignore[union-attr]
    assert reply is not None
    reply.pause()
    reply.wind_back(100)
    house.peer.turn.sound.clear()
    reply.release()
    assert not reply.lead_in(b"\0\0"), "once a turn"
    model.go[0].set()
    await until(lambda: house.peer.heard)
    assert house.peer.heard == house.voice.sound("It is fine.")
    assert reply.heard_text(20 * len("It is ")) == "It is"
    await house.talk.close()


async def test_a_voice_that_cannot_say_it_is_no_fault_of_the_turn() -> None:
    class Mute(Tones):
        async def speak(self, text: str, *given: object, **more: object) -> AsyncIterator[bytes]:  # type: ignore[override]
            self.texts.append(text)
            if text == MOMENT:
                raise EngineError("tts", "not this")
            yield self.sound(text)

    model = Slow("|It is fine.")
    house = House(Script(model), Mute())
    await one_moment.prepare(house.voice, house.settings)
    house.ask()
    await until(lambda: house.voice.texts == [MOMENT, MOMENT])
    model.go[0].set()
    await house.done()
    assert (house.peer.turn.reply, house.peer.turn.failure) == ("It is fine.", None)
    assert house.peer.heard == house.voice.sound("It is fine.")
    await house.talk.close()


def test_where_a_listener_ran_dry_its_time_does_not_count_as_heard() -> None:
    """After "one moment" there may be silence for long: the reply must not be taken for played before it is."""
    now_s = 100.0
    told: list[turns.Event] = []
    told_by = Told(Asker(), Draft(3, Trace()), lambda make: told.append(make(round(now_s * 16_000))), lambda: now_s)
    told_by.reply_began(16_000)
    told_by.reply_sound(bytes(2 * 16_000))
    now_s += 0.5
    told_by.reply_sound(bytes(2 * 16_000))
    now_s += 9.5  # two seconds were given, and ten have passed
    told_by.reply_sound(bytes(2 * 16_000))
    assert told == [turns.ReplyBegan(1_600_000, 3), turns.ReplyBegan(round((110.0 - 2.0) * 16_000), 3)]


async def test_after_running_dry_there_is_as_much_time_as_there_is_sound() -> None:
    """The gap before a late clause must not make all that follow it hurried, and run their pauses together."""
    now_s = 100.0
    model = Slow("One. Two| and| three. Four.")
    voice, heard = Tones(), Nobody()
    reply = Reply(
        model(),
        voice,
        heard,
        Token(),
        language="en",
        voice=None,
        deadlines=Deadlines(),
        trace=Trace(),
        clock=lambda: now_s,
    )
    reply.release()
    running = asyncio.create_task(reply.run())
    await until(lambda: voice.texts == ["One."])
    now_s += 10
    for go in model.go:
        go.set()
    async with asyncio.timeout(WAIT_S):
        await running
    given = len("Two and three.Four.") * 0.02
    assert reply.ahead_s == pytest.approx(given + PAUSES_MS[Ending.SENTENCE] / 1000, abs=0.01)
