#!/usr/bin/env python3
"""Write the lock files: `uv run --no-project scripts/lock.py` (or any Python 3.11 with uv on the PATH).

This is the one place that says which distributions, extras and groups each lock holds. uv resolves the workspace into
`uv.lock`, which records where it downloaded from and therefore stays out of git; what is exported from it are names,
versions, environment markers and hashes. The first line of a lock is a digest of every requirement that went into it,
so a test can tell, without a network, that a pyproject.toml changed and its lock did not.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = (ROOT / "pyproject.toml", ROOT / "satellite/pyproject.toml", ROOT / "daemon/pyproject.toml")

ASKED_FOR = ("mlx-whisper", "vosk", "vosk-ko", "sherpa-onnx", "kokoro", "supertonic")
"""Extras with engines that are only installed where somebody wants them, and for the tests."""

TORCH = ("openai-whisper", "coqui", "cuda")
"""Extras that weigh gigabytes, nearly all of it CUDA: in an environment of their own."""

EVERYTHING = ["--all-packages", "--all-extras", *(f"--no-extra={name}" for name in ASKED_FOR)]
FOR_TESTS = [f"--group={name}" for name in ("embedded", "build", "dev")]

LOCKS: dict[str, list[str]] = {
    # Everything else: both programs, every other extra, the embedded models, the tools of the tests.
    "requirements.lock": [*EVERYTHING, *(f"--no-extra={name}" for name in TORCH), *FOR_TESTS],
    # What the tests put beside that.
    "requirements-engines.lock": [
        "--package",
        "antiphon-daemon",
        *(f"--extra={name}" for name in ASKED_FOR),
        "--group",
        "kokoro-weights",
    ],
    # The same as the first with the engines on PyTorch, for their tests (./test.sh --torch).
    "requirements-torch.lock": [*EVERYTHING, *FOR_TESTS],
    # A satellite alone, as it runs on a small board.
    "requirements-satellite.lock": ["--package", "antiphon-satellite", "--group", "build"],
}


def digest() -> str:
    """Return the SHA-256 of all that decides what the locks hold: the requirements of the workspace and `LOCKS`."""
    parts: list[object] = [LOCKS]
    for path in PROJECTS:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        project = data["project"]
        parts.append(
            [
                project["requires-python"],
                project["dependencies"],
                project.get("optional-dependencies", {}),
                data.get("dependency-groups", {}),
                data["build-system"]["requires"],
                data.get("tool", {}).get("uv", {}),
            ]
        )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def main() -> int:
    """Resolve, export, and stamp each lock with the digest; `--upgrade` takes newer versions."""
    subprocess.run(["uv", "lock", *sys.argv[1:]], cwd=ROOT, check=True)
    for name, selection in LOCKS.items():
        command = ["uv", "export", "--frozen", "--no-emit-workspace", "--no-default-groups", "--no-header", *selection]
        exported = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        (ROOT / name).write_text(f"# made by scripts/lock.py from {digest()}\n{exported}", encoding="utf-8")
        print(f"{name}: {sum('==' in line.split(' ')[0] for line in exported.splitlines())} packages")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
