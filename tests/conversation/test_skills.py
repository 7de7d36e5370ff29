"""What skills answer, where, and that they do nothing before they are told to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from num2words import num2words

from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation.skills import NOWHERE, Answer, Place, Timers, korean, match
from antiphon_daemon.conversation.skills.sentences import languages, requests
from antiphon_daemon.conversation.skills.talk import Scene, Talk


class Hands:
    """Keeps what was to be done."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def set_volume(self, percent: int) -> None:
        self.done.append(percent)

    def stop_listening(self) -> None:
        self.done.append("mute")

    def calm(self) -> None:
        self.done.append("calm")


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    timers = Timers(lambda: 1000.0)
    yield Place(timers, Hands(), volume=50)
    timers.close()


def answer(text: str, place: Place = NOWHERE, language: str = "en", last: str | None = None) -> Answer:
    found = match(text, language, place, last)
    assert found is not None
    return found


def done(text: str, place: Place, language: str = "en", last: str | None = None) -> str:
    """Say something, have it done, and return what is answered."""
    found = answer(text, place, language, last)
    found.commit()
    return found.text


def left(place: Place) -> list[tuple[str | None, int]]:
    assert place.timers is not None
    return [(timer.name, place.timers.left_s(timer)) for timer in place.timers.set]


def hands(place: Place) -> list[object]:
    assert isinstance(place.hands, Hands)
    return place.hands.done


async def test_a_timer_from_its_setting_to_its_end(place: Place) -> None:
    assert done("Set a timer for ten minutes.", place) == "Timer set for 10 minutes."
    assert done("How long is left?", place) == "10 minutes left."
    assert done("Add five minutes.", place) == "The timer has 15 minutes now."
    assert done("Take two and a half minutes off the timer.", place) == "The timer has 12 minutes and 30 seconds now."
    assert done("Change the timer to one hour.", place) == "The timer has 1 hour now."
    assert done("Pause it.", place) == "The timer is paused, with 1 hour left."
    assert done("How long is left?", place) == "The timer is paused, with 1 hour left."
    assert done("Pause the timer.", place) == "It is paused already, with 1 hour left."
    assert done("Resume.", place) == "The timer goes on, with 1 hour left."
    assert done("Cancel it.", place) == "The timer is cancelled."
    assert left(place) == []


async def test_a_timer_in_korean(place: Place) -> None:
    assert done("십 분 타이머 맞춰 줘", place, "ko") == "10분 타이머를 맞췄어요."
    assert done("얼마나 남았어?", place, "ko") == "10분 남았어요."
    assert done("5분 추가해 줘", place, "ko") == "이제 15분 남았어요."
    assert done("타이머 일시정지해 줘", place, "ko") == "15분 남기고 타이머를 멈췄어요."
    assert done("타이머 다시 시작해 줘", place, "ko") == "타이머를 다시 시작했어요. 15분 남았어요."
    assert done("취소해 줘", place, "ko") == "타이머를 취소했어요."
    assert done("타이머 취소해 줘", place, "ko") == "맞춰 둔 타이머가 없어요."


def test_every_number_in_korean_words_is_a_length() -> None:
    words = {number: num2words(number, lang="ko") for number in range(1, korean.LARGEST + 1)}
    wrong = [word for number, word in words.items() if korean.lengths(f"{word}초") != f"{number}초"]
    assert wrong == []
    assert korean.lengths("한시간이십삼분") == f"{3600 + 23 * 60}초"
    assert korean.plain("볼륨 팔십 퍼센트로") == "볼륨80퍼센트로"


async def test_an_answer_is_in_the_language_of_the_sentence(place: Place) -> None:
    assert done("십 분 타이머 맞춰 줘", place, "en") == "10분 타이머를 맞췄어요."
    assert done("How long is left?", place, "ko") == "10 minutes left."
    spoken = match("얼마나 남았어?", "en", place, answer_in=lambda asked: "en")
    assert spoken is not None
    assert (spoken.text, spoken.language) == ("10 minutes left.", "en"), "in case no voice speaks Korean"


