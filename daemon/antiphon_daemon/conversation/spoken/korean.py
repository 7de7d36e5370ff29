"""Korean: numbers, dates, times, money, units and Latin abbreviations in words, with particles that agree."""

from __future__ import annotations

import re
from decimal import Decimal

from num2words import num2words

from antiphon_daemon.conversation.spoken import korean_names as names
from antiphon_daemon.conversation.spoken import korean_words as words
from antiphon_daemon.conversation.spoken import korean_writing
from antiphon_daemon.conversation.spoken.korean_writing import SEAM
from antiphon_daemon.conversation.spoken.mapped import Mapped

LONGEST_NUMBER = 20
"""Digits; a longer number is read digit by digit."""

LONGEST_NATIVE_HOURS = 23
"""A day and more is counted in Sino-Korean hours: 스물세 시간, 이십사 시간."""


def _any(table: object) -> str:
    return "|".join(re.escape(key) for key in sorted(table, key=len, reverse=True))  # type: ignore[call-overload]


_NUMBER = r"\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,15})?(?!\d)|\d{1,30}(?:\.\d{1,15})?"
_PARTICLE = _any(words.PARTICLES)
_COUNTER = _any((*words.NATIVE, *words.SINO))
_NOT_WHOLE = r"(?!리즈|스|터(?!미)|토리|청정|\s질)"
"""What makes another word of a counter: 시스템, 팩토리, 공기청정기."""
_UNIT_NAME = _any((*words.UNITS, *words.SPEEDS))
_TAIL = r"(?![A-Za-z0-9²³/])"

