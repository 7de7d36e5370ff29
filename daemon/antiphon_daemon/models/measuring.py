"""Measures how quickly the engines that are here hear and speak: `antiphon models bench`.

What is heard was said by a voice that is here, so word errors tell one model from another, and not how it hears people.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, Literal

import numpy as np
from jiwer import cer, wer

from antiphon.audio.pcm import RATE, Samples, resample, to_samples
from antiphon.settings import Settings, Stt, Tts
from antiphon_daemon.engines import auto, by_speed, measured, models
from antiphon_daemon.engines.build import build_synthesizer, build_transcriber
from antiphon_daemon.engines.contracts import EngineError, Remote, Synthesizer, Transcriber
from antiphon_daemon.engines.measured import Speed
from antiphon_daemon.engines.work import Token

Stage = Literal["stt", "tts"]

SENTENCES: Mapping[str, tuple[str, ...]] = {
    "en": ("Turn on the light in the kitchen.", "What will the weather be tomorrow?", "Please close all the windows."),
    "ko": ("부엌에 불 좀 켜 줘.", "내일 날씨는 어떨까?", "창문을 모두 닫아 주세요."),
    "de": ("Mach das Licht in der Küche an.", "Wie wird morgen das Wetter?", "Bitte schließ alle Fenster."),
    "fr": ("Allume la lumière dans la cuisine.", "Quel temps fera-t-il demain?", "Ferme toutes les fenêtres."),
    "es": ("Enciende la luz de la cocina.", "¿Qué tiempo hará mañana?", "Cierra todas las ventanas, por favor."),
    "it": ("Accendi la luce in cucina.", "Che tempo farà domani?", "Chiudi tutte le finestre, per favore."),
    "pt": ("Acenda a luz da cozinha.", "Como vai estar o tempo amanhã?", "Feche todas as janelas, por favor."),
    "nl": ("Doe het licht in de keuken aan.", "Wat voor weer wordt het morgen?", "Doe alle ramen dicht."),
    "ru": ("Включи свет на кухне.", "Какая завтра будет погода?", "Закрой, пожалуйста, все окна."),
    "zh": ("请打开厨房的灯。", "明天天气怎么样？", "请把所有的窗户都关上。"),
    "ja": ("台所の電気をつけて。", "明日の天気はどうですか。", "窓を全部閉めてください。"),
    "hi": ("रसोई की बत्ती जलाओ।", "कल मौसम कैसा रहेगा?", "सारी खिड़कियाँ बंद कर दो।"),
}
"""What is said in a house, by language."""
AROUND_S = 0.2
"""Silence before and after what is to be heard."""
ALSO_RUN: Mapping[str, tuple[str, ...]] = {"faster_whisper": ("faster_whisper", "mlx_whisper")}
"""Engines that run the models which the catalogue has for another one."""


class CannotMeasure(Exception):
    """There is nothing to measure with; the message says what is missing."""


@dataclass(frozen=True)
class Subject:
    """What is measured."""

    stage: Stage
    engine: str
    model: str
    settings: Settings


@dataclass
class Measured:
    """What has been measured so far."""

    speeds: list[Speed] = field(default_factory=list)
    failed: list[tuple[Subject, str]] = field(default_factory=list)
    """What could not be, and why."""
    speaker: str = ""
    """What said that which was heard; empty: nothing could."""


def sentences(language: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return what is said.

    Raises:
        CannotMeasure: there is nothing in this language.
    """
    if not texts and language not in SENTENCES:
        says = f"There are no sentences in {language!r} to measure with: give some, each with --text"
        raise CannotMeasure(f"{says}.")
    wordless = next((text for text in texts if not plain(text)), None)
    if wordless is not None:
        raise CannotMeasure(f"There are no words in {wordless!r}: give others with --text.")
    return tuple(texts) or SENTENCES[language]


def subjects(settings: Settings, language: str) -> list[Subject]:
    """Return each engine that is installed with each model that is here and knows `language`; voices first."""
    here = auto.on_this_machine()
    named: list[tuple[Stage, str, str, dict[str, Any]]] = []
    for model in models.catalogue().values():
        if model.stage != "llm" and model.name in here.pulled and model.knows(language):
            named += [(model.stage, one, model.name, {}) for one in ALSO_RUN.get(model.engine, (model.engine,))]
    named += [("stt", engine, "embedded", {}) for engine in ALSO_RUN["faster_whisper"] if language == "en"]
    named += [("stt", "vosk", "embedded", {})] if language in here.vosk else []
    named += [("tts", "piper", "embedded", {})] if language == "en" else []
    named += [("tts", "espeak", "embedded", {})] if language in here.espeak else []
    # What the settings name may be anything: a path, a service elsewhere.
    for stage, section, model_ in (
        ("stt", settings.stt, settings.stt.model),
        ("tts", settings.tts, settings.tts.voice),
    ):
        if section.engine != "auto" and (section.url or model_ != "embedded"):
            told = section.model_dump(exclude_unset=True)
            named.append((stage, section.engine, model_, told))  # type: ignore[arg-type]
    found: dict[tuple[str, str, str], Subject] = {}
    for stage, engine, model_, told in named:
        if engine not in here.installed.get(stage, frozenset()) and not told:
            continue  # what the settings name says itself that its engine is not installed
        kind, key = (Stt, "model") if stage == "stt" else (Tts, "voice")
        asked = kind(**{**told, "engine": engine, key: model_})
        whole = settings.model_copy(update={"language": language, stage: asked})
        found[stage, engine, model_] = Subject(stage, engine, model_, whole)
    return sorted(found.values(), key=lambda one: one.stage, reverse=True)


