"""Face 2: satellites. Finds them, drives each as Home Assistant would, and runs a conversation on it.

    daemon → satellite: run-satellite{controller}, describe, ping · per turn: transcribe, voice-started, voice-stopped,
                        transcript, audio-start, audio-chunk…, synthesize{the whole reply}, audio-stop · error
                        timer-started, timer-updated, timer-cancelled, timer-finished
    satellite → daemon: info, pong · run-pipeline, audio-chunk…, audio-stop, played

A satellite of another maker may begin with the wake word (`run-pipeline{wake→tts}`): it streams all the time, and the
wake word is heard here. `detection` then comes before `transcribe`, and after the turn the next wake word is awaited.

A satellite that waits on another controller (`antiphon.active{active: false}`) is left to it until it says otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence

import structlog
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.snd import Played
from wyoming.timer import TimerCancelled, TimerFinished, TimerStarted, TimerUpdated
from wyoming.tts import Synthesize
from wyoming.vad import VoiceStarted, VoiceStopped
from wyoming.wake import Detect, Detection

from antiphon.audio import vad
from antiphon.audio.pcm import Converter, Format, FormatError, to_bytes
from antiphon.audio.wake import WakeError, WakeWords, available
from antiphon.settings import Settings
from antiphon.wire.discovery import Found, Mdns
from antiphon.wire.frames import FrameError, parse
from antiphon.wire.link import Link, LinkError, ask_info, open_link
from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.drafts import DRY_S
from antiphon_daemon.conversation.memory import Memory, new_memory
from antiphon_daemon.engines.contracts import EngineError, Engines
from antiphon_daemon.insight.peers import Seen
from antiphon_daemon.insight.trace import Trace
from antiphon_daemon.insight.turns import Recorder, Turns

BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits before the second, third, … try to reach a satellite; the last repeats."""
PING_S = 2.0
SILENT_S = 8.0
"""A satellite that answers no ping for this long is gone, if it has ever answered one: old ones know no pings."""
UNACKNOWLEDGED_S = 30.0
"""One whose system acknowledges nothing for so long is gone, too."""
CHUNK_MS = 50
OUTGOING = 4096
"""Events that may wait for a satellite to take them (200 s of reply): a satellite reads at full speed."""
HELD_BACK_S = 4.0
"""A satellite streams until the turn is over, and says when it stops: when nothing comes, the network holds it back. A
pause does not last longer for that, until so much time has passed."""
SATELLITES = 64
GOING_ON_S = 1.0
"""A satellite goes on streaming until the reply begins, or for so long: who goes on speaking is heard."""
SAME_WORD_S = 2.0
"""Two satellites that hear one wake word within this hear one person: who tells it first answers, as with Home
Assistant."""
OURS = "-antiphon-satellite-"
"""What the names of our satellites hold in mDNS (`Mdns.instance`)."""

log = structlog.get_logger(__name__)


class Twice(LinkError):
    """The satellite is driven already, under another address."""


