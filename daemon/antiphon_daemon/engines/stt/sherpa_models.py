"""What a folder of sherpa-onnx's models holds: which kind of model, in which files, for which languages.

The library ends the whole program when a model is of another kind than it is told, or lacks what it looks for in the
metadata. So that is looked at before it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import EngineError
from antiphon_daemon.engines.onnx_metadata import NotOnnx, metadata
from antiphon_daemon.engines.stt.whisper_languages import LANGUAGES, code

Kind = Literal["streaming", "transducer", "nemo_transducer", "whisper", "sense_voice", "nemo_ctc"]

STREAMING: Mapping[str, tuple[str, ...]] = {
    "zipformer2": ("decode_chunk_len", "T"),
    "zipformer": ("decode_chunk_len", "T"),
    "lstm": ("decode_chunk_len", "T", "num_encoder_layers", "rnn_hidden_size", "d_model"),
    "conformer": ("decode_chunk_len", "T"),
}
"""Streaming transducers by the type that their encoder names, and what else it must say."""
SENSE_VOICE_LANGUAGES = ("zh", "en", "ja", "ko", "yue")


@dataclass(frozen=True)
class Found:
    """A model."""

    kind: Kind
    type: str
    """What its first file calls itself."""
    files: Mapping[str, str]
    """Their paths by what they are: tokens, encoder, decoder, joiner, model."""
    languages: tuple[str, ...]
    """Those that are known; empty: nothing tells."""


def find(folder: Path) -> Found:
    """Return the model in `folder`.

    Raises:
        EngineError: there is none that the engine can run; the message says what is missing or wrong.
    """
    if not folder.is_dir():
        raise EngineError("stt", f"There is no folder {folder}: correct stt.model in config.yaml, or fetch the model.")
    files = {part: path for part in ("encoder", "decoder", "joiner", "model") if (path := _file(folder, part))}
    first = files.get("encoder") or files.get("model")
    tokens = next(iter(sorted(folder.glob("*tokens.txt"))), folder / "tokens.txt")
    catalogue.check("stt", tokens)
    if first is None:
        raise _unfit(folder, "it has neither an encoder nor a model in ONNX")
    said = {part: _metadata(path) for part, path in files.items()}
    kind = _kind(folder, frozenset(files), said[first_part(files)])
    names = {"tokens": str(tokens), **{part: str(path) for part, path in files.items()}}
    return Found(kind, said[first_part(files)].get("model_type", ""), names, _languages(folder, kind, said))


def first_part(files: Mapping[str, object]) -> str:
    """Return which of a model's files says what it is."""
    return "encoder" if "encoder" in files else "model"


def _file(folder: Path, part: str) -> Path | None:
    """Return the file of a part; of several the smaller kind (int8)."""
    named = sorted(path for path in folder.glob("*.onnx") if re.search(rf"(^|[-_.]){part}([-_.]|$)", path.stem))
    return next((path for path in named if "int8" in path.name), named[0] if named else None)


def _metadata(path: Path) -> dict[str, str]:
    try:
        return metadata(path)
    except (NotOnnx, OSError) as error:
        raise catalogue.broken("stt", path, error) from error


def _kind(folder: Path, parts: frozenset[str], said: Mapping[str, str]) -> Kind:
    kind = said.get("model_type", "")
    if {"encoder", "decoder", "joiner"} <= parts:
        if kind in STREAMING and "decode_chunk_len" in said:
            if lacking := [name for name in STREAMING[kind] if name not in said]:
                raise _unfit(folder, f"its encoder does not say {', '.join(lacking)}")
            return "streaming"
        return "nemo_transducer" if kind.startswith("EncDec") else "transducer"
    if {"encoder", "decoder"} <= parts and kind.startswith("whisper"):
        return "whisper"
    if "model" in parts and ("sense_voice" in kind or "lang_auto" in said):
        return "sense_voice"
    if "model" in parts and kind.startswith("EncDec") and {"vocab_size", "subsampling_factor"} <= set(said):
        return "nemo_ctc"
    raise _unfit(folder, f"it holds {' and '.join(sorted(parts))} of the type {kind or 'that nothing names'}")


def _languages(folder: Path, kind: Kind, said: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    if kind == "sense_voice":
        return SENSE_VOICE_LANGUAGES
    if kind == "whisper":
        return tuple(LANGUAGES) if said["encoder"].get("is_multilingual") == "1" else ("en",)
    named = [code(part) for part in re.split(r"[-_.]", folder.name.lower()) if len(part) == 2 or part.isalpha()]
    return tuple(dict.fromkeys(one for one in named if one))


def _unfit(folder: Path, why: str) -> EngineError:
    says = (
        f"The folder {folder} holds no model that sherpa_onnx can run here ({why}): a streaming or offline transducer"
    )
    return EngineError("stt", f"{says}, a Whisper, a SenseVoice or a NeMo CTC model can be named as stt.model.")
