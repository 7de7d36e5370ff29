"""What nobody waits for begins only when no engine works at what somebody waits for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest

from antiphon_daemon.engines import rush
from antiphon_daemon.engines.contracts import Revoked, Urgency
from antiphon_daemon.engines.rush import LOOK_S, Rush
from antiphon_daemon.engines.work import AMPLE_S, Token
from antiphon_daemon.engines.worker import Worker

Two = tuple[Worker, Worker]
HELD_S = 4 * LOOK_S


class Gate:
    """A model that is busy until it is let go."""

    def __init__(self) -> None:
        self.inside, self.open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.inside.set()
        assert self.open.wait(10)
        return "result"

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.inside.wait, 10)


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    shared = Rush()
    ears, voice = Worker("stt", rush=shared), Worker("tts", rush=shared)
    yield ears, voice
    await ears.close()
    await voice.close()


def ample() -> Token:
    token = Token()
    token.lasts_until(time.monotonic() + AMPLE_S + 60)
    return token


@pytest.mark.parametrize("urgency", [Urgency.AHEAD, Urgency.MEANWHILE, Urgency.PATIENT])
async def test_what_is_merely_useful_waits_for_what_another_engine_does_for_somebody(
    two: Two, urgency: Urgency
) -> None:
    ears, voice = two
    gate = Gate()
    busy = asyncio.create_task(ears.run(gate, Token(urgency=Urgency.DRAFT)))
    await gate.entered()
    rest = asyncio.create_task(voice.run(lambda: "rest", Token(urgency=urgency)))
    await asyncio.sleep(HELD_S)
    assert not rest.done()
    gate.open.set()
    assert await busy == "result"
    assert await rest == "rest"


async def test_what_somebody_waits_for_waits_for_no_other_engine(two: Two) -> None:
    ears, voice = two
    gate = Gate()
    busy = asyncio.create_task(ears.run(gate, Token()))
    await gate.entered()
    held = asyncio.create_task(voice.run(lambda: "rest", ample()))
    await asyncio.sleep(HELD_S)
    for urgency in (Urgency.TURN, Urgency.DRAFT):  # the thread that holds the other back takes these
        assert await voice.run(lambda: "first words", Token(urgency=urgency)) == "first words"
    assert not held.done()
    gate.open.set()
    await asyncio.gather(busy, held)


async def test_what_is_merely_useful_keeps_nothing_waiting(two: Two) -> None:
    ears, voice = two
    gate = Gate()
    busy = asyncio.create_task(ears.run(gate, Token(urgency=Urgency.MEANWHILE)))
    await gate.entered()
    assert await voice.run(lambda: "rest", ample()) == "rest"
    gate.open.set()
    await busy


async def test_nothing_is_held_back_for_ever(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rush, "HOLD_S", HELD_S)
    ears, voice = two
    gate = Gate()
    busy = asyncio.create_task(ears.run(gate, Token()))
    await gate.entered()
    held = asyncio.create_task(voice.run(lambda: "rest", ample()))
    await asyncio.sleep(HELD_S / 2)
    assert not held.done()
    assert await asyncio.wait_for(held, 5) == "rest"
    gate.open.set()
    await busy


async def test_a_reply_that_runs_short_waits_no_more(two: Two) -> None:
    ears, voice = two
    gate = Gate()
    busy = asyncio.create_task(ears.run(gate, Token()))
    await gate.entered()
    token = Token()
    token.lasts_until(time.monotonic() + AMPLE_S + 2 * HELD_S)
    held = asyncio.create_task(voice.run(lambda: "rest", token))
    await asyncio.sleep(HELD_S)
    assert not held.done()
    assert await held == "rest"
    assert not busy.done()
    gate.open.set()
    await busy


async def test_work_that_somebody_comes_to_wait_for_keeps_others_waiting(two: Two) -> None:
    ears, voice = two
    gate, token, order = Gate(), Token(urgency=Urgency.MEANWHILE), list[str]()
    busy = asyncio.create_task(ears.run(gate, token))
    await gate.entered()
    token.hurry()
    held = asyncio.create_task(voice.run(partial(order.append, "rest"), ample()))
    await asyncio.sleep(HELD_S)
    assert not order
    gate.open.set()
    await asyncio.gather(busy, held)
    assert order == ["rest"]


async def test_what_is_given_up_while_it_waits_is_never_begun(two: Two) -> None:
    ears, voice = two
    gate, token, order = Gate(), ample(), list[str]()
    busy = asyncio.create_task(ears.run(gate, Token()))
    await gate.entered()
    held = asyncio.create_task(voice.run(partial(order.append, "rest"), token))
    await asyncio.sleep(HELD_S)
    token.revoke()
    with pytest.raises(Revoked):
        await held
    await asyncio.sleep(HELD_S)
    assert voice.load().waiting == voice.load().running == 0
    gate.open.set()
    await busy
    assert not order


async def test_closing_turns_away_what_waits_although_others_are_hurried(two: Two) -> None:
    ears, voice = two
    gate = Gate()
    busy = asyncio.create_task(ears.run(gate, Token()))
    await gate.entered()
    held = asyncio.create_task(voice.run(lambda: "rest", ample()))
    await asyncio.sleep(HELD_S)
    async with asyncio.timeout(5):
        await voice.close()
        with pytest.raises(Revoked):
            await held
    gate.open.set()
    await busy
