"""Parts that are killed in the middle of conversations: `antiphon bench chaos [--kills N] [--json] [--plot FILE]`.

The real daemon with the embedded ears and voice, a language model's server, the real satellite on a virtual sound card,
and the stand-in for Home Assistant (`tests/stand_in.py`) over all. Somebody presses the button and asks; at a seeded
random moment one part is killed and started again within a second. Each turn must end with a reply or with an error
that is sounded or sent; where the part that is dead is the one to sound it, whoever is at the other end must be told at
once. Then everything must be connected again, and the next question be answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import click
import numpy as np
from _corpus import SEED, spoken_by
from _parts import KILLED, House, Line, Part, house, until
from _processes import Unmeasured
from _report import plot_lines, show
from rich.console import Console

from antiphon.audio import wav
from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Turn as TurnSettings
from antiphon_daemon.conversation.messages import message
from antiphon_satellite.satellite import GRACE_S
from antiphon_satellite.states import SILENT, Limits

QUESTIONS = ("What is the capital of France?", "Tell me a story about a dragon.")
"""One is answered in a sentence; the other's reply is long enough to be cut off while it is written and spoken."""
LEAD_S, TAIL_S = 0.2, 0.8
SOUNDING = ("speaking", "announcing")
RESTING = ("idle", "disconnected")
MOMENTS: Mapping[str, Sequence[str]] = {
    "idle": RESTING,
    "listening": ("streaming", "holding", "waiting"),
    "thinking": ("thinking",),
    "speaking": SOUNDING,
}
"""Moments of a conversation, and the states in which the satellite then is."""
LATER_S = {"idle": 0.5, "listening": 2.0, "thinking": 1.0, "speaking": 1.5}
"""A kill comes up to so long after the moment has begun."""
LONGEST_DOWN_S = 1.0
BACK_S = 15.0
"""Everything must be connected again by then."""
TOLD_S = 1.0
"""Who talked to a part that was killed must know it by then."""
SLACK_S = 1.0
QUIET_S, STILL_S = 120.0, 0.4
LIMITS = Limits()
LONGEST_S = {
    "streaming": TurnSettings().longest_s + GRACE_S,
    "waiting": LIMITS.transcript_s,
    "thinking": 2 * LIMITS.reply_s,  # it begins anew when the reply's text is known
    "holding": LIMITS.hold_s,
    "speaking": LIMITS.gap_s + LIMITS.slack_s + 30.0,  # the replies here are shorter than half a minute
    "announcing": LIMITS.gap_s + LIMITS.slack_s + 30.0,
}
"""The satellite's deadline for each state."""


class End(Enum):
    """How a turn ended."""

    ANSWERED = "answered"
    APOLOGISED = "apologised"
    """An error was spoken, or sounded."""
    LOST = "lost"
    """The part that would have told was dead; its peer, or the log, was told why."""
    UNANSWERED = "unanswered"


TOLD = {
    "left": (End.APOLOGISED, "told that Home Assistant has gone"),
    "late": (End.APOLOGISED, "told after a deadline"),
    "lost": (End.LOST, "the sound is gone, the log and describe tell"),
}
"""What the satellite tells, and how, when such an event ends a turn."""


@dataclass
class Asked:
    """A turn that somebody began."""

    line: int
    """How many lines the journal had."""
    run: int
    """How many runs Home Assistant had begun."""
    errors: int
    ends_at: float
    """When the question is over (monotonic)."""
    playing: subprocess.Popen[bytes]


@dataclass
class Verdict:
    """What came of a turn."""

    end: End
    why: str
    at: float
    """When whoever asked heard something: the reply's first sound, or the error."""
    over_at: float
    """When it had ended."""


@dataclass
class Strike:
    """One kill."""

    part: str
    moment: str
    recovery_s: float | None
    """None: it did not come back."""


