"""Echo cancellation: the microphone's sound without what the speaker plays.

The reference is what the speaker really hands to the device, cues and volume and all. It is lined up with the
microphone by their counts (`alignment.py`), its linear echo is taken out (`linear.py`), and WebRTC's canceller hides
the rest, and with it much of a person who speaks at the same time. So the ears get what the linear filter leaves, and
are told how loud the echo in it is expected to be; what is sent is that where it is louder, WebRTC's elsewhere (and
everywhere, where noise is suppressed or gain controlled).

What was learned of the room stays from one reply to the next, so only the first second after the start is heard by a
canceller that knows nothing. Nothing runs while nothing plays: about 4 % of a core while something does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from antiphon.audio.pcm import RATE, Samples, level_db, to_bytes, to_samples
from antiphon.settings import Sound
from antiphon_satellite.sound.alignment import MOST_S, Clocks, DelayFinder
from antiphon_satellite.sound.linear import FRAME, PARTITIONS, LinearFilter
from antiphon_satellite.sound.reference import Pcm, Reference
from antiphon_satellite.sound.residue import Residue

AFTER_S = 3.0
"""It goes on for so long after the last sound: rooms ring, and replies have gaps."""
HEADROOM_S = 0.02
"""The reference is given this much before its echo is expected."""
RESAMPLING_S = 0.03
"""The reference cannot be given earlier than this after the device took it."""
FIND_EVERY_S, SEEK_EVERY_S = 1.0, 0.25
"""How often the delay is looked for when it is known, and before."""
FIND_IN_S = 0.8
LOUD_DB, LOUD_SHARE = -50.0, 0.4
"""So much of the reference must be louder than this: the echo of a bell is found anywhere."""
FRAME_S = FRAME / RATE
WEIGH_S = 0.08
"""So much of the newest sound tells whether the reference has moved: a jump is seen after as long."""
CLEAR_DB = 2.0
"""By so much one of two leads must explain it better than the other, and better than none."""
UNSURE_S = 0.4
"""After so much sound that does not tell, the counts are believed."""
ABOVE_DB = 6.0
"""Sound that is so much louder than what is expected to be left of the echo is somebody else's."""
HOLD = 15
"""Frames for which it stays so: words have gaps."""
CUE_FRAMES = 50
"""Frames of sound that nobody takes for somebody's words. While the echo has not been found, which takes a second of a
reply, it cannot be told from a person. Hiding that of a cue then would hide the first word of whoever speaks at it."""
RISE = 32
"""Samples in which the microphone's own sound comes back: a word's first consonant may be no longer than a frame."""


