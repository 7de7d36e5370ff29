"""The daemon drives satellites: what goes over the wire in a turn, and what a satellite can do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest
from scripted import Ears, Script, quick
from speech import Say, silence
from wyoming.audio import AudioChunk, AudioStop
from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info, Satellite
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.snd import Played

from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.settings import Satellites as Known
from antiphon.wire.frames import HEADER_BYTES, encode_event, read_event
from antiphon_daemon import satellites
from antiphon_daemon.engines.contracts import Engines, Synthesizer
from antiphon_daemon.satellites import Satellites

from .conftest import quiet_settings

RUN = RunPipeline(start_stage=PipelineStage.ASR, end_stage=PipelineStage.TTS).event()


ABOUT = Satellite("stand-in", Attribution("x", ""), True, None, None)


class StandIn:
    """A satellite without sound: a server that says what it is, and gives the test what a controller sends."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.runs = 0
        """How often somebody wanted to drive it."""
        self.pongs = True
        """It answers pings."""
        self.about: Satellite | None = ABOUT
        """What it says of itself; None: it is none."""
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEADER_BYTES)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while (event := await read_event(reader)) is not None:
                if Describe.is_type(event.type):
                    writer.write(encode_event(Info(satellite=self.about).event()))
                elif event.type == "ping":
                    if not self.pongs:
                        continue
                    writer.write(encode_event(Event("pong", {"text": event.data.get("text")})))
                elif event.type == "run-satellite":
                    self.runs += 1
                    self._writer = writer
                else:
                    self.events.put_nowait(event)
        writer.close()
        if writer is self._writer:
            self._writer = None

    async def left(self) -> None:
        async with asyncio.timeout(15):
            while self._writer is not None:
                await asyncio.sleep(0.01)

    def send(self, *events: Event) -> None:
        assert self._writer is not None
        for event in events:
            self._writer.write(encode_event(event))

    def say(self, sound: Samples) -> None:
        for at in range(0, len(sound), RATE // 50):
            pcm = to_bytes(sound[at : at + RATE // 50])
            self.send(AudioChunk(rate=RATE, width=2, channels=1, audio=pcm).event())

    def vanish(self) -> None:
        assert self._writer is not None
        self._writer.transport.abort()

    async def driven(self, times: int = 1) -> None:
        async with asyncio.timeout(15):
            while self.runs < times:
                await asyncio.sleep(0.01)

    async def until(self, *kinds: str) -> list[Event]:
        found: list[Event] = []
        async with asyncio.timeout(30):
            while not found or found[-1].type not in kinds:
                found.append(await self.events.get())
        return found

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()


@asynccontextmanager
async def house(
    voice: Synthesizer,
    model: Script,
    host: str = "127.0.0.1",
    *more: str,
    ears: Ears | None = None,
    pongs: bool = True,
) -> AsyncIterator[StandIn]:
    satellite = StandIn()
    satellite.pongs = pongs
    await satellite.start()
    known = [f"tcp://{name}:{satellite.port}" for name in (host, *more)]
    settings = quiet_settings(satellites=Known(discover=False, known=known))
    driving = Satellites(Engines(ears or Ears(), model, voice), settings, "0123456789ab")
    driving.start(None)
    try:
        await satellite.driven()
        yield satellite
    finally:
        await driving.stop()
        await satellite.stop()


async def test_a_turn_on_the_wire(voice: Synthesizer, say: Say) -> None:
    model = Script(quick)
    async with house(voice, model) as satellite:
        for number in (1, 2):
            satellite.send(RUN)
            satellite.say(say("What is the capital of France?"))
            satellite.send(AudioStop().event())
            events = await satellite.until("audio-stop", "error")
            kinds = [event.type for event in events if event.type != "audio-chunk"]
            expected = ["transcribe", "voice-started", "voice-stopped", "transcript"]
            assert [kind for kind in kinds if kind in expected] == expected
            assert kinds[-3:] == ["audio-start", "synthesize", "audio-stop"]
            assert next(event for event in events if event.type == "synthesize").data["text"] == "It is fine."
            satellite.send(Played().event())
            assert len(model.asked[-1]) == 2 * number, "the conversation is remembered"


async def test_nobody_speaks(voice: Synthesizer) -> None:
    async with house(voice, Script(quick)) as satellite:
        satellite.send(RUN)
        satellite.say(silence(1))
        satellite.send(AudioStop().event())
        *_, transcript, error = await satellite.until("error")
        assert error.data["code"] == "stt-no-text-recognized"
        # wyoming-satellite 1.0 streams until it gets one.
        assert (transcript.type, transcript.data["text"]) == ("transcript", "")


async def test_a_satellite_that_vanishes_in_the_middle_is_found_again(voice: Synthesizer, say: Say) -> None:
    async def slow() -> AsyncIterator[str]:
        for _ in range(1000):
            await asyncio.sleep(0.02)
            yield "and so on. "

    model = Script(slow)
    async with house(voice, model) as satellite:
        satellite.send(RUN)
        satellite.say(say("Hello."))
        satellite.send(AudioStop().event())
        await satellite.until("audio-chunk")
        satellite.vanish()
        await satellite.driven(2)
        assert model.closed == 1, "what nobody hears is written no further"
        model._say = quick
        satellite.send(RUN)
        satellite.say(say("Hello."))
        satellite.send(AudioStop().event())
        await satellite.until("synthesize")


async def test_an_interruption_ends_the_run_once_and_never_after_it_was_over(voice: Synthesizer, say: Say) -> None:
    """The race: the satellite cuts a run whose end is already on its way, and takes a second end for its new run's."""

    async def slow() -> AsyncIterator[str]:
        for _ in range(1000):
            await asyncio.sleep(0.02)
            yield "and so on. "

    model = Script(slow)
    cut = Event("user-event", {"name": "antiphon.cut", "data": {}})
    async with house(voice, model) as satellite:
        satellite.send(RUN)
        satellite.say(say("Hello."))
        satellite.send(AudioStop().event())
        await satellite.until("audio-chunk")
        satellite.send(cut)
        events = await satellite.until("error")
        assert events[-1].data["code"] == "interrupted"
        assert "audio-stop" in [event.type for event in events]
        model._say = quick
        satellite.send(RUN)
        satellite.say(say("Hello."))
        satellite.send(AudioStop().event())
        await satellite.until("synthesize")
        satellite.send(cut, RUN)
        satellite.say(say("Hello."))
        satellite.send(AudioStop().event())
        kinds = [event.type for event in await satellite.until("synthesize", "error")]
        assert kinds[-1] == "synthesize"


@pytest.mark.parametrize("pongs", [True, False])
async def test_who_answers_pings_must_go_on_doing_so_and_who_never_did_need_not(
    voice: Synthesizer, monkeypatch: pytest.MonkeyPatch, pongs: bool
) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    monkeypatch.setattr(satellites, "PING_S", 0.05)
    monkeypatch.setattr(satellites, "SILENT_S", 0.4)
    async with house(voice, Script(quick), pongs=pongs) as satellite:
        await asyncio.sleep(1)
        assert satellite.runs == 1
        satellite.pongs = False
        if pongs:
            await satellite.driven(2)


async def test_a_strangers_satellite_may_leave_the_wake_word_to_the_daemon(voice: Synthesizer, say: Say) -> None:
    """It asks once, and streams for ever; without the word nothing that it hears is a turn."""
    async with house(voice, Script(quick)) as satellite:
        satellite.send(RunPipeline(start_stage=PipelineStage.WAKE, end_stage=PipelineStage.TTS).event())
        assert (await satellite.until("detect"))[-1].data["names"] == ["okay_nabu"]
        for _ in range(2):
            satellite.say(say("What is the capital of Spain?"))
            satellite.say(silence(1))
            for text in ("Okay Nabu.", "What is the capital of France?"):
                satellite.say(np.concatenate((say(text), silence(0.3))))
            satellite.say(silence(1.5))
            events = await satellite.until("audio-stop", "error")
            kinds = [event.type for event in events if event.type not in ("audio-chunk", "user-event")]
            assert kinds == [
                "detection",
                "transcribe",
                "voice-started",
                "voice-stopped",
                "transcript",
                "audio-start",
                "synthesize",
                "audio-stop",
            ]


async def test_one_satellite_under_two_names_is_driven_once(
    voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    async with house(voice, Script(quick), "127.0.0.1", "localhost") as satellite:
        await asyncio.sleep(1)
        assert satellite.runs == 1


async def test_a_fault_of_ours_does_not_leave_a_satellite_alone(
    voice: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (0.05,))
    ask, failed = satellites.ask_info, []

    async def falling(uri: str, *, within_s: float = 5.0) -> Info:
        if not failed:
            failed.append(uri)
            raise KeyError("a fault")
        return await ask(uri, within_s=within_s)

    monkeypatch.setattr(satellites, "ask_info", falling)
    async with house(voice, Script(quick)) as satellite:
        assert failed
        assert satellite.runs == 1