@dataclass
class Tally:
    """What has happened so far."""

    strikes: list[Strike] = field(default_factory=list)
    ends: Counter[End] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    """The part, the moment, and what was seen."""
    after: list[str] = field(default_factory=list)
    """Kills after which two questions, one after another, had no answer."""
    asked_again: int = 0
    """Kills after which the first question had none: on a busy machine the sound server falls silent by itself."""
    not_back: list[str] = field(default_factory=list)
    """What never came back, or to rest: nothing can be killed after that."""
    longest_hang_s: float = 0.0
    """From the end of a question until something was heard."""
    longest_told_s: float = 0.0
    """From a kill, or the end of the question if that was later, until the error."""


def plan(kills: int, rng: random.Random) -> list[tuple[int, str]]:
    """Return which part is killed at which moment: each part as often, and at each moment as often, in random order."""
    found: list[tuple[int, str]] = []
    count = 5
    moments: list[list[str]] = [[] for _ in range(count)]
    while len(found) < kills:
        for part in rng.sample(range(count), count):
            if not moments[part]:
                moments[part] = rng.sample(list(MOMENTS), len(MOMENTS))
            found.append((part, moments[part].pop()))
    return found[:kills]


class Chaos:
    """Asks and kills."""

    def __init__(self, here: House, rng: random.Random, tally: Tally) -> None:
        self._house, self._rng, self._tally = here, rng, tally
        self._journal, self._home = here.journal, here.home
        self._spoken = {text: self._recorded(text) for text in QUESTIONS}

    def _recorded(self, text: str) -> tuple[Path, float]:
        """Return a question as a file, and the seconds after which it is over."""
        path = self._house.folder / f"{QUESTIONS.index(text)}.wav"
        spoken = spoken_by("joe", text)
        wav.write(path, np.concatenate((_silence(LEAD_S), spoken, _silence(TAIL_S))))
        return path, LEAD_S + len(spoken) / RATE

    async def strike(self, part: Part, moment: str) -> None:
        """Kill a part at a moment, start it again, and see what becomes of the turn, and of the next."""
        asked, text = None, self._rng.choice(QUESTIONS)
        if moment != "idle":
            asked = self._ask(text)
            await until(lambda: self._reached(asked, moment), QUIET_S)
        await asyncio.sleep(self._rng.uniform(0.0, LATER_S[moment]))
        seen = next((name for name, states in MOMENTS.items() if self._journal.state in states), moment)
        where = f"{part.name} killed while {seen}"
        since = len(self._journal.lines)
        await part.kill()
        struck_at = time.monotonic()
        if asked is None and part.name != "satellite" and self._rng.random() < 0.5:
            asked = self._ask(text)
        if part.name == "satellite":
            await self._told(struck_at, where)
        await asyncio.sleep(self._rng.uniform(0.0, LONGEST_DOWN_S))
        began = time.monotonic()
        await part.start()
        back = await part.back(since)
        recovery_s = time.monotonic() - began if back else None
        self._tally.strikes.append(Strike(part.name, seen, recovery_s))
        if asked is not None:
            verdict = await self._settle(asked, where)
            if verdict.end is not End.ANSWERED:
                self._took_to_tell(verdict.over_at - max(struck_at, asked.ends_at))
        if not back:
            raise Unmeasured(f"{where}: it has not come back")
        await self._quiet()
        if not await self._answers(where):
            self._tally.asked_again += 1
            if not await self._answers(where):
                self._tally.after.append(where)

    async def _answers(self, where: str) -> bool:
        """Whether a question is answered now, and not excused."""
        verdict = await self._settle(self._ask(QUESTIONS[0]), f"after {where}")
        await self._quiet()
        return verdict.end is End.ANSWERED

    def _ask(self, text: str) -> Asked:
        """Press the button and ask."""
        self._journal.look()
        lines, runs, errors = len(self._journal.lines), len(self._home.turns), len(self._home.errors)
        self._house.satellite.send(signal.SIGUSR1)
        path, lasts_s = self._spoken[text]
        ends_at = time.monotonic() + lasts_s
        return Asked(lines, runs, errors, ends_at, self._house.sound.begin_to_say(path))

    def _reached(self, asked: Asked | None, moment: str) -> bool:
        """Whether the turn is at this moment, or over before it came to it."""
        assert asked is not None
        return self._journal.state in MOMENTS[moment] or self._verdict(asked) is not None

    async def _told(self, struck_at: float, where: str) -> None:
        """Whoever drove the satellite must be told that it is dead."""
        if not await until(lambda: not self._home.connected, TOLD_S):
            self._tally.unanswered.append(f"{where}: Home Assistant was not told within {TOLD_S:.0f} s")
        self._took_to_tell(time.monotonic() - struck_at)

    def _took_to_tell(self, seconds: float) -> None:
        self._tally.longest_told_s = max(self._tally.longest_told_s, seconds)

    async def _settle(self, asked: Asked, where: str) -> Verdict:
        """Wait for the end of a turn and count it."""
        await until(lambda: self._verdict(asked) is not None, sum(LONGEST_S.values()))
        now = time.monotonic()
        verdict = self._verdict(asked) or Verdict(End.UNANSWERED, f"still {self._journal.state}", now, now)
        await asyncio.to_thread(asked.playing.wait, 10)
        self._tally.ends[verdict.end] += 1
        if verdict.end is End.UNANSWERED:
            self._tally.unanswered.append(f"{where}: {verdict.why}")
        else:
            self._tally.reasons[verdict.why] += 1
        self._tally.longest_hang_s = max(self._tally.longest_hang_s, verdict.at - asked.ends_at)
        return verdict

    def _verdict(self, asked: Asked) -> Verdict | None:
        """Return what has come of a turn; None while it goes on."""
        sounded_at = None
        for line in self._journal.lines[asked.line :]:
            event, was, now = (line.said.get(key) for key in ("event", "was", "now"))
            if event == KILLED:
                return Verdict(End.LOST, "the satellite was killed, its peer told", sounded_at or line.at, line.at)
            if event == "a turn failed" and line.said.get("why") == "pressed":
                return Verdict(End.APOLOGISED, "told that nobody drives the satellite", line.at, line.at)
            if event == "state" and now in SOUNDING:
                sounded_at = sounded_at or line.at
            elif event == "state" and now in RESTING and was not in RESTING:
                return self._ended(asked, line, sounded_at)
        return None

    def _ended(self, asked: Asked, line: Line, sounded_at: float | None) -> Verdict:
        """Return what came of a turn after which the satellite came to rest."""
        by = str(line.said.get("by"))
        turn = self._home.turns[-1] if len(self._home.turns) > asked.run else None
        sounded = sounded_at is not None and turn is not None and bool(turn.pcm)
        at = line.at if by == "late" or sounded_at is None else sounded_at
        if by == "failed":
            code = self._home.errors[-1] if len(self._home.errors) > asked.errors else "an error"
            end, why = (End.UNANSWERED if code in SILENT else End.APOLOGISED), f"told {code}"
        elif by in TOLD:
            end, why = TOLD[by]
        elif by != "drained" or not sounded:
            end, why = End.UNANSWERED, f"ended by {by} without a sound"
        elif turn is not None and message("llm", "en") in turn.reply:
            end, why = End.APOLOGISED, "spoken: the language model cannot be reached"
        else:
            end, why = End.ANSWERED, "answered"
        return Verdict(end, why, at, line.at)

    async def _quiet(self) -> None:
        """Wait until nothing is left of the turn, and everybody is connected."""
        over, since = time.monotonic() + QUIET_S, time.monotonic()
        while time.monotonic() - since < STILL_S:
            if time.monotonic() > over:
                raise Unmeasured(f"the house does not come to rest: the satellite is {self._journal.state}")
            await asyncio.sleep(0.02)
            if self._journal.state != "idle" or self._home.busy or not self._home.connected:
                since = time.monotonic()


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), dtype=np.float32)


