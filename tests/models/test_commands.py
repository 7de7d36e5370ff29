"""`antiphon models` as a user meets it, and what engines and the daemon make of pulled models."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from antiphon import configuration
from antiphon.cli import Given
from antiphon.configuration import ROOT, SettingsError
from antiphon.settings import Llm, Settings, Stt, Tts
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.build import build_synthesizer, build_transcriber, load_backends
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Engines
from antiphon_daemon.engines.models import File, Model
from antiphon_daemon.languages import unsuited
from antiphon_daemon.models.commands import models as command
from antiphon_daemon.models.keeping import Keeper
from models.conftest import NOTES, WEIGHTS, WEIGHTS_AT, tiny_model
from models.hub import Fault, Hub


@pytest.fixture
def config(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("language: en\nllm:\n  engine: embedded   # in this process\n", encoding="utf-8")
    monkeypatch.setenv("ANTIPHON_CONFIG", str(path))
    return path


def run(*arguments: str) -> Result:
    given = Given(configuration.load(), None, configuration.Source.at(None))
    result = CliRunner().invoke(command, arguments, obj=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_every_entry_of_the_catalogue_can_be_pulled_and_used() -> None:
    for model in models.catalogue().values():
        assert f"{model.source}/resolve/{model.revision}" in model.url("https://hub", model.files[0])
        assert model.url("https://hub/", model.files[0]).startswith("https://hub/")
        section = {"engine": model.engine, "voice" if model.stage == "tts" else "model": model.name}
        Settings(**{model.stage: section})
        assert len({file.name for file in model.files}) == len(model.files)
        if all(file.size for file in model.files):
            assert abs(sum(file.size or 0 for file in model.files) / 1e6 - model.size_mb) < 2, model.name
    assert models.offer("stt", "ko").startswith("antiphon models pull whisper-")
    assert "qwen3" in models.offer("llm", "ko")
    assert "supertonic-3" in models.offer("tts", "ko"), "Piper has no Korean voice"
    assert models.offer("tts", "fa") == ""
    assert "thorsten" in models.offer("tts", "de")


def test_list_by_language_and_as_json(config: Path) -> None:
    table = run("list", "--language", "ko").output
    assert "whisper-small " in table
    assert "whisper-small.en" not in table
    assert "supertonic-3 " in table
    assert "For tts the catalogue has no model that knows fa" in run("list", "--language", "fa").output
    listed = {entry["name"]: entry for entry in json.loads(run("list", "--json").output)}
    assert listed["tiny-test"]["here"] is False
    assert listed["whisper-small"]["licence"] == "MIT"
    assert listed["whisper-small"]["files"][0]["sha256"].startswith("3e305921506d")


def test_pull_use_verify_remove(hub: Hub, config: Path, folder: Path) -> None:
    assert "There is no model tiny-tset in the catalogue: did you mean tiny-test?" in run("pull", "tiny-tset").output
    assert "fetch it with: antiphon models pull tiny-test" in run("use", "tiny-test").output
    pulled = run("pull", "tiny-test", "--mirror", hub.url)
    assert pulled.exit_code == 0
    assert f"tiny-test is in {folder / 'tiny-test'}" in pulled.output
    assert "antiphon models use tiny-test" in pulled.output
    assert "is here already" in run("pull", "tiny-test", "--mirror", hub.url).output
    assert run("use", "tiny-test").exit_code == 0
    text = config.read_text(encoding="utf-8")
    assert text == "language: en\nllm:\n  model: tiny-test\n  engine: embedded   # in this process\n"
    assert configuration.load().llm.model == "tiny-test"
    assert "●" in run("list").output
    assert run("verify").output.splitlines() == ["✓ tiny-test"]
    (folder / "tiny-test" / "w.gguf").write_bytes(WEIGHTS[:-1])
    spoiled = run("verify", "tiny-test")
    assert spoiled.exit_code == 1
    assert "w.gguf is not what was pulled." in spoiled.output
    assert "The settings name tiny-test" in run("remove", "tiny-test").output
    assert run("remove", "tiny-test", "--force").exit_code == 0
    assert not (folder / "tiny-test").exists()
    assert run("remove", "../x").exit_code == 1


def test_what_mends_or_removes_a_model_for_all_users_says_so(
    hub: Hub, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "SHARED", tmp_path / "shared")
    assert run("pull", "tiny-test", "--mirror", hub.url, "--shared").exit_code == 0
    (tmp_path / "shared" / "tiny-test" / "w.gguf").write_bytes(WEIGHTS[:-1])
    again = "sudo antiphon models pull --shared tiny-test"
    assert f"→ sudo antiphon models remove --shared --force tiny-test && {again}" in run("verify").output
    refused = run("remove", "tiny-test")
    assert refused.exit_code == 1
    assert "is the one for all users: sudo antiphon models remove --shared tiny-test" in refused.output
    assert run("remove", "tiny-test", "--shared").exit_code == 0


def test_the_mirror_of_the_settings_is_asked(hub: Hub, config: Path) -> None:
    config.write_text(f"models: {{mirror: '{hub.url}'}}\n", encoding="utf-8")
    assert run("pull", "tiny-test").exit_code == 0
    config.write_text("models: {mirror: hub}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"models\.mirror"):
        run("pull", "tiny-test")


def test_an_error_of_the_hub_is_one_line_and_exit_code_1(hub: Hub, config: Path) -> None:
    hub.faults[WEIGHTS_AT] = Fault(status=403)
    refused = run("pull", "tiny-test", "--mirror", hub.url)
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: The hub refuses ")
    assert len(refused.output.splitlines()) == 1


def test_a_model_that_does_not_know_the_language_is_not_used(hub: Hub, config: Path) -> None:
    run("pull", "tiny-test", "--mirror", hub.url)
    config.write_text("language: de  # ours\n", encoding="utf-8")
    assert "tiny-test knows en, ko and the language is de" in run("use", "tiny-test").output
    assert config.read_text(encoding="utf-8") == "language: de  # ours\n"


MODEL = {"engine": "embedded", "model": "tiny-test"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "llm:\n  engine: embedded\n  model: tiny-test\n"),
        ("# only this\n", "# only this\n\nllm:\n  engine: embedded\n  model: tiny-test\n"),
        ("language: ko  # ours\n", "language: ko  # ours\n\nllm:\n  engine: embedded\n  model: tiny-test\n"),
        ("llm: ollama  # fast\n", "llm: {engine: embedded, model: tiny-test}  # fast\n"),
        ("llm:\n", "llm: {engine: embedded, model: tiny-test}\n"),
        ("llm: {engine: auto}  # x\n", "llm: {model: tiny-test, engine: embedded}  # x\n"),
        ("llm:\n  # why\n  model: ''       # which\n  engine: auto # who\nlanguage: ko\n",
         "llm:\n  # why\n  model: tiny-test # which\n  engine: embedded # who\nlanguage: ko\n"),
        ("llm:\n  model: \n  engine: auto\n", "llm:\n  model: tiny-test \n  engine: embedded\n"),
        ("llm:\r\n  engine: auto\r\n", "llm:\r\n  model: tiny-test\r\n  engine: embedded\r\n"),
    ],
)  # fmt: skip
def test_only_what_changes_is_written(before: str, after: str) -> None:
    from antiphon_daemon.models.choosing import edit

    edited = edit(before, "llm", MODEL)
    assert edited == after
    assert yaml.safe_load(edited)["llm"] == MODEL


def test_the_shipped_file_keeps_every_comment() -> None:
    from antiphon_daemon.models.choosing import edit

    before = (ROOT / "config.yaml").read_text(encoding="utf-8")
    after = edit(before, "llm", MODEL)
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert len(changed) == 1, "the engine is embedded there already"
    assert changed[0][1].startswith("  model: tiny-test")
    assert changed[0][0].split("#")[1] == changed[0][1].split("#")[1]


def test_a_full_disk_leaves_the_settings_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from antiphon_daemon.models.choosing import EditError, use

    def full(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "config.yaml"
    path.write_text("language: en\n")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EditError, match=r"config\.yaml cannot be edited, and is as it was: No space left on device"):
        use(models.catalogue()["whisper-small"], path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("config.yaml", "language: en\n")]


def test_a_list_of_language_models_is_left_to_its_owner() -> None:
    from antiphon_daemon.models.choosing import EditError, edit

    with pytest.raises(EditError, match=r"llm is a list there: put \{engine: embedded, model: tiny-test\}"):
        edit("llm: [ollama, embedded]\n", "llm", MODEL)
    with pytest.raises(EditError, match="unusual form"):
        edit("tts: &same {engine: auto}\nllm: *same\n", "llm", MODEL)
    with pytest.raises(EditError, match="not YAML"):
        edit("llm: [\n", "llm", MODEL)


@pytest.mark.parametrize(
    "settings",
    [
        {"stt": {"model": "~models/small"}},
        {"tts": {"voice": "~models/voice.onnx"}},
        {"tts": {"engine": "kokoro", "voice": "~models/kokoro"}},
    ],
)
async def test_a_path_that_lacks_its_slash_is_named(settings: dict[str, object]) -> None:
    chosen = Settings.model_validate(settings)
    with pytest.raises(EngineError, match="~models/"):
        await (build_transcriber(chosen) if "stt" in settings else build_synthesizer(chosen))


async def test_a_model_that_was_not_pulled_is_named_with_its_command(folder: Path) -> None:
    with pytest.raises(EngineMissing, match="antiphon models pull whisper-small$"):
        await build_transcriber(Settings(stt=Stt(model="whisper-small")))
    with pytest.raises(EngineMissing, match="antiphon models pull qwen3-1.7b$"):
        load_backends(Settings(llm=Llm(model="qwen3-1.7b")))
    with pytest.raises(EngineMissing, match="antiphon models pull de_DE-thorsten-medium$"):
        await build_synthesizer(Settings(tts=Tts(voice="de_DE-thorsten-medium")))
    with pytest.raises(EngineError, match=r"whisper-small belongs into stt\.model, not into tts\.voice"):
        await build_synthesizer(Settings(tts=Tts(voice="whisper-small")))


def piper_voice() -> Model:
    """Return the embedded voice as an entry of the catalogue."""
    path = catalogue.piper()
    files = (File(path=path.name, kind="onnx"), File(path=f"{path.name}.json", kind="json"))
    return tiny_model().model_copy(update={"name": "voice-x", "stage": "tts", "engine": "piper", "files": files})


async def test_engines_open_what_was_pulled_by_its_name(folder: Path, keeper: Keeper) -> None:
    """The embedded models, taken for pulled ones."""
    files = (
        File(path="model.bin", kind="ctranslate2"),
        File(path="config.json", kind="json"),
        File(path="tokenizer.json", kind="json"),
        File(path="vocabulary.txt", kind="text"),
    )
    of_stt = {"name": "whisper-x", "stage": "stt", "engine": "faster_whisper", "files": files}
    whisper, path, voice = tiny_model().model_copy(update=of_stt), catalogue.piper(), piper_voice()
    models.catalogue().update({"whisper-x": whisper, "voice-x": voice})
    keeper.bring(whisper, catalogue.whisper(), lambda *_: None)
    keeper.bring(voice, path, lambda *_: None)
    hearing = await build_transcriber(Settings(stt=Stt(model="whisper-x")))
    speaking = await build_synthesizer(Settings(tts=Tts(voice="voice-x")))
    assert list(hearing.languages) == ["en"]
    assert speaking.voices
    assert models.offer("stt", "ko") == "antiphon models use whisper-x", "what is here needs no pull"
    await hearing.close()
    await speaking.close()


def test_a_voice_cut_short_is_refused_before_it_is_installed(keeper: Keeper, folder: Path, tmp_path: Path) -> None:
    path, voice = catalogue.piper(), piper_voice()
    shutil.copy(f"{path}.json", tmp_path)
    (tmp_path / path.name).write_bytes(path.read_bytes()[:2_000_000])
    with pytest.raises(Exception, match="cut short, or not an ONNX model: nothing was installed"):
        keeper.bring(voice, tmp_path, lambda *_: None)
    (tmp_path / path.name).write_bytes(NOTES + WEIGHTS[:100])
    with pytest.raises(Exception, match="not an ONNX model"):
        keeper.bring(voice, tmp_path, lambda *_: None)
    assert models.place("voice-x") is None


async def test_the_start_says_how_to_get_models_for_the_language(folder: Path) -> None:
    settings = Settings(language="ko")
    hearing = await build_transcriber(settings)
    speaking = await build_synthesizer(settings)
    thinking = load_backends(settings)[0]
    says = unsuited(Engines(hearing, thinking, speaking), settings)
    assert [sentence.split(" does not know ")[0] for sentence in says] == [
        hearing.name,
        thinking.name,
        speaking.name,
    ]
    assert says[0].endswith("antiphon models pull whisper-small && antiphon models use whisper-small")
    assert "antiphon models pull qwen3-1.7b" in says[1]
    assert says[2].endswith("antiphon models pull supertonic-3 && antiphon models use supertonic-3")
    assert unsuited(Engines(hearing, thinking, speaking), Settings()) == []
    for engine in (hearing, speaking, thinking):
        await engine.close()


def test_a_terminal_sees_a_bar(hub: Hub, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    shown = run("pull", "tiny-test", "--mirror", hub.url).output
    assert "━" in shown
    assert "3.0/3.0 MB" in shown
