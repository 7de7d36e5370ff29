"""The clients of the benchmarks, against a gateway whose engines follow a script: they time what a client hears."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scripted import Ears, Script, Tones, quick
from speech import Say, silence

from antiphon.audio import vad, wav
from antiphon.audio.pcm import RATE
from antiphon.configuration import ROOT
from antiphon_daemon.app import serving
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.gateway.sound import wav_chunks

from .conftest import quiet_settings

sys.path.insert(0, str(ROOT / "bench"))

import load
from _corpus import Utterance
from _difference import parts_of
from _processes import Program
from _wires import Daemon, Wire, WsCall

UNKNOWN_S = 0.75
"""Nothing judges the turn here: so much silence ends it."""


async def test_a_turn_over_the_wire_and_two_speakers_at_once(
    gateways: list[Any], say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(vad.load)
    monkeypatch.setattr(load, "THINK_S", (0.0, 0.1))
    speech = np.concatenate((silence(0.2), say("How are you?")))
    bounds = vad.speech_bounds(speech, vad.load())
    assert bounds is not None
    wav.write(tmp_path / "a.wav", speech[: bounds[1]])
    said = Utterance("a.wav", "How are you?", "joe", bounds[1] / RATE)
    async with serving(quiet_settings(), Engines(Ears(), Script(quick), Tones())):
        port = gateways[-1].port
        result = await Wire("ws", port).converse(said, speech[: bounds[1]])
        assert not result.cut_off
        assert result.hit
        assert result.first_audio_s is not None
        assert result.first_audio_s > UNKNOWN_S - 0.1
        parts = parts_of(result)
        assert parts is not None
        assert sum(parts.values()) == pytest.approx(result.first_audio_s)
        assert parts["hold"] > UNKNOWN_S - 0.1
        here = cast(Any, SimpleNamespace(pid=os.getpid()))
        daemon = Daemon(Program("daemon", here, Path(os.devnull)), port)
        spoken = await load.Bench(daemon, tmp_path, [said], together=True, impatient=False).speak(2, 1)
        found = load.figures(spoken)
        assert (found["turns"], found["hits"], found["unanswered"], found["errors"]) == (2, 2, 0, [])
        assert found["p50_ms"] >= 1000 * (UNKNOWN_S - 0.1)


def test_a_reply_that_stumbles_is_told() -> None:
    call = WsCall(cast(Any, None))
    (tenth,) = wav_chunks(bytes(2 * RATE // 10), RATE)
    call.take('{"type": "reply_began"}', 1.0)
    for at in (1.0, 1.05, 1.6):
        call.take(tenth, at)
    assert call.sound_at == [1.0]
    assert call.gap_s == pytest.approx(0.4)
    call.forget()
    call.take('{"type": "reply_began"}', 9.0)
    call.take(tenth, 9.0)
    assert call.gap_s == 0
    spoken = load.Spoken(1, gaps_s=[0.4, 0.0, 0.04])
    assert (load.figures(spoken)["gaps"], load.figures(spoken)["gap_worst_ms"]) == (1, 400)