async def test_nothing_is_done_before_the_turn_is_over(place: Place) -> None:
    for text in ("Set a timer for ten minutes.", "십 분 타이머 맞춰 줘", "Turn it up.", "Mute.", "Stop listening."):
        answer(text, place)
    assert left(place) == []
    assert hands(place) == []
    assert place.volume == 50


async def test_what_was_done_is_taken_back_when_the_turn_goes_on(place: Place) -> None:
    undo = answer("Set a timer for ten minutes.", place).commit()
    assert undo is not None
    assert left(place) == [(None, 600)]
    undo()
    assert left(place) == []
    done("Set a timer for ten minutes.", place)
    for text in ("Cancel it.", "Cancel all timers.", "Add five minutes.", "Pause it.", "Volume 80 percent.", "Mute."):
        undo = answer(text, place).commit()
        assert undo is not None, text
        undo()
        assert left(place) == [(None, 600)], text
        assert place.volume == 50, text
    assert done("How long is left?", place) == "10 minutes left."


async def test_several_timers_are_told_apart(place: Place) -> None:
    done("Set a pasta timer for nine minutes.", place)
    done("Set a timer for 20 minutes.", place)
    assert done("How long is left?", place) == (
        "The pasta timer has 9 minutes left, and the 20 minute timer has 20 minutes left."
    )
    assert done("Cancel the timer.", place) == "There are several timers: pasta, 20 minute. Say which one."
    assert done("How long is left on the pasta timer?", place) == "The pasta timer has 9 minutes left."
    assert done("How long is left on the pizza timer?", place) == "There is no pizza timer."
    assert done("Pause the pasta timer.", place) == "The pasta timer is paused, with 9 minutes left."
    assert done("Resume the timer.", place) == "The pasta timer goes on, with 9 minutes left.", "only one is paused"
    assert done("Cancel the 20 minute timer.", place) == "The 20 minute timer is cancelled."
    assert left(place) == [("pasta", 540)]
    done("Set a timer for 20 minutes.", place)
    assert done("Cancel all timers.", place) == "All 2 timers are cancelled."
    assert left(place) == []


async def test_what_means_a_timer_only_where_there_is_one(place: Place) -> None:
    for text in ("How long is left?", "Cancel it.", "Add five minutes.", "Pause.", "Continue.", "15분으로 바꿔 줘"):
        assert match(text, "en", place) is None, text
    done("Set a timer for ten minutes.", place)
    for text in ("How long is left?", "Cancel it.", "Add five minutes.", "Pause.", "15분으로 바꿔 줘"):
        assert match(text, "en", place) is not None, text
    assert match("Continue.", "en", place) is None, "nothing is paused"


async def test_how_long_is_asked_for_and_answered_in_the_next_turn(place: Place) -> None:
    asked = done("Set a timer.", place)
    assert asked == "For how long?"
    assert match("Ten minutes.", "en", place, "Paris.") is None
    assert done("Ten minutes.", place, last=asked) == "Timer set for 10 minutes."
    asked = done("타이머 맞춰 줘", place, "ko")
    assert done("십 분이요", place, "ko", last=asked) == "10분 타이머를 맞췄어요."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Set a timer for three days.", "I can only time up to one day."),
        ("Set a timer for zero seconds.", "That would be over at once, so I set no timer."),
    ],
)
async def test_a_timer_that_cannot_be(place: Place, text: str, said: str) -> None:
    assert done(text, place) == said
    assert left(place) == []


async def test_too_many_timers(place: Place) -> None:
    for _ in range(40):
        said = done("Set a timer for ten minutes.", place)
    assert said == "There are already 32 timers. Cancel one first."