async def measure(
    asked: Sequence[Subject],
    said: Sequence[str],
    rounds: int,
    done: Measured,
    progress: Callable[[str], None],
) -> None:
    """Measure, and keep what was measured one by one: whoever cancels it has the rest all the same.

    Args:
        asked: what to measure; voices first.
        said: what they say and hear.
        done: what grows.
        progress: is told what is being done.

    Raises:
        OSError: what was measured cannot be kept.
    """
    spoken: dict[tuple[str, str], list[Samples]] = {}
    for number, subject in enumerate(asked, 1):
        note = partial(_tell, progress, f"{number} of {len(asked)}: {subject.engine} {subject.model}")
        note("loading …")
        try:
            if subject.stage == "tts":
                speed, sound = await _speaking(subject, said, rounds, note)
                spoken[subject.engine, subject.model] = sound
            else:
                heard = _best(done.speeds, spoken)
                if heard is None:
                    raise CannotMeasure("nothing here could say anything for it to hear")
                done.speaker = " ".join(heard)
                speed = await _hearing(subject, said, spoken[heard], rounds, note)
        except (EngineError, CannotMeasure) as error:
            done.failed.append((subject, str(error)))
            continue
        measured.add([speed])
        done.speeds.append(speed)


async def _speaking(
    subject: Subject, said: Sequence[str], rounds: int, progress: Callable[[str], None]
) -> tuple[Speed, list[Samples]]:
    """Return how quickly a voice speaks, and what it said (16 kHz)."""
    language = subject.settings.language
    voice = await build_synthesizer(subject.settings)
    try:
        await _see(voice)
        firsts, spent_s, sound_s, sound = [], 0.0, 0.0, list[Samples]()
        await _speak(voice, said[0], language)
        for turn in range(rounds):
            for text in said:
                progress(f"says {text!r}")
                first_s, whole_s, pcm = await _speak(voice, text, language)
                firsts.append(first_s * 1000)
                spent_s += whole_s
                sound_s += len(pcm) / 2 / voice.rate
                if turn == 0:
                    sound.append(resample(to_samples(pcm), voice.rate, RATE))
        return _speed(subject, median(firsts), rtf=round(spent_s / sound_s, 3)), sound
    finally:
        await voice.close()


async def _speak(voice: Synthesizer, text: str, language: str) -> tuple[float, float, bytes]:
    """Return the seconds to the first sound, those to the last, and the sound."""
    began, first_s, pcm = time.perf_counter(), 0.0, b""
    async for block in voice.speak(text, Token(), voice=None, language=language):
        first_s = first_s or time.perf_counter() - began
        pcm += block
    if not pcm:
        raise EngineError("tts", f"{voice.name} said nothing of {text!r}.", quoted=text)
    return first_s, time.perf_counter() - began, pcm


async def _hearing(
    subject: Subject, said: Sequence[str], sound: Sequence[Samples], rounds: int, progress: Callable[[str], None]
) -> Speed:
    """Return how quickly, and how rightly, an engine hears what was said."""
    language = subject.settings.language
    around = np.zeros(round(AROUND_S * RATE), dtype=np.float32)
    ears: Transcriber = await build_transcriber(subject.settings)
    try:
        await _see(ears)
        times, heard = [], list[str]()
        await ears.transcribe(np.concatenate((around, sound[0], around)), Token(), language=language)
        for turn in range(rounds):
            for text, samples in zip(said, sound, strict=True):
                progress(f"hears {text!r}")
                began = time.perf_counter()
                found = await ears.transcribe(np.concatenate((around, samples, around)), Token(), language=language)
                times.append((time.perf_counter() - began) * 1000)
                if turn == 0:
                    heard.append(plain(found.text))
        texts = [plain(text) for text in said]
        return _speed(subject, median(times), wer=round(wer(texts, heard), 4), cer=round(cer(texts, heard), 4))
    finally:
        await ears.close()


def _tell(progress: Callable[[str], None], title: str, text: str) -> None:
    progress(f"{title}: {text}")


async def _see(engine: object) -> None:
    if isinstance(engine, Remote):
        await engine.check()


def _speed(subject: Subject, ms: float, **more: float) -> Speed:
    return Speed(
        stage=subject.stage,
        engine=subject.engine,
        model=subject.model,
        language=subject.settings.language,
        ms=round(ms, 1),
        version=measured.installed_version(subject.stage, subject.engine),
        **more,
    )


def _best(speeds: Sequence[Speed], spoken: Mapping[tuple[str, str], object]) -> tuple[str, str] | None:
    """Return the best voice of those that have spoken."""
    voices = [one for one in speeds if one.stage == "tts" and (one.engine, one.model) in spoken]
    best = min(voices, key=by_speed.rank, default=None)
    return (best.engine, best.model) if best else None


def plain(text: str) -> str:
    """Return text as it is compared: lower case, no punctuation."""
    marks = (" " if unicodedata.category(one)[0] in "PS" and one != "'" else one for one in text.lower())
    return re.sub(r"\s+", " ", "".join(marks)).strip()
