"""The model that others use, as they use it."""

from __future__ import annotations

from typing import Any

from antiphon.settings import Settings
from antiphon_daemon.engines.stt.faster_whisper import FasterWhisper
from antiphon_daemon.engines.worker import threads


def whisper_on_all_cores(settings: Settings) -> Any:
    """Return faster-whisper's model with a thread for each core, which is best for the full window."""
    return FasterWhisper(settings.stt.model_copy(update={"threads": settings.stt.threads or threads(0)}))._model
