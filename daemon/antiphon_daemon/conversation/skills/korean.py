"""Korean: how a sentence is written plainly before it is matched, and how times and lengths of time are said.

Same parts as `english.py`.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache

from num2words import num2words

LARGEST = 999
_HOURS = (
    "한 하나|두 둘|세 셋|네 넷|다섯|여섯|일곱|여덟|아홉|열|열한|열두|"
    "열세|열네|열다섯|열여섯|열일곱|열여덟|열아홉|스무 스물|스물한|스물두|스물세|스물네"
)
NATIVE = {word: n for n, words in enumerate(_HOURS.split("|"), start=1) for word in words.split()}
"""The numbers that count hours."""
UNIT_S = {"시간": 3600, "분": 60, "초": 1}

SCRIPT = re.compile("[가-힣]")
"""What a sentence of this language has in it."""
_MANY = "[이삼사오육칠팔구]?"
_SINO = f"(?:(?=[일이삼사오육칠팔구십백])(?:{_MANY}백)?(?:{_MANY}십)?[일이삼사오육칠팔구]?|[영공])"
"""What `_sino` knows: as a thousand words in a row it would compile slowly."""
_MARKS = re.compile(r"[^\w%.]|(?<!\d)\.|\.(?!\d)|_")
_WITHOUT_FINAL = re.compile(r"([가-힣])이에요")
WEEKDAYS = "월화수목금토일"


def plain(text: str) -> str:
    """Return `text` without spaces and punctuation, numbers in digits and lengths of time as `N초`."""
    return lengths(_MARKS.sub("", text.lower()))


def lengths(text: str) -> str:
    """Return `text` (without spaces) with every length of time as `N초`: `한시간반` becomes `5400초`."""
    text = _length().sub(lambda found: f"{_seconds(found[0])}초", text)
    return _percent().sub(lambda found: f"{found['before']}{_number(found['number'])}{found['after']}", text)


@cache
def _sino() -> dict[str, int]:
    return {num2words(n, lang="ko"): n for n in range(LARGEST + 1)} | {"공": 0}


def _numbers() -> str:
    """Return the pattern of a number in words, the longest that there is: one of `NATIVE`, or of `_sino`."""
    native = "|".join(sorted(NATIVE, key=len, reverse=True))
    return rf"{native}|{_SINO}"


@cache
def _part() -> re.Pattern[str]:
    number = rf"\d+(?:\.\d+)?|{_numbers()}"
    return re.compile(rf"(?P<number>{number}|반)(?P<unit>시간|분|초)(?P<half>반(?!드|복|찬|려|갑|대))?")


@cache
def _length() -> re.Pattern[str]:
    """Return the pattern of a whole length: larger units before smaller ones, each at most once."""
    number = rf"(?:\d+(?:\.\d+)?|{_numbers()}|반)"
    half = "(?:반(?!드|복|찬|려|갑|대))?"
    bare = rf"(?:{number}(?=$|타이머))?"
    return re.compile(
        rf"{number}시간{half}(?:{number}분{half})?(?:{number}초|{bare})|{number}분{half}(?:{number}초|{bare})|{number}초"
    )


@cache
def _percent() -> re.Pattern[str]:
    """Return the pattern of a number in words that is a volume: by what stands before it, or after it."""
    number, after = f"(?P<number>{_SINO})", "(?P<after>퍼센트|프로|%|(?=으로|로|까지|$))"
    return re.compile(rf"(?P<before>(?:볼륨|음량|소리)[을를은는]?){number}{after}")


def _number(word: str) -> int:
    return int(word) if word.isdigit() else NATIVE.get(word, _sino().get(word, 0))


def _seconds(text: str) -> int:
    total, end, smallest = 0.0, 0, 1
    for found in _part().finditer(text):
        smallest, end = UNIT_S[found["unit"]], found.end()
        word = found["number"]
        count = 0.5 if word == "반" else float(word) if word[0].isdigit() else float(_number(word))
        total += (count + (0.5 if found["half"] else 0.0)) * smallest
    if text[end:]:  # `한시간이십`: of the next smaller unit
        total += _number(text[end:]) * (smallest // 60 or 1)
    return round(total)


def length(seconds: int) -> str:
    """Return a length of time as it is said: `1시간 30분`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{n}{unit}" for n, unit in ((hours, "시간"), (minutes, "분"), (left, "초")) if n]
    return " ".join(parts) or "0초"


def which(seconds: int) -> str:
    """Return a length of time as it tells one timer from others."""
    return length(seconds)


def clock(at: datetime) -> str:
    """Return the time of day: `오후 3시 5분`."""
    half = "오전" if at.hour < 12 else "오후"
    return f"{half} {at.hour % 12 or 12}시" + (f" {at.minute}분" if at.minute else "")


def day(on: date) -> str:
    """Return the date: `11월 24일 화요일`."""
    return f"{on.month}월 {on.day}일 {WEEKDAYS[on.weekday()]}요일"


def month(on: date) -> str:
    """Return the month."""
    return f"{on.month}월"


def year(on: date) -> str:
    """Return the year."""
    return f"{on.year}년"


def finish(text: str) -> str:
    """Return an answer with the copula as the sound before it wants it: `3시예요`, `5분이에요`."""
    return _WITHOUT_FINAL.sub(lambda m: m[0] if (ord(m[1]) - 0xAC00) % 28 else f"{m[1]}예요", text)
