"""The settings: the file as shipped, what the environment changes, and what is said of a wrong value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from antiphon.configuration import ROOT, SettingsError, load, look
from antiphon.settings import Settings, keys


def written(folder: Path, text: str) -> str:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_shipped_file_holds_every_setting_at_its_default() -> None:
    document = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert load(str(ROOT / "config.yaml")) == Settings()
    for path, default in keys():
        value: Any = document
        for name in path:
            assert name in value, f"config.yaml lacks {'.'.join(path)}"
            value = value[name]
        assert value == default, f"config.yaml has another default for {'.'.join(path)}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stt:\n  engin: x\n", "config.yaml:2: stt.engin is no setting; did you mean engine?"),
        ("sat: {}\n", "config.yaml:1: sat is no setting"),
        ("language: en\nsatellite:\n  sound:\n    volume: loud\n", "config.yaml:4: satellite.sound.volume: expected"),
        ("turn:\n  silence_ms: 9\n", "config.yaml:2: turn.silence_ms: expected greater than or equal to 100, got 9"),
        (
            "satellites:\n  known:\n    - 192.168.1.2\n",
            "config.yaml:3: satellites.known.0: expected an address such as",
        ),
        ("network:\n  allow: [everyone]\n", "expected an address or network, such as"),
        (
            "llm:\n  url: http://gpu:80a\n",
            "config.yaml:2: llm.url: expected an address such as http://192.168.1.20:8000",
        ),
        ("llm:\n- ollama\n- {engine: ollama, url: 'http://[::1'}\n", "config.yaml:3: llm.fallback.0.url: expected an"),
        ("llm:\n  url: ws://gpu:8000\n", "config.yaml:2: llm.url: expected an address such as http://"),
        ("tts:\n  url: http://gpu:70000\n", "config.yaml:2: tts.url: expected an address such as http://"),
        ("stt: [\n", "is not YAML"),
        ("- a\n- b\n", "config.yaml:1: expected sections"),
        ("llm:\n  api_key_file: /nowhere/key\n", "config.yaml:2: llm.api_key_file: /nowhere/key cannot be read"),
        ("stt: 5\n", "config.yaml:1: stt: expected"),
        ("stt: {model: a}\nlog: {}\nstt: {threads: 2}\n", "config.yaml:3: stt stands there twice, first in line 1"),
        ("tts:\n  speed: 2\n  speed: 1\n", "config.yaml:3: tts.speed stands there twice, first in line 2"),
        (
            "llm:\n  api_key_file: ~nobody-of-that-name/key\n",
            "config.yaml:2: llm.api_key_file: ~nobody-of-that-name/key",
        ),
        ("llm: []\n", "config.yaml:1: llm: expected the name of an engine, a section, or a list of these"),
        ("llm: [ollama, embeded]\n", "config.yaml:1: llm.fallback.0.engine: expected 'embedded', 'ollama'"),
        (
            "llm:\n- ollama\n- {engine: auto,\n   modell: x}\n",
            "config.yaml:4: llm.fallback.0.modell is no setting; did",
        ),
        (
            "llm:\n- ollama\n- {engine: auto, api_key_file: /no}\n",
            "config.yaml:3: llm.fallback.0.api_key_file: /no cannot",
        ),
        ("llm: {fallback: [{fallback: [ollama]}]}\n", "llm.fallback: expected engines without a fallback of their own"),
    ],
)
def test_a_wrong_value_names_file_line_key_and_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load(written(tmp_path, text))
    assert said in str(wrong.value)


def test_every_wrong_value_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as wrong:
        load(written(tmp_path, "language: 5\nturn:\n  silence_ms: x\n  soft_end_ms: y\n"))
    assert len(str(wrong.value).splitlines()) == 3


def test_the_environment_is_stronger_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "turn:\n  silence_ms: 700\n  soft_end_ms: 150\n")
    monkeypatch.setenv("ANTIPHON__TURN__SILENCE_MS", "900")
    settings = load(path)
    assert (settings.turn.silence_ms, settings.turn.soft_end_ms) == (900, 150)
    monkeypatch.setenv("ANTIPHON__TURN__SILENCE_MS", "soon")
    with pytest.raises(SettingsError, match="ANTIPHON__TURN__SILENCE_MS: turn.silence_ms: expected"):
        load(path)


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON__TURN__SILENCEMS", "900")
    with pytest.raises(SettingsError, match="did you mean ANTIPHON__TURN__SILENCE_MS"):
        load()


@pytest.mark.parametrize("section", ["stt", "llm", "tts", "home_assistant"])
def test_a_setting_that_is_a_file_itself_comes_from_its_variable(monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    monkeypatch.setenv(f"ANTIPHON__{section.upper()}__CA_FILE", "/etc/house.pem")
    assert getattr(load(str(ROOT / "config.yaml")), section).ca_file == "/etc/house.pem"


def test_a_variable_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON__SATELLITE__WAKE__WORDS", "hey_jarvis")
    with pytest.raises(SettingsError, match="ANTIPHON__SATELLITE__WAKE__WORDS: expected JSON, such as"):
        load(str(ROOT / "config.yaml"))


def test_secrets_come_from_files_and_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    settings = load(written(tmp_path, f"llm:\n  api_key_file: {tmp_path / 'key'}\n"))
    assert settings.llm.api_key is not None
    assert settings.llm.api_key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)
    (tmp_path / "other").write_text("0ther")
    monkeypatch.setenv("ANTIPHON__LLM__API_KEY_FILE", str(tmp_path / "other"))
    settings = load(written(tmp_path, "language: ko\n"))
    assert settings.llm.api_key is not None
    assert settings.llm.api_key.get_secret_value() == "0ther"


def test_a_secret_of_another_system_is_its_letters_alone_and_one_of_two_lines_is_refused(tmp_path: Path) -> None:
    text = f"llm:\n  api_key_file: {tmp_path / 'key'}\n"
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    key = load(written(tmp_path, text)).llm.api_key
    assert key is not None
    assert key.get_secret_value() == "s3cret"
    (tmp_path / "key").write_text("s3cret\n0ther\n")
    with pytest.raises(
        SettingsError, match=r"config.yaml:2: llm.api_key_file: .*/key holds more than one line"
    ) as wrong:
        load(written(tmp_path, text))
    assert "0ther" not in str(wrong.value)


@pytest.mark.parametrize(
    "text",
    [
        "tts: {engine: wyoming, url: 'http://x/v1', api_key: 'hunter2'}\n",
        "stt: {engine: openai_api, url: 'tcp://x:1', api_key_file: KEY}\n",
        "gateway: {token: 4711}\n",
        "llm: {fallback: [{api_key: hunter2, fallback: [ollama]}]}\n",
        "llm: {headers: {Authorization: 4711}}\n",
    ],
)
def test_what_is_wrong_is_said_without_what_is_secret(tmp_path: Path, text: str) -> None:
    key = tmp_path / "key"
    key.write_text("hunter2\n")
    with pytest.raises(SettingsError) as wrong:
        load(written(tmp_path, text.replace("KEY", str(key))))
    assert "hunter2" not in str(wrong.value)
    assert "4711" not in str(wrong.value)


def test_two_endpoints_with_one_port_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"config.yaml:1: .*asr and tts have 10300"):
        load(written(tmp_path, "endpoints: {tts: {port: 10300}}\n"))
    load(written(tmp_path, "endpoints: {tts: {port: 10300}, asr: {enabled: false}, vad: {port: 0}, wake: {port: 0}}\n"))


def test_a_file_that_may_be_read_now_is_looked_at_again(tmp_path: Path) -> None:
    path = written(tmp_path, "language: ko\n")
    Path(path).chmod(0o600)
    before = look(path)
    Path(path).chmod(0o644)
    assert look(path) != before


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere.yaml: cannot be read"):
        load(str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize("named", ["~nobody-of-that-name/config.yaml", "~/nowhere.yaml"])
def test_a_home_that_nobody_has_is_a_file_that_is_not_there(named: str) -> None:
    with pytest.raises(SettingsError, match=r"\.yaml: cannot be read: No such file"):
        load(named)


def test_sections_of_which_every_line_is_commented_out_have_their_defaults(tmp_path: Path) -> None:
    text = """
