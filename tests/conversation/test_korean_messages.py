"""Nothing that a Korean hears is missing in Korean, and what goes into a sentence has its place in both."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, get_args

import pytest
import yaml

from antiphon_daemon.conversation import endings, interruptions, messages, skills
from antiphon_daemon.conversation.messages import Key, message
from antiphon_daemon.conversation.spoken import markup, spoken
from antiphon_daemon.engines.llm import homeassistant

PLACES = re.compile(r"\{\w*\}")


def sentences(name: str) -> dict[str, Any]:
    path = files(skills.__name__).joinpath(f"sentences/{name}.yaml")
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def is_korean(text: str) -> bool:
    bare = PLACES.sub("", text)
    return not re.search("[A-Za-z]", bare) and (re.search("[가-힣]", bare) is not None or not re.search(r"\w", bare))


@pytest.mark.parametrize("key", get_args(Key))
def test_each_message_is_there_in_korean(key: Key) -> None:
    korean, english = message(key, "ko-KR"), message(key, "en")
    assert korean != english
    assert is_korean(korean)
    assert PLACES.findall(korean) == PLACES.findall(english)
    assert spoken(korean, "ko").text == korean or "{}" in korean, "it is said as it is written"


def test_there_are_no_messages_but_those_of_the_key() -> None:
    assert set(messages._ENGLISH) == set(messages._KOREAN) == set(get_args(Key))


def test_each_answer_of_a_skill_is_there_in_korean() -> None:
    english, korean = sentences("en")["answers"], sentences("ko")["answers"]
    assert korean.keys() == english.keys()
    for name, answer in korean.items():
        assert is_korean(answer), name
        assert set(PLACES.findall(answer)) == set(PLACES.findall(english[name])), name


@pytest.mark.parametrize("name", ["", "house."])
def test_each_intent_can_be_asked_for_in_korean(name: str) -> None:
    assert sentences(f"{name}ko")["intents"].keys() == sentences(f"{name}en")["intents"].keys()


@pytest.mark.parametrize(
    "table",
    [markup.CODE_BLOCK, markup.CODE, markup.DOT, markup.AT, markup.LIST_NUMBER, homeassistant.DONE],
    ids=["code block", "code", "dot", "at", "list number", "done"],
)
def test_each_table_of_words_knows_korean(table: dict[str, str]) -> None:
    assert is_korean(table["ko"])
    assert table.keys() >= {"en", "ko"}


def test_fillers_and_short_answers_are_korean_too() -> None:
    for known in (interruptions._ANSWERS["ko"], interruptions._MURMURS["ko"], endings._SHORT["ko"]):
        assert all(re.fullmatch("[가-힣]+", word) for word in known)


def test_the_prompt_asks_for_korean_that_can_be_spoken() -> None:
    assert "한국어" in message("prompt", "ko")
    assert "이모지 없이" in message("prompt", "ko")
