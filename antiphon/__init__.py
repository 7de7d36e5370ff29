"""The ground floor of Antiphon: settings, sound, the wire and the command line. It imports neither program."""

import os

__version__ = "0.1.0"

for _switch in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ.setdefault(_switch, "1")
"""ONNX Runtime's wheels report their use to their maker unless they are told not to before they are loaded (its
Privacy.md), and so does the client of Hugging Face. What happens in a house stays there."""

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Read when NumPy is loaded. Its matrices are small here, but after each of them the threads of OpenBLAS wait for the
next one in a loop that keeps the other core: of the processor time of a transcription that was nearly half."""
