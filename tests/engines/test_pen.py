"""One conversation is written at a time, the most urgent first, and each goes on in the words it would have had."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from antiphon.settings import Llm, Settings
from antiphon_daemon.engines.build import build_responder
from antiphon_daemon.engines.contracts import Message, Responder, Revoked, TextDelta, Urgency
from antiphon_daemon.engines.llm.pen import LEAST_TOKENS, TURN_TOKENS, VOICED_S, Pens, Writer
from antiphon_daemon.engines.rush import LOOK_S, Rush
from antiphon_daemon.engines.work import AMPLE_S, MAKING_S, Token

SYSTEM = Message("system", "You are a voice assistant. Answer in one short sentence.")


def pens(count: int = 1, rush: Rush | None = None) -> Pens:
    return Pens(count, rush or Rush())


def ample() -> Token:
    token = Token()
    token.lasts_until(time.monotonic() + AMPLE_S + 3600)
    return token


@contextmanager
def waiting(which: Pens, *works: Token, wanted: Callable[[], bool] | None = None) -> Iterator[list[Token]]:
    """Have each wait for a pen, in this order, in a thread of its own; the list is of those who had one, or gave up."""
    had: list[Token] = []

    def write(work: Token) -> None:
        try:
            with which.taken(work, wanted):
                had.append(work)
        except Revoked:
            had.append(work)

    threads = [threading.Thread(target=write, args=(work,)) for work in works]
    for thread in threads:
        before = len(which._waiting)
        thread.start()
        while thread.is_alive() and len(which._waiting) == before:
            time.sleep(0.001)
    yield had
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(had) == len(works)


def written_until_wanted(which: Pens, writer: Writer) -> int | None:
    """Return after how many tokens somebody else is to write; None: not within a hundred."""
    for writer.written in range(100):
        if which.wanted(writer):
            return writer.written
    return None


def test_the_most_urgent_is_next_and_among_equals_who_came_first() -> None:
    one, rest, first, second, draft = pens(), ample(), Token(), Token(), Token(urgency=Urgency.DRAFT)
    with waiting(one):
        pass
    with one.taken(Token()):
        waits = waiting(one, rest, draft, first, second)
        had = waits.__enter__()
        time.sleep(2 * LOOK_S)
        assert not had
    waits.__exit__(None, None, None)
    assert had == [first, second, draft, rest]


def test_what_has_become_urgent_is_next() -> None:
    one, draft, turn = pens(), Token(urgency=Urgency.DRAFT), Token(urgency=Urgency.DRAFT)
    with one.taken(Token()):
        waits = waiting(one, draft, turn)
        had = waits.__enter__()
        turn.hurry()
    waits.__exit__(None, None, None)
    assert had == [turn, draft]


@pytest.mark.parametrize(
    ("mine", "others", "tokens"),
    [
        (Urgency.MEANWHILE, Urgency.DRAFT, 0),
        (Urgency.AHEAD, Urgency.TURN, 0),
        (Urgency.DRAFT, Urgency.TURN, LEAST_TOKENS),
        (Urgency.TURN, Urgency.TURN, TURN_TOKENS),
        (Urgency.TURN, Urgency.DRAFT, None),
        (Urgency.TURN, None, None),
    ],
)
def test_who_writes_stops_for_others(mine: Urgency, others: Urgency | None, tokens: int | None) -> None:
    one, works = pens(), [Token(urgency=others)] if others is not None else []
    with one.taken(Token(urgency=mine)) as writer:
        waits = waiting(one, *works)
        waits.__enter__()
        assert written_until_wanted(one, writer) == tokens
    waits.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("mine", "others", "tokens"),
    [
        (MAKING_S + 5, None, LEAST_TOKENS),
        (MAKING_S + 5, MAKING_S + 1, TURN_TOKENS),
        (MAKING_S + 1, MAKING_S + 5, None),
        (MAKING_S / 2, None, None),
        (None, None, TURN_TOKENS),
        (None, MAKING_S / 2, TURN_TOKENS),
        (None, MAKING_S + 5, None),
    ],
)
def test_who_has_something_to_hear_stops_for_who_has_nothing_or_will_have_run_dry_before(
    monkeypatch: pytest.MonkeyPatch, mine: float | None, others: float | None, tokens: int | None
) -> None:
    monkeypatch.setattr("antiphon_daemon.engines.work.AMPLE_S", 60.0)
    one, writing, other = pens(), Token(), Token()
    for work, left_s in ((writing, mine), (other, others)):
        if left_s is not None:
            work.lasts_until(time.monotonic() + left_s)
    with one.taken(writing) as writer:
        waits = waiting(one, other)
        waits.__enter__()
        assert written_until_wanted(one, writer) == tokens
    waits.__exit__(None, None, None)


def test_a_prompt_stops_between_two_batches_and_not_just_behind_it() -> None:
    one = pens()
    with one.taken(Token(urgency=Urgency.DRAFT)) as writer:
        waits = waiting(one, Token())
        waits.__enter__()
        assert not one.wanted(writer)
        writer.reading = True
        assert one.wanted(writer)
    waits.__exit__(None, None, None)


def test_what_is_of_no_use_later_waits_no_longer() -> None:
    one = pens()
    with one.taken(Token()):
        began = time.monotonic()
        with pytest.raises(Revoked), one.taken(Token(), within_s=0.03):
            pass
        assert time.monotonic() - began >= 0.03
    with one.taken(Token(), within_s=0.03):
        pass


def test_the_rest_of_a_reply_stops_for_other_engines_and_waits_for_them() -> None:
    rush = Rush()
    one, rest = pens(rush=rush), ample()
    with one.taken(rest) as writer:
        writer.written = LEAST_TOKENS
        assert not one.wanted(writer)
        with rush.working(Token()):
            assert one.wanted(writer)
    with rush.working(Token()):
        waits = waiting(one, rest)
        had = waits.__enter__()
        time.sleep(2 * LOOK_S)
        assert not had
        with one.taken(Token()):
            pass
        assert not had
    waits.__exit__(None, None, None)


def test_a_reply_is_not_written_on_while_its_first_sound_is_made() -> None:
    rush = Rush()
    one, reply = pens(rush=rush), Token()
    with one.taken(reply) as writer, rush.working(reply):
        writer.written = LEAST_TOKENS
        assert not one.wanted(writer)
        with rush.working(reply):
            assert one.wanted(writer)
            reply.lasts_until(time.monotonic() + 0.5)
            assert not one.wanted(writer)
    with rush.working(Token()), rush.working(silent := Token()), rush.working(silent):
        began = time.monotonic()
        with one.taken(silent):
            assert VOICED_S <= time.monotonic() - began < VOICED_S + 1, "a voice may be slow"


def test_nobody_waits_for_who_rests_while_its_first_sound_is_made() -> None:
    rush = Rush()
    one, reply, other = pens(rush=rush), Token(), Token()
    with rush.working(reply), rush.working(reply), waiting(one, reply, other) as had:
        time.sleep(VOICED_S / 2)
        assert had == [other]


def test_who_is_no_longer_wanted_waits_no_longer() -> None:
    one, revoked, gone = pens(), Token(), threading.Event()
    with one.taken(Token()):
        with waiting(one, revoked) as had:
            revoked.revoke()
        assert had == [revoked]
        with waiting(one, Token(), wanted=lambda: not gone.is_set()):
            gone.set()
            one.look()


def test_there_are_as_many_as_it_has_threads_to_write_with() -> None:
    two = pens(2)
    with two.taken(Token()), two.taken(Token()), waiting_one(two) as had:
        time.sleep(2 * LOOK_S)
        assert not had


@contextmanager
def waiting_one(which: Pens) -> Iterator[list[Token]]:
    """Have one wait while the body lasts, and give up then."""
    over = threading.Event()
    with waiting(which, Token(), wanted=lambda: not over.is_set()) as had:
        yield had
        over.set()


async def written(responder: Responder, question: str, heard: list[str], *, work: Token | None = None) -> str:
    pieces: list[str] = []
    async for piece in responder.respond([SYSTEM, Message("user", question)], work or Token()):
        assert isinstance(piece, TextDelta)
        pieces.append(piece.text)
        heard.append(question)
    return "".join(pieces)


async def test_replies_written_by_turns_have_the_words_they_have_alone() -> None:
    settings = Settings(llm=Llm(context=512, conversations=3, reply_tokens=80, temperature=0))
    responder = await build_responder(settings)
    questions = ["Tell me a story about the sea.", "¿Qué es un café?", "바다는 무엇인가요?"]
    alone = [await written(responder, question, []) for question in questions]
    order: list[str] = []
    together = await asyncio.gather(*(written(responder, question, order) for question in questions))
    assert together == alone
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert 2 <= changes <= len(order) / LEAST_TOKENS, "by turns, and not by single words"
    await responder.close()
    assert "\ufffd" not in "".join(together)
