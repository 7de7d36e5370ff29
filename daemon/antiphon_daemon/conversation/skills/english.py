"""English: how a sentence is written plainly before it is matched, and how times and lengths of time are said.

Same parts as `korean.py`.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache

from num2words import num2words

LARGEST = 999
"""Numbers in words are known up to this."""
LONGEST_WORDS = 6
"""`nine hundred and ninety nine`, and one to spare."""
UNIT_S = {"hour": 3600, "minute": 60, "second": 1, "day": 86_400}

_UNIT = r"(?:(?P<day>days?)|(?P<hour>hours?|hrs?|h)|(?P<minute>minutes?|mins?|minuets?|m)|(?P<second>seconds?|secs?|s))"
_HALF = r"(?P<half>(?:a )?half (?:of )?(?:an? )?)?"
_QUARTER = r"(?P<quarter>(?P<quarters>\d )?(?:a )?quarters? (?:of )?(?:an? )?)?"
_MORE = r"and (?:a )?(?:half|quarter)"
_PART = re.compile(
    rf"\b{_HALF}{_QUARTER}(?P<number>\d+(?:\.\d+)?|an?)? ?(?P<plus>{_MORE} )?{_UNIT}\b(?P<more> {_MORE}\b)?"
)
_MORE_BETWEEN = re.compile(rf"\b(\d+|an?|another) (?:more|extra|additional) {_UNIT}\b")
_JOINED = re.compile(r"\s*(?:(?:and|in|n)\s+)?")
"""Transcribers hear `and` as `in` there."""
_BARE = re.compile(r"\s*(?:and\s+)?(?P<number>\d+)(?=\s*$|\s+timer\b)")
_FRACTION = re.compile(r"(?<![\d/.])(?:(?P<whole>\d+)(?: and |[ -])?)?(?:(?P<of>1/2|1/4|3/4)(?![\d/])|(?P<sign>[½¼¾]))")
_FRACTIONS = {"1/2": (0.5, "half"), "1/4": (0.25, "quarter"), "3/4": (0.75, "3 quarters")}
_FRACTIONS |= {"½": _FRACTIONS["1/2"], "¼": _FRACTIONS["1/4"], "¾": _FRACTIONS["3/4"]}
_POINT_FIRST = re.compile(r"(?<!\S)\.(?=\d)")
SCRIPT = re.compile("[a-zA-Z]")
"""What a sentence of this language has in it."""
_MARKS = re.compile(r"[^\w\s'.%]|(?<!\d)\.|\.(?!\d)|_")
_POSSESSIVE = str.maketrans({"’": "'", "‘": "'"})


def plain(text: str) -> str:
    """Return `text` in lower case without punctuation, numbers in digits and lengths of time as `N seconds`."""
    text = _FRACTION.sub(_fraction, _POINT_FIRST.sub("0.", text.lower().translate(_POSSESSIVE)))
    words = _MARKS.sub(" ", text).split()
    return lengths(_MORE_BETWEEN.sub(_more_last, " ".join(_digits(words))))


def _fraction(found: re.Match[str]) -> str:
    """Write `2 1/2` and `2½` as `2.5`, and `1/2` as `half`."""
    part, words = _FRACTIONS[found["of"] or found["sign"]]
    return f"{int(found['whole']) + part}" if found["whole"] else words


def _more_last(found: re.Match[str]) -> str:
    """Write `5 more minutes` as `5 minutes more`."""
    number, more, unit = found[0].split()
    return f"{number} {unit} {more}"


def lengths(text: str) -> str:
    """Return `text` with every length of time as `N seconds`: `an hour and a half` becomes `5400 seconds`."""
    done, at = "", 0
    while (found := _PART.search(text, at)) is not None:
        if (total := _seconds(found)) is None:
            done, at = done + text[at : found.end()], found.end()
            continue
        smallest, end = _unit_s(found), found.end()
        while True:
            joined = _JOINED.match(text, end)
            start = joined.end() if joined else end
            following = _PART.match(text, start)
            if following is None or _unit_s(following) >= smallest or (more := _seconds(following)) is None:
                break
            total, smallest, end = total + more, _unit_s(following), following.end()
        bare = _BARE.match(text, end)
        if bare is not None and smallest > 1:  # `ten minutes and thirty`: of the next smaller unit
            total += int(bare["number"]) * (smallest // 60 if smallest <= 3600 else 3600)
            end = bare.end()
        done, at = f"{done}{text[at : found.start()]}{round(total)} seconds", end
    return done + text[at:]


def _unit_s(found: re.Match[str]) -> int:
    return next(seconds for unit, seconds in UNIT_S.items() if found[unit])


def _seconds(found: re.Match[str]) -> float | None:
    """Return the length that one number with its unit means; None if there is no number."""
    unit_s = _unit_s(found)
    number = found["number"]
    if number is None and not found["half"] and not found["quarter"]:
        return None
    if found["half"]:
        return unit_s / 2
    if found["quarter"]:
        return unit_s / 4 * int(found["quarters"] or 1)
    count = 1.0 if number in ("a", "an") else float(number)
    for extra in (found["plus"], found["more"]):
        if extra:
            count += 0.5 if "half" in extra else 0.25
    return count * unit_s


@cache
def _words() -> dict[str, int]:
    """Return the numbers by their words, without `and` and hyphens."""
    known = {num2words(n).replace("-", " ").replace(" and ", " "): n for n in range(LARGEST + 1)}
    known |= {words.replace("one hundred", "a hundred"): n for words, n in known.items()}
    return known | {"a couple of": 2, "a couple": 2, "a dozen": 12, "oh": 0}


def _digits(words: list[str]) -> list[str]:
    """Return `words` with numbers in digits; the longest number at each place counts."""
    known, out, at = _words(), [], 0
    while at < len(words):
        for count in range(min(LONGEST_WORDS, len(words) - at), 0, -1):
            run = words[at : at + count]
            if count > 1 and "and" in run:
                run = [word for i, word in enumerate(run) if not (word == "and" and i > 0 and run[i - 1] == "hundred")]
            number = known.get(" ".join(run))
            if number is not None and run != ["oh"]:
                out.append(str(number))
                at += count
                break
        else:
            out.append(words[at])
            at += 1
    return out


def length(seconds: int) -> str:
    """Return a length of time as it is said: `1 hour and 30 minutes`."""
    parts = [f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in _split(seconds)]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def which(seconds: int) -> str:
    """Return a length of time as it tells one timer from others: `10 minute`."""
    return " ".join(f"{n} {unit}" for n, unit in _split(seconds))


def _split(seconds: int) -> list[tuple[int, str]]:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return [(n, unit) for n, unit in ((hours, "hour"), (minutes, "minute"), (left, "second")) if n] or [(0, "second")]


def clock(at: datetime) -> str:
    """Return the time of day: `3:05 PM`."""
    if at.minute == 0 and at.hour in (0, 12):
        return "noon" if at.hour else "midnight"
    return f"{at.hour % 12 or 12}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}"


def day(on: date) -> str:
    """Return the date: `Tuesday, November 24th`."""
    return f"{on:%A}, {_MONTHS[on.month - 1]} {num2words(on.day, to='ordinal_num')}"


def month(on: date) -> str:
    """Return the month's name."""
    return _MONTHS[on.month - 1]


def year(on: date) -> str:
    """Return the year."""
    return str(on.year)


def finish(text: str) -> str:
    """Return an answer with its first letter large."""
    return text[:1].upper() + text[1:]


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
