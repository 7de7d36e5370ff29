"""Hostile peers: random bytes, and frames of every kind that the protocol knows, mutated."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# fmt: off
KINDS = [
    "describe", "ping", "pong", "info", "error", "audio-start", "audio-chunk", "audio-stop", "transcribe",
    "transcript", "transcript-chunk", "synthesize", "synthesize-start", "synthesize-chunk", "synthesize-stop",
    "handled", "recognize", "intent", "detect", "detection", "voice-started", "voice-stopped", "run-satellite",
    "pause-satellite", "run-pipeline", "played", "timer-started", "timer-updated", "timer-cancelled",
    "timer-finished", "user-event", "select-program", "nonsense",
]
# fmt: on
# fmt: off
FIELDS = [
    "text", "language", "name", "names", "voice", "context", "conversation_id", "rate", "width", "channels",
    "timestamp", "id", "total_seconds", "is_active", "start_stage", "end_stage", "restart_on_end", "controller",
    "data", "code", "models", "asr", "tts", "heard_ms", "percent", "on",
]
# fmt: on

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["Hello there.", "asr", "tts", "en", "antiphon.flush", "antiphon.volume", "antiphon/x", 16_000, 2]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def frame(draw: st.DrawFn) -> bytes:
    """Return the bytes of one frame: whole, with wrong lengths, or damaged."""
    kind = draw(st.sampled_from(KINDS))
    data = draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5))
    if draw(st.booleans()) and kind.startswith("audio"):
        data |= {"rate": 16_000, "width": 2, "channels": 1}
    payload = draw(st.binary(max_size=400))
    block = json.dumps(data).encode()
    header: dict[str, Any] = {"type": kind, "data_length": len(block), "payload_length": len(payload)}
    if draw(st.integers(0, 9)) == 0:
        header[draw(st.sampled_from(["type", "data", "data_length", "payload_length"]))] = draw(VALUES)
    whole = bytearray(json.dumps(header).encode() + b"\n" + block + payload)
    if draw(st.integers(0, 9)) == 0 and whole:
        whole[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
    return bytes(whole)


FRAMES = st.one_of(frame(), frame(), frame(), frame(), st.binary(max_size=100))
EXAMPLES = 500
"""Conversations, of twenty frames each."""
CONVERSATION = st.lists(FRAMES, min_size=20, max_size=20)


def talk(port: int, frames: list[bytes]) -> None:
    """Send the frames on one connection, read a little, and leave without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        try:
            for one in frames:
                peer.sendall(one)
            peer.settimeout(0.002)
            peer.recv(65_536)
        except (ConnectionError, TimeoutError):
            pass


def attack(ports: Sequence[int]) -> None:
    """Hold `EXAMPLES` conversations, the same every time, with each of the ports."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(CONVERSATION)
    def hold(frames: list[bytes]) -> None:
        for port in ports:
            talk(port, frames)

    hold()
