"""Hangul that comes in its parts (macOS, some keyboards and models) is composed at each edge that takes text."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from typing import Any, cast

from scripted import Script
from wyoming.asr import Transcript as Heard
from wyoming.event import Event
from wyoming.handle import Handled
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop

from antiphon.settings import Deadlines, Settings
from antiphon.wire.frames import parse
from antiphon.wire.link import open_link
from antiphon.wire.server import Connection
from antiphon_daemon.conversation.across import Across
from antiphon_daemon.conversation.tool_calls import written
from antiphon_daemon.endpoints.tts import TtsHandler
from antiphon_daemon.engines.contracts import Message, Transcript, Voice, Work
from antiphon_daemon.engines.work import Token
from antiphon_daemon.gateway.session import _content
from antiphon_daemon.insight.turns import Recorder, Turns
from antiphon_daemon.names import _names

from .conftest import Running
from .test_services import events_until, send_all

TEXT = "밥을 먹고 나서 닭 3마리를 봤어요."
PARTS = unicodedata.normalize("NFD", TEXT)


class Peer:
    """Takes what is sent."""

    host = "127.0.0.1"

    async def send(self, event: Any) -> None: ...


class Speaker:
    """A voice that keeps what it is to say."""

    name, rate = "speaker", 16_000
    voices = (Voice("ko", ["ko"]),)

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        self.texts.append(text)
        yield bytes(3200)

    async def close(self) -> None: ...


async def letter_by_letter() -> AsyncIterator[str]:
    for letter in PARTS:
        yield letter


async def test_a_request_in_parts_is_understood(daemon: Running) -> None:
    async with await open_link(daemon.uri("handle")) as link:
        await send_all(link, Heard(text=unicodedata.normalize("NFD", "지금 몇 시야?"), language="ko"))
        events = await events_until(link, "handled-stop", "not-handled", "error")
        assert (parse(Handled, events[-2]).text or "").startswith("지금은 오")


async def test_text_to_speak_that_comes_in_parts_is_spoken_whole() -> None:
    voice, settings = Speaker(), Settings(language="ko")
    handler = TtsHandler(cast("Connection", Peer()), voice, settings, Across(), Recorder(Turns(), "tts", "peer"))
    events: list[Event] = [SynthesizeStart().event()]
    events += [SynthesizeChunk(letter).event() for letter in PARTS]
    for event in (*events, SynthesizeStop().event()):
        async with asyncio.timeout(30):
            await handler.handle(event)
    assert " ".join(voice.texts).replace(",", "") == "밥을 먹고 나서 닭 세 마리를 봤어요."


async def test_a_model_that_writes_in_parts_is_read_whole() -> None:
    pieces = [piece async for piece in written(Script(letter_by_letter), [Message("user", "?")], Token(), Deadlines())]
    assert "".join(pieces) == TEXT
    assert all(unicodedata.is_normalized("NFC", piece) for piece in pieces)


def test_what_any_engine_hears_is_composed() -> None:
    assert Transcript(PARTS, "ko").text == TEXT


def test_what_is_typed_in_a_browser_is_composed() -> None:
    assert _content({"type": "text", "content": f" {PARTS}"}) == TEXT


def test_names_of_a_house_are_composed() -> None:
    of = {"name": unicodedata.normalize("NFD", "거실 조명"), "aliases": ["ㄱㅓㅅㅣㄹ ㄷㅡㅇ"]}
    assert list(_names(of, "name", "aliases")) == ["거실 조명", "거실 등"]
