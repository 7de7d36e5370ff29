"""Interrupting: `antiphon bench bargein [--json] [--plot out.png] [--minutes N]`.

The real satellite in simulated rooms, on one clock that its sound moves (`tests/satellite/room.py`): the loudspeaker is
heard by the microphone through a room's response, with a cheap speaker's distortion and the delays of a real device. A
controller behaves as Home Assistant does. People are espeak-ng's voices at -26 dB of full scale; an echo of 0 dB is as
loud. What is counted:

- duck: from the first sample of what a person says until the speaker's own output has fallen by 10 dB (and what the
  device adds until the room hears it); stop: until the reply is given up and a turn begins with the pre-roll;
- false ducks and false stops while nobody speaks but the satellite;
- resumed: coughs and backchannels after which the reply goes on, at once or because the run recognised nothing; and
  how exactly it does;
- heard text: whether the words that `played` claims are those whose sound was handed out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import click
import numpy as np
import structlog
from _overlaps import REPLIES, Kind, Overlap, interruptions, noises, replies
from _played import Sound, as_played, drop_ms, followed
from _processes import Unmeasured
from rich.console import Console
from rich.table import Table

from antiphon.audio.pcm import RATE, Samples
from antiphon.configuration import ROOT
from antiphon_daemon.conversation.spoken import spoken
from antiphon_satellite.interruption import Heard
from antiphon_satellite.satellite import Satellite
from antiphon_satellite.states import UNHEARD, State

sys.path.insert(0, str(ROOT / "tests" / "satellite"))

import room
from room import BLOCK_S, OUT_LATENCY_S, Place, active_level, in_room

Figures: TypeAlias = dict[str, Any]

BUDGETS = {
    "duck_p95_ms": 280.0,
    "stop_p95_ms": 400.0,
    "false_ducks_per_minute": 1.0,
    "false_stops_per_hour": 0.0,
    "resume_rate": 0.9,
    "heard_text_equal_rate": 1.0,
}
"""Section 8 of the design; the rates are at least, the others at most. Up to `BUDGET_ECHO_DB`."""
BUDGET_ECHO_DB = 0.0
ECHOES_DB = (-20.0, -10.0, -6.0, 0.0, 6.0)
ROOMS = {"study": (0.15, 4.0), "living room": (0.35, 0.0), "kitchen": (0.55, -2.0)}
"""Reverberation time in seconds, and how much louder the direct sound is than the rest, in dB."""
EACH = 12
"""Interruptions in each room at each level."""
STARTS_S = (0.3, 3.0)
"""When in a reply a person begins."""
PATIENCE_S = 2.5
"""An interruption that is not heard within this was missed."""
MISSED_MS = 9_999.0
VOLUME = 80
"""What satellites are set to."""


class Watched(Satellite):
    """The satellite, and what its ears told it."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.told: list[tuple[float, Heard]] = []

    def spoke_over(self, heard: Heard, since: int) -> None:
        self.told.append((self._loop.time(), heard))
        super().spoke_over(heard, since)


@dataclass
class Case:
    """One thing that happened over one reply."""

    overlap: Overlap
    room: str
    echo_db: float
    duck_ms: float | None = None
    stop_ms: float | None = None
    heard_equal: bool | None = None
    resumed: bool | None = None
    exact: list[bool] = field(default_factory=list)
    """For each time that the reply went on: from the very sample at which it had stopped."""


@dataclass
class Own:
    """A stretch of the satellite's own speech alone."""

    echo_db: float
    seconds: float = 0.0
    ducks: int = 0
    stops: int = 0


@dataclass
class Found:
    """All that was found."""

    cases: list[Case] = field(default_factory=list)
    own: list[Own] = field(default_factory=list)


