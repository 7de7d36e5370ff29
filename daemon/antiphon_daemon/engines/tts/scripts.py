"""Leaves out what an espeak-ng voice could only spell: the letters of other languages' scripts.

A language model quotes them ("thank you" is ありがとう), and of each letter espeak-ng makes "Japanese letter", or the
number that Unicode gives it. What it can pronounce with any voice stays: Latin, Greek and Cyrillic letters, Hangul,
Georgian, Armenian and the scripts of India.
"""

from __future__ import annotations

import functools
import re
import unicodedata

_SCRIPTS = {
    "\u0590-\u05ff\ufb1d-\ufb4f": ("he", "yi"),
    "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc": ("ar", "fa", "ku", "sd", "ug", "ur"),
    "\u0e00-\u0e7f": ("th",),
    "\u0e80-\u0eff": ("lo",),
    "\u0f00-\u0fff": ("bo",),
    "\u1000-\u109f": ("my", "shn"),
    "\u1200-\u139f": ("am", "ti"),
    "\u1780-\u17ff": ("km",),
    "\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f": ("ja",),  # kana
    "\u3100-\u312f\u31a0-\u31bf": ("cmn", "hak", "nan", "yue", "zh"),  # Bopomofo
    "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff": (
        "cmn", "hak", "ja", "nan", "yue", "zh",
    ),
}  # fmt: skip
"""Which languages (their plain codes) are written in the letters of these ranges."""

_STYLED = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff]+")
"""Letters and digits that are drawn in another way: full width, and bold or italic of mathematics."""


def readable(text: str, language: str) -> str:
    """Return `text` without the letters that a voice of that language (a plain code) can only spell.

    What stands in other shapes of Latin letters and digits is put into plain ones.
    """
    plain = _STYLED.sub(lambda styled: unicodedata.normalize("NFKC", styled[0]), text)
    return _foreign(language).sub(" ", plain)


@functools.cache
def _foreign(language: str) -> re.Pattern[str]:
    return re.compile(f"[{''.join(letters for letters, written in _SCRIPTS.items() if language not in written)}]+")
