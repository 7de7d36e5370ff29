"""Whisper through faster-whisper and CTranslate2, made quick for the short utterances of a conversation.

Whisper's encoder always looks at 30 seconds, so half a second costs as much as half a minute. Here it sees a window
just longer than the sound, at least the first of `WINDOWS_S`, and a longer one only when the answer looks wrong.
Decoding is greedy, once: a ladder of temperatures would make the worst recordings the slowest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Stt
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Load, Revoked, Transcript, Work
from antiphon_daemon.engines.stt.cutting import FULL_WINDOW_S, MARGIN_S, cut
from antiphon_daemon.engines.stt.guards import (
    SHORTEST_S,
    SILENCE_DB,
    Heard,
    kept,
    looks_wrong,
    loudest_db,
    nobody_spoke,
)
from antiphon_daemon.engines.worker import Worker, threads

WINDOWS_S = (6.0, 12.0, FULL_WINDOW_S)
"""One after another, until the answer looks right: of 120 utterances one in six needs the second, one in twenty-five
the full one. Together they make no more errors than the full one alone (5.4 % of words against 6.8 %, tiny.en), in a
quarter of its time."""
BEFORE_S, AFTER_S = 0.3, 0.3
"""Quiet around speech: exactly so much before it, at least so much after. Of sound that is cut to the speech itself
10 % of the words are wrong, with these 5 to 6 %, wherever it was cut; 0.5 s before it are worse again (tiny.en)."""
QUIET_DB = 30.0
"""So far below the loudest is quiet, whatever the room."""

SMALL_BYTES = 100_000_000
"""Weights of fewer bytes are those of a tiny model."""

FRAMES_PER_S = 100
TOKENS_PER_S = 16
SPARE_TOKENS = 16
"""Nobody speaks more tokens than these in the time, in any language: beyond them the model goes round in a circle."""


class FasterWhisper:
    """A `Transcriber` on faster-whisper. Making one loads the model, which blocks for a second: do it in a thread.

    Raises:
        EngineMissing: the embedded model is not installed.
        EngineError: the model cannot be loaded or fetched.
    """

    def __init__(self, settings: Stt) -> None:
        self._model, self._label = _load(settings)
        self.name = f"faster-whisper {self._label}"
        self.languages: tuple[str, ...] = tuple(self._model.supported_languages)
        self._hints = settings.hints
        self._tokenizers: dict[str, tuple[Any, list[int]]] = {}
        self._worker = Worker("stt")

    async def transcribe(
        self, audio: Samples, work: Work, *, language: str | None, hints: Sequence[str] = ()
    ) -> Transcript:
        """Return what is said in `audio`; the model is not asked about silence or a click."""
        code = self._known(language)
        duration_s = len(audio) / RATE
        if duration_s < SHORTEST_S or loudest_db(audio) < SILENCE_DB:
            return Transcript("", code, duration_s=duration_s, tokens=0, window_s=0.0)
        return await self._worker.run(
            partial(self._transcribe, audio, work, code, as_sentence((*self._hints, *hints))), work
        )

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._worker.load()

    async def close(self) -> None:
        """Free the model once the window in hand is done."""
        await self._worker.close()

    def _known(self, language: str | None) -> str | None:
        if language is None:
            return "en" if not self._model.model.is_multilingual else None
        code = language.lower().replace("_", "-").split("-")[0]
        if code in self.languages:
            return code
        if self.languages == ("en",):
            offered = models.offer("stt", code)
            message = (
                f"The model {self._label} knows English only, not {code}: name a model for many languages as "
                f"stt.model in config.yaml{f', or: {offered}' if offered else '.'}"
            )
        else:
            message = f"The model {self._label} does not know the language {code}: correct language in config.yaml."
        raise EngineError("stt", message)

    def _transcribe(self, audio: Samples, work: Work, language: str | None, hints: str) -> Transcript:
        parts: list[tuple[str, Heard]] = []
        for part in cut(audio):
            peak_db = loudest_db(part)
            if peak_db < SILENCE_DB or len(part) < SHORTEST_S * RATE:
                continue
            language, heard = self._hear(part, work, language, hints)
            parts.append((kept(heard, len(part) / RATE, peak_db), heard))
        text = " ".join(said for said, _ in parts if said)
        tokens = sum(heard.tokens for _, heard in parts)
        return Transcript(
            text,
            language,
            avg_logprob=sum(heard.avg_logprob * heard.tokens for _, heard in parts) / max(1, tokens),
            no_speech_prob=min((heard.no_speech_prob for _, heard in parts), default=1.0),
            compression_ratio=max((heard.compression_ratio for _, heard in parts), default=0.0),
            tokens=tokens,
            duration_s=len(audio) / RATE,
            window_s=sum(heard.window_s for _, heard in parts),
        )

    def _hear(self, audio: Samples, work: Work, language: str | None, hints: str) -> tuple[str, Heard]:
        """Return the language and what was heard in at most 30 s, from the shortest window that hears it right."""
        audio = with_quiet_around(audio)
        features, duration_s = self._model.feature_extractor(audio), len(audio) / RATE
        least_s = min(duration_s + MARGIN_S, FULL_WINDOW_S)
        windows_s = [max(WINDOWS_S[0], least_s), *(window_s for window_s in WINDOWS_S[1:] if window_s > least_s)]
        found = self._window(features, duration_s, windows_s[0], language, hints)
        for window_s in windows_s[1:]:
            if not looks_wrong(found[1]) or nobody_spoke(found[1]):
                break
            if not work.wanted():
                raise Revoked
            found = self._window(features, duration_s, window_s, found[0], hints)
        return found

    def _window(
        self, features: Any, duration_s: float, window_s: float, language: str | None, hints: str
    ) -> tuple[str, Heard]:
        frames = round(window_s * FRAMES_PER_S)
        seen = np.zeros((features.shape[0], frames), dtype=np.float32)
        count = min(frames, features.shape[1])
        seen[:, :count] = features[:, :count]
        try:
            encoded = self._model.encode(seen)
            language = language or self._model.model.detect_language(encoded)[0][0][0][2:-2]
            tokenizer, suppressed = self._tokenizer(language)
            prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True, hotwords=hints or None)
            most = round(duration_s * TOKENS_PER_S) + SPARE_TOKENS
            result = self._model.model.generate(
                encoded,
                [prompt],
                beam_size=1,
                max_length=min(self._model.max_length, len(prompt) + most),
                return_scores=True,
                return_no_speech_prob=True,
                suppress_blank=True,
                suppress_tokens=suppressed,
            )[0]
        except (RuntimeError, ValueError) as error:
            raise EngineError("stt", f"The model {self._label} failed ({error}): restart the daemon.") from error
        ids = result.sequences_ids[0]
        text = tokenizer.decode(ids).strip()
        return language, Heard(
            text,
            # The score is the mean over the tokens; the end of text counts as one.
            avg_logprob=result.scores[0] * len(ids) / (len(ids) + 1),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=get_compression_ratio(text),
            tokens=len(ids),
            complete=len(ids) < most,
            window_s=window_s,
        )

    def _tokenizer(self, language: str) -> tuple[Any, list[int]]:
        if language not in self._tokenizers:
            multilingual = self._model.model.is_multilingual
            tokenizer = Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language)
            self._tokenizers[language] = tokenizer, list(get_suppressed_tokens(tokenizer, [-1]))
        return self._tokenizers[language]


def as_sentence(hints: Sequence[str]) -> str:
    """Return the hints as the text before the utterance, whose style the model goes on with.

    Without a full stop it leaves them out too: of 80 utterances 51 had one, instead of 75 without hints and 80 now
    (ten names, tiny.en).
    """
    return f"{', '.join(dict.fromkeys(hints))}." if hints else ""


def with_quiet_around(audio: Samples) -> Samples:
    """Return `audio` with `BEFORE_S` before its speech and at least `AFTER_S` after it, silence where that lacks."""
    frame = RATE // 50
    whole = len(audio) - len(audio) % frame
    powers = np.square(audio[:whole].reshape(-1, frame)).mean(axis=1)
    loud = np.flatnonzero(powers > np.max(powers, initial=0.0) * 10 ** (-QUIET_DB / 10))
    if not len(loud):
        return audio
    lead = int(loud[0]) * frame - round(BEFORE_S * RATE)
    missing_after = round(AFTER_S * RATE) - (len(audio) - (int(loud[-1]) + 1) * frame)
    return np.pad(audio[max(0, lead) :], (max(0, -lead), max(0, missing_after)))


def _load(settings: Stt) -> tuple[Any, str]:
    """Return the model, warmed, and what to call it."""
    name, label = settings.model, settings.model
    if name == "embedded":
        name, label = str(catalogue.whisper()), "tiny.en"
    elif pulled := models.path("stt", name):
        name = str(pulled)
        catalogue.check("stt", pulled / "model.bin")
    elif "/" in name or Path(name).is_dir():
        folder = Path(name).expanduser()
        catalogue.check("stt", folder / "model.bin")
        name, label = str(folder), folder.name
    return _open(name, settings), label


def _open(name: str, settings: Stt) -> Any:
    device = settings.device
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    compute = settings.compute_type
    if compute == "auto":
        compute = "float16" if device == "cuda" else "int8"
    try:
        model = WhisperModel(name, device=device, compute_type=compute, cpu_threads=_threads(name, settings))
        # The first call pays for allocations, and finds what loading does not: a torn vocabulary, a missing library.
        # A window of one second will do: the full one would cost every start half a second.
        seen = np.ascontiguousarray(model.feature_extractor(np.zeros(RATE, dtype=np.float32))[:, :FRAMES_PER_S])
        begin = model.hf_tokenizer.token_to_id("<|startoftranscript|>")
        model.hf_tokenizer.decode(model.model.generate(model.encode(seen), [[begin]], max_length=3)[0].sequences_ids[0])
    except Exception as error:  # CTranslate2, tokenizers and the hub have no error in common, some raise bare ones
        if Path(name).is_dir():
            raise catalogue.broken("stt", name, error) from error
        reason = " ".join(str(error).split())
        raise EngineError("stt", f"The model {name} cannot be fetched; correct stt.model ({reason}).") from error
    return model


def _threads(name: str, settings: Stt) -> int:
    """Return how many threads a model gets: a small one has nothing to share out in a short window.

    With tiny.en a second thread makes it slower (80 to 96 ms for a command), and takes a core from those who work
    meanwhile.
    """
    weights = Path(name, "model.bin")
    small = weights.stat().st_size < SMALL_BYTES if weights.is_file() else name.startswith("tiny")
    return settings.threads or (1 if small else threads(0))