async def measure(kills: int, seed: int, progress: Callable[[str], None]) -> tuple[dict[str, Any], Tally]:
    """Kill so often and return the figures.

    Raises:
        Unmeasured: the house does not run here.
    """
    rng, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory(prefix="antiphon-chaos-") as name:
        folder = Path(name)
        async with house(folder, progress) as here:
            chaos = Chaos(here, rng, tally)
            for number, (part, moment) in enumerate(plan(kills, rng)):
                progress(f"{number + 1} of {kills}: {here.parts[part].name}, {moment}")
                try:
                    await chaos.strike(here.parts[part], moment)
                except Unmeasured as error:
                    tally.not_back.append(str(error))
                    break
            logs = [(folder / f"{one}.log").read_text(errors="replace") for one in ("daemon", "satellite")]
            return figures(tally, here.journal.lines, sum(log.count("Traceback") for log in logs)), tally


def figures(tally: Tally, lines: Sequence[Line], tracebacks: int) -> dict[str, Any]:
    """Return the figures."""
    took = [one.recovery_s for one in tally.strikes if one.recovery_s is not None]
    by_part: dict[str, dict[str, int]] = {}
    for one in tally.strikes:
        moments = by_part.setdefault(one.part, dict.fromkeys(MOMENTS, 0))
        moments[one.moment] += 1

    def seconds(share: float) -> float | None:
        return round(float(np.percentile(took, share)), 1) if took else None

    return {
        "kills": len(tally.strikes),
        "turns": tally.ends.total(),
        "answered": tally.ends[End.ANSWERED],
        "apologised": tally.ends[End.APOLOGISED],
        "lost": tally.ends[End.LOST],
        "unanswered": len(tally.unanswered),
        "which": tally.unanswered,
        "not_back": tally.not_back,
        "not_answered_after": tally.after,
        "asked_again": tally.asked_again,
        "overdue": overdue(lines),
        "recovery_p50_s": seconds(50),
        "recovery_p95_s": seconds(95),
        "recovery_max_s": seconds(100),
        "longest_hang_s": round(tally.longest_hang_s, 1),
        "longest_until_told_s": round(tally.longest_told_s, 2),
        "tracebacks": tracebacks,
        "reasons": dict(tally.reasons.most_common()),
        "killed": by_part,
        "recovery_max_s_by_part": {
            part: max(
                (round(one.recovery_s, 1) for one in tally.strikes if one.part == part and one.recovery_s), default=0
            )
            for part in by_part
        },
    }