def test_where_nothing_can_ring_no_timer_is_said_to_be_set() -> None:
    assert answer("Set a timer for ten minutes.").text == "I can't ring here, so I set no timer."
    assert answer("십 분 타이머 맞춰 줘").text == "여기서는 울릴 수 없어서 타이머를 맞추지 않았어요."
    assert answer("Set a timer.").text == "I can't ring here, so I set no timer."
    assert answer("Turn it up.").text == "I can't change the volume here."
    assert answer("Mute the microphone.").text == "I can't switch off a microphone here."
    assert match("How long is left?", "en") is None


async def test_a_reminder_says_what_of(place: Place) -> None:
    said = done("Remind me in 20 minutes to take out the pizza.", place)
    assert said == "I'll ring in 20 minutes: take out the pizza."
    assert left(place) == [("take out the pizza", 1200)]


async def test_volume(place: Place) -> None:
    assert done("Volume up.", place) == "Volume 60 percent."
    assert done("Turn it down a bit.", place) == "Volume 55 percent."
    assert done("볼륨 30으로 맞춰 줘", place) == "볼륨을 30퍼센트로 맞췄어요."
    assert done("What's the volume?", place) == "The volume is 30 percent."
    assert done("Turn the volume up by 20 percent.", place) == "Volume 50 percent."
    assert done("Decrease volume by 20 percent.", place) == "Volume 30 percent."
    assert done("Maximum volume.", place) == "Volume 100 percent."
    assert done("Louder.", place) == "It is at its loudest."
    assert done("Set the volume to 12.", place) == "Volume 12 percent."
    assert done("Quieter.", place) == "Volume 10 percent."
    assert done("Quieter.", place) == "It is at its quietest."
    assert hands(place) == [60, 55, 30, 50, 30, 100, 12, 10]


async def test_mute_says_nothing_and_unmute_is_as_loud_as_before(place: Place) -> None:
    assert done("Mute.", place) == ""
    assert done("Mute.", place) == ""
    assert done("Unmute.", place) == "The sound is on, at 50 percent."
    assert hands(place) == [0, 0, 50]
    done("음소거", place)
    assert done("음소거 해제", place) == "소리를 켰어요. 볼륨은 50퍼센트예요."


async def test_a_volume_that_is_not_known_is_set_but_not_changed(place: Place) -> None:
    place.volume = None
    assert done("Volume up.", place) == "I don't know how loud it is here."
    assert done("Volume 30 percent.", place) == "Volume 30 percent."
    assert hands(place) == [30]


async def test_stop_says_nothing_and_ends_what_rings(place: Place) -> None:
    now = [1000.0]
    place.timers = timers = Timers(lambda: now[0])
    silent = answer("Stop.", place)
    assert (silent.text, silent.remembered) == ("", False)
    silent.commit()
    assert hands(place) == []
    timers.start(10)
    timers.start(600)
    now[0] += 11
    timers._advance()
    assert len(timers.ringing) == 1
    assert done("Stop.", place) == ""
    assert timers.ringing == []
    assert len(timers.set) == 1, "what still runs goes on"
    assert hands(place) == ["calm"]
    timers.close()


async def test_stopping_the_timer_that_rings(place: Place) -> None:
    now = [1000.0]
    place.timers = timers = Timers(lambda: now[0])
    timers.start(10)
    now[0] += 11
    timers._advance()
    assert done("Stop the timer.", place) == ""
    assert timers.ringing == []
    timers.close()


def one_rings(place: Place, name: str | None = None) -> Timers:
    """Give a place two timers, of ten seconds, which rings, and of ten minutes, which does not yet."""
    now = [1000.0]
    place.timers = timers = Timers(lambda: now[0])
    timers.start(10, name)
    timers.start(600)
    now[0] += 11
    timers._advance()
    return timers


