"""A Piper voice in two parts, so that its first sound need not wait for its last.

A voice's front turns phonemes into a picture of the sound, its decoder turns the picture into samples and costs most of
the time. The picture's frames depend on those near them alone: decoded in pieces with `MARGIN` frames on both sides,
they give the very same samples. So a whole sentence keeps its melody and begins after a fraction of its time.

The parts are cut out of the voice once (`onnx`, in a process of its own, which gives its memory back) and kept in the
user's cache. Where that cannot be done, or a voice has another shape, it is used whole.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import platformdirs
import structlog

from antiphon.audio.pcm import Samples

DECODER = "/dec/"
"""What the names of the decoder's nodes begin with in a voice that Piper exported."""
MARGIN = 10
"""Frames on both sides that a frame's samples depend on (measured: with ten, the samples are equal)."""
FIRST_FRAMES, MOST_FRAMES = 36, 160
"""Frames of the first piece (0.4 s of a medium voice), and of a later one; each is up to twice the one before."""
CUT_S = 60.0

log = structlog.get_logger(__name__)

Open = Callable[[Path], Any]
"""Opens an ONNX file as a session."""


class Parts:
    """The two parts of a voice.

    Args:
        front, decoder: sessions of the two files that `cut` wrote.
    """

    def __init__(self, front: Any, decoder: Any) -> None:
        self._front, self._decoder = front, decoder
        self._picture = str(decoder.get_inputs()[0].name)

    def say(self, given: dict[str, Any]) -> Iterator[Samples]:
        """Yield the samples for the voice's inputs, piece by piece.

        Args:
            given: what the whole voice takes: input, input_lengths, scales and, with several speakers, sid.
        """
        (picture,) = self._front.run(None, given)
        frames = picture.shape[2]
        at, size = 0, FIRST_FRAMES
        while at < frames:
            end = frames if at + 1.5 * size >= frames else at + size
            first, last = max(0, at - MARGIN), min(frames, end + MARGIN)
            (sound,) = self._decoder.run(None, {self._picture: picture[:, :, first:last]})
            samples = sound.reshape(-1)
            hop = len(samples) // (last - first)
            yield samples[(at - first) * hop : (end - first) * hop]
            at, size = end, min(MOST_FRAMES, 2 * size)


def parts(voice: Path, open_session: Open) -> Parts | None:
    """Return the two parts of the voice in a file, None where it must be used whole. The first time takes seconds."""
    stat = voice.stat()
    key = hashlib.sha256(f"{voice.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:20]
    folder = Path(platformdirs.user_cache_dir("antiphon")) / "voices" / key
    try:
        if not (folder / "decoder.onnx").is_file():
            _cut_apart(voice, folder)
        return Parts(open_session(folder / "front.onnx"), open_session(folder / "decoder.onnx"))
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        log.info("the voice is used whole: its first sound comes later", voice=voice.stem, why=(reason or [""])[-1])
        return None
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no common base
        log.info("the voice is used whole: its first sound comes later", voice=voice.stem, why=str(error))
        return None


def _cut_apart(voice: Path, folder: Path) -> None:
    """Write both parts into `folder`, whole or not at all."""
    made = folder.with_name(f"{folder.name}.{os.getpid()}")
    made.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", __name__, str(voice), str(made)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=CUT_S)
    if folder.exists():  # left half done, or done meanwhile by another process: its parts are as good
        for name in ("front.onnx", "decoder.onnx"):
            (made / name).replace(folder / name)
        made.rmdir()
    else:
        made.rename(folder)


def cut(voice: Path, folder: Path) -> None:
    """Cut a voice into `front.onnx` and `decoder.onnx`.

    Raises:
        SystemExit: `onnx` is not installed, or the voice has another shape.
    """
    try:
        import onnx
        from onnx import utils
    except ImportError:
        raise SystemExit("onnx is not installed") from None
    graph = onnx.load(str(voice)).graph
    picture = _between(graph.node, {value.name for value in graph.initializer})
    inputs = [value.name for value in graph.input]
    utils.extract_model(str(voice), str(folder / "front.onnx"), inputs, [picture])
    utils.extract_model(str(voice), str(folder / "decoder.onnx"), [picture], [graph.output[0].name])


def _between(nodes: Sequence[Any], weights: set[str]) -> str:
    """Return the name of the one value that the decoder takes from the rest."""
    inside = [node for node in nodes if node.name.startswith(DECODER)]
    made_inside = {name for node in inside for name in node.output}
    constants = {name for node in nodes if node.op_type == "Constant" for name in node.output}
    taken = {name for node in inside for name in node.input if name} - made_inside - weights - constants
    if len(taken) != 1:
        raise SystemExit(f"the voice has another shape: its decoder takes {len(taken)} values")
    return str(taken.pop())


if __name__ == "__main__":
    cut(Path(sys.argv[1]), Path(sys.argv[2]))
