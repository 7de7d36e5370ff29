"""What `engine: auto` takes: by the machine, by what is installed, by the models that are here and by the language.

`hear` and `speak` are pure: what there is goes in, a choice and its reason come out. A model that does not know the
language is never taken.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from antiphon.cores import cores
from antiphon.places import at_home
from antiphon.settings import Llm, Settings
from antiphon_daemon.engines import available, by_speed, catalogue, measured, models
from antiphon_daemon.engines.contracts import Chosen, EngineError, EngineMissing, Stage
from antiphon_daemon.engines.llm.remote import shown

STAGES: tuple[Stage, ...] = ("stt", "llm", "tts")
NO_MODEL = "the catalogue has no model for it, see docs/models.md"

MANY_CORES = 8
"""From here on a large model is quick enough on a CPU."""

WHISPERS = ("whisper-tiny", "whisper-base", "whisper-small", "whisper-medium", "whisper-large-v3")
"""By size. The best that the machine can run is taken; what is too large only if nothing smaller is here."""
FOR_A_GPU = ("whisper-large-v3-turbo", *reversed(WHISPERS))
FOR_APPLE_SILICON = (
    "whisper-large-v3-turbo",
    "whisper-medium",
    "whisper-small",
    "whisper-large-v3",
    "whisper-base",
    "whisper-tiny",
)
"""large-v3 has eight times the decoder layers of turbo to read for each token: it stands before those alone that hear
little outside English."""
FOR_MANY_CORES = ("whisper-medium", "whisper-small", "whisper-base", "whisper-tiny", *FOR_A_GPU)
FOR_FEW_CORES = ("whisper-small", "whisper-base", "whisper-tiny", *reversed(FOR_A_GPU))
ELSEWHERE = frozenset({"wyoming", "openai_api"})
"""Engines that are taken only where the settings say where they are."""
UNMEASURED_VOICES = ("piper", "supertonic", "kokoro")
"""Of what was not measured, that which is quick enough almost anywhere goes first."""


@dataclass(frozen=True)
class Machine:
    """What the choice depends on of a machine."""

    system: str
    """As Python says it: Darwin, Linux."""
    processor: str
    """arm64, aarch64, x86_64."""
    cores: int
    cuda: bool = False
    """A GPU of NVIDIA's that CTranslate2 can use."""

    @property
    def apple_silicon(self) -> bool:
        """Whether MLX runs here."""
        return self.system == "Darwin" and self.processor == "arm64"

    def __str__(self) -> str:
        if self.cuda:
            return "a GPU with CUDA"
        return f"{'Apple silicon' if self.apple_silicon else 'a CPU'} with {self.cores} cores"


@dataclass(frozen=True)
class Here:
    """What is on a machine."""

    installed: Mapping[Stage, frozenset[str]]
    """Engines of each stage whose packages are installed."""
    pulled: frozenset[str] = frozenset()
    """Models of the catalogue that are here."""
    vosk: frozenset[str] = frozenset()
    """Languages for which a package brings a model of vosk."""
    espeak: frozenset[str] = frozenset()
    """Languages that espeak-ng speaks."""
    measured: tuple[measured.Speed, ...] = ()
    """What was measured on this machine."""


