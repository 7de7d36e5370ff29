"""A Whisper that says what it is told to, whatever it is given: small and quick, in the form that mlx-whisper reads.

Its blocks do nothing. What stands at a place of the text depends on the place alone: each has a dimension of its own,
and so has the token that is said there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_map

from antiphon_daemon.engines.stt import mlx_models

DIMENSIONS = 64
VOCABULARY = 51_865
"""That of Whisper's models for many languages."""
BEFORE_TEXT = 4
"""Places of the tokens that begin a text: start, language, task, no timestamps."""
FAR, NEAR = 100.0, 2.5
"""How much a place counts and how much a token, which must not be mistaken for one when it is read."""


def scripted(
    folder: Path, text: str, language: str = "ko", *, ends: bool = True, bits: int = 0, name: str = "weights.npz"
) -> Path:
    """Write a model that hears `text`, in `language` if nobody names another, and return its folder.

    Args:
        ends: whether it comes to an end, or says its last token for ever.
        bits: to which its weights are quantised; 0: they are not.
        name: the file of its weights, which tells their form.
    """
    whisper, words = mlx_models.part("whisper"), mlx_models.part("tokenizer").get_tokenizer(True)
    dims = whisper.ModelDimensions(80, 1500, DIMENSIONS, 1, 1, VOCABULARY, 448, DIMENSIONS, 1, 1)
    model = whisper.Whisper(dims, mx.float16)
    model.update(tree_map(mx.zeros_like, {one: model[one] for one in ("encoder", "decoder")}))
    said: list[int] = words.encode(text)
    last = words.eot if ends else said.pop()
    script = [words.to_language_token(language), 0, 0, *said, last]
    assert len(script) <= DIMENSIONS
    model.decoder.token_embedding.weight = mx.array(_meanings(script))
    places = np.minimum(np.arange(dims.n_text_ctx), len(script) - 1)
    model.decoder.positional_embedding = mx.array(FAR * np.eye(DIMENSIONS, dtype=np.float32)[places])
    model.decoder.ln.weight = mx.ones(DIMENSIONS)
    model.set_dtype(mx.float16)
    config = {**asdict(dims), "model_type": "whisper"}
    if bits:
        config["quantization"] = {"group_size": 64, "bits": bits}
        nn.quantize(model, group_size=64, bits=bits)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    weights, file = dict(tree_flatten(model.parameters())), str(folder / name)
    if name.endswith(".npz"):
        mx.savez(file, **weights)
    else:
        mx.save_safetensors(file, weights)
    return folder


def _meanings(script: Sequence[int]) -> np.ndarray:
    meanings = np.zeros((VOCABULARY, DIMENSIONS), dtype=np.float32)
    for place, token in enumerate(script):
        if token:
            meanings[token, place] = NEAR
    return meanings
