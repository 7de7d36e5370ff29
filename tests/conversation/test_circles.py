"""A model that goes round in a circle is ended; what is repeated on purpose is not."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from antiphon_daemon.conversation.circles import MORE, PIECE, WEIGHT, Circle, uncircled

MOON = "He was Neil Armstrong, the first American to walk on the moon. "
TWO = "The king was proud of the dragon, and gave it a place in his palace. The dragon was proud of the king. "


async def given(text: str, size: int) -> tuple[str, int]:
    """Return what is let through of a text that comes in pieces of `size`, and how often it was told."""
    told: list[None] = []

    async def words() -> AsyncGenerator[str, None]:
        for start in range(0, len(text), size):
            yield text[start : start + size]

    through = "".join([delta async for delta in uncircled(words(), lambda: told.append(None))])
    return through, len(told)


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    ("begin", "round_", "rounds"),
    [
        ("The first was Neil Armstrong. ", MOON, 3),
        ("", TWO, 3),
        ("Once upon a time, there was a king.\n\n", "\n\nTHE king - was proud. The King was proud!", 4),
        ("", "El cielo es el cielo. ", 8),
        ("하늘은 ", "정말로 하늘이라고 생각합니다. ", 5),
        ("그건 ", "空は青いです。", 10),
        ("", "no ", 61),
    ],
)
async def test_a_circle_ends_with_a_sentence(begin: str, round_: str, rounds: int, size: int) -> None:
    whole = begin + round_ * 120
    through, told = await given(whole, size)
    assert told == 1
    assert whole.startswith(through)
    again = through[len(begin) :].count(round_.strip().split()[0])
    length = len(through) - len(begin)
    assert (rounds - 1) * len(round_) <= length <= rounds * len(round_) + MORE + 2 * PIECE
    assert again >= 2
    if round_ != "no ":
        assert through.rstrip()[-1] in ".!。"


@pytest.mark.parametrize(
    "text",
    [
        MOON * 2 + "And that was that.",
        "Na na na na na na na na, hey hey hey, goodbye. " * 2,
        "Happy birthday to you, happy birthday to you, happy birthday dear Ann, happy birthday to you!",
        "".join(f"{n} green bottles hanging on the wall, and if one green bottle should fall. " for n in range(9)),
        "Ho ho ho! " * 6,
        " ".join(map(str, range(200))),
        "The door is open, the window is open, the gate is open, and the roof is open, too. Shall I close them all?",
        "네, 네, 네, 알겠습니다. 불을 켜고 문을 닫고 창문을 닫았습니다.",
        "... --- ... " * 50,
    ],
)
async def test_what_is_no_circle_is_let_through(text: str) -> None:
    assert await given(text, 3) == (text, 0)


def test_a_long_text_is_followed_quickly_enough() -> None:
    """Some microseconds a letter: it is done on the event loop."""
    circle = Circle()
    assert not circle.closed(" ".join(f"{n * n} and {n}" for n in range(2000)))
    assert circle.closed("ab" * WEIGHT)