class Echo:
    """Cleans the microphone's blocks (`clean`, on the loop) of what the speaker `played` (in its device's thread)."""

    def __init__(self, settings: Sound) -> None:
        self._cancels = settings.echo_cancellation
        self._suppresses, self._gains = settings.noise_suppression, settings.auto_gain
        self._processed = self._suppresses or self._gains
        """What is sent is always WebRTC's: only that has less noise, or an even level."""
        self._loop = asyncio.get_running_loop()
        self._rate = 24_000
        self._handed = 0
        self._handed_at: float | None = None
        self._finding: asyncio.Future[float | None] | None = None
        self._processor: Any = None
        self.delay_s = 0.1
        """What is believed to lie between the device's taking a sample and the microphone's giving its echo."""
        self.wanted = False
        """A turn goes on: noise is suppressed and gain controlled, if that is set."""
        self.residue_db = -120.0
        """How loud what is left of the echo is expected to be now, dB of full scale."""
        self._near = 0
        self._torn = b""
        self._recent: Samples = np.empty(0, dtype=np.float32)
        self._reference, self._residue = Reference(self._rate), Residue()
        self._restart()

    # Told by the speaker, from its device's thread.

    def played(self, pcm: Pcm, position: int) -> None:
        """The device takes `pcm`; `position` counts the samples before it."""
        if self._cancels:
            self._reference.put(pcm, position)

    def handed(self, position: int, at: float) -> None:
        """The device has taken `position` samples, silence too; `at` is the loop's time."""
        self._handed, self._handed_at = position, at

    def opened(self, rate: int, latency_s: float) -> None:
        """The speaker was opened, or opened again; what is in the device is `latency_s` from the ear."""
        self._rate = rate
        self.delay_s = max(RESAMPLING_S, latency_s)
        self._reopened = True

    # On the loop.

    @property
    def running(self) -> bool:
        """Sound is being processed."""
        return self._until > self._near or (self.wanted and self._processed)

    def doubt(self, *, somebody: bool) -> None:
        """Somebody else may be speaking, or no more: what is heard then says nothing of the echo."""
        self._residue.doubtful = somebody

    def warm(self) -> None:
        """Load what is about to be needed."""
        if self._processor is None and (self._cancels or self._processed):
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
        if self._reference.take():
            self._until = self._near + int(AFTER_S * RATE)
        if not self.running:
            self._loud = 0
            pcm, self._torn = self._torn + pcm, b""
            return pcm, pcm
        self.warm()
        self._lead_s = self._clocks.lead_s(self._near)
        if (moved_s := self._clocks.moved_s(self._near)) is not None:
            self._weigh(moved_s)
        self.residue_db = -120.0
        pcm = self._torn + pcm
        whole = len(pcm) - len(pcm) % (2 * FRAME)
        self._torn = pcm[whole:]
        near = to_samples(pcm[:whole])
        first = self._near - len(pcm) // 2
        self._recent = np.concatenate((self._recent, near))[-int(FIND_IN_S * RATE) :]
        self._recent_end = first + len(near)
        frames = [self._frame(near[start : start + FRAME], first + start) for start in range(0, len(near), FRAME)]
        self._seek(first + len(near))
        if not frames:
            return b"", b""
        sent, heard = (np.concatenate(parts) for parts in zip(*frames, strict=True))
        return to_bytes(sent), to_bytes(heard)

    def _restart(self) -> None:
        """Begin anew: the devices were opened."""
        self._reopened = False
        self._clocks = Clocks()
        self._lead_s = 0.0
        """At the microphone's newest sample."""
        self._filter = LinearFilter()
        self._residue = Residue()
        self._finder = DelayFinder()
        self._reference = Reference(self._rate)
        if self._processor is not None:
            self._processor.reset()
        self._recent = np.empty(0, dtype=np.float32)
        self._recent_end = 0
        self._unsure_until: int | None = None
        self._until = 0
        self._sought_at = self._sought_until = 0
        self._sought_lead_s = 0.0
        self._blend = 0.0
        self._hold = 0
        self._loud = 0
        """Frames of sound in what has been played since it was last quiet for long."""

    def _weigh(self, moved_s: float) -> None:
        """The counts have moved against each other: find out from the echo whether sound was lost.

        A sound server that gives its blocks a little later than before looks just like a block that was lost.
        """
        lost = self._lost(moved_s)
        if lost is None:
            return
        self._unsure_until = None
        if not lost:
            self._clocks.keep(moved_s)
            return
        self._clocks.move(self._near, moved_s)
        self._lead_s += moved_s
        self._filter.doubt()
        self._residue.moved()

    def _lost(self, moved_s: float) -> bool | None:
        """Return whether the newest sound agrees with a lead that has moved better than with the old one.

        None while nothing is heard that could tell; when nothing has told for long, the counts are believed.
        """
        if not self._residue.delay_known:
            return True
        count = int(WEIGH_S * RATE)
        near = self._recent[-count:]
        place = self._taken_at(self._recent_end) - self.delay_s * RATE + self._headroom
        before = PARTITIONS * FRAME + count
        stays, goes = (self._reference.read(place + off - before, before) for off in (0.0, moved_s * RATE))
        if len(near) < count or level_db(stays[-count:]) < LOUD_DB or level_db(goes[-count:]) < LOUD_DB:
            return None
        if self._unsure_until is None:
            self._unsure_until = self._near + int(UNSURE_S * RATE)
        left_db, gone_db = (level_db(near - self._filter.echo_of(far, count)) for far in (stays, goes))
        clear = abs(left_db - gone_db) > CLEAR_DB and min(left_db, gone_db) < level_db(near) - CLEAR_DB
        if not clear and self._near < self._unsure_until:
            return None
        return not clear or gone_db < left_db

    def _taken_at(self, position: int) -> float:
        """Return the sample of what is played that the device takes when it gives the microphone's at `position`."""
        return position + (self._lead_s + self._clocks.drift * (position - self._near) / RATE) * RATE

    @property
    def _headroom(self) -> int:
        """By how many samples the reference is given before its echo is expected."""
        return round(min(HEADROOM_S, self.delay_s - RESAMPLING_S) * RATE)

    def _frame(self, near: Samples, position: int) -> tuple[Samples, Samples]:
        """Return one frame of 10 ms, to be sent and to be heard."""
        if not self._cancels:
            processed = np.asarray(self._processor.process(near), dtype=np.float32)
            return processed, near
        taken_at = self._taken_at(position)
        due = taken_at - self.delay_s * RATE + self._headroom
        far = self._reference.read(due, FRAME, 1 + self._clocks.drift)
        left, echo = self._filter.process(near, far)
        played = far if self._residue.delay_known else self._reference.read(taken_at - RESAMPLING_S * RATE, FRAME)
        self.residue_db = max(self.residue_db, self._residue.follow(left, echo, played))
        hidden = np.asarray(self._processor.process(left, far), dtype=np.float32)
        self._loud += level_db(played) > LOUD_DB
        cue = self._loud <= CUE_FRAMES and not self._residue.delay_known
        self._hold = HOLD if cue or level_db(left) > self.residue_db + ABOVE_DB else max(0, self._hold - 1)
        before, self._blend = self._blend, 1.0 if self._hold and not self._processed else 0.0
        weight = np.linspace(before, self._blend, FRAME if self._blend < before else RISE, dtype=np.float32)
        weight = np.pad(weight, (0, FRAME - len(weight)), mode="edge")
        return weight * left + (1 - weight) * hidden, left

    def _seek(self, end: int) -> None:
        """Look for the delay in the sound, in a thread, now and then."""
        every_s = FIND_EVERY_S if self._residue.delay_known else SEEK_EVERY_S
        if not self._cancels or self._finding is not None or end - self._sought_until < every_s * RATE:
            return
        near = self._recent
        if len(near) < int(FIND_IN_S * RATE):
            return
        self._sought_at = end - len(near)
        start = self._taken_at(self._sought_at)
        self._sought_lead_s = (start - self._sought_at) / RATE
        far = self._reference.read(start - int(MOST_S * RATE), len(near) + int(MOST_S * RATE))
        frames = far[-(len(near) // FRAME) * FRAME :].reshape(-1, FRAME)
        if np.mean(np.mean(frames**2, axis=1) > 10 ** (LOUD_DB / 10)) < LOUD_SHARE:
            return
        self._sought_until = end
        clocks, jumps = self._clocks, self._clocks.jumps
        self._finding = self._loop.run_in_executor(None, self._finder.find, near, far)
        self._finding.add_done_callback(
            lambda done: self._found(done, clocks is self._clocks and jumps == clocks.jumps)
        )

    def _found(self, finding: asyncio.Future[float | None], still: bool) -> None:
        """Believe what was found, if the devices `still` stand to each other as they did."""
        self._finding = None
        if finding.cancelled() or finding.exception() is not None or not still:
            return
        delay_s = finding.result()
        if delay_s is None:
            return
        self._residue.found()
        self._clocks.found(self._sought_at, self._sought_lead_s - delay_s)
        blocks = round((delay_s - self.delay_s) / FRAME_S)
        if abs(blocks) > 1:
            moved = max(RESAMPLING_S, self.delay_s + blocks * FRAME_S)
            self._filter.shift(round((self.delay_s - moved) / FRAME_S))
            self.delay_s = moved
