"""Korean sentences and beginnings of sentences: whether a turn that falls silent after them is over.

At text level only: the sound of the voice and the language model have their say beside this.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from antiphon.settings import Settings
from antiphon_daemon.conversation.endings import Evidence, probability
from antiphon_daemon.conversation.korean_endings import Ending, ending
from antiphon_daemon.conversation.spoken.korean import sino

SECOND_PER_SYLLABLE = 0.17
"""As Koreans speak on an ordinary day."""


def table() -> list[tuple[str, Ending]]:
    """Return each text of the table, and what a listener would say of it."""
    rows: list[tuple[str, Ending]] = []
    for line in Path(__file__).with_name("korean_endings.tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            wanted = Ending(line[3:].split(":")[0])
        else:
            rows.append((line, wanted))
    return rows


TABLE = table()
MISSED = frozenset({"그거 말고 다른 거", "커튼을 반쯤"})
"""Rows that are told wrongly; the test fails when one of them is told rightly."""


def evidence(text: str) -> Evidence:
    return Evidence(text, "ko", SECOND_PER_SYLLABLE * sum("가" <= one <= "힣" for one in text))


def test_the_table_holds_two_hundred_sentences_whole_and_not() -> None:
    assert len({text for text, _ in TABLE}) == len(TABLE) >= 200
    of = Counter(wanted for _, wanted in TABLE)
    assert of[Ending.CLOSES] >= 100
    assert of[Ending.HOLDS] >= 100


@pytest.mark.parametrize("wanted", Ending, ids=lambda one: one.value)
def test_every_sentence_is_told_rightly_but_those_known(wanted: Ending) -> None:
    told = {text: ending(text) for text, truth in TABLE if truth is wanted}
    assert {text for text, found in told.items() if found is not wanted} == MISSED & told.keys()


@pytest.mark.parametrize("mark", ["", "."])
def test_whole_sentences_end_a_turn_soon_and_others_late(mark: str) -> None:
    """Whisper writes a full stop after anything."""
    turn = Settings().turn
    early = {
        text for text, truth in TABLE if truth is Ending.CLOSES and probability(evidence(text + mark)) < turn.likely
    }
    late = {
        text for text, truth in TABLE if truth is Ending.HOLDS and probability(evidence(text + mark)) > turn.unlikely
    }
    assert early | late <= MISSED


def test_a_comma_never_makes_an_unfinished_sentence_whole() -> None:
    for text, truth in TABLE:
        if truth is Ending.HOLDS:
            assert probability(evidence(f"{text},")) <= probability(evidence(text))


def test_a_question_mark_ends_what_an_ending_does_not() -> None:
    assert probability(evidence("내일 아침에?")) > 0.6 > probability(evidence("내일 아침에"))


def test_decomposed_text_is_told_alike() -> None:
    for text, _ in TABLE:
        assert probability(evidence(text)) == pytest.approx(
            probability(Evidence(unicodedata.normalize("NFD", text), "ko", evidence(text).speech_s))
        )


@pytest.mark.parametrize(
    ("because", "asks"), [("가니까", "갑니까"), ("좋으니까", "좋습니까"), ("먹으니까", "먹을까"), ("하니까", "할까")]
)
def test_the_same_last_syllable_gives_a_reason_or_asks(because: str, asks: str) -> None:
    assert (ending(because), ending(asks)) == (Ending.HOLDS, Ending.CLOSES)


def test_a_number_alone_tells_nothing() -> None:
    assert {ending(sino(str(number))) for number in (7, 20, 135, 4000)} == {Ending.EITHER}


def test_a_long_text_is_told_by_its_end() -> None:
    assert ending("아주 " * 100_000 + "좋아요") is Ending.CLOSES
    assert ending("가" * 100_000) is Ending.HOLDS
