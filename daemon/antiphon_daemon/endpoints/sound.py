"""The sound that a peer announces."""

from __future__ import annotations

from antiphon.audio.pcm import Converter, Format, FormatError
from antiphon.wire.server import Refusal


def converter(rate: int, width: int, channels: int) -> Converter:
    """Return what turns a peer's bytes into samples.

    Raises:
        Refusal: the format cannot be used; the peer is told which can.
    """
    try:
        return Converter(Format(rate, width, channels))
    except FormatError as error:
        raise Refusal(str(error), "audio-format") from None
