"""Voices that speak in tones: made here, a few kilobytes each, for what no package brings a real model of.

They are what the libraries expect (inputs, outputs, files beside them). A text lasts as long as it is long, and each
voice has its own pitch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx_files import FLOAT, INT64, graph, model, node

STYLES, STYLE = 510, 256
"""Of Kokoro: lengths that a voice has a style for, and the numbers of a style."""
KOKORO_RATE, KOKORO_TOKEN = 24_000, 1200
"""Samples a second, and samples that a phoneme lasts."""

SUPERTONIC_RATE, LATENT, LATENT_SAMPLES = 44_100, 144, 3072
"""Samples a second; numbers of a frame of Supertonic, and samples that it lasts."""
LETTER_S = 0.05
KNOWN_CHARACTERS = 0x1200
"""Latin, Greek, Cyrillic and the letters of Hangul, which are the last of them."""


def kokoro(folder: Path, voices: Mapping[str, float], *, tokens: str = "tokens") -> Path:
    """Write a model of Kokoro's kind, with voices and their pitches (Hz), into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sings = graph(
        [
            node("Shape", [tokens], ["shape"]),
            node("Gather", ["shape", "one"], ["count"]),
            node("Cast", ["count"], ["length"], {"to": FLOAT}),
            node("Mul", ["length", "each"], ["whole"]),
            node("Div", ["whole", "speed"], ["lasting"]),
            *_tone("lasting", "style", "audio"),
        ],
        {"each": np.array([KOKORO_TOKEN], np.float32), **_tone_weights(KOKORO_RATE)},
        {tokens: (INT64, [1, "n"]), "style": (FLOAT, [1, STYLE]), "speed": (FLOAT, [1])},
        {"audio": (FLOAT, ["samples"])},
    )
    (folder / "model.onnx").write_bytes(model(sings, {}))
    for name, pitch in voices.items():
        np.full((STYLES, STYLE), pitch, np.float32).tofile(folder / f"{name}.bin")
    return folder


def supertonic(
    folder: Path, voices: Mapping[str, float], *, version: str = "v1.7.3", rate: int = SUPERTONIC_RATE
) -> Path:
    """Write a model of Supertonic's kind, with voices and their pitches (Hz), into `folder`, as the hub has it."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    (folder / "voice_styles").mkdir(exist_ok=True)
    text = {"text_ids": (INT64, ["B", "T"]), "text_mask": (FLOAT, ["B", 1, "T"])}
    style: dict[str, tuple[int, list[int | str]]] = {"style_ttl": (FLOAT, ["B", 50, 256])}
    latent: list[int | str] = ["B", LATENT, "L"]
    parts = {
        "duration_predictor": (
            [node("ReduceSum", ["text_mask", "axes"], ["letters"], {"keepdims": 0}),
             node("Mul", ["letters", "each"], ["duration"])],
            {"axes": np.array([1, 2]), "each": np.array([LETTER_S], np.float32)},
            {**text, "style_dp": (FLOAT, ["B", 8, 16])},
            {"duration": (FLOAT, ["B"])},
        ),
        "text_encoder": (
            [node("Identity", ["text_mask"], ["text_emb"])],
            {},
            {**text, **style},
            {"text_emb": (FLOAT, ["B", 1, "T"])},
        ),
        # Every step takes what is there for noise, and makes it the pitch of the voice.
        "vector_estimator": (
            [node("ReduceMean", ["style_ttl"], ["pitch"]),
             node("Mul", ["noisy_latent", "none"], ["silence"]),
             node("Add", ["silence", "pitch"], ["denoised_latent"])],
            {"none": np.array([0], np.float32)},
            {"noisy_latent": (FLOAT, latent), "text_emb": (FLOAT, ["B", 1, "T"]), **style,
             "text_mask": (FLOAT, ["B", 1, "T"]), "latent_mask": (FLOAT, ["B", 1, "L"]),
             "current_step": (FLOAT, ["B"]), "total_step": (FLOAT, ["B"])},
            {"denoised_latent": (FLOAT, latent)},
        ),
        "vocoder": (
            [node("Shape", ["latent"], ["shape"]),
             node("Gather", ["shape", "two"], ["frames"]),
             node("Cast", ["frames"], ["length"], {"to": FLOAT}),
             node("Mul", ["length", "each"], ["lasting"]),
             *_tone("lasting", "latent", "tone"),
             node("Unsqueeze", ["tone", "first"], ["wav"])],
            {"two": np.array([2]), "first": np.array([0]), "each": np.array([LATENT_SAMPLES], np.float32),
             **_tone_weights(rate)},
            {"latent": (FLOAT, latent)},
            {"wav": (FLOAT, ["B", "samples"])},
        ),
    }  # fmt: skip
    for name, part in parts.items():
        (folder / "onnx" / f"{name}.onnx").write_bytes(model(graph(*part), {}))
    split = "opensource-en" if version < "v1.6" else "opensource-multilingual"
    config: dict[str, Any] = {
        "tts_version": version,
        "split": split,
        "ae": {"sample_rate": rate, "base_chunk_size": 512},
        "ttl": {"chunk_compress_factor": 6, "latent_dim": 24},
    }
    (folder / "onnx" / "tts.json").write_text(json.dumps(config))
    known = [-1] * 32 + list(range(KNOWN_CHARACTERS - 32))
    (folder / "onnx" / "unicode_indexer.json").write_text(json.dumps(known))
    for name, pitch in voices.items():
        styles = {
            "style_ttl": {"dims": [1, 50, 256], "data": [[[pitch] * 256] * 50]},
            "style_dp": {"dims": [1, 8, 16], "data": [[[0.0] * 16] * 8]},
        }
        (folder / "voice_styles" / f"{name}.json").write_text(json.dumps(styles))
    return folder


def pitch_of(pcm: bytes, rate: int) -> float:
    """Return the loudest pitch (Hz) in PCM (s16le, mono)."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))) * rate / len(samples)


def _tone(lasting: str, pitched: str, name: str) -> list[bytes]:
    """Return nodes that make a tone: as many samples as `lasting` says, as high as the mean of `pitched`."""
    return [
        node("ReduceMean", [pitched], ["height"], {"keepdims": 0}),
        node("Squeeze", [lasting], ["end"]),
        node("Range", ["begin", "end", "step"], ["at"]),
        node("Mul", ["at", "height"], ["turns"]),
        node("Mul", ["turns", "turn"], ["angle"]),
        node("Sin", ["angle"], ["sine"]),
        node("Mul", ["sine", "loud"], [name]),
    ]


def _tone_weights(rate: int) -> dict[str, Any]:
    return {
        "one": np.array([1]),
        "begin": np.array(0, np.float32),
        "step": np.array(1, np.float32),
        "turn": np.array(2 * np.pi / rate, np.float32),
        "loud": np.array(0.4, np.float32),
    }
