"""Hearing as it goes, for libraries whose recognisers are fed sound bit by bit and block meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Protocol

import numpy as np

from antiphon.audio.pcm import RATE, Samples
from antiphon_daemon.engines.contracts import Revoked, Transcript, Work
from antiphon_daemon.engines.stt.guards import SHORTEST_S, SILENCE_DB, loudest_db
from antiphon_daemon.engines.worker import Worker, revocable

STEP = RATE // 5
"""Samples that are fed at once: work that is revoked ends after so many at the latest."""
MOST_WAITING = 60 * RATE
"""Sound that nobody has come to hear yet; beyond it the oldest is dropped."""


class Recogniser(Protocol):
    """One utterance on its way into a library. Its methods block; one thread at a time calls them."""

    def feed(self, audio: Samples) -> str:
        """Take sound (mono, 16 kHz) and return the text so far, which may still change."""
        ...

    def end(self) -> str:
        """Return the whole text; nothing is fed after that."""
        ...


def hear(recogniser: Recogniser, audio: Samples, work: Work) -> str:
    """Return what is said in `audio`, which blocks.

    Raises:
        Revoked: the work was revoked meanwhile.
    """
    for at in range(0, len(audio), STEP):
        if not work.wanted():
            raise Revoked
        recogniser.feed(audio[at : at + STEP])
    if not work.wanted():
        raise Revoked
    return tidy(recogniser.end())


def tidy(text: str) -> str:
    """Return what a library heard as `Transcript.text` has to be: NFC, single spaces, no marks of unknown words."""
    words = (word for word in unicodedata.normalize("NFC", text).split() if word.strip("[]<>").lower() != "unk")
    return " ".join(words)


def nothing_in(audio: Samples) -> bool:
    """Whether `audio` is silence or a click, about which no model is asked."""
    return len(audio) < SHORTEST_S * RATE or loudest_db(audio) < SILENCE_DB


class Agreed:
    """The words on which one guess after another agrees: what is told only grows."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._before: list[str] = []

    def feed(self, text: str) -> str | None:
        """Take the next guess; return what is agreed on by now, None if that is no more than before."""
        words = text.split()
        same = 0
        while same < min(len(words), len(self._before)) and words[same] == self._before[same]:
            same += 1
        self._before = words
        if same <= len(self.words) or words[: len(self.words)] != self.words:
            return None
        self.words = words[:same]
        return " ".join(self.words)


class Listening:
    """A `Stream`. It ends with `finish`, or when its work is revoked.

    Args:
        worker: the engine's threads.
        begin: makes the recogniser; called on a thread.
        language: what the transcript says is spoken.
    """

    def __init__(self, worker: Worker, begin: Callable[[], Recogniser], work: Work, language: str | None) -> None:
        self._worker, self._begin, self._work, self._language = worker, begin, work, language
        self._waiting: deque[Samples] = deque()
        self._samples = self._heard = 0
        self._finished = False
        self._arrived, self._news = asyncio.Event(), asyncio.Event()
        self._agreed = Agreed()
        self.task = asyncio.create_task(self._hear())
        self.task.add_done_callback(self._ended)

    def push(self, audio: Samples) -> None:
        """Add sound; of what cannot be heard in time the oldest is dropped."""
        if self._finished or not len(audio):
            return
        self._waiting.append(audio)
        self._samples += len(audio)
        while sum(map(len, self._waiting)) > MOST_WAITING:
            self._waiting.popleft()
        self._arrived.set()

    async def partials(self) -> AsyncIterator[str]:
        """Yield the words that are certain by now whenever there are more of them, until `finish` has its result.

        Raises:
            EngineError: the model failed.
            Revoked: the work was revoked.
        """
        told = ""
        while not self.task.done():
            async with revocable(self._work):
                await self._news.wait()
            self._news.clear()
            if (text := " ".join(self._agreed.words)) != told:
                told = text
                yield text
        if self.task.cancelled():
            raise Revoked
        if error := self.task.exception():
            raise error

    async def finish(self) -> Transcript:
        """Return the whole.

        Raises:
            EngineError: the model failed.
            Revoked: the work was revoked, or the engine closed.
        """
        self._finished = True
        self._arrived.set()
        async with revocable(self._work):
            try:
                return await asyncio.shield(self.task)
            except asyncio.CancelledError:
                if self.task.cancelled():
                    raise Revoked from None
                raise

    async def _hear(self) -> Transcript:
        recogniser = await self._worker.run(self._begin, self._work)
        while True:
            async with revocable(self._work):
                await self._arrived.wait()
            self._arrived.clear()
            for audio in self._taken():
                text = await self._worker.run(partial(recogniser.feed, audio), self._work)
                if self._agreed.feed(tidy(text)) is not None:
                    self._news.set()
            if self._finished and not self._waiting:
                text = tidy(await self._worker.run(recogniser.end, self._work))
                return Transcript(text, self._language, duration_s=self._samples / RATE)

    def _taken(self) -> list[Samples]:
        """Return the sound that waits, in steps; a step is waited for until it is full or the last."""
        audio = np.concatenate(self._waiting) if self._waiting else np.empty(0, dtype=np.float32)
        self._waiting.clear()
        whole = len(audio) if self._finished else len(audio) - len(audio) % STEP
        if whole < len(audio):
            self._waiting.append(audio[whole:])
        return [audio[at : at + STEP] for at in range(0, whole, STEP)]

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._news.set()
        if not task.cancelled():
            task.exception()  # looked at, so that it is not logged as forgotten where nobody waits any more


class Listeners:
    """The streams of an engine: when it closes, they end."""

    def __init__(self) -> None:
        self._open: set[Listening] = set()

    def add(self, one: Listening) -> Listening:
        """Take `one` in until it ends."""
        self._open.add(one)
        one.task.add_done_callback(lambda _: self._open.discard(one))
        return one

    async def close(self) -> None:
        """End all of them."""
        tasks = [one.task for one in self._open]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
