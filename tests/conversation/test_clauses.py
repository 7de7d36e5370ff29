"""Where a reply is cut while it is being written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon_daemon.conversation.clauses import LONGEST_CHARACTERS, LONGEST_WORD, ClauseCutter, Ending, Part
from antiphon_daemon.conversation.joints import Joint, between
from antiphon_daemon.conversation.pacing import letters


def cut(text: str, size: int, language: str = "en") -> list[Part]:
    cutter = ClauseCutter(language)
    parts = [part for at in range(0, len(text), size) for part in cutter.feed(text[at : at + size])]
    return [*parts, rest] if (rest := cutter.rest()) else parts


ENGLISH = [
    ("Paris. It is big.", ["Paris.", "It is big."]),
    ("Sure, I can do that.", ["Sure,", "I can do that."]),
    ("No, it is.", ["No, it is."]),
    ("The capital is Paris, which is big, old. Yes.", ["The capital is Paris,", "which is big,", "old.", "Yes."]),
    ("It costs 3.14 dollars. Ask Dr. Smith.", ["It costs 3.14 dollars.", "Ask Dr. Smith."]),
    ("Mr. J. R. Jones met Mrs. Lee at 5 p.m. on Nov. 3 in St. Louis. Yes.", [None, "Yes."]),
    ("We met at 10 a.m. Then we left.", ["We met at 10 a.m.", "Then we left."]),
    ("We met at 10 a.m. Monday.", ["We met at 10 a.m. Monday."]),
    (
        "Apples, pears, etc. are fruit. So are nuts, etc. Yes. No.",
        [None, "pears,", "etc. are fruit.", "So are nuts,", "etc.", "Yes.", "No."],
    ),
    ("On July 4, 2026, we met.", ["On July 4, 2026,", "we met."]),
    ("It costs 5. Then it cost 6.", ["It costs 5.", "Then it cost 6."]),
    ("1. Mix it. 2. Bake it.", ["1. Mix it.", "2. Bake it."]),
    ("First\n\nSecond", ["First", "Second"]),
    ("Is it? Yes! Well... no.", ["Is it?", "Yes!", "Well...", "no."]),
    ("It is 10 - 3 = 7, I think.", ["It is 10 - 3 = 7,", "I think."]),
    ("It is late - very late.", ["It is late -", "very late."]),
    ("At 3:30 it ended: 2:1 for us.", ["At 3:30 it ended:", "2:1 for us."]),
    ("See https://x.org/a,b.c?d=e. Then go.", ["See https://x.org/a,b.c?d=e.", "Then go."]),
    ('He said "Stop. Go home, now." and left.', ['He said "Stop. Go home, now."', "and left."]),
    ("It (the cat, I mean. Yes) slept.", ["It (the cat, I mean. Yes) slept."]),
    ("See [the page, here](https://x.org). Go.", ["See [the page, here](https://x.org).", "Go."]),
    ("Run `a, b. c` now.", ["Run `a, b. c` now."]),
    ("It is **bold, very. bold** now.", ["It is **bold, very. bold** now."]),
    ("| a, b | c. d |\n| e | f |", ["| a, b | c. d |", "| e | f |"]),
    ("You can put it into the fridge because it is cold.", ["You can put it into the fridge", "because it is cold."]),
    ("I would like to go there but it is raining now.", ["I would like to go there", "but it is raining now."]),
    ("The man to whom I spoke and wrote a letter came.", ["The man to whom I spoke", "and wrote a letter came."]),
    ("It is a city of which and in which I know.", ["It is a city of which and in which I know."]),
    ("It takes about two and a half hours to cook.", ["It takes about two and a half hours to cook."]),
    ("I really think that it will rain.", ["I really think", "that it will rain."]),
    ("Please give me that book now.", ["Please give me that book now."]),
    ("It is even better when and if it rains.", ["It is even better", "when and if it rains."]),
    (
        "The quick brown fox has jumped over the lazy dog with great enthusiasm this morning",
        ["The quick brown fox has jumped over the lazy dog", "with great enthusiasm this morning"],
    ),
    ("If x < 5, then stop.", ["If x < 5,", "then stop."]),
    ("Use <a href='x, y'>it</a>, then wait.", ["Use <a href='x, y'>it</a>,", "then wait."]),
    ("", []),
    ("   ", ["   "]),
]
KOREAN = [
    ("파리입니다. 프랑스의 수도예요!", ["파리입니다.", "프랑스의 수도예요!"]),
    ("네, 알겠어요.", ["네, 알겠어요."]),
    ("물론이죠, 도와드릴게요.", ["물론이죠,", "도와드릴게요."]),
    ("오늘은 날씨가 맑은데 바람이 불어요.", ["오늘은 날씨가 맑은데", "바람이 불어요."]),
    ("저는 지금 밥을 먹고 있어요.", ["저는 지금 밥을 먹고 있어요."]),
    ("저는 지금 밥을 먹고 학교에 가요.", ["저는 지금 밥을 먹고", "학교에 가요."]),
    ("비가 많이 오니까 우산을 가져가세요.", ["비가 많이 오니까", "우산을 가져가세요."]),
    ("내일 비가 오면 집에 있을게요.", ["내일 비가 오면", "집에 있을게요."]),
    ("내일도 비가 많이 오면 집에 있을게요.", ["내일도 비가 많이 오면", "집에 있을게요."]),
    ("저는 매운 라면 국물을 좋아해요.", ["저는 매운 라면 국물을 좋아해요."]),
    ("집에 늦게 도착해서 밥을 못 먹었어요.", ["집에 늦게 도착해서", "밥을 못 먹었어요."]),
    ("학교 앞 서점에서 교과서 세 권을 샀어요.", ["학교 앞 서점에서 교과서 세 권을 샀어요."]),
    ("가격은 비싸지만 품질이 좋아요.", ["가격은 비싸지만", "품질이 좋아요."]),
    ("부엌에 있는 냉장고 문이 열렸어요.", ["부엌에 있는 냉장고 문이 열렸어요."]),
    ("길이 많이 막히기 때문에 늦을 거예요.", ["길이 많이 막히기 때문에", "늦을 거예요."]),
    ("음악을 조용히 들으면서 책을 읽어요.", ["음악을 조용히 들으면서", "책을 읽어요."]),
    ("오후 3시 30분에 회의가 있어요.", ["오후 3시 30분에 회의가 있어요."]),
    ("2026. 11. 24. 만나요. 네.", ["2026. 11. 24.", "만나요.", "네."]),
    ("1,200원이고 5,000원이에요.", ["1,200원이고 5,000원이에요."]),
    ('그는 "가자. 빨리, 지금." 이라고 했어요.', ['그는 "가자. 빨리, 지금."', "이라고 했어요."]),
]
OTHERS = [
    ("ja", "東京です。人が多い。", ["東京です。", "人が多い。"]),
    ("ja", "今日は天気がいいので散歩に行きましょう。", ["今日は天気がいいので", "散歩に行きましょう。"]),
    ("ja", "はい、わかりました。すぐに行きます。", ["はい、", "わかりました。", "すぐに行きます。"]),
    ("ja", "「そうですね。」と彼は言った。", ["「そうですね。」と彼は言った。"]),
    ("zh", "今天天气很好，我们走吧。好！", ["今天天气很好，", "我们走吧。", "好！"]),
    ("zh", "因为明天会下雨所以今天要出去。", ["因为明天会下雨", "所以今天要出去。"]),
    (
        "de",
        "Ja, das ist gut. Und weil es regnet, bleibe ich.",
        ["Ja, das ist gut.", "Und weil es regnet,", "bleibe ich."],
    ),
]
ALL = [("en", *case) for case in ENGLISH] + [("ko", *case) for case in KOREAN] + OTHERS


@pytest.mark.parametrize(("language", "text", "clauses"), ALL, ids=[text[:40] for _, text, _ in ALL])
def test_where_a_text_is_cut(language: str, text: str, clauses: list[str | None]) -> None:
    for size in (1000, 1, 3):
        parts = cut(text, size, language)
        assert "".join(part.text for part in parts) == text
        found = [part.text.strip() or part.text for part in parts]
        assert [clause if wanted else None for clause, wanted in zip(found, clauses, strict=False)] == clauses
        assert len(found) == len(clauses)


def test_a_part_tells_what_it_ends_with() -> None:
    parts = cut("You can take it with everyone because it is small, light. Yes", 5)
    assert [part.ending for part in parts] == [Ending.JOINT, Ending.CLAUSE, Ending.SENTENCE, Ending.SENTENCE]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_code_is_handed_on_line_by_line_and_announced_once(size: int) -> None:
    text = "Do this:\n\n```python\nx = 1. And\n\ny = 2\n```\nDone.\n~~~\nleft open"
    parts = cut(text, size)
    assert "".join(part.text for part in parts) == text
    assert [part.ending for part in parts].count(Ending.CODE) == 7
    assert [part.text.strip() for part in parts if part.opens_code] == ["```python", "~~~"]
    assert [part.text.strip() for part in parts if part.ending is not Ending.CODE] == ["Do this:", "Done."]


def test_code_in_one_line_is_text() -> None:
    (part,) = cut("``` x = 1 ```\n", 3)
    assert (part.ending, part.opens_code) == (Ending.SENTENCE, False)


def test_text_without_an_end_is_cut_somewhere_and_nothing_is_lost() -> None:
    for text in ("word " * 500, "가" * 1000, "中" * 1000, "(open " * 300, '"quoted ' * 300, "x" * 5000, "1 " * 500):
        parts = cut(text, 7)
        assert "".join(part.text for part in parts) == text
        longest = LONGEST_WORD if "x" in text else LONGEST_CHARACTERS
        assert all(letters(part.text.strip()) <= longest + 2 for part in parts)


@pytest.mark.parametrize(
    ("previous", "word", "joint"),
    [
        ("the", "and", Joint.NONE),
        ("house", "and", Joint.FIRM),
        ("in", "which", Joint.NONE),
        ("5", "and", Joint.NONE),
        ("dog", "with", Joint.LOOSE),
        ("look", "with", Joint.NONE),
        ("먹고", "싶어요", Joint.NONE),
        ("먹고", "갔어요", Joint.FIRM),
        ("보고서", "제출", Joint.NONE),
        ("최고", "기온", Joint.NONE),
        ("서울에서", "부산까지", Joint.LOOSE),
    ],
)
def test_joints(previous: str, word: str, joint: Joint) -> None:
    assert between(previous, word, "en") is joint


HOSTILE = st.text(alphabet="ab. ,!?\n\"'()[]`*_~|#-–—12:;<>&가고면데서。、，「」はが但是 \t", max_size=300)


@given(HOSTILE, st.integers(1, 9), st.sampled_from(["en", "ko", "ja", "zh"]))
def test_cuts_do_not_depend_on_how_the_text_came_and_nothing_is_lost(text: str, size: int, language: str) -> None:
    parts = cut(text, 1000, language)
    assert "".join(part.text for part in parts) == text
    assert cut(text, size, language) == parts


def test_a_text_of_a_megabyte_is_cut_in_proportion_to_its_length() -> None:
    """Within the time limit of a test, where time that grows by squares is not."""
    for unit in ("This is one sentence of many. ", "a", "`", "```\n", "가", "(", "\n", ", ", "1. "):
        cutter = ClauseCutter("en")
        text = unit * (300_000 // len(unit))
        parts = list(cutter.feed(text))
        rest = cutter.rest()
        assert "".join(part.text for part in parts) + (rest.text if rest else "") == text


def test_the_first_part_is_short_even_without_a_joint_and_never_ends_on_a_word_that_leans() -> None:
    text = (
        "The answer to this question lies in the context of the International System of Units of the seventeenth "
        "century as it was then."
    )
    first, *rest = (part.text for part in cut(text, 3))
    assert first == "The answer to this question lies in the context"
    assert len(rest) <= 2
    quoted = 'He wrote "the answer to this question is in the book that is on the table over there" to me.'
    assert '"' not in cut(quoted, 3)[0].text or cut(quoted, 3)[0].text.count('"') == 2
