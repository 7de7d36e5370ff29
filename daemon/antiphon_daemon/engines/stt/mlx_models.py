"""The models that mlx-whisper opens: its own folders, and those of the catalogue, which are CTranslate2's."""

from __future__ import annotations

import importlib
import importlib.util
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from mlx.utils import tree_flatten, tree_unflatten

from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import EngineError

WEIGHTS = ("weights.safetensors", "weights.npz")
"""What mlx-whisper looks for, in this order."""
CTRANSLATE2 = "model.bin"

_TYPES: Mapping[int, type[np.generic]] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""Numbers of CTranslate2's `DataType`."""
_RENAMED = (
    ("encoder/layer_norm/", "encoder/ln_post/"),
    ("decoder/layer_norm/", "decoder/ln/"),
    ("self_attention/layer_norm/", "attn_ln/"),
    ("/attention/layer_norm/", "/cross_attn_ln/"),
    ("ffn/layer_norm/", "mlp_ln/"),
    ("ffn/linear_0/", "mlp1/"),
    ("ffn/linear_1/", "mlp2/"),
    ("self_attention/", "attn/"),
    ("/attention/", "/cross_attn/"),
    ("layer_", "blocks/"),
    ("position_encodings/encodings", "positional_embedding"),
    ("embeddings/", "token_embedding/"),
    ("/gamma", "/weight"),
    ("/beta", "/bias"),
)
"""What CTranslate2 calls the parts of a Whisper, and what mlx-whisper calls them."""
_JOINED: Mapping[str, tuple[str, ...]] = {
    "attn/linear_0/": ("query", "key", "value"),
    "attn/linear_1/": ("out",),
    "cross_attn/linear_0/": ("query",),
    "cross_attn/linear_1/": ("key", "value"),
    "cross_attn/linear_2/": ("out",),
}
"""Projections that CTranslate2 keeps as one."""


def part(name: str) -> Any:
    """Return a module of mlx-whisper without running its package's own start.

    That brings numba and SciPy, which find the times of words: 3 s and 190 MB for what nobody asks for here.
    """
    if "mlx_whisper" not in sys.modules:
        spec = importlib.util.find_spec("mlx_whisper")
        if spec is None:
            raise ModuleNotFoundError("No module named 'mlx_whisper'", name="mlx_whisper")
        sys.modules["mlx_whisper"] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"mlx_whisper.{name}")


def is_mlx(folder: Path) -> bool:
    """Return whether `folder` is a model in mlx-whisper's own form."""
    return any((folder / name).is_file() for name in WEIGHTS)


def load(folder: Path, dtype: Any) -> Any:
    """Return the model in `folder`, its weights read.

    Args:
        dtype: what it computes with; weights that are quantised stay so.

    Raises:
        EngineError: there is none, it is another engine's, or it is broken.
    """
    if not folder.is_dir():
        says = f"There is no folder {folder}: correct stt.model in config.yaml, or fetch a model"
        raise EngineError("stt", f"{says}: antiphon models pull whisper-small")
    try:
        if is_mlx(folder):
            model = part("load_models").load_model(str(folder), dtype)
            weights: Any = mx.load(str(next(folder / name for name in WEIGHTS if (folder / name).is_file())))
            _complete(model, weights)
            model.set_dtype(dtype)
        elif (folder / CTRANSLATE2).is_file():
            model = _converted(catalogue.check("stt", folder / CTRANSLATE2), dtype)
        else:
            says = f"The folder {folder} has no {' or '.join(WEIGHTS)} for mlx-whisper, and no {CTRANSLATE2} either"
            raise EngineError("stt", f"{says}: correct stt.model or stt.engine in config.yaml.")
        mx.eval(model.parameters(), model.encoder._positional_embedding, model.decoder._mask)
    except EngineError:
        raise
    except Exception as error:  # MLX, zipfile, json and struct have no error in common
        raise catalogue.broken("stt", folder, error) from error
    return model


@dataclass(frozen=True)
class _Weights:
    """What a `model.bin` holds."""

    kind: str
    arrays: Mapping[str, npt.NDArray[Any]]


