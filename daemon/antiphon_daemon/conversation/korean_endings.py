"""Whether a Korean sentence is whole, by what it ends with.

Korean ends a sentence with the ending of its verb, and marks with connectives and particles that more follows. So its
last syllables tell; where they are also those of a noun, as the 고 of 광고 or the 면 of 라면, nothing does.
"""

from __future__ import annotations

import re
from enum import Enum


class Ending(Enum):
    """What the last word says about the sentence."""

    CLOSES = "closes"
    HOLDS = "holds"
    """More follows: a connective, a particle, a word that stands before others."""
    EITHER = "either"
    """A noun, as in an answer that is no sentence."""


def _finals(number: int) -> str:
    """Return the class of syllables with this final consonant, by its number in Unicode."""
    return "[" + "".join(chr(syllable) for syllable in range(0xAC00 + number, 0xD7A4, 28)) + "]"


_N, _L, _B, _SS = _finals(4), _finals(8), _finals(17), _finals(20)
_ADJECTIVES = "[좋같싶옳싫작늙죽많깊짧높낮밝넓젊맑늦굵얇붉검]"
"""Before 은 they are no topic: 좋은 말이에요."""
_CLOSED = "[" + "".join(chr(syllable) for syllable in range(0xAC00, 0xD7A4) if (syllable - 0xAC00) % 28) + "]"


def _words(words: str) -> str:
    return "|".join(words.split())


_LEADING = _words(
    "그리고 그런데 근데 그래서 하지만 그러면 그럼 그러니까 그러나 그렇지만 그래도 또 또는 혹은 및 만약 만일 혹시 음 "
    "어 아 그 저 이 저기 저기요 근데요 그런데요 좀 제일 가장 아주 매우 정말 진짜 너무 더 덜 꼭 막 약 약간 조금 몇 "
    "무슨 어떤 어느 모든 각 첫 새 이런 그런 저런 다른 왜냐하면 특히 한 두 세 다 안 못 잘 내 제 네가 내가 제가 우리 "
    "아마 일단 우선 먼저 방금 아까 원래 오래 얼른 빨리 천천히 바로 계속 자꾸 항상 가끔 별로 전혀 거의 대략 대신 "
    "동안 때 뿐 채 듯"
)
"""Whole words before which nobody stops."""
_NOUNS = _words(
    "필요 중요 주요 수요 강요 소요 동요 민요 바다 소다 사이다 캐나다 동네 그네 편지 먼지 휴지 바지 아버지 강아지 "
    "돼지 공지 메시지 페이지 반지 이미지 소시지 오렌지 가지 단지 잡지 토지 경지 영어 한국어 일본어 중국어 외국어 "
    "단어 언어 연어 문어 고등어 검색어 올해 새해 피해 오해 동해 나라 침대 최대 무대 시대 가게 무게 하나 어머니 언니 "
    "할머니 주머니 남자 여자 의자 과자 피자 모자 감자 사자 환자 기자 상자 숫자 문자 게임 책임 모임 타임 마음 처음 "
    "얼음 웃음 온도 속도 정도 지도 제주도 경기도 강도 각도 태도 습도 가을 마을 노을 회의 강의 주의 동의 편의 최고 "
    "창고 광고 사고 냉장고 참고 신고 경고 보고 재고 라면 냉면 화면 측면 장면 표면 순서 도서 독서 비서 부서 문서 "
    "보고서 교과서 설명서 계약서 본인 주인 개인 한국인 외국인 확인 할인 북한 제한 기한 권한 무한 역할 노래 미래 "
    "모래 아래 빨래 고래 회사 의사 식사 휴가 작가 물가 국가 평가 날씨 사과 결과 효과 학과 도로 피로 서로 종로 세로 "
    "가로 포기 조금만 어머님 거든 평소 명함 사람 바람 지금 오늘 내일 모레 어제"
)
"""Nouns and the like that end as verbs and particles do, and may be a whole answer."""

