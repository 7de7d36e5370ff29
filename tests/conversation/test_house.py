"""What a house is asked for, in English and Korean, and what is left to the language model."""

from __future__ import annotations

import pytest

from antiphon_daemon.conversation.skills.house import commands

ENGLISH: list[tuple[str, str, dict[str, object]]] = [
    ("Turn on the light in the kitchen.", "HassTurnOn", {"area": "kitchen", "domain": "light"}),
    ("Turn the kitchen lights on, please.", "HassTurnOn", {"area": "kitchen", "domain": "light"}),
    ("Switch on the bedroom lamp", "HassTurnOn", {"area": "bedroom", "domain": "light"}),
    ("Could you turn off all the lights?", "HassTurnOff", {"domain": "light", "name": "all"}),
    ("Turn off the television.", "HassTurnOff", {"name": "television"}),
    ("Turn off the sound bar.", "HassTurnOff", {"name": "sound bar"}),
    ("Open the garage.", "HassTurnOn", {"name": "garage", "domain": "cover"}),
    ("Close garage door.", "HassTurnOff", {"name": "garage door", "domain": "cover"}),
    ("Close kitchen window.", "HassTurnOff", {"name": "kitchen window", "domain": "cover"}),
    ("Open garage doors", "HassTurnOn", {"name": "garage doors", "domain": "cover"}),
    ("Lower projector screen", "HassTurnOff", {"name": "projector screen", "domain": "cover"}),
    ("Turn on the on-air sign.", "HassTurnOn", {"name": "on air sign"}),
    ("Turn on the down lights.", "HassTurnOn", {"name": "down lights"}),
    ("Turn off the in wall speakers", "HassTurnOff", {"name": "in wall speakers"}),
    ("Turn the coffee machine on", "HassTurnOn", {"name": "coffee machine"}),
    ("Open the blinds in the living room.", "HassTurnOn", {"area": "living room", "domain": "cover"}),
    ("Close the curtains in the living room.", "HassTurnOff", {"area": "living room", "domain": "cover"}),
    ("Close the garage door", "HassTurnOff", {"name": "garage door", "domain": "cover"}),
    ("Set the bedroom lights to 30 percent.", "HassLightSet", {"area": "bedroom", "domain": "light", "brightness": 30}),
    ("Make the kitchen lights blue", "HassLightSet", {"area": "kitchen", "domain": "light", "color": "blue"}),
    ("Set the temperature to 21 degrees.", "HassClimateSetTemperature", {"temperature": 21}),
    ("Pause the music.", "HassMediaPause", {}),
    ("Turn on the light.", "HassTurnOn", {"name": "light"}),
    ("Switch off my lights", "HassTurnOff", {"name": "lights"}),
    ("Close the blinds.", "HassTurnOff", {"name": "blinds", "domain": "cover"}),
    ("Set the blinds to 50 percent.", "HassSetPosition", {"name": "blinds", "position": 50, "domain": "cover"}),
    ("Dim the lights to 10 percent.", "HassLightSet", {"name": "lights", "brightness": 10}),
    ("Set the temperature to 21.5 degrees.", "HassClimateSetTemperature", {"temperature": 21.5}),
    ("Set the thermostat to seventy degrees Fahrenheit", "HassClimateSetTemperature", {"temperature": 70}),
    ("Start the vacuum.", "HassVacuumStart", {"name": "vacuum"}),
    ("Next song", "HassMediaNext", {}),
    ("Add milk and bread to the shopping list.", "HassShoppingListAddItem", {"item": "milk and bread"}),
    ("Add call the plumber to my to do list.", "HassListAddItem", {"item": "call the plumber", "name": "to do"}),
    ("Add call mom tomorrow to my to do list.", "HassListAddItem", {"item": "call mom tomorrow", "name": "to do"}),
    ("Activate the movie night scene", "HassTurnOn", {"name": "movie night", "domain": "scene"}),
]
KOREAN: list[tuple[str, str, dict[str, object]]] = [
    ("거실 불 켜 줘", "HassTurnOn", {"area": "거실", "domain": "light"}),
    ("부엌에 있는 조명을 꺼 주세요", "HassTurnOff", {"area": "부엌", "domain": "light"}),
    ("모든 불 꺼 줘", "HassTurnOff", {"domain": "light", "name": "all"}),
    ("텔레비전 꺼 줘", "HassTurnOff", {"name": "텔레비전"}),
    ("침실 커튼 닫아 줘", "HassTurnOff", {"area": "침실", "domain": "cover"}),
    ("장보기 목록에 우유 추가해 줘", "HassShoppingListAddItem", {"item": "우유"}),
    ("온도를 23도로 맞춰 줘", "HassClimateSetTemperature", {"temperature": 23}),
    ("거실 커튼을 30퍼센트 열어 줘", "HassSetPosition", {"area": "거실", "domain": "cover", "position": 30}),
    ("온도를 23.5도로 맞춰 줘", "HassClimateSetTemperature", {"temperature": 23.5}),
    ("이전 곡 틀어 줘", "HassMediaPrevious", {}),
    ("할 일 목록에 빨래 추가해 줘", "HassListAddItem", {"name": "할일", "item": "빨래"}),
    ("할 일 목록에 내일 병원 예약 추가해 줘", "HassListAddItem", {"name": "할일", "item": "내일병원예약"}),
    ("로봇청소기 돌려 줘", "HassVacuumStart", {"name": "로봇청소기"}),
    ("거실 청소해 줘", "HassVacuumStart", {"area": "거실"}),
    ("로봇청소기를 충전기로 보내 줘", "HassVacuumReturnToBase", {"name": "로봇청소기"}),
    ("에어컨 24도로 맞춰 줘", "HassClimateSetTemperature", {"name": "에어컨", "temperature": 24}),
    (
        "거실 에어컨 온도 24도로 낮춰 줘",
        "HassClimateSetTemperature",
        {"area": "거실", "name": "에어컨", "temperature": 24},
    ),
    ("거실 온도를 이십사 도로 맞춰 줘", "HassClimateSetTemperature", {"area": "거실", "temperature": 24}),
    ("보일러 23도로 올려 줘", "HassClimateSetTemperature", {"temperature": 23}),
    ("선풍기 틀어 줘", "HassTurnOn", {"name": "선풍기"}),
    ("거실 불 다 꺼 줘", "HassTurnOff", {"area": "거실", "domain": "light"}),
    ("집에 있는 불 다 꺼 줘", "HassTurnOff", {"domain": "light", "name": "all"}),
    ("지금 거실 불 꺼 줘", "HassTurnOff", {"area": "거실", "domain": "light"}),
    ("거실 불 좀 꺼 주시겠어요?", "HassTurnOff", {"area": "거실", "domain": "light"}),
    ("커튼 열어 줘", "HassTurnOn", {"name": "커튼", "domain": "cover"}),
    ("블라인드 좀 내려 줄래요?", "HassTurnOff", {"name": "블라인드", "domain": "cover"}),
]
NONE = [
    "What is the capital of France?", "Tell me a story about a dragon.", "Turn on", "Why do people turn off the light?",
    "Set a timer for ten minutes.", "Add two and two", "How do I open a jar?", "Stop", "", "Turn it on",
    "Turn off the lights in ten minutes.", "5분 뒤에 불 꺼 줘",
    "Turn on the light at seven o'clock tomorrow.", "Turn on the light at 7.", "7시에 불 켜 줘", "내일 아침에 불 켜 줘",
    "Shut up.", "Lower the volume.", "Turn off the sound.", "소리 꺼 줘", "마이크 꺼 줘",
    "Close your eyes.", "Put on your shoes.", "Open up.", "Shut down.", "Close enough.",
    "Open up the door.", "Close in on the window.", "Open an old window.", "Open door policy.",
    "Lower back pain.", "Open questions in physics.", "Raise awareness.", "Close relatives of humans.",
    "왜 불 꺼?", "나는 잘 때 불 꺼", "엄마는 매일 청소해", "내일 청소해", "신경 꺼",
    "프랑스의 수도는 어디야?", "십 분 타이머 맞춰 줘", "이야기 하나 해 줘",
]  # fmt: skip


