"""Sound out of a WAV that is still being written: its lengths may be made up."""

from __future__ import annotations

from antiphon.audio.pcm import Converter, Format, to_bytes

MADE_UP = 0x7F000000
"""Lengths from here on, and 0, stand for "unknown" where a WAV is streamed."""
LONGEST_HEADER = 65_536

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class WavError(ValueError):
    """What comes is no WAV that can be used; the message ends a sentence."""


class WavReader:
    """Takes a WAV bit by bit and returns it as s16le mono at another rate."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._head = b""
        self._converter: Converter | None = None
        self._left: int | None = None

    def feed(self, data: bytes) -> bytes:
        """Return the PCM that is ready after `data` was added.

        Raises:
            WavError: it is no WAV, or in a format that cannot be used.
        """
        if self._converter is None:
            self._head += data
            if (start := self._opened()) is None:
                if len(self._head) > LONGEST_HEADER:
                    raise WavError("a WAV without sound in it")
                return b""
            data, self._head = self._head[start:], b""
        assert self._converter is not None
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return to_bytes(self._converter.feed(data))

    def end(self) -> bytes:
        """Return what is left.

        Raises:
            WavError: not even its beginning has come.
        """
        if self._converter is None:
            if not self._head:
                return b""
            raise WavError("a WAV that is cut short")
        return to_bytes(self._converter.end())

    def _opened(self) -> int | None:
        """Return where the sound begins, once its format is known; None: not all of the header is here."""
        head = self._head
        if not b"RIFF".startswith(head[:4]):
            raise WavError(f"something that begins with {head[:8]!r} where a WAV should be")
        if head[8:12] not in (b"WAVE", b"") and len(head) >= 12:
            raise WavError("a RIFF that is no WAV")
        at, form = 12, None
        while len(head) >= at + 8:
            kind, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
            if kind == b"data":
                if form is None:
                    raise WavError("a WAV that does not say its format")
                self._converter = Converter(form, self._rate)
                self._left = size if 0 < size < MADE_UP else None
                return at + 8
            if len(head) < at + 8 + size:
                return None
            if kind == b"fmt ":
                form = _form(head[at + 8 : at + 8 + size])
            at += 8 + size + size % 2
        return None


def _form(chunk: bytes) -> Format:
    codec, channels = (int.from_bytes(chunk[at : at + 2], "little") for at in (0, 2))
    rate, bits = int.from_bytes(chunk[4:8], "little"), int.from_bytes(chunk[14:16], "little")
    if codec == _EXTENSIBLE:
        codec = int.from_bytes(chunk[24:26], "little") or _PCM
    if bits not in {_PCM: (8, 16, 24, 32), _FLOAT: (32,)}.get(codec, ()):
        raise WavError(f"a WAV of {bits} bits in codec {codec}, which cannot be used")
    try:
        return Format(rate, bits // 8, channels, codec == _FLOAT)
    except ValueError as error:
        raise WavError(str(error)) from None