_BOTH = re.compile(
    r"(\S)(?:(을|은|이|과)\([를는가와]\)|([를는가와])\([을은이과]\)|\(으\)(로)|\(이\)(나|라고|라는|며|고|랑))"
)
_DATE = re.compile(
    r"(?<![\d.])(\d{4})\s?[-./년]\s?(0?[1-9]|1[0-2])\s?[-./]\s?(0?[1-9]|[12]\d|3[01])(?:일|\.(?=\s|$|\())?(?![\d-])"
)
_SHORT_DATE = re.compile(
    r"(?<![\d./])(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])(?=\s?\(|일|\s|$|[에은는까부,.])(?![./]\d)"
)
_MEMORIAL = re.compile(
    r"(?<![\d.])(\d{1,2})(?:·(\d{1,2})(?!\d)|\.(\d{1,2})(?=\s?(?:절|운동|혁명|민주|전쟁|광복|만세|항쟁)))"
)
_CLOCK = re.compile(r"(?<![\d:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])")
_DUST = re.compile(r"(?<![A-Za-z])PM(?=2\.5(?!\d)|10(?![\d:시]))")
_QUARTER = re.compile(r"(?<!\d)([1-4])/4\s?(?=분기)")
_HALF_DAY = re.compile(
    r"(?<![A-Za-z])(AM|PM|am|pm|a\.m\.|p\.m\.)\s?(?=\d)|(?<=\d)\s?(AM|PM|am|pm|a\.m\.|p\.m\.)(?![A-Za-z])"
)
_HALF_DAY_AFTER = re.compile(r"(\d{1,2}(?::[0-5]\d)?시?)\s?(AM|PM|am|pm|a\.m\.|p\.m\.)(?![A-Za-z])")
_WEEKDAY = re.compile(r"\(([월화수목금토일])\)")
_PHONE = re.compile(
    r"(?<![\w.,-])(?:\+?(\d{1,3})[- ])?\(?(0\d{1,2}|\d{3,4})(?:\)?[- ]|\)\s?)(\d{3,4})-(\d{4})(?![A-Za-z\d-]|,\d)"
    r"|(?<![\w.,-])(0\d{1,2})\.(\d{3,4})\.(\d{4})(?![A-Za-z\d-]|\.\d)"
    r"|(?<![\w.,-])(1\d{3})-(\d{4})(?![\d-])"
    r"|(?<![\w.,-])\+(\d{1,3})[- ](\d{1,2})[- ](\d{3,4})[- ](\d{4})(?![\d-])"
    r"|(?<![\w.,-])(01[016-9])[- ]?(\d{3,4})[- ]?(\d{4})(?![\d-])"
)
_GROUPS = re.compile(r"(?<![\w.,-])\d{2,7}(?:-\d{2,7}){2,4}(?![\w-])")
_SECRET = re.compile(
    r"((?:번호|암호|코드)(?:[은는이가]|로)?\s?:?\s?)(\d{4,16})"
    r"(?!\d|[,.:-]\d|\s?(?:자리|개|번|명|원|년|회|줄|행|건|글?자|"
    r"(?:메가|킬로|기가)?(?:비트|바이트)|라인|까지|이상|이하|보다))"
)
"""비밀번호는 1234."""
_EMERGENCY = re.compile(
    r"(?<![\d.,])(112|119|114|120|110|111|1339)"
    r"(?=에|로|으로|번(?!째)|를\s?(?:부르|불러|누르|눌러)|(?:이?나|[와과])\s11[29]|\s(?:신고|전화|구급|구조|안전|대원|불러|부르))"
)
_MONEY = re.compile(
    rf"(?<!\w)(?P<minus>[-−])?(?P<sign>US\$|[$€£¥₩₹])\s?(?P<amount>{_NUMBER})(?P<size>[kKMB](?![A-Za-z])|\s?[백천]?[만억조](?![가-힣])|\s?천(?![가-힣]))?"
)
_CODE_MONEY = re.compile(
    rf"(?<![A-Za-z])(?:(?P<before>USD|EUR|GBP|JPY|KRW)\s?(?P<a>{_NUMBER})|(?P<b>{_NUMBER})\s?(?P<after>USD|EUR|GBP|JPY|KRW)(?![A-Za-z]))"
)
_RANGE = re.compile(
    rf"(?P<from>{_NUMBER})(?P<own>\s?(?:{_UNIT_NAME}|{_COUNTER}))?\s?[~∼～〜–—]\s?(?=(?:약\s?)?[-−]?(?:{_NUMBER})(?P<unit>\s?(?:°C|℃|{_UNIT_NAME}|{_COUNTER}))?)"
)
_DAY_PART = r"(?:오전|오후|새벽|아침|점심|낮|저녁|밤|영하|영상)\s?"
_PARTS_RANGE = re.compile(
    rf"(?P<from>{_NUMBER}(?:\s?(?:{_UNIT_NAME}|{_COUNTER}|:[0-5]\d))?)"
    rf"(?:\s?[~∼～〜]|(?:(?<=[시분도℃])|(?<=:\d\d))\s?[–—-])\s?(?={_DAY_PART}\d)"
)
"""9시 ~ 오후 6시, 영하 3도~영상 5도; 11월 28일 - 오후 3시 is a date and a time."""
_SAME_RANGE = re.compile(
    rf"(?<![\w-])(?P<from>{_NUMBER}\s?(?P<unit>{_UNIT_NAME}|{_COUNTER}))-(?={_NUMBER}\s?(?P=unit)(?!\s?=))"
)
"""10시-12시, 20도-25도."""
_HALF_RANGE = re.compile(r"(?<=시 반)\s?[~∼～〜]\s?(?=\S)")
"""10시 반~11시."""
_CLOCK_RANGE = re.compile(r"(?<=\d:[0-5]\d)\s?[-–]\s?(?=\d{1,2}:[0-5]\d)")
_WEEKDAY_RANGE = re.compile(
    r"(?<![가-힣\d])(?P<from>[월화수목금토일]요일|[월화수목금토]|일(?=-|\s?[~∼～〜]))\s?[~∼～〜–-]\s?"
    r"(?=[월화수목금토일](?:요일|(?![가-힣])))"
)
"""Not in `할 일 - 화요일`, nor in `28일 - 금요일`."""
_HYPHEN_RANGE = re.compile(rf"(?<![\w-])(?P<from>{_NUMBER})-(?={_NUMBER}(?P<unit>\s?(?:{_UNIT_NAME}|{_COUNTER})))")
_BRANCH = re.compile(r"(?<![\w-])(\d{1,4})-(\d{1,3})번(?=(?P<name>지|\s?(?:마을|시내)?버스)|)(?!째)")
"""5-2번 버스 is one bus; 2-3번 is how often."""
_DEGREES = re.compile(
    rf"(?P<already>(?:영[하상]|[섭화]씨)\s)?(?P<cold>[-−]\s?)?(?P<number>{_NUMBER})\s?°\s?(?P<scale>[CF])(?![A-Za-z])"
)
_BELOW = re.compile(rf"(?<![\w)~])[-−]\s?(?P<number>{_NUMBER})\s?(?:도|°)")
_FRACTION = re.compile(r"(?<![\w./])(?:(\d{1,4})[ 과])?(\d{1,3})[/⁄](\d{1,4})(?![\d/])")
_OUT_OF = re.compile(r"(?<![\d.])(\d{1,4})분의\s?(\d{1,4})(?!\d)")
_SPEED = re.compile(rf"(?P<number>{_NUMBER})\s?(?P<unit>{_any(words.SPEEDS)}){_TAIL}")
_UNIT = re.compile(rf"(?P<minus>(?<![\w)])[-−])?(?P<number>{_NUMBER})\s?(?P<unit>{_any(words.UNITS)}){_TAIL}")
_BARE_UNIT = re.compile(
    r"(?<=[가-힣] )(?P<unit>km/h|m/s|km|cm|mm|kg|mg|mL|ml|GB|MB|TB|Mbps|Gbps|kWh|kW|GHz|MHz|Hz|dB|kcal|%p?|°[CF])"
    r"(?![A-Za-z²³/])"
)
_ORDINAL = re.compile(r"(?<![\d.,])(\d{1,2})\s?번째")
_PREFIXED = re.compile(rf"(?<![가-힣])제\s?(\d{{1,6}})\s?({_COUNTER})?")
_NUMBERED = re.compile(
    rf"(?<![\d.,])(\d{{1,6}})번(?=\s?(?:{'|'.join(words.NUMBERED)})|을\s?(?:누르|눌러|선택|고르|골라)|으로(?![가-힣]))"
)
_FEW = re.compile(
    rf"(?<![\d.,])(?<!, )([1-9]),(?P<space>\s?)([1-9])(?P<apart>\s?)"
    rf"(?!월)(?P<counter>{_COUNTER})(?![-~\d]){_NOT_WHOLE}"
)
"""2,3개 is 두세 개, 3, 4일 is 삼사일."""
_MONTHS = re.compile(r"(?<![\d.,])(\d{1,2}),\s?(?=1?\d월(?!달))")
"""5,6월."""
_NAMED = re.compile(
    rf"(?:{words.CHOSEN})\s?번|번\s?(?:{'|'.join(words.NUMBERED)})|번[을이은]\s?(?:누르|눌러|선택|고르|골라|정답)"
)
_PORTION = re.compile(
    r"(?<![\d.,제])([1-9]\d?)\s?(정(?!도)|포(?!도)|근|돌)"
    r"(?=(?:씩|쯤|짜리)?[을를이만은는과와에도]?(?:[\s.,!?)]|$)|이에요|예요|입니다)(?!\s?세대)"
)
"""약 2정, 고기 3근."""
_CLOVES = re.compile(r"((?:마늘|생강|귤|두부)\s?)([1-9]\d?)\s?(쪽|모)(?![가-힣]{2})")
_OFFER = re.compile(r"(?<![\d+])([12])\+1(?=\s?(?:행사|상품|제품|이벤트|세일|할인|증정|쿠폰))")
_CHOSEN = re.compile(rf"((?:{words.CHOSEN})\s?)(\d{{1,6}})번(?!째)")
_GUESTS = re.compile(rf"((?:{words.GUESTS})\s?)([1-9]\d?)분(?=이\s|[을은도과의께]|\s?모두|\s오|[.,!?]|$)")
_MACHINES = re.compile(rf"((?:{_any(words.MACHINES)})[은는이가을를]?\s?)([1-9]\d?)대(?![가-힣]{{2}})")
_GREAT = re.compile(rf"(?<![\d.,])(\d{{1,2}})대(?=(?P<space>\s?)(?:{'|'.join(words.GREAT)}))")
_STREET = re.compile(r"(?<=로)(\s?)(\d)가(?![지-])")
_LARGE = re.compile(
    r"(?P<number>\d{1,3}(?:,\d{3})+|\d{1,7}(?:\.\d{1,4})?)(?P<scale>[백천]?(?:[만억]|조(?![각항치직금]))|천|백)(?![가-힣]*[A-Za-z])"
)
_COUNTED = re.compile(
    rf"(?<![\d.,])(?P<minus>[-−])?(?P<number>{_NUMBER})(?P<space>\s?)(?P<counter>{_COUNTER}){_NOT_WHOLE}"
)
_MINUS = re.compile(r"(?<![\w)])[-−](?=\d)")
_SIGN = re.compile(r"(?<=[\w)])\s?([+×*÷±])\s?(?=[-−(]?\d)|(?<=\d)\s([-−])\s(?=\d)|(?<=\d)([-−])(?=\d{1,9}\s?=)")
_EQUALS = re.compile(rf"(?<=[\w){SEAM}])\s?=\s?(?=[-−]?\w)")
_SPACED_SIGN = re.compile(rf"(?<=[\w){SEAM}]) ([+×÷]) (?=[-−(]?\w)")
_COMPARED = re.compile(rf"({_NUMBER})\s?([<>])\s?({_NUMBER})")
_LETTER_TIMES = re.compile(r"(?<=\d)\s?[xX]\s?(?=\d)")
_VERSION = re.compile(r"(?<![\w.])[vV]?(\d{1,5}(?:\.\d{1,5}){2,5})(?![A-Za-z0-9]|\.\d)")
_RATIO = re.compile(r"(?<![\d:])(\d{1,4}):(\d{1,4})(?![\d:])")
_SCORE = re.compile(
    r"(?<![\d.,])(\d{1,2})\s?대\s?(\d{1,2})"
    r"(?=으?로(?![가-힣])|[이가은는의을를](?![가-힣])|이?(?:었|였|에요|예요|다|야|라)"
    r"|\s?(?:승리|패배|완승|완패|역전|동점|무승부|접전|상담|과외|수업|비율|매칭|상황)|\s*[.!?,](?!\d)|\s*$)"
)
_PLAIN = re.compile(rf"{_NUMBER}")
_NAME = re.compile(rf"(?<![A-Za-z.])(?:{_any(names.NAMES)})(?![A-Za-z])")
_WORD = re.compile(rf"(?i)(?<![A-Za-z.'’-])(?:{_any(names.WORDS)})(?![A-Za-z'’])")
_WITH_DIGITS = re.compile(rf"(?<![A-Za-z0-9.-])(?:{_any(names.WITH_DIGITS)})(?![A-Za-z0-9.])")
_ADDRESS = re.compile(rf" 점 ({_any(names.ENDINGS)})(?![A-Za-z]| 점 )")
_ACRONYM = re.compile(r"(?<![A-Za-z])[A-Z](?:[A-Z]|[.&/](?=[A-Z])){0,9}(?:s(?![A-Za-z]))?(?![A-Za-z.@])(?!['’][a-z])")
_MIXED_LETTER = re.compile(r"(?<![A-Za-z])([a-zA-Z])(?=\d)")
_DOT = re.compile(r"\s?[·ㆍ‧・]\s?")
_AND = re.compile(r"\s?&\s?")
_NUMBER_SIGN = re.compile(r"#(?=\d)")
_AGREE = re.compile(rf"(\S)[\"'”’)\]]{{0,2}}{SEAM}+[\"'”’)\]]{{0,2}}(?P<particle>{_PARTICLE})(?![가-힣])")
_SEAM = re.compile(SEAM)
_ANY = re.compile(r"[\dA-Za-z%]")


