"""What the endpoints say of themselves: complete, so that Home Assistant takes them at the first try.

Every field below that looks superfluous is required by a reader somewhere (`attribution`, `installed`, `version`).
"""

from __future__ import annotations

from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    HandleModel,
    HandleProgram,
    Info,
    TtsProgram,
    TtsVoice,
    WakeModel,
    WakeProgram,
)
from wyoming.info import TtsVoiceSpeaker as Speaker

from antiphon import __version__
from antiphon.audio.wake import WakeWords, available
from antiphon_daemon.engines.contracts import Responder, Synthesizer, Transcriber

ANTIPHON = Attribution(name="Antiphon", url="")
KINDS = ("asr", "tts", "handle", "intent", "wake", "mic", "snd")
"""What a service can be, a satellite apart."""


def asr_info(engine: Transcriber, language: str) -> Info:
    """Return the info of the `asr` endpoint, the house's language first."""
    languages = sorted(engine.languages, key=lambda code: (code != language, code))
    model = AsrModel(engine.name, ANTIPHON, True, engine.name, __version__, languages)
    program = AsrProgram("antiphon", ANTIPHON, True, "Antiphon speech to text", __version__, [model])
    program.supports_transcript_streaming = True
    program.requires_external_vad = False
    return Info(asr=[program])


def tts_info(engine: Synthesizer) -> Info:
    """Return the info of the `tts` endpoint, the default voice first."""
    voices = [
        TtsVoice(
            voice.name,
            ANTIPHON,
            True,
            voice.name,
            __version__,
            list(voice.languages),
            [Speaker(name) for name in voice.speakers] or None,
        )
        for voice in engine.voices
    ]
    program = TtsProgram("antiphon", ANTIPHON, True, "Antiphon text to speech", __version__, voices)
    program.supports_synthesize_streaming = True
    return Info(tts=[program])


def handle_info(engine: Responder, language: str, *, control: bool) -> Info:
    """Return the info of the `handle` endpoint: English and Korean, the house's language first.

    Args:
        control: what concerns the house is handed to Home Assistant.
    """
    languages = sorted({language, "en", "ko"}, key=lambda code: (code != language, code))
    model = HandleModel(engine.name, ANTIPHON, True, engine.name, __version__, languages)
    program = HandleProgram("antiphon", ANTIPHON, True, "Antiphon conversation", __version__, [model])
    program.supports_handled_streaming = True
    program.supports_home_control = control
    return Info(handle=[program])


def wake_info() -> Info:
    """Return the info of the `wake` endpoint: the wake words that come with it."""
    words = WakeWords(available()).words
    models = [
        WakeModel(word.name, ANTIPHON, True, word.phrase, __version__, list(word.languages), word.phrase)
        for word in words
    ]
    return Info(wake=[WakeProgram("antiphon", ANTIPHON, True, "Antiphon wake words", __version__, models)])


def vad_info() -> Info:
    """Return the info of the `vad` endpoint: the protocol has no words for it."""
    return Info()


def is_ours(endpoint: str, said: Info) -> bool:
    """Return whether `said` is what an Antiphon says at this endpoint, and not another maker's service."""
    programs = {(kind, program.name) for kind in KINDS for program in getattr(said, kind)}
    return said.satellite is None and programs == (set() if endpoint == "vad" else {(endpoint, "antiphon")})


def names(said: Info) -> str:
    """Return what the programs and the satellite call themselves that describe themselves so."""
    programs = [program.name for kind in KINDS for program in getattr(said, kind)]
    return ", ".join([*programs, *([said.satellite.name] if said.satellite else [])])


def plain_language(tag: str | None) -> str | None:
    """Return the language of a tag such as `en-US` or `ko_KR`, lower case; None for none."""
    return tag.replace("_", "-").split("-")[0].lower() or None if tag else None
