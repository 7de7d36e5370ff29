"""The satellite over real TCP, as a controller sees it. Only the sound card is stood in for; it keeps real time."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import pytest
from satellite_rig import QUIET, Controller, eventually, loudest, pitch_level, rig
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import Info

from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.wire.link import ask_info, open_link
from antiphon_satellite import service
from antiphon_satellite.sound.devices import Presence
from antiphon_satellite.states import Limits, State


def tone(seconds: float, pitch_hz: float = 300.0) -> Samples:
    wave: Samples = (0.4 * np.sin(2 * np.pi * pitch_hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)
    return wave


async def test_it_describes_itself_to_anybody_while_a_controller_drives_it() -> None:
    async with rig(start="wake", area="Kitchen") as one, one.controller():
        await one.until(State.IDLE)
        info: Info = await ask_info(f"tcp://127.0.0.1:{one.port}")
        assert info.satellite is not None
        assert (info.satellite.name, info.satellite.area, info.satellite.installed) == ("kitchen", "Kitchen", True)
        assert info.satellite.active_wake_words == ["okay_nabu"]
        assert [model.phrase for model in info.wake[0].models] == ["Okay Nabu"]
        assert [info.asr, info.tts, info.handle] == [[], [], []]


async def test_a_turn_button_speech_reply_played() -> None:
    async with rig() as one, one.controller(answer="It is noon.") as home:
        await one.until(State.IDLE)
        one.card.say(tone(1.0))
        one.satellite.press()
        await home.expect("played", within_s=4)
        await one.until(State.IDLE)
        assert home.kinds == ["run-pipeline", "audio-stop", "played"]
        run = home.of("run-pipeline")[0].data
        assert (run["start_stage"], run["end_stage"]) == ("asr", "tts")
        assert loudest(home.heard[0]) > 0.3
        assert home.of("played")[0].data["heard_ms"] == pytest.approx(300, abs=60)
        assert pitch_level(one.card.played, 440) > 0.1


async def test_played_is_told_after_the_device_has_played_it() -> None:
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        started = asyncio.get_running_loop().time()
        await home.sound(1.0)
        await home.expect("played")
        assert asyncio.get_running_loop().time() - started > 1.0
        assert home.of("played")[0].data["heard_ms"] == pytest.approx(1000, abs=60)


async def test_a_long_reply_is_read_as_fast_as_it_comes_and_pings_are_answered_meanwhile() -> None:
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await home.sound(60.0)
        await home.link.send(Event("ping", {"text": "after"}))
        await eventually(lambda: any(event.data.get("text") == "after" for event in home.of("pong")), 5)
        assert loop.time() - started < 5
        await one.until(State.ANNOUNCING)
        await eventually(lambda: one.satellite.speaker.left_s > 50)
        assert one.satellite.speaker.left_s < 61


async def test_a_question_is_answered_without_a_wake_word_and_without_detection() -> None:
    async with rig() as one, one.controller(answer="Which room?") as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await one.until(State.LISTENING, within_s=4)
        one.satellite.spoke(one.satellite.microphone.position)
        await home.expect("run-pipeline", 2)
        assert "detection" not in home.kinds
        assert home.races == 0


async def test_nobody_answers_and_no_run_is_opened() -> None:
    async with rig() as one, one.controller(answer="Which room?") as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await one.until(State.LISTENING, within_s=4)
        await one.until(State.IDLE, within_s=QUIET.follow_up_s + 1)
        assert len(home.of("run-pipeline")) == 1


async def test_the_run_end_race_an_interruption_while_the_run_lives_loses_no_sound() -> None:
    """Race: Home Assistant drops every chunk of a run that was asked for before the one before was over."""
    async with rig() as one, one.controller(answer="A long story.", think_s=1.0, reply_s=2.0) as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await one.until(State.THINKING)
        one.card.say(tone(1.5))
        one.satellite.press()
        await one.until(State.HOLDING)
        assert len(home.of("run-pipeline")) == 1
        await home.expect("run-pipeline", 2)
        await eventually(lambda: len(home.heard[-1]) > RATE * 2)
        assert home.races == 0
        assert home.lost_chunks == 0
        assert loudest(home.heard[1][: RATE * 2]) > 0.3, "what was said while the old run lived is heard"


async def test_the_interrupted_reply_is_dropped_and_the_new_one_is_heard() -> None:
    """Race: Home Assistant still sends the reply that was interrupted, after the new run has begun."""
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await home.expect("run-pipeline")
        await home.transcript("tell me a story")
        await home.synthesize("Once upon a time.")
        await one.until(State.THINKING)
        one.satellite.press()
        await home.expect("run-pipeline", 2)
        await home.sound(0.4, pitch_hz=1000.0)  # the old one, late
        await home.transcript("stop")
        await home.synthesize("All right.")
        await home.sound(0.4, pitch_hz=600.0)
        await home.expect("played")
        assert pitch_level(one.card.played, 1000) < 0.02
        assert pitch_level(one.card.played, 600) > 0.1
        assert len(home.of("played")) == 1


async def test_an_interruption_silences_the_speaker_at_once_and_tells_what_was_heard() -> None:
    async with rig() as one, one.controller(answer="A long story.", reply_s=10.0) as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await one.until(State.SPEAKING)
        await asyncio.sleep(0.5)
        one.satellite.press()
        await home.expect("played")
        await home.expect("run-pipeline", 2)
        assert 200 < home.of("played")[0].data["heard_ms"] < 800
        await asyncio.sleep(0.3)
        assert pitch_level(one.card.played[-2400:], 440) < 0.01
        assert home.races == 0


async def test_a_new_audio_start_flushes_what_is_queued() -> None:
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        await home.sound(20.0, pitch_hz=1000.0)
        await home.sound(0.3, pitch_hz=600.0)
        await home.expect("played", within_s=3)
        assert pitch_level(one.card.played, 600) > 0.1


async def test_an_error_ends_the_turn_with_a_cue_and_the_next_turn_works() -> None:
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await home.expect("run-pipeline")
        await home.error("stt-stream-failed")
        await one.until(State.IDLE)
        await asyncio.sleep(0.5)
        assert float(np.max(np.abs(one.card.played))) > 0.02
        one.satellite.press()
        await home.expect("run-pipeline", 2)
        assert home.races == 0


async def test_a_controller_that_falls_silent_in_a_turn_costs_the_turn_not_the_satellite() -> None:
    limits = Limits(stream_s=0.3, transcript_s=0.3)
    async with rig(limits) as one:
        async with one.controller() as home:
            await one.until(State.IDLE)
            one.satellite.press()
            await home.expect("audio-stop")
            await one.until(State.DISCONNECTED)
        async with one.controller(answer="Yes.") as again:
            await one.until(State.IDLE)
            one.satellite.press()
            await again.expect("run-pipeline")


async def test_pausing_mutes_until_the_same_controller_is_back() -> None:
    async with rig() as one:
        async with one.controller() as home:
            await one.until(State.IDLE)
            await home.link.send(Event("pause-satellite"))
            await one.until(State.MUTED)
        async with one.controller("antiphon/daemon"):
            await asyncio.sleep(0.3)
            assert one.satellite.state is State.MUTED, "another controller does not lift a mute"
            async with one.controller():
                await one.until(State.IDLE)


async def test_muted_and_unmuted_at_once_it_is_not_left_muted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Home Assistant notices its mute switch at the satellite's next event: off again by then, nothing was the matter.

    It does not connect again, as it does after a longer mute, but goes on to ping. One ping alone may be a late one.
    """
    monkeypatch.setattr(service, "LOOK_S", 0.1)
    async with rig() as one, await open_link(f"tcp://127.0.0.1:{one.port}") as home:
        await home.send(Event("run-satellite"))
        await home.send(Event("ping", {"text": None}))
        await one.until(State.IDLE)
        await home.send(Event("pause-satellite"))
        await one.until(State.MUTED)
        await home.send(Event("ping", {"text": None}))
        await asyncio.sleep(0.5)
        assert one.satellite.state is State.MUTED
        await home.send(Event("ping", {"text": None}))
        await one.until(State.IDLE)


