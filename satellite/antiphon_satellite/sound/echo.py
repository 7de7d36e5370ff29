"""Echo cancellation: the microphone's sound without what the speaker plays.

The reference is what the speaker really hands to the device, cues and volume and all. It is lined up with the
microphone by their counts (`alignment.py`), its linear echo is taken out (`linear.py`), and WebRTC's canceller hides
the rest, and with it much of a person who speaks at the same time. So the ears get what the linear filter leaves, and
are told how loud the echo in it is expected to be; what is sent is that where it is louder, WebRTC's elsewhere.

What was learned of the room stays from one reply to the next, so only the first second after the start is heard by a
canceller that knows nothing. Nothing runs while nothing plays: about 4 % of a core while something does.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon.audio.pcm import RATE, Resampler, Samples, level_db, to_bytes, to_samples
from antiphon.settings import Sound
from antiphon_satellite.sound.alignment import EARLIEST_S, LATEST_S, Clocks, DelayFinder
from antiphon_satellite.sound.linear import FRAME, LinearFilter

AFTER_S = 3.0
"""It goes on for so long after the last sound: rooms ring, and replies have gaps."""
HEADROOM_S = 0.02
"""The reference is given this much before its echo is expected."""
RESAMPLING_S = 0.03
"""The reference cannot be given earlier than this after the device took it."""
HISTORY_S = 6
"""So much of what was played is remembered."""
BLOCKS = 256
"""Blocks that wait for a busy loop; then the oldest are lost."""
FIND_EVERY_S, SEEK_EVERY_S = 1.0, 0.25
"""How often the delay is looked for when it is known, and before."""
FIND_IN_S = 0.8
LOUD_DB = -50.0
"""Below this the reference is no sound to find an echo of."""
FRAME_S = FRAME / RATE
RISE_DB, FALL = 0.2, 0.03
"""How fast the share of the echo that is left over is believed to rise, in dB a frame, and to fall, as a part of the
difference: what is louder may be a person."""
FIRST_SHARE_DB = 0.0
"""The share of the echo that is expected to be left over at first."""
LEARNED, FIRST_FALL_DB = 80, 0.25
"""After so many loud frames (2 s of speech), and when the delay was found, the filter knows the room. Before, all that
is played may be echo, however late it comes, and is believed to be softer only slowly."""
MOST_DB = 20.0
"""What is seen of a share counts for no more below it."""
ECHO_FALL = 0.85
"""A room's echo dies away no faster than this, a frame: 60 dB in 0.85 s."""
AUDIBLE = 1e-7
"""Power (-70 dB of full scale) below which nothing is played."""
MOVED_SHARE_DB = 0.0
"""What is expected to be left over when the reference has moved against its echo."""
CLEAR, PEAK_FALL = 0.1, 0.99
"""What is left is compared in the loud parts: others hold more of the room's noise than of the echo. The loudest part
is forgotten by 4 dB a second."""
ABOVE_DB = 6.0
"""Sound that is so much louder than what is expected to be left of the echo is somebody else's."""
HOLD = 15
"""Frames for which it stays so: words have gaps."""

Pcm = npt.NDArray[np.int16]


