"""The ways into a daemon over a WebSocket, as a client has them: `/ws`, and OpenAI's Realtime protocol.

The sound goes out in real time in blocks of 20 ms, then the quiet room, as from a microphone that stays open. The first
sound of the reply is the arrival of its first chunk.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import struct
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _corpus import Utterance, noise_floor
from _processes import POLL_S, READY_S, Program, Unmeasured, clean_environment, free_ports, program
from _turn import PATIENCE_S, Result
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from antiphon.audio.pcm import RATE, Samples, resample, to_bytes
from antiphon.configuration import locate

REALTIME_RATE = 24_000
BLOCKS_PER_S = 50
WAV_HEADER = 44
"""Bytes before the sound in each chunk of `/ws`."""
GONE_S = 0.5
"""A program is seen to have ended so long after its connections are lost."""
ENDPOINTS = ("asr", "tts", "handle", "wake", "vad")


@dataclass(frozen=True)
class Daemon:
    """A daemon of the benchmark's own, with its gateway on a free port of this machine."""

    program: Program
    port: int

    @property
    def pid(self) -> int:
        return self.program.process.pid


@asynccontextmanager
async def daemon(config: str | None, folder: Path, **settings: str) -> AsyncIterator[Daemon]:
    """Run a daemon with the user's settings, but ports of its own, while the context lasts.

    Args:
        settings: others that count here, by their environment variable without the prefix (`TURN__ONE_MOMENT_S`).

    Raises:
        Unmeasured: it does not start, has no gateway, or ends before the context does.
    """
    names = (*ENDPOINTS, "gateway")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    given = {name: value for name, value in os.environ.items() if name.upper().startswith("ANTIPHON__")}
    own = {f"ENDPOINTS__{name.upper()}__PORT": str(ports[name]) for name in ENDPOINTS}
    own |= {"GATEWAY__ENABLED": "true", "GATEWAY__HOST": "127.0.0.1", "GATEWAY__PORT": str(ports["gateway"])}
    own |= {"NETWORK__HOST": "127.0.0.1", "NETWORK__ZEROCONF": "false", "SATELLITES__DISCOVER": "false"}
    environment = clean_environment(folder) | given | {f"ANTIPHON__{key}": it for key, it in (own | settings).items()}
    path = locate(config)
    command = [sys.executable, "-m", "antiphon", *(["--config", str(path)] if path else []), "daemon"]
    with program("daemon", command, folder, environment) as one:
        await _ready(one, ports["gateway"])
        try:
            yield Daemon(one, ports["gateway"])
        except Exception:
            await asyncio.sleep(GONE_S)
            one.must_run()  # else that is what went wrong
            raise


