"""Whisper's weights out of a CTranslate2 model, under the names that OpenAI gives them.

The embedded tiny.en comes in CTranslate2's form alone; other engines load the same weights once they are renamed.
`model.bin`, version 6: little-endian; names are counted with their closing zero.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

KINDS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
WHISPER = "WhisperSpec"

PLAIN = {
    "decoder/embeddings/weight": "decoder.token_embedding.weight",
    "decoder/position_encodings/encodings": "decoder.positional_embedding",
    "encoder/position_encodings/encodings": "encoder.positional_embedding",
    "encoder/layer_norm": "encoder.ln_post",
    "decoder/layer_norm": "decoder.ln",
    "encoder/conv1": "encoder.conv1",
    "encoder/conv2": "encoder.conv2",
}
IN_A_LAYER = {
    "self_attention/layer_norm": "attn_ln",
    "self_attention/linear_0": "attn.query attn.key attn.value",
    "self_attention/linear_1": "attn.out",
    "attention/layer_norm": "cross_attn_ln",
    "attention/linear_0": "cross_attn.query",
    "attention/linear_1": "cross_attn.key cross_attn.value",
    "attention/linear_2": "cross_attn.out",
    "ffn/layer_norm": "mlp_ln",
    "ffn/linear_0": "mlp.0",
    "ffn/linear_1": "mlp.2",
}
"""Several names: their rows lie one below the other."""
ENDINGS = {"gamma": "weight", "beta": "bias"}


def variables(path: Path) -> dict[str, NDArray[Any]]:
    """Return what `model.bin` holds, under CTranslate2's names; weights in bytes are scaled back to float32."""
    with path.open("rb") as file:
        (version,) = struct.unpack("<I", file.read(4))
        spec = _text(file)
        _, count = struct.unpack("<II", file.read(8))
        assert (version, spec) == (6, WHISPER), f"{path} is {spec} in version {version}"
        found = dict(_variable(file) for _ in range(count))
    for name in [name for name in found if name.endswith("_scale")]:
        scaled = name.removesuffix("_scale")
        found[scaled] = found[scaled].astype(np.float32) / found.pop(name).reshape(-1, 1)
    return found


def openai_whisper(folder: Path) -> tuple[dict[str, int], dict[str, NDArray[Any]]]:
    """Return the dimensions and the weights (float32) of the Whisper in `folder`, as `dims` and `model_state_dict`."""
    given = variables(folder / "model.bin")
    weights = dict(_renamed(given))
    states = {part: weights[f"{part}.positional_embedding"].shape for part in ("encoder", "decoder")}
    dims = {
        "n_mels": weights["encoder.conv1.weight"].shape[1],
        "n_audio_ctx": states["encoder"][0],
        "n_audio_state": states["encoder"][1],
        "n_audio_head": int(given["encoder/num_heads"]),
        "n_audio_layer": _layers(weights, "encoder"),
        "n_vocab": weights["decoder.token_embedding.weight"].shape[0],
        "n_text_ctx": states["decoder"][0],
        "n_text_state": states["decoder"][1],
        "n_text_head": int(given["decoder/num_heads"]),
        "n_text_layer": _layers(weights, "decoder"),
    }
    return dims, weights


def _renamed(given: dict[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, value in given.items():
        if value.ndim == 0 or name.startswith("decoder/alignment"):
            continue
        value = value.astype(np.float32)
        if name in PLAIN:
            yield PLAIN[name], value
            continue
        where, _, ending = name.rpartition("/")
        ending = ENDINGS.get(ending, ending)
        if where in PLAIN:
            yield f"{PLAIN[where]}.{ending}", value
            continue
        layer = re.fullmatch(r"(encoder|decoder)/layer_(\d+)/(.+)", where)
        assert layer, f"{name} is not known"
        names = IN_A_LAYER[layer[3]].split()
        for one, rows in zip(names, np.split(value, len(names)), strict=True):
            if not (one.endswith(".key") and ending == "bias"):  # it has none, here it is zero
                yield f"{layer[1]}.blocks.{layer[2]}.{one}.{ending}", rows


def _layers(weights: dict[str, NDArray[Any]], part: str) -> int:
    return len({name.split(".")[2] for name in weights if name.startswith(f"{part}.blocks.")})


def _variable(file: BinaryIO) -> tuple[str, NDArray[Any]]:
    name = _text(file)
    (rank,) = struct.unpack("<B", file.read(1))
    shape = struct.unpack(f"<{rank}I", file.read(4 * rank))
    kind, size = struct.unpack("<BI", file.read(5))
    return name, np.frombuffer(file.read(size), dtype=KINDS[kind]).reshape(shape)


def _text(file: BinaryIO) -> str:
    (size,) = struct.unpack("<H", file.read(2))
    return file.read(size).rstrip(b"\0").decode()
