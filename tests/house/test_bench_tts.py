"""`antiphon bench tts` as scripts call it: real voice, one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scripted import Script, Tones, quick

from antiphon.configuration import ROOT
from antiphon.settings import Settings


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "antiphon", "bench", "tts", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_it_prints_its_figures_and_draws_them(tmp_path: Path) -> None:
    texts = ["Sure, it is 25°C now.", "The first sentence. And the second one, which is longer."]
    (tmp_path / "manifest.json").write_text(json.dumps([{"text": text} for text in texts]))
    ran = bench("--json", "--set", tmp_path, "--plot", tmp_path / "out.png")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["n"] == found["words"]["n"] == found["baseline"]["n"] == 2
    assert found["model"] == {"n": 0}
    assert 0 < found["first_pcm_p50_ms"] <= found["first_sound_p50_ms"] <= found["first_sound_p95_ms"]
    assert 0 < found["rtf"] < 5
    assert found["replies_with_underruns"] <= min(2, found["underruns"])
    assert (found["underruns"] == 0) is (found["underrun_max_ms"] == 0)
    assert found["gap_p50_ms"] >= 60
    assert (tmp_path / "out.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize("manifest", [None, "{", "[]", '[{"file": "x.wav"}]'])
def test_a_set_that_cannot_be_read_is_one_sentence(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    ran = bench("--set", tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: ")
    assert "manifest.json" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_the_loudspeaker_that_makes_no_sound_tells_when_it_ran_dry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    from _player import Player

    now = [0.0]
    player = Player(clock=lambda: now[0])
    player.reply_began(1000)
    for at, seconds in ((0.0, 0.5), (0.1, 0.5), (1.3, 0.2)):  # the second waits for the first; the third is late
        now[0] = at
        player.reply_sound(b"\xff\x3f" * round(seconds * 1000))
    assert [begins for begins, _ in player.timeline()] == pytest.approx([0.0, 0.5, 1.3])
    assert player.dry_ms() == pytest.approx([300])
    assert player.silences_ms() == pytest.approx([300])
    assert player.sound_s == pytest.approx(1.2)
    assert player.first_sound_s() == 0


async def test_what_the_language_model_answers_is_spoken_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import tts

    bench, began = tts.Bench(tts.Stopwatch(Tones()), Script(quick), Settings()), list[float]()
    heard = await tts.hear(bench, tts.answered(bench, "How are you?", began), began)
    assert heard.text == "It is fine."
