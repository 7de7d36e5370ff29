"""The satellite under the stand-in for Home Assistant, a whole pipeline behind it: each trap by its number.

The numbers are those of the list of facts that the stand-in was made from: what Home Assistant 2026.11 does to a
satellite, and what a satellite must therefore do.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL

import numpy as np
import pytest
import stand_in
from alone import ALONE
from ports import free_port
from satellite_rig import QUIET, Rig, eventually, rig
from scripted import Ears, Script
from speech import Say, silence
from wyoming.info import Info

from antiphon.audio.pcm import RATE
from antiphon.settings import Settings, Turn
from antiphon.wire.discovery import Found, Mdns
from antiphon.wire.link import ask_info, open_link
from antiphon.wire.server import Connection, Server
from antiphon_daemon.app import serving
from antiphon_daemon.engines.contracts import Engines, Synthesizer
from antiphon_satellite.states import Limits, State

pytestmark = pytest.mark.timeout(90)
NOBODY = stand_in.Pipeline(*[stand_in.Service("tcp://127.0.0.1:1", Info())] * 3)
REPLY = "This is the first sentence of the answer. And this is the second one, which is longer than the first."


class House:
    """A satellite, a Home Assistant that drives it, and what answers."""

    def __init__(
        self, one: Rig, home: stand_in.SatelliteEntity, ears: Ears, say: Say, servers: Mapping[str, Server]
    ) -> None:
        self.one, self.home, self.ears, self._say, self.servers = one, home, ears, say, servers
        self.reply = REPLY
        self.late_s = 0.0

    async def words(self) -> AsyncIterator[str]:
        await asyncio.sleep(self.late_s)
        if self.reply:
            yield self.reply

    def speak(self, text: str = "What is this about?") -> None:
        self.one.card.say(self._say(text))

    async def ask(self) -> None:
        """Press the button and ask."""
        self.one.satellite.press()
        await self.one.until(State.STREAMING)
        self.speak()

    async def speaking(self) -> None:
        await self.one.until(State.SPEAKING, within_s=8)

    async def idle(self, within_s: float = 15) -> None:
        await self.one.until(State.IDLE, within_s=within_s)


@asynccontextmanager
async def house(voice: Synthesizer, say: Say, limits: Limits = QUIET, **satellite: object) -> AsyncIterator[House]:
    ears = Ears("hello")
    settings = Settings(**{**ALONE, "turn": Turn(unknown_ms=500, one_moment_s=0)})
    made: list[House] = []
    engines = Engines(ears, Script(lambda: made[0].words()), voice)
    async with serving(settings, engines) as servers, rig(limits, follow_up=False, **satellite) as one:
        pipeline = await stand_in.Pipeline.over(servers)
        home = stand_in.SatelliteEntity(f"tcp://127.0.0.1:{one.port}", pipeline, restart_s=0.3, again_s=0.5)
        made.append(House(one, home, ears, say, servers))
        serving_it = asyncio.create_task(home.serve())
        try:
            await one.until(State.IDLE)
            yield made[0]
        finally:
            serving_it.cancel()
            await asyncio.gather(serving_it, return_exceptions=True)


async def test_a_turn_goes_through_and_every_state_of_home_assistant_is_seen(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        await here.ask()
        await here.speaking()
        await here.idle()
        await eventually(lambda: here.home.state == "idle")
        assert here.home.states == ["listening", "processing", "responding", "idle"]
        assert [event.type for event in here.home.events if event.type != "info"] == [
            "run-pipeline", "audio-stop", "played",
        ]  # fmt: skip
        assert here.home.turns[0].reply == REPLY


async def test_trap_1_no_run_is_asked_for_while_one_lives(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        here.late_s = 1.5
        await here.ask()
        await here.one.until(State.THINKING, State.WAITING, within_s=8)
        await here.ask()  # the run lives: what is said now is kept until it is over
        await eventually(lambda: len(here.home.turns) == 2 and here.home.turns[1].reply == REPLY, 12)
        await here.idle()
        assert here.home.errors == []


async def test_trap_2_a_reply_that_is_empty_ends_by_the_satellites_own_deadline(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say, Limits(follow_up_s=1.5, reply_s=1.0)) as here:

        async def nothing(*_: object) -> tuple[str, list[object]]:
            await asyncio.sleep(30)
            return "", []

        was, stand_in.answer = stand_in.answer, nothing  # type: ignore[assignment]
        try:
            await here.ask()
            await eventually(lambda: here.home.state == "processing", 8)
            await here.idle(within_s=6)
        finally:
            stand_in.answer = was


async def test_traps_3_and_4_what_is_left_of_an_interrupted_reply_is_dropped(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        await here.ask()
        await here.speaking()
        await asyncio.sleep(2.5)  # until then all that is played might be echo: nobody knows this room yet
        here.reply = "Something else."
        here.speak("No, tell me something else, please.")
        await here.one.until(State.STREAMING, within_s=3)
        before = len(here.one.card.played)
        await here.speaking()
        await here.idle()
        assert [turn.reply for turn in here.home.turns] == [REPLY, "Something else."]
        after = here.one.card.played[before:]
        loud = int(np.sum(np.abs(after) > 0.02)) / here.one.satellite.speaker.rate
        assert loud < 1.5, "the rest of the first reply is not played"
        assert here.home.lost_chunks == 0


async def test_trap_5_sound_comes_as_fast_as_tcp_takes_it_and_pongs_come_all_the_same(
    voice: Synthesizer, say: Say
) -> None:
    async with house(voice, say) as here:
        pcm = (np.sin(np.arange(60 * 22_050) / 20) * 8000).astype("<i2").tobytes()
        announcing = asyncio.create_task(here.home.announce(pcm))
        await asyncio.sleep(7.5)  # longer than the silence after which Home Assistant drops a satellite
        assert (here.home.connected, here.home.connections) == (True, 1)
        here.one.satellite.press()
        announcing.cancel()


async def test_trap_6_nothing_waits_for_hooks(voice: Synthesizer, say: Say) -> None:
    """Every hook sleeps for longer than Home Assistant waits for a satellite that says nothing."""
    hooks = dict.fromkeys(("idle", "streaming", "waiting", "speaking", "transcript", "connected"), "exec sleep 60")
    async with house(voice, say, hooks=hooks) as here:
        for turn in (1, 2):
            await here.ask()
            await here.speaking()
            async with asyncio.timeout(1):
                assert (await ask_info(f"tcp://127.0.0.1:{here.one.port}")).satellite is not None
            await here.idle()
            await eventually(lambda turn=turn: here.home.states.count("responding") == turn)  # type: ignore[misc]
        assert (here.home.connected, here.home.connections) == (True, 1)


async def test_trap_7_a_wake_word_that_another_satellite_heard_too_is_nothing(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say, start="wake") as here:
        loop = asyncio.get_running_loop()
        here.speak("Okay Nabu. What is this about?")
        here.home._woke["okay_nabu"] = loop.time() + 1.0
        await eventually(lambda: here.home.errors == ["duplicate_wake_up_detected"], 8)
        await here.idle()
        assert len(here.home.turns) == 1


async def test_trap_8_the_wake_word_is_told_before_the_run_and_only_then(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say, start="wake") as here:
        here.speak("Okay Nabu.")
        await here.one.until(State.STREAMING, within_s=8)
        here.speak()
        await here.speaking()
        await here.idle()
        await here.ask()  # by the button: no word was heard
        await here.speaking()
        await here.idle()
        kinds = [event.type for event in here.home.events if event.type in ("detection", "run-pipeline")]
        assert kinds == ["detection", "run-pipeline", "run-pipeline"]


async def test_trap_9_the_end_of_the_speech_does_not_end_the_run_whose_reply_nobody_wants_any_more(
    voice: Synthesizer, say: Say
) -> None:
    """Home Assistant answers and speaks to the end whatever the satellite sends: that reply is not played."""
    async with house(voice, say) as here:
        here.late_s = 1.0
        await here.ask()
        await here.one.until(State.THINKING, State.WAITING, within_s=8)
        before = len(here.one.card.played)
        here.one.satellite.press()
        here.speak("No, something else, please.")
        await eventually(lambda: here.home.turns[0].done_at > 0, 12)
        assert here.home.turns[0].reply == REPLY
        here.reply = "Yes."
        await here.speaking()
        await here.idle()
        assert [turn.reply for turn in here.home.turns] == [REPLY, "Yes."]
        rate = here.one.satellite.speaker.rate
        spoken_s = len(here.home.turns[0].pcm) / 2 / here.home.turns[0].rate
        loud_s = int(np.sum(np.abs(here.one.card.played[before:]) > 0.02)) / rate
        assert loud_s < spoken_s / 3
        assert here.home.lost_chunks == 0


async def test_trap_10_the_transcript_alone_ends_the_speech(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        assert not here.home.pipeline.stt.info.asr[0].requires_external_vad
        await here.ask()
        await eventually(lambda: "processing" in here.home.states, 8)
        await eventually(lambda: here.one.satellite.state is not State.STREAMING, 1)
        assert not [event for event in here.home.events if event.type.startswith("voice-")]


async def test_trap_11_polls_are_answered_beside_the_connection_that_drives_it(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        uri = f"tcp://127.0.0.1:{here.one.port}"
        await here.ask()
        for _ in range(5):
            async with asyncio.timeout(1):
                assert (await ask_info(uri)).satellite is not None
        silent = await open_link(uri)  # half a connection
        await here.speaking()
        await here.idle()
        await silent.close()
        assert here.home.connections == 1


async def test_trap_12_muted_by_its_switch_it_waits_on_the_open_socket(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        here.home.set_muted(True)
        await here.one.until(State.MUTED)
        await asyncio.sleep(6.0)  # no ping, no read: longer than any deadline of a live connection
        assert here.one.satellite.state is State.MUTED
        here.home.set_muted(False)
        await here.one.until(State.IDLE, within_s=5)
        await here.ask()
        await here.speaking()
        assert here.home.connections == 2


@pytest.mark.timeout(120)
async def test_trap_13_it_is_announced_when_it_answers_and_always_under_one_name(tmp_path: Path) -> None:
    """The program is started, ended and started again; who finds it over mDNS asks it at that moment."""
    config = tmp_path / "config.yaml"
    config.write_text(f"satellite: {{port: {free_port()}, name: attic, start: button}}\n")
    command = [sys.executable, "-m", "antiphon", "--config", str(config), "satellite"]
    (tmp_path / "theirs").mkdir()
    theirs, told = Mdns(tmp_path / "theirs"), asyncio.Queue[tuple[str, Found | None]]()
    ours = Mdns(tmp_path).instance("satellite")
    await theirs.start()
    theirs.browse(lambda name, found: told.put_nowait((name, found)) if name == ours else None)
    try:
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, "ANTIPHON_STATE": str(tmp_path)}, stderr=DEVNULL, stdin=DEVNULL
            )
            try:
                async with asyncio.timeout(40):
                    name, found = await told.get()
                    assert found is not None
                    info = await ask_info(found.uri)
                    assert info.satellite is not None
                    assert (info.satellite.name, info.satellite.installed) == ("attic", True)
                    process.terminate()
                    assert await told.get() == (name, None), "a goodbye"
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
    finally:
        await theirs.stop()


async def test_trap_14_it_is_back_at_the_same_address_at_once() -> None:
    """Home Assistant keeps the address it was given: a port that was free to choose, or still taken, loses it."""
    assert Settings().satellite.port == 10_700
    port = free_port()
    home = stand_in.SatelliteEntity(f"tcp://127.0.0.1:{port}", NOBODY, restart_s=0.3, again_s=0.5)
    serving_it = asyncio.create_task(home.serve())
    for number in (1, 2, 3):
        async with rig(port=port) as one:  # ended while it is driven: its connection lingers in the system
            assert one.port == port
            await one.until(State.IDLE, within_s=5)
            assert home.connections == number
    serving_it.cancel()
    await asyncio.gather(serving_it, return_exceptions=True)


async def test_trap_15_a_fresh_start_of_sound_flushes_what_was_queued(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        tone = (np.sin(np.arange(20 * 22_050) / 20) * 8000).astype("<i2").tobytes()
        form = {"rate": 22_050, "width": 2, "channels": 1}
        await here.home.send("audio-start", **form, timestamp=0)
        assert here.home._link is not None
        for start in range(0, len(tone), 2048):
            await here.home._link.send(
                stand_in.Event("audio-chunk", {**form, "timestamp": start // 44}, tone[start : start + 2048])
            )
        await asyncio.sleep(0.5)
        await here.home.send("audio-stop", timestamp=None)
        await here.home.send("audio-start", **form, timestamp=0)
        await here.home.send("audio-stop", timestamp=0)
        await here.idle(within_s=3)


async def test_silence_ends_as_nothing_heard_and_the_next_turn_works(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        here.one.satellite.press()
        await here.one.until(State.STREAMING)
        here.one.card.say(silence(1))
        await eventually(lambda: here.home.errors == ["stt-no-text-recognized"], 12)
        await here.idle()
        await here.ask()
        await here.speaking()
        await here.idle()


async def test_a_timer_of_home_assistant_rings_and_is_stopped(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        await here.home.send("timer-started", id="1", total_seconds=1, name=None)
        await here.home.send("timer-finished", id="1")
        await here.one.until(State.RINGING)
        here.one.satellite.press()
        await here.idle()


async def test_an_announcement_is_played_and_told(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        pcm = (np.sin(np.arange(22_050) / 20) * 8000).astype("<i2").tobytes()
        assert await here.home.announce(pcm)
        assert len(here.one.card.played) > RATE
        await here.idle()


async def test_home_assistant_restarts_in_the_middle_of_a_reply(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        await here.ask()
        await here.speaking()
        assert here.home._link is not None
        here.home._link.abort()
        await eventually(lambda: here.home.connections == 2, 5)
        await here.idle()
        await here.ask()
        await here.speaking()
        await here.idle()


async def test_a_daemon_killed_in_the_middle_of_an_utterance_costs_the_turn(voice: Synthesizer, say: Say) -> None:
    async with house(voice, say) as here:
        await here.ask()
        await asyncio.sleep(0.5)
        asr = here.servers["asr"]
        asr._wanted_port = asr.port
        await asr.stop()
        await eventually(lambda: here.home.errors == ["stt-stream-failed"], 5)
        await here.idle(within_s=2)
        await asr.start()
        await here.ask()
        await here.speaking()
        await here.idle()
        assert here.home.turns[-1].reply == REPLY


async def test_two_home_assistants_one_drives_and_the_other_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither has an id: they are told apart by their hosts."""
    host = ["10.0.0.1"]
    begin = Connection.__init__

    def from_host(self: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begin(self, reader, writer)
        self.host = host[0]

    monkeypatch.setattr(Connection, "__init__", from_host)
    async with rig() as one, AsyncExitStack() as first_one, AsyncExitStack() as second_one:
        first = await first_one.enter_async_context(one.controller(answer="One."))
        await one.until(State.IDLE)
        host[0] = "10.0.0.2"
        second = await second_one.enter_async_context(one.controller(answer="Two."))
        await second.expect("info")
        one.satellite.press()
        await first.expect("played", within_s=5)
        assert not second.of("run-pipeline")
        await one.until(State.IDLE)
        await second.sound(0.3)
        await second.expect("played")
        await first_one.aclose()
        await eventually(lambda: getattr(one.satellite.service.active, "name", "").startswith("10.0.0.2"))
        await one.until(State.IDLE)
        one.satellite.press()
        await second.expect("played", count=2, within_s=5)
        assert second.races == 0
