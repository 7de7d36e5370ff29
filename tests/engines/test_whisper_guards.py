"""What Whisper invents, and what people say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings, Stt
from antiphon_daemon.engines.contracts import Work
from antiphon_daemon.engines.stt.guards import Heard, kept, looks_wrong, loudest_db, repetition, surely_spoken
from antiphon_daemon.engines.stt.whisper import Whisper
from antiphon_daemon.engines.work import Token

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


@pytest.mark.parametrize(
    "text",
    [
        "시청해 주셔서 감사합니다!",
        "오늘도 영상을 시청해주셔서 감사합니다.",
        "끝까지 시청해 주셔서 고맙습니다.",
        "구독해주셔서 감사합니다.",
        "구독과 좋아요, 알림 설정까지 부탁드려요.",
        "좋아요와 구독 눌러 주세요!",
        "구독 부탁드립니다.",
        "다음 영상에서 만나요.",
        "다음 시간에 또 만나요",
        "그럼 우리는 다음 시간에 다시 만나요.",
        "다음 영상에서 뵙겠습니다.",
        "MBC 뉴스 김성현입니다.",
        "지금까지 서울에서 KBS 뉴스 홍길동이었습니다.",
        "날씨였습니다.",
        "한글자막 by 한효정",
        "한글 자막 제공 및 광고를 포함하고 있습니다.",
        "자막 제공 배달의민족",
        "이 영상은 유료광고를 포함하고 있습니다.",
        "시청해주셔서 감사합니다. 구독과 좋아요 부탁드립니다. 다음 영상에서 만나요!",
        "시청해주셔서 감사합니다. 시청해주셔서 감사합니다.",
        "\u1109\u1175\u110e\u1165\u11bc\u1112\u1162\u110c\u116e\u1109\u1167\u1109\u1165 감사합니다.",
    ],
)
def test_what_whisper_invents_in_korean_falls_only_in_short_or_quiet_sound(text: str) -> None:
    heard = replace(SPOKEN, text=text)
    assert kept(heard, 1.2, -20) == ""
    assert kept(heard, 6.0, -45) == ""
    assert kept(heard, 6.0, -20)


@pytest.mark.parametrize(
    "text",
    [
        "좋아요.",
        "네, 감사합니다.",
        "고맙습니다.",
        "한글 자막 켜 줘.",
        "자막 꺼 줘.",
        "MBC 뉴스 틀어 줘.",
        "뉴스 틀어 줘.",
        "내일 날씨 알려 줘.",
        "구독 목록 보여 줘.",
        "유튜브 구독 취소해 줘.",
        "다음 노래.",
        "다음 시간에 알려 줘.",
        "들어 주셔서 감사합니다.",
        "계속.",
        "시청이 어디야?",
        "영상 틀어 줘.",
        "시청해주셔서 감사합니다. 이제 불 꺼 줘.",
    ],
)
def test_what_koreans_say_in_a_second_is_kept(text: str) -> None:
    assert kept(replace(SPOKEN, text=text), 1.0, -45) == text


@pytest.mark.parametrize("text", ["[음악]", "(박수)", "♪ 음악 ♪", "[BLANK_AUDIO]", "(웃음)", "*기침*"])
def test_a_sound_that_is_described_is_no_speech(text: str) -> None:
    assert kept(replace(SPOKEN, text=text), 5.0, -20) == ""


def test_a_long_invention_is_told_in_time() -> None:
    """Within the time limit of a test, where a pattern that tries every way is not."""
    for unit in ("구독", "좋아요 ", "오늘도 영상", "시청해 ", "a", "MBC 뉴스 "):
        assert kept(replace(SPOKEN, text=unit * 2000 + "끝"), 1.0, -50)


@pytest.mark.parametrize("text", ["Thank you.", "Okay.", "Bye.", "네.", "감사합니다.", "No, no.", "Are you there?"])
def test_short_answers_of_people_are_kept(text: str) -> None:
    assert kept(replace(SPOKEN, text=text), 0.7, -20) == text


def test_doubt_about_speech_needs_a_low_probability_too() -> None:
    doubtful = replace(SPOKEN, no_speech_prob=0.9)
    assert kept(doubtful, 3, -20)
    assert looks_wrong(doubtful)
    assert kept(replace(doubtful, avg_logprob=-1.3), 3, -20) == ""


@pytest.mark.parametrize(
    ("change", "sure"),
    [
        ({}, True),
        ({"text": "The light."}, False),
        ({"avg_logprob": -0.7}, False),
        ({"text": "Thank you so much for watching!"}, False),
        ({"compression_ratio": 3.0}, False),
        ({"complete": False}, False),
        ({"text": "Go on, please. Go on, please."}, False),
    ],
)
def test_only_answers_that_leave_a_doubt_cost_the_question_whether_anybody_spoke(
    change: dict[str, Any], sure: bool
) -> None:
    assert surely_spoken(replace(SPOKEN, **change)) is sure


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


class Read(Whisper):
    """Notes what it is to read before an utterance."""

    def __init__(self, *hints: str) -> None:
        super().__init__("read", "nothing", ("en",), hints)
        self.before: list[str] = []

    def _features(self, audio: Samples) -> Any:
        return None

    def _window(
        self, features: Any, duration_s: float, window_s: float, language: str | None, hints: str, work: Work
    ) -> tuple[str, Heard]:
        self.before.append(hints)
        return "en", SPOKEN


async def test_hints_change_while_it_runs() -> None:
    read, sound = Read("Antiphon"), np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    await read.transcribe(sound, Token(), language="en", hints=["Seo-yeon"])
    read.follow(Settings(stt=Stt(hints=["Busan"])))
    await read.transcribe(sound, Token(), language="en", hints=["Seo-yeon"])
    assert (read.before[0], read.before[-1]) == ("Antiphon, Seo-yeon.", "Busan, Seo-yeon.")
    await read.close()
