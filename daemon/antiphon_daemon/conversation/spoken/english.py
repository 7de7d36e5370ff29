"""English: numbers, dates, times, money, units and abbreviations in words."""

from __future__ import annotations

import re
from functools import cache

from num2words import num2words

from antiphon_daemon.conversation.spoken import english_words as words
from antiphon_daemon.conversation.spoken.mapped import Mapped

LONGEST_NUMBER = 15
"""Digits; a longer number is read digit by digit."""


def _any(table: object) -> str:
    return "|".join(re.escape(key) for key in sorted(table, key=len, reverse=True))  # type: ignore[call-overload]


_NUMBER = r"\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,15})?(?![\d])|\d{1,30}(?:\.\d{1,15})?"
_MONTH = rf"(?P<month>{'|'.join(words.MONTHS)}|(?:{'|'.join(words.SHORT_MONTHS)})\b\.?)"
_YEAR = r"(?P<year>(?:1[1-9]|20)\d\d)"

_TITLE = re.compile(rf"\b({_any(words.TITLES)})\.(?=\s?[A-Z])")
_STREET = re.compile(rf"(?<=[a-z0-9] )({_any(words.STREETS)})(?:\.(?=\s*[,;]|\s*$|\s+[a-z])|(?=\s*,|\s*$))")
_STREET_END = re.compile(rf"(?<=[a-z] )({_any(words.STREETS)})\.(?=\s+[A-Z])")
_ABBREVIATION = re.compile(rf"(?<![\w.])({_any(words.ABBREVIATIONS)})(?=(?P<end>\s*$|\s+[A-Z\"“])|)(?!\w{{3}}\.)")
_BEFORE_NUMBER = re.compile(rf"(?<![\w.&])({_any(words.BEFORE_NUMBERS)})\s?(?=\d)")
_ACRONYM = re.compile(rf"\b({_any(words.ACRONYMS)})\b")
_DAY = re.compile(
    rf"\b({_any(words.SHORT_DAYS)})\.?(?=,?\s+(?:{'|'.join(words.MONTHS)}|{'|'.join(words.SHORT_MONTHS)}|\d))"
)
_ISO_DATE = re.compile(r"\b(\d{4})-(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])(?:T(?=\d))?(?![\d-])")
_SLASH_DATE = re.compile(r"\b(\d{1,2})/(\d{1,2})/((?:19|20)\d\d)\b")
_MONTH_DAY = re.compile(rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:|[.,]\d)(?:,?\s+{_YEAR}\b)?")
_DAY_MONTH = re.compile(
    rf"\b(?P<the>(?i:the)\s+)?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR}\b)?(?!\w)"
)
_MONTH_YEAR = re.compile(rf"\b{_MONTH},?\s+{_YEAR}\b")
_DECADE = re.compile(r"(?<![\w.])(?:'|’)?((?:1[1-9]|20)?\d0)'?s\b")
_CLOCK = re.compile(r"(?<![\d:.])(\d{1,2}):([0-5]\d)(?::([0-5]\d))?(?![\d:])(?:\s?([aApP])\.?\s?[mM]\b\.?)?")
_HOUR = re.compile(r"(?<![\d:.,$€£])(\d{1,2})\s?([aApP])\.?[mM]\b\.?")
_NOON = re.compile(r"\b([aApP])\.m\.")
_DAY_RANGE = re.compile(rf"\b({_any(words.SHORT_DAYS)})\.?\s?[-–—]\s?({_any(words.SHORT_DAYS)})\b")
_HOUR_RANGE = re.compile(
    r"(?<![\w/.:-])(\d{1,2}(?::[0-5]\d)?)(?:(\s?[aApP]\.?[mM]\.?)\s?[-–—]\s?|[-–—])(?=\d{1,2}(?::[0-5]\d)?\s?[aApP]\.?[mM]\b)"
)
"""9am-5pm, 3-5 p.m."""
_HOURS = re.compile(r"(?<![\w.,])(\d{1,2})\s?h\s?(\d{1,2})\s?m(?![\w²³/])")
_CLOCK_RANGE = re.compile(r"(?<=:\d\d)(\s?[aApP]\.?[mM]\.?)?\s?[-–—]\s?(?=\d{1,2}:\d\d)")
_EMERGENCY = re.compile(r"(?<![\w.,$-])(911|999|112|119|411)(?=[.!?,;]|\s+(?:or|if|in|for|now|immediately)\b|\s*$)")
_BY = re.compile(r"(?<=\d)(?!(?<=\b0)x\d)( ?)[x×]\1(?=\d)")
_TIMES = re.compile(r"(?<=\d)x\b(?!\s?\d)")
_SHARP = re.compile(r"\b([CF])(#|\+\+)(?!\w)")
_PER = re.compile(r"(?<=[a-z%])/(?=(?:day|week|month|year|hour|night|person|minute|second)\b)")
_SLASH = re.compile(r"(?<=[a-z])/(?=[a-z])|(?<=[A-Z])/(?=[A-Z])")
_RATIO = re.compile(r"(?<![\d:])(\d{1,4}):(\d{1,4})(?![\d:])")
_MONEY = re.compile(
    rf"(?P<minus>(?<![\w-])[-−])?(?P<sign>US\$|[$€£¥₩₹])\s?(?P<amount>{_NUMBER})"
    r"(?:(?P<to>\s?[-–]\s?)[$€£¥₩₹]?(?P<upper>\d[\d,]{0,15}(?:\.\d{1,2})?))?"
    r"(?:\s?(?P<size>thousand|million|billion|trillion|bn|k|K|M|B|T)\b)?"
)
_CODE_MONEY = re.compile(
    rf"\b(?:(?P<before>USD|EUR|GBP|JPY|KRW)\s?(?P<a>{_NUMBER})|(?P<b>{_NUMBER})\s?(?P<after>USD|EUR|GBP|JPY|KRW)\b)"
)
_PHONE = re.compile(
    r"(?<![\w.,-])(?:\+?(\d{1,3})[-. ])?\(?(\d{3})\)?[-. ](\d{3})[-. ](\d{4})(?![\w-])"
    r"|(?<![\w.,-])(\d{3})-(\d{4})(?![\w-])"
)
_INCHES = re.compile(r"(?<![\w.])(\d{1,2})['′](?:\s?(\d{1,2})(?:\"|″|''))(?!\w)")
_RANGE = re.compile(
    r"(?<![\w-])([$€£]?\d[\d,.]{0,12}(?:\s?[ap]m|[%°])?)\s?[-–—]\s?(?=[$€£]?\d[\d,.]{0,12}(?![\w]*-\d))"
)
_MINUS = re.compile(r"(?<![\w.)])[-−](?=\.?\d)")
_MIXED = re.compile(r"\b(\d{1,4})[ ](\d{1,2})[/⁄](\d{1,3})(?![\w/])")
_FRACTION = re.compile(r"(?<![\w./,])(\d{1,3})[/⁄](\d{1,4})(?![\w/]|[.,]\d)")
_UNIT = re.compile(
    rf"(?<![\w.,])(?P<number>{_NUMBER})(?P<space>[ -]?)(?P<unit>{_any(words.UNITS)})"
    r"(?P<per>/(?:day|week|month|year|hour|h|min|s))?(?![\w²³/])"
)
_ORDINAL = re.compile(r"\b(\d{1,3}(?:,\d{3})*|\d{1,9})(st|nd|rd|th)\b")
_SIGN = re.compile(r"(?<=[\w)%])\s?([+=×*÷<>≤≥≈±≠·^])\s?(?=[-−(]?\d)")
_SPACED_SIGN = re.compile(r"(?<=[\w)%°]) ([+=×÷]) (?=[-−(√]?\w)|(?<=\b[A-Za-z]) ([<>]) (?=[A-Za-z]\b)")
"""Between what is no number, or has a unit: `1 cup = 240 ml`, `a + b = c`; `Settings > Sound` compares nothing."""
_BOUND = re.compile(r"(?<![\w<>])([<>])(?=\d[\d.,]{0,9}\s?%)")
"""`<1%`: not between two numbers, and no heart."""
_LONE_SIGN = re.compile(r"\s*([≤≥≈±≠])\s*")
_POWER = re.compile(r"(?<=[\w)])([²³])")
_ROMAN = re.compile(
    rf"\b(?P<cue>{'|'.join((*words.ROMAN_COUNTED, *words.ROMAN_RULERS))})\s(?P<roman>[IVXL]{{1,7}})\b(?!')"
)
_YEAR_ALONE = re.compile(r"(?<![\w.,$€£-])((?:1[1-9]|20)\d\d)(?![\w%°]|[.,]\d|-\d)")
_VERSION = re.compile(r"(?<![\w.])[vV]?(\d{1,5}(?:\.\d{1,5}){2,5})(?![\w.]*\d)")
_SIZED = re.compile(r"(?<![\w.,])(\d{1,4}(?:\.\d{1,3})?)(k|M|B)\b")
_DECIMAL = re.compile(rf"(?<![.\d])(?:{_NUMBER}|\.\d{{1,15}})")
_GLUED = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_AND = re.compile(r"\s?&\s?")
_ANY_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d+")


