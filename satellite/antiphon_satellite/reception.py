"""What controllers send to be heard: which stream is played, which is dropped, and who is told that it was played.

One stream is played at a time. Of the run that was interrupted nothing more is heard: neither the stream that was
playing (it is kept aside for a while, should the interruption turn out to be none) nor, if its reply had not begun,
the next one that comes. A stream that comes while something else goes on is
refused, and its sender told at its end that it is over, so that it does not wait.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event as WireEvent

from antiphon.audio.pcm import Converter, Format, FormatError, Samples
from antiphon.wire.frames import parse
from antiphon.wire.server import Refusal
from antiphon_satellite import states
from antiphon_satellite.service import Peer
from antiphon_satellite.sound.speaker import Speaker
from antiphon_satellite.streams import Stream

log = structlog.get_logger(__name__)


class Told(Protocol):
    """Takes the machine's events about streams."""

    def __call__(self, event: states.Event, stream: tuple[Peer, Stream] | None = None) -> None: ...


class Reception:
    """Takes the audio events of all controllers."""

    def __init__(self, speaker: Speaker, tell: Told) -> None:
        self._speaker = speaker
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._playing: tuple[Peer, Stream] | None = None
        self._heard_by: Peer | None = None
        self._shelved: tuple[Peer, Stream] | None = None
        """The stream that was stopped, and may go on."""
        self._converter: Converter | None = None
        self._whole = False
        """What is played, or was shelved, has come to its end."""
        self._begun = False
        """The reply of this run has begun."""

    def new_run(self) -> None:
        """A run was asked for."""
        self._begun = False

    def drop_reply(self, peer: Peer | None, until: float) -> None:
        """Nothing more is heard of the reply of `peer`'s run, whose stream may still come before `until`."""
        self._playing = None
        if not self._begun and peer is not None:
            peer.owes_until = until

    def shelve(self) -> None:
        """Stop what is played, but keep it, and what still comes of it."""
        self._shelved = self._playing
        self._speaker.shelve()

    def resume(self, at: float) -> None:
        """Go on with what was shelved, from where it was stopped."""
        stream, self._shelved = self._shelved, None
        if stream is None:
            return
        self._playing, self._heard_by = stream, stream[0]
        self._speaker.resume()
        left_s = self._speaker.left_s
        self._tell(states.ReplyEnded(at, left_s) if self._whole else states.Grew(at, left_s))

    def forget(self) -> None:
        """What was shelved will not go on."""
        self._shelved = None
        self._speaker.forget()

    def play(self, stream: tuple[Peer, Stream]) -> None:
        """Play this stream from now on."""
        self._playing = stream
        self._heard_by = stream[0]
        self._shelved = self._converter = None
        self._whole = False
        self._speaker.begin()

    def tell_played(self) -> None:
        """Tell the sender of what was played that it is over, and how much was heard."""
        peer, self._heard_by, self._playing = self._heard_by, None, None
        if peer is not None:
            peer.send(WireEvent("played", {"heard_ms": self._speaker.heard_ms}))

    def receive(self, peer: Peer, event: WireEvent, *, welcome: bool, of_run: bool, at: float) -> None:
        """Take one audio event.

        Args:
            welcome: a new stream of this peer may be played.
            of_run: this peer has the runs.
            at: the time, seconds.

        Raises:
            Refusal: the sound cannot be played.
        """
        if AudioChunk.is_type(event.type):
            self._chunk(peer, parse(AudioChunk, event), at)
        elif AudioStart.is_type(event.type):
            stream = peer.streams.begin(parse(AudioStart, event).timestamp)
            if at < peer.owes_until:
                peer.owes_until = 0.0
            elif welcome:
                self._begun = self._begun or of_run
                self._tell(states.ReplyBegan(at), (peer, stream))
            else:
                if not peer.refused:
                    log.info("a sound is not played: something else goes on", controller=peer.name)
                peer.refused = {stream, *(one for one in peer.refused if one in peer.streams)}
        elif AudioStop.is_type(event.type):
            self._stop(peer, peer.streams.end(parse(AudioStop, event).timestamp), at)

    def _chunk(self, peer: Peer, chunk: AudioChunk, at: float) -> None:
        try:
            form = Format(chunk.rate, chunk.width, chunk.channels)
        except FormatError as error:
            raise Refusal(str(error), "bad-format") from None
        stream = peer.streams.chunk(chunk.timestamp, len(chunk.audio) / form.frame_bytes / form.rate * 1000)
        shelved = self._is(self._shelved, peer, stream)
        if not (shelved or self._is(self._playing, peer, stream)):
            return
        rate = self._speaker.rate
        if self._converter is None or (self._converter.form, self._converter.rate) != (form, rate):
            self._converter = Converter(form, rate)
        self._add(self._converter.feed(chunk.audio), shelved=shelved)
        if not shelved:
            self._tell(states.Grew(at, self._speaker.left_s))

    def _stop(self, peer: Peer, stream: Stream | None, at: float) -> None:
        if stream is None:
            return
        if stream in peer.refused:
            peer.refused.discard(stream)
            peer.send(WireEvent("played", {"heard_ms": 0}))
        elif self._is(self._shelved, peer, stream):
            self._add_rest(shelved=True)
            self._whole = True
        elif self._is(self._playing, peer, stream):
            self._add_rest(shelved=False)
            self._whole = True
            self._tell(states.ReplyEnded(at, self._speaker.left_s))

    def _add_rest(self, *, shelved: bool) -> None:
        if self._converter is not None:
            self._add(self._converter.end(), shelved=shelved)

    def _add(self, samples: Samples, *, shelved: bool) -> None:
        if shelved:
            self._speaker.keep(samples)
        else:
            self._speaker.play(samples)

    @staticmethod
    def _is(known: tuple[Peer, Stream] | None, peer: Peer, stream: Stream | None) -> bool:
        return stream is not None and known == (peer, stream)