def hear(machine: Machine, here: Here, language: str) -> Chosen:
    """Return how speech in `language` is heard on `machine`.

    Raises:
        EngineMissing: nothing that is here can; the message names what does not know the language, and the command
            that brings what does.
    """
    installed = here.installed.get("stt", frozenset())
    if taken := _measured("stt", machine, here, language):
        return taken
    if _on_mlx(machine, here):
        whisper = _whisper(FOR_APPLE_SILICON, here, language)
        if whisper:
            why = f"mlx_whisper with {_called(whisper)} (float16) hears {language!r} on the GPU of Apple silicon"
            return Chosen("stt", "mlx_whisper", why, {"model": whisper, "compute_type": "float16"})
    order = FOR_A_GPU if machine.cuda else FOR_MANY_CORES if machine.cores >= MANY_CORES else FOR_FEW_CORES
    if "faster_whisper" in installed:
        device, form = ("cuda", "float16") if machine.cuda else ("cpu", "int8")
        whisper = _whisper(order, here, language)
        if whisper:
            why = f"faster_whisper with {_called(whisper)} ({form}) hears {language!r} on {machine}"
            told = {"model": whisper, "device": device, "compute_type": form}
            return Chosen("stt", "faster_whisper", why, told)
    if "vosk" in installed and language in here.vosk:
        why = (
            f"vosk with its small model hears {language!r}: no Whisper that knows it is here, {_pull('stt', language)}"
        )
        return Chosen("stt", "vosk", why, {"model": "embedded"})
    if "faster_whisper" not in installed and not _on_mlx(machine, here):
        brings = available.brings("stt", "faster_whisper", machine.system)
        raise EngineMissing("stt", f"Nothing here hears {language!r}, and no Whisper is installed: {brings}")
    says = f"Nothing here hears {language!r}, and the embedded model tiny.en knows English only"
    raise EngineMissing("stt", f"{says}: {_pull('stt', language)}")


def speak(machine: Machine, here: Here, language: str) -> Chosen:
    """Return how `language` is spoken on `machine`.

    Raises:
        EngineMissing: nothing that is here can; the message names what does not know the language, and the command
            that brings what does.
    """
    installed = here.installed.get("tts", frozenset())
    if taken := _measured("tts", machine, here, language):
        return taken
    voices = [(engine, name) for engine in UNMEASURED_VOICES for name in _models("tts", language, engine)]
    here_now = [(engine, name) for engine, name in voices if engine in installed and name in here.pulled]
    if "piper" in installed and language == "en":
        here_now.append(("piper", "embedded"))
    if here_now:
        engine, voice = here_now[0]
        what = "the embedded en_US-joe" if voice == "embedded" else voice
        return Chosen("tts", engine, f"{engine} with {what} speaks {language!r}", {"voice": voice})
    offered = _pull("tts", language, machine, installed)
    if "espeak" in installed and language in here.espeak:
        better = f"; what sounds better: {offered}" if voices else ""
        return Chosen("tts", "espeak", f"espeak speaks {language!r}{better}", {"voice": "embedded"})
    says = f"Nothing here speaks {language!r}, and the embedded voice en_US-joe knows English only: {offered}"
    if "espeak" not in installed:
        says += f", or: {available.brings('tts', 'espeak', machine.system)}"
    raise EngineMissing("tts", says)


def think(here: Here, language: str, llm: Llm) -> Chosen:
    """Return the language models that `llm` with `engine: auto` stands for: Ollama, and one in this process.

    Raises:
        EngineMissing: neither is installed.
    """
    installed = here.installed.get("llm", frozenset())
    section = {name: getattr(llm, name) for name in llm.model_fields_set - {"engine", "fallback", "model"}}
    file = llm.model if llm.model.endswith(".gguf") else ""
    pulled = next((name for name in _models("llm", language) if name in here.pulled), None)
    model = file or pulled or ("" if language == "en" else None)
    engines: list[dict[str, Any]] = []
    if "ollama" in installed:
        engines.append({**section, "engine": "ollama", "model": "" if file else llm.model})
    if "embedded" in installed and model is not None:
        engines.append({**section, "engine": "embedded", "model": model})
    if not engines:
        says = f"Nothing here thinks in {language!r}, and the embedded SmolLM2 knows English only"
        raise EngineMissing("llm", f"{says}: {_pull('llm', language)}, or start Ollama.")
    bundled = {"embedded": "with the bundled SmolLM2", "ollama": "where it runs"}
    names = [f"{one['engine']} {one['model'] or bundled[one['engine']]}" for one in engines]
    why = f"{', else '.join(names)}, answers in {language!r}"
    if model is None:
        why += f"; the embedded SmolLM2 knows English only, not {language!r}: {_pull('llm', language)}"
    first, *others = engines
    return Chosen("llm", first["engine"], why, {**first, "fallback": [*others, *llm.fallback]})


