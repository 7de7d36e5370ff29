"""A stand-in for Home Assistant 2026.11: it asks Wyoming services and drives a satellite exactly as that does.

What it does was read from Home Assistant's source and seen on a real one (`house/test_home_assistant.py` asks a real
one the same questions). Its faults are kept: a run that is asked for while one lives hears nothing, a peer that is
silent for 5 s is dropped, sound goes out as fast as TCP takes it, one that hangs is waited for (here for `HANG_S`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from wyoming.event import Event
from wyoming.info import Info

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.wire.link import Link, LinkError, open_link
from antiphon.wire.server import Server

INFO_S, INFO_TRIES, INFO_WAIT_S = 5.0, 4, 2.0
"""Its questions for `info`: each so long, so many, so far apart."""
CHUNK = RATE // 100
"""It cuts sound for speech-to-text into 10 ms."""
SILENCE_S = 0.7
"""Its own detector's silence at the end of speech (vad_sensitivity: default)."""
SPEECH_CAP_S = 15.0
PING_S, SILENT_S = 2.0, 5.0
"""A ping so long after the last pong; a satellite that says nothing for so long is dropped."""
RESTART_S, RECONNECT_S = 3.0, 10.0
WAKE_COOLDOWN_S = 2.0
TTS_CHUNK = 2048
TTS_RATE = 22_050
HANG_S = 30.0
"""It would wait for ever; the stand-in calls that a hang."""


class AssistError(Exception):
    """A pipeline ends with an error, whose code is that of the pipeline's `error` event."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


@dataclass
class Service:
    """A config entry: one endpoint, as it described itself when it was added."""

    uri: str
    info: Info

    @property
    def unique_names(self) -> list[str]:
        """What it is called by: the satellite's name, else its installed programs' in Home Assistant's order."""
        if self.info.satellite is not None and self.info.satellite.installed:
            return [self.info.satellite.name]
        kinds: Sequence[Sequence[Any]] = (
            self.info.asr, self.info.tts, self.info.wake, self.info.intent, self.info.handle,
        )  # fmt: skip
        return [program.name for programs in kinds for program in programs if program.installed]

    @property
    def platforms(self) -> list[str]:
        """The entities that are made: a satellite hides every service of its endpoint."""
        if self.info.satellite is not None and self.info.satellite.installed:
            return ["assist_satellite"]
        found = {"stt": self.info.asr, "tts": self.info.tts, "wake_word": self.info.wake}
        made = [name for name, programs in found.items() if any(one.installed for one in programs)]
        if any(one.installed for one in (*self.info.intent, *self.info.handle)):
            made.append("conversation")
        return made


async def add(uri: str, *, tries: int = INFO_TRIES, wait_s: float = INFO_WAIT_S) -> Service:
    """Do what the config flow does: ask for `info`, several times if need be.

    Raises:
        AssistError: `cannot_connect`, or `no_services` when nothing is installed.
    """
    for attempt in range(tries):
        try:
            service = Service(uri, await _ask(uri))
        except (LinkError, TypeError, TimeoutError):
            if attempt + 1 < tries:
                await asyncio.sleep(wait_s)
            continue
        if not service.platforms:
            raise AssistError("no_services", uri)
        return service
    raise AssistError("cannot_connect", uri)


async def _ask(uri: str) -> Info:
    async with await open_link(uri) as link:
        await link.send(Event("describe"))
        async with asyncio.timeout(INFO_S):
            while True:
                event = await link.receive()
                if event.type == "info":
                    return Info.from_event(event)


@dataclass
class Pipeline:
    """An Assist pipeline: who hears, answers and speaks."""

    stt: Service
    conversation: Service
    tts: Service
    language: str = "en"
    voice: str | None = None

    @classmethod
    async def over(cls, servers: Mapping[str, Server]) -> Pipeline:
        """Add the services of a daemon, and return a pipeline of all three."""
        asr, handle, tts = [await add(f"tcp://127.0.0.1:{servers[name].port}") for name in ("asr", "handle", "tts")]
        return cls(asr, handle, tts)


