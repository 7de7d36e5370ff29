"""The voice detector in its thread: when a voice begins, or what a voice over our own sound does."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from antiphon.audio.pcm import RATE, Framer, Samples, level_db, to_samples
from antiphon.audio.vad import FRAME, Judge, SpeechBegan, SpeechTracker, load
from antiphon_satellite.interruption import Frame, Heard, Interruption

BEFORE_VOICE = int(0.75 * RATE)
"""A voice that starts a turn is heard from this many samples before its beginning, which is easily missed."""
BEFORE_INTERRUPTION = int(0.4 * RATE)
"""The same over our own sound, of which there should be little in it."""
QUEUED = 64
"""Blocks that wait for the voice detector at most; then sound is lost to it, not to the turn."""


class Listening(Enum):
    """What is listened for."""

    BEGINNING = auto()
    INTERRUPTION = auto()


@dataclass(frozen=True)
class Told:
    """What was heard."""

    generation: int
    """The listening that heard it."""
    heard: Heard | None
    """What a voice over our own sound does; None: a voice began where that starts a turn."""
    since: int
    """The sample with which a turn of it begins."""


@dataclass(frozen=True)
class _Job:
    generation: int
    start: int
    listening: Listening
    pcm: bytes
    residue_db: float


class Voice:
    """What it hears is told by `tell`, from its thread.

    Args:
        lasting_ms: speech over our own sound that lasts so long interrupts.
    """

    def __init__(self, tell: Callable[[Told], None], lasting_ms: int) -> None:
        self._tell = tell
        self._lasting_ms = lasting_ms
        self._jobs: queue.Queue[_Job | None] = queue.Queue(QUEUED)
        self.generation = 0
        """How often listening has begun."""
        self._start = 0
        self._listening = Listening.BEGINNING
        threading.Thread(target=self._work, name="voice", daemon=True).start()

    def begin(self, position: int, listening: Listening) -> None:
        """Listen anew, from the microphone's `position` on; what was spoken before it does not count."""
        self.generation += 1
        self._start, self._listening = position, listening

    def feed(self, pcm: bytes, residue_db: float) -> None:
        """Add sound; when the thread is far behind, it is lost."""
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(_Job(self.generation, self._start, self._listening, pcm, residue_db))

    def join(self) -> None:
        """Wait until all that was fed has been heard."""
        self._jobs.join()

    def stop(self) -> None:
        """End the thread."""
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(None)

    def _work(self) -> None:
        judge = load(light=True)
        hearing: _Beginning | _Interrupting = _Beginning(judge, 0)
        current = 0
        while (job := self._jobs.get()) is not None:
            if job.generation != current:
                judge.reset()
                current = job.generation
                beginning = job.listening is Listening.BEGINNING
                hearing = (
                    _Beginning(judge, job.start) if beginning else _Interrupting(judge, job.start, self._lasting_ms)
                )
            for heard, since in hearing.feed(job):
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    self._tell(Told(current, heard, max(job.start, since)))
            self._jobs.task_done()
        self._jobs.task_done()


class _Beginning:
    """Hears a voice begin."""

    def __init__(self, judge: Judge, start: int) -> None:
        self._tracker = SpeechTracker(judge)
        self._start = start

    def feed(self, job: _Job) -> Iterator[tuple[Heard | None, int]]:
        for happened in self._tracker.feed(to_samples(job.pcm)):
            if isinstance(happened, SpeechBegan):
                yield None, self._start + happened.at - BEFORE_VOICE


class _Interrupting:
    """Hears what a voice over our own sound does."""

    def __init__(self, judge: Judge, start: int, lasting_ms: int) -> None:
        self._judge = judge
        self._framer = Framer(FRAME)
        self._interruption = Interruption(lasting_ms)
        self._start = start

    def feed(self, job: _Job) -> Iterator[tuple[Heard | None, int]]:
        for frame in self._framer.feed(to_samples(job.pcm)):
            heard = self._interruption.feed(self._judged(frame, job.residue_db))
            if heard is not None:
                yield heard, self._start + self._interruption.began * FRAME - BEFORE_INTERRUPTION

    def _judged(self, frame: Samples, residue_db: float) -> Frame:
        return Frame(self._judge.probability(frame), level_db(frame), residue_db)
