"""What a session costs in which nobody speaks: the voice activity model rests in a quiet room."""

from __future__ import annotations

import numpy as np

from antiphon.audio.pcm import RATE, Samples
from antiphon.audio.vad import REST_FRAMES, SpeechBegan
from antiphon_daemon.conversation.listening import Listening

BLOCK = RATE // 50
QUIET = 10 ** (-62 / 20)


class Counting:
    """Takes what is loud for speech, and counts what it is asked."""

    asked = 0

    def probability(self, frame: Samples) -> float:
        self.asked += 1
        return float(np.abs(frame).max() > 0.05)

    def reset(self) -> None: ...


class Room:
    """A microphone that stays open, whose stream is opened anew every eight seconds, as turns without speech are."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.judge = Counting()
        self.listening = Listening(self.judge, lambda: self.now_s)
        self._draw = np.random.default_rng(1)

    def hear(self, seconds: float, level: float = QUIET) -> list[object]:
        happened: list[object] = []
        for _ in range(round(seconds * RATE / BLOCK)):
            self.now_s += BLOCK / RATE
            happened += self.listening.feed((level * self._draw.standard_normal(BLOCK)).astype(np.float32))
        return happened


def test_in_a_quiet_room_nothing_is_asked_although_the_stream_is_opened_anew() -> None:
    room = Room()
    for _ in range(5):
        room.listening.open()
        room.hear(8)
    assert room.judge.asked < REST_FRAMES


def test_speech_at_the_very_beginning_of_such_a_stream_is_heard() -> None:
    room = Room()
    room.listening.open()
    room.hear(8)
    room.listening.open()
    assert [type(one) for one in room.hear(0.5, 0.2)] == [SpeechBegan]


def test_a_microphone_that_was_closed_is_listened_to_anew() -> None:
    room = Room()
    room.listening.open()
    room.hear(8)
    before = room.judge.asked
    room.now_s += 1
    room.listening.open()
    room.hear(1)
    assert room.judge.asked > before + 20
