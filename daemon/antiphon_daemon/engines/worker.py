"""Runs inference that blocks on threads of its own, so that the event loop never waits for a model.

Three ways to hand work over, one for each shape a library has: `run` for a function that returns, `stream` for a
generator, `push` for a function that calls back. In each the caller's side ends at once with `Revoked` when the work is
revoked, even while a thread is still inside the model; the thread comes free at the model's next step.

What waits for a thread is taken by its urgency at that moment (`Urgency`), and among equals by when its listener will
have heard what there is, or has waited since if there is nothing (`work.rank`): a
turn that is over goes before drafts, drafts before what is merely useful, whichever conversations they are of. What is
merely useful also waits while another engine works at what somebody waits for (`rush.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from antiphon.cores import cores
from antiphon_daemon.engines.contracts import EngineError, Fault, Load, Revoked, Stage, Urgency, Work
from antiphon_daemon.engines.meter import Meter
from antiphon_daemon.engines.rush import RUSH, Rush
from antiphon_daemon.engines.work import rank

T = TypeVar("T")

MOST_CORES = 4
"""More threads than this make small models slower, not faster."""

PATIENCE_S = 20.0
"""Patient work is not to starve."""

_END: Final[Any] = object()


def threads(asked: int) -> int:
    """Return how many threads a model computes with: what the settings ask for, or one per core up to `MOST_CORES`."""
    return asked or min(MOST_CORES, cores())


@contextlib.asynccontextmanager
async def revocable(work: Work) -> AsyncIterator[None]:
    """Run the body until it ends or `work` is revoked, whichever comes first. The body must not yield.

    Raises:
        Revoked: the work was revoked; the body was cancelled at its `await`.
    """
    loop = asyncio.get_running_loop()
    ended = False

    def end() -> None:
        if not ended:
            scope.reschedule(loop.time())

    def revoked() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(end)

    if not work.wanted():
        raise Revoked
    try:
        async with asyncio.timeout(None) as scope:
            forget = work.on_revoked(revoked)
            try:
                yield
            finally:
                ended = True
                forget()
    except TimeoutError:
        if scope.expired():
            raise Revoked from None
        raise


@dataclass(eq=False)
class Job:
    """What waits for a thread."""

    function: Callable[[], Any]
    work: Work
    result: Future[Any]
    came_at: float = field(default_factory=time.monotonic)

    def rank(self) -> tuple[Urgency, float]:
        """Return its place among those who wait, as it is now: what has waited for long is as urgent as any other."""
        urgency, due = rank(self.work, self.came_at)
        waited = urgency is Urgency.PATIENT and time.monotonic() - self.came_at > PATIENCE_S
        return Urgency.TURN if waited else urgency, due


class Worker:
    """The threads of one engine, and the bounded queue of jobs that wait for them.

    Args:
        stage: what the engine does, for its errors.
        threads: how many jobs run at the same time; one where the model cannot be shared.
        waiting: how many more may wait. Beyond it callers are turned away at once: a reply that late helps nobody. What
            is done meanwhile, and is relied on by nobody, makes room for others.
        rush: what all engines of the process are at.
    """

    def __init__(self, stage: Stage, *, threads: int = 1, waiting: int = 32, rush: Rush = RUSH) -> None:
        self._stage: Stage = stage
        self._threads, self._most = threads, threads + waiting
        self._meter, self._rush = Meter(), rush
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"engine-{stage}")
        self._jobs: set[Future[Any]] = set()
        self._waiting: list[Job] = []
        """In the order they came; the pool has a call of `_next` for each, or more."""
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def first(self, function: Callable[[], T]) -> T:
        """Return what `function` returns on the thread, and block until then: for what belongs to the thread that made
        it. There must be one thread alone, with nothing to do yet."""
        return self._pool.submit(function).result()

    async def run(self, function: Callable[[], T], work: Work) -> T:
        """Return what `function` returns on the thread; it is never called when the work is revoked before its turn.

        Raises:
            EngineError: too many jobs wait.
            Revoked: the work was revoked, or the engine was closed.
        """
        self._admit(work)
        async with revocable(work):
            return await self._start(function, work)

    async def stream(self, make: Callable[[], Iterable[T]], work: Work) -> AsyncGenerator[T, None]:
        """Yield the items of the iterable that `make` returns; both run on the thread, one item a job.

        The thread is one item ahead of the caller and holds nothing in between: a slow caller blocks nobody, streams
        that share the thread take turns, and a stream that is closed or revoked leaves at most the item in the making.

        Raises:
            EngineError: too many jobs wait.
            Revoked: the work was revoked, or the engine was closed.
        """
        items = None

        def step() -> T:
            nonlocal items
            items = items or iter(make())
            return next(items, _END)

        self._admit(work)
        ahead = self._start(step, work)
        try:
            while True:
                async with revocable(work):
                    item = await ahead
                if item is _END:
                    return
                ahead = self._start(step, work)
                yield item
        finally:
            ahead.cancel()

    async def push(self, produce: Callable[[Callable[[T], bool]], None], work: Work) -> AsyncGenerator[T, None]:
        """Yield what `produce`, running on the thread, hands to the function that it is given.

        That function returns False once nobody wants more; `produce` should then return soon. What it hands over is
        not held back for a slow caller, so `produce` must be bounded by itself, as a reply is by its longest length.

        Raises:
            EngineError: too many jobs wait.
            Revoked: the work was revoked, or the engine was closed.
        """
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[T] = asyncio.Queue()
        left = threading.Event()

        def emit(item: T) -> bool:
            if left.is_set() or self._closed.is_set() or not work.wanted():
                return False
            loop.call_soon_threadsafe(queue.put_nowait, item)
            return True

        self._admit(work)
        job = self._start(lambda: produce(emit), work)
        job.add_done_callback(lambda _: queue.put_nowait(_END))
        try:
            while True:
                async with revocable(work):
                    item = await queue.get()
                if item is _END:
                    break
                yield item
            async with revocable(work):
                await job
        finally:
            left.set()
            job.cancel()

    @property
    def full(self) -> bool:
        """Whether no thread is free: one more job would wait."""
        return len(self._jobs) >= self._threads

    def load(self) -> Load:
        """Return how much there is to do."""
        running = self._meter.running
        waiting = max(0, len(self._jobs) - running)
        return Load(self._threads, running, waiting, self._most - self._threads, round(self._meter.busy(), 3))

    async def close(self) -> None:
        """Turn away what waits with `Revoked`, let what runs end, and join the threads."""
        self._closed.set()
        self._rush.changed()
        await asyncio.to_thread(self._pool.shutdown)

    def _admit(self, work: Work) -> None:
        if self._closed.is_set():
            raise Revoked
        if len(self._jobs) >= self._most:
            why = "There is more to do here than this machine can keep up with: ask again."
            busy = EngineError(self._stage, why, Fault.BUSY)
            last = self._put_off() if work.urgency() < Urgency.MEANWHILE else None
            if last is None:
                raise busy
            if last.result.set_running_or_notify_cancel():
                last.result.set_exception(busy)

    def _put_off(self) -> Job | None:
        """Take the newest job that waits and on which nobody relies; None: there is none."""
        with self._lock:
            for job in reversed(self._waiting):
                if job.work.urgency() is Urgency.MEANWHILE and not job.result.done():
                    self._waiting.remove(job)
                    return job
        return None

    def _next(self) -> None:
        """Do the most urgent of what waits, on a thread of the pool."""
        job = self._take()
        if job is None or not job.result.set_running_or_notify_cancel():
            return
        try:
            if self._closed.is_set() or not job.work.wanted():
                raise Revoked
            with self._meter.working(), self._rush.working(job.work):
                result = job.function()
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            job.result.set_exception(error)
        else:
            job.result.set_result(result)
        finally:
            del job  # else the error's traceback would hold the job, and the job the error

    def _take(self) -> Job | None:
        """Take the most urgent of what waits, once it need not wait for other engines; None: nothing is left."""
        while True:
            seen = self._rush.changes
            with self._lock:
                if not self._waiting:
                    return None
                job = min(self._waiting, key=Job.rank)
                given_up = self._closed.is_set() or job.result.cancelled() or not job.work.wanted()
                if given_up or not self._rush.holds_back(job.rank()[0], job.came_at):
                    self._waiting.remove(job)
                    return job
            self._rush.wait(seen)

    def _drop(self, result: Future[Any]) -> None:
        """Forget a job that is given up while it waits, and the sound it holds: a thread that hangs never would."""
        with self._lock:
            self._waiting = [job for job in self._waiting if job.result is not result]

    def _start(self, function: Callable[[], T], work: Work) -> asyncio.Future[T]:
        if self._closed.is_set():
            raise Revoked
        job = Job(function, work, Future())
        self._jobs.add(job.result)
        job.result.add_done_callback(self._jobs.discard)
        with self._lock:
            self._waiting.append(job)
        job.result.add_done_callback(self._drop)
        self._rush.changed()
        self._pool.submit(self._next)
        result: asyncio.Future[T] = asyncio.wrap_future(job.result)
        result.add_done_callback(_retrieve)
        return result


def _retrieve(result: asyncio.Future[Any]) -> None:
    """Look at the error of a result that nobody may be waiting for any more, so that it is not logged as forgotten."""
    if not result.cancelled():
        result.exception()
