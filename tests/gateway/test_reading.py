"""How far a WebSocket is read ahead of its session."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from asyncio import selector_events
from collections.abc import AsyncIterator
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from antiphon_daemon.gateway.outbox import MESSAGE_BYTES
from antiphon_daemon.gateway.reading import AHEAD_BYTES, REST_S, Reading

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
BLOCK = 640


class Transport(asyncio.Transport):
    """Notes when reading stops and goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.max_size = 256 * 1024

    def write(self, data: Any) -> None: ...

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.notes.append("closed")

    def pause_reading(self) -> None:
        self.notes.append("stops")

    def resume_reading(self) -> None:
        self.notes.append("goes on")


class Session:
    """Takes so many messages as it is let."""

    def __init__(self) -> None:
        self.may = asyncio.Semaphore(0)
        self.took = self.bytes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await self.may.acquire()
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            self.took += 1
            self.bytes += len(message["bytes"])


def framed(count: int = 1) -> bytes:
    """Return so many blocks of sound as a client sends them, under a mask of zeros."""
    return (struct.pack(">BBHI", 0x82, 0x80 | 126, BLOCK, 0) + bytes(BLOCK)) * count


EMPTY = struct.pack(">BBI", 0x82, 0x80, 0)
"""A message that holds nothing."""


async def settled() -> None:
    for _ in range(300):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[Reading, Transport, Session]]:
    session, transport = Session(), Transport()
    config = Config(session, ws=Reading, lifespan="off", log_config=None)
    config.load()
    one = Reading(config, ServerState(), {}, asyncio.get_running_loop())
    one.connection_made(transport)
    one.data_received(UPGRADE)
    await settled()
    yield one, transport, session
    one.connection_lost(None)
    for _ in range(1000):
        session.may.release()
    await settled()
    assert not one.tasks


async def test_a_microphone_is_read_without_a_stop() -> None:
    async with opened() as (one, transport, session):
        for _ in range(200):
            session.may.release()
            one.data_received(framed())
            await asyncio.sleep(0)
        await settled()
        assert session.bytes == 200 * BLOCK
        assert transport.notes == []


async def test_no_more_is_read_than_a_session_takes() -> None:
    async with opened() as (one, transport, session):
        many = AHEAD_BYTES // (BLOCK + MESSAGE_BYTES)
        for _ in range(many):
            one.data_received(framed())
        await settled()
        assert transport.notes == []
        one.data_received(framed())
        assert transport.notes == ["stops"]
        for _ in range(many):
            session.may.release()
        await settled()
        assert session.took == many
        assert transport.notes == ["stops"], "one still waits"
        session.may.release()
        await settled()
        assert transport.notes == ["stops", "goes on"]
        one.data_received(framed())
        assert transport.notes == ["stops", "goes on"], "what was taken is not counted again"


async def test_who_brings_much_at_once_lets_others_have_their_turn_in_between() -> None:
    async with opened() as (one, _, session):
        for _ in range(100):
            session.may.release()
        one.data_received(framed(100))
        turns = 0
        while session.took < 100:
            took = session.took
            await asyncio.sleep(0)
            turns += 1
            assert session.took - took <= 2
            assert turns < 1000


async def test_messages_that_hold_nothing_are_not_read_without_end() -> None:
    async with opened() as (one, transport, session):
        for _ in range(AHEAD_BYTES // MESSAGE_BYTES + 1):
            one.data_received(EMPTY)
        assert transport.notes == ["stops"]
        for _ in range(200):
            session.may.release()
        await settled()
        assert transport.notes == ["stops", "goes on"]
        assert one.queue.empty()


async def test_who_rests_is_read_now_and_then_and_sound_comes_in_one_piece() -> None:
    async with opened() as (one, transport, session):
        for _ in range(10):
            session.may.release()
        one.rest(4 * BLOCK)
        one.data_received(framed(5) + EMPTY)
        assert transport.notes == ["stops"]
        await settled()
        assert (session.took, session.bytes) == (3, 5 * BLOCK), "four, one, and the message that holds nothing"
        await asyncio.sleep(2 * REST_S)
        assert transport.notes == ["stops", "goes on"]
        one.data_received(framed())
        assert transport.notes == ["stops", "goes on", "stops"]
        one.rest(0)
        assert transport.notes == ["stops", "goes on", "stops", "goes on"], "somebody speaks: it is read at once again"
        one.data_received(framed(2))
        await settled()
        assert (session.took, session.bytes) == (6, 8 * BLOCK)
        assert len(transport.notes) == 4


async def test_a_long_message_to_one_who_rests_is_read_without_a_wait() -> None:
    """Else a recording of a megabyte would take five seconds to arrive."""
    async with opened() as (one, transport, _):
        one.rest(4 * BLOCK)
        head = struct.pack(">BBQI", 0x82, 0x80 | 127, 10 * AHEAD_BYTES, 0)
        one.data_received(head + bytes(AHEAD_BYTES - len(head)))
        for size in (AHEAD_BYTES, 1, AHEAD_BYTES // 2, AHEAD_BYTES):
            one.data_received(bytes(size))
        assert transport.notes == []


async def test_who_rests_is_not_read_sooner_than_it_can_take() -> None:
    async with opened() as (one, transport, session):
        one.rest(1)
        for _ in range(1 + AHEAD_BYTES // (BLOCK + MESSAGE_BYTES)):
            one.data_received(framed())
        await asyncio.sleep(2 * REST_S)
        assert "goes on" not in transport.notes
        for _ in range(100):
            session.may.release()
        await settled()
        assert transport.notes[-1] == "goes on"


async def test_no_more_is_taken_at_a_time_than_may_wait() -> None:
    """Else a quarter of a megabyte of tiny frames would be parsed before anybody else is served."""
    assert hasattr(selector_events._SelectorSocketTransport, "max_size"), "asyncio names its own limit otherwise now"
    async with opened() as (_, transport, _):
        assert transport.max_size == AHEAD_BYTES
