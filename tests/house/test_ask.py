"""`antiphon ask` as scripts call it: one process, real models, any kind of file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from jiwer import wer
from speech import Say, silence

from antiphon.audio import wav
from antiphon.audio.pcm import RATE, Samples, resample
from antiphon.settings import Settings
from antiphon_daemon.ask import Turn, _show

pytestmark = pytest.mark.timeout(180)

QUESTION = "What is the capital of Italy?"
MARKS = ["speech_end", "soft_end", "turn_end", "stt", "llm_first", "tts_first", "first_audio", "done"]


def antiphon(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    given = {**os.environ, "ANTIPHON__LLM__TEMPERATURE": "0", **environment}
    command = [sys.executable, "-m", "antiphon", *map(str, arguments)]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=150, check=False)


def asked(*arguments: object, **environment: str) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[str]]:
    """Run `ask --json` and return its lines."""
    ran = antiphon("ask", "--json", *arguments, **environment)
    return [json.loads(line) for line in ran.stdout.splitlines()], ran


def plain(text: str) -> str:
    """Return the words alone."""
    return "".join(c for c in text.lower() if c.isalnum() or c == " ")


@pytest.fixture
def spoken(tmp_path: Path, say: Say) -> Path:
    path = tmp_path / "question.wav"
    wav.write(path, np.concatenate((silence(0.3), say(QUESTION), silence(0.3))))
    return path


async def heard(path: Path) -> str:
    """Transcribe a file with the embedded model."""
    from antiphon_daemon.engines.build import build_transcriber
    from antiphon_daemon.engines.work import Token

    transcriber = await build_transcriber(Settings())
    try:
        return (await transcriber.transcribe(wav.read(path), Token(), language="en")).text
    finally:
        await transcriber.close()


async def test_a_written_question_is_answered_and_the_reply_is_speech(tmp_path: Path) -> None:
    reply = tmp_path / "reply.wav"
    (turn,), ran = asked("--text", QUESTION, "--out", reply)
    assert ran.returncode == 0, ran.stderr
    assert turn["transcript"] == QUESTION
    assert "Rome" in turn["reply"]
    assert list(turn["timeline"]) == MARKS
    assert turn["timeline"]["speech_end"] == 0
    assert turn["timeline"]["first_audio"] <= turn["timeline"]["done"]
    assert turn["language"] == "en"
    assert wer(plain(turn["reply"]), plain(await heard(reply))) <= 0.2


def test_a_timer_by_voice_and_in_korean_by_text(tmp_path: Path, say: Say) -> None:
    files = []
    for number, text in enumerate(("Set a timer for ten minutes.", "How long is left?", "Cancel it.")):
        files.append(tmp_path / f"{number}.wav")
        wav.write(files[-1], np.concatenate((silence(0.3), say(text), silence(0.3))))
    turns, ran = asked("--speed", "max", *files, "--text", "십 분 타이머 맞춰 줘", "--text", "그만")
    assert ran.returncode == 0, ran.stderr
    assert turns[0]["reply"] == "Timer set for 10 minutes."
    assert turns[1]["reply"].endswith("left.")
    assert turns[2]["reply"] == "The timer is cancelled."
    assert (turns[3]["reply"], turns[3]["language"]) == ("10분 타이머를 맞췄어요.", "ko")
    assert (turns[4]["reply"], turns[4].get("error")) == ("", None)
    assert "Note: no voice here speaks ko: the reply is only written." in ran.stderr
    assert "Note: 1 timer ended with this command" in ran.stderr


def test_spoken_questions_in_one_conversation_in_the_order_given(spoken: Path, tmp_path: Path, say: Say) -> None:
    second = tmp_path / "second.wav"
    wav.write(second, say("How many people live there?"))
    turns, ran = asked(spoken, "--text", "My name is Ann.", second)
    assert ran.returncode == 0, ran.stderr
    assert [plain(turn["transcript"]) for turn in turns] == [
        plain(QUESTION),
        "my name is ann",
        "how many people live there",
    ]
    first = turns[0]
    assert abs(first["heard_ms"] - 1700) < 500
    timeline = first["timeline"]
    assert 100 <= timeline["soft_end"] < timeline["turn_end"] <= timeline["first_audio"]
    assert timeline["stt"] < timeline["turn_end"], "the draft is heard inside the silence"
    assert first["revision"] > 0


def sounds(folder: Path, spoken: Path, question: Samples) -> dict[str, tuple[Path, str]]:
    """Return files of every bad kind, with what must be said of them ("" for those that are heard)."""
    whole = spoken.read_bytes()
    made: dict[str, tuple[Path, str]] = {}
    for name, content, said in (
        ("empty", b"", "the file is empty"),
        ("truncated", whole[: len(whole) // 2], "is cut short"),
        ("not-a-wav", b"hello " * 100, "is no sound file"),
    ):
        (folder / f"{name}.wav").write_bytes(content)
        made[name] = (folder / f"{name}.wav", said)
    for name, sound, said in (
        ("silence", silence(2), "no speech was heard"),
        ("noise", np.random.default_rng(1).normal(0, 0.05, 3 * RATE).astype(np.float32), "no speech was heard"),
    ):
        wav.write(folder / f"{name}.wav", sound)
        made[name] = (folder / f"{name}.wav", said)
    with wave.open(str(folder / "hour.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(4000)
        file.writeframes(b"\x80" * (4000 * 3600))
    made["hour"] = (folder / "hour.wav", "lasts 60 minutes")
    made["missing"] = (folder / "nowhere.wav", "no such file")
    soundfile.write(folder / "eight.wav", resample(question, RATE, 11_025), 11_025, subtype="PCM_U8")
    made["8-bit"] = (folder / "eight.wav", "")
    stereo = np.repeat(resample(question, RATE, 48_000)[:, None], 2, axis=1)
    soundfile.write(folder / "stereo.wav", stereo, 48_000, subtype="FLOAT")
    made["48 kHz stereo float"] = (folder / "stereo.wav", "")
    return made


def test_each_bad_file_gets_one_sentence_and_the_others_are_answered(tmp_path: Path, spoken: Path, say: Say) -> None:
    made = sounds(tmp_path, spoken, np.concatenate((silence(0.3), say(QUESTION))))
    turns, ran = asked("--speed", "max", *(path for path, _ in made.values()))
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert len(turns) == len(made)
    errors = [line for line in ran.stderr.splitlines() if line.startswith("Error: ")]
    for (name, (path, said)), turn in zip(made.items(), turns, strict=True):
        if said:
            (line,) = [error for error in errors if str(path) in error]
            assert said in line, name
            assert said in turn["error"]
            assert turn["reply"] == ""
        else:
            assert plain(turn["transcript"]) == plain(QUESTION), name
            assert turn["reply"]


def test_a_language_that_no_model_knows_is_answered_with_a_sentence(spoken: Path) -> None:
    (turn,), ran = asked(spoken, "--speed", "max", ANTIPHON__LANGUAGE="fr")
    assert ran.returncode == 1
    assert turn["reply"] == "Sorry, I can't understand that language yet."
    assert "fr" in turn["error"]


def test_a_language_model_that_is_not_there_is_said_aloud(tmp_path: Path) -> None:
    out = tmp_path / "reply.wav"
    settings = {
        "ANTIPHON__LLM__ENGINE": "ollama",
        "ANTIPHON__LLM__MODEL": "x",
        "ANTIPHON__LLM__URL": "http://127.0.0.1:9",
    }
    (turn,), ran = asked("--text", QUESTION, "--out", out, **settings)
    assert ran.returncode == 1
    assert "language model" in turn["reply"]
    assert "ollama serve" in turn["error"]
    assert len(wav.read(out)) > RATE


def test_a_model_file_cut_short_is_named(tmp_path: Path) -> None:
    from antiphon_daemon.engines import catalogue

    short = tmp_path / "short.gguf"
    short.write_bytes(catalogue.gguf().read_bytes()[:1_000_000])
    ran = antiphon("ask", "--text", "Hi", ANTIPHON__LLM__MODEL=str(short))
    assert ran.returncode == 1
    errors = [line for line in ran.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert str(short) in errors[0]
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ask",), "there is nothing to ask"),
        (("ask", "--speed", "slow", "x.wav"), "slow"),
        (("ask", "-"), "Standard input is not read"),
        (("ask", "--text", "Hi", "--", "-"), "Standard input is not read"),
        (("frobnicate",), "No such command"),
        (("bench", "nothing"), "There is no benchmark"),
    ],
)
def test_wrong_usage_ends_with_two(arguments: tuple[str, ...], said: str) -> None:
    ran = antiphon(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_wrong_config_ends_with_two_and_names_the_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("language: en\nstt:\n  modell: x\n")
    ran = antiphon("--config", config, "ask", "--text", "Hi")
    assert ran.returncode == 2
    assert ran.stderr.strip() == f"Error: {config}:3: stt.modell is no setting; did you mean model?"


def test_an_empty_text_is_told(spoken: Path) -> None:
    turns, ran = asked("--text", "  ", "--text", "Hello.")
    assert ran.returncode == 1
    assert turns[0]["error"] == "the text is empty"
    assert turns[1]["reply"]


@pytest.mark.parametrize("out", ["nowhere/reply.wav", "."])
def test_replies_that_cannot_be_written_are_one_sentence(tmp_path: Path, out: str) -> None:
    ran = antiphon("ask", "--text", "What time is it?", "--out", tmp_path / out if out != "." else out)
    assert ran.returncode == 1
    assert [line for line in ran.stderr.splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in ran.stderr


def test_a_terminal_without_our_letters_shows_others_in_their_place() -> None:
    ran = antiphon("ask", "--text", "What time is it?", PYTHONIOENCODING="latin-1")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "?" in ran.stdout
    (turn,), ran = asked("--text", "지금 몇 시야?", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0
    assert turn["transcript"] == "지금 몇 시야?"


def test_what_is_asked_may_look_like_an_option_or_be_no_text() -> None:
    (turn,), ran = asked("--text", "--help")
    assert turn["transcript"] == "--help"
    assert "Traceback" not in ran.stderr
    command: list[str | bytes] = [sys.executable, "-m", "antiphon", "ask", "--json", "--text"]
    command.append(b"What time is it, Ren\xe9?")
    bytes_ran = subprocess.run(command, capture_output=True, timeout=150, check=False)
    assert json.loads(bytes_ran.stdout)["transcript"] == "What time is it, Ren??"
    assert bytes_ran.returncode == 0


def test_help_needs_no_settings(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("language: [\n")
    ran = antiphon("--config", tmp_path / "config.yaml", "ask", "--help")
    assert ran.returncode == 0
    assert "REPLY.wav" in ran.stdout


def test_a_port_in_use_is_named_with_its_mend(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "config.yaml"
        config.write_text(f"network: {{host: 127.0.0.1, zeroconf: false}}\nendpoints: {{asr: {{port: {port}}}}}\n")
        ran = antiphon("--config", config, "daemon")
    assert ran.returncode == 1
    assert f"port {port} (asr) is in use by another program" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_answer_that_is_written_where_it_cannot_be_is_told() -> None:
    ran = antiphon("ask", "--text", "Hello.", "--out", "/nowhere/reply.wav")
    assert ran.returncode == 1
    assert "/nowhere/reply.wav: cannot be written" in ran.stderr


def test_what_a_model_or_a_server_writes_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _show(Turn("you\x1b[2J", "it\x9b31m\x07 [b]", failure="it said \x1b]0;title\x07", sound=[b"x"]), as_json=False)
    said = "".join(capsys.readouterr())
    assert not set(said) & set("\x1b\x9b\x07")
    assert r"you\x1b[2J" in said
    assert r"it\x9b31m\x07 [b]" in said
    assert r"it said \x1b]0;title\x07" in said