def _read(file: Path) -> _Weights:
    """Return the arrays of a model of CTranslate2's (binary version 6), mapped and not read.

    Raises:
        struct.error, ValueError: the file is cut short, or something else.
    """
    data = np.memmap(file, mode="r").data
    at = 0

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return int(value)

    def name() -> str:
        nonlocal at
        size = number("H")
        at += size
        return bytes(data[at - size : at]).rstrip(b"\0").decode()

    if (version := number("I")) != 6:
        raise ValueError(f"its version is {version}, not 6")
    kind, _, arrays = name(), number("I"), {}
    for _ in range(number("I")):
        called = name()
        shape = [number("I") for _ in range(number("B"))]
        dtype, size = _TYPES.get(number("B")), number("I")
        if at + size > len(data):
            raise ValueError(f"{called} is cut short")
        if dtype is not None:
            arrays[called] = np.frombuffer(data[at : at + size], dtype).reshape(shape)
        at += size
    return _Weights(kind, arrays)


def _converted(file: Path, dtype: Any) -> Any:
    """Return mlx-whisper's model with the weights of CTranslate2's. The numbers are the same."""
    found = _read(file)
    if found.kind != "WhisperSpec":
        raise EngineError("stt", f"The model {file} is no Whisper ({found.kind}): correct stt.model in config.yaml.")
    arrays = found.arrays
    if arrays["decoder/embeddings/weight"].dtype.kind != "f":
        says = f"The weights of {file} are quantised, as faster_whisper reads them and mlx_whisper does not"
        raise EngineError("stt", f"{says}: take a model in float16, or correct stt.engine in config.yaml.")
    library = part("whisper")
    model = library.Whisper(library.ModelDimensions(**_dimensions(arrays)), dtype)
    weights = dict(_renamed(arrays))
    _complete(model, weights)
    model.update(tree_unflatten([(name, mx.array(array).astype(dtype)) for name, array in weights.items()]))
    return model


def _complete(model: Any, weights: Mapping[str, Any]) -> None:
    """Check that `weights` has each part of `model` in its shape; MLX would take chance for what lacks.

    Raises:
        ValueError: something lacks, or has another shape.
    """
    for name, array in tree_flatten(model.parameters()):
        if name != "alignment_heads" and (name not in weights or weights[name].shape != array.shape):
            raise ValueError(f"its {name} is not what it says of itself")


def _dimensions(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, int]:
    """Return what mlx-whisper's `ModelDimensions` wants to know."""
    size: dict[str, int] = {}
    for side, letters in (("encoder", "audio"), ("decoder", "text")):
        size[f"n_{letters}_ctx"], size[f"n_{letters}_state"] = arrays[f"{side}/position_encodings/encodings"].shape
        size[f"n_{letters}_head"] = int(arrays[f"{side}/num_heads"])
        layers = {name.split("/")[1] for name in arrays if name.startswith(f"{side}/layer_")}
        size[f"n_{letters}_layer"] = len(layers - {"layer_norm"})
    size["n_mels"] = arrays["encoder/conv1/weight"].shape[1]
    size["n_vocab"] = arrays["decoder/embeddings/weight"].shape[0]
    return size


def _renamed(arrays: Mapping[str, npt.NDArray[Any]]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield the weights under mlx-whisper's names, in its shapes."""
    for called, array in arrays.items():
        name = called
        if not array.ndim or name == "encoder/position_encodings/encodings":
            continue  # how the model is built, and sines that mlx-whisper computes itself
        for old, new in _RENAMED:
            name = name.replace(old, new)
        joint = next((one for one in sorted(_JOINED, key=len, reverse=True) if f"/{one}" in name), "")
        if joint:
            parts = _JOINED[joint]
            for piece, weight in zip(parts, np.split(array, len(parts)), strict=True):
                if not (piece == "key" and name.endswith("bias")):  # zeros: Whisper's keys have none
                    yield name.replace(joint, f"{joint.split('/')[0]}/{piece}/").replace("/", "."), weight
        else:
            yield name.replace("/", "."), array.swapaxes(1, 2) if array.ndim == 3 else array
