"""Engines that follow a script, for what real ones do not do when asked: stall, fail, flood. They keep the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence

import numpy as np

from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon_daemon.engines.contracts import EngineError, Message, TextDelta, Tool, ToolCall, Transcript, Voice, Work


class Script:
    """A language model that says what it is told to say; `closed` counts replies that were given up."""

    name = "script"

    def __init__(self, say: Callable[[], AsyncIterator[str]]) -> None:
        self._say = say
        self.asked: list[list[str]] = []
        self.read = 0
        """Prompts that it was to read before the question."""
        self.closed = 0

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.asked.append([message.text for message in messages])
        try:
            async for text in self._say():
                yield TextDelta(text)
        except (GeneratorExit, asyncio.CancelledError):
            self.closed += 1
            raise

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        self.read += 1

    async def close(self) -> None: ...


class Ears:
    """A transcriber that hears what it is told, after a while; `fails` times it fails first."""

    name = "ears"
    languages: Collection[str] = ("en",)

    def __init__(self, text: str = "hello there", takes_s: float = 0.0, fails: int = 0) -> None:
        self.text, self.takes_s, self.fails = text, takes_s, fails
        self.heard: list[int] = []

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        self.heard.append(len(audio))
        await asyncio.sleep(self.takes_s)
        if self.fails:
            self.fails -= 1
            raise EngineError("stt", "the model has failed")
        return Transcript(self.text, language)

    async def close(self) -> None: ...


class Tones:
    """A voice that says each letter as 20 ms of tone, and notes what it was given; `held` texts wait for `go`."""

    name, rate = "tones", RATE
    voices: Sequence[Voice] = (Voice("tones", ("en", "ko")),)

    def __init__(self, *held: str) -> None:
        self.texts: list[str] = []
        self.held, self.go = held, asyncio.Event()

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        self.texts.append(text)
        if text in self.held:
            await self.go.wait()
        await asyncio.sleep(0)
        yield self.sound(text)

    def sound(self, text: str) -> bytes:
        """Return what it says."""
        return to_bytes((0.3 * np.sin(np.arange(len(text) * RATE // 50) / 10)).astype(np.float32))

    async def close(self) -> None: ...


async def quick() -> AsyncIterator[str]:
    yield "It is "
    yield "fine."