def put_in_words(mapped: Mapped) -> None:
    """Put what is written short into words."""
    mapped.sub(_BOTH, _both)
    mapped.sub(_WEEKDAY_RANGE, lambda m: f"{m['from']}에서 ")
    mapped.sub(_WITH_DIGITS, lambda m: names.WITH_DIGITS[m[0]] + SEAM)
    korean_writing.put_in_words(mapped)
    if _ANY.search(mapped.text):
        _dates(mapped)
        _amounts(mapped)
        _latin(mapped)
        _numbers(mapped)
    mapped.sub(_AGREE, _agree)
    mapped.sub(_SEAM, "")
    mapped.sub(_DOT, ", ")
    mapped.sub(_AND, " 그리고 ")


def _dates(mapped: Mapped) -> None:
    mapped.sub(_DUST, "피엠 ")
    mapped.sub(_QUARTER, lambda m: f"{sino(m[1])}사")
    mapped.sub(_DATE, lambda m: f"{sino(m[1])}년 {month(m[2])} {sino(str(int(m[3])))}일{SEAM}")
    mapped.sub(_MEMORIAL, _memorial)
    mapped.sub(_WEEKDAY, lambda m: f" {m[1]}요일")
    mapped.sub(_SHORT_DATE, _short_date)
    mapped.sub(_HALF_DAY_AFTER, lambda m: f"{_half(m[2])} {m[1]}{'' if ':' in m[1] or m[1].endswith('시') else '시'}")
    mapped.sub(_HALF_DAY, lambda m: f"{_half(m[1] or m[2])} ")
    for pattern in (_PARTS_RANGE, _SAME_RANGE):
        mapped.sub(pattern, lambda m: f"{m['from']}에서 ")
    mapped.sub(_HALF_RANGE, "에서 ")
    mapped.sub(_CLOCK_RANGE, "에서 ")
    mapped.sub(_RANGE, _range)
    mapped.sub(_CLOCK, _clock)
    for ratio in (_RATIO, _SCORE):
        mapped.sub(ratio, lambda m: f"{sino(m[1])} 대 {sino(m[2])}{SEAM}")