async def test_two_controllers_one_drives_the_other_waits_and_takes_over() -> None:
    async with rig() as one, one.controller("antiphon/daemon", answer="Yes.") as daemon:
        await one.until(State.IDLE)
        await daemon.expect("user-event")
        async with one.controller(answer="No.") as home:
            await eventually(lambda: daemon.of("user-event")[-1].data["data"] == {"active": False})
            one.satellite.press()
            await home.expect("run-pipeline")
            await home.expect("played", within_s=4)
            assert not daemon.of("run-pipeline")
            await eventually(lambda: len(daemon.of("pong")) > 0)
            await daemon.sound(0.3)
            await daemon.expect("played")
        await eventually(lambda: daemon.of("user-event")[-1].data["data"] == {"active": True})
        one.satellite.press()
        await daemon.expect("run-pipeline")


async def test_nobody_takes_over_in_the_middle_of_a_turn() -> None:
    async with rig() as one, one.controller("antiphon/daemon") as daemon:
        await one.until(State.IDLE)
        one.satellite.press()
        await daemon.expect("run-pipeline")
        async with one.controller() as home:
            await asyncio.sleep(0.2)
            assert one.satellite.service.active is not None
            assert one.satellite.service.active.ours
            await home.sound(0.2)
            await home.expect("played")
            assert one.satellite.state is State.STREAMING, "what a waiting controller sends is not played in a turn"
            await daemon.error("stt-failed")
            await eventually(lambda: one.satellite.service.active is not None and not one.satellite.service.active.ours)