stt:
  # model: small
  hints:
    # - Antiphon
llm:
endpoints:
  asr:
satellite:
  hooks:
"""
    assert load(written(tmp_path, text)) == load("/dev/null")


@pytest.mark.parametrize(
    "text",
    [
        "llm:\n  - model: a\n    headers:\n      # X-A: b\n  - model: b\n    body:\n",
        "llm:\n  - model: a\n    fallback:\n  - model: b\n",
        "llm:\n  model: a\n  fallback:\n    - model: b\n      headers:\n",
    ],
)
def test_sections_of_one_language_model_among_several_may_be_empty_too(tmp_path: Path, text: str) -> None:
    assert [(one.model, one.headers, one.body) for one in load(written(tmp_path, text)).llm.chain] == [
        ("a", {}, {}),
        ("b", {}, {}),
    ]


def test_words_that_yaml_takes_for_truth_are_what_they_say(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "language: no\nsatellite:\n  barge_in: off\nturn:\n  speculate: off\n"))
    assert (settings.language, settings.satellite.barge_in, settings.turn.speculate) == ("no", "off", "off")


def test_a_certificate_may_lie_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    gateway = load(written(tmp_path, "gateway: {certificate: ~/house.pem}\n")).gateway
    assert (gateway.certificate, gateway.key) == (str(tmp_path / "house.pem"), "")


def test_an_endpoint_that_is_switched_off_keeps_its_port(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "endpoints:\n  vad: {enabled: false}\n  asr: {port: 10301}\n"))
    assert (settings.endpoints.vad.enabled, settings.endpoints.vad.port) == (False, 10_600)
    assert (settings.endpoints.asr.enabled, settings.endpoints.asr.port) == (True, 10_301)


def test_a_key_that_yaml_does_not_read_as_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected the name of a setting, got True"):
        load(written(tmp_path, "on: 1\n"))


@pytest.mark.parametrize(
    ("text", "engines"),
    [
        ("llm: ollama\n", [("ollama", "", 0.3)]),
        ("llm: [ollama, embedded]\n", [("ollama", "", 0.3), ("embedded", "", 0.3)]),
        ("llm: {engine: auto, model: qwen3, temperature: 0}\n", [("ollama", "qwen3", 0), ("embedded", "", 0)]),
        ("llm: {engine: auto, model: /my.gguf}\n", [("ollama", "", 0.3), ("embedded", "/my.gguf", 0.3)]),
        (
            "llm:\n- {engine: openai_api, model: x, temperature: 1}\n- {engine: ollama, temperature: 0}\n- embedded\n",
            [("openai_api", "x", 1), ("ollama", "", 0), ("embedded", "", 1)],
        ),
    ],
)
def test_language_models_that_answer_for_each_other(tmp_path: Path, text: str, engines: list[Any]) -> None:
    chain = load(written(tmp_path, text)).llm.chain
    assert [(one.engine, one.model, one.temperature) for one in chain] == engines


def test_the_environment_changes_the_first_of_a_list_and_files_of_keys_are_read_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    path = written(tmp_path, f"llm:\n- ollama\n- {{engine: openai_api, api_key_file: {tmp_path / 'key'}}}\n")
    monkeypatch.setenv("ANTIPHON__LLM__REPLY_TOKENS", "9")
    first, second = load(path).llm.chain
    assert (first.engine, first.reply_tokens, second.reply_tokens) == ("ollama", 9, 9)
    assert second.api_key is not None
    assert second.api_key.get_secret_value() == "s3cret"
    monkeypatch.setenv("ANTIPHON__LLM", '["embedded", "ollama"]')
    assert [one.engine for one in load().llm.chain] == ["embedded", "ollama"]


def test_a_device_may_be_its_number() -> None:
    assert Settings.model_validate({"satellite": {"sound": {"input": 3, "output": 4}}}).satellite.sound.input == "3"
