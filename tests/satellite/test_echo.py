"""The parts of echo cancellation, each by itself: what is learned, what is lined up, what counts as speech."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.audio.pcm import RATE, Samples, level_db, to_bytes, to_samples
from antiphon.settings import Sound
from antiphon_satellite.interruption import FADED_FRAMES, HUSHED_FRAMES, Frame, Heard, Interruption
from antiphon_satellite.sound.alignment import MOST_S, Clocks, DelayFinder
from antiphon_satellite.sound.echo import AFTER_S, Echo
from antiphon_satellite.sound.linear import FRAME, LinearFilter
from antiphon_satellite.sound.residue import Residue


def noise(seconds: float, level_db: float = -20.0, seed: int = 0) -> Samples:
    """Return noise that comes and goes, as speech does."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * np.arange(count) / RATE)
    return (rng.normal(size=count) * swell * 10 ** (level_db / 20)).astype(np.float32)


def voice(seconds: float, level_db: float) -> Samples:
    """Return something with the pitch and the syllables of a voice."""
    at_s = np.arange(round(seconds * RATE)) / RATE
    pitch = sum(np.sin(2 * np.pi * 120 * number * at_s + number) / number for number in range(1, 25))
    syllables = np.convolve(np.sin(2 * np.pi * 3 * at_s) > -0.3, np.ones(400) / 400, "same")
    sound = pitch * syllables
    loud: Samples = (sound * 10 ** (level_db / 20) / np.sqrt(np.mean(sound**2))).astype(np.float32)
    return loud


def filtered(one: LinearFilter, near: Samples, far: Samples) -> Samples:
    frames = range(0, len(near) - FRAME + 1, FRAME)
    return np.concatenate([one.process(near[at : at + FRAME], far[at : at + FRAME])[0] for at in frames])


def delayed(sound: Samples, samples: int, gain: float = 0.5) -> Samples:
    echo: Samples = np.concatenate((np.zeros(samples, np.float32), sound))[: len(sound)] * np.float32(gain)
    return echo


def test_the_linear_filter_learns_an_echo_within_two_seconds_and_keeps_it_while_somebody_speaks() -> None:
    far = noise(4)
    echo = delayed(far, 700)
    person = np.where(np.arange(len(far)) > 3 * RATE, noise(4, -24.0, 1), 0).astype(np.float32)
    left = filtered(LinearFilter(), echo + person, far)
    last, spoken = slice(2 * RATE, 3 * RATE), slice(3 * RATE, 4 * RATE)
    assert level_db(left[last]) < level_db(echo[last]) - 20
    assert level_db(left[spoken] - person[spoken]) < level_db(echo[spoken]) - 10
    assert level_db(left[spoken]) == pytest.approx(level_db(person[spoken]), abs=1.0)


