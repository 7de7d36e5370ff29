"""What an engine may rely on when it hands blocking work to its threads."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import pytest
from gate import Gate

from antiphon_daemon.engines.contracts import EngineError, Fault, Revoked, Urgency
from antiphon_daemon.engines.meter import Meter
from antiphon_daemon.engines.work import AMPLE_S, MAKING_S, Token
from antiphon_daemon.engines.worker import Worker, revocable


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker("stt", waiting=3)
    yield worker
    await worker.close()


async def test_a_result_and_an_error_reach_the_caller(worker: Worker) -> None:
    assert await worker.run(lambda: 42, Token()) == 42
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0, Token())


async def test_a_model_is_made_on_the_thread_that_it_works_on(worker: Worker) -> None:
    made_on = await asyncio.to_thread(worker.first, threading.get_ident)
    assert made_on != threading.get_ident()
    assert [await worker.run(threading.get_ident, Token()) for _ in range(3)] == [made_on] * 3
    with pytest.raises(ZeroDivisionError):
        worker.first(lambda: 1 // 0)


async def test_the_loop_goes_on_while_the_thread_is_inside_the_model(worker: Worker) -> None:
    gate = Gate()
    task = asyncio.create_task(worker.run(gate, Token()))
    await gate.entered()
    gate.open.set()
    assert await task == "result"


async def test_revoking_frees_the_caller_although_the_thread_is_inside_the_model(worker: Worker) -> None:
    gate, token = Gate(), Token()
    task = asyncio.create_task(worker.run(gate, token))
    await gate.entered()
    token.revoke()
    with pytest.raises(Revoked):
        await task
    assert not gate.open.is_set()
    gate.open.set()


async def test_revoked_from_another_thread(worker: Worker) -> None:
    gate, token = Gate(), Token()
    task = asyncio.create_task(worker.run(gate, token))
    await gate.entered()
    await asyncio.to_thread(token.revoke)
    with pytest.raises(Revoked):
        await task
    gate.open.set()


async def test_work_revoked_while_it_waits_is_never_begun(worker: Worker) -> None:
    gate, token = Gate(), Token()
    begun: list[str] = []
    first = asyncio.create_task(worker.run(gate, Token()))
    await gate.entered()
    second = asyncio.create_task(worker.run(lambda: begun.append("second"), token))
    await asyncio.sleep(0)
    token.revoke()
    with pytest.raises(Revoked):
        await second
    gate.open.set()
    assert await first == "result"
    await worker.run(lambda: None, Token())
    assert not begun


async def test_work_that_was_revoked_before(worker: Worker) -> None:
    token = Token()
    token.revoke()
    begun: list[str] = []
    with pytest.raises(Revoked):
        await worker.run(lambda: begun.append("run"), token)
    with pytest.raises(Revoked):
        await anext(worker.stream(lambda: begun, token))
    assert not begun


async def test_a_revoked_token_does_not_hit_what_its_caller_does_next(worker: Worker) -> None:
    """Race: revoked in the same turn of the loop in which the result arrived."""
    token = Token()

    async def caller() -> str:
        result = await worker.run(lambda: "result", token)
        token.revoke()
        await asyncio.sleep(0.01)
        return result

    assert await asyncio.create_task(caller()) == "result"


async def test_too_many_waiting_are_turned_away_with_a_sentence(worker: Worker) -> None:
    gate, token = Gate(), Token()
    tasks = [asyncio.create_task(worker.run(gate, token)) for _ in range(4)]
    await gate.entered()
    with pytest.raises(EngineError, match="ask again"):
        await worker.run(lambda: None, Token())
    gate.open.set()
    assert await asyncio.gather(*tasks) == ["result"] * 4


async def begun_in(worker: Worker, **works: Token) -> list[str]:
    """Return in which order jobs are begun that have come, in this order, while the thread was busy."""
    gate, order = Gate(), list[str]()
    busy = asyncio.create_task(worker.run(gate, Token()))
    await gate.entered()
    waiting = [asyncio.create_task(worker.run(partial(order.append, name), work)) for name, work in works.items()]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(busy, *waiting)
    return order


async def test_a_turn_that_is_over_goes_before_drafts_and_drafts_before_what_nobody_waits_for(worker: Worker) -> None:
    works = {"meanwhile": Token(urgency=Urgency.MEANWHILE), "draft": Token(urgency=Urgency.DRAFT), "turn": Token()}
    assert await begun_in(worker, **works) == ["turn", "draft", "meanwhile"]


async def test_recordings_go_last_but_do_not_wait_for_ever(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    works = {
        "recording": Token(urgency=Urgency.PATIENT),
        "meanwhile": Token(urgency=Urgency.MEANWHILE),
        "turn": Token(),
    }
    assert await begun_in(worker, **works) == ["turn", "meanwhile", "recording"]
    monkeypatch.setattr("antiphon_daemon.engines.worker.PATIENCE_S", 0.0)
    assert await begun_in(worker, **works) == ["recording", "turn", "meanwhile"]


async def test_it_is_full_when_every_thread_is_at_work() -> None:
    worker, gates = Worker("llm", threads=2), (Gate(), Gate())
    assert not worker.full
    tasks = [asyncio.create_task(worker.run(gate, Token())) for gate in gates]
    await gates[0].entered()
    await gates[1].entered()
    assert worker.full
    gates[0].open.set()
    await tasks[0]
    gates[1].open.set()
    await tasks[1]
    await worker.close()
    assert not worker.full


async def test_equals_are_served_in_the_order_they_came(worker: Worker) -> None:
    assert await begun_in(worker, a=Token(), b=Token(), c=Token()) == ["a", "b", "c"]


async def test_a_draft_whose_turn_is_over_while_it_waits_goes_before_those_that_came_before_it(worker: Worker) -> None:
    first, second = Token(urgency=Urgency.DRAFT), Token(urgency=Urgency.DRAFT)
    gate, order = Gate(), list[str]()
    busy = asyncio.create_task(worker.run(gate, Token()))
    await gate.entered()
    waiting = [
        asyncio.create_task(worker.run(partial(order.append, name), work))
        for name, work in (("first", first), ("second", second))
    ]
    await asyncio.sleep(0)
    second.settle()
    gate.open.set()
    await asyncio.gather(busy, *waiting)
    assert order == ["second", "first"]


async def test_a_reply_with_much_left_to_hear_lets_drafts_go_first_until_it_has_not(worker: Worker) -> None:
    ample, short = Token(), Token()
    ample.lasts_until(time.monotonic() + AMPLE_S + 60)
    short.lasts_until(time.monotonic() + AMPLE_S / 2)
    works = {"ample": ample, "draft": Token(urgency=Urgency.DRAFT), "short": short}
    assert await begun_in(worker, **works) == ["short", "draft", "ample"]


async def test_among_turns_who_has_heard_nothing_goes_before_who_has_and_who_is_about_to_run_dry_before_both(
    worker: Worker,
) -> None:
    later, sooner, dry = Token(), Token(), Token()
    later.lasts_until(time.monotonic() + MAKING_S + 1)
    sooner.lasts_until(time.monotonic() + MAKING_S + 0.5)
    dry.lasts_until(time.monotonic() + MAKING_S / 2)
    assert await begun_in(worker, later=later, nothing=Token(), dry=dry) == ["dry", "nothing", "later"]
    assert await begun_in(worker, later=later, sooner=sooner) == ["sooner", "later"]


async def test_a_full_queue_turns_away_what_nobody_relies_on_rather_than_a_turn(worker: Worker) -> None:
    gate = Gate()
    works = [Token(urgency=one) for one in (Urgency.TURN, Urgency.MEANWHILE, Urgency.DRAFT, Urgency.MEANWHILE)]
    tasks = [asyncio.create_task(worker.run(gate, work)) for work in works]
    await gate.entered()
    with pytest.raises(EngineError, match="ask again"):
        await worker.run(lambda: None, Token(urgency=Urgency.MEANWHILE))
    turns = [asyncio.create_task(worker.run(lambda: "turn", Token())) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(EngineError, match="ask again") as refused:
        await worker.run(lambda: None, Token())
    assert refused.value.fault is Fault.BUSY
    for number in (1, 3):
        with pytest.raises(EngineError, match="ask again"):
            await tasks[number]
    gate.open.set()
    assert await asyncio.gather(tasks[0], tasks[2], *turns) == ["result", "result", "turn", "turn"]


async def test_those_that_gave_up_waiting_make_room(worker: Worker) -> None:
    gate, token = Gate(), Token()
    first = asyncio.create_task(worker.run(gate, Token()))
    others = [asyncio.create_task(worker.run(gate, token)) for _ in range(3)]
    await gate.entered()
    token.revoke()
    await asyncio.gather(*others, return_exceptions=True)
    last = asyncio.create_task(worker.run(lambda: "last", Token()))
    await asyncio.sleep(0)
    gate.open.set()
    assert await first == "result"
    assert await last == "last"


async def test_what_gave_up_waiting_for_a_thread_that_hangs_is_not_held(worker: Worker) -> None:
    """Each turn that a stuck model was asked for left its sound behind, until the daemon was restarted."""

    class Sound:
        """Some megabytes."""

    def hear(sound: Sound) -> None: ...

    gate, held = Gate(), []
    first = asyncio.create_task(worker.run(gate, Token()))
    await gate.entered()
    for _ in range(8):
        sound, token = Sound(), Token()
        held.append(weakref.ref(sound))
        turn = asyncio.create_task(worker.run(partial(hear, sound), token))
        del sound
        await asyncio.sleep(0)
        token.revoke()
        await asyncio.gather(turn, return_exceptions=True)
        del turn
    await asyncio.sleep(0.05)  # the loop itself still holds the last one for a moment
    gc.collect()
    left = sum(one() is not None for one in held)
    gate.open.set()
    assert await first == "result"
    assert left == 0


async def test_a_stream_comes_in_order_and_its_errors_too(worker: Worker) -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the model failed")

    stream = worker.stream(numbers, Token())
    assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the model failed"):
        await anext(stream)


async def test_a_slow_reader_holds_no_thread_and_is_at_most_two_items_behind(worker: Worker) -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    stream = worker.stream(numbers, Token())
    assert await anext(stream) == 0
    assert await worker.run(lambda: "another conversation", Token()) == "another conversation"
    await asyncio.sleep(0.05)
    assert made == [0, 1]
    await stream.aclose()
    await worker.run(lambda: None, Token())
    assert made == [0, 1]


async def test_two_streams_take_turns(worker: Worker) -> None:
    order: list[str] = []
    start = threading.Event()

    def items(name: str) -> Callable[[], Iterator[str]]:
        def make() -> Iterator[str]:
            start.wait(10)
            for _ in range(5):
                order.append(name)
                yield name

        return make

    async def read(name: str) -> None:
        async for _ in worker.stream(items(name), Token()):
            pass

    async with asyncio.TaskGroup() as group:
        group.create_task(read("a"))
        group.create_task(read("b"))
        await asyncio.sleep(0)
        start.set()
    assert order.index("b") < 4, "the second waited for the whole of the first"


async def test_revoking_ends_a_stream_at_once_and_the_thread_after_the_item(worker: Worker) -> None:
    gate, token = Gate(), Token()
    made: list[str] = []

    def items() -> Iterator[str]:
        yield "first"
        made.append(gate())
        yield "second"
        made.append("third")
        yield "third"

    stream = worker.stream(items, token)
    assert await anext(stream) == "first"
    await gate.entered()
    waiting = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    token.revoke()
    with pytest.raises(Revoked):
        await waiting
    gate.open.set()
    await worker.run(lambda: None, Token())
    assert made == ["result"]


async def test_cancelling_the_reader_leaves_no_stuck_thread(worker: Worker) -> None:
    gate = Gate()
    task = asyncio.create_task(anext(worker.stream(lambda: iter([gate()]), Token())))  # type: ignore[arg-type]
    await gate.entered()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open.set()
    assert await worker.run(lambda: "free", Token()) == "free"


async def test_what_is_pushed_arrives_until_nobody_wants_more(worker: Worker) -> None:
    token = Token()
    told: list[bool] = []
    heard = threading.Event()

    def produce(emit: Callable[[int], bool]) -> None:
        told.append(emit(1))
        told.append(emit(2))
        assert heard.wait(10)
        told.append(emit(3))

    stream = worker.push(produce, token)
    assert [await anext(stream), await anext(stream)] == [1, 2]
    token.revoke()
    with pytest.raises(Revoked):
        await anext(stream)
    heard.set()
    await worker.run(lambda: None, Token())
    assert told == [True, True, False]


async def test_a_failing_producer_is_told_after_what_it_pushed(worker: Worker) -> None:
    def produce(emit: Callable[[str], bool]) -> None:
        emit("a word")
        raise EngineError("llm", "The model failed.")

    stream = worker.push(produce, Token())
    assert await anext(stream) == "a word"
    with pytest.raises(EngineError, match="The model failed"):
        await anext(stream)


async def test_closing_turns_away_what_waits_and_joins_the_thread() -> None:
    before = set(threading.enumerate())
    worker, gate = Worker("turn"), Gate()
    running = asyncio.create_task(worker.run(gate, Token()))
    await gate.entered()
    waiting = asyncio.create_task(worker.run(lambda: "never", Token()))
    await asyncio.sleep(0)
    closing = asyncio.create_task(worker.close())
    await asyncio.sleep(0.01)
    gate.open.set()
    await closing
    assert await running == "result"
    with pytest.raises(Revoked):
        await waiting
    with pytest.raises(Revoked):
        await worker.run(lambda: "never", Token())
    new = set(threading.enumerate()) - before
    assert not [thread for thread in new if thread.name.startswith("engine-turn")]


async def test_an_error_nobody_waits_for_is_not_logged_as_forgotten(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("too late")

    with caplog.at_level(logging.ERROR, "asyncio"):
        stream = worker.stream(items, Token())
        await anext(stream)
        await worker.run(lambda: None, Token())
        await stream.aclose()
        del stream
        gc.collect()
        await asyncio.sleep(0)
    assert not caplog.records


async def test_a_deadline_of_the_body_is_not_taken_for_a_revocation() -> None:
    with pytest.raises(TimeoutError):
        async with revocable(Token()):
            raise TimeoutError


def test_how_busy_a_worker_was_is_told_for_the_last_minute() -> None:
    now = [1000.0]
    meter = Meter(lambda: now[0])
    now[0] += 100.0
    assert meter.busy() == 0.0
    with meter.working():
        now[0] += 6.0
        assert meter.busy() == pytest.approx(0.1)
        with meter.working():  # two at once are not twice as busy
            now[0] += 6.0
        assert meter.running == 1
    assert meter.busy() == pytest.approx(0.2)
    now[0] += 55.0
    assert meter.busy() == pytest.approx(0.1, abs=0.02)
    now[0] += 60.0
    assert meter.busy() == 0.0
    with meter.working():
        now[0] += 600.0
    assert meter.busy() == pytest.approx(1.0, abs=0.02)


async def test_a_worker_tells_what_runs_and_what_waits(worker: Worker) -> None:
    gate = Gate()
    tasks = [asyncio.create_task(worker.run(gate, Token())) for _ in range(3)]
    await gate.entered()
    load = worker.load()
    assert (load.threads, load.running, load.waiting, load.most_waiting) == (1, 1, 2, 3)
    gate.open.set()
    await asyncio.gather(*tasks)
    async with asyncio.timeout(10):
        while worker.load().running:
            await asyncio.sleep(0.01)
    assert worker.load().waiting == 0