_RULES: tuple[tuple[Ending, str], ...] = (
    # Whole words.
    (
        Ending.CLOSES,
        rf"(?:번|조금|분만?|번만|{_words('개 잔 시간 한번 하나')})\s?더 (?<!\S)왜 뭐라고 더라고 "
        rf"잠깐만 잠시만 (?:잘|그만)\s자라? (?:(?<!누)(?<=\S)나|{_CLOSED}가)\s보다",
    ),
    (
        Ending.HOLDS,
        rf"(?<!\S)(?:{_LEADING}) ^있잖아요? (?<!\S)[그거저]\s(?:있잖아요?|뭐냐|뭐지|뭐더라|뭐였[지더]라?|뭐시냐) "
        rf"뭐랄까 (?<!\S)(?:(?!뭐가|누가|어디가)\S*가|\S+데|그게|[나저너]는|"
        rf"\S*(?<!{_ADJECTIVES})은)\s말이(?:야|지|죠|에요|예요) "
        r"예를\s?들어 길래",
    ),
    (
        Ending.EITHER,
        rf"(?<!\S)(?:{_NOUNS}) (?:몇|여러|[한두세네]|다섯)\s?가지 \d\s?도 [십백][일이삼사오육칠팔구]?\s?도",
    ),
    # Polite and formal endings, and those of the casual style that are no noun's.
    (
        Ending.CLOSES,
        rf"요 죠 {_B}니다 {_B}니까 {_B}시다 시오 {_L}까 냐 구나 구만 잖아 {_L}(?<![길멀달늘글])게 {_L}래 그래 어때",
    ),
    (
        Ending.CLOSES,
        rf"{_L}걸 {_N}걸(?<![이그저]걸) {_SS}[지네어니나대음군걸] [있없좋싫같많않]음 됨 함 임",
    ),
    # Connectives that end as verbs do, so they come first.
    (
        Ending.HOLDS,
        rf"하려 으려 (?:위|통|대|의|인|관|향)해 하여 보다 마다 에다 까지 {_N}지 (?<![알살놀멀길])(?<={_L})지 든지",
    ),
    (
        Ending.HOLDS,
        r"[아어여해와봐돼줘려져써켜가사자타서워춰꺼]야 (?:아니|이|것이)라 니까 더니 으니 다가 자마자",
    ),
    (
        Ending.HOLDS,
        r"더라도 어도 [아해와봐돼여려]도 [이그저]게 [이그저]걸 [이그저무]것[이을은]? 뭘 뭔가 누가",
    ),
    # Plain and casual endings.
    (
        Ending.CLOSES,
        r"다 지 네 냐 군 라고\s해 [하가보먹놀쉬두사오타듣찾끄키]자 하자 말자 [아어여해와봐켜꺼려춰줘놔써가마더]라 "
        r"[가하자먹있오살앉놀틀끄켜읽쓰듣두주]거라 (?<!\S)오너라 꾸나 려무나 당께 (?<!식)당가 [니맙]데이",
    ),
    (
        Ending.CLOSES,
        r"줘 꿔 빼 꺼내 주라 주렴 해 켜 꺼 춰 봐 놔 둬 돼 려 쳐 져 겨 혀 펴 셔 여 워 써 커 떠 깨 보내 지내 "
        r"끝내 말아",
    ),
    (
        Ending.CLOSES,
        r"눌러 불러 골라 몰라 잘라 바빠 아파 나빠 예뻐 기뻐 슬퍼 고파 끝나 일어나 떠나 화나 올라 빨라 놀라 달라 마 "
        r"(?:오|가|살|되|좋|맞|뭐|있|없|어떠|하|누구)니",
    ),
    (
        Ending.CLOSES,
        rf"(?<!\S)(?:나|들어|돌아|내려|올라|걸어|가져|데려)?가 (?<!\S)(?:나|들어|돌아|내려|올라|다녀|가져|데려)?와 "
        rf"(?:{_N}|좋|없|있)대 (?:있|없|되|오|맞|은|는|인|한|(?<![혹역택접])시)나 "
        rf"{_CLOSED}나(?<![만겁]나) (?:어디|언제|왜|누가)\s\S{{1,5}}(?<!이)나 [인은는한건런떤른쁜운큰픈긴린싼센짠던]가",
    ),
    (
        Ending.CLOSES,
        r"(?<=[가-힣])[아어] 야 얼마 어디 누구 며칠 몇\s?[시월일개명살층] 몇\s시야 그만 멈춰 취소",
    ),
    # Connectives, particles, and forms of the verb that stand before a noun.
    (
        Ending.HOLDS,
        r"데 지만 거나 서 려고 도록 수록 듯이 고 며 면 으러 하러 사러 보러 놀러 타러 때 게 히",
    ),
    (
        Ending.HOLDS,
        r"은 는 이 가 을 를 에 에서 에게 한테 께 께서 로 와 과 랑 의 도 만 부터 처럼 만큼 밖에 조차 마저 커녕 나 든",
    ),
    (
        Ending.HOLDS,
        r"던 운 한 된 할 될 갈 볼 올 먹을 큰 려는 인 만난 (?<!\S)(?:본|간|온|산|쓴|탄|준|난|낸) 까지는 에는 에서는 "
        r"로는 하고 라도 이라 라",
    ),
)
"""The first that matches the end decides."""
_KNOWN = tuple((ending, re.compile(f"(?:{_words(ends)})$")) for ending, ends in _RULES)

_LAST = 16
"""No rule looks further back, in characters."""


def ending(bare: str) -> Ending:
    """Return what the end of `bare` says: words in NFC with single spaces, without marks."""
    last = bare[-_LAST:] if len(bare) <= _LAST or " " not in bare[-_LAST:] else bare[-_LAST:].split(" ", 1)[1]
    return next((found for found, pattern in _KNOWN if pattern.search(last)), Ending.EITHER)
