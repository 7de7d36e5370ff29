"""Skills on the wire: what a satellite is sent when timers and volume are talked about on it."""

from __future__ import annotations

import asyncio
import re

import pytest
from scripted import Ears, Script, quick
from speech import Say
from wyoming.audio import AudioStop
from wyoming.event import Event
from wyoming.handle import Handled
from wyoming.snd import Played

from antiphon.wire.link import open_link
from antiphon_daemon import satellites
from antiphon_daemon.engines.contracts import Synthesizer

from .conftest import Running
from .test_satellites import RUN, StandIn, house
from .test_services import events_until, send_all


async def turn(satellite: StandIn, ears: Ears, say: Say, text: str) -> list[Event]:
    """Let the satellite's user say `text`; return what the satellite is sent until the run is over."""
    ears.text = text
    satellite.send(RUN)
    satellite.say(say("Hello."))
    satellite.send(AudioStop().event())
    events = await satellite.until("synthesize", "error")
    if events[-1].type == "synthesize":
        events += await satellite.until("audio-stop")
        satellite.send(Played().event())
    return [event for event in events if event.type != "audio-chunk"]


def said(events: list[Event]) -> str | None:
    return next((event.data["text"] for event in events if event.type == "synthesize"), None)


def timer_events(events: list[Event]) -> list[Event]:
    return [event for event in events if event.type.startswith("timer-")]


def extras(events: list[Event]) -> list[tuple[str, object]]:
    return [(event.data["name"], event.data["data"]) for event in events if event.type == "user-event"]


async def test_a_timer_is_set_asked_about_changed_and_cancelled(voice: Synthesizer, say: Say) -> None:
    ears = Ears()
    async with house(voice, Script(quick), ears=ears) as satellite:
        events = await turn(satellite, ears, say, "Set a pasta timer for ten minutes.")
        (started,) = timer_events(events)
        assert started.type == "timer-started"
        assert (started.data["total_seconds"], started.data["name"]) == (600, "pasta")
        kinds = [event.type for event in events]
        assert kinds.index("timer-started") < kinds.index("audio-start")
        assert said(events) == "The pasta timer is set for 10 minutes."
        events = await turn(satellite, ears, say, "How long is left?")
        assert timer_events(events) == []
        assert re.fullmatch(r"The pasta timer has (10 minutes|9 minutes and \d\d seconds) left\.", str(said(events)))
        (updated,) = timer_events(await turn(satellite, ears, say, "Add five minutes."))
        assert (updated.data["id"], updated.data["is_active"]) == (started.data["id"], True)
        assert 850 < updated.data["total_seconds"] <= 900
        (paused,) = timer_events(await turn(satellite, ears, say, "Pause it."))
        assert (paused.type, paused.data["is_active"]) == ("timer-updated", False)
        (cancelled,) = timer_events(await turn(satellite, ears, say, "Cancel it."))
        assert (cancelled.type, cancelled.data) == ("timer-cancelled", {"id": started.data["id"]})


async def test_a_timer_rings_and_is_stopped(voice: Synthesizer, say: Say) -> None:
    ears = Ears()
    async with house(voice, Script(quick), ears=ears) as satellite:
        (started,) = timer_events(await turn(satellite, ears, say, "Set a timer for one second."))
        finished = (await satellite.until("timer-finished"))[-1]
        assert finished.data == {"id": started.data["id"]}
        events = await turn(satellite, ears, say, "Stop.")
        assert said(events) is None
        assert events[-1].data["code"] == "interrupted", "a run in which nothing is said ends like one that was cut"
        (cancelled,) = timer_events(events)
        assert (cancelled.type, cancelled.data) == ("timer-cancelled", {"id": started.data["id"]})
        assert extras(await satellite.until("user-event")) == [("antiphon.flush", {})]


async def test_a_timer_outlives_a_lost_connection_and_rings_when_the_satellite_is_back(
    voice: Synthesizer, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(satellites, "BACKOFF_S", (2.0,))
    ears = Ears()
    async with house(voice, Script(quick), ears=ears) as satellite:
        (started,) = timer_events(await turn(satellite, ears, say, "Set a timer for one second."))
        satellite.vanish()
        await satellite.driven(2)
        assert (await satellite.until("timer-finished"))[-1].data == {"id": started.data["id"]}


async def test_silence_is_kept(voice: Synthesizer, say: Say) -> None:
    ears = Ears()
    async with house(voice, Script(quick), ears=ears) as satellite:
        for text in ("Stop.", "Never mind.", "됐어"):
            events = await turn(satellite, ears, say, text)
            assert [event.type for event in events][-2:] == ["transcript", "error"]
            assert events[-1].data["code"] == "interrupted"
        assert said(await turn(satellite, ears, say, "Is it fine?")) == "It is fine.", "the next turn is as ever"


async def test_volume_and_microphone(voice: Synthesizer, say: Say) -> None:
    ears = Ears()
    async with house(voice, Script(quick), ears=ears) as satellite:
        events = await turn(satellite, ears, say, "Turn it up.")
        assert said(events) == "I don't know how loud it is here."
        satellite.send(Event("user-event", {"name": "antiphon.volume", "data": {"percent": 40}}))
        events = await turn(satellite, ears, say, "Turn it up.")
        assert said(events) == "Volume 50 percent."
        assert extras(events) == [("antiphon.volume", {"percent": 50})]
        assert extras(await turn(satellite, ears, say, "Mute.")) == [("antiphon.volume", {"percent": 0})]
        assert extras(await turn(satellite, ears, say, "Unmute.")) == [("antiphon.volume", {"percent": 50})]
        assert extras(await turn(satellite, ears, say, "Stop listening.")) == [("antiphon.mute", {"on": True})]


async def test_a_satellite_that_tells_nonsense_of_its_volume(voice: Synthesizer, say: Say) -> None:
    ears = Ears()
    async with house(voice, Script(quick), ears=ears) as satellite:
        for wrong in ("loud", True, None, [], 4.5):
            satellite.send(Event("user-event", {"name": "antiphon.volume", "data": {"percent": wrong}}))
        satellite.send(Event("user-event", {"name": "antiphon.volume", "data": 7}))
        assert said(await turn(satellite, ears, say, "Turn it up.")) == "I don't know how loud it is here."
        satellite.send(Event("user-event", {"name": "antiphon.volume", "data": {"percent": 1000}}))
        assert said(await turn(satellite, ears, say, "Turn it up.")) == "It is at its loudest."


@pytest.mark.parametrize(
    ("text", "language", "answered"),
    [
        ("Set a timer for ten minutes.", "en", "I can't ring here, so I set no timer."),
        ("십 분 타이머 맞춰 줘", "ko", "여기서는 울릴 수 없어서 타이머를 맞추지 않았어요."),
        ("Never mind.", "en", "Okay."),
        ("그만", "ko", "네."),
        ("다시 말해 줘", "ko", "아직 아무 말도 하지 않았어요."),
    ],
)
async def test_conversation_requests_of_others(daemon: Running, text: str, language: str, answered: str) -> None:
    from wyoming.asr import Transcript

    async with asyncio.timeout(30), await open_link(daemon.uri("handle")) as link:
        await send_all(link, Transcript(text=text, language=language))
        events = await events_until(link, "handled", "not-handled", "error")
        assert Handled.from_event(events[-1]).text == answered