@pytest.mark.parametrize(
    ("said", "goes_on"),
    [
        ("Turn off the timer.", [600]),
        ("타이머 꺼 줘", [600]),
        ("Cancel the pasta timer.", [600]),
        ("Cancel it.", [600]),
        ("Cancel all timers.", []),
    ],
)
async def test_what_rings_is_meant_before_what_still_runs(place: Place, said: str, goes_on: list[int]) -> None:
    timers = one_rings(place, "pasta")
    done(said, place)
    assert timers.ringing == []
    assert [timer.total_s for timer in timers.set] == goes_on
    timers.close()


async def test_the_timer_that_rings_is_known_by_its_name_while_another_one_runs(place: Place) -> None:
    timers = one_rings(place, "pasta")
    assert done("How long is left on the pasta timer?", place) == "The timer has finished."
    assert done("How long is left on the egg timer?", place) == "There is no egg timer."
    timers.close()


async def test_another_timer_than_the_one_that_rings_is_cancelled_by_its_length(place: Place) -> None:
    timers = one_rings(place)
    assert done("Cancel the ten minute timer.", place) == "The timer is cancelled."
    assert (len(timers.ringing), timers.set) == (1, [])
    timers.close()


@pytest.mark.parametrize(
    ("said", "percent"),
    [
        ("볼륨 10퍼센트 올려 줘", 60),
        ("볼륨을 20 낮춰 줘", 30),
        ("볼륨은 20 낮춰 줘", 30),
        ("소리는 10 키워 줘", 60),
        ("볼륨을 70으로 올려 줘", 70),
        ("볼륨 30으로 줄여 줘", 30),
    ],
)
async def test_korean_tells_by_how_much_from_how_loud(place: Place, said: str, percent: int) -> None:
    done(said, place, "ko")
    assert hands(place) == [percent]


def test_repeat_says_the_last_reply() -> None:
    assert answer("Say that again.", last="Paris is the capital.").text == "Paris is the capital."
    assert not answer("Say that again.", last="Paris is the capital.").remembered
    assert answer("다시 말해 줘").text == "아직 아무 말도 하지 않았어요."


def test_an_answer_to_a_question_is_no_command() -> None:
    for text, question in (("아니야", "더 알고 싶으세요?"), ("괜찮아", "더 해 드릴까요?"), ("Nothing.", "What is it?")):
        assert match(text, "en", last_reply=question) is None, text
        assert match(text, "en", last_reply="그래요.") is not None, text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What time is it?", "It's 3:05 PM."),
        ("What day is it?", "It's Tuesday, November 24th."),
        ("What day is tomorrow?", "Tomorrow is Wednesday, November 25th."),
        ("What was yesterday's date?", "Yesterday was Monday, November 23rd."),
        ("What month is it?", "It's November."),
        ("What year is it?", "It's 2026."),
        ("지금 몇 시야?", "지금은 오후 3시 5분이에요."),
        ("오늘 며칠이야?", "오늘은 11월 24일 화요일이에요."),
        ("내일 무슨 요일이야?", "내일은 11월 25일 수요일이에요."),
        ("어제 며칠이었어?", "어제는 11월 23일 월요일이었어요."),
        ("올해 몇 년도야?", "올해는 2026년이에요."),
    ],
)
def test_time_and_date(text: str, said: str) -> None:
    assert at(text, datetime(2026, 11, 24, 15, 5)) == said  # noqa: DTZ001 - the time of the place


@pytest.mark.parametrize(
    ("hour", "minute", "english", "korean"),
    [
        (0, 0, "It's midnight.", "지금은 오전 12시예요."),
        (0, 5, "It's 12:05 AM.", "지금은 오전 12시 5분이에요."),
        (12, 0, "It's noon.", "지금은 오후 12시예요."),
        (15, 0, "It's 3:00 PM.", "지금은 오후 3시예요."),
    ],
)
def test_hours_that_are_said_otherwise(hour: int, minute: int, english: str, korean: str) -> None:
    now = datetime(2026, 11, 24, hour, minute)  # noqa: DTZ001 - the time of the place
    assert at("What time is it?", now) == english
    assert at("지금 몇 시야?", now) == korean


