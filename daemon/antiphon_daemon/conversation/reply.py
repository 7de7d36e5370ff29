"""One reply on its way: written by the model, cut into clauses, spoken, and held back until its turn is committed.

Writing goes on while the clause before is being spoken. What fails is said in words, in the reply's own voice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from antiphon.settings import Deadlines
from antiphon_daemon.conversation.clauses import ClauseCutter
from antiphon_daemon.conversation.memory import heard_part
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.speakable import speakable
from antiphon_daemon.engines.contracts import EngineError, Revoked, Synthesizer, Work
from antiphon_daemon.engines.worker import revocable
from antiphon_daemon.insight.trace import Trace

CLAUSES_AHEAD = 4
"""Clauses that may wait to be spoken: the model need not run further ahead than that."""

END_MS = 150
"""The end of a reply is silence, and a speaker's count of what it played is not exact to the sample."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Who hears a reply. Nothing here waits: what takes time is queued behind it."""

    def reply_began(self, rate: int) -> None:
        """Sound of `rate` Hz (s16le, mono) follows."""
        ...

    def reply_sound(self, pcm: bytes) -> None: ...

    def reply_written(self, text: str) -> None:
        """The whole reply is `text`."""
        ...

    def reply_ended(self, samples: int) -> None:
        """All sound, `samples` of 16 kHz session time long, has gone out."""
        ...

    def reply_failed(self, error: EngineError) -> None:
        """There is no voice to say it: the reply is over."""
        ...


@dataclass
class Clause:
    """A spoken part of the reply."""

    text: str
    samples: int = 0


