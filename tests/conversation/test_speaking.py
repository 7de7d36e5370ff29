"""A reply on its way to the loudspeaker: trimmed, paced, with pauses, and what was heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speech import silence as quiet

from antiphon.audio.pcm import Samples, level_db, to_bytes, to_samples
from antiphon.settings import Deadlines
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation import turn_types as turns
from antiphon_daemon.conversation.clauses import Ending, Part
from antiphon_daemon.conversation.drafts import Draft, Told
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.pacing import PAUSES_MS, Pace, Utterances, letters
from antiphon_daemon.conversation.reply import Reply
from antiphon_daemon.conversation.trimming import LEAD_MS, TAIL_MS, Trimmer
from antiphon_daemon.engines.contracts import EngineError, Synthesizer, Voice, Work
from antiphon_daemon.engines.work import Token
from antiphon_daemon.insight.trace import Trace

RATE = 22_050


async def said(voice: Synthesizer, text: str) -> Samples:
    blocks = [block async for block in voice.speak(text, Token(), voice=None, language="en")]
    return to_samples(b"".join(blocks))


def trimmed(sound: Samples, size: int) -> Samples:
    trimmer, pcm = Trimmer(RATE), to_bytes(sound)
    parts = [trimmer.feed(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    return to_samples(b"".join((*parts, trimmer.rest())))


def silent_ms(sound: Samples) -> tuple[float, float]:
    """Return the silence at the beginning and at the end."""
    loud = np.flatnonzero(np.abs(sound) > 10 ** (-40 / 20))
    return float(loud[0]) / RATE * 1000, float(len(sound) - 1 - loud[-1]) / RATE * 1000


# Trimming.


@pytest.mark.parametrize(
    "text", ["Sure.", "The light is on.", "Have a look at the first of them, please.", "Half past six!"]
)
async def test_real_speech_loses_its_silence_and_nothing_else(voice: Synthesizer, text: str) -> None:
    sound = await said(voice, text)
    whole = trimmed(sound, len(sound) * 2)
    before, after = silent_ms(whole)
    assert before <= LEAD_MS + 25, "an onset may be quiet, but silence is no onset"
    assert after <= TAIL_MS + 60
    assert len(sound) > len(whole) > 0.5 * len(sound)
    lead, tail = silent_ms(sound)
    kept = len(sound) - len(whole)
    assert kept / RATE * 1000 <= lead + tail, "no speech is lost"


async def test_trimming_does_not_depend_on_how_the_sound_came(voice: Synthesizer) -> None:
    sound = await said(voice, "The light is on. And so is the fan.")
    whole = trimmed(sound, len(sound) * 2)
    for size in (2 * 441, 2 * 2205, 4001):
        assert abs(len(trimmed(sound, size)) - len(whole)) <= RATE * 10 // 1000


def test_silence_alone_is_nothing_and_a_long_pause_is_not_held_back() -> None:
    assert len(trimmed(quiet(3), 4410)) == 0
    assert len(trimmed(np.zeros(0, dtype=np.float32), 100)) == 0
    tone = (0.3 * np.sin(np.arange(RATE // 2) / 20)).astype(np.float32)
    trimmer = Trimmer(RATE)
    trimmer.feed(to_bytes(tone))
    passed = trimmer.feed(to_bytes(np.zeros(5 * RATE, dtype=np.float32)))
    assert len(passed) > 2 * 2.5 * RATE
    whole = trimmed(np.concatenate((tone, np.zeros(RATE, dtype=np.float32), tone)), 2000)
    assert len(whole) == pytest.approx(2 * RATE, abs=RATE // 50)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 6000), max_size=12), st.integers(0, 3))
def test_any_blocks_and_torn_samples(sizes: list[int], odd: int) -> None:
    pcm = to_bytes((0.3 * np.sin(np.arange(12_000) / 9)).astype(np.float32))[odd:]
    trimmer, at, parts = Trimmer(RATE), 0, []
    for size in sizes:
        parts.append(trimmer.feed(pcm[at : at + size]))
        at += size
    out = b"".join((*parts, trimmer.rest()))
    assert len(out) % 2 == 0
    assert len(out) <= min(at, len(pcm))


# Pacing.


async def taken(parts: Sequence[Part], pace: Pace, ahead: float) -> list[str]:
    queue: asyncio.Queue[Part | None] = asyncio.Queue()
    for part in parts:
        queue.put_nowait(part)
    queue.put_nowait(None)
    utterances, found, sound_s = Utterances(queue, pace, "en", lambda: sound_s), list[str](), 0.0
    while (one := await utterances.next()) is not None:
        found.append(one.spoken.written)
        sound_s = ahead
    return found


PARTS = [
    Part("One,", Ending.CLAUSE),
    Part(" two and", Ending.JOINT),
    Part(" three,", Ending.CLAUSE),
    Part(" four.", Ending.SENTENCE),
    Part(" Five.", Ending.SENTENCE),
]


async def test_the_first_clause_is_alone_and_then_come_whole_sentences() -> None:
    assert await taken(PARTS, Pace(), 5.0) == ["One,", " two and three, four.", " Five."]


async def test_a_slow_voice_says_less_at_a_time() -> None:
    slow = Pace()
    for _ in range(30):
        slow.took(10, 1.0)
    assert await taken(PARTS, slow, 0.5) == ["One,", " two and", " three,", " four.", " Five."]
    assert await taken(PARTS, slow, 1.3) == ["One,", " two and", " three, four.", " Five."]


async def test_the_rest_of_a_sentence_is_waited_for_only_while_there_is_sound() -> None:
    queue: asyncio.Queue[Part | None] = asyncio.Queue()
    utterances = Utterances(queue, Pace(), "en", lambda: 0.5)
    queue.put_nowait(Part("This is late,", Ending.CLAUSE))
    async with asyncio.timeout(5):
        one = await utterances.next()
    assert one is not None
    assert one.spoken.text == "This is late,"
    queue.put_nowait(Part(" but here.", Ending.SENTENCE))
    queue.put_nowait(None)
    rest = await utterances.next()
    assert rest is not None
    assert (rest.spoken.text, await utterances.next(), await utterances.next()) == ("but here.", None, None)


async def test_a_forced_cut_is_spoken_without_a_fall_and_without_a_pause() -> None:
    queue: asyncio.Queue[Part | None] = asyncio.Queue()
    queue.put_nowait(Part("It is the city", Ending.JOINT))
    queue.put_nowait(None)
    one = await Utterances(queue, Pace(), "en", lambda: 0.0).next()
    assert one is not None
    assert (one.spoken.text, one.spoken.written, one.pause_ms) == ("It is the city,", "It is the city", 0)


def test_a_pace_is_learned() -> None:
    pace = Pace()
    for size in (20, 60, 100):
        for _ in range(10):
            pace.took(size, 0.1 + size / 100)
    assert 0.2 < pace.needs_s(20) < 0.5
    assert 0.9 < pace.needs_s(100) < 1.6
    assert letters("ab 가") == 5


# The reply.


class Heard:
    """Collects a reply."""

    def __init__(self) -> None:
        self.pcm: list[bytes] = []
        self.text = ""
        self.ended: int | None = None
        self.failed: EngineError | None = None

    def reply_began(self, rate: int) -> None: ...

    def reply_sound(self, pcm: bytes) -> None:
        self.pcm.append(pcm)

    def reply_written(self, text: str) -> None:
        self.text = text

    def reply_ended(self, samples: int) -> None:
        self.ended = samples

    def reply_failed(self, error: EngineError) -> None:
        self.failed = error


class Beeps:
    """A voice that says each letter as 50 ms of tone, between silences, and notes what it was given."""

    name, rate = "beeps", RATE
    voices: Sequence[Voice] = (Voice("beeps", ("en", "ko")),)

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        self.texts.append(text)
        await asyncio.sleep(0)
        tone = (0.3 * np.sin(np.arange(len(text) * RATE // 20) / 10)).astype(np.float32)
        yield to_bytes(np.concatenate((np.zeros(1000, dtype=np.float32), tone, np.zeros(4000, dtype=np.float32))))

    async def close(self) -> None: ...


async def typed(*deltas: str) -> AsyncGenerator[str, None]:
    for delta in deltas:
        await asyncio.sleep(0)
        yield delta


async def replied(voice: Synthesizer, *deltas: str, language: str = "en") -> tuple[Reply, Heard]:
    heard = Heard()
    reply = Reply(
        typed(*deltas), voice, heard, Token(), language=language, voice=None, deadlines=Deadlines(), trace=Trace()
    )
    reply.release()
    async with asyncio.timeout(30):
        await reply.run()
    return reply, heard


async def test_what_is_written_stays_and_what_is_said_is_said() -> None:
    voice = Beeps()
    text = "**Sure**, it is 25°C.\n\n- 3 apples\n- 2 pears"
    reply, heard = await replied(voice, *text)
    assert heard.text == reply.text == text
    assert " ".join(voice.texts) == "Sure, it is twenty-five degrees Celsius. three apples. two pears."


async def test_korean_is_said_in_korean() -> None:
    voice = Beeps()
    reply, _ = await replied(voice, "지금은 3시 ", "30분이고 ", "기온은 25°C예요.", language="ko")
    assert reply.text == "지금은 3시 30분이고 기온은 25°C예요."
    assert " ".join(voice.texts).replace(",", "") == "지금은 세 시 삼십 분이고 기온은 섭씨 이십오 도예요."


async def test_code_is_announced_and_kept_in_writing() -> None:
    voice = Beeps()
    text = "Do this:\n```\nrm -rf build\n```\nDone."
    reply, heard = await replied(voice, *text)
    assert heard.text == text
    assert voice.texts == ["Do this:", "Here comes some code.", "Done."]
    assert reply.heard_text(1e6) == text


async def test_pauses_follow_the_punctuation_and_none_ends_the_reply() -> None:
    voice = Beeps()
    reply, heard = await replied(voice, "Yes, one two three. ", "Four five. ", "Six.")
    pauses = [PAUSES_MS[Ending.CLAUSE], PAUSES_MS[Ending.SENTENCE], PAUSES_MS[Ending.SENTENCE], 0]
    assert [clause.pause / RATE * 1000 for clause in reply.clauses] == pytest.approx(pauses, abs=1)
    sound = to_samples(b"".join(heard.pcm))
    assert len(sound) == reply.samples
    before, after = silent_ms(sound)
    assert before <= LEAD_MS + 5
    assert after <= TAIL_MS + 5
    assert heard.ended == round(reply.samples / RATE * 16_000)


async def test_what_was_heard_is_told_in_written_words() -> None:
    reply, _ = await replied(Beeps(), "It costs **$3.50**, or €4. ", "Take 2 of them.")
    rate_ms = 1000 / RATE
    first = reply.clauses[0]
    assert first.text == "It costs **$3.50**,"
    assert reply.heard_text(0) == ""
    assert reply.heard_text(first.samples * rate_ms * 0.5) == "It costs"
    assert reply.heard_text(first.samples * rate_ms) == "It costs **$3.50**,"
    assert reply.heard_text((first.samples + first.pause) * rate_ms + 1) == "It costs **$3.50**,"
    everything = reply.samples * rate_ms
    assert reply.heard_text(everything) == reply.text == "It costs **$3.50**, or €4. Take 2 of them."
    assert reply.heard_text(everything - 40) == reply.text
    words = [reply.heard_text(at) for at in np.linspace(0, everything, 80)]
    assert all(reply.text.startswith(one) for one in words)
    assert all(len(one) <= len(later) for one, later in pairwise(words))


async def test_a_reply_that_goes_on_says_nothing_twice_and_leaves_nothing_out() -> None:
    """It may be stopped and go on more than once, also when all of it has been given out."""
    reply, heard = await replied(Beeps(), "Yes, one two three. ", "Four five.")
    whole, at = b"".join(heard.pcm), 0
    for heard_ms in (0, 400, 0, 300, 60_000):
        reply.pause()
        reply.wind_back(heard_ms)
        at = min(at + heard_ms * RATE // 1000, reply.samples)
        heard.pcm.clear()
        reply.release()
        assert b"".join(heard.pcm) == whole[2 * at :]
        assert heard.ended == round((reply.samples - at) / RATE * 16_000)
        assert reply.left_ms(0) == pytest.approx((reply.samples - at) * 1000 / RATE)


async def test_what_comes_while_a_reply_is_stopped_waits_until_it_goes_on() -> None:
    """The race: it is stopped after its first clause, before the second has been spoken."""
    more = asyncio.Event()

    async def words() -> AsyncGenerator[str, None]:
        yield "Yes, "
        await more.wait()
        yield "one two three."

    heard = Heard()
    reply = Reply(words(), Beeps(), heard, Token(), language="en", voice=None, deadlines=Deadlines(), trace=Trace())
    reply.release()
    running = asyncio.create_task(reply.run())
    async with asyncio.timeout(5):
        while not heard.pcm:
            await asyncio.sleep(0)
    reply.pause()
    before = b"".join(heard.pcm)
    reply.wind_back(100)
    more.set()
    await asyncio.sleep(0.05)
    assert b"".join(heard.pcm) == before, "it is stopped"
    assert heard.ended is None
    heard.pcm.clear()
    reply.release()
    async with asyncio.timeout(5):
        await running
    assert len(b"".join(heard.pcm)) == 2 * (reply.samples - RATE // 10)
    assert heard.text == "Yes, one two three."


def test_time_in_which_a_listener_had_nothing_to_play_does_not_count_as_heard() -> None:
    at_s, told = [0.0], list[turns.Event]()
    one = Told(Asker(), Draft(3, Trace()), lambda make: told.append(make(round(at_s[0] * 16_000))), lambda: at_s[0])
    one.reply_began(RATE)
    one.reply_sound(bytes(2 * RATE))
    at_s[0] = 1.05
    one.reply_sound(bytes(2 * RATE))
    assert told == [turns.ReplyBegan(0, 3)], "it has hardly run dry"
    at_s[0] = 5.0
    one.reply_sound(bytes(2 * RATE))
    assert told[1:] == [turns.ReplyBegan(3 * 16_000, 3)], "two seconds were heard, and three have nothing"


async def test_real_words_are_heard_in_order(voice: Synthesizer) -> None:
    reply, heard = await replied(voice, "One, two and three. ", "It is 25°C, and 3:30 p.m.")
    total_ms = reply.samples / RATE * 1000
    assert sum(map(len, heard.pcm)) == reply.samples * 2
    assert -40 < level_db(to_samples(b"".join(heard.pcm))) < -6
    assert reply.heard_text(total_ms / 2).startswith("One, two")
    assert "p.m." not in reply.heard_text(total_ms * 0.8)
    assert reply.heard_text(total_ms) == "One, two and three. It is 25°C, and 3:30 p.m."


@pytest.mark.parametrize("text", ["", "  ", "***", "😀", "---\n\n"])
async def test_a_reply_without_words_is_an_apology(text: str) -> None:
    reply, heard = await replied(Beeps(), text)
    assert reply.failed
    assert heard.text == message("empty", "en")


async def test_a_draft_is_spoken_ahead_only_so_far_until_its_turn_is_over() -> None:
    """The race: a draft of a long reply waits for its turn to be over, and must go on when it is."""
    voice, heard = Beeps(), Heard()
    words = typed(*("This is one long sentence of many words. " for _ in range(40)))
    reply = Reply(words, voice, heard, Token(), language="en", voice=None, deadlines=Deadlines(), trace=Trace())
    running = asyncio.create_task(reply.run())
    async with asyncio.timeout(20):
        while reply.samples < 20 * RATE:
            await asyncio.sleep(0.01)
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not running.done()
        assert reply.samples < 30 * RATE
        assert not heard.pcm
        reply.release()
        await running
    assert heard.ended
    assert len(voice.texts) == 40