class Echo:
    """Cleans the microphone's blocks (`clean`, on the loop) of what the speaker `played` (in its device's thread)."""

    def __init__(self, settings: Sound) -> None:
        self._cancels = settings.echo_cancellation
        self._suppresses, self._gains = settings.noise_suppression, settings.auto_gain
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Pcm, int]] = deque(maxlen=BLOCKS)
        self._rate = 24_000
        self._handed = 0
        self._handed_at: float | None = None
        self._finding: asyncio.Future[float | None] | None = None
        self._processor: Any = None
        self.delay_s = 0.1
        """What is believed to lie between the device's taking a sample and the microphone's giving its echo."""
        self.wanted = False
        """A turn goes on: noise is suppressed and gain controlled, if that is set."""
        self.doubtful = False
        """Somebody else may be speaking: nothing is learned of what is left of the echo."""
        self.residue_db = -120.0
        """How loud what is left of the echo is expected to be now, dB of full scale."""
        self._near = 0
        self._torn = b""
        self._recent: Samples = np.empty(0, dtype=np.float32)
        self._echo_share_db = self._far_share_db = FIRST_SHARE_DB
        self._restart()

    # Told by the speaker, from its device's thread.

    def played(self, pcm: Pcm, position: int) -> None:
        """The device takes `pcm`; `position` counts the samples before it."""
        if self._cancels:
            self._waiting.append((pcm, position))

    def handed(self, position: int, at: float) -> None:
        """The device has taken `position` samples, silence too; `at` is the loop's time."""
        self._handed, self._handed_at = position, at

    def opened(self, rate: int, latency_s: float) -> None:
        """The speaker was opened, or opened again; what is in the device is `latency_s` from the ear."""
        with self._lock:
            self._rate = rate
            self.delay_s = max(RESAMPLING_S, latency_s)
            self._reopened = True

    # On the loop.

    @property
    def running(self) -> bool:
        """Sound is being processed."""
        return self._until > self._near or (self.wanted and (self._suppresses or self._gains))

    def warm(self) -> None:
        """Load what is about to be needed."""
        if self._processor is None and (self._cancels or self._suppresses or self._gains):
            from pywebrtc_audio import AudioProcessor

            self._processor = AudioProcessor(
                sample_rate=RATE,
                echo_cancellation=self._cancels,
                noise_suppression=self._suppresses,
                auto_gain_control=self._gains,
                high_pass_filter=True,
            )

    def clean(self, pcm: bytes, at: float) -> tuple[bytes, bytes]:
        """Return the next block of the microphone (s16le, mono, 16 kHz) without the echo: to be sent, and to be heard.

        The two are equally long. While it runs, up to 10 ms wait for the next block.

        Args:
            at: when the device gave the block, the loop's time.
        """
        if self._reopened:
            self._restart()
        self._near += len(pcm) // 2
        if self._handed_at is not None and self._cancels:
            between_s = min(max(at - self._handed_at, 0.0), 0.1)
            self._clocks.note(self._handed / self._rate + between_s - self._near / RATE)
        if self._waiting:
            self._take_played()
        if not self.running:
            pcm, self._torn = self._torn + pcm, b""
            return pcm, pcm
        self.warm()
        jumps = self._clocks.jumps
        self._lead_s = self._clocks.lead_s(self._near)
        if jumps != self._clocks.jumps:
            self._echo_share_db = max(self._echo_share_db, MOVED_SHARE_DB)
        self.residue_db = -120.0
        pcm = self._torn + pcm
        whole = len(pcm) - len(pcm) % (2 * FRAME)
        self._torn = pcm[whole:]
        near = to_samples(pcm[:whole])
        first = self._near - len(pcm) // 2
        self._recent = np.concatenate((self._recent, near))[-int(FIND_IN_S * RATE) :]
        frames = [self._frame(near[start : start + FRAME], first + start) for start in range(0, len(near), FRAME)]
        self._seek(first + len(near))
        if not frames:
            return b"", b""
        sent, heard = (np.concatenate(parts) for parts in zip(*frames, strict=True))
        return to_bytes(sent), to_bytes(heard)

    def _restart(self) -> None:
        """Forget how the devices stood to each other, not what else was learned."""
        with self._lock:
            self._reopened = False
            self._clocks = Clocks()
            self._lead_s = 0.0
            """At the microphone's newest sample."""
            self._filter = LinearFilter()
            if self._processor is not None:
                self._processor.reset()
            self._finder = DelayFinder()
            self._resampler = Resampler(self._rate)
            self._history = np.zeros(HISTORY_S * RATE, dtype=np.float32)
            self._end = 0
            """What was played is known up to this sample, at 16 kHz."""
            self._next = -1
            """The position that the next block of the device should have."""
            self._recent = np.empty(0, dtype=np.float32)
            self._until = 0
            self._delay_known = False
            """The delay was found in the sound."""
            self._found_at = 0
            self._sought_at, self._expected_place_s = 0, 0.0
            self._echo_power = self._far_power = 0.0
            self._echo_peak = self._far_peak = AUDIBLE
            self._echo_share_db = self._far_share_db = FIRST_SHARE_DB
            self._learned = 0
            self._blend = 0.0
            self._hold = 0

    def _take_played(self) -> None:
        """Bring what was played to 16 kHz and its place in the history."""
        while self._waiting:
            pcm, position = self._waiting.popleft()
            if position != self._next:  # silence, which is not told, or blocks that were lost
                self._resampler = Resampler(self._rate)
                self._write(np.zeros(0, dtype=np.float32), round(position * RATE / self._rate))
            self._next = position + len(pcm)
            self._write(self._resampler.feed(pcm.astype(np.float32) / np.float32(32768)), self._end)
        self._until = self._near + int(AFTER_S * RATE)

    def _write(self, samples: Samples, start: int) -> None:
        size = len(self._history)
        gap = start - self._end
        if gap >= size or gap < 0:
            self._history[:] = 0
        elif gap > 0:
            self._history[np.arange(self._end, start) % size] = 0
        self._history[np.arange(start, start + len(samples)) % size] = samples
        self._end = start + len(samples)

    def _read(self, start: float, count: int, step: float = 1.0) -> Samples:
        """Return what was played from `start` on; silence where nothing was, or nothing is known.

        Args:
            step: from one sample to the next: clocks that drift need other than 1.
        """
        if step == 1.0:
            return self._known(round(start) + np.arange(count))
        places = start + step * np.arange(count)
        whole = np.floor(places).astype(np.int64)
        part = (places - whole).astype(np.float32)
        first, second, third, fourth = (self._known(whole + offset) for offset in (-1, 0, 1, 2))
        cubic: Samples = (  # through four samples (Lagrange)
            first * (-part * (part - 1) * (part - 2) / 6)
            + second * ((part + 1) * (part - 1) * (part - 2) / 2)
            + third * (-(part + 1) * part * (part - 2) / 2)
            + fourth * ((part + 1) * part * (part - 1) / 6)
        )
        return cubic

    def _known(self, places: npt.NDArray[np.int64]) -> Samples:
        known = (places < self._end) & (places >= max(0, self._end - len(self._history)))
        read: Samples = np.where(known, self._history[places % len(self._history)], np.float32(0))
        return read

    def _expected_at(self, position: int) -> float:
        """Return the sample of what was played whose echo the microphone is expected to hear at `position`."""
        lead_s = self._lead_s + self._clocks.drift * (position - self._near) / RATE
        return position + (lead_s - self.delay_s) * RATE

    @property
    def _headroom(self) -> int:
        """By how many samples the reference is given before its echo is expected."""
        return round(min(HEADROOM_S, self.delay_s - RESAMPLING_S) * RATE)

    def _frame(self, near: Samples, position: int) -> tuple[Samples, Samples]:
        """Return one frame of 10 ms, to be sent and to be heard."""
        if not self._cancels:
            processed = np.asarray(self._processor.process(near), dtype=np.float32)
            return processed, near
        far = self._read(self._expected_at(position) + self._headroom, FRAME, 1 + self._clocks.drift)
        left, echo = self._filter.process(near, far)
        self._expect(left, echo, far)
        hidden = np.asarray(self._processor.process(left, far), dtype=np.float32)
        self._hold = HOLD if level_db(left) > self.residue_db + ABOVE_DB else max(0, self._hold - 1)
        before, self._blend = self._blend, 1.0 if self._hold and not self._suppresses else 0.0
        weight = np.linspace(before, self._blend, FRAME, dtype=np.float32)
        return weight * left + (1 - weight) * hidden, left

    def _expect(self, left: Samples, echo: Samples, far: Samples) -> None:
        """Follow how much of the echo is left over: of what is played at first, of the echo when that is known."""
        rest = float(left @ left) / FRAME
        far_now, echo_now = float(far @ far) / FRAME, float(echo @ echo) / FRAME
        self._far_power = max(far_now, ECHO_FALL * self._far_power)
        self._echo_power = max(echo_now, ECHO_FALL * self._echo_power)
        self._far_peak = max(far_now, PEAK_FALL * self._far_peak, AUDIBLE)
        self._echo_peak = max(echo_now, PEAK_FALL * self._echo_peak, AUDIBLE)
        if not self.doubtful:
            if far_now > CLEAR * self._far_peak:
                self._learned += 1
                self._far_share_db += RISE_DB if _db(rest / far_now) > self._far_share_db else -FIRST_FALL_DB
            if echo_now > CLEAR * self._echo_peak:
                more_db = _db(min(1.0, rest / echo_now)) - self._echo_share_db
                self._echo_share_db += RISE_DB if more_db > 0 else FALL * max(more_db, -MOST_DB)
        residue = self._echo_power * _ratio(self._echo_share_db)
        if not self._delay_known:
            residue = max(residue, self._far_peak * _ratio(self._far_share_db))
        elif self._learned < LEARNED:
            residue = max(residue, self._far_power * _ratio(self._far_share_db))
        self.residue_db = max(self.residue_db, _db(residue))

    def _seek(self, end: int) -> None:
        """Look for the delay in the sound, in a thread, now and then."""
        every_s = FIND_EVERY_S if self._delay_known else SEEK_EVERY_S
        if not self._cancels or self._finding is not None or end - self._found_at < every_s * RATE:
            return
        near = self._recent
        if len(near) < int(FIND_IN_S * RATE):
            return
        self._sought_at = end - len(near)
        start = self._expected_at(self._sought_at)
        self._expected_place_s = (start - self._sought_at) / RATE
        far = self._read(start - int(LATEST_S * RATE), len(near) + int((LATEST_S + EARLIEST_S) * RATE))
        if level_db(far) < LOUD_DB:
            return
        self._found_at = end
        self._finding = self._loop.run_in_executor(None, self._finder.find, near, far)
        self._finding.add_done_callback(self._found)

    def _found(self, finding: asyncio.Future[float | None]) -> None:
        self._finding = None
        if finding.cancelled() or finding.exception() is not None:
            return
        later_s = finding.result()
        if later_s is None:
            return
        self._delay_known = True
        self._clocks.found(self._sought_at, self._expected_place_s - later_s)
        blocks = round(later_s / FRAME_S)
        if abs(blocks) > 1:
            moved = max(RESAMPLING_S, self.delay_s + blocks * FRAME_S)
            self._filter.shift(round((self.delay_s - moved) / FRAME_S))
            self.delay_s = moved


def _db(power: float) -> float:
    return 10 * float(np.log10(power + 1e-12))


def _ratio(db: float) -> float:
    return float(10 ** (db / 10))
