"""Long recordings are cut where their speakers pause, whatever the blocks they are read in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from speech import Say, silence

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples
from antiphon_daemon.gateway.rest.captions import srt, vtt
from antiphon_daemon.gateway.rest.parts import HARD_S, PART_S, Cutter, Part


def parts_of(sound: Samples, block: int, judge: vad.Judge | None = None) -> list[Part]:
    cutter = Cutter(judge or vad.load())
    found = [part for at in range(0, len(sound), block) for part in cutter.feed(sound[at : at + block])]
    return [*found, *cutter.end()]


@pytest.mark.parametrize("block", [700, 10 * RATE, 1000 * RATE])
def test_parts_are_stretches_of_speech_and_silence_is_left_out(say: Say, block: int) -> None:
    one, two = say("What is the capital of France?"), say("How are you today?")
    sound = np.concatenate((silence(5), one, silence(0.5), two, silence(20), two, silence(9)))
    first, second = parts_of(sound, block)
    assert first.start_s == pytest.approx(5, abs=0.4)
    assert first.end_s == pytest.approx(5.5 + (len(one) + len(two)) / RATE, abs=0.4)
    assert second.start_s == pytest.approx(first.end_s + 20, abs=0.6)
    for part in (first, second):
        assert part.end_s - part.start_s < len(part.samples) / RATE < part.end_s - part.start_s + 1


def test_one_who_hardly_pauses_is_cut_in_pauses_and_no_sound_is_heard_twice_or_lost(say: Say) -> None:
    sentence = say("The ships sail on the wide sea, and the winds carry them home again.")
    sound = np.concatenate([piece for _ in range(10) for piece in (sentence, silence(0.25))])
    parts = parts_of(sound, 3 * RATE)
    assert len(parts) > 2
    assert all(len(part.samples) <= (PART_S + 5) * RATE for part in parts)
    assert sum(len(part.samples) for part in parts) == pytest.approx(len(sound), abs=RATE)
    for before, after in itertools.pairwise(parts):
        assert before.end_s <= after.start_s


class Talker:
    """Believes that somebody always speaks."""

    def probability(self, frame: Samples) -> float:
        return 0.9

    def reset(self) -> None: ...


def test_speech_without_any_pause_is_cut_where_it_is_softest() -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 60 * RATE).astype(np.float32)
    sound[round(20.0 * RATE) : round(20.2 * RATE)] *= 0.1
    parts = parts_of(sound, 10 * RATE, Talker())
    assert parts[0].end_s == pytest.approx(20.1, abs=0.15)
    assert all(len(part.samples) <= HARD_S * RATE for part in parts)
    assert sum(len(part.samples) for part in parts) == len(sound)
    assert parts[-1].end_s == 60.0


class Told:
    """Believes that somebody speaks in some stretches, given in frames."""

    def __init__(self, *stretches: tuple[int, int]) -> None:
        self._stretches, self._at = stretches, -1

    def probability(self, frame: Samples) -> float:
        self._at += 1
        return 0.9 if any(start <= self._at < end for start, end in self._stretches) else 0.01

    def reset(self) -> None: ...


@pytest.mark.parametrize("block", [RATE // 10, 10 * RATE])
def test_after_long_speech_the_next_word_keeps_its_beginning(block: int) -> None:
    """A pause shorter than what is kept around speech ends a part of its own length."""
    judge = Told((10, 400), (405, 460))  # 12.5 s without a pause, one of 0.16 s, 1.8 s
    sound = np.linspace(0, 1, 16 * RATE, dtype=np.float32)  # each sample tells where it is
    first, second = parts_of(sound, block, judge)
    assert first.end_s < second.start_s
    assert first.samples[-1] * 16 <= second.start_s
    assert second.samples[0] * 16 <= second.start_s


@pytest.mark.parametrize("seconds", [0, 0.01, 45])
def test_silence_has_no_parts(seconds: float) -> None:
    assert parts_of(silence(seconds), RATE) == []


def test_no_more_is_kept_than_a_part_needs() -> None:
    cutter = Cutter(vad.load())
    for _ in range(30):
        assert not list(cutter.feed(silence(10)))
        assert len(cutter._kept) < 3 * RATE


def test_subtitles() -> None:
    cues = [(0.5, 2.0, "Hello."), (3661.0, 3662.25, "An arrow -->\n\nand two lines")]
    assert srt(cues) == (
        "1\n00:00:00,500 --> 00:00:02,000\nHello.\n\n2\n01:01:01,000 --> 01:01:02,250\nAn arrow → and two lines\n"
    )
    assert vtt(cues[:1]) == "WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nHello.\n"