def _amounts(mapped: Mapped) -> None:
    mapped.sub(_PHONE, lambda m: ", ".join(digits(group) for group in m.groups() if group) + SEAM)
    mapped.sub(_GROUPS, lambda m: ", ".join(digits(group) for group in m[0].split("-")) + SEAM)
    mapped.sub(_SECRET, lambda m: m[1] + digits(m[2]) + SEAM)
    mapped.sub(_EMERGENCY, lambda m: digits(m[1]).replace("공", "영") + SEAM)
    mapped.sub(_MONEY, _money)
    mapped.sub(_CODE_MONEY, lambda m: _sum(words.CURRENCIES[m["before"] or m["after"]], m["a"] or m["b"], ""))
    mapped.sub(_BRANCH, _branch)
    mapped.sub(_HYPHEN_RANGE, lambda m: f"{m['from']}{m['unit']}에서 ")
    mapped.sub(_DEGREES, _degrees)
    mapped.sub(_BELOW, lambda m: f"영하 {sino(m['number'])} 도{SEAM}")
    mapped.sub(_OUT_OF, lambda m: f"{sino(m[1])}분의 {sino(m[2])}{SEAM}")
    mapped.sub(_FRACTION, _fraction)
    mapped.sub(_SPEED, lambda m: "{0} {2} {1}".format(*words.SPEEDS[m["unit"]], sino(m["number"])) + SEAM)
    mapped.sub(_UNIT, lambda m: f"{_minus(m)}{sino(m['number'])} {words.UNITS[m['unit']]}{SEAM}")


