"""`/ws`: one WebSocket, one conversation. The messages, both ways, are in docs/websocket.md.

A message that cannot be used is answered with an `error`, and the session goes on.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.websockets import WebSocket

from antiphon import __version__
from antiphon.audio import vad
from antiphon.audio.pcm import RATE, to_samples
from antiphon.settings import Settings
from antiphon.text import composed
from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.conversation.turn_types import Phase
from antiphon_daemon.conversation.written import Written
from antiphon_daemon.engines.contracts import EngineError, Engines
from antiphon_daemon.gateway.outbox import Outbox
from antiphon_daemon.gateway.served import Served
from antiphon_daemon.gateway.sound import MESSAGE_COST, Allowance, wav_chunks
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Recorder

TEXT_MOST = 4000
"""Letters of a typed message."""
PIECE_BYTES = 4096
"""In a quiet room sound may come in pieces of 128 ms."""
BURST_S = 60
"""So much speech may come at once."""
COMPLAIN_S = 1.0
"""A client that sends too much is told so once in so long."""
END_MS = 150
"""A reply of which only so little was not played was played."""
TRANSIT_S = 0.3
"""Where the client does not tell what it has played: the sound needs so long to get there and be begun."""
STANDS_S = 30.0
"""A player that stands still is waited for so long."""
SPOKEN = (Phase.SPEAKING, Phase.OVERLAP)
"""Phases in which a reply is being played."""
STATES = {Phase.PAUSED: "hearing", Phase.OVERLAP: "speaking"}
"""Phases that a client knows by another name."""


class BadMessage(Exception):
    """A message that cannot be used; the session goes on."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class Session(Served):
    """A client, from its coming to its leaving.

    Args:
        language: what is spoken in it; None: the language of the house.
        voice: who speaks; None: whom the settings say.
        by_voice: speech over a reply stops it; else only the client does.
        abort: drops the connection at once.
        recorder: keeps a record of each turn.
    """

    kind = "websocket"

    def __init__(
        self,
        websocket: WebSocket,
        engines: Engines,
        settings: Settings,
        *,
        language: str | None,
        voice: str | None,
        by_voice: bool,
        abort: Callable[[], None],
        recorder: Recorder,
    ) -> None:
        super().__init__(websocket, Outbox(), abort)
        self._language, self._by_voice = language or settings.language, by_voice
        self._limits = settings.gateway
        self._memory = new_memory(settings, self._language)
        self._timers = skills.Timers()
        place = skills.Place(self._timers)
        self._conversation = Conversation(
            engines,
            settings,
            self,
            vad.load(),
            self._memory,
            voice=voice,
            place=place,
            interrupts=by_voice,
            recorder=recorder,
        )
        self._conversation.language = self._language
        self._allowance = Allowance(self._limits.bytes_per_s, max(BURST_S * RATE * 2, self._limits.frame_bytes))
        self._complained = -math.inf
        self._state = ""
        self._taken_back = False
        """A turn is over and nothing of its reply was sent: its speaker may go on, which takes it back."""
        self._rate, self._reply_bytes, self._reply_at = engines.synthesizer.rate, 0, 0.0
        self._whole = False
        """All of the reply was sent."""
        self._heard_ms: int | None = None
        """What the client says it has played of this reply."""
        self._moved_at = 0.0
        """When it said something else."""
        self._reports = False
        """The client tells what it has played."""
        self._playing: asyncio.TimerHandle | None = None
        self._captions: asyncio.Task[None] | None = None
        self._writing: Written | None = None
        self._captioned = 0
        """Parts of it that were sent."""

    def adopt(self, settings: Settings) -> None:
        """Follow other settings from the next turn on."""
        self._memory.adopt(new_memory(settings, self._language))
        self._conversation.adopt(settings)

    @property
    def phase(self) -> Phase:
        """Where its turn stands."""
        return self._conversation.phase

    @property
    def rests(self) -> int:
        """How much sound may come in one piece, and a moment late."""
        return min(PIECE_BYTES, self._limits.frame_bytes) if self._conversation.resting else 0

    async def opened(self) -> None:
        """Greet the client."""
        self._timers.attach(self)
        self._outbox.say("hello", version=__version__, language=self._language, input_rate=RATE, output_rate=self._rate)
        self._tell_state()

    def goodbye(self) -> None:
        """The daemon ends: fall silent, say so, and close."""
        self._conversation.stop(self._heard_ms)
        self._outbox.drop_sound()
        self._outbox.say("goodbye", reason="the daemon ends")
        self._outbox.end()

    async def free(self) -> None:
        """Let go of everything."""
        self._stop_waiting()
        if self._captions is not None:
            self._captions.cancel()
            await asyncio.gather(self._captions, return_exceptions=True)
        self._timers.detach(self)
        self._timers.close()
        await self._conversation.close()

    # What comes.

    async def take(self, message: Mapping[str, Any]) -> None:
        """Do what a message asks for, or tell why not."""
        try:
            await self._take(message)
        except BadMessage as bad:
            self._outbox.say("error", code=bad.code, message=str(bad))
        self._tell_state()

    def fault(self) -> None:
        """Tell of a fault of ours."""
        self._outbox.say("error", code="internal", message="that failed for a reason of ours; the log says why")
        self._tell_state()

    async def _take(self, message: Mapping[str, Any]) -> None:
        text, sound = message.get("text"), message.get("bytes")
        size = len(text.encode()) if text is not None else len(sound or b"")
        if size > self._limits.frame_bytes:
            raise BadMessage("too_large", f"a message of {size} bytes: at most {self._limits.frame_bytes} are taken")
        if not self._allowance.take(max(size, MESSAGE_COST)):
            if time.monotonic() - self._complained > COMPLAIN_S:
                self._complained = time.monotonic()
                per_s = self._limits.bytes_per_s
                raise BadMessage("too_fast", f"more than {per_s} bytes a second: left out (speech is {RATE * 2})")
            return
        if text is not None:
            self._obey(_parsed(text))
        else:
            await self._hear(sound or b"")

    async def _hear(self, pcm: bytes) -> None:
        if len(pcm) % 2:
            raise BadMessage("half_sample", f"{len(pcm)} bytes hold half a sample: int16, mono, 16 kHz is expected")
        samples = to_samples(pcm)
        for start in range(0, len(samples), RATE):
            if start:  # a frame may hold half a minute: others are let in between
                await asyncio.sleep(0)
            phase = self._conversation.phase
            over = self._by_voice and phase is Phase.SPEAKING and not self._conversation.listens
            if phase is Phase.IDLE or over:
                self._conversation.open(self._language)
            self._conversation.hear(samples[start : start + RATE])

    def _obey(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "barge_in":
                self._barge_in(_ms(message))
            case "reset":
                self._conversation.stop(self._heard_ms)
                self._memory.forget()
                self._outbox.say("reset")
            case "text":
                self._type(_content(message))
            case "end":
                self._conversation.end()
            case "played":
                self._played(_ms(message))
            case "timer_stop":
                self._stop_timer(message.get("id"))
            case "ping":
                self._outbox.say("pong")
            case str(kind):
                known = "barge_in, reset, text, end, played, timer_stop, ping"
                raise BadMessage("unknown_type", f"{kind[:40]!r} is no message that is known: {known}")
            case _:
                raise BadMessage("unknown_type", 'a message names its kind: {"type": "ping"}')

    def _barge_in(self, heard_ms: int | None) -> None:
        """Fall silent; what is being heard meanwhile is heard on."""
        if self._conversation.phase in (Phase.THINKING, *SPOKEN):
            if heard_ms is not None:
                self._heard_ms = min(heard_ms, self._reply_ms)
            self._conversation.stop(self._heard_ms)

    def _type(self, content: str) -> None:
        self._conversation.language = self._language
        if self._conversation.phase in SPOKEN:
            self._conversation.stop(self._heard_ms)
        self._conversation.typed(content)

    def _played(self, ms: int | None) -> None:
        if self._conversation.phase not in SPOKEN:
            return
        self._reports = True
        self._stop_waiting()
        if ms is None or (self._whole and ms >= self._reply_ms - END_MS):
            self._conversation.played()
            return
        heard_ms, now = min(ms, self._reply_ms), time.monotonic()
        if heard_ms != self._heard_ms:
            self._heard_ms, self._moved_at = heard_ms, now
        if now - self._moved_at < STANDS_S:
            self._conversation.heard(heard_ms)

    def _stop_timer(self, which: object) -> None:
        """End a timer, running or ringing; one that is gone already is no fault: it may have ended just now."""
        if not isinstance(which, str):
            raise BadMessage("bad_message", "timer_stop needs id: that of the timer, as the message timer gives it")
        for timer in (*self._timers.set, *self._timers.ringing):
            if timer.id == which:
                self._timers.cancel(timer)

    @property
    def _reply_ms(self) -> int:
        """What was given of the reply."""
        return self._reply_bytes // 2 * 1000 // self._rate

    # What the conversation tells (see `Peer`).

    def speech_began(self, at_ms: int) -> None:
        """Speech begins; if the turn seemed over, it is not."""
        if self._taken_back and self._conversation.phase is Phase.HEARING:
            self._taken_back = False
            self._outbox.say("withdrawn")

    def speech_paused(self, at_ms: int) -> None: ...

    wants_partials = True

    def heard_so_far(self, text: str) -> None:
        """Send what is certain of the turn while speech goes on."""
        self._outbox.say("transcript_delta", delta=text)

    def turn_over(self, text: str, language: str | None) -> None:
        """Send what was said."""
        self._taken_back, self._heard_ms = True, 0
        self._outbox.say("transcript", text=text, language=language)
        self._soon()

    def nothing_heard(self) -> None:
        """Say so only to who was seen to speak: a microphone that stays open is silent most of the time."""
        if self._state in ("hearing", "thinking"):
            self._outbox.say("nothing_heard")
        self._soon()

    def failed(self, error: EngineError) -> None:
        """Send the error."""
        self._taken_back = False
        self._outbox.say("error", code=f"{error.stage}_failed", message=str(error))
        self._soon()

    def reply_began(self, rate: int) -> None:
        """Begin a reply: its captions come beside its sound."""
        self._taken_back, self._whole, self._heard_ms = False, False, None
        self._rate, self._reply_bytes, self._reply_at = rate, 0, time.monotonic()
        self._stop_waiting()
        self._outbox.say("reply_began", rate=rate)
        self._end_captions()
        writing = self._writing = self._conversation.writing
        self._captioned = 0
        self._captions = asyncio.create_task(self._caption(writing)) if writing is not None else None
        self._soon()

    async def _caption(self, writing: Written) -> None:
        async for _ in writing.parts():
            self._send_captions()

    def _send_captions(self) -> None:
        for part in self._writing.since(self._captioned) if self._writing is not None else ():
            self._captioned += 1
            self._outbox.say("reply_delta", delta=part)

    def reply_sound(self, pcm: bytes) -> None:
        """Send sound."""
        self._reply_at = max(self._reply_at, time.monotonic() - self._reply_ms / 1000)  # it may have run dry
        self._reply_bytes += len(pcm)
        for chunk in wav_chunks(pcm, self._rate):
            self._outbox.put(chunk)

    def one_moment(self, text: str) -> None:
        """Send the caption of what is said while the reply is waited for."""
        self._outbox.say("one_moment", text=text)

    def reply_written(self, text: str) -> None:
        """Send all of the reply; a short one may have been made before it was due, and is over as it begins."""
        self._send_captions()
        self._end_captions()
        self._outbox.say("reply", text=text)

    def reply_ended(self, trace: Trace) -> None:
        """Send the turn's timings; a client that does not tell what it has played has played it in due time."""
        self._whole, self._taken_back = True, False
        self._tell_state()  # that it is speaking, before that it has spoken, if all of it happens at once
        found = {"heard_ms": trace.heard_ms, "drafts": trace.drafts, "wasted_ms": trace.wasted_ms}
        found["one_moment_ms"] = trace.one_moment_ms
        self._outbox.say("turn", timeline=trace.timeline(), reply_ms=self._reply_ms, failure=trace.failure, **found)
        if not self._reports:
            left_s = self._reply_at + self._reply_ms / 1000 + TRANSIT_S - time.monotonic()
            self._playing = asyncio.get_running_loop().call_later(max(0.0, left_s), self._has_played)
        self._soon()

    def stop_speaking(self) -> None:
        """Have the client forget what it still holds of the reply."""
        self._stop_waiting()
        self._end_captions()
        self._taken_back = False
        self._outbox.drop_sound()
        self._outbox.say("interrupted", heard_ms=self._heard_ms)
        self._soon()

    def duck(self) -> None:
        """Have it played softly."""
        self._outbox.say("duck")

    def swell(self) -> None:
        """Have it played as before."""
        self._outbox.say("swell")

    # What rings (see `skills.Bell`).

    def timer_started(self, timer: skills.Timer) -> None:
        """Tell it."""
        self._outbox.say("timer", event="started", id=timer.id, name=timer.name, left_s=timer.total_s)

    def timer_updated(self, timer: skills.Timer, left_s: int) -> None:
        """Tell what is left."""
        running = timer.status is skills.Status.RUNNING
        self._outbox.say("timer", event="updated", id=timer.id, name=timer.name, left_s=left_s, running=running)

    def timer_cancelled(self, timer: skills.Timer) -> None:
        """Tell it; one that rings is silent then."""
        self._outbox.say("timer", event="cancelled", id=timer.id, name=timer.name)

    def timer_finished(self, timer: skills.Timer) -> None:
        """Have the client ring."""
        self._outbox.say("timer", event="finished", id=timer.id, name=timer.name)

    # States.

    def _soon(self) -> None:
        """Tell the state once what is happening has happened."""
        asyncio.get_running_loop().call_soon(self._tell_state)

    def _tell_state(self) -> None:
        phase = self._conversation.phase
        state = STATES.get(phase, phase.value)
        if state != self._state:
            self._state = state
            self._outbox.say("state", state=state)

    def _has_played(self) -> None:
        self._playing = None
        self._conversation.played()
        self._tell_state()

    def _stop_waiting(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None

    def _end_captions(self) -> None:
        self._writing = None
        if self._captions is not None:
            self._captions.cancel()


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessage("not_json", "text messages are JSON, and sound is sent as binary messages") from None
    if not isinstance(message, dict):
        raise BadMessage("not_json", 'a text message is a JSON object such as {"type": "ping"}')
    return message


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise BadMessage("bad_message", "text needs content: what is written")
    if len(content) > TEXT_MOST:
        raise BadMessage("bad_message", f"{len(content)} letters: at most {TEXT_MOST} are taken")
    return composed(content.encode("utf-8", "replace").decode()).strip()


def _ms(message: Mapping[str, Any]) -> int | None:
    ms = message.get("ms")
    if ms is None:
        return None
    if isinstance(ms, bool) or not isinstance(ms, int | float) or not math.isfinite(ms) or not 0 <= ms <= 86_400_000:
        raise BadMessage("bad_message", "ms is a number of milliseconds, 0 or more")
    return round(ms)
