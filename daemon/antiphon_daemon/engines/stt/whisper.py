"""What is the same for Whisper whichever library computes it, made quick for the short utterances of a conversation.

Whisper's encoder always looks at 30 seconds, so half a second costs as much as half a minute. Here it sees a window
just longer than the sound, at least `WINDOW_S`, and once more a somewhat longer one when the answer looks wrong.
Decoding is greedy, once: a ladder of temperatures would make the worst recordings the slowest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from antiphon.audio.pcm import RATE, Samples
from antiphon.settings import Settings
from antiphon_daemon.engines import models
from antiphon_daemon.engines.contracts import EngineError, Load, Revoked, Transcript, Urgency, Work
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
from antiphon_daemon.engines.worker import Worker

WINDOW_S, AGAIN = 7.0, 1.4
"""The shortest window, and how many times as long the other is. Of 309 utterances one in twelve is heard again; in all
10.1 % of the words are wrong, 10.2 % if the other window is the full one, which takes five times as long, and 10.4 %
without another (tiny.en)."""
BEFORE_S, AFTER_S = 0.3, 0.3
"""Quiet around speech: exactly so much before it, at least so much after. Of sound that is cut to the speech itself
10 % of the words are wrong, with these 5 to 6 %, wherever it was cut; 0.5 s before it are worse again (tiny.en)."""
QUIET_DB = 30.0
"""So far below the loudest is quiet, whatever the room."""
LEVEL_DB = -23.0
"""How loud the model hears all speech, root mean square in dB of full scale: as broadcasts are. Of 246 utterances 8 to
9 % of the words are wrong from -14 to -26 dB, and 10.7 % at -40, where microphones across a room are (tiny.en)."""

FRAME = RATE // 50
FRAMES_PER_S = 100
TOKENS_PER_S = 16
SPARE_TOKENS = 16
"""Nobody speaks more tokens than these in the time, in any language: beyond them the model goes round in a circle."""


class Whisper(ABC):
    """A `Transcriber` on a model of Whisper's; a library's own class says how it sees and hears one window.

    Args:
        library: what it is called in `name`.
        label: what to call the model.
        languages: codes that it knows; English alone where it has no others.
        hints: names and words that are often said.
    """

    def __init__(self, library: str, label: str, languages: tuple[str, ...], hints: Sequence[str]) -> None:
        self.name = f"{library} {label}"
        self.languages = languages
        self._label, self._hints = label, hints
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

    def follow(self, settings: Settings) -> None:
        """Take over the names and words that are often said."""
        self._hints = settings.stt.hints

    def load(self) -> Load:
        """Return how much there is to do."""
        return self._worker.load()

    async def close(self) -> None:
        """Free the model once the window in hand is done."""
        await self._worker.close()

    @abstractmethod
    def _features(self, audio: Samples) -> Any:
        """Return the log-mel spectrogram of `audio`, `FRAMES_PER_S` frames a second."""

    @abstractmethod
    def _window(
        self, features: Any, duration_s: float, window_s: float, language: str | None, hints: str, work: Work
    ) -> tuple[str, Heard]:
        """Return the language, found if it is not given, and what is heard of `features` in a window of `window_s`.

        Raises:
            EngineError: the library failed.
            Revoked: `work` was given up meanwhile, where the library can be stopped.
        """

    def _known(self, language: str | None) -> str | None:
        if language is None:
            return "en" if self.languages == ("en",) else None
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
            if parts and not work.wanted():  # a long recording, whose sender has left
                raise Revoked
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
        """Return the language and what was heard in at most 30 s.

        What nobody relies on is heard once: a turn may wait.
        """
        audio = with_quiet_around(levelled(audio))
        features, duration_s = self._features(audio), len(audio) / RATE
        window_s = min(max(WINDOW_S, duration_s + MARGIN_S), FULL_WINDOW_S)
        language, heard = self._window(features, duration_s, window_s, language, hints, work)
        sure = not looks_wrong(heard) or nobody_spoke(heard) or work.urgency() is Urgency.MEANWHILE
        longer_s = min(AGAIN * window_s, FULL_WINDOW_S)
        if sure or longer_s == window_s:
            return language, heard
        if not work.wanted():
            raise Revoked
        return self._window(features, duration_s, longer_s, language, hints, work)


def most_tokens(duration_s: float) -> int:
    """Return how many tokens can be spoken in the time."""
    return round(duration_s * TOKENS_PER_S) + SPARE_TOKENS


def decoded(result: Any, most: int, window_s: float) -> Heard:
    """Return what a `DecodingResult` tells: those of openai-whisper and of mlx-whisper are alike."""
    return Heard(
        result.text,
        avg_logprob=result.avg_logprob,
        no_speech_prob=result.no_speech_prob,
        compression_ratio=result.compression_ratio,
        tokens=len(result.tokens),
        complete=len(result.tokens) < most,
        window_s=window_s,
    )


def failed(label: str, error: Exception) -> EngineError:
    """Return the error for a model whose library failed while it heard something."""
    return EngineError("stt", f"The model {label} failed ({error}): restart the daemon.")


def as_sentence(hints: Sequence[str]) -> str:
    """Return the hints as the text before the utterance, whose style the model goes on with.

    Without a full stop it leaves them out too: of 80 utterances 51 had one, instead of 75 without hints and 80 now
    (ten names, tiny.en).
    """
    return f"{', '.join(dict.fromkeys(hints))}." if hints else ""


def levelled(audio: Samples) -> Samples:
    """Return `audio` with its speech at `LEVEL_DB`, however far from the microphone it was said."""
    loud, powers = _loud_frames(audio)
    if not len(loud):
        return audio
    return audio * np.float32(10 ** (LEVEL_DB / 20) / np.sqrt(powers[loud].mean()))


def with_quiet_around(audio: Samples) -> Samples:
    """Return `audio` with `BEFORE_S` before its speech and at least `AFTER_S` after it, silence where that lacks."""
    loud, _ = _loud_frames(audio)
    if not len(loud):
        return audio
    lead = int(loud[0]) * FRAME - round(BEFORE_S * RATE)
    missing_after = round(AFTER_S * RATE) - (len(audio) - (int(loud[-1]) + 1) * FRAME)
    return np.pad(audio[max(0, lead) :], (max(0, -lead), max(0, missing_after)))


def _loud_frames(audio: Samples) -> tuple[np.ndarray[Any, np.dtype[np.intp]], Samples]:
    """Return which frames of 20 ms are not quiet beside the loudest, and the power of each frame."""
    whole = len(audio) - len(audio) % FRAME
    powers = np.square(audio[:whole].reshape(-1, FRAME)).mean(axis=1)
    return np.flatnonzero(powers > np.max(powers, initial=0.0) * 10 ** (-QUIET_DB / 10)), powers
