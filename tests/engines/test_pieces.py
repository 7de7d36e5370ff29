"""How a text is cut for voices that make the sound of a piece only when all of it is made."""

from __future__ import annotations

import pytest

from antiphon_daemon.engines.tts.pieces import LETTERS, LONGEST, letters_apart, pause_s, pieces, weight


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sure.", ["Sure."]),
        ("Yes! It is on. Why?", ["Yes!", "It is on.", "Why?"]),
        ("One\ntwo\x07three", ["One", "two three"]),
        ("Well, yes, it is.", ["Well, yes, it is."]),
        (
            "The light in the kitchen is on right now, and the window in the bedroom has been open since seven.",
            ["The light in the kitchen is on right now,", "and the window in the bedroom has been open since seven."],
        ),
        ("今日は。元気？ はい", ["今日は。", "元気？", "はい"]),
        ("네. 켰습니다.", ["네.", "켰습니다."]),
        ("At three P.M. take two. J. K. Rowling", ["At three P.M. take two.", "J. K. Rowling"]),
        (" \n... — 🙂 ?!", []),
    ],
)
def test_where_a_text_is_cut(text: str, expected: list[str]) -> None:
    assert list(pieces(text)) == expected


def test_letters_that_stand_alone_are_cut_where_there_are_many() -> None:
    plain = "The U.S.A. and the U.K., e.g., a B 52, and I."
    assert list(letters_apart(plain)) == [plain]
    for one in ("A. ", "é.", "가..", "x .", "b.'s "):
        text = f"Say {one * 100}and no more"
        cut = list(letters_apart(text))
        assert "".join(cut) == text
        assert max(part.count(one) for part in cut) == LETTERS // sum(letter.isalpha() for letter in one)
    assert list(letters_apart("")) == [""]


@pytest.mark.parametrize("separator", [" ", ". ", "\n", ", "])
@pytest.mark.parametrize("word", ["word", "단어"])
def test_no_piece_is_too_long_and_no_word_is_lost(word: str, separator: str) -> None:
    words = [f"{word}{n}" for n in range(1000)]
    cut = list(pieces(separator.join(words)))
    assert max(map(weight, cut)) <= LONGEST
    assert " ".join(cut).replace(".", "").replace(",", "").split() == words


def test_a_word_without_end_is_cut_anywhere() -> None:
    for letter in "x가":
        cut = list(pieces(letter * 1000))
        assert max(map(weight, cut)) <= LONGEST
        assert "".join(cut).replace(" ", "") == letter * 1000


def test_pauses_follow_the_punctuation() -> None:
    assert [pause_s(one) for one in ("Yes.", "“Yes!”", "Well,", "네。", "and", "")] == [0.25, 0.25, 0.1, 0.25, 0, 0]
