"""Other makers' programs, from PyPI, each in an environment of its own under `build/`, brought once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from _processes import Unmeasured, free_ports, program

from antiphon.configuration import ROOT
from antiphon_daemon.engines import catalogue

BUILD = ROOT / "build"
SERVICES = ("wyoming-faster-whisper==3.8.1", "wyoming-piper==2.5.2")
SATELLITE = ("wyoming-satellite==1.0.0", "audioop-lts==0.2.2 ; python_version >= '3.13'")
BENCH = ("wyoming-bench==2026.10.0",)


def bring(name: str, *packages: str) -> Path:
    """Return the folder of the programs of `build/NAME`, an environment that has the packages.

    Raises:
        Unmeasured: they cannot be installed.
    """
    folder = BUILD / name
    BUILD.mkdir(exist_ok=True)
    python, stamp = folder / "bin" / "python", folder / "packages"
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text(encoding="utf-8").splitlines() == list(packages)):
            for command in (
                ["venv", "-q", "--clear", str(folder)],
                ["pip", "install", "-q", "--python", str(python), *packages],
            ):
                done = subprocess.run([_uv(), *command], capture_output=True, text=True, check=False)
                if done.returncode:
                    raise Unmeasured(f"{packages[0]} cannot be installed: {done.stderr.strip()[-200:]}")
            stamp.write_text("\n".join(packages), encoding="utf-8")
    return python.parent


def _uv() -> str:
    brought = ROOT / ".venv-uv" / "bin" / "uv"
    return str(brought) if brought.is_file() else "uv"


@contextlib.asynccontextmanager
async def services(programs: Path, folder: Path, *, threads: int = 2) -> AsyncIterator[tuple[str, str]]:
    """Run wyoming-faster-whisper and wyoming-piper with the embedded models, and give their addresses.

    Args:
        programs: what `bring` has returned for `SERVICES`.
        folder: for what they log.

    Raises:
        Unmeasured: they do not start.
    """
    stt, tts = (f"tcp://127.0.0.1:{port}" for port in free_ports(2))
    python, voice = str(programs / "python"), catalogue.piper()
    whisper = [
        python, "-m", "wyoming_faster_whisper", "--uri", stt, "--data-dir", str(folder), "--language", "en",
        "--model", str(catalogue.whisper()), "--beam-size", "1", "--cpu-threads", str(threads), "--stt-library",
        "faster-whisper", "--local-files-only",
    ]  # fmt: skip
    piper = [
        python, "-m", "wyoming_piper", "--uri", tts, "--voice", voice.stem, "--data-dir", str(voice.parent),
        "--local-files-only",
    ]  # fmt: skip
    with (
        program("wyoming-faster-whisper", whisper, folder, os.environ) as ears,
        program("wyoming-piper", piper, folder, os.environ) as mouth,
    ):
        await ears.described([stt])
        await mouth.described([tts])
        yield stt, tts
