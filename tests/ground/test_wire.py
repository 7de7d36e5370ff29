"""The wire: bounded frames, a server that a bad peer cannot hurt, a client that never waits for ever."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wyoming.audio import AudioChunk
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping

from antiphon.settings import Network
from antiphon.wire import frames, server
from antiphon.wire.frames import FrameError, encode_event, parse, read_event
from antiphon.wire.link import LinkError, ask_info, open_link
from antiphon.wire.server import Connection, Inbox, ListenError, Refusal, Server, allowed

LOOPBACK = Network(host="127.0.0.1")


class Echo:
    """A handler that says back what it gets, is slow at `slow`, fails at `fail`, refuses `refuse`."""

    def __init__(self, peer: Connection, gone: list[str]) -> None:
        self.peer, self.left = peer, gone

    async def handle(self, event: Event) -> None:
        if event.type == "slow":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.left.append("cancelled")
                raise
        if event.type == "fail":
            raise RuntimeError("a fault of ours")
        if event.type == "refuse":
            raise Refusal("not today", "no")
        if event.type == "audio-chunk":
            parse(AudioChunk, event)
        await self.peer.send(Event("echo", {"of": event.type}))

    async def gone(self) -> None:
        self.left.append("gone")


@asynccontextmanager
async def echo(network: Network = LOOPBACK) -> AsyncIterator[tuple[Server, list[str]]]:
    gone: list[str] = []
    served = Server("echo", 0, info=Info, handler=lambda peer: Echo(peer, gone), network=network)
    await served.start()
    try:
        yield served, gone
    finally:
        await served.stop()


def test_halves_of_characters_are_joined_or_replaced() -> None:
    """A language model may give an emoji in two pieces, and JSON may hold what is no text."""
    for text, sent in (("a\ud83d", "a\ufffd"), ("\ud83d\ude00", "\U0001f600"), ("\ude00 b", "\ufffd b")):
        head, _, data = encode_event(Event("handled-chunk", {"text": text})).partition(b"\n")
        assert json.loads(head)["data_length"] == len(data)
        assert json.loads(data) == {"text": sent}


async def fed(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=frames.HEADER_BYTES)
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_what_is_written_is_read_back_also_by_the_wyoming_package() -> None:
    event = Event("x", {"a": 1, "한": "글"}, b"\x00\xff")
    assert await read_event(await fed(encode_event(event))) == event
    inline = b'{"type": "x", "data": {"a": 1, "b": 1}, "data_length": 8}\n{"b": 2}'
    assert await read_event(await fed(inline)) == Event("x", {"a": 1, "b": 2})
    assert await read_event(await fed(b"")) is None
    assert await read_event(await fed(b'{"type": "x", "data": null, "payload_length": null}\n')) == Event("x", {})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\n", "is not JSON"),
        (b"[]\n", "is no JSON object"),
        (b"GET / HTTP/1.1\r\n\r\n", "is not JSON"),
        (b"{}\n", "has no type"),
        (b'{"type": 5}\n', "has no type"),
        (b'{"type": "x", "data": []}\n', "is no object"),
        (b'{"type": "x", "data_length": -1}\n', "is no number of bytes"),
        (b'{"type": "x", "data_length": true}\n', "is no number of bytes"),
        (b'{"type": "x", "data_length": 1.5}\n', "is no number of bytes"),
        (b'{"type": "x", "data_length": 1048577}\n', "more than 1048576 bytes"),
        (b'{"type": "x", "payload_length": 999999999999}\n', "more than 1048576 bytes"),
        (b'{"type": "x", "data_length": 3}\n123', "is no JSON object"),
        (b'{"type": "x", "data_length": 9}\n{}', "ended inside a frame"),
        (b'{"type": "x"', "ended inside a header"),
        (b"[" * 60_000 + b"\n", "is not JSON"),
        (b'{"type": "\xff"}\n', "is not JSON"),
        (b"x" * 70_000 + b"\n", "longer than 65536 bytes"),
    ],
)
async def test_a_bad_frame_says_what_is_wrong_with_it(data: bytes, said: str) -> None:
    with pytest.raises(FrameError, match=said):
        await read_event(await fed(data))


async def test_a_frame_must_come_whole_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "BODY_S", 0.05)
    reader = asyncio.StreamReader(limit=frames.HEADER_BYTES)
    reader.feed_data(b'{"type": "x", "payload_length": 10}\nhalf')
    with pytest.raises(FrameError, match="did not come whole"):
        await read_event(reader)


async def test_describe_and_ping_are_answered_while_a_handler_is_busy() -> None:
    async with echo() as (served, _), await open_link(f"tcp://127.0.0.1:{served.port}") as link:
        for event in (Event("slow"), Event("other"), Ping(text="a"), Describe()):
            await link.send(event)
        assert (await link.receive(5)).data == {"text": "a"}
        assert Info.is_type((await link.receive(5)).type)


async def test_work_is_cancelled_when_the_peer_leaves() -> None:
    async with echo() as (served, gone):
        async with await open_link(f"tcp://127.0.0.1:{served.port}") as link:
            await link.send(Event("slow"))
            await link.send(Ping())
            await link.receive(5)
        while gone != ["cancelled", "gone"]:
            await asyncio.sleep(0.01)
        assert served.connections == 0


async def test_a_failing_handler_becomes_an_error_event_and_the_connection_lives() -> None:
    async with echo() as (served, _), await open_link(f"tcp://127.0.0.1:{served.port}") as link:
        for kind, code in (("fail", "internal"), ("refuse", "no")):
            await link.send(Event(kind))
            assert parse(Error, await link.receive(5)).code == code
        await link.send(Event("still there"))
        assert (await link.receive(5)).data == {"of": "still there"}


async def test_a_long_recording_sent_at_once_comes_whole_though_it_is_more_than_may_wait() -> None:
    """The race: the reader takes what the stream holds without a pause, and outruns a handler that is not slow."""
    heard: list[int] = []

    class Ear(Echo):
        async def handle(self, event: Event) -> None:
            heard.append(event.data["n"])
            sum(range(2000))

    served = Server("ear", 0, info=Info, handler=lambda peer: Ear(peer, []), network=LOOPBACK)
    await served.start()
    count = 6 * server.QUEUED_EVENTS
    async with await open_link(f"tcp://127.0.0.1:{served.port}") as link:
        for number in range(count):
            await link.send(Event("audio-chunk", {"n": number}, b"x" * 320))
        async with asyncio.timeout(30):
            while len(heard) < count:
                await asyncio.sleep(0.01)
    assert heard == list(range(count))
    await served.stop()


@pytest.mark.parametrize("bad", [b"nonsense\n", b'{"type": "audio-chunk"}\n', b'{"type":"x","data_length":99999999}\n'])
async def test_a_bad_peer_gets_an_error_and_is_closed_and_others_are_served(bad: bytes) -> None:
    async with echo() as (served, _):
        good = await open_link(f"tcp://127.0.0.1:{served.port}")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(bad)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert json.loads(answer.splitlines()[0])["type"] == "error"
        writer.close()
        await good.send(Event("hello"))
        assert (await good.receive(5)).data == {"of": "hello"}
        await good.close()


async def test_connections_are_bounded_and_places_come_free() -> None:
    async with echo(Network(host="127.0.0.1", connections=2)) as (served, _):
        uri = f"tcp://127.0.0.1:{served.port}"
        links = [await open_link(uri) for _ in range(2)]
        for link in links:
            await link.send(Ping())
            await link.receive(5)
        with pytest.raises(LinkError, match="more than 2 connections"):
            await ask_info(uri)
        for link in links:
            await link.close()
        while served.connections:
            await asyncio.sleep(0.01)
        await ask_info(uri)


async def test_a_peer_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEND_S", 0.1)
    failed = asyncio.Event()

    class Flood(Echo):
        async def handle(self, event: Event) -> None:
            try:
                while True:
                    await self.peer.send(Event("flood", {}, b"\0" * 500_000))
            except ConnectionError:
                failed.set()
                raise

    served = Server("flood", 0, info=Info, handler=lambda peer: Flood(peer, []), network=LOOPBACK)
    await served.start()
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(encode_event(Event("go")))
    await asyncio.wait_for(failed.wait(), 10)
    writer.close()
    await served.stop()


def test_a_full_inbox_drops_the_oldest_microphone_audio_and_nothing_else() -> None:
    inbox = Inbox(3)
    for number in range(5):
        assert inbox.put(Event("audio-chunk", {"n": number}))
    assert inbox.put(Event("audio-stop"))
    assert [event.data.get("n") for event in inbox._events] == [3, 4, None]
    full = Inbox(1)
    assert full.put(Event("x"))
    assert not full.put(Event("y"))


async def test_a_taken_port_is_named() -> None:
    async with echo() as (served, _):
        other = Server("asr", served.port, info=Info, handler=lambda peer: Echo(peer, []), network=LOOPBACK)
        with pytest.raises(ListenError, match=rf"port {served.port} \(asr\) is in use"):
            await other.start()


async def test_every_interface_is_served_under_one_port() -> None:
    async with echo(Network()) as (served, _):
        for host in ("127.0.0.1", "[::1]"):
            try:
                await ask_info(f"tcp://{host}:{served.port}")
            except LinkError:
                assert host == "[::1]", "IPv4 must be served"


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("127.0.0.1", True),
        ("192.168.1.7", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::1", True),
        ("::ffff:192.168.1.7", True),
        ("8.8.8.8", False),
        ("::ffff:8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("100.64.1.1", False),
        ("nonsense", False),
    ],
)
def test_only_this_machine_and_private_networks_may_connect(host: str, may: bool) -> None:
    assert allowed(host) is may


async def test_a_client_has_deadlines() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(LinkError, match="does not describe itself within 0.1 s"):
        await ask_info(f"tcp://127.0.0.1:{port}", within_s=0.1)
    async with await open_link(f"tcp://127.0.0.1:{port}") as link:
        with pytest.raises(LinkError, match="has said nothing for 0.1 s"):
            await link.receive(0.1)
    listening.close()
    with pytest.raises(LinkError, match="cannot be reached"):
        await open_link(f"tcp://127.0.0.1:{port}")


async def test_the_stock_client_is_served() -> None:
    async with echo() as (served, _), AsyncTcpClient("127.0.0.1", served.port) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        assert Info.is_type(event.type)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300))
def test_random_bytes_are_an_event_an_end_or_a_frame_error(data: bytes) -> None:
    async def read() -> None:
        reader = await fed(data)
        try:
            while await read_event(reader) is not None:
                pass
        except FrameError:
            pass

    asyncio.run(read())


def test_an_inbox_is_bounded_in_bytes_too() -> None:
    inbox = Inbox(most=1000, most_bytes=10_000)
    for _ in range(50):
        assert inbox.put(Event("audio-chunk", {}, b"x" * 1000))
    assert len(inbox._events) <= 10
    assert not inbox.put(Event("transcript", {"text": "x" * 20_000}))


@pytest.mark.parametrize(
    "data",
    [{"x": [[]] * 1000}, {str(number): 0 for number in range(1000)}, {"x": {"y": ["z" * 20_000]}}],
    ids=["lists", "fields", "within"],
)
def test_an_inbox_counts_what_json_becomes(data: dict[str, Any]) -> None:
    """A megabyte of `[]` is 24 in memory: 2048 of these that wait for a slow engine would be 50 GB."""
    inbox = Inbox(most=1000, most_bytes=10_000)
    assert not inbox.put(Event("synthesize-chunk", data))


async def test_a_route_that_is_gone_is_a_lost_connection() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    connection = Connection(reader, writer)
    await connection.send(Ping())
    writer.transport._fatal_error(OSError(errno.EHOSTUNREACH, "No route to host"))  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    with pytest.raises(ConnectionError):
        await connection.send(Ping())
    theirs.close()


async def test_half_a_character_is_no_text_from_anybody() -> None:
    """It can be neither shown nor passed on: one satellite's name would be the end of every dashboard."""
    header = (
        b'{"type": "transcript", "data": {"a\\udc00": "\\ud83d\\ude00"}, "data_length": 21}\n{"text": "\\uD83d..."}'
    )
    event = await read_event(await fed(header))
    assert event is not None
    assert event.data == {"a\ufffd": "😀", "text": "\ufffd..."}
    with pytest.raises(FrameError, match="not JSON"):
        await read_event(await fed(b'{"type": "\xed\xa0\x80"}\n'))