@dataclass
class Turn:
    """What came of one turn; times are `time.perf_counter`."""

    text: str = ""
    reply: str = ""
    intents: list[dict[str, Any]] = field(default_factory=list)
    pcm: bytes = b""
    rate: int = TTS_RATE
    heard_at: float = 0.0
    answered_at: float = 0.0
    first_byte_at: float = 0.0
    done_at: float = 0.0


async def hear(
    service: Service, sound: AsyncIterator[bytes], language: str, *, told: Callable[[str, int], None] | None = None
) -> str:
    """Have speech heard, over a new connection; the first `transcript` counts, whatever else comes.

    Args:
        sound: s16le of 16 kHz, in blocks of any size, at the pace of a microphone.
        told: is told `started` and `stopped` and the milliseconds, if Home Assistant's own detector is used.

    Raises:
        AssistError: `stt-no-text-recognized`, or `stt-stream-failed`.
    """
    external = service.info.asr[0].requires_external_vad
    try:
        async with await open_link(service.uri) as link:
            await link.send(Event("transcribe", {"language": language}))
            await link.send(Event("audio-start", {"rate": RATE, "width": 2, "channels": 1, "timestamp": None}))
            uploading = asyncio.create_task(_upload(link, sound, ended=_Detector(told) if external else None))
            try:
                text = await _transcript(link)
            finally:
                uploading.cancel()
                await asyncio.gather(uploading, return_exceptions=True)
    except LinkError as error:
        raise AssistError("stt-stream-failed", str(error)) from error
    if not text.strip():
        raise AssistError("stt-no-text-recognized")
    return text


async def _transcript(link: Link) -> str:
    while True:
        event = await link.receive(HANG_S)
        if event.type == "transcript":
            return str(event.data["text"])
        if event.type == "error":
            raise AssistError("stt-stream-failed", str(event.data.get("text")))