class Reply:
    """A reply that grows. Until `release` nothing of it reaches the listener."""

    def __init__(
        self,
        words: AsyncGenerator[str, None],
        synthesizer: Synthesizer,
        listener: Listener,
        work: Work,
        *,
        language: str,
        voice: str | None,
        deadlines: Deadlines,
        trace: Trace,
        early_speech: bool = True,
        aloud: bool = True,
    ) -> None:
        self._words = words
        self._synthesizer = synthesizer
        self._listener = listener
        self._work = work
        self._language, self._voice = language, voice
        self._deadlines = deadlines
        self._trace = trace
        self._aloud = aloud
        """False: it is only written, and may be empty."""
        self._released = asyncio.Event()
        self._may_speak = asyncio.Event()
        if early_speech:
            self._may_speak.set()
        self._held: list[bytes] = []
        self._began = False
        self._over: EngineError | bool = False
        self._fault: Exception | None = None
        self.clauses: list[Clause] = []
        self.failed = False
        """An engine failed: the words are an apology, not an answer."""

    @property
    def text(self) -> str:
        """What was written and passed on to be spoken."""
        return " ".join(clause.text for clause in self.clauses)

    @property
    def samples(self) -> int:
        """The sound so far, in samples at the synthesizer's rate."""
        return sum(clause.samples for clause in self.clauses)

    def heard_text(self, heard_ms: float) -> str:
        """Return the words that were heard in the first `heard_ms` of the sound; all, if only `END_MS` are missing."""
        left = heard_ms / 1000 * self._synthesizer.rate
        if left >= self.samples - END_MS * self._synthesizer.rate / 1000:
            return self.text
        heard: list[str] = []
        for clause in self.clauses:
            share = left / clause.samples if clause.samples else 0.0
            heard.append(heard_part(clause.text, share))
            left -= clause.samples
            if left <= 0:
                break
        return " ".join(part for part in heard if part)

    def release(self) -> None:
        """The turn is committed: what is held goes out, what comes follows at once."""
        self._released.set()
        self._may_speak.set()
        held, self._held = self._held, []
        for pcm in held:
            self._out(pcm)
        self._tell_over()

    async def run(self) -> None:
        """Write and speak the reply to its end. Ends at once when the work is revoked."""
        clauses: asyncio.Queue[str | None] = asyncio.Queue(CLAUSES_AHEAD)
        writing = asyncio.create_task(self._write(clauses))
        over: EngineError | bool = True
        try:
            await self._speak_all(clauses)
            if self._fault is not None:
                raise self._fault
        except Revoked:
            if not self._work.wanted():
                return
            over = EngineError("tts", "the engine has been stopped")
        except EngineError as error:
            log.error("the reply cannot be spoken", why=str(error))
            self._trace.failure = str(error)
            over = error
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        self.failed = self.failed or over is not True
        self._over = over
        if self._released.is_set():
            self._tell_over()

    async def _write(self, clauses: asyncio.Queue[str | None]) -> None:
        cutter = ClauseCutter()
        said = False
        try:
            async with aclosing(self._words) as words:
                async for delta in words:
                    self._trace.first("llm_first")
                    for clause in cutter.feed(delta):
                        said |= await _put(clauses, speakable(clause))
            said |= await _put(clauses, speakable(cutter.rest()))
            if not said and self._aloud:
                self.failed = True
                self._trace.failure = "the language model answered nothing"
                await clauses.put(message("empty", self._language))
        except (Revoked, EngineError) as error:
            if self._work.wanted():
                log.error("the reply cannot be written", why=str(error))
                self.failed = True
                self._trace.failure = str(error) or "the language model has been stopped"
                await _put(clauses, speakable(cutter.rest()))
                await clauses.put(message("llm", self._language))
        except Exception as error:  # noqa: BLE001 - a fault of ours: `run` raises it, and whoever speaks waits no more
            self._fault = error
        await clauses.put(None)

    async def _speak_all(self, clauses: asyncio.Queue[str | None]) -> None:
        longest = self._deadlines.reply_s * self._synthesizer.rate
        while (clause := await clauses.get()) is not None:
            async with revocable(self._work):
                await self._may_speak.wait()
            if self.samples > longest:
                await self._speak(message("cut_short", self._language))
                return
            await self._speak(clause)

    async def _speak(self, text: str) -> None:
        clause = Clause(text)
        self.clauses.append(clause)
        if not self._aloud:
            return
        sound = self._synthesizer.speak(text, self._work, voice=self._voice, language=self._language)
        within_s = self._deadlines.tts_first_s
        late = EngineError("tts", "the voice is too slow")
        async with aclosing(limited(sound, within_s, within_s, lambda: late)) as blocks:
            async for pcm in blocks:
                self._trace.first("tts_first")
                clause.samples += len(pcm) // 2
                if self._released.is_set():
                    self._out(pcm)
                else:
                    self._held.append(pcm)

    def _out(self, pcm: bytes) -> None:
        if not self._began:
            self._began = True
            self._trace.first("first_audio")
            self._listener.reply_began(self._synthesizer.rate)
        self._listener.reply_sound(pcm)

    def _tell_over(self) -> None:
        if isinstance(self._over, EngineError):
            self._listener.reply_failed(self._over)
        elif self._over:
            self._trace.mark("done")
            self._listener.reply_written(self.text)
            self._listener.reply_ended(round(self.samples / self._synthesizer.rate * 16_000))


async def _put(clauses: asyncio.Queue[str | None], text: str) -> bool:
    if text:
        await clauses.put(text)
    return bool(text)


async def limited(
    items: AsyncIterator[T], first_s: float, next_s: float, late: Callable[[], EngineError]
) -> AsyncGenerator[T, None]:
    """Yield `items`, each within its deadline; the source is closed when this is (use `aclosing`) or ends.

    Raises:
        EngineError: what `late()` returns, when an item does not come in time.
    """
    within_s = first_s
    try:
        while True:
            try:
                async with asyncio.timeout(within_s):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise late() from None
            yield item
            within_s = next_s
    finally:
        close: Callable[[], Awaitable[None]] | None = getattr(items, "aclose", None)
        if close is not None:
            with contextlib.suppress(Revoked, EngineError):
                await close()
