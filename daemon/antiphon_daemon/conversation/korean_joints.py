"""Where a long Korean sentence may be parted without a comma: behind a connective ending, as a reader takes breath.

What leans on the ending before it is never parted from it: `먹고 있어요`, `누르면 돼요`, `온다고 했어요`. Neither is
the last word of a sentence parted from the rest.
"""

from __future__ import annotations

import re
from enum import IntEnum


class Joint(IntEnum):
    """How well a text can be parted between two of its words."""

    NONE = 0
    LOOSE = 1
    FIRM = 2


_AUXILIARIES = re.compile(
    r"^(?:있|없|싶|계[시신셔십]|나[서면니자]|난$|말[고았아거]|보[니면]|해서|하[면는]|그런지|인지|말이|볼|줄|할|될|놓)"
)
"""Verbs that lean on the connective before them: 하고 있어요, 먹고 싶어요."""
_WILL_DO = re.compile(r"^(?:안$|못$|되|돼|됩|된|됐|될|괜찮|좋|어때|어떨|어떻|그만)")
"""After a condition: 누르면 돼요, 해도 괜찮아요, 가면 안 돼요."""
_SAYS = re.compile(
    r"^(?:하|했|해|합|할|한|말|생각|들|알|불|부르|믿|느[끼꼈낍]|보|봐|봅|봤|본|전[하했해]|설명|주장|약속|대답|답|얘기|이야기|물[어었]"
    r"|묻|밝[히혔]|나[와왔옵]|적[혀혔]|쓰|씌|치|판단|예상|추측|소개|강조|덧붙)"
)
"""After what is quoted: 온다고 했어요, 좋다고 생각해요."""
_DOES = re.compile(r"^(?:하|했|해|합|할|한|노력|애|만들|되|돼|됩|된)")
"""After an aim or a choice: 가려고 해요, 쉬거나 해요."""
_MOVES = re.compile(r"^(?:가|갔|갈|갑|간|와|왔|오|올|옵|온|다니|다녀|다닌|나가|나와|나갔|나왔|들어|돌아)")
"""After what is taken along, or gone by: 들고 가요, 타고 와요."""
_TAKEN = (
    "가지고",
    "데리고",
    "들고",
    "타고",
    "메고",
    "신고",
    "입고",
    "쓰고",
    "끼고",
    "안고",
    "업고",
    "끌고",
    "모시고",
    "챙기고",
)

_WHOLE_NOUNS = frozenset({
    "최고", "창고", "사고", "광고", "경고", "재고", "중고", "금고", "차고", "원고", "충고", "권고", "선고", "투고",
    "라면", "냉면", "화면", "표면", "측면", "반면", "장면", "도면", "수면", "지면", "전면", "정면", "국면", "방면",
    "단면", "이면", "당면", "쫄면", "양면", "신고", "피고", "그리고", "각서", "어서", "혼자서", "둘이서", "그래서",
    "가운데", "한가운데", "군데", "그런데",
})  # fmt: skip
_NOUN_ENDS = (
    "냉장고",
    "사고",
    "창고",
    "광고",
    "저장고",
    "교과서",
    "안내서",
    "소개서",
    "허가서",
    "평가서",
    "명세서",
    "에서",
    "께서",
)
"""Nouns and adverbs that end as connectives do."""

_FIRM_ENDS = re.compile(
    r"(?:지만|으?니까|거나|든지|도록|려고|자마자|더니|므로|느라|느라고|다가|면서|며|다면|라면|려면|때문에|동안|위해|위해서|"
    r"통해|통해서|따라|따라서|대신|덕분에|후에|뒤에|전에|때에?는?|건데|기에|길래|는지라|자면|더라도|수록|겠으니|반면에?|"
    r"아니라|듯이|대로|[어아해와봐돼려져]도)$"
)
_BREATH = frozenset(
    ["그리고", "하지만", "그런데", "그래서", "그러나", "따라서", "또한", "그러면", "그렇지만", "왜냐하면", "그러므로"]
)
"""Before these a clause begins."""
_SEO_VOWELS = frozenset("ㅏㅐㅑㅓㅔㅕㅘㅙㅝㅞ")
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_LOOSE_ENDS = re.compile(
    r"(?:에서|에서는|에는|으로|으로는|까지|까지는|부터|에게|에게는|보다|처럼|마다|께서는|에도|한테|[가-힣]{2}은|다음|다음에)$"
)
_LEANS = re.compile(
    r"(?:의|있는|없는|하는|되는|가는|오는|드는|[가-힣]던|[같많좋작높깊넓젊늙밝검먹읽얕짧]은|한|된|할|될|인)$"
    r"|^(?:이|그|저|한|두|세|네|모든|각|새|첫|약|제일|가장|아주|매우|더|및|안|못)$"
)
_STOPS = ".!?…。！？"


def between(previous: str, word: str) -> Joint:
    """Return the joint between a word that ends in Hangul and the one after it (its punctuation included)."""
    if not "가" <= word[0] <= "힣" or word[-1] in _STOPS or _AUXILIARIES.match(word):
        return Joint.NONE
    if word in _BREATH:
        return Joint.FIRM
    if previous in _WHOLE_NOUNS or previous.endswith(_NOUN_ENDS):
        return Joint.LOOSE if previous.endswith("에서") else Joint.NONE
    if _belongs(previous, word):
        return Joint.NONE
    if _FIRM_ENDS.search(previous) or _connects(previous):
        return Joint.FIRM
    return Joint.LOOSE if _LOOSE_ENDS.search(previous) and not leans(previous) else Joint.NONE


def leans(word: str) -> bool:
    """Return whether a word belongs to the noun or verb after it: 서울의, 있는, 모든."""
    return "가" <= word[-1:] <= "힣" and _LEANS.search(word) is not None


def _belongs(previous: str, word: str) -> bool:
    """Return whether `word` only completes the ending before it."""
    if previous.endswith(("면", "도")):
        return _WILL_DO.match(word) is not None
    if previous.endswith(("다고", "라고", "냐고", "자고")):
        return _SAYS.match(word) is not None
    if previous.endswith(("려고", "도록", "거나", "든지")):
        return _DOES.match(word) is not None
    return previous.endswith(_TAKEN) and _MOVES.match(word) is not None


def _connects(word: str) -> bool:
    """Return whether a verb ends in 고, 서, 데 or 면, by the syllable before it."""
    if len(word) < 2 or not "가" <= word[-2] <= "힣":
        return False
    last, before = word[-1], ord(word[-2]) - 0xAC00
    match last:
        case "고":
            return True
        case "서":  # 해서, 가서, 와서, 려서
            return before % 28 == 0 and _VOWELS[before // 28 % 21] in _SEO_VOWELS
        case "데":
            return before % 28 == 4
        case "면":
            return before % 28 in (0, 8)
        case _:
            return False
