"""What Antiphon itself says, in the language of the conversation. English and Korean are complete."""

from __future__ import annotations

from typing import Literal, TypeAlias

from antiphon_daemon.engines.contracts import EngineError, Fault

Key: TypeAlias = Literal[
    "stt",
    "llm",
    "llm_key",
    "llm_busy",
    "doubt",
    "names",
    "tts",
    "empty",
    "started_over",
    "okay",
    "unknown_language",
    "cut_short",
    "one_moment",
    "silence",
    "unheard",
    "prompt",
]

_ENGLISH: dict[Key, str] = {
    "stt": "Sorry, I couldn't make out what you said.",
    "llm": "Sorry, I can't reach the language model.",
    "llm_key": "Sorry, the language model doesn't accept my key.",
    "llm_busy": "Sorry, the language model isn't ready yet. Please ask again in a moment.",
    "doubt": "Sorry, Home Assistant gave no answer. I don't know whether it was done.",
    "names": "Rooms and devices in this house: {}.",
    "tts": "Sorry, I can't speak right now.",
    "empty": "Sorry, I have no answer to that.",
    "started_over": "All right, let's start over.",
    "okay": "Okay.",
    "unknown_language": "Sorry, I can't understand that language yet.",
    "cut_short": "There is more, but I'll stop here.",
    "one_moment": "One moment.",
    # Told to the model, not to anybody who listens.
    "silence": "(I have said nothing for a while. Ask me in one short sentence whether I am still there.)",
    "unheard": "(You could not make out what I said. Ask me in one short sentence to say it again.)",
    # Small models answer best when told little: of six prompts this one had the most right answers.
    "prompt": "You are a helpful AI assistant named Antiphon. Answer each question in one short sentence.",
}
_KOREAN: dict[Key, str] = {
    "stt": "죄송해요, 잘 못 알아들었어요.",
    "llm": "죄송해요, 언어 모델에 연결할 수 없어요.",
    "llm_key": "죄송해요, 언어 모델이 제 인증 키를 받아 주지 않아요.",
    "llm_busy": "죄송해요, 언어 모델이 아직 준비되지 않았어요. 잠시 뒤에 다시 말해 주세요.",
    "doubt": "죄송해요, 홈 어시스턴트가 대답하지 않았어요. 실행되었는지 알 수 없어요.",
    "names": "이 집의 방과 기기: {}.",
    "tts": "죄송해요, 지금은 말을 할 수 없어요.",
    "empty": "죄송해요, 드릴 답이 없어요.",
    "started_over": "네, 처음부터 다시 시작할게요.",
    "okay": "네.",
    "unknown_language": "죄송해요, 아직 그 언어는 알아듣지 못해요.",
    "cut_short": "더 있지만 여기까지 할게요.",
    "one_moment": "잠시만요.",
    "silence": "(제가 한동안 아무 말이 없었습니다. 아직 있는지 짧은 한 문장으로 물어봐 주세요.)",
    "unheard": "(제가 한 말을 알아듣지 못하셨습니다. 다시 말해 달라고 짧은 한 문장으로 부탁해 주세요.)",
    "prompt": (
        "당신은 집에서 쓰는 친절한 음성 비서 안티폰입니다. 답은 소리 내어 읽힙니다. "
        "목록, 기호, 이모지 없이 짧은 한두 문장의 한국어로 대답하세요."
    ),
}
_BY_LANGUAGE = {"en": _ENGLISH, "ko": _KOREAN}


def message(key: Key, language: str | None) -> str:
    """Return the sentence in `language`, or in English where it is not translated."""
    return _BY_LANGUAGE.get((language or "en").split("-")[0], _ENGLISH)[key]


_BY_FAULT: dict[Fault, Key] = {Fault.KEY: "llm_key", Fault.BUSY: "llm_busy", Fault.EMPTY: "empty", Fault.DOUBT: "doubt"}


def unwritten(error: Exception) -> Key:
    """Return which sentence says that the language model has failed so."""
    return _BY_FAULT.get(error.fault, "llm") if isinstance(error, EngineError) else "llm"
