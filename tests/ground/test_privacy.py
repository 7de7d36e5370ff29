"""Libraries that would report their use to their makers are kept from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import {first}
import onnxruntime
from antiphon_daemon.engines import catalogue
onnxruntime.InferenceSession(str(catalogue.piper()))
"""


def kept_in(home: Path, first: str) -> list[str]:
    """Return what ONNX Runtime leaves in a fresh home when `first` is imported before it."""
    switches = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        environment.pop(name, None)
    subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first)],
        env={**environment, "HOME": str(home)},
        check=True,
        timeout=60,
    )
    return [path.name for path in home.rglob("*")]


def test_onnx_runtime_gives_this_machine_no_identity_to_report_under(tmp_path: Path) -> None:
    assert kept_in(tmp_path, "antiphon") == []