async def test_the_same_controller_replaces_its_half_open_connection() -> None:
    async with rig() as one:
        old = await open_link(f"tcp://127.0.0.1:{one.port}")
        await old.send(Event("run-satellite"))
        await one.until(State.IDLE)
        async with one.controller(answer="Yes.") as home:
            await asyncio.sleep(0.2)
            one.satellite.press()
            await home.expect("run-pipeline")
        await old.close()


async def test_a_controller_that_goes_without_a_word_is_given_up_unless_it_muted_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, seconds in (("QUIET_S", 0.3), ("DEAD_S", 0.8), ("LOOK_S", 0.1)):
        monkeypatch.setattr(service, name, seconds)
    async with rig() as one:
        silent = await open_link(f"tcp://127.0.0.1:{one.port}")
        await silent.send(Event("run-satellite"))
        await one.until(State.IDLE)
        assert (await silent.receive(2.0)).type == "ping", "it is asked first"
        await one.until(State.DISCONNECTED)
        await silent.close()
        muting = await open_link(f"tcp://127.0.0.1:{one.port}")
        await muting.send(Event("run-satellite"))
        await muting.send(Event("pause-satellite"))
        await one.until(State.MUTED)
        await asyncio.sleep(1.2)
        assert one.satellite.service.active is not None
        await muting.close()


async def test_losing_the_controller_in_a_turn_sounds_and_ends_it() -> None:
    async with rig() as one:
        async with one.controller() as home:
            await one.until(State.IDLE)
            one.satellite.press()
            await home.expect("run-pipeline")
        await one.until(State.DISCONNECTED)
        await asyncio.sleep(0.5)
        assert float(np.max(np.abs(one.card.played))) > 0.02


async def test_losing_the_sound_device_ends_the_turn() -> None:
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await home.expect("run-pipeline")
        one.satellite.sound_changed(Presence.MISSING, "unplugged")
        await home.expect("audio-stop")
        await one.until(State.IDLE)


async def test_a_timer_rings_when_the_turn_is_over_until_the_button() -> None:
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await home.expect("run-pipeline")
        await home.link.send(Event("timer-finished", {"id": "tea"}))
        await asyncio.sleep(0.1)
        assert one.satellite.state is State.STREAMING
        await home.error("duplicate_wake_up_detected")
        await one.until(State.RINGING)
        one.satellite.press()
        await one.until(State.IDLE)


