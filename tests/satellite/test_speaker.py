"""The speaker's queue: what is heard, how a stop sounds, and when the end is told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from antiphon.audio.pcm import Samples
from antiphon_satellite.sound.cues import Cue, load
from antiphon_satellite.sound.speaker import LONGEST_S, Speaker

RATE = 24_000


def constant(seconds: float, level: float = 0.5) -> Samples:
    return np.full(int(seconds * RATE), level, dtype=np.float32)


class Told:
    """Counts how often the end of a stream was told."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def speaker(told: Told | None = None, volume: int = 100) -> Speaker:
    return Speaker(told or Told(), rate=RATE, volume=volume)


async def test_what_is_queued_is_played_in_order_and_then_silence() -> None:
    one = speaker()
    one.begin()
    one.play(constant(0.01, 0.25))
    one.play(constant(0.01, 0.5))
    out = one.fill(720)
    assert np.allclose(out[:240] / 32768, 0.25, atol=1e-3)
    assert np.allclose(out[240:480] / 32768, 0.5, atol=1e-3)
    assert not out[480:].any()


async def test_the_end_is_told_once_after_the_device_has_played_it() -> None:
    told = Told()
    one = speaker(told)
    one.latency_s = 0.1
    one.begin()
    one.play(constant(0.02))
    one.finish()
    one.fill(960)
    await asyncio.sleep(0.05)
    assert told.times == 0
    await asyncio.sleep(0.1)
    assert told.times == 1
    assert one.heard_ms == 20


async def test_an_empty_stream_ends_too() -> None:
    told = Told()
    one = speaker(told)
    one.begin()
    one.finish()
    await asyncio.sleep(0.02)
    assert told.times == 1


async def test_an_underrun_is_silence_and_no_end() -> None:
    told = Told()
    one = speaker(told)
    one.begin()
    one.play(constant(0.01))
    one.fill(480)
    assert not one.fill(480).any()
    await asyncio.sleep(0.02)
    assert told.times == 0
    one.play(constant(0.01))
    assert one.fill(240).any()


async def test_a_stream_that_runs_dry_again_and_again_waits_until_it_can_go_on_for_a_while() -> None:
    one = speaker()
    one.begin()

    def sounds(blocks: int) -> list[bool]:
        """Every 20 ms comes only half of what the device asks for."""
        heard = []
        for _ in range(blocks):
            one.play(constant(0.01))
            heard.append(bool(one.fill(480).any()))
        return heard

    heard = sounds(100)
    pauses = sum(before and not after for before, after in itertools.pairwise(heard))
    assert 2 <= pauses <= 6
    while one.fill(480).any():
        ...
    one.play(constant(0.01))
    assert not one.fill(480).any()
    assert any(one.fill(480).any() for _ in range(16)), "a last word is not kept waiting for long"
    one.fill(4800)
    one.play(constant(0.01))
    one.finish()
    assert one.fill(480).any(), "the end of a stream waits for nothing"


@pytest.mark.parametrize("stop", [Speaker.duck, Speaker.flush, Speaker.shelve])
async def test_a_stream_that_waits_until_it_can_go_on_is_stopped_without_a_click(
    stop: Callable[[Speaker], None],
) -> None:
    one = speaker()
    one.begin()
    for _ in range(2):
        one.play(constant(0.01))
        one.fill(480)
    one.play(constant(0.01))
    assert not one.fill(480).any()
    stop(one)
    assert not one.fill(480).any()


