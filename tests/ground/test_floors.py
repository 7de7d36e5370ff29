"""The floors of the house that import-linter cannot say: the two machines are pure, and nothing heavy comes unasked."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from antiphon.configuration import ROOT

WORDS = "antiphon_daemon.conversation.turn_types"
"""The turn machine's own types, which are as pure as it is."""
PURE = {"__future__", "dataclasses", "enum", "typing", "collections"}


@pytest.mark.parametrize(
    "path",
    [
        "daemon/antiphon_daemon/conversation/turns.py",
        "daemon/antiphon_daemon/conversation/turn_types.py",
        "satellite/antiphon_satellite/states.py",
    ],
)
def test_the_machines_import_nothing_that_acts(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {
        node.module.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module != WORDS
    }
    assert imported <= PURE
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


TORCH = {"torch", "torchaudio", "torchcodec", "triton", "whisper", "TTS", "transformers", "numba", "librosa"}
"""What an engine on PyTorch brings, and nobody else may need."""


def test_the_default_engines_are_built_without_pytorch() -> None:
    """Also where it is installed: it would take seconds of every start, and hundreds of megabytes of memory."""
    code = """
import asyncio, sys
from antiphon.settings import Settings
from antiphon_daemon.app import build_engines

async def start():
    await (await build_engines(Settings())).close()

asyncio.run(start())
print(*{name.partition(".")[0] for name in sys.modules})
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    imported = set(ran.stdout.split())
    assert {"faster_whisper", "xllamacpp", "piper", "onnxruntime"} <= imported
    assert not TORCH & imported


def test_the_command_line_starts_without_the_engines() -> None:
    code = "import sys, antiphon.cli, antiphon_daemon.commands, antiphon_satellite.commands; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    heavy = {
        "numpy",
        "onnxruntime",
        "faster_whisper",
        "mlx",
        "ctranslate2",
        "xllamacpp",
        "piper",
        "ollama",
        "openai",
        "sounddevice",
    }
    assert not heavy & set(ran.stdout.split())