def _latin(mapped: Mapped) -> None:
    mapped.sub(_LETTER_TIMES, " 곱하기 ")
    mapped.sub(_NAME, lambda m: names.NAMES[m[0]] + SEAM)
    mapped.sub(_BARE_UNIT, lambda m: words.UNITS.get(m["unit"].rstrip("CF"), m["unit"]) + SEAM)
    mapped.sub(_WORD, lambda m: names.WORDS[m[0].lower()] + SEAM)
    mapped.sub(_ADDRESS, lambda m: f" {names.ENDINGS[m[1]]}{SEAM}")
    mapped.sub(_ACRONYM, _acronym)
    mapped.sub(_MIXED_LETTER, lambda m: f"{words.LETTERS[m[1].upper()]} ")


def _numbers(mapped: Mapped) -> None:
    mapped.sub(_ORDINAL, lambda m: f"{'첫' if m[1] == '1' else native(int(m[1]))} 번째" if int(m[1]) else None)
    mapped.sub(
        _PREFIXED, lambda m: f"제{sino(m[1])}{f' {m[2]}' if m[2] and m[2] not in words.SPACELESS else m[2] or ''}{SEAM}"
    )
    mapped.sub(_MONTHS, lambda m: f"{sino(m[1])}, ")
    mapped.sub(_FEW, _few)
    mapped.sub(_PORTION, lambda m: f"{native(int(m[1]))} {m[2]}")
    mapped.sub(_CLOVES, lambda m: f"{m[1]}{native(int(m[2]))} {m[3]}")
    mapped.sub(_OFFER, lambda m: f"{'원' if m[1] == '1' else '투'} 플러스 원")
    mapped.sub(_CHOSEN, lambda m: f"{m[1]}{sino(m[2])} 번")
    mapped.sub(_GUESTS, lambda m: f"{m[1]}{native(int(m[2]))} 분")
    mapped.sub(_MACHINES, lambda m: f"{m[1]}{native(int(m[2]))} 대")
    mapped.sub(_GREAT, lambda m: f"{sino(m[1])}{m['space']}대")
    mapped.sub(_STREET, lambda m: f"{m[1]}{sino(m[2])}가")
    mapped.sub(_NUMBERED, lambda m: f"{sino(m[1])} 번")
    mapped.sub(_VERSION, lambda m: " 점 ".join(sino(part) for part in m[1].split(".")) + SEAM)
    mapped.sub(_COMPARED, lambda m: f"{sino(m[1])}{topic(sino(m[1]))} {sino(m[3])}{words.COMPARED[m[2]]}")
    mapped.sub(_SIGN, lambda m: f" {words.SIGNS[m[1] or m[2] or m[3]]} ")
    mapped.sub(_SPACED_SIGN, lambda m: f" {words.SIGNS[m[1]]} ")
    mapped.sub(_EQUALS, f"{SEAM}는 ")
    mapped.sub(_LARGE, lambda m: _large(m["number"], m["scale"]))
    mapped.sub(_COUNTED, _counted)
    mapped.sub(_NUMBER_SIGN, "")
    mapped.sub(_MINUS, "마이너스 ")
    mapped.sub(_PLAIN, lambda m: sino(m[0]) + SEAM)