class Satellites:
    """All the satellites of this daemon: those that are known, and those that mDNS finds.

    Args:
        own: where the one is that was started with it; known, whatever the settings say.
    """

    def __init__(
        self,
        engines: Engines,
        settings: Settings,
        identity: str,
        turns: Turns | None = None,
        *,
        own: str | None = None,
    ) -> None:
        self._engines, self._settings, self._own = engines, settings, own
        self._turns = turns if turns is not None else Turns()
        self._controller = f"antiphon/{identity}"
        self._drivers: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._found: dict[str, str] = {}
        self._lost: dict[str, str] = {}
        """Where those were that mDNS has lost, and that were connected then."""
        self._memories: dict[str, Memory] = {}
        self._places: dict[str, skills.Place] = {}
        self._visits: dict[str, Visit] = {}
        """The satellites that are connected now, by their address."""
        self._away: dict[str, str] = {}
        """Why those are not connected that should be."""
        self._words: dict[str, tuple[float, Visit]] = {}
        """When each wake word was heard last, and by whom."""
        self._mdns: Mdns | None = None

    def start(self, mdns: Mdns | None) -> None:
        """Begin to drive the known satellites and to look for others."""
        self._mdns = mdns
        self._drive_wanted()

    def adopt(self, settings: Settings) -> None:
        """Follow other settings: satellites are joined and left at once, turns follow when the next one begins."""
        self._settings = settings
        for memory in self._memories.values():
            memory.adopt(new_memory(settings, settings.language))
        for visit in self._visits.values():
            visit.adopt(settings)
        self._drive_wanted()

    def seen(self) -> list[Seen]:
        """Return the satellites that are driven, and those that are away."""
        away = [Seen("satellite", uri, uri, "away", why=why) for uri, why in self._away.items() if uri in self._drivers]
        return [*(visit.seen() for visit in self._visits.values()), *away]

    @property
    def _known(self) -> list[str]:
        return [*([self._own] if self._own else []), *self._settings.satellites.known]

    def _drive_wanted(self) -> None:
        """Drive the satellites that the settings want, and no others."""
        wanted = self._settings.satellites
        if wanted.discover and self._mdns is not None:
            self._mdns.browse(self._changed)
        found = self._found.values() if wanted.discover else ()
        here = {*found, *self._lost.values()} if wanted.discover else set()
        for uri in [uri for uri in self._drivers if uri not in self._known and uri not in here]:
            self._leave(uri)
        for uri in self._known:
            self._drive(uri, known=True)
        for uri in found:
            self._drive(uri, known=False)

    async def stop(self) -> None:
        """Leave every satellite."""
        for uri in list(self._drivers):
            self._leave(uri)
        await asyncio.gather(*self._leaving, return_exceptions=True)
        for place in self._places.values():
            if place.timers is not None:
                place.timers.close()

    def _changed(self, instance: str, found: Found | None) -> None:
        if OURS not in instance:  # another maker's belongs to whoever set it up: it knows no waiting controllers
            return
        lost = self._lost.pop(instance, None)
        before = self._found.pop(instance, lost)
        if found is not None:
            self._found[instance] = found.uri
        moved = before is not None and (found is None or found.uri != before)
        if found is None and any(visit.uri == before for visit in self._visits.values()):
            moved = False  # mDNS has lost it, or it announces itself anew; it is here as long as its connection is
            self._lost[instance] = str(before)
        taken = {*self._known, *self._found.values()}  # addresses wander: another may be there that was before
        if moved and before not in taken:
            self._leave(str(before))
        if found is not None and self._settings.satellites.discover:
            self._drive(found.uri, known=False)

    def _drive(self, uri: str, *, known: bool) -> None:
        if uri in self._drivers or len(self._drivers) >= SATELLITES:
            return
        task = asyncio.create_task(self._keep_driving(uri, known=known))
        self._drivers[uri] = task
        task.add_done_callback(lambda done: self._drivers.pop(uri) if self._drivers.get(uri) is done else None)

    def _leave(self, uri: str) -> None:
        """Stop driving a satellite, if it is driven: its connection is closed in good order, meanwhile."""
        task = self._drivers.pop(uri, None)
        self._away.pop(uri, None)
        if task is not None:
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _keep_driving(self, uri: str, *, known: bool) -> None:
        """Drive one satellite until it is told to stop; a service that is no satellite is left alone, unless known."""
        tries = 0
        while True:
            connected_at = time.monotonic()
            try:
                info = await ask_info(uri, within_s=self._settings.deadlines.connect_s)
                if info.satellite is None or not info.satellite.installed:
                    if known:  # a satellite may yet be there
                        raise LinkError(f"{uri} is no satellite: correct satellites.known")
                    self._away.pop(uri, None)
                    return
                await self._visit(uri, info.satellite.name)
            except Twice as error:
                log.debug("satellite known twice", uri=uri, why=str(error))
                self._away.pop(uri, None)
            except LinkError as error:
                (log.info if tries == 0 else log.debug)("satellite away", uri=uri, why=str(error))
                self._away[uri] = str(error)
            except Exception:  # the edge: a fault of ours must not leave a satellite alone for ever
                log.exception("driving a satellite failed", uri=uri)
            announced = uri in self._found.values()
            if not announced and uri not in self._known:
                self._away.pop(uri, None)
                return
            if time.monotonic() - connected_at > BACKOFF_S[-1]:
                tries = 0
            wait_s = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
            tries += 1
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))

    async def _visit(self, uri: str, name: str) -> None:
        link = await open_link(uri, within_s=self._settings.deadlines.connect_s)
        if link.peer in self._visits:  # the same satellite under another name
            await link.close()
            raise Twice(f"{uri} is {link.peer}, which is driven already")
        named = next((one for one, at in self._found.items() if at == uri), None)  # addresses change, names do not
        known = uri in self._known
        who = f"{name} {link.peer}" if known or named is None else named
        recorder = self._turns.of("satellite", name)
        visit = Visit(
            link, name, self._engines, self._settings, self._memory(who), self._place(who), recorder, self._claim
        )
        self._visits[link.peer] = visit
        self._away.pop(uri, None)
        try:
            await visit.run(self._controller)
        finally:
            del self._visits[link.peer]
            await visit.close()

    def _claim(self, visit: Visit, word: str) -> bool:
        """Return whether `visit`, where a wake word was heard, is to answer; false when another one just has."""
        now = time.monotonic()
        self._words = {word: last for word, last in self._words.items() if now - last[0] < SAME_WORD_S}
        return self._words.setdefault(word, (now, visit))[1] is visit

    def _memory(self, who: str) -> Memory:
        """Return what this satellite's conversation was: it outlives a lost connection, not five silent minutes."""
        kept_s = self._settings.conversation.reset_after_s
        self._memories = {key: memory for key, memory in self._memories.items() if memory.idle_s <= kept_s}
        return self._memories.setdefault(who, new_memory(self._settings, self._settings.language))

    def _place(self, who: str) -> skills.Place:
        """Return where this satellite stands: its timers outlive a lost connection, and ring when it is back."""
        self._places = {key: place for key, place in self._places.items() if key == who or place.needed}
        return self._places.setdefault(who, skills.Place(skills.Timers()))