def put_in_words(mapped: Mapped) -> None:
    """Put what is written short into words."""
    mapped.sub(_TITLE, lambda m: words.TITLES[m[1]])
    mapped.sub(_STREET, lambda m: words.STREETS[m[1]])
    mapped.sub(_STREET_END, lambda m: words.STREETS[m[1]] + ".")
    mapped.sub(_ABBREVIATION, _abbreviation)
    mapped.sub(_BEFORE_NUMBER, lambda m: words.BEFORE_NUMBERS[m[1]].strip() + " ")
    mapped.sub(_ACRONYM, lambda m: words.ACRONYMS[m[1]])
    mapped.sub(_NOON, lambda m: f"{m[1].upper()}.M.")
    mapped.sub(_AND, " and ")
    mapped.sub(_SHARP, lambda m: f"{m[1]} sharp" if m[2] == "#" else f"{m[1]} plus plus")
    mapped.sub(_ROMAN, _roman)
    if _ANY_DIGIT.search(mapped.text):
        _dates(mapped)
        _amounts(mapped)
        _numbers(mapped)
    mapped.sub(_PER, " per ")
    mapped.sub(_SLASH, _slash)
    mapped.sub(_POWER, lambda m: " squared" if m[1] == "²" else " cubed")
    mapped.sub(_SPACED_SIGN, lambda m: f" {words.SIGNS[m[1] or m[2]]} ")
    mapped.sub(_LONE_SIGN, lambda m: f" {words.SIGNS[m[1]].removeprefix('is ')} ")


