"""Which engines there are for each stage, what each needs to be installed, and what brings it where it is not."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import EngineMissing, Stage


@dataclass(frozen=True)
class Needs:
    """What an engine needs."""

    extra: str = ""
    """The extra of `antiphon-daemon` that brings its packages."""
    packages: tuple[str, ...] = ()
    """What must be importable; nothing of it is imported to find out."""
    program: str = ""
    """A program that must be on the PATH; what brings it is called the same in Debian and in Homebrew."""


ENGINES: Mapping[Stage, Mapping[str, Needs]] = {
    "stt": {
        "faster_whisper": Needs("faster-whisper", ("faster_whisper",)),
        "mlx_whisper": Needs("mlx-whisper", ("mlx", "mlx_whisper", "tiktoken")),
        "openai_whisper": Needs("openai-whisper", ("whisper", "torch")),
        "vosk": Needs("vosk", ("vosk",)),
        "sherpa_onnx": Needs("sherpa-onnx", ("sherpa_onnx",)),
        "openai_api": Needs("openai", ("openai",)),
        "wyoming": Needs(),
    },
    "llm": {
        "embedded": Needs("llama", ("xllamacpp",)),
        "ollama": Needs("ollama", ("ollama",)),
        "openai_api": Needs("openai", ("openai",)),
        "homeassistant": Needs("home-assistant", ("httpx2", "websockets")),
    },
    "tts": {
        "piper": Needs("piper", ("piper",)),
        "kokoro": Needs("kokoro", ("kokoro_onnx", "phonemizer")),
        "supertonic": Needs("supertonic", ("supertonic",)),
        "espeak": Needs(program="espeak-ng"),
        "coqui": Needs("coqui", ("TTS", "torch", "torchaudio", "torchcodec")),
        "openai_api": Needs("openai", ("openai",)),
        "wyoming": Needs(),
    },
    "turn": {
        "smart_turn": Needs("smart-turn", ("onnxruntime", "faster_whisper")),
    },
}


def brings(stage: Stage, engine: str, system: str = platform.system()) -> str:
    """Return the command that installs what an engine needs; empty: it needs nothing.

    Args:
        system: as Python names it: Linux, Darwin.
    """
    needs = ENGINES[stage][engine]
    if needs.program:
        return f"{'brew install' if system == 'Darwin' else 'sudo apt install'} {needs.program}"
    return catalogue.install(needs.extra) if needs.extra else ""


def require(stage: Stage, engine: str) -> None:
    """Check that an engine is installed.

    Raises:
        EngineMissing: it is not; the message names what brings it.
    """
    needs = ENGINES[stage][engine]
    for package in needs.packages:
        catalogue.require(stage, package, needs.extra)
    if needs.program and shutil.which(needs.program) is None:
        says = f"The program {needs.program} is not installed: install it with: {brings(stage, engine)}"
        raise EngineMissing(stage, says)


def missing(stage: Stage, engine: str) -> str:
    """Return what `require` says; empty: the engine is installed."""
    try:
        require(stage, engine)
    except EngineMissing as error:
        return str(error)
    return ""