def overdue(lines: Sequence[Line]) -> list[str]:
    """Return the states that lasted longer than their deadlines."""
    found: list[str] = []
    state, since = "disconnected", 0.0
    for line in lines:
        if line.said.get("event") not in ("state", KILLED):
            continue
        if state in LONGEST_S and (lasted := line.at - since) > LONGEST_S[state] + SLACK_S:
            found.append(f"{state} for {lasted:.0f} s")
        state, since = str(line.said.get("now", "disconnected")), line.at
    return found


@click.command()
@click.option("--kills", default=100, show_default=True, type=click.IntRange(1), help="How often something is killed.")
@click.option("--seed", default=SEED, show_default=True, help="What is killed, and when, is drawn from this.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", metavar="FILE.png", help="Draw how long each part took to come back.")
def main(kills: int, seed: int, as_json: bool, plot: str | None) -> None:
    """Kill parts in the middle of conversations and look who is left without an answer."""
    try:
        with Console(stderr=True).status("…") as status:
            found, tally = asyncio.run(measure(kills, seed, status.update))
    except* Unmeasured as errors:  # the house is a task group
        raise click.ClickException("; ".join(map(str, _each(errors)))) from None
    if plot:
        lines: dict[str, list[float | None]] = {part: [] for part in found["killed"]}
        for one in tally.strikes:
            lines[one.part].append(one.recovery_s)
        plot_lines(Path(plot), "share of kills", "ms until it was back", lines)
    print(json.dumps(found)) if as_json else show("chaos", found)


def _each(errors: BaseExceptionGroup[Unmeasured]) -> Iterator[Unmeasured]:
    for error in errors.exceptions:
        yield from _each(error) if isinstance(error, BaseExceptionGroup) else (error,)


if __name__ == "__main__":
    main()
