"""Says an utterance with any voice: in its spoken form, with the silence around it trimmed, within its deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import TypeVar

from antiphon.settings import Deadlines
from antiphon_daemon.conversation.pacing import Utterance, letters, pace_of
from antiphon_daemon.conversation.tempo import Tempo
from antiphon_daemon.conversation.trimming import Trimmer
from antiphon_daemon.engines.contracts import EngineError, Revoked, Synthesizer, Work

T = TypeVar("T")


async def sound_of(
    utterance: Utterance,
    synthesizer: Synthesizer,
    work: Work,
    *,
    language: str | None,
    voice: str | None,
    deadlines: Deadlines,
    speed: float = 1.0,
) -> AsyncGenerator[bytes, None]:
    """Yield an utterance as s16le mono PCM at the synthesizer's rate; nothing where there is nothing to say.

    Args:
        speed: so many times as fast as the voice says it (0.25 to 4).

    Raises:
        EngineError: the voice failed, or is too slow.
        Revoked: the work is no longer wanted.
    """
    text = utterance.spoken.text
    if not text:
        return
    trimmer, tempo = Trimmer(synthesizer.rate), Tempo(speed, synthesizer.rate)
    began, within_s = time.monotonic(), deadlines.tts_first_s
    lead_s, given = 0.0, 0
    sound = synthesizer.speak(text, work, voice=voice, language=language)
    late = EngineError("tts", "the voice is too slow")
    async with aclosing(limited(sound, within_s, within_s, lambda: late)) as blocks:
        async for block in blocks:
            # Who starts to play so long after the beginning never runs dry.
            lead_s = max(lead_s, time.monotonic() - began - given / 2 / synthesizer.rate)
            if pcm := tempo.feed(trimmer.feed(block)):
                given += len(pcm)
                yield pcm
    pace_of(synthesizer).took(letters(text), lead_s)
    if pcm := tempo.feed(trimmer.rest()) + tempo.end():
        yield pcm


def silence(ms: float, rate: int) -> bytes:
    """Return a pause as PCM."""
    return bytes(2 * round(rate * ms / 1000))


async def limited(
    items: AsyncIterator[T], first_s: float, next_s: float, late: Callable[[], EngineError]
) -> AsyncGenerator[T, None]:
    """Yield `items`, each within its deadline; the source is closed when this is (use `aclosing`) or ends.

    Raises:
        EngineError: what `late()` returns, when an item does not come in time.
    """
    within_s = first_s
    try:
        while True:
            try:
                async with asyncio.timeout(within_s):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise late() from None
            yield item
            within_s = next_s
    finally:
        close: Callable[[], Awaitable[None]] | None = getattr(items, "aclose", None)
        if close is not None:
            with suppress(Revoked, EngineError):
                await close()
