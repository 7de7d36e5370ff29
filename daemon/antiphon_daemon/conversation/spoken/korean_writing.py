"""Korean: what only Korean writing has. Hanja beside their reading, letters by themselves, words run into numbers."""

from __future__ import annotations

import re

from antiphon_daemon.conversation.spoken.korean_names import table
from antiphon_daemon.conversation.spoken.mapped import Mapped

SEAM = "\ue000"
"""Stands behind what has been put in words, until the particle after it agrees."""

LETTERS = table(
    "ㄱ:기역 ㄲ:쌍기역 ㄴ:니은 ㄷ:디귿 ㄸ:쌍디귿 ㄹ:리을 ㅁ:미음 ㅂ:비읍 ㅃ:쌍비읍 ㅅ:시옷 ㅆ:쌍시옷 ㅇ:이응 "
    "ㅈ:지읒 ㅉ:쌍지읒 ㅊ:치읓 ㅋ:키읔 ㅌ:티읕 ㅍ:피읖 ㅎ:히읗 ㅏ:아 ㅐ:애 ㅑ:야 ㅒ:얘 ㅓ:어 ㅔ:에 ㅕ:여 ㅖ:예 "
    "ㅗ:오 ㅘ:와 ㅙ:왜 ㅚ:외 ㅛ:요 ㅜ:우 ㅝ:워 ㅞ:웨 ㅟ:위 ㅠ:유 ㅡ:으 ㅢ:의 ㅣ:이"
)
"""The name of each letter."""
HANJA = table(
    "美:미 中:중 日:일 韓:한 北:북 英:영 獨:독 佛:불 與:여 野:야 前:전 現:현 新:신 故:고 男:남 女:여 大:대 小:소 "
    "對:대 反:반 親:친 無:무 全:전 總:총 駐:주 訪:방 重:중 輕:경 軍:군 檢:검 靑:청 銀:은 株:주 車:차 硏:연 生:생"
)
"""Those that newspapers write by themselves; others are left to the voice."""

_READ = re.compile(r"([가-힣])\s?\([\u3400-\u9fff\uf900-\ufaff]{1,20}\)")
_READING = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]{1,20}\s?\(([가-힣][가-힣 ]{0,40})\)")
_ALONE = re.compile(rf"(?<![\u3040-\u30ff\u3400-\u9fff])[{''.join(HANJA)}](?![\u3040-\u30ff\u3400-\u9fff])")
_COMPANY = re.compile(r"\(주\)\s?(?=[가-힣A-Za-z])|(?<=[가-힣A-Za-z])\s?\(주\)")
_LAUGHTER = re.compile(r"\s?(?:ㅋ{2,}|ㅎ{2,}|[ㅠㅜ]{2,}|ㅡ_?ㅡ)")
_LETTER = re.compile(f"[{''.join(LETTERS)}]")
_JOINED = re.compile(
    r"(?<=\d[년월일시분초층동만억조천원박승])(?=\d)|(?<=\d(?:시간|학년|개월|타수))(?=\d)|(?<=\d시)(?=반(?:[^가-힣]|$|에|이|쯤|까지|부터|으로|인))"
)
_BASEMENT = re.compile(r"(?<![A-Za-z])B(?=\d{1,2}층)")
_DAY = re.compile(r"(?<![A-Za-z])D([-−+])(?=\d{1,4}(?![\d일]))")
_HYPHEN = re.compile(r"(?<=[A-Z])-(?=[가-힣\d])")


def put_in_words(mapped: Mapped) -> None:
    """Put it as it would be written plainly."""
    mapped.sub(_READING, lambda m: m[1])
    mapped.sub(_READ, lambda m: m[1])
    mapped.sub(_ALONE, lambda m: HANJA[m[0]])
    mapped.sub(_COMPANY, lambda m: "주식회사 " if m.string[m.end() : m.end() + 1].isalpha() else " 주식회사")
    mapped.sub(_LAUGHTER, "")
    mapped.sub(_LETTER, lambda m: LETTERS[m[0]] + SEAM)
    mapped.sub(_JOINED, " ")
    mapped.sub(_BASEMENT, "지하 ")
    mapped.sub(_DAY, lambda m: f"디 {'플러스' if m[1] == '+' else '마이너스'} ")
    mapped.sub(_HYPHEN, lambda m: " " if m.string[m.end()].isdigit() else "")
