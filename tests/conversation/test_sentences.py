"""What is said without a language model, and what is left to it, in English and Korean."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon_daemon.conversation.skills import Place, Timers, match
from antiphon_daemon.conversation.skills.sentences import LONGEST_CHARACTERS, Request, languages, requests

SET, CANCEL, ALL, STATUS = "HassStartTimer", "HassCancelTimer", "HassCancelAllTimers", "HassTimerStatus"
MORE, LESS, CHANGE = "HassIncreaseTimer", "HassDecreaseTimer", "ChangeTimer"
PAUSE, RESUME, ASK = "HassPauseTimer", "HassUnpauseTimer", "AskDuration"
TIME, DATE, VOLUME, LOUDER = "HassGetCurrentTime", "HassGetCurrentDate", "HassSetVolume", "HassSetVolumeRelative"
NEVER = "HassNevermind"

ENGLISH = [
    ("What time is it?", TIME, {}),
    ("what's the time", TIME, {}),
    ("What is the time, please?", TIME, {}),
    ("Tell me the time.", TIME, {}),
    ("Do you know what time it is?", TIME, {}),
    ("Can you tell me what time it is?", TIME, {}),
    ("Okay Nabu, what time is it right now?", TIME, {}),
    ("Hey Jarvis what's the time", TIME, {}),
    ("Um, what time is it?", TIME, {}),
    ("What day is it?", DATE, {"day": 0}),
    ("What day is it today?", DATE, {"day": 0}),
    ("What's today's date?", DATE, {}),
    ("What is the date today?", DATE, {}),
    ("What's the date?", DATE, {}),
    ("What day is tomorrow?", DATE, {"day": 1}),
    ("What's tomorrow's date?", DATE, {"day": 1}),
    ("What day was it yesterday?", DATE, {"day": -1}),
    ("What day of the week is it?", DATE, {"day": 0}),
    ("What month is it?", DATE, {"part": "month"}),
    ("What year is it?", DATE, {"part": "year"}),
    ("Set a timer for ten minutes.", SET, {"seconds": 600}),
    ("Set a timer for 10 minutes", SET, {"seconds": 600}),
    ("set a timer for ten minutes please", SET, {"seconds": 600}),
    ("Could you please set a timer for 10 minutes?", SET, {"seconds": 600}),
    ("Can you set me a timer for 10 minutes?", SET, {"seconds": 600}),
    ("Hey, set a timer for ten minutes.", SET, {"seconds": 600}),
    ("Alexa, set a 10-minute timer.", SET, {"seconds": 600}),
    ("Set a ten minute timer", SET, {"seconds": 600}),
    ("Start a timer for 10 minutes.", SET, {"seconds": 600}),
    ("Start a 10 minute timer for me", SET, {"seconds": 600}),
    ("ten minute timer", SET, {"seconds": 600}),
    ("10 minutes timer", SET, {"seconds": 600}),
    ("Timer, 10 minutes.", SET, {"seconds": 600}),
    ("Timer for ten minutes", SET, {"seconds": 600}),
    ("Create a timer for 45 seconds.", SET, {"seconds": 45}),
    ("Set a timer for ninety seconds.", SET, {"seconds": 90}),
    ("Set a timer for one hour and thirty minutes.", SET, {"seconds": 5400}),
    ("Set a timer for 1 hour and 30 minutes", SET, {"seconds": 5400}),
    ("Set a timer for 1 hour, 30 minutes and 15 seconds", SET, {"seconds": 5415}),
    ("Set a timer for 1 hour in 30 minutes.", SET, {"seconds": 5400}),
    ("Set a timer for an hour and a half.", SET, {"seconds": 5400}),
    ("Set a timer for one and a half hours.", SET, {"seconds": 5400}),
    ("Set a timer for half an hour.", SET, {"seconds": 1800}),
    ("Set a half hour timer", SET, {"seconds": 1800}),
    ("Set a timer for a quarter of an hour.", SET, {"seconds": 900}),
    ("Set a timer for three quarters of an hour.", SET, {"seconds": 2700}),
    ("Set a timer for an hour.", SET, {"seconds": 3600}),
    ("Set a timer for a minute and a half", SET, {"seconds": 90}),
    ("Set a timer for two and a half minutes", SET, {"seconds": 150}),
    ("Set a timer for 2.5 minutes", SET, {"seconds": 150}),
    ("Set a timer for ten minutes and thirty.", SET, {"seconds": 630}),
    ("Set a timer for ten minutes and thirty seconds.", SET, {"seconds": 630}),
    ("Set a timer for a hundred and twenty minutes.", SET, {"seconds": 7200}),
    ("Set a timer for twenty-five minutes.", SET, {"seconds": 1500}),
    ("Set a timer for 5 min", SET, {"seconds": 300}),
    ("Set another timer for 3 minutes", SET, {"seconds": 180}),
    ("I'd like to set a timer for 3 minutes", SET, {"seconds": 180}),
    ("I need a timer for 3 minutes", SET, {"seconds": 180}),
    ("Set a time for ten minutes.", SET, {"seconds": 600}),
    ("Said a timer for ten minutes.", SET, {"seconds": 600}),
    ("Set a pasta timer for 9 minutes", SET, {"seconds": 540, "name": "pasta"}),
    ("Set a timer for pasta for nine minutes", SET, {"seconds": 540, "name": "pasta"}),
    ("Set a 9 minute pasta timer.", SET, {"seconds": 540, "name": "pasta"}),
    ("Set a 9 minute timer for the pasta.", SET, {"seconds": 540, "name": "pasta"}),
    ("Start a timer called tea for four minutes.", SET, {"seconds": 240, "name": "tea"}),
    ("Set a timer for four minutes called green tea.", SET, {"seconds": 240, "name": "green tea"}),
    ("Set an egg timer for 6 minutes", SET, {"seconds": 360, "name": "egg"}),
    ("Remind me in 20 minutes.", SET, {"seconds": 1200}),
    ("Remind me in 20 minutes to take out the pizza.", SET, {"seconds": 1200, "name": "take out the pizza"}),
    ("Remind me to call Ann in five minutes.", SET, {"seconds": 300, "name": "call ann"}),
    ("Wake me up in half an hour.", SET, {"seconds": 1800}),
    ("Let me know in 5 minutes", SET, {"seconds": 300}),
    ("Set a timer.", ASK, {}),
    ("Set a timer please", ASK, {}),
    ("Set an egg timer", ASK, {"name": "egg"}),
    ("Set a timer for ten", ASK, {}),
    ("Cancel the timer.", CANCEL, {}),
    ("Please cancel my timer", CANCEL, {}),
    ("stop the timer", CANCEL, {}),
    ("Turn off the timer", CANCEL, {}),
    ("Delete that timer.", CANCEL, {}),
    ("Cancel it.", CANCEL, {"implied": True}),
    ("Can't sell it.", CANCEL, {"implied": True}),
    ("Can you cancel it please?", CANCEL, {"implied": True}),
    ("Cancel the pasta timer", CANCEL, {"name": "pasta"}),
    ("Cancel the 10 minute timer", CANCEL, {"start_seconds": 600}),
    ("Cancel the timer for ten minutes", CANCEL, {"start_seconds": 600}),
    ("Cancel all timers.", ALL, {}),
    ("Cancel all of my timers", ALL, {}),
    ("Stop all the timers", ALL, {}),
    ("Clear my timers", ALL, {}),
    ("Cancel them all", ALL, {"implied": True}),
    ("How long is left?", STATUS, {"implied": True}),
    ("How much time is left?", STATUS, {"implied": True}),
    ("How much longer?", STATUS, {"implied": True}),
    ("How much time do I have left?", STATUS, {"implied": True}),
    ("How many minutes are left?", STATUS, {"implied": True}),
    ("How long is left on the timer?", STATUS, {}),
    ("How much time is left on my timer?", STATUS, {}),
    ("How much time is left on the pasta timer?", STATUS, {"name": "pasta"}),
    ("How long is left on the 10 minute timer", STATUS, {"start_seconds": 600}),
    ("How's my timer doing?", STATUS, {}),
    ("Timer status", STATUS, {}),
    ("What timers are running?", STATUS, {}),
    ("Do I have any timers?", STATUS, {}),
    ("When is the timer done?", STATUS, {}),
    ("Add five minutes.", MORE, {"seconds": 300, "implied": True}),
    ("Five more minutes", MORE, {"seconds": 300, "implied": True}),
    ("Add five minutes to the timer.", MORE, {"seconds": 300}),
    ("Add 5 minutes to the pasta timer", MORE, {"seconds": 300, "name": "pasta"}),
    ("Extend the timer by two minutes", MORE, {"seconds": 120}),
    ("Make it five minutes longer", MORE, {"seconds": 300}),
    ("Take two minutes off the timer.", LESS, {"seconds": 120}),
    ("Remove 5 minutes from the timer", LESS, {"seconds": 300}),
    ("Make it one minute shorter", LESS, {"seconds": 60}),
    ("Change the timer to 15 minutes.", CHANGE, {"seconds": 900}),
    ("Change it to 15 minutes", CHANGE, {"seconds": 900, "implied": True}),
    ("Pause the timer.", PAUSE, {}),
    ("Pause it", PAUSE, {"implied": True}),
    ("Pause the pasta timer", PAUSE, {"name": "pasta"}),
    ("Resume the timer.", RESUME, {}),
    ("Continue the timer", RESUME, {}),
    ("Unpause the timer", RESUME, {}),
    ("Turn up the volume.", LOUDER, {"direction": 1}),
    ("Volume up", LOUDER, {"direction": 1}),
    ("Turn the volume down", LOUDER, {"direction": -1}),
    ("Turn it down a bit", LOUDER, {"direction": -1, "amount": 5}),
    ("A little louder please", LOUDER, {"direction": 1, "amount": 5}),
    ("Louder.", LOUDER, {"direction": 1}),
    ("Speak up", LOUDER, {"direction": 1}),
    ("Quieter", LOUDER, {"direction": -1}),
    ("You're too loud", LOUDER, {"direction": -1}),
    ("Turn the volume up by 20 percent", LOUDER, {"direction": 1, "step": 20}),
    ("Set the volume to 50 percent.", VOLUME, {"percent": 50}),
    ("Set the volume to fifty", VOLUME, {"percent": 50}),
    ("Volume 30%", VOLUME, {"percent": 30}),
    ("Maximum volume", VOLUME, {"percent": 100}),
    ("What's the volume?", "AskVolume", {}),
    ("Mute.", "Mute", {}),
    ("Mute the sound", "Mute", {}),
    ("Unmute", "Unmute", {}),
    ("Turn the sound back on", "Unmute", {}),
    ("Mute the microphone", "MuteMicrophone", {}),
    ("Stop listening.", "MuteMicrophone", {}),
    ("Stop.", "Stop", {}),
    ("Stop it!", "Stop", {}),
    ("Okay stop", "Stop", {}),
    ("Stop talking", "Stop", {}),
    ("Be quiet", "Stop", {}),
    ("Shut up.", "Stop", {}),
    ("That's enough, thank you.", "Stop", {}),
    ("Never mind.", NEVER, {}),
    ("Nevermind", NEVER, {}),
    ("Oh, never mind.", NEVER, {}),
    ("Forget it", NEVER, {}),
    ("Cancel.", NEVER, {}),
    ("Repeat that.", "Repeat", {}),
    ("Say that again, please", "Repeat", {}),
    ("Can you repeat that?", "Repeat", {}),
    ("What did you say?", "Repeat", {}),
    ("I didn't catch that.", "Repeat", {}),
    ("Start over.", "StartOver", {}),
    ("Let's start over", "StartOver", {}),
    ("Please start over.", "StartOver", {}),
    ("Forget everything", "StartOver", {}),
    ("Forget this conversation.", "StartOver", {}),
    ("What can you do?", "Help", {}),
    ("What can I say?", "Help", {}),
]

NOT_ENGLISH = [
    "What time is it in Tokyo?",
    "What time is it when it is noon in London?",
    "What time does the train leave?",
    "What time is dinner?",
    "What time zone are we in?",
    "What is the best time to plant tomatoes?",
    "Do you have time?",
    "What is a timer?",
    "How do timers work?",
    "Who invented the kitchen timer?",
    "What day is Christmas?",
    "What day is my birthday?",
    "What was the date of the moon landing?",
    "What is it?",
    "What is that?",
    "Set the table.",
    "Set the alarm for seven.",
    "Set a good example for ten minutes of my life",
    "How long does it take to boil an egg?",
    "How long is the Nile?",
    "How much is left of the world's oil?",
    "How long is a movie?",
    "Add milk to the shopping list.",
    "Add five and seven.",
    "What is ten minus three?",
    "Cancel my subscription.",
    "Cancel the meeting at ten.",
    "Stop the music in the kitchen and play something else",
    "How do I stop smoking?",
    "Stop and smell the roses, what does it mean?",
    "When does the timer in a bomb go off in this film?",
    "Pause for effect, what does it mean?",
    "Continue the story.",
    "Tell me a story about a timer.",
    "Why is my timer so loud?",
    "What is the volume of a sphere?",
    "What's the volume of a cube with side two?",
    "Turn up the heat.",
    "Turn down the lights.",
    "Turn it into a poem.",
    "Repeat after me: hello.",
    "What can you do about a broken window?",
    "How do I start over with my garden?",
    "Forget everything you know about cheese and describe it.",
    "Help me write a letter.",
    "Never mind the weather, what is the capital of France?",
    "Is it quiet in space?",
    "What did you say about Paris yesterday?",
    "Tell me about the timer on my oven and the one on my phone, which one is better",
    "Remind me what the capital of France is.",
    "Thank you.",
    "Okay.",
    "No.",
    "",
    "...",
]

KOREAN = [
    ("지금 몇 시야?", TIME, {}),
    ("몇 시야", TIME, {}),
    ("몇시에요?", TIME, {}),
    ("지금 몇 시예요?", TIME, {}),
    ("지금 시간 알려 줘", TIME, {}),
    ("시간 좀 알려주세요.", TIME, {}),
    ("지금 몇 시인지 알려줘", TIME, {}),
    ("오케이 나부, 지금 몇 시야?", TIME, {}),
    ("오늘 며칠이야?", DATE, {"day": 0}),
    ("오늘 날짜 알려줘", DATE, {"day": 0}),
    ("오늘 무슨 요일이야?", DATE, {"day": 0}),
    ("오늘이 무슨 요일이죠?", DATE, {"day": 0}),
    ("내일 무슨 요일이야", DATE, {"day": 1}),
    ("내일은 며칠이에요?", DATE, {"day": 1}),
    ("어제 며칠이었지?", DATE, {"day": -1}),
    ("몇 월이야?", DATE, {"part": "month"}),
    ("올해 몇 년도야?", DATE, {"part": "year"}),
    ("십 분 타이머 맞춰 줘", SET, {"seconds": 600}),
    ("십분 타이머 맞춰줘.", SET, {"seconds": 600}),
    ("10분 타이머 맞춰 줘", SET, {"seconds": 600}),
    ("10 분 타이머 맞춰줄래?", SET, {"seconds": 600}),
    ("10분 타이머 맞춰 주세요", SET, {"seconds": 600}),
    ("10분 타이머 좀 맞춰 주시겠어요?", SET, {"seconds": 600}),
    ("10분 타이머 설정해 줘", SET, {"seconds": 600}),
    ("10분 타이머 켜 줘", SET, {"seconds": 600}),
    ("10분 타이머", SET, {"seconds": 600}),
    ("10분짜리 타이머 하나 맞춰 줘", SET, {"seconds": 600}),
    ("타이머 10분", SET, {"seconds": 600}),
    ("타이머 십 분 맞춰 줘", SET, {"seconds": 600}),
    ("타이머를 10분으로 설정해 주세요.", SET, {"seconds": 600}),
    ("타이머 10분으로 맞춰", SET, {"seconds": 600}),
    ("오 분 타이머 시작", SET, {"seconds": 300}),
    ("한 시간 타이머 맞춰 줘", SET, {"seconds": 3600}),
    ("한 시간 반 타이머 맞춰 줘", SET, {"seconds": 5400}),
    ("한시간반 타이머 맞춰줘", SET, {"seconds": 5400}),
    ("1시간 30분 타이머 맞춰줘", SET, {"seconds": 5400}),
    ("한 시간 삼십 분 타이머 맞춰 줘", SET, {"seconds": 5400}),
    ("두 시간 타이머", SET, {"seconds": 7200}),
    ("삼십 분 타이머 부탁해", SET, {"seconds": 1800}),
    ("삼십 초 타이머 맞춰 줘", SET, {"seconds": 30}),
    ("일 분 삼십 초 타이머 맞춰 줘", SET, {"seconds": 90}),
    ("이십오 분 타이머 맞춰 줘", SET, {"seconds": 1500}),
    ("구십 초 타이머 맞춰 줘", SET, {"seconds": 90}),
    ("1분 반 타이머 맞춰줘", SET, {"seconds": 90}),
    ("타이머 3분만 맞춰줘", SET, {"seconds": 180}),
    ("라면 타이머 삼 분 맞춰 줘", SET, {"seconds": 180, "name": "라면"}),
    ("3분 라면 타이머 맞춰줘", SET, {"seconds": 180, "name": "라면"}),
    ("파스타 타이머를 9분으로 맞춰 주세요", SET, {"seconds": 540, "name": "파스타"}),
    ("라면 3분 타이머 맞춰줘", SET, {"seconds": 180, "name": "라면"}),
    ("10분 뒤에 알려 줘", SET, {"seconds": 600}),
    ("십 분 후에 알려줘", SET, {"seconds": 600}),
    ("삼십 분 있다가 깨워 줘", SET, {"seconds": 1800}),
    ("타이머 맞춰 줘", ASK, {}),
    ("타이머 설정해 주세요", ASK, {}),
    ("타이머 취소해 줘", CANCEL, {}),
    ("타이머 취소", CANCEL, {}),
    ("타이머 꺼 줘", CANCEL, {}),
    ("타이머 좀 꺼줄래?", CANCEL, {}),
    ("타이머를 취소해 주세요.", CANCEL, {}),
    ("타이머 삭제해줘", CANCEL, {}),
    ("취소해 줘", CANCEL, {"implied": True}),
    ("그거 취소해 줘", CANCEL, {"implied": True}),
    ("10분 타이머 취소해 줘", CANCEL, {"start_seconds": 600}),
    ("라면 타이머 취소해 줘", CANCEL, {"name": "라면"}),
    ("모든 타이머 취소해 줘", ALL, {}),
    ("타이머 전부 꺼 줘", ALL, {}),
    ("타이머 다 취소해 줘", ALL, {}),
    ("얼마나 남았어?", STATUS, {"implied": True}),
    ("얼마 남았어", STATUS, {"implied": True}),
    ("몇 분 남았어?", STATUS, {"implied": True}),
    ("시간 얼마나 남았지?", STATUS, {"implied": True}),
    ("타이머 얼마나 남았어?", STATUS, {}),
    ("타이머가 얼마나 남았나요?", STATUS, {}),
    ("타이머 남은 시간 알려 줘", STATUS, {}),
    ("라면 타이머 얼마나 남았어?", STATUS, {"name": "라면"}),
    ("타이머 언제 끝나?", STATUS, {}),
    ("타이머 뭐 있어?", STATUS, {}),
    ("오 분 더", MORE, {"seconds": 300, "implied": True}),
    ("5분 추가해 줘", MORE, {"seconds": 300, "implied": True}),
    ("타이머 5분 늘려 줘", MORE, {"seconds": 300}),
    ("타이머에 오 분 추가해 줘", MORE, {"seconds": 300}),
    ("타이머 이 분 줄여 줘", LESS, {"seconds": 120}),
    ("타이머에서 2분 빼 줘", LESS, {"seconds": 120}),
    ("타이머 15분으로 바꿔 줘", CHANGE, {"seconds": 900}),
    ("15분으로 바꿔 줘", CHANGE, {"seconds": 900, "implied": True}),
    ("타이머 일시정지해 줘", PAUSE, {}),
    ("타이머 잠깐 멈춰 줘", PAUSE, {}),
    ("타이머 다시 시작해 줘", RESUME, {}),
    ("타이머 계속해", RESUME, {}),
    ("볼륨 올려 줘", LOUDER, {"direction": 1}),
    ("소리 좀 키워 줘", LOUDER, {"direction": 1}),
    ("볼륨 높여줘", LOUDER, {"direction": 1}),
    ("더 크게 말해 줘", LOUDER, {"direction": 1}),
    ("소리 조금 줄여 줘", LOUDER, {"direction": -1, "amount": 5}),
    ("볼륨 낮춰 주세요", LOUDER, {"direction": -1}),
    ("너무 시끄러워", LOUDER, {"direction": -1}),
    ("볼륨 50으로 맞춰 줘", VOLUME, {"percent": 50}),
    ("볼륨 오십 퍼센트로 해 줘", VOLUME, {"percent": 50}),
    ("볼륨을 삼십으로 설정해 줘", VOLUME, {"percent": 30}),
    ("볼륨 최대로 해 줘", VOLUME, {"percent": 100}),
    ("지금 볼륨 몇이야?", "AskVolume", {}),
    ("음소거", "Mute", {}),
    ("음소거해 줘", "Mute", {}),
    ("소리 꺼 줘", "Mute", {}),
    ("음소거 해제해 줘", "Unmute", {}),
    ("소리 켜 줘", "Unmute", {}),
    ("마이크 꺼 줘", "MuteMicrophone", {}),
    ("듣지 마", "MuteMicrophone", {}),
    ("그만", "Stop", {}),
    ("그만해", "Stop", {}),
    ("멈춰", "Stop", {}),
    ("조용히 해", "Stop", {}),
    ("이제 그만해 줘", "Stop", {}),
    ("알람 꺼 줘", "Stop", {}),
    ("아무것도 아니야", NEVER, {}),
    ("됐어", NEVER, {}),
    ("취소", NEVER, {}),
    ("신경 쓰지 마", NEVER, {}),
    ("다시 말해 줘", "Repeat", {}),
    ("뭐라고 했어?", "Repeat", {}),
    ("한 번 더 말해 줘", "Repeat", {}),
    ("못 들었어", "Repeat", {}),
    ("처음부터 다시", "StartOver", {}),
    ("처음부터 다시 시작해", "StartOver", {}),
    ("대화 초기화", "StartOver", {}),
    ("다시 시작하자", "StartOver", {}),
    ("다 잊어 줘", "StartOver", {}),
    ("뭐 할 수 있어?", "Help", {}),
    ("넌 뭘 할 수 있니?", "Help", {}),
    ("도움말", "Help", {}),
]

NOT_KOREAN = [
    "도쿄는 지금 몇 시야?",
    "기차가 몇 시에 출발해?",
    "시간이 뭐야 철학적으로",
    "시간이란 무엇일까",
    "크리스마스는 무슨 요일이야?",
    "내 생일은 며칠이야?",
    "한글날은 며칠이야?",
    "타이머가 뭐야?",
    "타이머는 누가 발명했어?",
    "주방용 타이머 추천해 줘",
    "라면 끓이는 데 몇 분 걸려?",
    "십 분 동안 할 수 있는 운동 알려 줘",
    "한 시간에 얼마나 걸을 수 있어?",
    "삼 더하기 오는 뭐야?",
    "십 분의 일은 얼마야?",
    "이 부분을 설명해 줘",
    "충분해 보여?",
    "구분하는 방법 알려 줘",
    "예약 취소해 줘",
    "회의 취소해 줘",
    "소리가 나는 원리가 뭐야?",
    "소리의 속도는 얼마야?",
    "구의 부피는 어떻게 계산해?",
    "불 꺼 줘",
    "에어컨 온도 올려 줘",
    "음악 멈추는 방법 알려 줘",
    "그만두고 싶은데 어떻게 말할까?",
    "다시 태어나면 뭐가 되고 싶어?",
    "처음부터 다시 설명해 줘",
    "계속 비가 올까?",
    "할 수 있는 운동이 뭐야?",
    "프랑스의 수도는 어디야?",
    "이야기 하나 해 줘",
    "고마워",
    "네",
    "안녕",
    "지구가 멸망하려면 얼마나 남았어?",
    "오늘 날씨 어때?",
]


@pytest.fixture
async def kitchen() -> AsyncIterator[Place]:
    """A place where all can be done, and two timers run."""
    timers = Timers()
    timers.start(600)
    timers.start(540, "pasta")
    yield Place(timers, volume=50)
    timers.close()


def first(text: str, language: str) -> Request | None:
    return next(requests(text, language), None)


@pytest.mark.parametrize(("text", "intent", "slots"), ENGLISH, ids=[text for text, *_ in ENGLISH])
def test_english(text: str, intent: str, slots: dict[str, object]) -> None:
    asked = first(text, "en")
    assert asked is not None
    assert (asked.intent, asked.language) == (intent, "en")
    assert slots.items() <= dict(asked.slots).items()


@pytest.mark.parametrize("text", NOT_ENGLISH)
def test_english_for_the_language_model(text: str, kitchen: Place) -> None:
    assert match(text, "en", kitchen, "Timers are useful.") is None


@pytest.mark.parametrize(("text", "intent", "slots"), KOREAN, ids=[text for text, *_ in KOREAN])
def test_korean(text: str, intent: str, slots: dict[str, object]) -> None:
    asked = first(text, "ko")
    assert asked is not None
    assert (asked.intent, asked.language) == (intent, "ko")
    assert slots.items() <= dict(asked.slots).items()


@pytest.mark.parametrize("text", NOT_KOREAN)
def test_korean_for_the_language_model(text: str, kitchen: Place) -> None:
    assert match(text, "ko", kitchen, "타이머는 쓸모가 많아요.") is None


def test_each_language_is_known_in_a_conversation_of_the_other() -> None:
    for text, language, heard in (("십 분 타이머 맞춰 줘", "en", "ko"), ("ten minute timer", "ko", "en")):
        asked = first(text, language)
        assert asked is not None
        assert (asked.intent, asked.language, asked.slots["seconds"]) == (SET, heard, 600)


def test_a_sentence_that_is_decomposed_is_the_same_sentence() -> None:
    import unicodedata

    asked = first(unicodedata.normalize("NFD", "십 분 타이머 맞춰 줘"), "ko")
    assert asked is not None
    assert asked.slots["seconds"] == 600


def test_a_long_text_is_not_looked_at() -> None:
    assert first("set a timer for ten minutes " + "and then again " * LONGEST_CHARACTERS, "en") is None
    assert first("타" * 100_000, "ko") is None


def test_both_languages_say_the_same_things() -> None:
    english, korean = languages()["en"], languages()["ko"]
    assert english.answers.keys() == korean.answers.keys()


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("지금 몇 시고?", "HassGetCurrentTime"),
        ("몇 시나 됐을까", "HassGetCurrentTime"),
        ("지금 몇 시쯤 됐을까요?", "HassGetCurrentTime"),
        ("지금 몇 시일까", "HassGetCurrentTime"),
        ("오늘이 며칠이더라", "HassGetCurrentDate"),
        ("어제가 무슨 요일이었지", "HassGetCurrentDate"),
        ("됐어, 그만", "Stop"),
        ("One more time.", "Repeat"),
        ("Say that one more time, please.", "Repeat"),
        ("Cancel that one.", "HassCancelTimer"),
        ("Set an alarm for ten minutes.", "HassStartTimer"),
    ],
)
def test_other_ways_to_say_it_are_understood(text: str, intent: str) -> None:
    assert next(iter(requests(text, "ko" if "가" <= text[-2] <= "힣" else "en"))).intent == intent


@pytest.mark.parametrize("text", ["지금 뉴욕은 몇 시고?", "크리스마스가 무슨 요일이더라", "Set an alarm for seven."])
def test_what_sounds_like_it_is_left_to_the_language_model(text: str) -> None:
    assert not list(requests(text, "en"))


@pytest.mark.parametrize(
    "text",
    [
        "Don't set a timer for ten minutes.",
        "She set a timer for ten minutes.",
        "Should I set a timer for ten minutes?",
        "We need a pasta timer for ten minutes.",
        "Mom set the pasta timer for ten minutes.",
        "He started a timer for five minutes.",
        "Set a timer for tomorrow.",
        "어떻게 10분 타이머 맞춰?",
        "우리 엄마는 라면 타이머 3분 맞춰",
        "10분에 타이머 맞춰 줘",
    ],
)
def test_what_stands_before_timer_is_no_name_when_somebody_tells_or_asks_of_one(text: str) -> None:
    assert not list(requests(text, "en"))


@pytest.mark.parametrize("called", ["Hey Jarvis. ", "Hey, Nabu. ", "Okay. ", "... Okay. ", "Yes, ", "Excuse me, "])
def test_a_wake_word_may_be_a_sentence_of_its_own(called: str) -> None:
    assert first(f"{called}What time is it?", "en") == Request(TIME, "en", {})
    timer = first(f"{called}Set a timer for ten minutes.", "en")
    assert timer == Request(SET, "en", {"seconds": 600})


def test_a_wake_word_may_be_a_sentence_of_its_own_in_korean() -> None:
    for called in ("나부야. ", "자비스. ", "네. ", "알았어. "):
        assert first(f"{called}10분 타이머 맞춰 줘.", "ko") == Request(SET, "ko", {"seconds": 600}), called
        asked = first(f"{called}타이머 맞춰 줘.", "ko")
        assert asked == Request(ASK, "ko", {}), called


@pytest.mark.parametrize(
    ("length", "seconds"),
    [
        ("2 1/2 minutes", 150),
        ("2½ minutes", 150),
        ("1 ¾ hours", 6300),
        ("1/2 hour", 1800),
        ("1/2 an hour", 1800),
        ("3/4 of an hour", 2700),
        (".5 hours", 1800),
        ("1,200 seconds", 1200),
    ],
)
def test_fractions_and_thousands_as_transcribers_write_them(length: str, seconds: int) -> None:
    assert first(f"Set a timer for {length}.", "en") == Request(SET, "en", {"seconds": seconds})


def test_a_number_after_a_fraction_that_is_a_date_stays_one() -> None:
    assert first("Set a timer for 1/2/2026 minutes.", "en") is None


MORE_ENGLISH = [
    ("Let's set a timer for 5 minutes.", SET, {"seconds": 300}),
    ("Do a five minute timer.", SET, {"seconds": 300}),
    ("Put a timer on for 20 minutes.", SET, {"seconds": 1200}),
    ("Set a timer for about 20 minutes.", SET, {"seconds": 1200}),
    ("Set an alarm for 20 minutes from now.", SET, {"seconds": 1200}),
    ("Set a reminder for ten minutes.", SET, {"seconds": 600}),
    ("Set a reminder in ten minutes to call mom.", SET, {"seconds": 600, "name": "call mom", "reminder": True}),
    ("Pasta timer, 9 minutes.", SET, {"seconds": 540, "name": "pasta"}),
    ("Set a timer for the eggs.", ASK, {"name": "eggs"}),
    ("How much time's left?", STATUS, {"implied": True}),
    ("How much longer on the timer?", STATUS, {}),
    ("How much longer on the pasta timer?", STATUS, {"name": "pasta"}),
    ("How long does the pasta timer have left?", STATUS, {"name": "pasta"}),
    ("Is the pasta timer done?", STATUS, {"name": "pasta"}),
    ("What's the time left on the timer?", STATUS, {}),
    ("What are my timers?", STATUS, {}),
    ("Take off two minutes.", LESS, {"seconds": 120, "implied": True}),
    ("Take off two minutes from the timer.", LESS, {"seconds": 120}),
    ("Subtract a minute.", LESS, {"seconds": 60, "implied": True}),
    ("Make it 20 minutes instead.", CHANGE, {"seconds": 1200, "implied": True}),
    ("Turn it down to 20 percent.", VOLUME, {"percent": 20}),
    ("Too loud.", LOUDER, {"direction": -1}),
    ("No, no, stop.", "Stop", {}),
    ("Thanks, stop.", "Stop", {}),
    ("What was the date yesterday?", DATE, {"day": -1}),
]
MORE_KOREAN = [
    ("3분 타이머요.", SET, {"seconds": 180}),
    ("타이머 3분이요", SET, {"seconds": 180}),
    ("타이머 3분 맞춰 주실 수 있나요?", SET, {"seconds": 180}),
    ("타이머를 삼 분 뒤로 맞춰 줘", SET, {"seconds": 180}),
    ("3분 뒤에 울리는 타이머 맞춰 줘", SET, {"seconds": 180}),
    ("5분 타이머 하나 더 맞춰 줘", SET, {"seconds": 300}),
    ("타이머 하나 더 5분으로 맞춰 줘", SET, {"seconds": 300}),
    ("타이머 맞춰 줘, 10분으로.", SET, {"seconds": 600}),
    ("3분 뒤 알람", SET, {"seconds": 180}),
    ("5분 타이머 추가해 줘", SET, {"seconds": 300}),
    ("타이머 확인해 줘", STATUS, {}),
    ("켜져 있는 타이머 있어?", STATUS, {}),
    ("타이머 아직 남았어?", STATUS, {}),
    ("라면 타이머 1분 더", MORE, {"seconds": 60, "name": "라면"}),
    ("타이머 5분 더 더해 줘", MORE, {"seconds": 300}),
    ("타이머에 5분 더 보태 줘", MORE, {"seconds": 300}),
    ("타이머 시간 5분 늘려 줘", MORE, {"seconds": 300}),
    ("타이머 잠깐만 멈춰 줘", PAUSE, {}),
    ("타이머 둘 다 꺼 줘", ALL, {}),
    ("타이머 이제 필요 없어", CANCEL, {}),
    ("소리 너무 시끄러워", LOUDER, {"direction": -1}),
    ("말 좀 크게 해 줘", LOUDER, {"direction": 1}),
    ("알겠어 그만해", "Stop", {}),
    ("아니, 그만.", "Stop", {}),
    ("한번 더 말해 줘", "Repeat", {}),
    ("한번만 더", "Repeat", {}),
    ("못 들었어. 다시 말해 줘.", "Repeat", {}),
    ("지금 몇 신지 알려 줘", TIME, {}),
    ("오늘 며칠이고 무슨 요일이야?", DATE, {"day": 0}),
    ("뭘 할 수 있어요?", "Help", {}),
]


@pytest.mark.parametrize(("text", "intent", "slots"), MORE_ENGLISH, ids=[text for text, *_ in MORE_ENGLISH])
def test_more_english(text: str, intent: str, slots: dict[str, object]) -> None:
    assert first(text, "en") == Request(intent, "en", slots)


@pytest.mark.parametrize(("text", "intent", "slots"), MORE_KOREAN, ids=[text for text, *_ in MORE_KOREAN])
def test_more_korean(text: str, intent: str, slots: dict[str, object]) -> None:
    assert first(text, "ko") == Request(intent, "ko", slots)


@pytest.mark.parametrize(
    "text",
    [
        "Take a day off.",
        "I want to take a day off.",
        "I need a day more.",
        "Thanks again.",
        "Great time!",
        "Thank you, stop by later.",
        "What are timers?",
        "How much for the timer?",
        "Let's have a ten minute break.",
        "Don't cancel the pasta timer.",
        "더 말해 줘",
        "10분 뒤에 온다고 해 줘",
        "이 옷은 너무 커",
        "알았어",
    ],
)
def test_more_talk_is_left_to_the_language_model(text: str, kitchen: Place) -> None:
    assert match(text, "en", kitchen, "Timers are useful.") is None


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("Set a trash can timer for ten minutes.", SET, {"seconds": 600, "name": "trash can"}),
        ("Set a timer called take a break for 20 minutes.", SET, {"seconds": 1200, "name": "take a break"}),
        ("Set a midnight snack timer for ten minutes.", SET, {"seconds": 600, "name": "midnight snack"}),
        ("Set a do homework timer for 30 minutes.", SET, {"seconds": 1800, "name": "do homework"}),
        ("Could you set an add water timer for ten minutes?", SET, {"seconds": 600, "name": "add water"}),
        ("Cancel the trash can timer.", CANCEL, {"name": "trash can"}),
        ("Trash can timer, ten minutes.", SET, {"seconds": 600, "name": "trash can"}),
        ("Set a pasta timer nine minutes.", SET, {"seconds": 540, "name": "pasta"}),
        ("Make the pasta timer ten minutes.", CHANGE, {"seconds": 600, "name": "pasta"}),
    ],
)
def test_words_of_talk_may_be_in_a_name(text: str, intent: str, slots: dict[str, object]) -> None:
    assert first(text, "en") == Request(intent, "en", slots)


@pytest.mark.parametrize(
    "text",
    [
        "Stop timer, ten minutes.",
        "Delete the pasta timer, ten minutes.",
        "Lengthen the pasta timer five minutes.",
        "Was the pasta timer ten minutes?",
        "No timer, ten minutes.",
        "My timer, ten minutes.",
        "Could you not set a timer for ten minutes?",
    ],
)
def test_what_is_done_to_a_timer_is_no_name_of_another(text: str) -> None:
    assert SET not in [request.intent for request in requests(text, "en")]
