"""sherpa-onnx: streaming and offline models of next-generation Kaldi, NeMo and others for many languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import sherpa_onnx

from antiphon.audio.pcm import RATE, Samples
from antiphon.places import at_home
from antiphon.settings import Stt
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Load, Revoked, Stream, Transcript, Work
from antiphon_daemon.engines.stt.cutting import cut
from antiphon_daemon.engines.stt.guards import kept, loudest_db, unscored
from antiphon_daemon.engines.stt.sherpa_models import Found, find
from antiphon_daemon.engines.stt.streams import Listeners, Listening, hear, nothing_in, tidy
from antiphon_daemon.engines.worker import Worker, threads

TAIL_S = 0.66
"""Silence behind an utterance, without which a streaming model keeps its last word to itself."""


def load(settings: Stt, language: str) -> SherpaOnnx:
    """Return the engine for the model that the settings name, warmed. It blocks: do it in a thread.

    Args:
        language: the language of the house, and of a model whose folder does not say which it knows.

    Raises:
        EngineError: no model is named, or it cannot be loaded.
    """
    if settings.model == "embedded":
        says = "No package brings a model of sherpa-onnx: name the folder of one as stt.model in config.yaml"
        raise EngineError("stt", f"{says} (github.com/k2-fsa/sherpa-onnx has them for many languages).")
    models.same_engine("stt", settings.model, "sherpa_onnx")
    found = find(at_home(settings.model))
    return (Streaming if found.kind == "streaming" else SherpaOnnx)(settings, found, language)


class SherpaOnnx:
    """A `Transcriber` on an offline model of sherpa-onnx. Hints are not used: only some of its models know them.

    Raises:
        EngineError: the model cannot be loaded.
    """

    def __init__(self, settings: Stt, found: Found, language: str) -> None:
        folder = at_home(settings.model)
        self._folder, self._found = folder, found
        self._threads = threads(settings.threads)
        self.name = f"sherpa-onnx {folder.name}"
        self.languages: tuple[str, ...] = found.languages or (language,)
        self._recognisers: dict[str, Any] = {}
        self._worker = Worker("stt")
        try:
            self._warm(language if language in self.languages else self.languages[0])
        except EngineError:
            raise
        except Exception as error:  # its C++ raises bare ones
            raise catalogue.broken("stt", folder, error) from error

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        """Return what is said in `audio`; the model is not asked about silence or a click."""
        code = self._known(language)
        text = "" if nothing_in(audio) else await self._worker.run(partial(self._hear, audio, work, code), work)
        return Transcript(text, code, duration_s=len(audio) / RATE)

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._worker.load()

    async def close(self) -> None:
        """Free the model once the part in hand is done."""
        await self._worker.close()

    def _warm(self, language: str) -> None:
        """Load the model and have it hear half a second of nothing: finds what loading alone does not."""
        self._offline(np.zeros(RATE // 2, dtype=np.float32), language)

    def _hear(self, audio: Samples, work: Work, language: str | None) -> str:
        said = []
        for part in cut(audio):
            if not work.wanted():
                raise Revoked
            if nothing_in(part):
                continue
            duration_s = len(part) / RATE
            said.append(kept(unscored(self._offline(part, language), duration_s), duration_s, loudest_db(part)))
        return tidy(" ".join(said))

    def _offline(self, audio: Samples, language: str | None) -> str:
        recogniser = self._recogniser(language)
        stream = recogniser.create_stream()
        stream.accept_waveform(RATE, audio)
        recogniser.decode_stream(stream)
        return unicodedata.normalize("NFC", stream.result.text.strip())

    def _recogniser(self, language: str | None) -> Any:
        """Return the recogniser for a language; only some kinds of model have one for each."""
        kind, files = self._found.kind, self._found.files
        spoken = (language or "") if kind in ("whisper", "sense_voice") else ""
        if spoken not in self._recognisers:
            common = {"tokens": files["tokens"], "num_threads": self._threads}
            if kind in ("transducer", "nemo_transducer"):
                parts = {part: files[part] for part in ("encoder", "decoder", "joiner")}
                make: Callable[..., Any] = sherpa_onnx.OfflineRecognizer.from_transducer
                made = make(**parts, **common, model_type=kind)
            elif kind == "whisper":
                parts = {part: files[part] for part in ("encoder", "decoder")}
                made = sherpa_onnx.OfflineRecognizer.from_whisper(**parts, **common, language=spoken)
            elif kind == "sense_voice":
                make = sherpa_onnx.OfflineRecognizer.from_sense_voice
                made = make(model=files["model"], **common, language=spoken or "auto", use_itn=True)
            else:
                made = sherpa_onnx.OfflineRecognizer.from_nemo_ctc(model=files["model"], **common)
            self._recognisers = {spoken: made}  # one at a time: each holds the whole model
        return self._recognisers[spoken]

    def _known(self, language: str | None) -> str | None:
        if language is None:
            return self.languages[0] if len(self.languages) == 1 else None
        code = re.split("[-_]", language)[0].lower()
        if code not in self.languages:
            offered = models.offer("stt", code)
            knows = ", ".join(self.languages)
            says = f"The model {self._folder.name} knows {knows} only, not {code}: name another as stt.model"
            raise EngineError("stt", f"{says} in config.yaml{f', or: {offered}' if offered else '.'}")
        return code


class Streaming(SherpaOnnx):
    """A `StreamingTranscriber` on a streaming transducer."""

    def __init__(self, settings: Stt, found: Found, language: str) -> None:
        self._listeners = Listeners()
        super().__init__(settings, found, language)

    def open(self, work: Work, *, language: str | None) -> Stream:
        """Begin an utterance."""
        code = self._known(language)
        return self._listeners.add(Listening(self._worker, self._begin, work, code))

    async def close(self) -> None:
        """Free the model once the step in hand is done."""
        await self._listeners.close()
        await super().close()

    def _warm(self, language: str) -> None:
        files = self._found.files
        parts = {part: files[part] for part in ("tokens", "encoder", "decoder", "joiner")}
        make: Callable[..., Any] = sherpa_onnx.OnlineRecognizer.from_transducer
        self._online = make(**parts, num_threads=self._threads, model_type=self._found.type)
        self._begin().end()

    def _begin(self) -> _Recogniser:
        return _Recogniser(self._online)

    def _hear(self, audio: Samples, work: Work, language: str | None) -> str:
        return hear(self._begin(), audio, work)


class _Recogniser:
    """An utterance in the library."""

    def __init__(self, online: Any) -> None:
        self._online, self._stream = online, online.create_stream()

    def feed(self, audio: Samples) -> str:
        self._stream.accept_waveform(RATE, audio)
        return self._decoded()

    def end(self) -> str:
        self._stream.accept_waveform(RATE, np.zeros(round(TAIL_S * RATE), dtype=np.float32))
        self._stream.input_finished()
        return self._decoded()

    def _decoded(self) -> str:
        while self._online.is_ready(self._stream):
            self._online.decode_stream(self._stream)
        text: str = self._online.get_result(self._stream)
        return text