def _dates(mapped: Mapped) -> None:
    mapped.sub(_DAY_RANGE, lambda m: f"{words.SHORT_DAYS[m[1]]} to {words.SHORT_DAYS[m[2]]}")
    mapped.sub(_DAY, lambda m: words.SHORT_DAYS[m[1]])
    mapped.sub(_ISO_DATE, lambda m: _date(int(m[2]), int(m[3]), m[1]) + " ")
    mapped.sub(_SLASH_DATE, _slash_date)
    mapped.sub(_DAY_MONTH, _day_month)
    mapped.sub(
        _MONTH_DAY, lambda m: _date(_month(m["month"]), int(m["day"]), m["year"]) if int(m["day"]) < 32 else None
    )
    mapped.sub(_MONTH_YEAR, lambda m: f"{words.MONTHS[_month(m['month']) - 1]} {year(m['year'])}")
    mapped.sub(_DECADE, _decade)
    mapped.sub(_HOUR_RANGE, lambda m: f"{m[1]}{m[2] or ''} to ")
    mapped.sub(_CLOCK_RANGE, lambda m: f"{m[1] or ''} to ")
    mapped.sub(_CLOCK, _clock)
    mapped.sub(_HOUR, lambda m: f"{cardinal(m[1])} {m[2].upper()}.M." if int(m[1]) < 25 else None)
    mapped.sub(_RATIO, lambda m: f"{cardinal(m[1])} to {cardinal(m[2])}")


def _amounts(mapped: Mapped) -> None:
    mapped.sub(_PHONE, _phone)
    mapped.sub(_EMERGENCY, lambda m: digits(m[1]))
    mapped.sub(_BOUND, lambda m: "less than " if m[1] == "<" else "more than ")
    mapped.sub(_MONEY, _money)
    mapped.sub(_CODE_MONEY, lambda m: _sum(words.CURRENCIES[m["before"] or m["after"]], m["a"] or m["b"], None))
    mapped.sub(_INCHES, lambda m: f"{cardinal(m[1])} foot {cardinal(m[2])}")
    mapped.sub(_RANGE, _to)
    mapped.sub(_MINUS, "minus ")
    mapped.sub(_MIXED, lambda m: f"{cardinal(m[1])} and {fraction(int(m[2]), int(m[3]), mixed=True)}")
    mapped.sub(_FRACTION, lambda m: fraction(int(m[1]), int(m[2])))
    mapped.sub(_HOURS, lambda m: f"{m[1]} h {m[2]} min")
    mapped.sub(_UNIT, _unit)


