"""Whose work an engine does first: what a conversation asks for says how urgent it is, and becomes so when it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from scripted import Ears, Script, Tones, quick
from speech import silence

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation import conversation
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import Engines, Message, TextDelta, Tool, ToolCall, Transcript, Urgency, Work

BLOCK = RATE // 50


class Loudness:
    """Takes all that is loud for speech."""

    def probability(self, frame: Samples) -> float:
        return float(np.abs(frame).max() > 0.05)

    def reset(self) -> None: ...


class Noting(Ears):
    """Notes how urgent each hearing was when it was asked for, and ends none before `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.works: list[tuple[Work, Urgency]] = []
        self.go = asyncio.Event()

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        self.works.append((work, work.urgency()))
        await self.go.wait()
        return Transcript(self.text, language)


class Reader(Script):
    """Notes how urgent each reading of a prompt is."""

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        self.read = work.urgency()


class Peer(Asker):
    wants_partials = True


async def test_hearing_meanwhile_a_draft_and_a_turn_that_is_over() -> None:
    now_s = 0.0
    ears, model, voice, peer = Noting(), Reader(quick), Tones(), Peer()
    settings = Settings()
    engines = Engines(ears, model, voice)
    talk = Conversation(engines, settings, peer, Loudness(), new_memory(settings, "en"), clock=lambda: now_s)
    peer.begin()
    talk.open()
    speech = np.full(2 * RATE, 0.1, dtype=np.float32)
    for at in range(0, 4 * RATE, BLOCK):
        now_s += BLOCK / RATE
        talk.hear(speech[at : at + BLOCK] if at < len(speech) else silence(BLOCK / RATE))
        await asyncio.sleep(0)
        if at == 2 * RATE + RATE // 4:
            assert [urgency for _, urgency in ears.works] == [Urgency.MEANWHILE, Urgency.DRAFT]
            assert ears.works[-1][0].urgency() is Urgency.DRAFT
    assert ears.works[-1][0].urgency() is Urgency.TURN, "its turn is over, and it is not heard yet"
    assert model.read is Urgency.MEANWHILE
    ears.go.set()
    async with asyncio.timeout(30):
        await peer.done.wait()
    assert peer.turn.transcript == "hello there"
    await talk.close()


async def test_captions_are_rarer_while_somebody_else_speaks_too() -> None:
    settings, now_s = Settings(), 0.0

    def talk(ears: Ears) -> Conversation:
        engines = Engines(ears, Reader(quick), Tones())
        return Conversation(engines, settings, Peer(), Loudness(), new_memory(settings, "en"), clock=lambda: now_s)

    async def hear(seconds: float, *levels: tuple[Conversation, float]) -> None:
        nonlocal now_s
        for _ in range(round(seconds * RATE / BLOCK)):
            now_s += BLOCK / RATE
            for one, level in levels:
                one.hear(np.full(BLOCK, level, dtype=np.float32))
            await asyncio.sleep(0)

    ears = Noting()
    ears.go.set()
    one, other = talk(ears), talk(Ears())
    one.open()
    other.open()
    await hear(2.5, (one, 0.1), (other, 0.1))
    assert not ears.works, "the other's turn may end at any moment"
    await hear(1.0, (one, 0.1), (other, 0.1))
    assert len(ears.works) == 1
    await other.close()
    await hear(2.2, (one, 0.1))
    assert len(ears.works) == 3, "it has left: there is time for one a second"
    await one.close()


async def test_a_reply_is_urgent_until_there_is_much_of_it_to_hear() -> None:
    noted: list[tuple[str, Urgency]] = []

    class Voice(Tones):
        async def speak(
            self, text: str, work: Work, *, voice: str | None, language: str | None
        ) -> AsyncIterator[bytes]:
            noted.append((text, work.urgency()))
            async for pcm in super().speak(text, work, voice=voice, language=language):
                yield pcm * 10  # 0.2 s a letter

    async def two() -> AsyncIterator[str]:
        yield "It is quite fine. And that is all."

    settings, peer = Settings(), Asker()
    talk = Conversation(Engines(Ears(), Script(two), Voice()), settings, peer, Loudness(), new_memory(settings, "en"))
    peer.begin()
    talk.typed("hello")
    async with asyncio.timeout(30):
        await peer.done.wait()
    assert noted == [("It is quite fine.", Urgency.TURN), ("And that is all.", Urgency.AHEAD)]
    await talk.close()


class Asked(Script):
    """Keeps what it works for."""

    works: tuple[Work, ...] = ()

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.works = (*self.works, work)
        async for delta in super().respond(messages, work, tools=tools):
            yield delta


async def test_a_reply_whose_speaker_goes_on_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "PARKED_S", 60)  # of real time, which this machine may need
    now_s, model, settings, peer = 0.0, Asked(quick), Settings(), Asker()
    engines = Engines(Ears(), model, Tones())
    talk = Conversation(engines, settings, peer, Loudness(), new_memory(settings, "en"), clock=lambda: now_s)

    async def hear(level: float, seconds: float) -> list[Urgency]:
        nonlocal now_s
        for _ in range(round(seconds * RATE / BLOCK)):
            now_s += BLOCK / RATE
            talk.hear(np.full(BLOCK, level, dtype=np.float32))
            await asyncio.sleep(0.001)
        return [work.urgency() for work in model.works if work.wanted()]

    peer.begin()
    talk.open()
    await hear(0.1, 1.0)
    assert await hear(0.0, 0.3) == [Urgency.DRAFT]
    assert await hear(0.1, 0.4) == [Urgency.MEANWHILE], "kept, in case that was no word"
    assert await hear(0.0, 0.3) == [Urgency.DRAFT], "it was none"
    await hear(0.0, 1.0)
    assert [work.urgency() for work in model.works] == [Urgency.TURN]
    async with asyncio.timeout(30):
        await peer.done.wait()
    await talk.close()