async def test_extras_of_the_active_controller_volume_mute_flush() -> None:
    async with rig() as one, one.controller("antiphon/daemon") as daemon:
        await one.until(State.IDLE)
        await daemon.extra("antiphon.volume", percent=15)
        await eventually(lambda: one.satellite.speaker.volume == 15)
        await daemon.extra("antiphon.volume", percent="loud")
        await daemon.extra("antiphon.mute", on=True)
        await one.until(State.MUTED)
        assert one.satellite.speaker.volume == 15
        await daemon.extra("antiphon.mute", on=False)
        await one.until(State.IDLE)
        await daemon.sound(5.0)
        await one.until(State.ANNOUNCING)
        await daemon.extra("antiphon.flush")
        await daemon.expect("played")
        await one.until(State.IDLE)


async def test_our_daemon_is_asked_to_cut_its_run_when_it_is_interrupted() -> None:
    async with rig() as one, one.controller("antiphon/daemon") as daemon:
        await one.until(State.IDLE)
        one.satellite.press()
        await daemon.expect("run-pipeline")
        await daemon.transcript("hm")
        await one.until(State.THINKING)
        one.satellite.press()
        await eventually(lambda: daemon.of("user-event")[-1].data["name"] == "antiphon.cut")
        await daemon.error("interrupted")
        await daemon.expect("run-pipeline", 2)
        assert daemon.races == 0


async def test_sound_in_an_impossible_format_is_refused_and_harms_nothing() -> None:
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        await home.link.send(Event("audio-start", {"rate": 1, "width": 9, "channels": 0}))
        await home.link.send(Event("audio-chunk", {"rate": 1, "width": 9, "channels": 0}, b"x" * 10))
        await home.expect("error")
        await home.link.send(Event("audio-stop", {}))
        await one.until(State.IDLE)
        assert isinstance(home, Controller)


async def test_a_device_of_another_rate_in_the_middle_of_a_reply_plays_it_at_its_pitch() -> None:
    second = to_bytes(np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050).astype(np.float32) * 0.5)
    async with rig() as one, one.controller() as home:
        await one.until(State.IDLE)
        one.satellite.press()
        await home.expect("run-pipeline")
        await home.transcript("a story")
        await home.synthesize("once upon a time")
        await home.link.send(AudioStart(rate=22_050, width=2, channels=1, timestamp=0))
        await home.link.send(AudioChunk(rate=22_050, width=2, channels=1, audio=second, timestamp=0))
        await one.until(State.SPEAKING)
        one.satellite.speaker.opened(48_000, 0.0)
        before = len(one.card.played)
        await home.link.send(AudioChunk(rate=22_050, width=2, channels=1, audio=second, timestamp=1000))
        await home.link.send(AudioStop(timestamp=2000))
        await home.expect("played", within_s=6)
        played = one.card.played[before:]
        assert pitch_level(played, 440, rate=48_000) > 0.1
        assert pitch_level(played, 880, rate=48_000) < 0.02
        assert home.of("played")[0].data["heard_ms"] == pytest.approx(2000, abs=60)


async def test_home_assistant_lifts_its_mute_from_another_address_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says `pause-satellite` when it stops, and may come back with another address, or on another machine."""
    async with rig() as one:
        async with one.controller() as home:
            await one.until(State.IDLE)
            await home.link.send(Event("pause-satellite"))
            await one.until(State.MUTED)
        moved = partial(asyncio.open_connection, local_addr=("127.0.0.2", 0))
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "open_connection", moved)
            link = await open_link(f"tcp://127.0.0.1:{one.port}")
        await link.send(Event("run-satellite"))
        await one.until(State.IDLE)
        await link.close()


async def test_two_entries_of_one_home_assistant_do_not_fight() -> None:
    async with rig() as one, one.controller() as first:
        await one.until(State.IDLE)
        await first.expect("pong")
        async with one.controller() as second:
            await second.expect("pong")
            await asyncio.sleep(0.3)
            await first.link.send(Event("ping", {"text": "still here"}))
            await eventually(lambda: any(e.data.get("text") == "still here" for e in first.of("pong")))
