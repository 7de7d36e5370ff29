"""Text is composed at each edge that takes it, however it came."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.text import Composer, composed, shown
from antiphon_satellite.questions import asks

HANGUL = st.text(alphabet="가각간갈한글닭값뷁의쀍 a1.,?!\nㅋㅎㅠ", max_size=40)
JAMO = st.text(alphabet="ㄱㄴㄹㅎㅋㅏㅗㅣㅠ가한 a.\u1112\u1161\u11ab\uffbe\uffc2\uffa4\u0301é\u3164", max_size=40)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (unicodedata.normalize("NFD", "한글 파일.txt"), "한글 파일.txt"),
        ("ㅎㅏㄴㄱㅡㄹ", "한글"),
        ("ㅂㅜㄹ ㅋㅕ ㅈㅝ", "불 켜 줘"),
        ("ㄷㅏㄺ", "닭"),
        ("ㅎㅗㅏㄴ", "환"),
        ("ﾾￂﾤﾡￚﾩ", "한글"),
        ("１０분 ＴＶ", "10분 TV"),
        ("ㅋㅋㅋ ㅠㅠ ㅇㅋ ㄱ, ㄴ", "ㅋㅋㅋ ㅠㅠ ㅇㅋ ㄱ, ㄴ"),
        ("한\u3164글", "한글"),
        ("e\u0301te\u0301", "été"),
        ("か\u3099", "が"),
        ("plain text, 10 %", "plain text, 10 %"),
        ("half \ud83d, both \ud83d\ude00", "half \ufffd, both 😀"),
        ("", ""),
    ],
)
def test_every_form_becomes_one(given: str, wanted: str) -> None:
    assert composed(given) == wanted
    assert composed(wanted) == wanted


@given(JAMO)
def test_composed_text_stays_and_loses_no_letter(text: str) -> None:
    once = composed(text)
    assert composed(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(HANGUL, st.integers(1, 5), st.sampled_from(["NFC", "NFD"]))
def test_pieces_compose_to_the_whole_wherever_they_are_cut(text: str, size: int, form: str) -> None:
    written = unicodedata.normalize(form, text)
    composer = Composer()
    pieces = [composer.feed(written[at : at + size]) for at in range(0, len(written), size)]
    assert "".join(pieces) + composer.rest() == composed(text)


def test_composed_pieces_are_handed_on_at_once_but_an_open_syllable() -> None:
    composer = Composer()
    assert composer.feed("불을 켤") == "불을 켤"
    assert composer.feed(" 수 있어") == " 수 있"
    assert composer.feed("요.") == "어요."
    assert composer.feed("Fine") == "Fine"
    assert composer.rest() == ""


def test_a_run_without_an_end_is_not_held_for_ever() -> None:
    composer = Composer()
    given = "".join(composer.feed("ㅋ" * 100) for _ in range(100))
    assert len(given) >= 9_900
    assert given + composer.rest() == "ㅋ" * 10_000


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_question_is_heard_in_either_form(form: str) -> None:
    assert asks(unicodedata.normalize(form, "지금 몇 시입니까"))
    assert not asks(unicodedata.normalize(form, "비가 오니까"))


def test_halves_of_a_character_that_come_one_by_one_are_joined() -> None:
    composer = Composer()
    assert composer.feed("ah \ud83d") + composer.feed("\ude00 \ud83d") + composer.rest() == "ah 😀 \ufffd"


def test_what_would_command_a_terminal_is_spelled_out() -> None:
    assert shown("a\x1b]0;b\x07\x9b2J\u202ec\r") == r"a\x1b]0;b\x07\x9b2J\u202ec\r"
    assert shown("두 줄,\n\tand é 😀 \\") == "두 줄,\n\tand é 😀 \\"
