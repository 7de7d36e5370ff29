"""Where long Korean sentences without commas are parted while they are being written."""

from __future__ import annotations

import pytest

from antiphon_daemon.conversation.clauses import ClauseCutter
from antiphon_daemon.conversation.korean_joints import Joint, between, leans

PARTED = """
비가 많이 와도 | 우리는 내일 갈 거예요.
아침에는 커피를 마시거나 | 차를 마셔요.
이 음식은 맛이 있을 뿐만 아니라 | 건강에도 좋아요.
날씨가 추울수록 | 따뜻한 차를 자주 마시는 것이 좋습니다.
그 사람은 똑똑하며 | 성격도 좋습니다.
물이 끓을 때 면을 넣고 | 사 분 동안 끓이세요.
오늘은 기온이 영하로 떨어지는 곳이 많겠으니 | 외출하실 때 따뜻하게 입으세요.
제 생각에는 그 방법이 더 나은 것 같은데 | 어떻게 생각하세요?
무엇을 도와드릴지 말씀해 주시면 | 바로 찾아볼게요.
지금은 통화 중이라서 | 전화를 받을 수 없습니다.
한국에서는 설날에 떡국을 먹고 | 어른들께 세배를 드리며 | 복을 빌어요.
창문을 열어 두면 | 시원해져서 좋겠어요.
아침에 일찍 일어나려면 | 일찍 자는 게 좋아요.
숙제를 다 하고 나서 | 놀아도 돼요.
감기에 걸렸을 때는 | 물을 많이 마시고 | 푹 쉬는 것이 가장 좋습니다.
당근을 잘게 썰고 | 양파는 얇게 썰어서 | 볶아 주세요.
그 책은 어렵지만 | 읽을 만한 가치가 있다고 봅니다.
비가 오기 때문에 | 길이 미끄러우니까 조심하세요.
이 광고 문구는 제가 썼고 | 저 사진은 친구가 찍었어요.
지금 냉장고 안에는 우유가 있고 | 달걀도 세 개 있어요.
저는 그렇게 생각하지 않습니다 | 그리고 다른 사람들도 그래요.
서울은 대한민국의 수도이고 | 인구가 약 구백만 명이며 | 한강이 도시를 가로질러 흐르는 큰 도시입니다.
김치는 배추를 소금에 절인 뒤에 | 고춧가루와 마늘과 생강을 넣어 버무려서 | 발효시킨 한국의 전통 음식이에요.
대한민국의 수도인 서울은 | 한강을 끼고 있는 인구 구백만 명의 대도시로 정치와 경제와 문화의 중심지입니다.
길이가 12,345.6미터이고 | 폭이 3미터예요.
""".strip().splitlines()

WHOLE = """
내일은 비가 많이 온다고 했어요.
그 영화는 정말 재미있다고 생각하는 사람이 많아요.
어제 그 사람이 저한테 같이 가자고 말해 줬어요.
버튼을 길게 누르면 됩니다.
사진을 밖에서 찍으면 안 돼요.
시간이 없으면 내일 해도 괜찮다고요.
저는 내년에 외국으로 여행을 가려고 해요.
여러분 모두 일찍 도착하도록 노력하고 있습니다.
주말에는 집에서 책을 읽거나 해요.
오늘은 우산을 가지고 가세요.
어제는 아이를 데리고 갔다 왔어요.
저는 집에서 혼자서 밥을 먹었어요.
회사에 자기소개서 파일을 보냈어요.
거래 명세서 파일을 확인하세요.
먼저 물을 끓인 다음 면을 넣으세요.
우리 가족은 다음 주에 만나요.
오늘은 문이 열려 있는데 닫을까요?
그 소식을 듣자마자 달려왔어요.
그 사고 현장을 직접 봤어요.
저는 지금 밥을 먹고 싶어요.
""".strip().splitlines()


def cut(text: str, size: int) -> list[str]:
    cutter = ClauseCutter("ko")
    written = f"{text} 네, 그래요."
    parts = [part for at in range(0, len(written), size) for part in cutter.feed(written[at : at + size])]
    return [part.text.strip() for part in parts]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_long_sentences_are_parted_where_a_reader_takes_breath(size: int) -> None:
    expected = {" ".join(line.split(" | ")): line.split(" | ") for line in PARTED}
    assert {text: cut(text, size)[: len(parts)] for text, parts in expected.items()} == expected


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_belongs_together_stays_together(size: int) -> None:
    assert {text: cut(text, size)[0] for text in WHOLE} == {text: text for text in WHOLE}


@pytest.mark.parametrize(
    ("previous", "word", "joint"),
    [
        ("마시고", "갔어요", Joint.FIRM),
        ("타고", "갔어요", Joint.NONE),
        ("좋다고", "하는데", Joint.NONE),
        ("자고", "일어나서", Joint.FIRM),
        ("누르면", "되고", Joint.NONE),
        ("누르면", "열리고", Joint.FIRM),
        ("라면", "국물", Joint.NONE),
        ("좋은", "사람을", Joint.NONE),
        ("서울은", "한강을", Joint.LOOSE),
        ("가고", "3시에", Joint.NONE),
        ("많이", "그리고", Joint.FIRM),
        ("먹고", "갔어요.", Joint.NONE),
    ],
)
def test_a_joint_is_told_by_the_ending_and_the_word_after_it(previous: str, word: str, joint: Joint) -> None:
    assert between(previous, word) is joint


@pytest.mark.parametrize(("word", "yes"), [("서울의", True), ("있는", True), ("모든", True), ("서울은", False)])
def test_a_long_text_is_not_cut_behind_a_word_that_leans_on_the_next(word: str, yes: bool) -> None:
    assert leans(word) is yes
