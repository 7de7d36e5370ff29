"""What is remembered of a conversation, and what its skills answer."""

from __future__ import annotations

import pytest

from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation.memory import Memory, estimate_tokens
from antiphon_daemon.conversation.messages import message


def memory(budget: int = 1000) -> tuple[Memory, list[float]]:
    now = [0.0]
    return Memory("prompt", budget_tokens=budget, reset_after_s=300, clock=lambda: now[0]), now


def test_a_conversation_is_remembered_until_five_silent_minutes() -> None:
    kept, now = memory()
    kept.remember("What is the capital of France?", "Paris.")
    now[0] = 299
    assert [m.text for m in kept.messages("And Italy?")] == [
        "prompt",
        "What is the capital of France?",
        "Paris.",
        "And Italy?",
    ]
    now[0] = 301
    assert [m.text for m in kept.messages("And Italy?")] == ["prompt", "And Italy?"]
    kept.remember("And Italy?", "Rome.")
    assert [m.text for m in kept.messages("x")] == ["prompt", "And Italy?", "Rome.", "x"]


def test_memory_stays_within_its_budget_and_keeps_the_newest() -> None:
    kept, _ = memory(budget=200)
    for number in range(50):
        kept.remember(f"question number {number}", f"answer number {number}")
        assert sum(estimate_tokens(m.text) for m in kept.messages("x")[1:-1]) <= 200
    assert kept.messages("x")[-2].text == "answer number 49"


def test_the_last_exchange_stays_however_long_within_the_budget() -> None:
    kept, _ = memory(budget=1000)
    kept.remember("What is the capital of France?", "Paris. " * 100)
    kept.remember("Tell me a story.", "Once upon a time. " * 200)
    assert [m.text for m in kept.messages("And then?")][1:2] == ["Tell me a story."]


def test_an_exchange_that_is_taken_back_was_not_the_last() -> None:
    kept, _ = memory()
    kept.remember("Set a timer.", "For how long?")
    kept.remember("Ten", "Ten what?")
    kept.withdraw()
    assert kept.last_reply == "For how long?"
    assert [m.text for m in kept.messages("Ten minutes")] == ["prompt", "Set a timer.", "For how long?", "Ten minutes"]
    kept.withdraw()
    assert kept.last_reply == "For how long?", "only the last is taken back"


def test_what_was_said_last_is_forgotten_with_the_rest() -> None:
    kept, now = memory()
    kept.remember("Where is the key?", "Under the", interrupted=True, whole="Under the mat.")
    assert kept.last_reply == "Under the mat."
    now[0] = 301
    assert kept.last_reply is None


def test_other_settings_hold_for_a_conversation_that_goes_on_and_what_was_said_stays() -> None:
    kept, now = memory()
    kept.remember("What is the capital of France?", "Paris.")
    kept.adopt(Memory("another prompt", budget_tokens=0, reset_after_s=60))
    now[0] = 59
    assert [m.text for m in kept.messages("And Italy?")][:2] == ["another prompt", "What is the capital of France?"]
    now[0] = 61
    assert [m.text for m in kept.messages("And Italy?")] == ["another prompt", "And Italy?"]
    kept.remember("And Italy?", "Rome.")
    assert [m.text for m in kept.messages("x")] == ["another prompt", "x"]


def test_memory_without_a_budget_remembers_nothing() -> None:
    kept, _ = memory(budget=0)
    kept.remember("a", "b")
    assert [m.text for m in kept.messages("x")] == ["prompt", "x"]


def test_hangul_counts_a_token_a_syllable() -> None:
    assert estimate_tokens("안녕하세요") - estimate_tokens("") == 5
    assert estimate_tokens("hello world, ") - estimate_tokens("") == 4
    assert estimate_tokens("안녕 all") - estimate_tokens("안녕") == 1


@pytest.mark.parametrize("text", ["Start over.", "let's start over", "처음부터 다시 시작해", "처음부터 다시"])
def test_start_over_is_known_in_both_languages(text: str) -> None:
    answer = skills.match(text, "ko")
    assert answer is not None
    assert answer.starts_over
    assert answer.text == message("started_over", "en" if text.isascii() else "ko")


def test_other_sentences_go_to_the_model() -> None:
    assert skills.match("How do I start over with my garden?", "en") is None
