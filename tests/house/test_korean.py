"""Korean from sound to sound on small machines: vosk hears, a skill answers, espeak-ng speaks.

Vosk's small model makes out little of synthetic speech, so one question that it does is asked: what stands between
hearing and speaking is what is tried here.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from speech import espeak, silence
from test_ask import asked

from antiphon.audio import wav
from antiphon.audio.pcm import level_db

KOREAN = {
    "ANTIPHON__LANGUAGE": "ko",
    "ANTIPHON__STT__ENGINE": "vosk",
    "ANTIPHON__TTS__ENGINE": "espeak",
}

ASKED = 2
"""Times: its search makes something else of the same sound now and then."""


@pytest.mark.timeout(180)
def test_a_spoken_korean_question_gets_a_spoken_korean_answer(tmp_path: Path) -> None:
    question, reply = tmp_path / "question.wav", tmp_path / "reply.wav"
    wav.write(question, np.concatenate((silence(0.3), espeak("얼마나 남았어", "ko"), silence(0.5))))
    turns, ran = asked("--text", "십 분 타이머 맞춰 줘", *[question] * ASKED, "--out", reply, **KOREAN)
    assert ran.returncode == 0, ran.stderr
    assert turns[0]["reply"] == "10분 타이머를 맞췄어요."
    assert {turn["language"] for turn in turns} == {"ko"}
    heard = [turn for turn in turns[1:] if re.fullmatch("얼마[나가]?남았어", turn["transcript"].replace(" ", ""))]
    assert heard, [turn["transcript"] for turn in turns]
    assert all(re.fullmatch(r"(10분|9분 \d{1,2}초) 남았어요\.", turn["reply"]) for turn in heard)
    sound = wav.read(reply)
    assert len(sound) > 16_000 * len(heard)
    assert level_db(sound) > -40
