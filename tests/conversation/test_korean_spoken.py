"""Korean as it is written, and how it is said: a table, as a whole and as it comes from a language model."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon_daemon.conversation.clauses import ClauseCutter
from antiphon_daemon.conversation.spoken import spoken


def table() -> dict[str, list[tuple[str, str]]]:
    """Return the rows under each heading of the table: what is written, and what is said."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in Path(__file__).with_name("korean_spoken.tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            rows = sections.setdefault(line[3:], [])
        else:
            written, said = line.split("\t")
            rows.append((written, said))
    return sections


TABLE = table()


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def parts(text: str, size: int) -> list[str]:
    cutter = ClauseCutter("ko")
    found = [part.text for at in range(0, len(text), size) for part in cutter.feed(text[at : at + size])]
    return [*found, rest.text] if (rest := cutter.rest()) else found


def test_the_table_has_three_hundred_rows_each_once() -> None:
    written = [row[0] for rows in TABLE.values() for row in rows]
    assert len(written) >= 300
    assert len(written) == len(set(written))


@pytest.mark.parametrize("section", TABLE)
def test_what_is_written_is_said(section: str) -> None:
    said = {written: spoken(written, "ko").text for written, _ in TABLE[section]}
    assert said == dict(TABLE[section])


@pytest.mark.parametrize("section", TABLE)
def test_what_is_said_is_said_as_it_is(section: str) -> None:
    assert {said: spoken(said, "ko").text for _, said in TABLE[section]} == {said: said for _, said in TABLE[section]}


@pytest.mark.parametrize("size", [1, 2, 5])
def test_what_comes_in_pieces_is_said_the_same(size: int) -> None:
    """No number, date or unit is torn, wherever a chunk of the language model ends."""
    torn = {}
    for written, said in (row for rows in TABLE.values() for row in rows):
        joined = "".join(letters(spoken(part, "ko").text) for part in parts(written, size))
        if joined != letters(said):
            torn[written] = joined
    assert torn == {}


@pytest.mark.parametrize(
    ("particle", "closed", "opened"),
    [("은(는)", "은", "는"), ("이(가)", "이", "가"), ("을(를)", "을", "를"), ("과(와)", "과", "와")],
)
def test_particles_agree_with_every_number(particle: str, closed: str, opened: str) -> None:
    for number in range(1200):
        word = spoken(str(number), "ko").text
        ends_open = (ord(word[-1]) - 0xAC00) % 28 == 0
        assert spoken(f"{number}{particle}", "ko").text == word + (opened if ends_open else closed)


def test_native_numbers_count_to_ninety_nine_and_not_further() -> None:
    said = [spoken(f"{number}개", "ko").text.removesuffix(" 개") for number in range(1, 100)]
    assert len(set(said)) == 99
    assert said[:5] == ["한", "두", "세", "네", "다섯"]
    assert all(one.startswith(ten) for ten, one in zip(["열", "스", "서른", "마흔"], said[9::10], strict=False))
    assert spoken("100개", "ko").text == "백 개"
    assert spoken("0개", "ko").text == "영 개"
