"""Vosk (Kaldi): small models that hear as they go, for machines on which Whisper is too slow."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import vosk

from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.places import at_home
from antiphon.settings import Stt
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Load, Stream, Transcript, Work
from antiphon_daemon.engines.stt.streams import Listeners, Listening, hear, nothing_in
from antiphon_daemon.engines.worker import Worker

OTHER_CODES = {"cn": "zh", "kz": "kk", "ua": "uk"}
"""What its models call languages otherwise than ISO 639."""

MOST_IDLE = 2
"""Recognisers that are kept for the next utterance."""
WARM_UP: Samples = np.random.default_rng(0).normal(0, 0.02, RATE // 2).astype(np.float32)
QUIET_BYTES = RATE // 5
"""A tenth of a second."""

_NUMBER = re.compile(r"\[(\d+)\]")
"""The Korean model writes numbers in brackets."""
_NAMED = re.compile(r"vosk-model-(?:small-|big-)?([a-z]{2,3})(?:[-._]|$)")


class Vosk:
    """A `StreamingTranscriber` on vosk. Making one loads the model, which blocks for a second: do it in a thread.

    Hints are not used: vosk can only be told which words there are at all.

    Args:
        settings: `model`, the folder of one; `embedded`: the one that a package brings for the house's language.
        language: the language of the house, and of a model whose folder does not say which it knows.

    Raises:
        EngineMissing: the embedded model is not installed.
        EngineError: the model cannot be loaded, or there is no embedded one for that language.
    """

    def __init__(self, settings: Stt, language: str) -> None:
        folder = _folder(settings, language)
        for part in ("am/final.mdl", "conf/model.conf"):
            catalogue.check("stt", folder / part)
        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(str(folder))
            self._idle = [self._new()]  # finds what loading does not
        except Exception as error:  # vosk raises bare ones
            raise catalogue.broken("stt", folder, error) from error
        self._label = folder.name if settings.model != "embedded" else f"embedded ({language})"
        self.name = f"vosk {self._label}"
        self.languages: tuple[str, ...] = (_language(folder.name, language),)
        self._worker = Worker("stt")
        self._listeners = Listeners()

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        """Return what is said in `audio`; the model is not asked about silence or a click."""
        code = self._known(language)
        text = "" if nothing_in(audio) else await self._worker.run(partial(self._hear, audio, work), work)
        return Transcript(text, code, duration_s=len(audio) / RATE)

    def open(self, work: Work, *, language: str | None) -> Stream:
        """Begin an utterance."""
        code = self._known(language)
        return self._listeners.add(Listening(self._worker, self._begin, work, code))

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._worker.load()

    async def close(self) -> None:
        """Free the model once the step in hand is done."""
        await self._listeners.close()
        await self._worker.close()

    def _hear(self, audio: Samples, work: Work) -> str:
        recogniser = self._begin()
        try:
            return hear(recogniser, audio, work)
        finally:
            recogniser.release()

    def _begin(self) -> _Recogniser:
        """Return a recogniser for a new utterance: one that was used before, where there is one that nobody uses."""
        return _Recogniser(self._idle.pop() if self._idle else self._new(), self._idle)

    def _new(self) -> Any:
        """Return a recogniser that has heard something: the first time takes half a second, and hears otherwise."""
        recogniser = vosk.KaldiRecognizer(self._model, RATE)
        recogniser.AcceptWaveform(to_bytes(WARM_UP))
        recogniser.FinalResult()
        return recogniser

    def _known(self, language: str | None) -> str:
        code = re.split("[-_]", language)[0].lower() if language else self.languages[0]
        if code not in self.languages:
            offered = models.offer("stt", code)
            says = f"The model {self._label} knows {self.languages[0]} only, not {code}: name another as stt.model"
            raise EngineError("stt", f"{says} in config.yaml{f', or: {offered}' if offered else '.'}")
        return code


class _Recogniser:
    """Vosk's own, which parts what it hears where somebody pauses."""

    def __init__(self, inner: Any, idle: list[Any]) -> None:
        self._inner, self._idle = inner, idle
        self._said: list[str] = []
        self._parted = self._ended = False

    def feed(self, audio: Samples) -> str:
        self._parted = bool(self._inner.AcceptWaveform(to_bytes(audio)))
        if self._parted:
            self._said.append(json.loads(self._inner.Result())["text"])
            return self._so_far()
        return self._so_far(json.loads(self._inner.PartialResult())["partial"])

    def end(self) -> str:
        if self._parted:  # only what is in the middle of something can be ended, and only then is all of it forgotten
            self._inner.AcceptWaveform(bytes(QUIET_BYTES))
        text = self._so_far(json.loads(self._inner.FinalResult())["text"])
        self._ended = True
        self.release()
        return text

    def release(self) -> None:
        """Leave the library's recogniser to the next utterance: a new one takes half a second to warm up."""
        if not self._ended:
            self.end()
        elif self._inner not in self._idle and len(self._idle) < MOST_IDLE:
            self._idle.append(self._inner)

    def _so_far(self, last: str = "") -> str:
        return _NUMBER.sub(r"\1", " ".join((*self._said, last)))


def _folder(settings: Stt, language: str) -> Path:
    if settings.model == "embedded":
        return catalogue.vosk(language)
    models.same_engine("stt", settings.model, "vosk")
    return at_home(settings.model)


def _language(folder: str, otherwise: str) -> str:
    named = _NAMED.match(folder)
    return OTHER_CODES.get(named[1], named[1]) if named else otherwise