async def _ready(one: Program, port: int) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers() -> bool:
        with contextlib.suppress(OSError), opener.open(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    while not await asyncio.to_thread(answers):
        one.must_run()
        if time.monotonic() - one.began > READY_S:
            raise Unmeasured(f"the gateway is not ready within {READY_S:.0f} s")
        await asyncio.sleep(POLL_S)


class Call:
    """One connection, and what has come over it, on the clock of `time.perf_counter`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.over_at: list[float] = []
        """When the turn was said to be over."""
        self.sound_at: list[float] = []
        """When the first sound of a reply came; not what is said while it is waited for."""
        self.sounds = asyncio.Event()
        self.done = asyncio.Event()
        """The reply is whole."""
        self.turn: Mapping[str, Any] = {}
        """What was told of the turn when it was."""
        self.moment_at: list[float] = []
        """When "one moment" came instead of it."""
        self.errors: list[str] = []

    async def begin(self) -> None:
        """Do what comes before the first sound.

        Raises:
            Unmeasured: the daemon does not let it begin.
        """
        raise NotImplementedError

    async def send(self, block: bytes) -> None:
        """Send 20 ms of sound."""
        raise NotImplementedError

    def take(self, message: str | bytes, at: float) -> None:
        """Note what a message that came at `at` says."""
        raise NotImplementedError

    def forget(self) -> None:
        """The next turn begins."""
        self.over_at, self.sound_at, self.moment_at, self.turn = [], [], [], {}
        self.sounds.clear()
        self.done.clear()

    def begun(self, at: float) -> None:
        """The first sound of a reply came."""
        self.sound_at.append(at)
        self.sounds.set()

    async def read_all(self) -> None:
        """Read until the connection closes."""
        async for message in self.socket:
            self.take(message, time.perf_counter())


class WsCall(Call):
    """A client of `/ws`, from docs/websocket.md."""

    path, rate = "/ws?barge_in=client", RATE
    began = False
    """`reply_began` came, and its sound not yet."""
    gap_s = 0.0
    """How long the replies of this turn were silent in the middle, for want of what comes next."""
    _lasts_until = 0.0

    async def begin(self) -> None:
        """The daemon says hello."""
        hello = json.loads(await self.socket.recv())
        if hello.get("type") != "hello":
            raise Unmeasured(f"/ws begins with {hello.get('type')!r}, not with hello")

    async def send(self, block: bytes) -> None:
        """Sound is sent as it is."""
        await self.socket.send(block)

    def send_framed(self, block: bytes) -> None:
        """Send a block that `framed` made ready.

        Raises:
            ConnectionResetError: the connection is lost.
        """
        if self.socket.transport.is_closing():
            raise ConnectionResetError("the connection is lost")
        self.socket.transport.write(block)

    def take(self, message: str | bytes, at: float) -> None:
        """See `Call`."""
        if isinstance(message, bytes):
            if self.began:
                self.began, self._lasts_until = False, at
                self.begun(at)
            self.gap_s += max(0.0, at - self._lasts_until)
            self._lasts_until = max(at, self._lasts_until) + wav_s(message)
            return
        event = json.loads(message)
        match event["type"]:
            case "transcript":
                self.over_at.append(at)
            case "reply_began":
                self.began = True
            case "one_moment":  # what came was that; the reply is yet to come
                self.moment_at.append(self.sound_at.pop())
                self.began = True
            case "turn":
                self.turn = event
                self.done.set()
            case "nothing_heard":
                self.done.set()
            case "error":
                self.errors.append(event["message"])
                self.done.set()

    def forget(self) -> None:
        """The next turn begins."""
        super().forget()
        self.gap_s = 0.0

    async def played(self) -> None:
        """The reply was played."""
        await self.socket.send(json.dumps({"type": "played"}))


def wav_s(chunk: bytes) -> float:
    """Return how long a WAV chunk of `/ws` lasts."""
    byte_rate = int.from_bytes(chunk[28:32], "little")
    return (len(chunk) - WAV_HEADER) / byte_rate


class RealtimeCall(Call):
    """A client of `/v1/realtime`: OpenAI's events as they are generally available, sound as base64 at 24 kHz."""

    path, rate = "/v1/realtime?model=antiphon", REALTIME_RATE
    responding = False
    """A response was begun whose sound has not come yet."""

    async def begin(self) -> None:
        """The session is created, and told to find the end of turns by what is said."""
        await self._next("session.created")
        form = {"type": "audio/pcm", "rate": REALTIME_RATE}
        audio = {"input": {"format": form, "turn_detection": {"type": "semantic_vad"}}, "output": {"format": form}}
        session = {"type": "realtime", "output_modalities": ["audio"], "audio": audio}
        await self.socket.send(json.dumps({"type": "session.update", "session": session}))
        await self._next("session.updated")

    async def _next(self, wanted: str) -> None:
        event = json.loads(await self.socket.recv())
        if event["type"] != wanted:
            why = event.get("error", {}).get("message", event["type"])
            raise Unmeasured(f"/v1/realtime says {why!r} instead of {wanted}")

    async def send(self, block: bytes) -> None:
        """Sound is sent as base64."""
        audio = base64.b64encode(block).decode()
        await self.socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

    def take(self, message: str | bytes, at: float) -> None:
        """See `Call`."""
        event = json.loads(message)
        match event["type"]:
            case "input_audio_buffer.committed":
                self.over_at.append(at)
            case "response.created":
                self.responding = True
            case "response.output_audio.delta" if self.responding:
                self.responding = False
                self.begun(at)
            case "response.done" if event["response"].get("status") == "completed":
                self.done.set()
            case "error":
                self.errors.append(event["error"]["message"])


CALLS: Mapping[str, type[WsCall] | type[RealtimeCall]] = {"ws": WsCall, "realtime": RealtimeCall}
"""The wires, by the names of their ways."""


@asynccontextmanager
async def called(kind: type[WsCall] | type[RealtimeCall], port: int) -> AsyncIterator[WsCall | RealtimeCall]:
    """Be connected while the context lasts, reading what comes.

    Raises:
        Unmeasured: the daemon does not take the connection, or does not keep it.
    """
    uri = f"ws://127.0.0.1:{port}{kind.path}"
    try:
        async with connect(uri, max_size=None, compression=None, proxy=None) as socket:
            call = kind(socket)
            await call.begin()
            reading = asyncio.create_task(call.read_all())
            try:
                yield call
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
    except (InvalidHandshake, WebSocketException, OSError) as error:
        raise Unmeasured(f"{uri} cannot be used: {error}") from None


def blocks_of(samples: Samples, rate: int, then_s: float = 0.0) -> list[bytes]:
    """Return sound of 16 kHz at another rate in blocks of 20 ms, and so much of the quiet room after it."""
    whole = np.concatenate((samples, noise_floor(then_s))) if then_s else samples
    pcm = to_bytes(whole if rate == RATE else resample(whole, RATE, rate))
    size = rate // BLOCKS_PER_S * 2
    return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


def framed(block: bytes) -> bytes:
    """Return a block of 20 ms as one binary message on the wire of a client (RFC 6455), its mask all zeros."""
    return struct.pack(">BBHI", 0x82, 0x80 | 126, len(block), 0) + block


class Wire:
    """A way into a running daemon over one of `CALLS`."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._kind, self._port = CALLS[name], port

    async def converse(self, utterance: Utterance, samples: Samples) -> Result:
        """See `Way`. The reply is waited for to its end, which brings its waterfall; the conversation ends then."""
        blocks = blocks_of(samples, self._kind.rate, 2 * PATIENCE_S)
        async with called(self._kind, self._port) as call:
            began = time.perf_counter()
            for number, block in enumerate(blocks):
                at = number / BLOCKS_PER_S
                patient = at < len(samples) / RATE + PATIENCE_S or call.sounds.is_set()
                if (call.done.is_set() and at >= utterance.end_s) or not patient:
                    break
                await call.send(block)
                await asyncio.sleep(max(0.0, began + (number + 1) / BLOCKS_PER_S - time.perf_counter()))
            result = Result(utterance, drafts=int(call.turn.get("drafts", 0)))
            if result.came(call.over_at, call.sound_at, began + utterance.end_s, call.turn.get("failure")):
                result.waterfall(call.turn.get("timeline", {}), int(call.turn.get("wasted_ms", 0)))
            return result