def resolve(settings: Settings, stages: Sequence[Stage] = STAGES) -> tuple[Settings, tuple[Chosen, ...]]:
    """Return settings that name an engine wherever these say `auto`, and what was chosen. Blocks for some milliseconds.

    Args:
        stages: those that are looked at.

    Raises:
        EngineMissing: nothing that is here knows the language of the house.
    """
    asked = [stage for stage in stages if getattr(settings, stage).engine == "auto"]
    if not asked:
        return settings, ()
    speeds, ignored = measured.read()
    machine, here, language = this_machine(), replace(on_this_machine(), measured=speeds), settings.language
    choices: list[Chosen] = []
    if "stt" in asked:
        choices.append(_hearing(settings, machine, here))
    if "llm" in asked:
        choices.append(think(here, language, settings.llm))
    if "tts" in asked:
        choices.append(_named_speaking(settings) or speak(machine, here, language))
    changed: dict[str, Any] = {}
    for one in choices:
        section = getattr(settings, one.stage)
        fields = {name: getattr(section, name) for name in section.model_fields_set}
        changed[one.stage] = type(section)(**{**fields, **one.settings, "engine": one.engine})
    if ignored:
        choices = [replace(one, why=f"{one.why}; {ignored}") if one.stage != "llm" else one for one in choices]
    return settings.model_copy(update=changed), tuple(choices)


def this_machine() -> Machine:
    """Return what this machine is."""
    gpu = False
    if not available.missing("stt", "faster_whisper"):
        from antiphon_daemon.engines.stt import cuda

        gpu = cuda.present() and not cuda.missing()
    return Machine(platform.system(), platform.machine(), cores(), gpu)


def on_this_machine() -> Here:
    """Return what is on this machine."""
    installed: dict[Stage, frozenset[str]] = {
        stage: frozenset(name for name in engines if not available.missing(stage, name))
        for stage, engines in available.ENGINES.items()
    }
    spoken: frozenset[str] = frozenset()
    if "espeak" in installed["tts"]:
        from antiphon_daemon.engines.tts.espeak import languages

        with contextlib.suppress(EngineError):
            spoken = languages()
    return Here(
        installed,
        frozenset(name for name in models.catalogue() if models.place(name)),
        frozenset(language for language in catalogue.VOSK if _is_here(partial(catalogue.vosk, language))),
        spoken,
    )


def _hearing(settings: Settings, machine: Machine, here: Here) -> Chosen:
    """Return what hears: what the settings say of its device and form holds."""
    known = here
    if settings.stt.device == "cpu" and machine.cuda:  # it was measured on the GPU
        machine, known = replace(machine, cuda=False), replace(here, measured=())
    heard = _named_hearing(settings, machine, here) or hear(machine, known, settings.language)
    if heard.engine != "faster_whisper":
        return heard
    said = {name: getattr(settings.stt, name) for name in ("device", "compute_type")}
    told = {name: value for name, value in said.items() if value != "auto"}
    return replace(heard, settings={**heard.settings, **told})


def _named_hearing(settings: Settings, machine: Machine, here: Here) -> Chosen | None:
    """Return the engine that what the settings name belongs to; None where they name nothing."""
    stt, folder = settings.stt, at_home(settings.stt.model)
    if stt.url:
        engine, what = ("openai_api" if stt.url.startswith("http") else "wyoming"), shown(stt.url)
    elif stt.model == "embedded":
        return None
    else:
        model = models.catalogue().get(stt.model)
        engine, what = model.engine if model else "faster_whisper", stt.model
        if model and stt.device == stt.compute_type == "auto" and _on_mlx(machine, here):
            engine = "mlx_whisper"
        if stt.model.endswith(".pt"):
            engine = "openai_whisper"
        elif (folder / "am").is_dir():
            engine = "vosk"
        elif next(folder.glob("*tokens.txt"), None) is not None:
            engine = "sherpa_onnx"
        elif (folder / "config.json").is_file() and next(folder.glob("weights.*"), None) is not None:
            engine = "mlx_whisper"
    return Chosen("stt", engine, f"{engine} hears: the settings name {what}")