async def test_a_flush_fades_within_milliseconds_and_tells_no_end() -> None:
    told = Told()
    one = speaker(told)
    one.begin()
    one.play(constant(5))
    one.finish()
    one.fill(480)
    one.flush()
    out = one.fill(480).astype(float)
    assert out[0] > 0
    assert np.max(np.abs(np.diff(out))) < 400, "no click"
    assert not out[240:].any()
    one.fill(RATE // 5)
    assert one.silent
    await asyncio.sleep(0.02)
    assert told.times == 0


async def test_a_flush_while_the_device_drains_tells_no_end() -> None:
    told = Told()
    one = speaker(told)
    one.latency_s = 0.05
    one.begin()
    one.play(constant(0.01))
    one.finish()
    one.fill(480)
    await asyncio.sleep(0.01)
    one.begin()
    await asyncio.sleep(0.1)
    assert told.times == 0


async def test_heard_counts_what_has_left_the_device() -> None:
    one = speaker()
    one.latency_s = 0.05
    one.begin()
    one.play(constant(1))
    one.fill(4800)
    assert one.heard_ms == 150
    one.flush()
    assert one.heard_ms == 200, "the device plays on what it has taken"


def counting(seconds: float) -> Samples:
    """A ramp in which every sample says which it is."""
    return np.arange(int(seconds * RATE), dtype=np.float32) / np.float32(32768)


async def test_a_duck_pauses_softly_and_the_swell_goes_on_from_the_same_sample() -> None:
    one = speaker()
    one.begin()
    one.play(counting(1))
    one.fill(2400)
    one.duck()
    faded = one.fill(480).astype(float)
    assert faded[0] > 2300
    assert np.max(np.abs(np.diff(faded))) < 100, "no click"
    assert not faded[150:].any()
    assert not one.fill(480).any()
    one.swell()
    out = one.fill(2400)
    soft = int(0.006 * RATE)
    assert out[soft + 10] == 2400 + soft + 10
    assert out[1] < 100, "no click"
    assert one.heard_ms == 200


async def test_a_stop_while_ducked_was_heard_up_to_the_duck() -> None:
    one = speaker()
    one.latency_s = 0.1
    one.begin()
    one.play(counting(1))
    one.fill(2400)
    one.duck()
    one.fill(4800)
    one.shelve()
    assert one.heard_ms == 100


async def test_what_was_shelved_goes_on_from_the_same_sample_with_what_came_meanwhile() -> None:
    told = Told()
    one = speaker(told)
    one.begin()
    one.play(counting(0.5)[:6000])
    one.fill(2400)
    one.shelve()
    assert one.heard_ms == 100
    one.fill(4800)
    one.keep(counting(0.5)[6000:])
    one.resume()
    one.finish()
    out = one.fill(12_000)
    assert out[1000] == 3400
    assert out[9599] == 11_999
    assert not out[9600:].any()
    await asyncio.sleep(0.02)
    assert told.times == 1
    assert one.heard_ms == 500


async def test_a_new_stream_forgets_what_was_shelved_and_is_not_ducked() -> None:
    one = speaker()
    one.begin()
    one.play(constant(1))
    one.duck()
    one.fill(480)
    one.shelve()
    one.begin()
    one.play(constant(0.1, 0.25))
    one.resume()
    assert np.allclose(one.fill(240) / 32768, 0.25, atol=1e-3)


async def test_the_end_is_not_told_while_somebody_may_be_speaking() -> None:
    told = Told()
    one = speaker(told)
    one.latency_s = 0.02
    one.begin()
    one.play(constant(0.02))
    one.finish()
    one.fill(480)
    one.duck()
    await asyncio.sleep(0.06)
    assert told.times == 0
    one.swell()
    assert told.times == 1


async def test_cues_are_soft_while_somebody_speaks() -> None:
    one = speaker()
    one.duck()
    one.cue(constant(0.1, 0.5), RATE)
    assert one.fill(240)[100] / 32768 == pytest.approx(0.05, abs=1e-3)


class Taken:
    """What the device was told to have taken."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int]] = []
        self.position = 0

    def played(self, pcm: Any, position: int) -> None:
        self.blocks.append((position, len(pcm)))

    def handed(self, position: int, at: float) -> None:
        self.position = position

    def opened(self, rate: int, latency_s: float) -> None:
        self.position = 0


async def test_the_reference_is_told_all_that_sounds_and_counts_the_silence() -> None:
    taken = Taken()
    one = Speaker(Told(), rate=RATE, volume=50, reference=taken)
    one.skip(480)
    one.cue(constant(0.01), RATE)
    one.fill(480)
    assert taken.blocks == [(480, 480)]
    for _ in range(20):
        one.fill(480)
    assert taken.position == 480 * 22
    assert sum(length for _, length in taken.blocks) < 0.2 * RATE, "silence is not told for long"


async def test_a_reply_is_kept_up_to_its_bound() -> None:
    one = speaker()
    one.begin()
    for _ in range(int(LONGEST_S) + 20):
        one.play(constant(1))
    assert one.left_s == LONGEST_S


@pytest.mark.parametrize(("percent", "level"), [(100, 0.5), (50, 0.125), (0, 0.0)])
async def test_volume(percent: int, level: float) -> None:
    one = speaker(volume=percent)
    one.begin()
    one.play(constant(0.01))
    assert one.fill(240)[10] / 32768 == pytest.approx(level, abs=1e-3)


async def test_cues_are_mixed_over_the_stream_and_clipped_not_wrapped() -> None:
    one = speaker()
    one.begin()
    one.play(constant(0.1, 0.9))
    one.cue(constant(0.1, 0.9), RATE)
    assert one.fill(240)[100] == 32767


async def test_only_so_many_cues_at_once() -> None:
    one = speaker()
    for _ in range(50):
        one.cue(constant(0.01, 0.01), RATE)
    assert one.fill(240)[100] / 32768 == pytest.approx(0.04, abs=0.01)


@pytest.mark.parametrize("cue", list(Cue))
def test_cues_are_short_soft_and_begin_and_end_in_silence(cue: Cue) -> None:
    samples, rate = load(cue)
    assert 0.1 <= len(samples) / rate <= 0.45
    assert 0.05 < float(np.max(np.abs(samples))) < 0.6
    assert abs(float(samples[0])) < 0.01
    assert abs(float(samples[-1])) < 0.01


async def test_what_is_queued_goes_on_at_the_rate_of_another_device() -> None:
    told = Told()
    one = speaker(told)
    one.begin()
    one.play(constant(0.4))
    one.finish()
    one.fill(RATE // 10)
    one.opened(2 * RATE, 0.0)
    assert (one.left_s, one.heard_ms) == (pytest.approx(0.3, abs=0.01), 100)
    out = one.fill(2 * RATE)
    assert np.count_nonzero(out > 8000) / 2 / RATE == pytest.approx(0.3, abs=0.01)
    await asyncio.sleep(0.05)
    assert (told.times, one.heard_ms) == (1, pytest.approx(400, abs=10))


async def test_what_is_shelved_goes_on_at_the_rate_of_another_device() -> None:
    one = speaker()
    one.begin()
    one.play(constant(0.4))
    one.fill(RATE // 10)
    one.shelve()
    one.opened(RATE * 2, 0.0)
    one.resume()
    assert one.left_s == pytest.approx(0.3, abs=0.01)


async def test_of_the_cues_that_waited_for_a_device_one_is_heard() -> None:
    one = speaker()
    for _ in range(3):
        one.cue(constant(0.01, 0.2), RATE)
    one.opened(RATE, 0.0)
    assert np.max(one.fill(240)) == pytest.approx(0.2 * 32768, abs=2)
