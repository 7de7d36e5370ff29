"""What the model does besides replies: it reads ahead, and judges words; neither is to keep it from a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from scripted import Ears, Script, quick

from antiphon.audio import vad
from antiphon.settings import Settings
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation import judging
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.judging import Judges
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import Engines, Message, Synthesizer, Tool, Work
from antiphon_daemon.insight.trace import Trace


class Reader(Script):
    """A model that keeps what it was given to read."""

    def __init__(self) -> None:
        super().__init__(quick)
        self.read: list[list[str]] = []

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        self.read.append([message.text for message in messages])


async def test_a_history_that_was_shortened_is_read_before_anybody_speaks_again(voice: Synthesizer) -> None:
    settings = Settings(conversation={"history_tokens": 80})  # type: ignore[arg-type]
    model, asker = Reader(), Asker()
    memory = new_memory(settings, "en")
    conversation = Conversation(Engines(Ears(), model, voice), settings, asker, vad.load(), memory)
    for number in range(4):
        asker.begin()
        conversation.typed(f"This is a story, and it is a rather long one, and here is its part number {number}.")
        async with asyncio.timeout(30):
            await asker.done.wait()
        conversation.played()
        await asyncio.sleep(0)
        assert len(model.read) == (number >= 2), "read when it was shortened, and only then"
    await conversation.close()
    assert model.read[0] == [one.text for one in memory.messages("")][:-3]


class Slow:
    """Judges words for ever."""

    name = "slow"
    work: Work | None = None

    async def ended(self, messages: Sequence[Message], work: Work) -> float | None:
        self.work = work
        await asyncio.sleep(60)
        return 1.0

    async def finished(self, audio: object, work: Work, *, language: str | None) -> float | None:
        return None

    async def close(self) -> None: ...


async def test_a_judge_who_is_too_slow_is_told_to_stop_and_the_turn_goes_on(
    voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "WITHIN_S", 0.05)
    slow = Slow()
    draft = Draft(1, Trace())
    judges = Judges(Engines(Ears(), Script(quick), voice, slow, slow), lambda *_: None)
    await judges.ask_words(draft, [Message("user", "what time")])
    assert slow.work is not None
    assert not slow.work.wanted()
    assert draft.token.wanted()
    assert draft.ended is None


async def test_a_judge_of_a_draft_that_is_given_up_is_told_to_stop(voice: Synthesizer) -> None:
    slow = Slow()
    draft = Draft(1, Trace())
    judges = Judges(Engines(Ears(), Script(quick), voice, slow, slow), lambda *_: None)
    asking = asyncio.create_task(judges.ask_words(draft, [Message("user", "what time")]))
    await asyncio.sleep(0)
    draft.token.revoke()
    await asyncio.sleep(0)
    assert slow.work is not None
    assert not slow.work.wanted()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
