"""Markup, addresses and pictures: taken off, or said shortly. The rules bound what they look at: they stay linear."""

from __future__ import annotations

import html
import re
import unicodedata

from antiphon_daemon.conversation.spoken.mapped import Mapped, Replacement

CODE_CHARACTERS = 40
"""A code span longer than this is not read out."""

CODE_BLOCK = {"en": "Here comes some code.", "ko": "여기에 코드가 있어요."}
CODE = {"en": "some code", "ko": "코드"}
ADDRESS = {"ko": "링크"}
"""What is said for a web address; where there is nothing here, its host."""
DOT = {"en": " dot ", "ko": " 점 "}
AT = {"en": " at ", "ko": " 골뱅이 "}
LIST_NUMBER = {"en": "{}, ", "ko": "{}번째, "}

FENCE = re.compile(r"(?m)^[ \t]{0,8}(```|~~~)[^\n]*\n(?:(?s:.*?)(?:^[ \t]{0,8}\1[`~]*[ \t]*$|\Z))")
_LONG_SPACE = re.compile(r"[ \t]{9,}")
_COMMENT = re.compile(r"<!--[^>]{0,300}-->|<\?[^>]{0,200}\?>")
_AUTO_LINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,2000})>")
_BREAK = re.compile(r"(?i)<(?:br|/p|/li|/tr|/h[1-6]|/div|hr)\s{0,3}/?>")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31}\d{0,2});")
_REFERENCE = re.compile(r"(?m)^[ \t]{0,3}\[[^\]\n]{1,100}\]:[ \t]*\S+[^\n]*$")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,40}\]")
_LINK = re.compile(
    r"!?\[([^\[\]\n]{0,300})\](?:\([ \t]*<?[^\s()<>]{0,2000}(?:\([^\s()]{0,200}\)[^\s()]{0,200})?>?"
    r"(?:[ \t]+[\"'][^\"'\n]{0,300}[\"'])?[ \t]*\)|\[[^\[\]\n]{0,100}\])"
)
_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)([^`\n]{1,300})\1(?!`)")
_MAIL = re.compile(
    r"(?i)(?:mailto:)?(?<![a-z0-9.])([a-z0-9][a-z0-9._%+-]{0,63})@([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,5})(?![a-z0-9-])"
)
_URL = re.compile(r"(?i)(?<![a-z0-9])(?:https?|ftp)://[^\s<>\"'`\uac00-\ud7a3\u3000-\u9fff]{1,2000}")
_HOST = re.compile(
    r"(?i)(?<![a-z0-9@._-])(?:www\.)?((?:[a-z0-9-]{1,63}\.){1,4}"
    r"(?:com|org|net|io|dev|edu|gov|app|ai|kr|jp|cn|uk|de|fr|eu|info|me))(?![a-z0-9-]|\.[a-z0-9])(?:/[^\s가-힣]{0,500})?"
)
_RULE = re.compile(r"(?m)^[ \t]{0,8}(?:(?:-[ \t]{0,3}){3,}|(?:\*[ \t]{0,3}){3,}|(?:_[ \t]{0,3}){3,}|={3,})$")
_TABLE_RULE = re.compile(r"(?m)^[ \t]{0,8}\|?[ \t]*:?-{2,}[-:| \t]*$")
_ROW = re.compile(r"(?m)^[ \t]{0,8}\|[^\n]*$")
_HEADING = re.compile(r"(?m)^[ \t]{0,8}#{1,6}[ \t]+|[ \t]+#{1,6}[ \t]*$")
_BULLET = re.compile(r"(?m)^(?:[ \t]*(?:[-*+•‣▪◦·–—>]+[ \t]+|>+))+(?:\[[ xX]\][ \t]+)?")
_NUMBERED = re.compile(r"(?m)^[ \t]{0,8}([1-9]\d{0,2})[.)][ \t]+(?=\S)")
_LINE_END = re.compile(r"([^\s]?)([\"'”’)\]*_`]{0,4})[ \t]{0,8}\n\s*")
_EMPHASIS = re.compile(
    r"\*{1,3}(?=[^\s*])(?<!\d\*)(?<!\d\*\*)|(?<=[^\s*])\*{1,3}(?!\d)|~~|(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)"
)
_COMPATIBLE = re.compile(
    "[\u2460-\u249b\u3200-\u33ff\uff04\uff05\uff0b\uff0d\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff5e\u00bc-\u00be\u2150-\u217f\u2100-\u2126\u2080-\u2089\ufb00-\ufb06\uffe5\uffe6]"
)
_SIGNS = {"™": "", "№": "#", "㈜": "(주)"}
"""Signs whose plain form is not the usual one."""
_ODD_SPACE = re.compile("[\u00a0\u2000-\u200b\u202f\u205f\u2060\ufeff\u00ad\u200e\u200f]")
_MARKS = re.compile(r"[*`~|#_\\<>{}\[\]^=+@$€£¥₩©®™§¶†‡•◦▪→←↑↓⇒※]+")
_SPACE = re.compile(r"\s+")
_BEFORE_STOP = re.compile(r"\s+(?=[,.!?;:…、。，！？；：)\]])(?![.,]\d)")
_STOPS = re.compile(r"([,;:])(?:\s*[,;:])+|([.!?])(?:\s*[,;:])+|[,;:]\s*(?=[.!?](?:\s|$))|(?<=[.!?]) \.(?=\s|$)")
_EMPTY = re.compile(r"\(\s*\)|\"\s*\"")
_BEGIN = re.compile(r"(?:[\s,;:.!?)]|[-–—](?!\d))+(?=[\w\"'“‘(])")


def take_off(mapped: Mapped, language: str) -> None:
    """Take markup off: what it marked stays, what it only pointed to goes."""
    text = mapped.text
    mapped.sub(_LONG_SPACE, " " * 8)
    if "\n" in text or "`" in text or "~~~" in text:
        mapped.sub(FENCE, CODE_BLOCK.get(language, "") + "\n")
    mapped.sub(_ODD_SPACE, lambda m: "" if m[0] in "\u200b\u2060\ufeff\u00ad\u200e\u200f" else " ")
    if "<" in text:
        for pattern, new in ((_COMMENT, " "), (_AUTO_LINK, r"\1"), (_BREAK, "\n"), (_TAG, "")):
            mapped.sub(pattern, _template(new))
    if "&" in text:
        mapped.sub(_ENTITY, lambda m: _entity(m[0]))
    mapped.sub(_REFERENCE, "")
    mapped.sub(_FOOTNOTE, "")
    mapped.sub(_LINK, lambda m: m[1])
    mapped.sub(_SPAN, lambda m: _code(m[2], language))
    mapped.sub(_RULE, "")
    mapped.sub(_TABLE_RULE, "")
    mapped.sub(_ROW, lambda m: ", ".join(cell for part in m[0].split("|") if (cell := part.strip())))
    mapped.sub(_HEADING, "")
    mapped.sub(_BULLET, "")
    if number := LIST_NUMBER.get(language):
        mapped.sub(_NUMBERED, lambda m: number.format(m[1]))
    mapped.sub(_LINE_END, _line_end)
    mapped.sub(_EMPHASIS, "")
    mapped.sub(_MAIL, lambda m: _address(m[1], language) + AT.get(language, " ") + _address(m[2], language))
    mapped.sub(_URL, lambda m: _link(m[0], language))
    mapped.sub(_HOST, lambda m: _address(m[1], language))
    mapped.sub(_COMPATIBLE, _plain)
    _take_off_pictures(mapped)


def sweep(mapped: Mapped) -> None:
    """Remove what is left of signs that nobody says, and put the spaces right."""
    mapped.sub(_MARKS, " ")
    mapped.sub(_EMPTY, " ")
    mapped.sub(_SPACE, " ")
    mapped.sub(_BEFORE_STOP, "")
    mapped.sub(_STOPS, lambda m: m[1] or m[2] or "")
    begin = _BEGIN.match(mapped.text)
    mapped.strip(begin.end() if begin else 0, " -–—")


def code_block(language: str | None) -> str:
    """Return what is said instead of a block of code."""
    return CODE_BLOCK.get((language or "en").split("-")[0], "")


def _template(new: str) -> Replacement:
    return (lambda m: m[1]) if new == r"\1" else new


def _entity(text: str) -> str:
    """Return what an HTML entity stands for; a sign that would be markup again is a space."""
    plain = html.unescape(text)
    return plain if plain not in "<>&`*_|#~[]" or plain in "<>&" else " "


def _code(text: str, language: str) -> str:
    text = text.strip()
    return text if len(text) <= CODE_CHARACTERS else CODE.get(language, "")


def _link(url: str, language: str) -> str:
    host, tail = url.split("//", 1)[1].split("/", 1)[0].split("?", 1)[0], url[len(url.rstrip(".,;:!?)")) :]
    if language in ADDRESS:
        return ADDRESS[language] + tail
    return (_address(host.rstrip(".,;:!?)").removeprefix("www."), language) or " ") + tail


def _address(name: str, language: str) -> str:
    """Return the name of a host or mailbox in words; nothing in a language that has no word for the dot here."""
    return name.replace(".", DOT[language]).replace("_", " ").replace("-", " ") if language in DOT else ""


def _line_end(match: re.Match[str]) -> str:
    """A line is a sentence, unless it ends otherwise."""
    last, closing = match[1], match[2]
    stop = "." if last.isalnum() or (last in "%)°" and last) else ""
    return f"{last}{closing}{stop} " if last or closing else " "


def _plain(match: re.Match[str]) -> str:
    """Return the plain form of a sign such as ℃, ½, ① or ㎞."""
    if match[0] in _SIGNS:
        return _SIGNS[match[0]]
    plain = unicodedata.normalize("NFKC", match[0])
    before = match.string[match.start() - 1 : match.start()]
    return f" {plain}" if "\u2044" in plain and before.isdigit() else plain.replace("(", " ").replace(")", " ")


def _take_off_pictures(mapped: Mapped) -> None:
    if mapped.text.isascii():
        return
    found = {character for character in set(mapped.text) if _picture(character)}
    if found:
        mapped.sub(re.compile("[" + "".join(map(re.escape, sorted(found))) + "]+(?:[\ufe0f\u20e3]*)"), " ")


def _picture(character: str) -> bool:
    return (
        unicodedata.category(character) in ("So", "Sk", "Cs", "Co", "Cf", "Cn", "Cc") and character not in "°\n\t ^`"
    ) or character in "\ufe0f\u20e3"