def sino(number: str) -> str:
    """Return a number as it is written (`1,234.5`) in Sino-Korean words; with a leading 0, or too long, by digits."""
    whole, point, rest = number.replace(",", "").partition(".")
    if len(whole) > LONGEST_NUMBER or (len(whole) > 1 and whole[0] == "0"):
        said = digits(whole)
    else:
        said = str(num2words(int(whole or "0"), lang="ko"))
    return f"{said} 점 {digits(rest).replace('공', '영')}" if point and rest else said


def native(number: int) -> str:
    """Return a number from 1 to 99 as it stands before a counter: 한, 두, 스무, 스물한."""
    if number == 20:
        return "스무"
    return words.NATIVE_TENS[number // 10] + words.NATIVE_ONES[number % 10]


def digits(text: str) -> str:
    """Return each digit by itself, as in a telephone number."""
    return "".join(words.DIGITS[int(digit)] for digit in text)


def month(number: str) -> str:
    """Return the name of a month: 유월, 시월, 십일월."""
    plain = str(int(number))
    return f"{words.MONTHS.get(plain) or sino(plain)}월"


def final(text: str) -> int:
    """Return the final consonant of the last syllable as its number in Unicode; 0 for none, 8 for ㄹ."""
    last = text[-1:]
    return (ord(last) - 0xAC00) % 28 if "가" <= last <= "힣" else 0


def agreeing(word: str, particle: str) -> str:
    """Return `particle` in the form that follows `word`."""
    closed, opened = words.PARTICLES[particle]
    ends = final(word)
    return opened if not ends or (ends == 8 and closed == "으로") else closed


def topic(word: str) -> str:
    """Return 은 or 는."""
    return agreeing(word, "은")


def _both(match: re.Match[str]) -> str | None:
    particle = match[2] or match[3] or match[4] or match[5]
    last = match[1]
    if last.isdigit() or (last.isascii() and last.isalpha()):
        return f"{last}{particle}"
    return last + agreeing(last, particle)


def _agree(match: re.Match[str]) -> str:
    particle = match["particle"]
    kept = match[0][: -len(particle)].replace(SEAM, "")
    return kept + agreeing(match[1], particle)


def _memorial(match: re.Match[str]) -> str:
    """Return a day that gave its name to what happened on it: 삼일, 오일팔, 유월의 육십, 십이십이."""
    months, days = match[1], match[2] or match[3]
    whole = int(days) % 10 == 0 or months == days
    return f"{sino(months)}{sino(days) if whole else digits(days)}{SEAM}"


def _short_date(match: re.Match[str]) -> str | None:
    first, second = int(match[1]), int(match[2])
    if second <= 12 and first < second and "(" not in match.string[match.end() : match.end() + 2]:
        return None
    return f"{month(match[1])} {sino(str(second))}일{SEAM}"


def _half(text: str) -> str:
    return "오전" if text[0] in "aA" else "오후"


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = int(match[1]), int(match[2]), match[3]
    said = f"{native(hour) if 1 <= hour <= 12 else sino(str(hour))} 시"
    if minute or second:
        said += f" {sino(str(minute))} 분"
    return said + (f" {sino(str(int(second)))} 초" if second else "") + SEAM


def _range(match: re.Match[str]) -> str:
    own = match["own"] or match["unit"] or ""
    return f"{match['from']}{own}에서 "


def _money(match: re.Match[str]) -> str:
    return _minus(match) + _sum(words.CURRENCIES[match["sign"]], match["amount"], match["size"] or "")


def _minus(match: re.Match[str]) -> str:
    return "마이너스 " if match["minus"] else ""


def _sum(names: tuple[str, str], amount: str, size: str) -> str:
    unit, cent = names
    if size in words.MAGNITUDES:
        return f"{sino(_times(amount, words.MAGNITUDES[size]))} {unit}{SEAM}"
    if size:
        return f"{_large(amount, size.strip())} {unit}{SEAM}"
    whole, _, part = amount.partition(".")
    if len(part) == 2 and cent:
        said = [f"{sino(whole)} {unit}"] if int(whole.replace(",", "")) or not int(part) else []
        said += [f"{sino(str(int(part)))} {cent}"] if int(part) else []
        return " ".join(said) + SEAM
    return f"{sino(amount)} {unit}{SEAM}"


def _times(amount: str, factor: int) -> str:
    return f"{(Decimal(amount.replace(',', '')) * factor).normalize():f}"


def _large(number: str, scale: str) -> str:
    """Return a number such as 3만, 1.5억 or 5천: a single 1 is not said."""
    said = sino(number)
    if number == "1" and scale != "억" and scale != "조":
        said = ""
    return f"{said}{' ' if '.' in number else ''}{scale}"


def _degrees(match: re.Match[str]) -> str:
    number = sino(match["number"])
    if match["already"]:
        return f"{match['already']}{number} 도{SEAM}"
    if match["scale"] == "F":
        return f"화씨 {'영하 ' if match['cold'] else ''}{number} 도{SEAM}"
    return f"{'영하' if match['cold'] else '섭씨'} {number} 도{SEAM}"


def _fraction(match: re.Match[str]) -> str | None:
    whole, upper, lower = match.groups()
    if not 1 < int(lower) <= 1000:
        return None
    said = f"{sino(lower)}분의 {sino(upper)}{SEAM}"
    return f"{sino(whole)}{agreeing(sino(whole), '과')} {said}" if whole else said


def _branch(match: re.Match[str]) -> str | None:
    """Return a number with a second one to it: 오 다시 이 번."""
    if not match["name"] and int(match[1]) < int(match[2]):
        return None
    return f"{sino(match[1])} 다시 {sino(match[2])} 번"


def _few(match: re.Match[str]) -> str | None:
    """Return one or the other of two numbers in a row, as they are said together: 두세 개, 삼사 일."""
    first, second, counter = int(match[1]), int(match[3]), match["counter"]
    if second != first + 1 or (counter == "번" and (match["space"] or _NAMED.search(_around(match)))):
        return None
    if counter in words.NATIVE:
        return f"{words.NATIVE_PAIRS[first]} {counter}"
    said = f"{sino(match[1])}{'륙' if second == 6 else sino(match[3])}"
    return f"{said}{'' if counter in words.SPACELESS and not match['apart'] else ' '}{counter}"


def _around(match: re.Match[str]) -> str:
    return f"{match.string[max(0, match.start() - 8) : match.start()]}번{match.string[match.end() : match.end() + 8]}"


def _counted(match: re.Match[str]) -> str | None:
    number, counter, space = match["number"], match["counter"], match["space"]
    plain = number.replace(",", "")
    minus = _minus(match)
    if counter == "월" and plain.isdigit() and 1 <= int(plain) <= 12:
        return f"{month(plain)}{SEAM}"
    if counter in ("시", "분", "초", "일") and plain.isdigit() and len(plain) == 2:
        number = plain = str(int(plain))
    if _takes_native(plain, counter):
        return f"{minus}{native(int(plain))} {counter}"
    joint = "" if counter in words.SPACELESS and not space and "." not in number else " "
    return f"{minus}{sino(number)}{joint}{counter}"


def _takes_native(number: str, counter: str) -> bool:
    if counter not in words.NATIVE or not number.isdigit() or not 1 <= int(number) <= 99 or number[0] == "0":
        return False
    if counter == "시":
        return int(number) <= 12
    if counter == "시간":
        return int(number) <= LONGEST_NATIVE_HOURS
    return not (counter == "대" and number in words.ROUND_AGES)


def _acronym(match: re.Match[str]) -> str | None:
    text = match[0].rstrip("s")
    around = match.string[match.start() - 1 : match.start()] + match.string[match.end() : match.end() + 1]
    if (
        len(text) == 1
        and around.strip()
        and not around.strip(" .,!?()\"'")
        and not any("가" <= c <= "힣" or c.isdigit() for c in around)
    ):
        return None
    said = "".join({".": "", "/": "", "&": "앤"}.get(letter, words.LETTERS.get(letter, "")) for letter in text)
    return said + (" " if match.string[match.end() : match.end() + 1].isdigit() else SEAM)