def _numbers(mapped: Mapped) -> None:
    mapped.sub(_ORDINAL, lambda m: ordinal(m[1].replace(",", "")))
    mapped.sub(_VERSION, lambda m: " point ".join(cardinal(part) for part in m[1].split(".")))
    mapped.sub(_SIGN, lambda m: f" {words.SIGNS[m[1]]} ")
    mapped.sub(_BY, lambda m: " times " if m[1] else " by ")
    mapped.sub(_TIMES, " times")
    mapped.sub(_SIZED, lambda m: f"{cardinal(m[1])} {words.MAGNITUDES[m[2]]}")
    mapped.sub(_YEAR_ALONE, lambda m: year(m[1]))
    mapped.sub(_GLUED, " ")
    mapped.sub(_DECIMAL, lambda m: cardinal(m[0]))
    mapped.sub(_DIGITS, lambda m: digits(m[0]))


@cache
def _small(number: int) -> str:
    return str(num2words(number)).replace(",", "")


def cardinal(number: str) -> str:
    """Return a number as it is written (`1,234.5`) in words; one with a leading zero, or too long, digit by digit."""
    whole, point, rest = number.replace(",", "").partition(".")
    if len(whole) > LONGEST_NUMBER or (len(whole) > 1 and whole[0] == "0"):
        said = digits(whole)
    elif len(whole) < 4:
        said = _small(int(whole or "0"))
    else:
        said = str(num2words(int(whole))).replace(",", "")
    return f"{said} point {digits(rest)}" if point and rest else said


def digits(text: str) -> str:
    """Return each digit as a word."""
    return " ".join(_small(int(digit)) for digit in text)


def ordinal(number: str) -> str:
    """Return `21` as `twenty-first`."""
    return str(num2words(int(number), to="ordinal")).replace(",", "")


def year(number: str) -> str:
    """Return a year as people say it: nineteen oh-five, two thousand five, twenty twenty-six."""
    value = int(number)
    if 2000 <= value < 2010:
        return _small(2000) + (f" {_small(value - 2000)}" if value > 2000 else "")
    return str(num2words(value, to="year")).replace(",", "").replace("oh-", "oh ")


def fraction(upper: int, lower: int, *, mixed: bool = False) -> str:
    """Return a fraction: one half, three quarters, five over twenty-three."""
    if (upper, lower) == (24, 7):
        return "twenty-four seven"
    if lower < 2 or lower > 100 or (lower > 20 and lower != 100):
        return f"{_small(upper)} over {_small(lower)}"
    one, many = words.DENOMINATORS.get(lower) or ((name := ordinal(str(lower))), f"{name}s")
    first = "a" if mixed and upper == 1 and lower == 2 else _small(upper)
    return f"{first} {one if upper == 1 else many}"


def _abbreviation(match: re.Match[str]) -> str:
    if match[1] == "min." and match.string[: match.start()].rstrip()[-1:].isdigit():  # 30 min. is a length of time
        return "min." if match["end"] is not None else "min"
    said = words.ABBREVIATIONS[match[1]]
    ends = match["end"] is not None and match[1] in ("etc.", "Inc.", "Ltd.", "Corp.", "Co.", "Jr.", "Sr.", "et al.")
    return f"{said}." if ends else said


def _slash(match: re.Match[str]) -> str:
    around = match.string[max(0, match.start() - 3) : match.end() + 2]
    return " " if around == "and/or" or around.isupper() else " or "


def _month(name: str) -> int:
    short = name.rstrip(".")
    return words.SHORT_MONTHS.get(short) or words.MONTHS.index(short) + 1


def _date(month: int, day: int, in_year: str | None) -> str:
    said = f"{words.MONTHS[month - 1]} {ordinal(str(day))}"
    return f"{said}, {year(in_year)}" if in_year else said


