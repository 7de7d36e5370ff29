"""What nobody waits for begins only when no engine works at what somebody waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from gate import Gate

from antiphon_daemon.engines import rush
from antiphon_daemon.engines.contracts import Revoked, Urgency
from antiphon_daemon.engines.rush import LOOK_S, Rush
from antiphon_daemon.engines.work import AMPLE_S, Token
from antiphon_daemon.engines.worker import Worker

Two = tuple[Worker, Worker]
HELD_S = 4 * LOOK_S


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    shared = Rush()
    ears, voice = Worker("stt", rush=shared), Worker("tts", rush=shared)
    yield ears, voice
    await ears.close()
    await voice.close()


@asynccontextmanager
async def working(ears: Worker, work: Token) -> AsyncIterator[asyncio.Task[str]]:
    """Have the ears be busy with this while the body lasts."""
    gate = Gate()
    busy = asyncio.create_task(ears.run(gate, work))
    await gate.entered()
    yield busy
    gate.open.set()
    assert await busy == "result"


def ample() -> Token:
    token = Token()
    token.lasts_until(time.monotonic() + AMPLE_S + 60)
    return token


@pytest.mark.parametrize("urgency", [Urgency.AHEAD, Urgency.MEANWHILE, Urgency.PATIENT])
async def test_what_is_merely_useful_waits_for_what_another_engine_does_for_somebody(
    two: Two, urgency: Urgency
) -> None:
    ears, voice = two
    async with working(ears, Token(urgency=Urgency.DRAFT)):
        rest = asyncio.create_task(voice.run(lambda: "rest", Token(urgency=urgency)))
        await asyncio.sleep(HELD_S)
        assert not rest.done()
    assert await rest == "rest"


async def test_what_can_wait_does_not_begin_between_what_two_engines_do_for_somebody(two: Two) -> None:
    ears, voice = two
    token = Token(urgency=Urgency.DRAFT)
    async with working(ears, token):
        held = asyncio.create_task(voice.run(lambda: "rest", ample()))
        await asyncio.sleep(HELD_S)
    async with working(ears, token):
        await asyncio.sleep(HELD_S)
        assert not held.done()
    assert await held == "rest"


async def test_nothing_follows_on_what_was_given_up(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rush, "NEXT_S", 60)
    ears, voice = two
    token, gate = Token(), Gate()
    busy = asyncio.create_task(ears.run(gate, token))
    await gate.entered()
    held = asyncio.create_task(voice.run(lambda: "rest", ample()))
    token.revoke()
    gate.open.set()
    with pytest.raises(Revoked):
        await busy
    assert await asyncio.wait_for(held, 5) == "rest"


async def test_what_somebody_waits_for_waits_for_no_other_engine(two: Two) -> None:
    ears, voice = two
    async with working(ears, Token()):
        held = asyncio.create_task(voice.run(lambda: "rest", ample()))
        await asyncio.sleep(HELD_S)
        for urgency in (Urgency.TURN, Urgency.DRAFT):  # the thread that holds the other back takes these
            assert await voice.run(lambda: "first words", Token(urgency=urgency)) == "first words"
        assert not held.done()
    await held


async def test_what_is_merely_useful_keeps_nothing_waiting(two: Two) -> None:
    ears, voice = two
    async with working(ears, Token(urgency=Urgency.MEANWHILE)):
        assert await voice.run(lambda: "rest", ample()) == "rest"


async def test_nothing_is_held_back_for_ever(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rush, "HOLD_S", HELD_S)
    ears, voice = two
    async with working(ears, Token()):
        held = asyncio.create_task(voice.run(lambda: "rest", ample()))
        await asyncio.sleep(HELD_S / 2)
        assert not held.done()
        assert await asyncio.wait_for(held, 5) == "rest"


async def test_a_reply_that_runs_short_waits_no_more(two: Two) -> None:
    ears, voice = two
    async with working(ears, Token()) as busy:
        token = Token()
        token.lasts_until(time.monotonic() + AMPLE_S + 2 * HELD_S)
        held = asyncio.create_task(voice.run(lambda: "rest", token))
        await asyncio.sleep(HELD_S)
        assert not held.done()
        assert await held == "rest"
        assert not busy.done()


async def test_work_that_somebody_comes_to_wait_for_keeps_others_waiting(two: Two) -> None:
    ears, voice = two
    token, order = Token(urgency=Urgency.MEANWHILE), list[str]()
    async with working(ears, token):
        token.hurry()
        held = asyncio.create_task(voice.run(partial(order.append, "rest"), ample()))
        await asyncio.sleep(HELD_S)
        assert not order
    await held
    assert order == ["rest"]


async def test_what_is_given_up_while_it_waits_is_never_begun(two: Two) -> None:
    ears, voice = two
    token, order = ample(), list[str]()
    async with working(ears, Token()):
        held = asyncio.create_task(voice.run(partial(order.append, "rest"), token))
        await asyncio.sleep(HELD_S)
        token.revoke()
        with pytest.raises(Revoked):
            await held
        await asyncio.sleep(HELD_S)
        assert voice.load().waiting == voice.load().running == 0
    assert not order


async def test_closing_turns_away_what_waits_although_others_are_hurried(two: Two) -> None:
    ears, voice = two
    async with working(ears, Token()):
        held = asyncio.create_task(voice.run(lambda: "rest", ample()))
        await asyncio.sleep(HELD_S)
        async with asyncio.timeout(5):
            await voice.close()
            with pytest.raises(Revoked):
                await held