def test_the_time_is_that_of_the_zone_which_the_machine_is_set_to_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that runs since before the zone was set told the time of the zone before, until it was restarted."""
    try:
        for zone, offset in (("UTC", 0), ("Asia/Seoul", 9), ("Asia/Kolkata", 5.5)):
            monkeypatch.setenv("TZ", zone)
            assert Scene().now().utcoffset() == timedelta(hours=offset)
    finally:
        monkeypatch.undo()
        time.tzset()


def at(text: str, now: datetime) -> str:
    request = next(requests(text, "en"))
    found = skills.ANSWERS[request.intent](Talk(request, Scene(now=lambda: now), languages()[request.language]))
    assert found is not None
    return found.text


def test_every_answer_of_every_language_can_be_filled_in() -> None:
    values = dict.fromkeys(
        ("time", "date", "month", "year", "duration", "name", "count", "which", "timers", "left", "percent"), "x"
    )
    for language in languages().values():
        for key, text in language.answers.items():
            assert text.format(**values), key


def test_every_request_of_the_sentence_files_has_an_answer() -> None:
    for language in languages().values():
        assert set(language._intents.intents) <= skills.ANSWERS.keys()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("10분 뒤에 약 먹으라고 말해 줘", "약먹기"),
        ("10분 뒤에 약 드시라고 말해 줘", "약드시기"),
        ("10분 뒤에 빨래 꺼내라고 알려 줘", "빨래꺼내기"),
        ("10분 뒤에 우산 챙기라고 알려 줘", "우산챙기기"),
        ("10분 뒤에 할머니한테 전화하라고 알려 줘", "할머니한테전화"),
        ("10분 뒤에 약 먹을 시간이라고 알려 줘", "약먹을시간"),
        ("10분 뒤에 회의라고 알려 줘", "회의"),
        ("10분 뒤에 피자라고 알려 줘", "피자"),
        ("10분 뒤에 쓰레기라고 알려 줘", "쓰레기"),
        ("10분 뒤에 밥 다 됐다고 알려 줘", "밥다됐다"),
    ],
)
async def test_a_korean_reminder_is_a_word_that_can_be_said(place: Place, said: str, name: str) -> None:
    assert done(said, place) == f"10분 뒤에 울릴게요. {name}."
    assert left(place) == [(name, 600)]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("20분 뒤에 빨래 널라고 알려 줘", "빨래널기"),
        ("20분 뒤에 빨래 개라고 알려 줘", "빨래개기"),
        ("20분 뒤에 노래 부르라고 말해 줘", "노래부르기"),
        ("20분 뒤에 생일이라고 알려 줘", "생일"),
        ("20분 뒤에 출발하라고 알려 줘", "출발"),
        ("20분 뒤에 김치찌개라고 알려 줘", "김치찌개"),
        ("약 먹으라고 20분 뒤에 알려 줘", "약먹기"),
    ],
)
async def test_a_korean_reminder_of_something_to_do_is_no_bare_stem(place: Place, said: str, name: str) -> None:
    assert done(said, place, "ko") == f"20분 뒤에 울릴게요. {name}."


async def test_adding_to_the_timer_that_there_is_sets_no_second_one(place: Place) -> None:
    assert done("라면 타이머 1분 추가해 줘", place, "ko") == "1분짜리 라면 타이머를 맞췄어요.", "there is none yet"
    assert done("라면 타이머 2분 추가해 줘", place, "ko") == "라면 타이머는 이제 3분 남았어요."
    assert done("타이머 2분 추가해 줘", place, "ko") == "라면 타이머는 이제 5분 남았어요."
    assert left(place) == [("라면", 300)]
    done("5분 타이머 추가해 줘", place, "ko")
    assert len(left(place)) == 2


async def test_what_is_left_is_said_in_one_number(place: Place) -> None:
    done("Set a timer for one minute.", place)
    said = done("Take five minutes off the timer.", place)
    assert said == "There is only 1 minute left, so I changed nothing."
