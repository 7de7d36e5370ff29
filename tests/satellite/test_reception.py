"""Which stream of sound is played, which is dropped, and who is told; the speaker is real, and asked for its sound."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, Eventable

from antiphon.audio.pcm import to_bytes
from antiphon_satellite import states
from antiphon_satellite.reception import Reception
from antiphon_satellite.service import Peer
from antiphon_satellite.sound.speaker import Speaker
from antiphon_satellite.streams import Stream

RATE = 24_000


class Line:
    """A connection that keeps what is sent."""

    name = "controller"

    def __init__(self) -> None:
        self.sent: list[Event] = []

    def send_nowait(self, event: Event | Eventable) -> None:
        self.sent.append(event if isinstance(event, Event) else event.event())


class Room:
    """A reception whose every stream that is welcome is played, as the satellite does at rest."""

    def __init__(self) -> None:
        self.told: list[states.Event] = []
        self.speaker = Speaker(lambda: None, rate=RATE, volume=100)
        self.reception = Reception(self.speaker, self._tell)

    def _tell(self, event: states.Event, stream: tuple[Peer, Stream] | None = None) -> None:
        self.told.append(event)
        if stream is not None:
            self.reception.play(stream)

    def receive(self, peer: Peer, event: Eventable, *, welcome: bool = True, at: float = 0.0) -> None:
        self.reception.receive(peer, event.event(), welcome=welcome, of_run=True, at=at)

    def sound(self, peer: Peer, level: float, *, at_ms: int = 0, ms: int = 100) -> None:
        """Let a part of a stream come."""
        pcm = to_bytes(np.full(RATE * ms // 1000, level, dtype=np.float32))
        self.receive(peer, AudioChunk(rate=RATE, width=2, channels=1, audio=pcm, timestamp=at_ms))

    def say(self, peer: Peer, level: float, *, welcome: bool = True, at: float = 0.0) -> None:
        """Let a whole stream of 100 ms come."""
        self.receive(peer, AudioStart(rate=RATE, width=2, channels=1, timestamp=0), welcome=welcome, at=at)
        self.sound(peer, level)
        self.receive(peer, AudioStop(timestamp=100))

    def plays(self, ms: int = 400) -> list[float]:
        """Return the levels that are heard within this, each once, without fades."""
        played = self.speaker.fill(RATE * ms // 1000) / 32768
        loud = [float(level) for level in played.round(2) if level > 0]
        return [
            level for at, level in enumerate(loud) if loud[at : at + 1200] == [level] * 1200 and level not in loud[:at]
        ]


def controller() -> tuple[Peer, Line]:
    line = Line()
    return Peer(cast(Any, line), cast(Any, None), 0), line


async def test_only_the_reply_of_the_run_that_was_interrupted_is_dropped() -> None:
    """The race: a run is interrupted before its reply begins, and the reply comes nevertheless."""
    room, (home, _) = Room(), controller()
    room.reception.new_run()
    room.say(home, 0.1)
    assert room.plays() == [0.1]
    room.reception.new_run()
    room.reception.drop_reply(home, until=30.0)
    room.say(home, 0.2)
    assert room.plays() == [], "nobody wants it any more"
    room.say(home, 0.3)
    assert room.plays() == [0.3], "that of the run after it"


async def test_what_is_left_of_a_reply_that_had_begun_costs_the_next_one_nothing() -> None:
    room, (home, _) = Room(), controller()
    room.reception.new_run()
    room.receive(home, AudioStart(rate=RATE, width=2, channels=1, timestamp=0))
    room.sound(home, 0.1)
    room.reception.drop_reply(home, until=30.0)
    room.speaker.flush()
    room.sound(home, 0.1, at_ms=100)
    room.plays()
    room.reception.new_run()
    room.say(home, 0.2)
    assert room.plays() == [0.2]


async def test_a_reply_that_is_not_owed_in_time_is_played() -> None:
    room, (home, _) = Room(), controller()
    room.reception.drop_reply(home, until=30.0)
    room.say(home, 0.2, at=30.0)
    assert room.plays() == [0.2]


@pytest.mark.parametrize("whole", [True, False])
async def test_a_reply_that_was_stopped_goes_on_with_what_came_meanwhile(whole: bool) -> None:
    room, (home, _) = Room(), controller()
    room.receive(home, AudioStart(rate=RATE, width=2, channels=1, timestamp=0))
    room.sound(home, 0.1)
    room.reception.shelve()
    room.plays()
    room.sound(home, 0.2, at_ms=100)
    if whole:
        room.receive(home, AudioStop(timestamp=200))
    assert room.plays() == [], "it is stopped"
    room.reception.resume(1.0)
    last = room.told[-1]
    assert isinstance(last, states.ReplyEnded if whole else states.Grew)
    assert last.left_s == pytest.approx(0.2)
    if not whole:
        room.receive(home, AudioStop(timestamp=200))
        assert isinstance(room.told[-1], states.ReplyEnded)
    assert room.plays() == [0.1, 0.2]


async def test_a_reply_that_begins_after_one_that_was_whole_is_not_taken_for_whole() -> None:
    room, (home, _) = Room(), controller()
    room.say(home, 0.1)
    room.plays()
    room.receive(home, AudioStart(rate=RATE, width=2, channels=1, timestamp=0))
    room.sound(home, 0.2)
    room.reception.shelve()
    room.reception.resume(1.0)
    assert isinstance(room.told[-1], states.Grew), "more of it may come"


async def test_what_was_forgotten_goes_on_no_more() -> None:
    room, (home, _) = Room(), controller()
    room.receive(home, AudioStart(rate=RATE, width=2, channels=1, timestamp=0))
    room.sound(home, 0.1)
    room.reception.shelve()
    room.plays()
    room.reception.forget()
    room.reception.drop_reply(home, until=0.0)
    room.sound(home, 0.2, at_ms=100)
    room.told.clear()
    room.reception.resume(1.0)
    assert (room.plays(), room.told) == ([], [])


async def test_a_sound_that_is_not_welcome_is_not_mixed_in_and_its_sender_does_not_wait() -> None:
    room, (home, first), (other, second) = Room(), controller(), controller()
    room.receive(home, AudioStart(rate=RATE, width=2, channels=1, timestamp=0))
    room.sound(home, 0.1)
    room.say(other, 0.2, welcome=False)
    assert [(event.type, event.data) for event in second.sent] == [("played", {"heard_ms": 0})]
    room.receive(home, AudioStop(timestamp=100))
    assert room.plays() == [0.1]
    room.reception.tell_played()
    room.reception.tell_played()
    assert [(event.type, event.data) for event in first.sent] == [("played", {"heard_ms": 100})], "once"
    assert len(second.sent) == 1