class Scene:
    """One satellite in one room at one level of echo, and what happens there, one reply after the other."""

    def __init__(self, place: Place, satellite: Watched, spoken: Sequence[Samples], echo_db: float, where: str) -> None:
        self._place, self._satellite, self._spoken = place, satellite, spoken
        self._echo_db, self._where = echo_db, where
        self._number = 0
        self.own = Own(echo_db)

    async def overlap(self, overlap: Overlap, start_s: float) -> Case:
        """Let a person make a sound over a reply."""
        case = Case(overlap, self._where, self._echo_db)
        text, expected, began = await self._reply()
        place, card = self._place, self._place.card
        await asyncio.sleep(start_s)
        told, claims = len(self._satellite.told), len(place.home.of("played"))
        first = card.say(overlap.sound)
        ends = first + len(overlap.sound)
        stopped = None
        while card.position < max(ends, first + PATIENCE_S * RATE) and stopped is None:
            await card.tick_passed()
            if place.satellite.state is State.STREAMING:
                stopped = card.position
            elif place.satellite.state is not State.SPEAKING:
                break
        if stopped is not None:
            await place.until(lambda: len(place.home.of("played")) > claims)
        handed = card.handed_at(first)
        case.duck_ms = drop_ms(card.played, handed, expected, began, card.rate)
        if stopped is not None:
            case.stop_ms = (stopped - first) / RATE * 1000
            # where the reply itself pauses no drop can be seen: it is down when the next block is handed out
            case.duck_ms = min(case.duck_ms or MISSED_MS, case.stop_ms + 1000 * BLOCK_S)
            case.heard_equal = self._heard_equal(text, expected, began)
        if overlap.kind is not Kind.SPEECH:
            await self._answer_nothing(stopped is not None)
            case.resumed = await self._played_to_its_end(expected)
            case.exact = followed(card.played[began:], expected, card.rate)[1]
            if not any(heard is Heard.BEGAN for _, heard in self._satellite.told[told:]):
                case.duck_ms = None
        while card.position < ends + RATE:  # the person has finished, and the room is quiet
            await card.tick_passed()
        await self._rest()
        return case

    async def alone(self) -> None:
        """Let a reply be spoken while nobody else speaks."""
        told = len(self._satellite.told)
        _, expected, _ = await self._reply()
        self.own.seconds += len(expected) / self._place.card.rate
        await self._place.until(lambda: self._place.satellite.state is not State.SPEAKING, 60)
        heard = [what for _, what in self._satellite.told[told:]]
        self.own.ducks += heard.count(Heard.BEGAN)
        self.own.stops += heard.count(Heard.LASTED)
        await self._rest()

    async def _reply(self) -> tuple[str, Sound, int]:
        """Begin a reply; returns its text, what the speaker should play, and where in what is played it began."""
        place, number = self._place, self._number % len(self._spoken)
        self._number += 1
        place.satellite.press()
        runs = len(place.home.of("run-pipeline")) + 1
        await place.until(lambda: len(place.home.of("run-pipeline")) >= runs)
        await asyncio.sleep(0.6)  # the cue has sounded
        before = len(place.card.played)
        await place.home.transcript("what was said")
        await place.home.synthesize(REPLIES[number])
        await place.until(lambda: place.satellite.state is State.THINKING)
        await place.speak(self._spoken[number])
        expected = as_played(self._spoken[number], place.card.rate, place.satellite.speaker.volume)
        await place.until(lambda: bool(np.any(place.card.played[before:])))
        began = before + int(np.flatnonzero(place.card.played[before:])[0]) - int(np.flatnonzero(expected)[0])
        return REPLIES[number], expected, began

    def _heard_equal(self, text: str, expected: Sound, began: int) -> bool:
        """Return whether the words that are said to be heard are those that were handed out."""
        handed, _ = followed(self._place.card.played[began:], expected, self._place.card.rate)
        claimed = self._place.home.of("played")[-1].data["heard_ms"] * self._place.card.rate / 1000
        audible = np.flatnonzero(np.abs(expected[:handed].astype(int)) > 2)
        least = int(audible[-1]) + 1 if len(audible) else 0  # where the reply itself is silent, its end cannot be seen
        true = min(max(claimed, least), handed)
        form = spoken(text, "en")
        return form.heard(claimed / len(expected)) == form.heard(true / len(expected))

    async def _answer_nothing(self, asked: bool) -> None:
        """Be a controller that recognises nothing, once it is told that the speech is over."""
        if not asked:
            return
        home = self._place.home
        ends = len(home.of("audio-stop"))
        with_end = self._place.card.position + 4 * RATE
        while len(home.of("audio-stop")) == ends and self._place.card.position < with_end:
            await self._place.card.tick_passed()
        await home.error(UNHEARD)
        await asyncio.sleep(0.1)

    async def _played_to_its_end(self, expected: Sound) -> bool:
        """Return whether the reply goes on to its end."""
        told = len(self._place.home.of("played"))
        end = self._place.card.position + (len(expected) / self._place.card.rate + 3) * RATE
        while self._place.satellite.state is State.SPEAKING and self._place.card.position < end:
            await self._place.card.tick_passed()
        await asyncio.sleep(0.1)
        if len(self._place.home.of("played")) <= told:
            return False
        heard_ms = self._place.home.of("played")[-1].data["heard_ms"]
        return bool(heard_ms > len(expected) / self._place.card.rate * 1000 - 100)

    async def _rest(self) -> None:
        """Come to rest: end what goes on."""
        place = self._place
        if place.satellite.state is not State.IDLE:
            if place.satellite.state in (State.SPEAKING, State.HOLDING):
                place.satellite.press()
                await asyncio.sleep(0.1)
            await place.home.error("interrupted")
        await place.until(lambda: place.satellite.state is State.IDLE)
        await asyncio.sleep(0.3)