def _named_speaking(settings: Settings) -> Chosen | None:
    """Return the engine that what the settings name belongs to; None where they name nothing."""
    tts = settings.tts
    if tts.url:
        engine, what = ("openai_api" if tts.url.startswith("http") else "wyoming"), shown(tts.url)
    elif tts.voice == "embedded":
        return None
    else:
        model, what, folder = models.catalogue().get(tts.voice), tts.voice, at_home(tts.voice)
        endings = {".onnx": "piper", ".pth": "coqui"}
        engine = model.engine if model else endings.get(folder.suffix, "espeak")
        if what.startswith("tts_models/") or next(folder.glob("*.pth*"), None) is not None:
            engine = "coqui"
        elif folder.is_dir():
            engine = "supertonic" if next(folder.rglob("tts.json"), None) else "kokoro"
    return Chosen("tts", engine, f"{engine} speaks: the settings name {what}")


def _on_mlx(machine: Machine, here: Here) -> bool:
    return machine.apple_silicon and "mlx_whisper" in here.installed.get("stt", frozenset())


def _whisper(order: tuple[str, ...], here: Here, language: str) -> str | None:
    """Return the first Whisper in order that is here and knows `language`; None: there is none."""
    pulled = next((name for name in _with_english(order, language) if _knows(name, here, language)), None)
    return pulled or ("embedded" if language == "en" else None)


def _called(whisper: str) -> str:
    return "the embedded tiny.en" if whisper == "embedded" else whisper


def _with_english(order: tuple[str, ...], language: str) -> list[str]:
    """Return names in order, each English-only one of the catalogue before its sibling of many languages."""
    names: list[str] = []
    for name in order:
        names += [f"{name}.en", name] if language == "en" else [name]
    return names


def _knows(name: str, here: Here, language: str) -> bool:
    model = models.catalogue().get(name)
    return name in here.pulled and model is not None and model.knows(language)


def _measured(stage: Stage, machine: Machine, here: Here, language: str) -> Chosen | None:
    """Return what measurements decide; None where nothing that can be used was measured in this language."""

    def usable(engine: str, model: str) -> bool:
        if engine in ELSEWHERE or engine not in here.installed.get(stage, frozenset()):
            return False
        embedded = {"vosk": here.vosk, "espeak": here.espeak}.get(engine, frozenset({"en"}))
        return language in embedded if model == "embedded" else _knows(model, here, language)

    found = by_speed.choose(stage, language, here.measured, usable)
    if found is None:
        return None
    one, why = found
    what = "what is embedded" if one.model == "embedded" else one.model
    why = f"{one.engine} with {what} {'hears' if stage == 'stt' else 'speaks'} {language!r}: {why}"
    told: dict[str, Any] = {"model" if stage == "stt" else "voice": one.model}
    if one.engine == "faster_whisper":
        told["device"], told["compute_type"] = ("cuda", "float16") if machine.cuda else ("cpu", "int8")
    return Chosen(stage, one.engine, why + by_speed.unmeasured(one, here.measured, here.pulled, language), told)


def _models(stage: Stage, language: str, engine: str = "") -> list[str]:
    """Return the catalogue's models that know `language`: all, or those of one engine."""
    known = [one for one in models.catalogue().values() if one.stage == stage and one.knows(language)]
    return [one.name for one in known if engine in ("", one.engine)]


def _pull(stage: Stage, language: str, machine: Machine | None = None, installed: frozenset[str] | None = None) -> str:
    """Return the command that brings what is missing: a model, and its engine where that is not `installed` either."""
    names = _models(stage, language)
    if not names:
        return NO_MODEL
    engine = models.catalogue()[names[0]].engine
    system = machine.system if machine else platform.system()
    brings = (
        f"{available.brings(stage, engine, system)} && " if installed is not None and engine not in installed else ""
    )
    return f"{brings}antiphon models pull {names[0]}"


def _is_here(find: Callable[[], object]) -> bool:
    try:
        find()
    except EngineError:
        return False
    return True
