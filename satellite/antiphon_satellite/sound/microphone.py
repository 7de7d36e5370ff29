"""The microphone: sound from the device's thread to the loop, and a ring so that a turn can begin in the past.

Everything is 16 kHz s16le mono. A position counts samples since the start; it goes on over lost sound and lost devices.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

import structlog

from antiphon.audio.pcm import RATE

RING_S = 2.0
"""What is remembered: a wake word is known 0.3 s after its end, speech 0.1 s after its beginning."""
PENDING_S = 2.0
"""What may wait for a busy loop; then the oldest is dropped."""
TAKE_S = 20.0
"""What may wait to be sent; then the oldest is dropped."""
BYTES_S = RATE * 2
ZEROS_S = 60.0
"""No microphone gives nothing but zeros for so long, unless it is muted, or the system keeps it from us."""

log = structlog.get_logger(__name__)


class Take:
    """The sound of one turn, from a position on: read by `next`, ended by `close`."""

    def __init__(self, start: int, head: bytes) -> None:
        self.start = start
        """Position of the first sample."""
        self._blocks: deque[bytes] = deque([head] if head else [])
        self._bytes = len(head)
        self._changed = asyncio.Event()
        self._changed.set()
        self.closed = False

    def put(self, pcm: bytes) -> None:
        """Add sound; when more than `TAKE_S` waits, the oldest is dropped."""
        if self.closed:
            return
        self._blocks.append(pcm)
        self._bytes += len(pcm)
        while self._bytes > TAKE_S * BYTES_S:
            self._bytes -= len(self._blocks.popleft())
        self._changed.set()

    async def next(self) -> bytes | None:
        """Return all that waits, waiting for some; None after the end."""
        while not self._blocks and not self.closed:
            self._changed.clear()
            await self._changed.wait()
        if self.closed:
            return None
        pcm = b"".join(self._blocks)
        self._blocks.clear()
        self._bytes = 0
        return pcm

    def close(self) -> None:
        """End it; what waits is forgotten."""
        self.closed = True
        self._blocks.clear()
        self._changed.set()


class Microphone:
    """Takes sound from the device's thread (`push`) and hands it out on the loop.

    Args:
        hear: called on the loop with each block and the position of its end.
        clean: called on the loop before that, with a block and when it came (the loop's time); it returns what is kept
            and sent, and what is heard instead, equally long, but not always as long as the block.
    """

    def __init__(
        self,
        hear: Callable[[bytes, int], None],
        clean: Callable[[bytes, float], tuple[bytes, bytes]] = lambda pcm, at: (pcm, pcm),
    ) -> None:
        self._hear = hear
        self._clean = clean
        self.loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._pushed_at = 0.0
        self._scheduled = False
        self._ring: deque[bytes] = deque()
        self._ring_bytes = 0
        self._take: Take | None = None
        self.position = 0
        """Samples heard so far."""
        self.dropped = 0
        """Samples that a busy loop has cost."""
        self._zeros = 0
        """Bytes since anything else came."""
        self._told = False

    def push(self, pcm: bytes) -> None:
        """Add a block; from any thread, never waits."""
        with self._lock:
            self._pushed_at = self.loop.time()
            self._pending.append(pcm)
            self._pending_bytes += len(pcm)
            while self._pending_bytes > PENDING_S * BYTES_S:
                lost = len(self._pending.popleft())
                self._pending_bytes -= lost
                self.dropped += lost // 2
            if self._scheduled:
                return
            self._scheduled = True
        try:
            self.loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop has ended, and the device is about to be closed
            return

    def take(self, since: int) -> Take:
        """Begin to keep the sound from position `since` on, as far back as it is remembered; ends the take before."""
        self.release()
        held = b"".join(self._ring)
        start = min(self.position, max(since, self.position - len(held) // 2))
        self._take = Take(start, held[len(held) - (self.position - start) * 2 :] if start < self.position else b"")
        return self._take

    def release(self) -> None:
        """End the take, if there is one."""
        if self._take is not None:
            self._take.close()
            self._take = None

    def _deliver(self) -> None:
        with self._lock:
            self._scheduled = False
            pcm = self._pending.popleft() if len(self._pending) == 1 else b"".join(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
            pushed_at = self._pushed_at
        self._look(pcm)
        pcm, heard = self._clean(pcm, pushed_at)
        if not pcm:
            return
        self.position += len(pcm) // 2
        self._ring.append(pcm)
        self._ring_bytes += len(pcm)
        while self._ring_bytes - len(self._ring[0]) >= RING_S * BYTES_S:
            self._ring_bytes -= len(self._ring.popleft())
        if self._take is not None:
            self._take.put(pcm)
        self._hear(heard, self.position)

    def _look(self, pcm: bytes) -> None:
        """Tell once when the device gives zeros alone."""
        self._zeros = self._zeros + len(pcm) if pcm.count(0) == len(pcm) else 0
        if self._zeros > ZEROS_S * BYTES_S and not self._told:
            self._told = True
            log.warning("the microphone gives nothing but zeros: unmute it, or allow it; `antiphon doctor` tells how")
