"""How a reply's text is cut and cleaned, and what is remembered of it."""

from __future__ import annotations

import pytest

from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation.clauses import LONGEST_CHARACTERS, ClauseCutter
from antiphon_daemon.conversation.memory import Memory, estimate_tokens, heard_part
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.speakable import speakable


def cut(text: str, size: int) -> list[str]:
    cutter = ClauseCutter()
    clauses = [clause for at in range(0, len(text), size) for clause in cutter.feed(text[at : at + size])]
    return [*clauses, rest] if (rest := cutter.rest()) else clauses


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Paris. It is big.", ["Paris.", "It is big."]),
        ("The capital is Paris, which is big, old. Yes.", ["The capital is Paris,", "which is big, old.", "Yes."]),
        ("Yes, it is.", ["Yes, it is."]),
        ("It costs 3.14 dollars. Ask Dr. Smith.", ["It costs 3.14 dollars.", "Ask Dr. Smith."]),
        ("파리입니다. 프랑스의 수도예요!", ["파리입니다.", "프랑스의 수도예요!"]),
        ("東京です。人が多い。", ["東京です。", "人が多い。"]),
        ("First\n\nSecond", ["First", "Second"]),
        ("", []),
    ],
)
def test_clauses_do_not_depend_on_how_the_text_came(text: str, clauses: list[str], size: int) -> None:
    assert cut(text, size) == clauses


def test_text_without_an_end_is_cut_somewhere_and_nothing_is_lost() -> None:
    text = "word " * 500
    clauses = cut(text, 7)
    assert all(len(clause) <= LONGEST_CHARACTERS for clause in clauses)
    assert " ".join(clauses) == text.strip()
    assert "".join(cut("가" * 1000, 9)) == "가" * 1000


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**Bold** and _plain_ `code`", "Bold and plain code"),
        ("**굵게**를 말해요", "굵게를 말해요"),
        ("# Title\n- one\n- two", "Title one two"),
        ("See [the page](https://example.org/x) or https://example.org.", "See the page or"),
        ("It is 5 * 3", "It is 5 3"),
        ("Sunny ☀️ today 😀", "Sunny today"),
        ("[[ h ə l oʊ ]]", "h ə l oʊ"),
        ("***", ""),
        ("…", ""),
    ],
)
def test_only_what_can_be_said_is_said(written: str, said: str) -> None:
    assert speakable(written) == said


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


def test_memory_without_a_budget_remembers_nothing() -> None:
    kept, _ = memory(budget=0)
    kept.remember("a", "b")
    assert [m.text for m in kept.messages("x")] == ["prompt", "x"]


def test_what_was_heard_is_cut_to_the_word() -> None:
    text = "one two three four"
    assert heard_part(text, 0) == ""
    assert heard_part(text, 0.5) == "one two"
    assert heard_part(text, 1) == text


def test_hangul_counts_a_token_a_syllable() -> None:
    assert estimate_tokens("안녕하세요") > estimate_tokens("hello")


@pytest.mark.parametrize("text", ["Start over.", "let's start over", "처음부터 다시 시작해", "처음부터 다시"])
def test_start_over_is_known_in_both_languages(text: str) -> None:
    answer = skills.match(text, "ko")
    assert answer is not None
    assert answer.starts_over
    assert answer.text == message("started_over", "en" if text.isascii() else "ko")


def test_other_sentences_go_to_the_model() -> None:
    assert skills.match("How do I start over with my garden?", "en") is None


def test_a_text_of_a_megabyte_is_cut_in_proportion_to_its_length() -> None:
    """Counted in steps, not seconds: the regular expressions see a window, never the whole text."""
    cutter = ClauseCutter()
    text = "This is one sentence of many. " * 30_000
    clauses = list(cutter.feed(text))
    assert len(clauses) >= 29_999
    assert len(cutter.rest()) < LONGEST_CHARACTERS