def test_the_linear_filter_is_never_worse_than_none_and_what_it_learned_moves_along() -> None:
    far = noise(3)
    one = LinearFilter()
    assert level_db(filtered(one, noise(3, -30, 5), far)) < -29.5, "the reference is not in it"
    one = LinearFilter()
    filtered(one, delayed(far, 5 * FRAME), far)
    one.shift(-3)
    moved = filtered(one, delayed(far, 2 * FRAME)[: RATE // 2], far[: RATE // 2])
    assert level_db(moved[RATE // 4 :]) < level_db(0.5 * far[: RATE // 2]) - 15


@pytest.mark.parametrize("delay_s", [0.01, 0.1, 0.2625, 1.1])
def test_the_delay_is_found_where_it_is_and_only_when_found_twice(delay_s: float) -> None:
    far = noise(4)
    begin = 2 * RATE
    near = np.roll(far, round(delay_s * RATE))[begin : begin + RATE] * 0.3 + noise(1, -50, 3)
    around = far[begin - int(MOST_S * RATE) : begin + RATE]
    finder = DelayFinder()
    assert finder.find(near, around) is None
    assert finder.find(near, around) == pytest.approx(delay_s, abs=0.0002)
    assert finder.find(noise(1, -20, 9), around) is None, "nothing of it is in there"


def test_the_lead_is_held_while_it_wanders_a_little_and_follows_what_was_lost() -> None:
    rng = np.random.default_rng(3)
    clocks = Clocks()
    for _ in range(50):
        clocks.note(0.5 + float(rng.normal(scale=0.003)))
    first = clocks.lead_s(0)
    assert first == pytest.approx(0.5, abs=0.002)
    for _ in range(100):
        clocks.note(0.502 + float(rng.normal(scale=0.003)))
        assert (clocks.lead_s(0), clocks.moved_s(0)) == (first, None)
    for _ in range(5):
        clocks.note(0.6)
    moved_s = clocks.moved_s(0)
    assert moved_s == pytest.approx(0.1, abs=0.002)
    assert clocks.lead_s(0) == first, "until it is known that sound was lost"
    clocks.move(0, moved_s)
    assert clocks.lead_s(0) == pytest.approx(0.6, abs=0.001)
    for _ in range(5):
        clocks.note(0.63 + 0.002)
    moved_s = clocks.moved_s(0)
    assert moved_s == pytest.approx(0.032, abs=0.002)
    clocks.keep(moved_s)
    assert clocks.moved_s(0) is None
    assert clocks.lead_s(0) == pytest.approx(0.6, abs=0.001), "a device only calls later"


def test_the_drift_is_told_by_where_the_echo_is_found() -> None:
    clocks = Clocks()
    clocks.note(0.5)
    for second in range(8):
        clocks.lead_s(second * RATE)
        clocks.found(second * RATE, 0.4 - 200e-6 * second)
    assert clocks.drift == pytest.approx(-200e-6, rel=0.02)
    here = clocks.lead_s(8 * RATE)
    assert clocks.lead_s(18 * RATE) - here == pytest.approx(-0.002, rel=0.02)


async def test_while_nothing_plays_sound_goes_through_untouched_and_nothing_is_loaded() -> None:
    echo = Echo(Sound())
    pcm = to_bytes(noise(0.03))
    assert echo.clean(pcm, 1.0) == (pcm, pcm)
    assert echo.clean(pcm[:100], 1.1) == (pcm[:100], pcm[:100])
    assert not echo.running
    assert echo._processor is None


async def test_it_begins_with_what_is_played_ends_some_seconds_after_and_loses_no_sample() -> None:
    echo = Echo(Sound())
    sent = heard = given = 0
    for block in range(400):
        if block == 10:
            echo.played(np.ones(720, np.int16) * 1000, block * 720)
        echo.handed((block + 1) * 720, block * 0.03)
        size = 480 + block % 3 - 1
        given += size
        out, ears = echo.clean(to_bytes(noise(size / RATE, -30)), block * 0.03 + 0.01)
        sent, heard = sent + len(out) // 2, heard + len(ears) // 2
        assert sent == heard
        assert given - sent < FRAME
        assert echo.running == (10 <= block < 10 + round(AFTER_S / 0.03))
    assert sent == given


def sent_beside(played_s: float, person: Samples) -> Samples:
    """Return what is sent of two seconds in which a new satellite plays noise of -26 dB and a person speaks."""
    echo = Echo(Sound())
    played = np.zeros(3 * RATE, np.float32)
    sounds = noise(played_s, -26.0)
    played[: len(sounds)] = sounds
    near = delayed(played[: 2 * RATE], RATE // 10) + person
    out = []
    for block in range(2 * RATE // 480):
        pcm = (played[block * 480 : (block + 1) * 480].repeat(3)[::2] * 32767).astype(np.int16)
        echo.played(pcm, block * 720)
        echo.handed((block + 1) * 720, block * 0.03)
        out.append(echo.clean(to_bytes(near[block * 480 : (block + 1) * 480]), block * 0.03 + 0.03)[0])
    return to_samples(b"".join(out))


async def test_the_first_word_at_a_cue_is_sent_whole_though_no_echo_was_found_yet() -> None:
    begins = round(0.3 * RATE)
    person = np.zeros(2 * RATE, np.float32)
    person[begins : begins + RATE] = np.concatenate((noise(0.06, -38.0, 5), noise(0.94, -20.0, 6)))
    sent = sent_beside(0.2, person)
    consonant = slice(begins, begins + round(0.06 * RATE))
    assert level_db(sent[consonant] - person[consonant]) < level_db(person[consonant]) - 15


async def test_a_reply_whose_echo_was_not_found_yet_is_not_sent() -> None:
    sent = sent_beside(2.0, np.zeros(2 * RATE, np.float32))
    assert level_db(sent[RATE:]) < level_db(delayed(noise(2.0, -26.0), RATE // 10)[RATE:]) - 10


@pytest.mark.parametrize("setting", ["noise_suppression", "auto_gain"])
async def test_noise_and_gain_are_processed_in_turns_where_that_is_wanted(setting: str) -> None:
    echo = Echo(Sound(echo_cancellation=False, **{setting: True}))
    pcm = to_bytes(noise(0.6, -40))
    assert echo.clean(pcm, 0.0)[0] == pcm
    echo.wanted = True
    out, ears = echo.clean(pcm, 0.6)
    assert len(out) == len(ears) == len(pcm)
    assert out != pcm


async def test_without_cancellation_the_reference_is_not_kept() -> None:
    echo = Echo(Sound(echo_cancellation=False))
    echo.played(np.ones(720, np.int16), 0)
    pcm = to_bytes(noise(0.03))
    assert echo.clean(pcm, 0.0) == (pcm, pcm)
    assert not echo.running


SPEECH, SILENCE, RESIDUE = Frame(0.9, -30, -60), Frame(0.1, -60, -60), Frame(0.9, -40, -42)


def told(*frames: Frame, lasting_ms: int = 200) -> list[tuple[int, Heard]]:
    """Return what was heard, and in which frame."""
    one = Interruption(lasting_ms)
    return [(number, heard) for number, frame in enumerate(frames) if (heard := one.feed(frame)) is not None]


def test_one_frame_of_speech_begins_and_a_fifth_of_a_second_lasts() -> None:
    assert told(SILENCE, *[SPEECH] * 10) == [(1, Heard.BEGAN), (6, Heard.LASTED)]


def test_a_short_sound_fades_and_the_next_begins_anew() -> None:
    short = [SPEECH, SPEECH, *[SILENCE] * FADED_FRAMES]
    assert [heard for _, heard in told(*short, *short)] == [Heard.BEGAN, Heard.FADED] * 2


def test_speech_with_gaps_lasts_and_noises_now_and_then_do_not() -> None:
    assert told(SPEECH, SPEECH, SPEECH, SILENCE, SPEECH, SPEECH)[-1] == (5, Heard.LASTED)
    sparse = [SPEECH, SILENCE, SILENCE, SILENCE] * 10
    assert Heard.LASTED not in [heard for _, heard in told(*sparse)]


def test_what_is_left_of_the_echo_is_silence_and_so_is_what_is_too_soft() -> None:
    assert told(*[RESIDUE] * 20) == []
    assert told(*[Frame(0.9, -55, -90)] * 20) == []


def test_the_end_of_the_speech_is_told_once_and_not_for_its_pauses() -> None:
    pause = [SILENCE] * (HUSHED_FRAMES - 1)
    seen = told(*[SPEECH] * 8, *pause, SPEECH, *pause, SILENCE, *[SILENCE] * 50)
    assert [heard for _, heard in seen] == [Heard.BEGAN, Heard.LASTED, Heard.HUSHED]


def test_where_no_echo_was_ever_found_a_microphone_that_is_late_raises_no_new_doubt() -> None:
    """A sound server that was idle gives its first blocks late: who wears headphones is still heard over a reply."""
    residue = Residue()
    rng = np.random.default_rng(4)
    silent = np.zeros(FRAME, dtype=np.float32)

    def plays() -> float:
        return residue.follow(silent, silent, rng.normal(0, 0.1, FRAME).astype(np.float32))

    first = plays()
    learned = [plays() for _ in range(300)][-1]
    assert first > -25
    assert learned < -70
    residue.moved()
    assert plays() == pytest.approx(learned, abs=2)
    residue.found()
    residue.moved()
    assert plays() > -25


@pytest.mark.parametrize("cancels", [True, False])
async def test_a_quiet_voice_is_brought_to_an_even_level_whether_or_not_echo_is_cancelled(cancels: bool) -> None:
    echo = Echo(Sound(auto_gain=True, echo_cancellation=cancels))
    echo.wanted = True
    quiet = voice(6.0, -45.0)
    sent = b"".join(
        echo.clean(to_bytes(quiet[start : start + 480]), start / RATE)[0] for start in range(0, len(quiet), 480)
    )
    assert level_db(to_samples(sent)[-2 * RATE :]) > -35
