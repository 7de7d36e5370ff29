"""The microphone's way out: the sound of a turn, sent to the controller as fast as it takes it."""

from __future__ import annotations

import asyncio

import structlog
from wyoming.audio import AudioChunk

from antiphon.audio.pcm import RATE
from antiphon_satellite.service import Peer
from antiphon_satellite.sound.microphone import Take

CHUNK_BYTES = RATE * 2 // 25
"""40 ms: the pre-roll goes out in pieces."""
QUIET_MS = 500
"""After a wake word others get so much silence first. What we heard before the turn is the word itself, which they
must not transcribe; but the voice detector of Home Assistant needs sound in front of a command that follows at once."""

log = structlog.get_logger(__name__)


class Uplink:
    """Sends one take at a time, for as long as `run` runs."""

    def __init__(self) -> None:
        self._kept: Take | None = None
        self._to: Peer | None = None
        self._quiet_ms = 0
        self._asked = asyncio.Event()

    def keep(self, take: Take) -> None:
        """The turn's sound is kept here until `send_to`."""
        self._kept, self._to = take, None

    def send_to(self, peer: Peer, quiet_ms: int = 0) -> None:
        """Begin to send what is kept, after so much silence."""
        self._to, self._quiet_ms = peer, quiet_ms
        self._asked.set()

    def forget(self) -> None:
        """Stop; nothing more is sent."""
        if self._kept is not None:
            self._kept.close()
        self._kept = self._to = None

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            take, peer = self._kept, self._to
            if take is not None and peer is not None:
                try:
                    await _send(take, peer, self._quiet_ms)
                except ConnectionError as error:
                    log.warning("the controller takes no sound", controller=peer.name, why=str(error))


async def _send(take: Take, peer: Peer, quiet_ms: int) -> None:
    sent = 0
    pcm: bytes | None = bytes(RATE * quiet_ms // 1000 * 2)
    while pcm is not None:
        for start in range(0, len(pcm), CHUNK_BYTES):
            if take.closed:
                return
            block = pcm[start : start + CHUNK_BYTES]
            chunk = AudioChunk(rate=RATE, width=2, channels=1, audio=block, timestamp=sent * 1000 // RATE)
            await peer.connection.send(chunk)
            sent += len(block) // 2
        pcm = await take.next()
