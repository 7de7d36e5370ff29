"""`antiphon models bench`: real engines, measured as a user measures them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tone_voices import supertonic

from antiphon import configuration
from antiphon.cli import Given
from antiphon_daemon.engines import available, measured, models
from antiphon_daemon.models import measuring
from antiphon_daemon.models.commands import models as command

WHISPERS = [name for name in ("faster_whisper", "mlx_whisper") if not available.missing("stt", name)]
"""The engines that are here and hear with the embedded Whisper."""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of an English house."""
    monkeypatch.setenv("ANTIPHON_STATE", str(tmp_path / "state"))
    path = tmp_path / "config.yaml"
    path.write_text("language: en\n", encoding="utf-8")
    monkeypatch.setenv("ANTIPHON_CONFIG", str(path))
    return tmp_path / "state"


def run(*arguments: str) -> Result:
    given = Given(configuration.load(), None, configuration.Source.at(None))
    result = CliRunner().invoke(command, ["bench", "--rounds", "1", *arguments], obj=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_what_is_here_is_measured_and_kept() -> None:
    folder = supertonic(models.own_folder() / "supertonic-3", {"F1": 200.0})
    (folder / models.MANIFEST).write_text(json.dumps({"files": {}}))
    result = run("--json", "--text", "Turn on the light in the kitchen.")
    told = json.loads(result.stdout)
    speeds: Mapping[tuple[str, str], Any] = {(one["engine"], one["model"]): one for one in told["speeds"]}
    assert set(speeds) == {
        ("piper", "embedded"),
        ("supertonic", "supertonic-3"),
        ("espeak", "embedded"),
        *((engine, "embedded") for engine in WHISPERS),
    }
    assert told["failed"] == []
    assert told["language"] == "en"
    assert all(one["ms"] > 0 for one in told["speeds"])
    assert all((one["stage"] == "tts") == ("rtf" in one) == ("wer" not in one) for one in told["speeds"])
    assert told["speaker"] == "supertonic supertonic-3", "the best voice says what is heard"
    assert speeds["faster_whisper", "embedded"]["wer"] == 1, "and these tones are no words"
    kept, says = measured.read()
    assert (says, {(one.engine, one.model) for one in kept}) == ("", set(speeds))


def test_a_table_tells_how_many_words_were_wrong() -> None:
    # Piper says nothing twice alike: this is heard rightly each time of fifty, others are not.
    result = run("--text", "What is the weather today?")
    assert "faster_whisper" in result.stdout
    assert "0%" in result.stdout
    assert "What was heard was said by piper embedded" in result.stdout
    assert f"Kept in {measured.file()}" in result.stdout
    assert "loading" in result.stderr


def test_without_anything_that_could_be_measured_it_says_so() -> None:
    wrong = run("--language", "xx")
    assert (wrong.exit_code, wrong.output) == (
        1,
        "Error: There are no sentences in 'xx' to measure with: give some, each with --text.\n",
    )
    nothing = run("--language", "xx", "--text", "abc")
    assert "Nothing that is here knows 'xx': antiphon models list --language xx shows what does." in nothing.output
    assert "There are no words in '?!'" in run("--text", "?!").output
    assert not measured.file().exists()


def test_what_cannot_be_measured_is_told_and_the_rest_is_measured(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "language: en\ntts: {engine: supertonic, voice: /nowhere}\n", encoding="utf-8"
    )
    result = run("--text", "Turn on the light.")
    assert "✗ tts supertonic /nowhere: There is no folder /nowhere" in result.stdout
    assert "faster_whisper" in result.stdout
    assert result.exit_code == 0


def test_interrupted_it_keeps_what_it_has(state: Path) -> None:
    program = "import sys; from antiphon.cli import main; sys.argv = ['antiphon', *sys.argv[1:]]; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "models", "bench", "--text", "Turn on the light.", "--json"],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    count = 2 + len(WHISPERS)
    assert f"1 of {count}: piper embedded: loading …\n" in next(lines)
    assert f"2 of {count}: espeak embedded: loading …\n" in next(lines)
    assert f"3 of {count}: faster_whisper embedded: loading …\n" in next(lines)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith(f"Interrupted: 2 of {count} were measured and are kept.\n")
    assert [one["engine"] for one in json.loads(out)["speeds"]] == ["piper", "espeak"]
    assert [one.engine for one in measured.read()[0]] == ["piper", "espeak"]


def test_text_is_compared_without_case_and_punctuation() -> None:
    assert measuring.plain("¿Qué  tiempo hará, mañana?") == "qué tiempo hará mañana"
    assert measuring.plain("It's “on”!") == "it's on"
