"""`antiphon ask`: the whole pipeline on files and text, without a sound device, for people, scripts and benchmarks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from antiphon.audio import vad, wav
from antiphon.audio.pcm import RATE, Samples, to_samples
from antiphon.settings import Settings
from antiphon.text import composed, json_line, shown
from antiphon_daemon.app import build_engines
from antiphon_daemon.conversation import skills
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import EngineError
from antiphon_daemon.insight.trace import MARKS, Trace

BLOCK = RATE // 50
"""20 ms: what a microphone would give at a time."""
BETWEEN_S = 0.3
"""Silence between the replies in the file that is written."""
BAR = 40

Input: TypeAlias = tuple[Literal["file", "text"], str]


@dataclass
class Turn:
    """What came of one input."""

    transcript: str = ""
    reply: str = ""
    language: str | None = None
    trace: Trace = field(default_factory=Trace)
    failure: str | None = None
    sound: list[bytes] = field(default_factory=list)
    rate: int = 0

    def as_json(self) -> str:
        """Return the turn as one line, as the command line's contract has it."""
        found = {
            "transcript": self.transcript,
            "reply": self.reply,
            "language": self.language,
            "heard_ms": self.trace.heard_ms,
            "timeline": self.trace.timeline(),
            "revision": self.trace.revision,
            "drafts": self.trace.drafts,
            "wasted_ms": self.trace.wasted_ms,
        }
        if self.failure:
            found["error"] = self.failure
        return json_line(found)


class Asker:
    """The peer of the conversation (see `Peer`): collects one turn at a time."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.over = asyncio.Event()
        """The turn's stream needs no more sound."""
        self.done = asyncio.Event()
        """All of the reply has come, or there is none."""

    def begin(self) -> Turn:
        """Return the turn that the next calls fill."""
        self.turn = Turn()
        self.over.clear()
        self.done.clear()
        return self.turn

    def speech_began(self, at_ms: int) -> None: ...

    def speech_paused(self, at_ms: int) -> None: ...

    def stop_speaking(self) -> None: ...

    def duck(self) -> None: ...

    def swell(self) -> None: ...

    wants_partials = False

    def heard_so_far(self, text: str) -> None: ...

    def turn_over(self, text: str, language: str | None) -> None:
        self.turn.transcript, self.turn.language = text, language
        self.over.set()

    def nothing_heard(self) -> None:
        self.turn.failure = "no speech was heard"
        self.over.set()
        self.done.set()

    def failed(self, error: EngineError) -> None:
        self.turn.failure = str(error)
        self.over.set()
        self.done.set()

    def reply_began(self, rate: int) -> None:
        self.turn.rate = rate

    def reply_sound(self, pcm: bytes) -> None:
        self.turn.sound.append(pcm)

    def reply_written(self, text: str) -> None:
        self.turn.reply = text

    def reply_ended(self, trace: Trace) -> None:
        self.turn.trace = trace
        self.turn.failure = trace.failure
        self.done.set()


async def run(settings: Settings, inputs: Sequence[Input], *, out: str | None, as_json: bool, realtime: bool) -> bool:
    """Ask everything in one conversation, print each turn, and return whether any went wrong.

    Raises:
        EngineError: an engine cannot be loaded.
        WavError: the replies cannot be written.
    """
    silent = settings.turn.model_copy(update={"one_moment_s": 0.0})  # nobody listens who could wonder
    settings = settings.model_copy(update={"turn": silent})
    engines = await build_engines(settings)
    asker = Asker()
    memory = new_memory(settings, settings.language)
    timers = skills.Timers()
    conversation = Conversation(engines, settings, asker, vad.load(), memory, place=skills.Place(timers))
    sound: list[Samples] = []
    rate, wrong = engines.synthesizer.rate, False
    try:
        for kind, given in inputs:
            turn = asker.begin()
            try:
                await _ask(conversation, asker, kind, given, realtime=realtime)
            except wav.WavError as error:
                turn.failure = str(error)
            if kind == "file" and turn.failure and given not in turn.failure:
                turn.failure = f"{given}: {turn.failure}"
            _show(turn, as_json=as_json)
            wrong = wrong or turn.failure is not None
            sound += [to_samples(b"".join(turn.sound)), np.zeros(round(rate * BETWEEN_S), dtype=np.float32)]
        if out:
            wav.write(Path(out), np.concatenate(sound[:-1]), rate)
        if left := len(timers.set):
            print(
                f"Note: {left} timer{'s' if left > 1 else ''} ended with this command: timers ring on satellites.",
                file=sys.stderr,
            )
    finally:
        timers.close()
        await conversation.close()
        await engines.close()
    return wrong


async def _ask(
    conversation: Conversation, asker: Asker, kind: Literal["file", "text"], given: str, *, realtime: bool
) -> None:
    if kind == "text":
        text = composed(given.encode("utf-8", "replace").decode()).strip()  # the terminal's bytes may be none of ours
        if not text:
            asker.nothing_heard()
            asker.turn.failure = "the text is empty"
            return
        asker.turn.language = conversation.language
        conversation.typed(text)
    else:
        samples = await asyncio.to_thread(wav.read, given)
        conversation.open()
        await (_speak_paced(conversation, asker, samples) if realtime else _speak_at_once(conversation, asker, samples))
    await asker.done.wait()
    conversation.played()


async def _speak_paced(conversation: Conversation, asker: Asker, samples: Samples) -> None:
    """Play the sound into the conversation as a microphone would, then silence, until the turn is over."""
    clock = asyncio.get_running_loop().time
    began, position = clock(), 0
    silence = np.zeros(BLOCK, dtype=np.float32)
    while not asker.over.is_set():
        block = samples[position : position + BLOCK]
        conversation.hear(block if len(block) else silence)
        position += BLOCK
        await asyncio.sleep(max(0.0, began + position / RATE - clock()))


async def _speak_at_once(conversation: Conversation, asker: Asker, samples: Samples) -> None:
    """Give the sound as fast as it is taken; its end is the end of the turn."""
    for position in range(0, len(samples), BLOCK):
        if asker.over.is_set():
            return
        conversation.hear(samples[position : position + BLOCK])
        if position % RATE == 0:
            await asyncio.sleep(0)
    conversation.end()


def _show(turn: Turn, *, as_json: bool) -> None:
    if turn.failure:
        print(f"Error: {shown(turn.failure)}", file=sys.stderr)
    elif turn.reply and not turn.sound:
        print(f"Note: no voice here speaks {turn.language}: the reply is only written.", file=sys.stderr)
    if as_json:
        print(turn.as_json(), flush=True)
        return
    console = Console(highlight=False)
    if turn.transcript:
        console.print(f"[bold]you[/]       {escape(shown(turn.transcript))}")
    if turn.reply:
        console.print(f"[bold]antiphon[/]  {escape(shown(turn.reply))}")
        console.print(_waterfall(turn.trace.timeline()))
    if turn.trace.drafts > 1:
        console.print(f" {turn.trace.drafts} drafts, {turn.trace.wasted_ms} ms of work for nothing: you went on")


def _waterfall(timeline: dict[str, int | None]) -> Table:
    """Draw when each thing happened, in milliseconds from the end of speech."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    last = max((at for at in timeline.values() if at is not None), default=1) or 1
    for name in MARKS:
        at = timeline[name]
        if at is not None:
            table.add_row(name.replace("_", " "), f"{at} ms", "─" * round(at / last * BAR) + "●")
    return table