@pytest.mark.parametrize(("text", "intent", "slots"), ENGLISH)
def test_english(text: str, intent: str, slots: dict[str, object]) -> None:
    (one,) = commands(text, "en")
    assert (one.intent, dict(one.slots)) == (intent, slots)


@pytest.mark.parametrize(("text", "intent", "slots"), KOREAN)
def test_korean(text: str, intent: str, slots: dict[str, object]) -> None:
    (one,) = commands(text, "ko")
    assert (one.intent, dict(one.slots)) == (intent, slots)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_command_is_left_alone(text: str) -> None:
    assert list(commands(text, "ko" if any(c >= "가" for c in text) else "en")) == []


def test_several_commands_in_one_sentence_are_all_or_none() -> None:
    both = commands("Turn on the kitchen light and close the blinds in the bedroom.", "en")
    assert [one.intent for one in both] == ["HassTurnOn", "HassTurnOff"]
    assert [one.intent for one in commands("거실 불 끄고 침실 커튼 닫아 줘", "ko")] == ["HassTurnOff", "HassTurnOff"]
    assert [one.intent for one in commands("거실 불 켜고 커튼 닫아 줘", "ko")] == ["HassTurnOn", "HassTurnOff"]
    assert commands("Turn on the kitchen light and tell me a story", "en") == []


def test_other_languages_and_long_texts_have_none() -> None:
    assert list(commands("Allume la lumière", "fr")) == []
    assert list(commands("turn on the light " * 50, "en")) == []
