"""Wyoming services that follow a script, for what real ones do not do when asked: hang, break off, answer nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from wyoming.event import Event, Eventable
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, TtsProgram, TtsVoice, TtsVoiceSpeaker

from antiphon.wire.frames import HEADER_BYTES, encode_event, read_event

NEVER = "never"
"""In a script: nothing more comes, but the connection is held."""

Script: TypeAlias = Sequence[Event | Eventable | bytes | asyncio.Event | str | None]
"""What an answer consists of: events and bytes are sent, an asyncio.Event is waited for, None hangs up."""

BY = Attribution("x", "")

HEARS = Info(
    asr=[
        AsrProgram("absent", BY, False, None, None, []),
        AsrProgram(
            "stranger",
            BY,
            True,
            None,
            None,
            [
                AsrModel("large", BY, True, None, None, ["en", "ko_KR"]),
                AsrModel("small", BY, True, None, None, ["en-US"]),
            ],
        ),
    ]
)
SPEAKS = Info(
    tts=[
        TtsProgram(
            "stranger",
            BY,
            True,
            None,
            None,
            [
                TtsVoice("amy", BY, True, None, None, ["en_GB"], None),
                TtsVoice("bo", BY, True, None, None, ["ko_KR"], [TtsVoiceSpeaker("one"), TtsVoiceSpeaker("two")]),
                TtsVoice("cy", BY, False, None, None, ["de"], None),
            ],
        )
    ]
)


class Service:
    """Describes itself, and answers each `ends` with its script; what is sent after that is not read.

    Args:
        info: what it says of itself.
        ends: the event that completes a request.
    """

    def __init__(self, info: Info, ends: str) -> None:
        self.info, self._ends = info, ends
        self.script: Script = []
        self.requests: list[list[Event]] = []
        """What each request consisted of."""
        self.hung_up = asyncio.Event()
        """The client left before the script was over."""
        self.port = 0
        self._peers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Service:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    async def start(self) -> None:
        """Listen; on the same port as before, after `stop`."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=HEADER_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Be gone, connections too."""
        self._server.close()
        for writer in self._peers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers.add(writer)
        request: list[Event] = []
        try:
            while (event := await read_event(reader)) is not None:
                if Describe.is_type(event.type):
                    writer.write(encode_event(self.info.event()))
                    continue
                request.append(event)
                if event.type == self._ends:
                    self.requests.append(request)
                    request = []
                    if not await self._answer(reader, writer):
                        break
        except ConnectionError:
            self.hung_up.set()
        finally:
            self._peers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for item in self.script:
            if item is None:
                return False
            if isinstance(item, asyncio.Event | str):
                await self._wait(item if isinstance(item, asyncio.Event) else asyncio.Event(), reader)
            elif isinstance(item, bytes):
                writer.write(item)
            else:
                writer.write(encode_event(item if isinstance(item, Event) else item.event()))
            await writer.drain()
        return True

    async def _wait(self, event: asyncio.Event, reader: asyncio.StreamReader) -> None:
        """Wait, unless the client leaves first."""
        gone = asyncio.create_task(reader.read(1))
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not waiting.done():
                raise ConnectionError
        finally:
            gone.cancel()
            waiting.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await gone