class _Detector:
    """Home Assistant's own end of speech: silence, whatever was said."""

    def __init__(self, told: Callable[[str, int], None] | None) -> None:
        self._tracker, self._told = vad.SpeechTracker(vad.load()), told or (lambda what, ms: None)
        self._paused: int | None = None
        self._position = 0

    def over(self, pcm: bytes) -> bool:
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768
        self._position += len(samples)
        for event in self._tracker.feed(samples):
            if isinstance(event, vad.SpeechPaused):
                self._paused = event.at
            else:
                self._paused = None
                self._told("started", event.at * 1000 // RATE)
        silent = self._paused is not None and self._position - self._paused >= SILENCE_S * RATE
        if silent or self._position >= SPEECH_CAP_S * RATE:
            self._told("stopped", self._position * 1000 // RATE)
            return True
        return False


async def _upload(link: Link, sound: AsyncIterator[bytes], ended: _Detector | None) -> None:
    rest = b""
    async for block in sound:
        rest += block
        while len(rest) >= 2 * CHUNK:
            chunk, rest = rest[: 2 * CHUNK], rest[2 * CHUNK :]
            data = {"rate": RATE, "width": 2, "channels": 1, "timestamp": None}
            await link.send(Event("audio-chunk", data, chunk))
            if ended is not None and ended.over(chunk):
                await link.send(Event("audio-stop", {"timestamp": None}))
                return
    await link.send(Event("audio-stop", {"timestamp": None}))


async def answer(service: Service, text: str, language: str, context: dict[str, Any]) -> tuple[str, list[Any]]:
    """Have a text answered, over a new connection that is closed at `handled`; return the speech and the intents.

    Raises:
        AssistError: `intent-failed`.
    """
    intents: list[dict[str, Any]] = []
    several = False
    try:
        async with await open_link(service.uri) as link:
            await link.send(Event("transcript", {"text": text, "language": language, "context": context}))
            while True:
                event = await link.receive(HANG_S)
                if event.type == "handled":
                    return str(event.data.get("text") or ""), intents
                if event.type in ("not-handled", "not-recognized", "error"):
                    raise AssistError("intent-failed", str(event.data.get("text")))
                if event.type == "intents-start":
                    several = True
                elif event.type == "intent":
                    intents.append(event.data)
                if intents and (not several or event.type == "intents-stop"):
                    return str(intents[-1].get("text") or ""), intents
    except LinkError as error:
        raise AssistError("intent-failed", str(error)) from error


async def speak(service: Service, text: str, voice: str | None = None) -> AsyncIterator[tuple[int, bytes]]:
    """Have a text spoken, over a new connection; yield rate and PCM as it comes.

    Raises:
        AssistError: `tts-failed`, also when it hangs.
    """
    streams = service.info.tts[0].supports_synthesize_streaming
    asked = {"voice": {"name": voice}} if voice else {}
    try:
        async with await open_link(service.uri) as link:
            if streams:
                await link.send(Event("synthesize-start", asked))
                await link.send(Event("synthesize-chunk", {"text": text}))
            await link.send(Event("synthesize", {"text": text, **asked}))
            if streams:
                await link.send(Event("synthesize-stop"))
            rate = None
            while True:
                event = await link.receive(HANG_S)
                if event.type == "audio-start" and rate is None:
                    rate = int(event.data["rate"])
                elif event.type == "audio-chunk" and rate is not None:
                    yield rate, event.payload or b""
                elif event.type == "error":
                    raise AssistError("tts-failed", str(event.data.get("text")))
                elif event.type == ("synthesize-stopped" if streams else "audio-stop"):
                    return
    except LinkError as error:
        raise AssistError("tts-failed", str(error)) from error


async def microphone(sound: Samples, *, open_end: bool = True) -> AsyncIterator[bytes]:
    """Give sound as a microphone does, and then (`open_end`) a quiet room."""
    began, position = time.perf_counter(), 0
    noise = np.random.default_rng(3)
    while position < len(sound) or open_end:
        block = sound[position : position + 2 * CHUNK]
        if len(block) < 2 * CHUNK and open_end:
            rest = noise.normal(0, 0.0006, 2 * CHUNK - len(block)).astype(np.float32)
            block = np.concatenate((block, rest))
        position += 2 * CHUNK
        await asyncio.sleep(max(0.0, began + position / RATE - time.perf_counter()))
        yield to_bytes(block)


async def run(pipeline: Pipeline, sound: AsyncIterator[bytes], context: dict[str, Any] | None = None) -> Turn:
    """Run a whole pipeline over a question.

    Raises:
        AssistError: one of its stages failed.
    """
    turn = Turn()
    turn.text = await hear(pipeline.stt, sound, pipeline.language)
    turn.heard_at = time.perf_counter()
    turn.reply, turn.intents = await answer(pipeline.conversation, turn.text, pipeline.language, context or {})
    turn.answered_at = time.perf_counter()
    async for rate, pcm in speak(pipeline.tts, turn.reply, pipeline.voice):
        if pcm and not turn.first_byte_at:
            turn.first_byte_at, turn.rate = time.perf_counter(), rate
        turn.pcm += pcm
    turn.done_at = time.perf_counter()
    return turn


class SatelliteEntity:
    """Drives one satellite: connects, keeps connected, and runs pipelines when it asks for them."""

    def __init__(self, uri: str, pipeline: Pipeline, *, restart_s: float = RESTART_S, again_s: float = RECONNECT_S):
        self.uri, self.pipeline = uri, pipeline
        self._restart_s, self._again_s = restart_s, again_s
        self.state = "idle"
        self.states: list[str] = []
        self.events: list[Event] = []
        """All that the satellite sent, without sound and pongs."""
        self.lost_chunks = 0
        self.connections = 0
        self.turns: list[Turn] = []
        self.errors: list[str] = []
        self.info: Info | None = None
        self.conversation_id = "01STANDIN"
        self._link: Link | None = None
        self._muted = False
        self._run: asyncio.Task[None] | None = None
        self._alive = False
        """What Home Assistant calls `_is_pipeline_running`; the end of a cancelled run resets it (trap 1)."""
        self._audio: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._played = asyncio.Event()
        self._speaking: set[asyncio.Task[None]] = set()
        self._woke: dict[str, float] = {}
        self._phrase: str | None = None
        self._unmuted = asyncio.Event()
        self._unmuted.set()

    async def serve(self) -> None:
        """Keep connected until cancelled."""
        while True:
            await self._unmuted.wait()
            try:
                await self._connected()
                await asyncio.sleep(self._restart_s)
            except LinkError as error:
                await asyncio.sleep(self._again_s if "closed" not in str(error) else self._restart_s)

    @property
    def connected(self) -> bool:
        """Whether the satellite is connected."""
        return self._link is not None

    def set_muted(self, muted: bool) -> None:
        """Turn the mute switch; the socket is left open and unread until it is turned back."""
        self._muted = muted
        if muted:
            self._unmuted.clear()
        else:
            self._unmuted.set()

    async def announce(self, pcm: bytes, rate: int = TTS_RATE) -> bool:
        """Play an announcement; return whether `played` came in time."""
        assert self._link is not None
        await self._end_run()
        self._played.clear()
        await self._stream(pcm, rate)
        try:
            async with asyncio.timeout(len(pcm) / 2 / rate + 0.5):
                await self._played.wait()
        except TimeoutError:
            return False
        return True

    async def send(self, kind: str, **data: Any) -> None:
        """Send an event, such as a timer's."""
        assert self._link is not None
        await self._link.send(Event(kind, data))

    async def _connected(self) -> None:
        async with await open_link(self.uri) as link:
            self.connections += 1
            await link.send(Event("run-satellite"))
            await link.send(Event("describe"))
            self._link = link
            pinging = asyncio.create_task(self._ping(link, PING_S))
            try:
                while not self._muted:
                    taking = asyncio.create_task(link.receive(SILENT_S))
                    muting = asyncio.create_task(self._muting())
                    await asyncio.wait((taking, muting), return_when=asyncio.FIRST_COMPLETED)
                    muting.cancel()
                    if not taking.done():
                        taking.cancel()
                        break
                    await self._take(taking.result(), link)
                await link.send(Event("pause-satellite"))
                await self._unmuted.wait()
            finally:
                self._link = None
                pinging.cancel()
                await self._end_run()
                for task in self._speaking:
                    task.cancel()

    async def _muting(self) -> None:
        while not self._muted:
            await asyncio.sleep(0.05)

    async def _ping(self, link: Link, after_s: float) -> None:
        await asyncio.sleep(after_s)
        with contextlib.suppress(LinkError):
            await link.send(Event("ping", {"text": None}))

    async def _take(self, event: Event, link: Link) -> None:
        if event.type == "audio-chunk":
            if self._alive:
                self._audio.put_nowait(event.payload or b"")
            else:
                self.lost_chunks += 1
            return
        if event.type == "pong":
            self._speaking.add(task := asyncio.create_task(self._ping(link, PING_S)))
            task.add_done_callback(self._speaking.discard)
            return
        self.events.append(event)
        if event.type == "ping":
            await link.send(Event("pong", {"text": event.data.get("text")}))
        elif event.type == "info":
            self.info = Info.from_event(event)
        elif event.type == "detection":
            self._phrase = str(event.data.get("name"))
        elif event.type == "run-pipeline":
            stages = ("wake", "asr", "handle", "tts")
            if event.data["start_stage"] not in stages or event.data["end_stage"] not in stages:
                raise LinkError("a stage that Home Assistant does not know, closed")
            await self._begin(link)
        elif event.type == "audio-stop":
            self._audio.put_nowait(None)
        elif event.type == "played":
            self._played.set()
            self._be("idle")

    async def _begin(self, link: Link) -> None:
        """Begin a run. The end of a run that lives clears the flag that was just set: the new one hears nothing."""
        old, self._alive = self._run, True
        self._audio = asyncio.Queue()
        if old is not None and not old.done():
            old.cancel()
        phrase, self._phrase = self._phrase, None
        self._run = asyncio.create_task(self._pipeline(link, phrase))

    async def _end_run(self) -> None:
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)

    def _be(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.states.append(state)

    async def _pipeline(self, link: Link, phrase: str | None) -> None:
        turn, audio = Turn(), self._audio
        self.turns.append(turn)
        try:
            now = time.monotonic()
            if phrase is not None and now - self._woke.get(phrase, -WAKE_COOLDOWN_S) < WAKE_COOLDOWN_S:
                raise AssistError("duplicate_wake_up_detected")
            if phrase is not None:
                self._woke[phrase] = now
            self._be("listening")
            await link.send(Event("transcribe", {"language": self.pipeline.language}))
            turn.text = await hear(self.pipeline.stt, _until_none(audio), self.pipeline.language, told=self._voice)
            turn.heard_at = time.perf_counter()
            await link.send(Event("transcript", {"text": turn.text}))
            self._be("processing")
            context = {"conversation_id": self.conversation_id, "satellite_id": "assist_satellite.stand_in"}
            one = await answer(self.pipeline.conversation, turn.text, self.pipeline.language, context)
            turn.reply, turn.intents = one
            turn.answered_at = time.perf_counter()
            self._be("responding")
            voice = {"voice": {"language": self.pipeline.language}}
            await link.send(Event("synthesize", {"text": turn.reply, **voice}))
            if turn.reply:
                self._speaking.add(task := asyncio.create_task(self._speak(turn)))
                task.add_done_callback(self._speaking.discard)
        except AssistError as error:
            self.errors.append(error.code)
            with contextlib.suppress(LinkError):
                await link.send(Event("error", {"text": error.text, "code": error.code}))
            self._be("idle")
        except LinkError:
            pass
        finally:
            self._alive = False

    def _voice(self, what: str, ms: int) -> None:
        if self._link is not None:
            sending = asyncio.create_task(self._link.send(Event(f"voice-{what}", {"timestamp": ms})))
            self._speaking.add(sending)
            sending.add_done_callback(self._speaking.discard)

    async def _speak(self, turn: Turn) -> None:
        """Fetch the whole reply and send it; nobody cancels this, not even an interruption (trap 4)."""
        with contextlib.suppress(AssistError):
            async for rate, pcm in speak(self.pipeline.tts, turn.reply, self.pipeline.voice):
                if pcm and not turn.first_byte_at:
                    turn.first_byte_at, turn.rate = time.perf_counter(), rate
                turn.pcm += pcm
        turn.done_at = time.perf_counter()
        with contextlib.suppress(LinkError):
            await self._stream(turn.pcm, turn.rate)

    async def _stream(self, pcm: bytes, rate: int) -> None:
        link = self._link
        if link is None:
            return
        form: dict[str, Any] = {"rate": rate, "width": 2, "channels": 1}
        await link.send(Event("audio-start", {**form, "timestamp": 0}))
        sent_ms = 0
        for start in range(0, len(pcm), TTS_CHUNK):
            block = pcm[start : start + TTS_CHUNK]
            await link.send(Event("audio-chunk", {**form, "timestamp": sent_ms}, block))
            sent_ms += int(len(block) / 2 / rate * 1000)
        await link.send(Event("audio-stop", {"timestamp": sent_ms}))


async def _until_none(audio: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (block := await audio.get()) is not None:
        yield block
