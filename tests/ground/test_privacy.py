"""Libraries that would report their use to their makers are kept from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import antiphon
import onnxruntime
from antiphon_daemon.engines import catalogue
onnxruntime.InferenceSession(str(catalogue.piper()))
"""
SET_BY_US = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
FOLDERS = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


def test_onnx_runtime_gives_this_machine_no_identity_to_report_under(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in (*SET_BY_US, *FOLDERS)}
    environment["HOME"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=60)
    assert [path.name for path in tmp_path.rglob("*")] == []
