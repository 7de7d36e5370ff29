"""With a token for a real Home Assistant: its agent answers, its names are known, and the doctor sees what it sees."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
import yaml
from speech import Say, silence
from test_home_assistant import RIG, Home, home

from antiphon.audio import wav

__all__ = ["home"]

pytestmark = [pytest.mark.home_assistant, pytest.mark.timeout(300)]
URL = "http://127.0.0.1:18123"
LIGHT = "light.kitchen_light"


@pytest.fixture(scope="module")
def house(home: Home) -> Home:
    """The same with the token, which there is only once Home Assistant runs."""
    path = home.folder / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["llm"] = ["homeassistant", {"engine": "embedded", "temperature": 0, "reply_tokens": 30}]
    settings["home_assistant"] = {"url": URL, "token_file": str(RIG.parent / "run" / "token")}
    path.write_text(yaml.safe_dump(settings))
    home.stop("daemon")
    before = len(home.events("daemon"))
    home.start("daemon")
    home.until(lambda: any(event["event"] == "ready" for event in home.events("daemon")[before:]), 60)
    return home


def antiphon(house: Home, *arguments: str) -> str:
    """Run a command beside Home Assistant, and return what it says."""
    config = str(house.folder / "config.yaml")
    return house.rig("exec", sys.executable, "-m", "antiphon", "--config", config, *arguments, check=False)


def ask(house: Home, *arguments: str) -> list[dict[str, Any]]:
    said = antiphon(house, "ask", "--json", "--speed", "max", *arguments)
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def light(house: Home) -> str:
    return dict(house.entities("light"))[LIGHT]


def test_its_agent_switches_the_light_and_the_next_model_answers_the_rest(house: Home, say: Say) -> None:
    path = house.folder / "light.wav"
    wav.write(path, np.concatenate((silence(0.5), say("Turn on the kitchen light."), silence(0.5))))
    house.rig("call", "light.turn_off", json.dumps({"entity_id": LIGHT}))
    house.until(lambda: light(house) == "off")
    switched, known = ask(house, str(path), "--text", "What is the capital of France?")
    assert "error" not in switched, switched
    assert "light" in switched["reply"], switched
    house.until(lambda: light(house) == "on", 10)
    assert "Paris" in known["reply"], known


def test_its_names_are_known(house: Home) -> None:
    house.until(lambda: any("conversation.names" in event["event"] for event in house.events("daemon")))
    failed = [event for event in house.events("daemon") if event["event"] == "the names of the house cannot be had"]
    assert failed == []


def test_the_doctor_sees_what_it_sees(house: Home) -> None:
    asr = next(name for name, _ in house.entities("stt") if "antiphon" in name)
    house.rig("pipeline", "--stt", asr)
    found = json.loads(antiphon(house, "doctor", "--json", "--home-assistant", URL))
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["Home Assistant"]["ok"], checks["Home Assistant"]
    for kind in ("asr", "tts", "handle", "wake", "satellite"):
        check = checks[f"Home Assistant: {kind}"]
        assert (check["ok"] is not False, ", reached, " in check["says"]) == (True, True), check
        assert check["ok"] or kind == "handle", "its model is another than Home Assistant was told at first"
    assert asr in checks["Home Assistant: assistant 'rig', the preferred one"]["says"]
    house.stop("daemon")
    gone = json.loads(antiphon(house, "doctor", "--json", "--home-assistant", URL))
    checks = {check["name"]: check for check in gone["checks"]}
    assert not checks["Home Assistant: asr"]["ok"]
    assert "antiphon daemon" in checks["Home Assistant: asr"]["mend"]
    house.start("daemon")