def _slash_date(match: re.Match[str]) -> str | None:
    first, second = int(match[1]), int(match[2])
    month, day = (first, second) if first <= 12 else (second, first)
    return _date(month, day, match[3]) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _day_month(match: re.Match[str]) -> str | None:
    day, month = int(match["day"]), _month(match["month"])
    if not 1 <= day <= 31 or (
        match["month"] in ("May", "March") and not match["year"] and match.string[match.end() :][:1].isalpha()
    ):
        return None
    said = f"the {ordinal(str(day))} of {words.MONTHS[month - 1]}"
    return f"{said} {year(match['year'])}" if match["year"] else said


def _decade(match: re.Match[str]) -> str | None:
    number = match[1]
    if len(number) == 2 and match[0][0] not in "'’":
        return _small(int(number))[:-1] + "ies" if int(number) >= 20 else None
    said = _small(int(number)) if len(number) == 2 else year(number)
    return said[:-1] + "ies" if said.endswith("y") else said + "s"


def _clock(match: re.Match[str]) -> str | None:
    hour, minute, second, half = match.groups()
    if int(hour) > 24:
        return None
    noon = f" {half.upper()}.M." if half else ""
    if second is not None and not half:
        parts = ((int(hour), "hour"), (int(minute), "minute"), (int(second), "second"))
        return (
            " ".join(f"{_small(count)} {name}{'' if count == 1 else 's'}" for count, name in parts if count) or "zero"
        )
    said = _small(int(hour)) if int(hour) else ("twelve" if half else "zero")
    if int(minute):
        return f"{said} {'oh ' if int(minute) < 10 else ''}{_small(int(minute))}{noon}"
    return said + (noon or (" o'clock" if 0 < int(hour) <= 12 else " hundred"))


def _to(match: re.Match[str]) -> str:
    """A range is read with `to`, a difference with `minus`."""
    apart, equals = match[0].endswith(" "), "=" in match.string[match.end() : match.end() + 20]
    return f"{match[1]} {'minus' if apart and equals else 'to'} "


def _phone(match: re.Match[str]) -> str:
    groups = [group for group in match.groups() if group]
    return ", ".join(digits(group) for group in groups)


def _money(match: re.Match[str]) -> str:
    minus = "minus " if match["minus"] else ""
    names = words.CURRENCIES[match["sign"]]
    if match["upper"]:
        upper = _sum(names, match["upper"], match["size"])
        return f"{minus}{cardinal(match['amount'])} to {upper}"
    return minus + _sum(names, match["amount"], match["size"])


def _sum(names: tuple[str, str, str, str], amount: str, size: str | None) -> str:
    one, many, cent, cents = names
    if size:
        return f"{cardinal(amount)} {words.MAGNITUDES[size]} {many}"
    whole, _, part = amount.replace(",", "").partition(".")
    if len(part) == 2 and cent and whole:
        units = "" if not int(whole) and int(part) else f"{cardinal(whole)} {one if int(whole) == 1 else many}"
        rest = f"{_small(int(part))} {cent if int(part) == 1 else cents}" if int(part) else ""
        return " and ".join(filter(None, (units, rest)))
    return f"{cardinal(amount)} {one if whole == '1' and not part else many}"


def _unit(match: re.Match[str]) -> str | None:
    number, unit = match["number"], match["unit"]
    if not match["space"] and unit in words.SPACED_UNITS and unit != "m":
        return None
    if match["space"] == "-" and len(unit) == 1:
        return None
    one, many = words.UNITS[unit]
    single = number == "1" or match["space"] == "-"
    per = {"h": "hour", "min": "minute", "s": "second"}
    rate = f" per {per.get(match['per'][1:], match['per'][1:])}" if match["per"] else ""
    return f"{cardinal(number)} {one if single else many}{rate}"


def _roman(match: re.Match[str]) -> str | None:
    value = roman(match["roman"])
    if value is None or (
        match["roman"] == "I"
        and match["cue"]
        not in ("War", "Part", "Chapter", "Act", "Type", "Elizabeth", "Charles", "Phase", "Book", "Volume")
    ):
        return None
    said = f"the {ordinal(str(value))}" if match["cue"] in words.ROMAN_RULERS else _small(value)
    return f"{match['cue']} {said}"


def roman(text: str) -> int | None:
    """Return the value of a Roman number; None when it is none."""
    if not re.fullmatch(r"(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})", text) or not text:
        return None
    values = [{"I": 1, "V": 5, "X": 10, "L": 50}[letter] for letter in text]
    return sum(-value if value < max(values[at:]) else value for at, value in enumerate(values))
