"""One reply on its way: written by the model, cut into clauses, spoken, and held back until its turn is committed.

Writing goes on while the clause before is being spoken. What is written (for captions and memory) and what is said for
it are two texts; what was heard is told in the words of the first. What fails is said in words, in the reply's own
voice.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Literal, Protocol

import structlog

from antiphon.settings import Deadlines
from antiphon_daemon.conversation.clauses import ClauseCutter, Ending, Part
from antiphon_daemon.conversation.heard import END_MS, Clause, heard_text, length
from antiphon_daemon.conversation.messages import message, unwritten
from antiphon_daemon.conversation.pacing import Utterance, Utterances, letters, pace_of, utterance
from antiphon_daemon.conversation.speaking import limited, silence, sound_of
from antiphon_daemon.conversation.spoken import Spoken
from antiphon_daemon.conversation.tape import Tape
from antiphon_daemon.conversation.written import Written
from antiphon_daemon.engines.contracts import EngineError, Revoked, Synthesizer, Work
from antiphon_daemon.engines.worker import revocable
from antiphon_daemon.insight.trace import Trace

PARTS_AHEAD = 16
"""Parts that may wait to be spoken: the model need not run further ahead than that."""

LETTERS_A_SECOND = 25
"""No voice says more: by this a reply is bounded that is written faster than spoken, or only written."""
HELD_S = 20.0
"""A reply whose turn is not over is spoken so far ahead, and then waits."""

__all__ = ["Clause", "Listener", "Reply", "limited"]

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
        speed: float = 1.0,
        parts_ahead: int = PARTS_AHEAD,
        acted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._words = words
        self._synthesizer = synthesizer
        self._listener = listener
        self._work = work
        self._language, self._voice = language, voice
        self._deadlines = deadlines
        self._trace = trace
        self._parts_ahead = parts_ahead
        """0: all of it is written, however little has been spoken; it is as bounded as the text."""
        self._aloud = aloud
        """False: it is only written, and may be empty."""
        self._speed = speed
        self._acted = acted
        """Whether something was done in place of words: the reply may be empty then."""
        self._released = asyncio.Event()
        self._may_speak = asyncio.Event()
        if early_speech:
            self._may_speak.set()
        self.written = Written()
        """The words as they come, before they are spoken; an apology too."""
        self._tape = Tape()
        self._base = 0
        """Samples that were heard before it was stopped and went on."""
        self._lead = 0
        """Samples of what was said before it, while its first sound was waited for."""
        self._expected: float | None = None
        """When its first sound is expected, once its first words are with the voice."""
        self._sounds = asyncio.Event()
        """Its first sound has gone out, or it is over."""
        self._given = 0
        """Samples that have gone out since it last began."""
        self._clock = clock
        self._began: float | None = None
        """When the first sound went out, or would have if the listener had never run dry."""
        self._pause_ms = 0.0
        """Due before the next sound."""
        self._over: EngineError | bool = False
        self._sayable = False
        """Something is written that can be said."""
        self._empty = False
        """All is written, and nothing of it can be said."""
        self.fault: Exception | None = None
        """A fault of ours, which `run` raises."""
        self.clauses: list[Clause] = []
        self.failed = False
        """An engine failed: the words are an apology, not an answer."""

    @property
    def text(self) -> str:
        """What was written and passed on to be spoken."""
        return "".join(clause.text for clause in self.clauses).strip()

    @property
    def samples(self) -> int:
        """The sound so far, in samples at the synthesizer's rate."""
        return length(self.clauses)

    @property
    def language(self) -> str:
        """What it is spoken in."""
        return self._language

    @property
    def voice(self) -> str | None:
        """Who speaks it; None: the default."""
        return self._voice

    @property
    def expected_s(self) -> float:
        """Seconds until its first sound, going by how fast the voice has been; 0: nothing tells, or it is late."""
        return max(0.0, self._expected - self._clock()) if self._expected is not None else 0.0

    @property
    def ahead_s(self) -> float:
        """Seconds of sound that have not been played if playing began with the first; below 0 when it ran dry."""
        played_s = self._clock() - self._began if self._began is not None else 0.0
        return (self.samples - self._base) / self._synthesizer.rate - played_s

    def heard_text(self, heard_ms: float) -> str:
        """Return the words that were heard in the first `heard_ms` of the sound; all, if only `END_MS` are missing."""
        whole = bool(self._over) or not self._aloud
        return heard_text(self.clauses, self._heard(heard_ms), self._synthesizer.rate, whole=whole)

    def heard_out(self, heard_ms: float) -> bool:
        """Return whether the reply is whole and was heard to its end."""
        return self.left_ms(heard_ms) <= END_MS

    def at_ms(self, heard_ms: float) -> int:
        """Return how much was heard in all, in milliseconds: it may have been stopped, and have gone on, before."""
        return round(self._heard(heard_ms) * 1000 / self._synthesizer.rate)

    def left_ms(self, heard_ms: float) -> float:
        """Return how much of its sound was not heard, in milliseconds; infinite while it is not whole."""
        left = self.samples - self._heard(heard_ms)
        return left * 1000 / self._synthesizer.rate if self._over else math.inf

    def _heard(self, heard_ms: float) -> float:
        return heard_ms / 1000 * self._synthesizer.rate + self._base

    def release(self, to: Listener | None = None) -> None:
        """The turn is committed: what is held goes out, what comes follows at once (`to` somebody else)."""
        self._listener = to or self._listener
        self._released.set()
        self._may_speak.set()
        self._give_out()
        self._tell_over()

    def pause(self) -> None:
        """The listener hears no more of it; it is written and spoken hardly further than it has come."""
        self._released.clear()
        self._may_speak.clear()

    def wind_back(self, heard_ms: int = 0) -> None:
        """Begin again, when it is released, after the `heard_ms` that were heard of it since it last began.

        What was said before it is not said again.
        """
        self._base = max(self._base + heard_ms * self._synthesizer.rate // 1000, self._lead)
        self._base = self._tape.wind(self._base)
        self._began, self._given = None, 0

    async def sounds_within(self, seconds: float) -> bool:
        """Wait so long for its first sound to go out; return whether it has, or the reply is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._sounds.wait()
        return self._sounds.is_set()

    def lead_in(self, pcm: bytes) -> bool:
        """Give out `pcm` before it, once, if it is released and has no sound yet; return whether that was done.

        It is no part of the reply's text, and nothing waits for it.
        """
        if not self._aloud or self.samples or self._over or not self._released.is_set():
            return False
        self._lead = len(pcm) // 2
        self.clauses.insert(0, Clause(Spoken("", "", ()), self._lead))
        self._pass_on(pcm)
        return True

    async def run(self) -> None:
        """Write and speak the reply to its end. Ends at once when the work is revoked."""
        parts: asyncio.Queue[Part | None] = asyncio.Queue(self._parts_ahead)
        writing = asyncio.create_task(self._write(parts))
        over: EngineError | bool = True
        try:
            await self._speak_all(parts)
            if self.fault is not None:
                raise self.fault
        except Revoked:
            if not self._work.wanted():
                return
            over = EngineError("tts", "the engine has been stopped")
        except EngineError as error:
            log.error("the reply cannot be spoken", why=error.for_log)
            self._trace.failed(str(error), error.unquoted)
            over = error
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        self.failed = self.failed or over is not True
        self._over = over
        self._sounds.set()
        if self._released.is_set():
            self._tell_over()

    async def _write(self, parts: asyncio.Queue[Part | None]) -> None:
        cutter = ClauseCutter(self._language)
        letters = self._deadlines.reply_s * LETTERS_A_SECOND
        try:
            async with aclosing(self._words) as words:
                async for delta in words:
                    self._trace.first("llm_first")
                    self.written.add(delta)
                    letters -= len(delta)
                    for part in cutter.feed(delta):
                        await self._pass(part, parts)
                    if letters < 0:
                        break
            if rest := cutter.rest():
                await self._pass(rest, parts)
            if letters < 0:
                await self._add(message("cut_short", self._language), parts)
            elif self._aloud and not self._sayable and not self._acted():
                self._tell_empty()
        except (Revoked, EngineError) as error:
            if self._work.wanted():
                log.error("the reply cannot be written", why=getattr(error, "for_log", "it was stopped"))
                self.failed = True
                stopped = "the language model has been stopped"
                self._trace.failed(str(error) or stopped, getattr(error, "unquoted", stopped))
                if rest := cutter.rest():
                    await parts.put(rest)
                await self._add(message(unwritten(error), self._language), parts)
        except Exception as error:  # noqa: BLE001 - a fault of ours: `run` raises it, and whoever speaks waits no more
            self.fault = error
        finally:
            self.written.end()
        await parts.put(None)

    async def _pass(self, part: Part, parts: asyncio.Queue[Part | None]) -> None:
        """Have what is written be spoken."""
        if not self._sayable:
            one = utterance(part.text, part.ending, self._language, opens_code=part.opens_code)
            self._sayable = bool(one.spoken.text)
        await parts.put(part)

    def _tell_empty(self) -> None:
        """Write that there is no answer: an emoji alone is silence for who listens, here or by another's voice.

        Who reads has one in code, or a link, for which their language has no words here: it is only said, then.
        """
        self._empty = True
        if self._parts_ahead == 0 and any(letter.isalnum() for letter in self.written.text):
            return
        self.failed = True
        self._trace.failed("the language model answered nothing")
        self.written.add(f" {message('empty', self._language)}")

    async def _add(self, said: str, parts: asyncio.Queue[Part | None]) -> None:
        """Write a sentence of ours behind what is there."""
        self.written.add(f" {said}")
        await parts.put(Part(f" {said}", Ending.SENTENCE))

    async def _speak_all(self, parts: asyncio.Queue[Part | None]) -> None:
        rate = self._synthesizer.rate
        utterances = Utterances(parts, pace_of(self._synthesizer), self._language, self._time_s)
        while (one := await utterances.next()) is not None:
            if self._aloud and one.spoken.text:
                self._trace.first("clause")
            async with revocable(self._work):
                await self._may_speak.wait()
                if self.samples > HELD_S * rate:
                    await self._released.wait()
            if self.samples > self._deadlines.reply_s * rate:
                await self._speak(self._own("cut_short"))
                return
            await self._speak(one)
        if self._empty and self._work.wanted():
            del self.clauses[1 if self._lead else 0 :]
            await self._speak(self._own("empty"))

    def _time_s(self) -> float:
        """Return how many seconds of the reply's own sound are there: its first words wait for no others."""
        return self.ahead_s if self.samples > self._lead else 0.0

    def _own(self, key: Literal["cut_short", "empty"]) -> Utterance:
        return utterance(" " + message(key, self._language), Ending.SENTENCE, self._language)

    async def _speak(self, one: Utterance) -> None:
        if one.spoken.text:
            self._pause()
        clause = Clause(one.spoken)
        self.clauses.append(clause)
        if not self._aloud:
            return
        if self._expected is None and one.spoken.text:
            needs_s = pace_of(self._synthesizer).needs_s(letters(one.spoken.text))
            self._expected = self._clock() + needs_s
        sound = sound_of(
            one,
            self._synthesizer,
            self._work,
            language=self._language,
            voice=self._voice,
            deadlines=self._deadlines,
            speed=self._speed,
        )
        async with aclosing(sound) as blocks:
            async for pcm in blocks:
                self._trace.first("tts_first")
                clause.samples += len(pcm) // 2
                self._pass_on(pcm)
        self._pause_ms = one.pause_ms / self._speed or self._pause_ms

    def _pause(self) -> None:
        """Make the pause that is due, but for what has passed of it because the sound had run dry."""
        missing_ms = self._pause_ms + min(0.0, self.ahead_s) * 1000
        if missing_ms > 0 and self.clauses:
            pcm = silence(missing_ms, self._synthesizer.rate)
            self.clauses[-1].pause += len(pcm) // 2
            self._pass_on(pcm)
        self._pause_ms = 0.0

    def _pass_on(self, pcm: bytes) -> None:
        self._tape.put(pcm)
        self._work.lasts_until(time.monotonic() + self.ahead_s)
        if self._released.is_set():
            self._give_out()

    def _give_out(self) -> None:
        for pcm in self._tape.take():
            self._out(pcm)

    def _out(self, pcm: bytes) -> None:
        now = self._clock()
        if self.samples > self._lead:
            self._trace.first("first_audio")
            self._sounds.set()
        if self._began is None:
            self._began = now
            self._listener.reply_began(self._synthesizer.rate)
        self._began = max(self._began, now - self._given / self._synthesizer.rate)
        self._given += len(pcm) // 2
        self._listener.reply_sound(pcm)

    def _tell_over(self) -> None:
        if isinstance(self._over, EngineError):
            self._listener.reply_failed(self._over)
        elif self._over:
            self._trace.mark("done")
            self._listener.reply_written(self.text)
            self._listener.reply_ended(round((self.samples - self._base) / self._synthesizer.rate * 16_000))
