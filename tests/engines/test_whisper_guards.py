"""What Whisper invents, and what people say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from antiphon_daemon.engines.stt.guards import Heard, kept, looks_wrong, loudest_db, repetition

SPOKEN = Heard("Turn on the light.", -0.2, 0.05, 0.8, 6, True, 10.0)


def test_what_was_spoken_is_kept() -> None:
    assert kept(SPOKEN, 1.5, -20) == "Turn on the light."
    assert not looks_wrong(SPOKEN)


@pytest.mark.parametrize(
    "text",
    [
        "you",
        "Thank you for watching!",
        "Thanks for watching and don't forget to subscribe.",
        "시청해주셔서 감사합니다.",
        "MBC 뉴스 이덕영입니다.",
        "구독과 좋아요 부탁드립니다.",
        "ご視聴ありがとうございました。",
    ],
)
def test_known_inventions_fall_only_in_short_or_quiet_sound(text: str) -> None:
    heard = replace(SPOKEN, text=text)
    assert kept(heard, 0.7, -20) == ""
    assert kept(heard, 5.0, -50) == ""
    assert kept(heard, 5.0, -20) == text


@pytest.mark.parametrize("text", ["Thank you.", "Okay.", "Bye.", "네.", "감사합니다.", "No, no.", "Are you there?"])
def test_short_answers_of_people_are_kept(text: str) -> None:
    assert kept(replace(SPOKEN, text=text), 0.7, -20) == text


def test_doubt_about_speech_needs_a_low_probability_too() -> None:
    doubtful = replace(SPOKEN, no_speech_prob=0.9)
    assert kept(doubtful, 3, -20)
    assert looks_wrong(doubtful)
    assert kept(replace(doubtful, avg_logprob=-1.3), 3, -20) == ""


def test_a_circle_is_gone_round_once() -> None:
    circle = replace(SPOKEN, text="Pause the music. " * 9 + "Pause the", compression_ratio=3.0, tokens=40)
    assert looks_wrong(circle)
    assert kept(circle, 2.5, -20) == "Pause the music."
    assert kept(replace(circle, no_speech_prob=0.9), 2.5, -20) == ""


def test_what_a_person_says_twice_is_kept_twice() -> None:
    assert kept(replace(SPOKEN, text="Stop, stop, stop!"), 1.5, -20) == "Stop, stop, stop!"
    patient = replace(SPOKEN, text="Go on. " * 8, compression_ratio=3.0, tokens=24)
    assert kept(patient, 9, -20) == patient.text


@pytest.mark.parametrize("text", [".", "...", "♪ ♪", ""])
def test_marks_alone_are_nothing(text: str) -> None:
    assert kept(replace(SPOKEN, text=text), 3, -20) == ""


def test_repetition_finds_the_shortest_round() -> None:
    assert repetition("a b a b a") == ("a b", 2)
    assert repetition("one two three") == ("one two three", 1)
    assert repetition("") == ("", 1)


def test_the_loudest_frame_counts() -> None:
    sound = np.zeros(16_000, dtype=np.float32)
    sound[8000:8480] = 0.5
    assert -8 < loudest_db(sound) < -5
    assert loudest_db(sound[:100]) == -120