class Visit:
    """One connection to a satellite, from `run-satellite` until one side leaves.

    Args:
        place: where the satellite stands; the visit is its hands and its bell.
        claim: returns whether a visit may answer a wake word that was heard there.
    """

    def __init__(
        self,
        link: Link,
        name: str,
        engines: Engines,
        settings: Settings,
        memory: Memory,
        place: skills.Place,
        recorder: Recorder,
        claim: Callable[[Visit, str], bool],
    ) -> None:
        self._link = link
        self._claim = claim
        self._detected: str | None = None
        """The wake word that the satellite has told, and not yet asked a run for."""
        self._name = name
        self._outgoing: asyncio.Queue[Event] = asyncio.Queue(OUTGOING)
        self._conversation = Conversation(
            engines, settings, self, vad.load(), memory, place=place, recorder=recorder, gap_s=HELD_BACK_S
        )
        self._since = time.monotonic()
        self._place = place
        self._calms = False
        """What rings at the satellite is to be stopped when the run is over."""
        self._converter: Converter | None = None
        self._format: Format | None = None
        self._rate = engines.synthesizer.rate
        self._sent_ms = 0
        self._began_at = 0.0
        """When the reply's sound began, later by every pause in which the network brought none of it."""
        self._sending_ms: int | None = None
        """Where in the reply the sound lies that is being sent."""
        self._sounding = False
        self._running = False
        """A run is open: neither `synthesize` nor `error` has ended it."""
        self._language = settings.language
        self._wake = settings.satellite.wake
        self._words: WakeWords | None = None
        """What a satellite that leaves that to us is woken by."""
        self._waiting = False
        """Its wake word is awaited."""
        self._ours = False
        """It is an Antiphon."""
        self._active = True
        """It does not wait on another controller."""
        self._told = True
        """The satellite knows what was heard in this run."""
        self._answers_pings = False
        self._answered_at = time.monotonic()
        self._untold: Transcript | None = None
        """What was heard of a turn that is over, which the satellite does not know yet."""
        self._telling: asyncio.TimerHandle | None = None

    @property
    def uri(self) -> str:
        """Where the satellite is driven."""
        return self._link.uri

    async def run(self, controller: str) -> None:
        """Drive the satellite.

        Raises:
            LinkError: the satellite left, fell silent, or said something that is not Wyoming.
        """
        self._send(Event("run-satellite", {"controller": controller}))
        self._send(Describe())
        self._place.hands = self
        if self._place.timers is not None:
            self._place.timers.attach(self)
        self._link.must_acknowledge(UNACKNOWLEDGED_S)
        self._link.hold_little()
        log.info("satellite connected", satellite=self._name, uri=self._link.uri)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive_all())
                tasks.create_task(self._send_all())
                tasks.create_task(self._ping())
        except* LinkError as errors:
            raise LinkError(str(errors.exceptions[0])) from None

    def adopt(self, settings: Settings) -> None:
        """Follow other settings from the next turn on."""
        self._conversation.adopt(settings)

    def seen(self) -> Seen:
        """Return how it stands with the satellite."""
        state = self._conversation.phase.value if self._active else "waiting"
        return Seen("satellite", self._name, self._link.uri, state, self._since)

    async def close(self) -> None:
        """End the conversation's work and the connection."""
        self._forget_untold()
        if self._place.hands is self:
            self._place.hands = None
        if self._place.timers is not None:
            self._place.timers.detach(self)
        self._conversation.stop()  # what was heard of the reply is remembered: the memory outlives the connection
        await self._conversation.close()
        with contextlib.suppress(LinkError):
            await self._link.close()

    async def _receive_all(self) -> None:
        while True:
            event = await self._link.receive()
            self._answered_at = time.monotonic()
            try:
                await self._take(event)
            except (FrameError, FormatError) as error:
                raise LinkError(f"{self._link.uri}: {error}") from None

    async def _take(self, event: Event) -> None:
        if AudioChunk.is_type(event.type):
            self._hear(parse(AudioChunk, event))
        elif Pong.is_type(event.type):
            self._answers_pings = True
        elif Ping.is_type(event.type):
            self._send(Pong(text=parse(Ping, event).text))
        elif RunPipeline.is_type(event.type):
            request = parse(RunPipeline, event)
            self._format, self._words, self._waiting = None, None, False
            detected, self._detected = self._detected, None
            if request.start_stage is PipelineStage.WAKE:
                await self._await_wake_word(request)
            elif detected is not None and not self._claim(self, detected):
                self._told = False
                self._end_run(Error(text="Another satellite answers", code="duplicate_wake_up_detected"))
            else:
                self._begin_run(by_voice=event.data.get("by_voice") is True)
        elif Detection.is_type(event.type):
            self._detected = parse(Detection, event).name
        elif AudioStop.is_type(event.type) and not self._waiting:
            if self._converter is not None:
                self._conversation.hear(self._converter.end())
            self._conversation.end()
        elif Played.is_type(event.type):
            heard_ms = event.data.get("heard_ms")
            self._conversation.played(heard_ms if isinstance(heard_ms, int) else None)
            self._end_sound()
        elif Info.is_type(event.type):
            parse(Info, event)
        elif event.type == "user-event":
            self._take_extra(event)

    def _take_extra(self, event: Event) -> None:
        """Act on what only our own satellites say (docs/wire.md)."""
        extra = event.data.get("data")
        match event.data.get("name"):
            case "antiphon.active":
                self._ours = True
                active = self._active = isinstance(extra, dict) and bool(extra.get("active"))
                log.info("satellite is ours" if active else "satellite waits on another", satellite=self._name)
            case "antiphon.volume":
                percent = extra.get("percent") if isinstance(extra, dict) else None
                if isinstance(percent, int) and not isinstance(percent, bool):
                    self._place.volume = max(0, min(100, percent))
            case "antiphon.cut":
                self._conversation.stop()
                self._drop_sound()
                if self._running:  # else what ends the run is already on its way, and crossed this
                    self._end_run(Error(text="The turn was interrupted", code="interrupted"))

    def _begin_run(self, *, by_voice: bool = False) -> None:
        self._running, self._told = True, False
        self._forget_untold()
        if not by_voice:  # else the satellite keeps what comes of the reply before
            self._drop_sound()
        self._conversation.open(by_voice=by_voice)
        self._send(Transcribe(language=self._language))

    async def _await_wake_word(self, request: RunPipeline) -> None:
        """Listen for the words that are asked for, else those of the settings."""
        asked = request.wake_word_names or [request.wake_word_name or ""]
        try:
            self._words = await asyncio.to_thread(self._wake_words, asked)
        except WakeError as error:
            self._send(Error(text=str(error), code="wake-provider-missing"))
        else:
            self._waiting = True
            self._send(Detect(names=[word.name for word in self._words.words]))

    def _hear(self, chunk: AudioChunk) -> None:
        form = Format(chunk.rate, chunk.width, chunk.channels)
        if self._converter is None or form != self._format:
            self._format, self._converter = form, Converter(form)
        samples = self._converter.feed(chunk.audio)
        if not self._waiting:
            self._conversation.hear(samples)
        elif self._words is not None and (heard := self._words.feed(to_bytes(samples))):
            if not self._claim(self, heard[0].name):
                return
            self._waiting = False
            self._send(Detection(name=heard[0].name, timestamp=None))
            self._begin_run()

    def _wake_words(self, asked: Sequence[str]) -> WakeWords:
        bundled = available(self._wake.engine)  # by name alone: whoever asks must not have files of ours opened
        return WakeWords([name for name in bundled if name in asked] or self._wake.words, self._wake.engine)

    def _wait_again(self) -> None:
        """The run's speech is over: what a satellite streams on is its own reply, and the next wake word."""
        if self._words is not None:
            self._words.reset()
            self._waiting = True

    async def _send_all(self) -> None:
        while True:
            event = await self._outgoing.get()
            self._sending_ms = parse(AudioChunk, event).timestamp if AudioChunk.is_type(event.type) else None
            await self._link.send(event)
            self._keep_time()
            self._sending_ms = None

    def _keep_time(self) -> None:
        """Tell the conversation when the network brings the reply too late: what it has not brought is not heard."""
        if self._sending_ms is None:
            return
        late_s = time.monotonic() - self._began_at - self._sending_ms / 1000
        if late_s > DRY_S:
            self._began_at += late_s
            self._conversation.heard(self._sending_ms)

    async def _ping(self) -> None:
        """Ask whether it is there, before all that waits: behind a reply, a slow network would have it seem gone."""
        while True:
            await asyncio.sleep(PING_S)
            self._keep_time()
            if self._answers_pings and time.monotonic() - self._answered_at > SILENT_S:
                raise LinkError(f"{self._link.uri} has answered nothing for {SILENT_S:g} s")
            self._link.send_nowait(Ping())

    def _send(self, event: Event | Eventable) -> None:
        """Queue an event. A satellite that takes nothing while so many wait is dropped."""
        try:
            self._outgoing.put_nowait(event if isinstance(event, Event) else event.event())
        except asyncio.QueueFull:
            log.warning("satellite takes nothing", satellite=self._name)
            self._link.abort()

    def _drop_sound(self) -> None:
        """Forget the sound that waits: it is not to be heard, and what follows it is not to wait for it."""
        waiting = [self._outgoing.get_nowait() for _ in range(self._outgoing.qsize())]
        for event in waiting:
            if not AudioChunk.is_type(event.type):
                self._outgoing.put_nowait(event)

    # What the conversation tells (see `Peer`).

    def speech_began(self, at_ms: int) -> None:
        """Pass it on, as Home Assistant does; if the turn seemed over, it is not."""
        self._forget_untold()
        self._send(VoiceStarted(timestamp=at_ms))

    def speech_paused(self, at_ms: int) -> None:
        """Not passed on: to a satellite `voice-stopped` means that the turn is over."""

    def turn_over(self, text: str, language: str | None) -> None:
        """Say so when the reply begins, or a little later: until then the satellite streams, and may yet go on."""
        self._forget_untold()
        self._untold = Transcript(text=text, language=language)
        self._telling = asyncio.get_running_loop().call_later(GOING_ON_S, self._tell)

    def _tell(self) -> None:
        """End the stream and say what was heard."""
        untold = self._untold
        self._forget_untold()
        if untold is not None:
            self._told = True
            self._send(VoiceStopped(timestamp=None))
            self._send(untold)
            self._wait_again()

    def _forget_untold(self) -> None:
        self._untold = None
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def nothing_heard(self) -> None:
        """Say it in Home Assistant's words."""
        self._end_run(Error(text="No speech was heard", code="stt-no-text-recognized"))

    def failed(self, error: EngineError) -> None:
        """End the run with an error event."""
        self._end_sound()
        self._end_run(Error(text=str(error), code=f"{error.stage}-failed"))

    def reply_began(self, rate: int) -> None:
        """Begin the reply's sound."""
        self._tell()
        self._rate, self._sent_ms, self._sounding = rate, 0, True
        self._began_at = time.monotonic()
        self._send(AudioStart(rate=rate, width=2, channels=1, timestamp=0))

    def reply_sound(self, pcm: bytes) -> None:
        """Send sound in blocks of `CHUNK_MS`."""
        size = self._rate * CHUNK_MS // 1000 * 2
        for start in range(0, len(pcm), size):
            block = pcm[start : start + size]
            self._send(AudioChunk(rate=self._rate, width=2, channels=1, audio=block, timestamp=self._sent_ms))
            self._sent_ms += len(block) // 2 * 1000 // self._rate

    def reply_written(self, text: str) -> None:
        """Say what the reply was: the satellite listens again if it asks something. Nothing is said of silence."""
        self._end_run(Synthesize(text=text) if text else Error(text="There is nothing to say", code="interrupted"))
        if self._calms:
            self._calms = False
            self._say_extra("antiphon.flush")

    def reply_ended(self, trace: Trace) -> None:
        """End the reply's sound."""
        self._end_sound()
        log.info("turn", satellite=self._name, **trace.timeline())

    wants_partials = False

    def heard_so_far(self, text: str) -> None:
        """Not asked for: a satellite shows no captions."""

    def duck(self) -> None:
        """A satellite decides that itself."""

    def swell(self) -> None:
        """A satellite decides that itself."""

    def stop_speaking(self) -> None:
        """Have the satellite forget what it still holds of the reply."""
        self._drop_sound()
        self._say_extra("antiphon.flush")
        self._end_sound()

    # What skills do (see `skills.Hands` and `skills.Bell`).

    def set_volume(self, percent: int) -> None:
        """Have the satellite be so loud."""
        self._say_extra("antiphon.volume", percent=percent)

    def stop_listening(self) -> None:
        """Mute the satellite."""
        self._say_extra("antiphon.mute", on=True)

    def calm(self) -> None:
        """Stop what rings, once the run is over: before, it would end the run."""
        self._calms = True

    def timer_started(self, timer: skills.Timer) -> None:
        """Tell it: a satellite may show it."""
        self._send(TimerStarted(id=timer.id, total_seconds=timer.total_s, name=timer.name))

    def timer_updated(self, timer: skills.Timer, left_s: int) -> None:
        """Tell what is left."""
        active = timer.status is skills.Status.RUNNING
        self._send(TimerUpdated(id=timer.id, is_active=active, total_seconds=left_s))

    def timer_cancelled(self, timer: skills.Timer) -> None:
        """Tell it; a timer that rings is silent then."""
        self._send(TimerCancelled(id=timer.id))

    def timer_finished(self, timer: skills.Timer) -> None:
        """Have the satellite ring."""
        self._send(TimerFinished(id=timer.id))

    def _say_extra(self, name: str, **data: object) -> None:
        self._send(Event("user-event", {"name": name, "data": data}))

    def _end_run(self, event: Eventable) -> None:
        self._running = False
        self._tell()
        if not (self._told or self._ours):  # old satellites of other makers stream until they get a transcript
            self._told = True
            self._send(Transcript(text=""))
            self._wait_again()
        self._send(event)

    def _end_sound(self) -> None:
        """End the stream that was begun; a satellite that drops a reply drops it until then."""
        if self._sounding:
            self._sounding = False
            self._send(AudioStop(timestamp=self._sent_ms))
