"""The words of SSML, whatever pieces it comes in: what it says of how they are to be spoken is left out."""

from __future__ import annotations

import html
import re

LONGEST_TAG = 4096
"""A `<` that is not closed within so many characters begins no tag."""
LONGEST_ENTITY = 34
BEGINS = re.compile(r"\s*(?:<\?xml\b[^>]*>\s*)?<speak\b", re.IGNORECASE)
"""How a text begins that is SSML without anybody having said so."""

_TAG = re.compile(r"<!--[^<]*?-->|<[^<>]*>")
_ENDS = re.compile(r"</\s*(?:s|p|speak|voice|lang)\s*>|<\s*break\b", re.IGNORECASE)
"""Tags between which there may be no other space: words before and after them are not one word."""


class Ssml:
    """Takes the tags out of a text that comes in pieces; what may still become a tag waits."""

    def __init__(self) -> None:
        self._waiting = ""

    def feed(self, text: str) -> str:
        """Return the words that are certain now."""
        whole = self._waiting + text
        end = _open_end(whole)
        self._waiting = whole[end:]
        return _words(whole[:end])

    def rest(self) -> str:
        """Return the words of what waits: nothing, if it is a tag that never ended."""
        waiting, self._waiting = self._waiting, ""
        return "" if waiting.startswith("<") else _words(waiting)


def _open_end(text: str) -> int:
    """Return where the tag or entity begins that `text` ends in; its length if there is none."""
    tag = text.rfind("<!--")
    if tag < 0 or text.find("-->", tag) >= 0:
        tag = text.rfind("<")
        if tag >= 0 and text.find(">", tag) >= 0:
            tag = -1
    if tag >= 0 and len(text) - tag <= LONGEST_TAG:
        return tag
    entity = text.rfind("&")
    if entity >= 0 and text.find(";", entity) < 0 and len(text) - entity <= LONGEST_ENTITY:
        return entity
    return len(text)


def _words(text: str) -> str:
    return html.unescape(_TAG.sub(lambda tag: "\n" if _ENDS.match(tag[0]) else "", text))