# The whole.


async def scene(where: str, echo_db: float, work: Work, found: Found, seed: int) -> None:
    """Do some of the work in one room at one level."""
    rt60_s, direct_db = ROOMS[where]
    rng = np.random.default_rng(seed)
    made: list[Watched] = []

    def make(settings: Any, limits: Any) -> Watched:
        made.append(Watched(settings, limits))
        return made[-1]

    level = float(np.mean([active_level(as_played(one, 24_000, VOLUME) / 32768) for one in work.replies]))
    card = {"echo_db": echo_db, "reply_level": level, "seed": seed}
    async with in_room(room.room(rt60_s, direct_db, seed), make=make, card=card) as place:
        here = Scene(place, made[0], work.replies, echo_db, where)
        found.own.append(here.own)
        while here.own.seconds < work.alone_s:
            await here.alone()
        for overlap in work.overlaps:
            found.cases.append(await here.overlap(overlap, float(rng.uniform(*STARTS_S))))


@dataclass(frozen=True)
class Work:
    """What is done in one scene."""

    replies: list[Samples]
    overlaps: list[Overlap]
    alone_s: float


def plan(minutes: float, each: int) -> list[tuple[str, float, Work]]:
    """Share out the inputs over rooms and levels, always in the same way."""
    rng = np.random.default_rng(4)
    spoken, said, other = replies(), interruptions(), noises()
    scenes = [(where, echo_db) for where in ROOMS for echo_db in ECHOES_DB]
    rng.shuffle(said)  # type: ignore[arg-type]  # any list does
    rng.shuffle(other)  # type: ignore[arg-type]
    planned = []
    for number, (where, echo_db) in enumerate(scenes):
        some = [said[(number * each + n) % len(said)] for n in range(each)]
        some += [other[(number * (each // 3) + n) % len(other)] for n in range(each // 3)]
        planned.append((where, echo_db, Work(spoken, some, minutes * 60 / len(scenes))))
    return planned


def percentile(values: Sequence[float | None], share: float) -> float | None:
    """Return a percentile; what was missed counts as later than everything."""
    if not values:
        return None
    whole = [MISSED_MS if value is None else value for value in values]
    return float(np.percentile(whole, share))


def rate(values: Sequence[bool | None]) -> float | None:
    """Return the share of what is true among what is known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def figures(cases: Sequence[Case], own: Sequence[Own]) -> Figures:
    """Return the figures of some of what was found."""
    spoken = [case for case in cases if case.overlap.kind is Kind.SPEECH]
    other = [case for case in cases if case.overlap.kind is not Kind.SPEECH]
    seconds = sum(one.seconds for one in own)
    ducks, stops = ([getattr(case, name) for case in spoken] for name in ("duck_ms", "stop_ms"))
    return {
        "n": len(cases),
        "duck_p50_ms": percentile(ducks, 50),
        "duck_p95_ms": percentile(ducks, 95),
        "duck_in_room_p95_ms": (percentile(ducks, 95) or 0) + 1000 * OUT_LATENCY_S if spoken else None,
        "stop_p50_ms": percentile(stops, 50),
        "stop_p95_ms": percentile(stops, 95),
        "missed": sum(case.stop_ms is None for case in spoken),
        "own_speech_minutes": seconds / 60,
        "false_ducks_per_minute": sum(one.ducks for one in own) / seconds * 60 if seconds else None,
        "false_stops_per_hour": sum(one.stops for one in own) / seconds * 3600 if seconds else None,
        "resume_rate": rate([case.resumed for case in other]),
        "resumed_at_once_rate": rate([case.resumed and case.stop_ms is None for case in other]),
        "resume_exact_rate": rate([exact for case in cases for exact in case.exact]),
        "heard_text_equal_rate": rate([case.heard_equal for case in cases]),
    }


def report(found: Found) -> Figures:
    """Return all the figures: up to the level of the budget, and by level, room and held out."""
    cases = [case for case in found.cases if case.echo_db <= BUDGET_ECHO_DB]
    own = [one for one in found.own if one.echo_db <= BUDGET_ECHO_DB]
    by_level = {
        f"{level:+g}": figures(
            [c for c in found.cases if c.echo_db == level], [o for o in found.own if o.echo_db == level]
        )
        for level in ECHOES_DB
    }
    return {
        **figures(cases, own),
        "n": len(found.cases),
        "held_out": figures([case for case in cases if case.overlap.held_out], []),
        "by_echo_db": by_level,
        "by_room": {where: figures([case for case in cases if case.room == where], []) for where in ROOMS},
        "by_kind": {kind.value: figures([case for case in cases if case.overlap.kind is kind], []) for kind in Kind},
        "budgets": BUDGETS,
        "up_to_echo_db": BUDGET_ECHO_DB,
    }


def rounded(value: Any) -> Any:
    """Return figures with three digits behind the point at most."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def verdict(key: str, value: float | None) -> str:
    """Return whether a figure keeps its budget."""
    if key not in BUDGETS or value is None:
        return ""
    least = key in ("resume_rate", "heard_text_equal_rate")
    return "ok" if (value >= BUDGETS[key] if least else value <= BUDGETS[key]) else "over"


def tables(told: Figures) -> list[Table]:
    """Return the figures beside their budgets, and beside them those of each level of echo."""
    whole = Table(f"interrupting, echo up to {BUDGET_ECHO_DB:+g} dB", "measured", "budget", "", "held out")
    for key in figures([], []):
        budget = f"{BUDGETS[key]:g}" if key in BUDGETS else ""
        whole.add_row(key, shown(told[key]), budget, verdict(key, told[key]), shown(told["held_out"][key]))
    levels = Table("by level of echo", *(f"{level} dB" for level in told["by_echo_db"]))
    for key in figures([], []):
        levels.add_row(key, *(shown(each[key]) for each in told["by_echo_db"].values()))
    return [whole, levels]


def shown(value: float | int | None) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:g}"


def plot(found: Found, path: str) -> None:
    """Draw how soon the reply pauses and stops, by level of echo."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for axis, name, key in zip(axes, ("duck", "stop"), ("duck_ms", "stop_ms"), strict=True):
        columns = []
        for level in ECHOES_DB:
            spoken = [c for c in found.cases if c.echo_db == level and c.overlap.kind is Kind.SPEECH]
            columns.append([min(MISSED_MS, getattr(case, key) or MISSED_MS) for case in spoken])
        axis.boxplot(columns, tick_labels=[f"{level:+g}" for level in ECHOES_DB], whis=(5, 95))
        axis.axhline(BUDGETS[f"{key[:-3]}_p95_ms"], linestyle="--")
        axis.set(
            title=f"{name}: 5, 25, 50, 75, 95 %",
            xlabel="echo against the person, dB",
            ylabel="ms after the first sample",
        )
    drawn.tight_layout()
    drawn.savefig(path, dpi=120)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", "picture", type=click.Path(dir_okay=False), help="Draw the latencies into this PNG.")
@click.option("--minutes", default=10.0, show_default=True, help="How long the satellite speaks alone.")
@click.option("--each", default=EACH, show_default=True, help="Interruptions in each room at each level.")
@click.option("--room", "only", type=click.Choice(list(ROOMS)), help="Do what is done in one of the rooms alone.")
@click.option("--details", is_flag=True, help="With --json: each case too.")
def main(as_json: bool, picture: str | None, minutes: float, each: int, only: str | None, details: bool) -> None:
    """Measure how people interrupt, and how the satellite does not interrupt itself."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = Found()
    try:
        scenes = [one for one in plan(minutes, each) if only in (None, one[0])]
    except Unmeasured as error:
        raise click.ClickException(str(error)) from None
    with Console(stderr=True).status("…") as status:
        for number, (where, echo_db, work) in enumerate(scenes):
            status.update(f"{number + 1} of {len(scenes)}: {where}, echo {echo_db:+g} dB …")
            room.run(scene(where, echo_db, work, found, number))
    told = rounded(report(found))
    if picture:
        plot(found, picture)
    if as_json:
        cases = [{**vars(case), "overlap": case.overlap.name, "kind": case.overlap.kind.value} for case in found.cases]
        print(json.dumps(told | ({"cases": rounded(cases)} if details else {})))
        return
    console = Console(highlight=False)
    for each_table in tables(told):
        console.print(each_table)


if __name__ == "__main__":
    main()
