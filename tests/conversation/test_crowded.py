"""Who never stops, two at once, music, and a model that takes a second for each word, in real sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from scripted import Ears, Script, quick
from speech import Say, espeak, silence

from antiphon.audio import vad
from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import new_memory
from antiphon_daemon.engines.contracts import Engines, Synthesizer

BLOCK = RATE // 50


class Timed(Asker):
    """Notes what is told, and at which second of the sound."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.over_s: list[float] = []
        self.nothing_s: list[float] = []

    def turn_over(self, text: str, language: str | None) -> None:
        self.over_s.append(self.now_s)
        super().turn_over(text, language)

    def nothing_heard(self) -> None:
        self.nothing_s.append(self.now_s)
        super().nothing_heard()


async def hear(voice: Synthesizer, sound: Samples, **turn: float) -> Timed:
    """Let a conversation hear a sound, faster than it lasts, and a second and a half of silence after it."""
    settings = Settings.model_validate({"turn": {"unknown_ms": 600, **turn}})
    peer = Timed()
    peer.begin()
    memory = new_memory(settings, "en")
    engines = Engines(Ears("hello"), Script(quick), voice)
    talk = Conversation(engines, settings, peer, vad.load(), memory, clock=lambda: peer.now_s)
    talk.open()
    whole = np.concatenate((sound, silence(1.5)))
    for start in range(0, len(whole), BLOCK):
        peer.now_s += BLOCK / RATE
        talk.hear(whole[start : start + BLOCK])
        await asyncio.sleep(0.001)
    await talk.close()
    return peer


def tune(seconds: float) -> Samples:
    """Return a melody with chords and a beat."""
    at = np.arange(round(seconds * RATE)) / RATE
    notes = np.repeat([262, 330, 392, 523, 392, 330, 294, 349], RATE // 3)
    pitch = np.resize(notes, len(at))
    sound = sum(np.sin(2 * np.pi * pitch * part * at) / part for part in (1, 1.5, 2, 3))
    beat = np.exp(-((at % 0.5) * 40)) * np.random.default_rng(5).normal(size=len(at))
    return (0.1 * sound + 0.1 * beat).astype(np.float32)


async def test_who_never_stops_talking_is_answered_all_the_same(voice: Synthesizer, say: Say) -> None:
    talk = say("And then we went on, and nobody knew why, so we asked the people who lived there, and they said no, ")
    peer = await hear(voice, np.concatenate([talk] * 3), longest_s=5)
    assert peer.over_s[0] == pytest.approx(5.0, abs=0.6)


async def test_two_people_at_once_are_one_turn_which_ends_with_the_second(voice: Synthesizer, say: Say) -> None:
    first, second = say("Please turn on the light in the kitchen."), espeak("No, I want to hear some music, please.")
    late = np.concatenate((silence(1.0), second))
    both = np.zeros(max(len(first), len(late)), dtype=np.float32)
    both[: len(first)] += first
    both[: len(late)] += late
    peer = await hear(voice, both)
    assert [at > len(both) / RATE - 0.3 for at in peer.over_s] == [True]


async def test_music_is_no_turn_and_speech_over_soft_music_ends_when_it_ends(voice: Synthesizer, say: Say) -> None:
    alone = await hear(voice, tune(6), no_speech_s=4)
    assert (alone.over_s, len(alone.nothing_s)) == ([], 1)
    speech = np.concatenate((silence(0.5), say("What is the capital of France?")))
    music = tune(len(speech) / RATE + 3)
    mixed = music * np.float32(0.1)
    mixed[: len(speech)] += speech
    peer = await hear(voice, mixed)
    assert peer.over_s == [pytest.approx(len(speech) / RATE + 0.6, abs=0.4)]


async def test_a_model_that_writes_a_token_a_second_is_waited_for(voice: Synthesizer) -> None:
    async def slowly() -> AsyncIterator[str]:
        for token in ("It is", " nearly", " noon."):
            await asyncio.sleep(1.0)
            yield token

    settings, peer = Settings(), Timed()
    turn = peer.begin()
    talk = Conversation(Engines(Ears(), Script(slowly), voice), settings, peer, vad.load(), new_memory(settings, "en"))
    talk.typed("hello")
    async with asyncio.timeout(15):
        await peer.done.wait()
    await talk.close()
    assert (turn.reply, turn.failure) == ("It is nearly noon.", None)
