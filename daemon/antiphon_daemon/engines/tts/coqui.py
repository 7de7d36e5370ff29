"""Speech made with Coqui TTS (the package coqui-tts, on PyTorch), piece by piece of a sentence.

Its models come from many makers, each under a licence of its own; that of XTTS (CPML) allows no commercial use.
"""

from __future__ import annotations

import difflib
import json
import logging
import re
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from TTS.utils.manage import ModelManager
from TTS.utils.synthesizer import PAD_SILENCE_SAMPLES, Synthesizer

from antiphon.audio.pcm import Samples, resample, to_bytes
from antiphon.places import at_home
from antiphon.settings import Tts
from antiphon_daemon.engines import catalogue, models
from antiphon_daemon.engines.contracts import EngineError, Voice, Work
from antiphon_daemon.engines.tts.in_process import InProcess
from antiphon_daemon.engines.tts.pieces import pause_s, pieces
from antiphon_daemon.engines.worker import threads

RATE = 22_050
"""What every voice is given out at, whatever it was trained at."""

READY = "Ready. One, two, three."
"""Said once, unheard: it warms the model up, and finds what loading does not."""
LETTERS = 12
"""So many of a model's own letters are said where it knows none of these."""

PREFIX = "tts_models/"
"""What the package calls a model that speaks: tts_models/LANGUAGE/DATASET/MODEL."""
EXAMPLE = f"{PREFIX}en/ljspeech/vits"

CHECKPOINTS = ("model.pth", "model_file.pth", "model_file.pth.tar", "best_model.pth", "checkpoint.pth")
"""What the file with the weights is called; else it is the only .pth that is none of the following."""
OTHER_FILES = re.compile(r"speakers|speaker_ids|language_ids|d_vectors|model_se|dvae|mel_stats|vocoder")
FOLDERS = {"xtts", "bark", "tortoise"}
"""Models that are several files: they are given their folder."""
PATHS = {
    "speakers_file",
    "language_ids_file",
    "d_vector_file",
    "speaker_encoder_model_path",
    "speaker_encoder_config_path",
    "stats_path",
}
"""What a configuration names by the paths of the machine that the model was trained on."""

# What the package logs quotes what is said; what is wrong it raises as well.
logging.getLogger("TTS").setLevel(logging.CRITICAL)
logging.getLogger("trainer").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"(TTS|torch|torchaudio|transformers|librosa|jieba)\b")


@dataclass(frozen=True)
class Files:
    """Where a model lies."""

    checkpoint: Path
    config: Path
    vocoder: Path | None = None
    vocoder_config: Path | None = None


class Loaded:
    """A model in memory. Making one loads and warms it, which blocks for seconds, and fetches it where it is named.

    Raises:
        EngineError: it cannot be fetched, loaded or used, or a setting does not fit it.
    """

    def __init__(self, settings: Tts, language: str) -> None:
        torch.set_num_threads(threads(settings.threads))
        self.name, files = find(settings.voice)
        config = _read(files.config)
        self._synthesizer = _load(self.name, files, config)
        model = self._synthesizer.tts_model
        manager = getattr(model, "speaker_manager", None)
        names = [str(one) for one in manager.speaker_names] if manager is not None else []
        self.speakers: tuple[str, ...] = tuple(names) if len(names) > 1 else ()
        self._speaker = self.speakers[0] if self.speakers else None
        self._languages = _languages(self.name, config, model.language_manager.language_names, language)
        self.language = language if language in self._languages else next(iter(self._languages))
        self._more = _speed(self.name, model, config, settings.speed)
        if settings.speaker:
            self._speaker = self.find(settings.speaker)
        b"".join(self.say(_first_words(model), self._speaker, self.language))

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that are spoken, the one that is spoken where nothing is said first."""
        return (self.language, *(code for code in self._languages if code != self.language))

    def find(self, voice: str | None) -> str | None:
        """Return the speaker that is asked for by the model's name, a speaker's, or both; None where there is one.

        Raises:
            EngineError: there is no such speaker.
        """
        if voice is None or voice == self.name:
            return self._speaker
        speaker = voice.removeprefix(f"{self.name}/")
        if speaker not in self.speakers:
            known = ", ".join((self.name, *self.speakers))
            raise EngineError("tts", f"There is no voice {voice} here, take one of: {known}.")
        return speaker

    def spoken(self, language: str | None) -> str:
        """Return the plain code of the language that is spoken.

        Raises:
            EngineError: the model does not speak it.
        """
        code = _plain(language) if language else self.language
        if code not in self._languages:
            says = f"The voice {self.name} speaks {', '.join(self._languages)}, not {language}"
            raise EngineError("tts", f"{says}: name a voice for {language} as tts.voice in config.yaml.")
        return code

    def say(self, text: str, speaker: str | None, language: str) -> Iterator[bytes]:
        """Yield `text` as s16le at `RATE`, piece by piece."""
        pause = 0.0
        for piece in pieces(text):
            try:
                sound = self._sound(piece, speaker, language)
            except Exception as error:  # torch's, the phonemizers' and the models' errors have no common base
                says = f"The voice {self.name} could not say this ({_reason(error)})."
                raise EngineError("tts", says, quoted=str(error)) from error
            yield bytes(2 * round(pause * RATE)) + to_bytes(sound)
            pause = pause_s(piece)

    def _sound(self, piece: str, speaker: str | None, language: str) -> Samples:
        """Return a piece at the one rate, never clipped."""
        named = self._languages[language] if len(self._languages) > 1 else None
        made = self._synthesizer.tts(
            piece, speaker_name=speaker, language_name=named, split_sentences=False, **self._more
        )
        samples = np.asarray(made[:-PAD_SILENCE_SAMPLES], dtype=np.float32)
        samples = np.nan_to_num(samples)
        samples /= np.float32(max(1.0, float(np.abs(samples).max(initial=0))))
        return resample(samples, int(self._synthesizer.output_sample_rate), RATE)


class Coqui(InProcess[Loaded]):
    """A `Synthesizer` on Coqui TTS. Making one loads the model, which blocks for seconds: do it in a thread.

    A voice is asked for by the model's name, by the name of one of its speakers, or by both as `name/speaker`.

    Args:
        settings: `voice` (a name of the package's, a folder, or a checkpoint), `speaker`, `speed`.
        language: the language of the house, and of a model that does not say which it speaks.

    Raises:
        EngineError: the model cannot be fetched, loaded or used, or a setting does not fit it.
    """

    def __init__(self, settings: Tts, language: str) -> None:
        super().__init__(partial(Loaded, language=language), settings, RATE)

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"coqui {self._loaded.name}"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The one model, with its speakers."""
        return (Voice(self._loaded.name, self._loaded.languages, self._loaded.speakers),)

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Yield PCM, a piece of a sentence at a time; nothing where there is nothing to say."""
        loaded = self._loaded
        speaker, spoken = loaded.find(voice), loaded.spoken(language)
        async with aclosing(self._say(partial(loaded.say, text, speaker, spoken), work)) as blocks:
            async for block in blocks:
                yield block


def find(voice: str) -> tuple[str, Files]:
    """Return what a voice is called and where it lies; one that is named is fetched where it is not here.

    Raises:
        EngineError: there is none of that name, it cannot be fetched, or a folder has no model.
    """
    if voice == "embedded":
        says = "coqui has no embedded model: name one as tts.voice in config.yaml"
        raise EngineError("tts", f"{says}, such as {EXAMPLE}, or a folder with config.json and its .pth.")
    models.same_engine("tts", voice, "coqui")
    if voice.startswith(PREFIX):
        return voice, _fetch(voice)
    path = at_home(voice)
    folder = path if path.is_dir() else path.parent
    config = catalogue.check("tts", folder / "config.json")
    checkpoint = catalogue.check("tts", path) if path != folder else _checkpoint(folder)
    vocoder = folder / "vocoder"
    if not vocoder.is_dir():
        return folder.name, Files(checkpoint, config)
    return folder.name, Files(checkpoint, config, _checkpoint(vocoder), catalogue.check("tts", vocoder / "config.json"))


def _checkpoint(folder: Path) -> Path:
    named = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
    others = [path for path in sorted(folder.glob("*.pth")) if not OTHER_FILES.search(path.name)]
    if named is None and len(others) != 1:
        has = f"several models ({', '.join(path.name for path in others)})" if others else "no model (.pth)"
        raise EngineError("tts", f"The folder {folder} has {has}: name the model's file as tts.voice in config.yaml.")
    return catalogue.check("tts", named or others[0])


def _fetch(name: str) -> Files:
    """Return the files of a model that the package knows by name.

    Raises:
        EngineError: it knows none of that name, its licence was not agreed to, or it cannot be fetched.
    """
    manager = ModelManager(progress_bar=False)
    item = _known(manager, name)
    folder = manager.output_prefix / name.replace("/", "--")
    if not manager.tos_agreed(item, folder):
        says = f"The model {name} is under the {item['license']}, which allows no commercial use"
        raise EngineError("tts", f"{says}: agree to it with COQUI_TOS_AGREED=1 in the environment, or name another.")
    try:
        checkpoint, config, _ = manager.download_model(name)
        vocoder = item.get("default_vocoder")
        vocoder_files = manager.download_model(vocoder)[:2] if vocoder else (None, None)
    except Exception as error:  # requests, the hub, zipfile and the package itself raise what they like
        says = f"The model {name} cannot be fetched ({_reason(error)})"
        half = f", delete {folder} if it is there," if not isinstance(error, OSError) else ""
        raise EngineError("tts", f"{says}: see to the network{half} and start again, or name a folder.") from error
    return Files(checkpoint, config or checkpoint.parent / "config.json", *vocoder_files)


def _known(manager: ModelManager, name: str) -> Mapping[str, Any]:
    """Return what the package knows of a model: among others its licence.

    Raises:
        EngineError: it knows no such model.
    """
    known = {
        f"{PREFIX}{language}/{dataset}/{model}": item
        for language, datasets in manager.models_dict["tts_models"].items()
        for dataset, several in datasets.items()
        for model, item in several.items()
    }
    if re.fullmatch(rf"{PREFIX}[a-z_-]+/fairseq/vits", name):  # a thousand languages, which it does not list
        return {"license": "CC BY-NC 4.0"}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f", did you mean {near[0]}?" if near else f", such as {EXAMPLE}."
        raise EngineError("tts", f"coqui-tts knows no model {name}: correct tts.voice in config.yaml{meant}")
    item: Mapping[str, Any] = known[name]
    return item


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise catalogue.broken("tts", path, error) from error
    if not isinstance(config, dict):
        raise EngineError("tts", f"The file {path} is not a model's configuration: fetch it again.")
    return config


def _load(name: str, files: Files, config: Mapping[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch, "config.json")
        found.write_text(json.dumps(_here(config, files.config.parent)), encoding="utf-8")
        whole = config.get("model") in FOLDERS and files.checkpoint.is_file()
        try:
            return Synthesizer(
                tts_checkpoint=files.checkpoint.parent if whole else files.checkpoint,
                tts_config_path=found,
                vocoder_checkpoint=files.vocoder,
                vocoder_config=files.vocoder_config,
                use_cuda=torch.cuda.is_available(),
            )
        except ImportError as error:
            raise EngineError("tts", f"The model {name} needs more packages ({_reason(error)}).") from error
        except Exception as error:  # see above; torch says nothing useful of a file that is none
            raise catalogue.broken("tts", name, error) from error


def _here(config: Any, folder: Path) -> Any:
    """Return a configuration in which the files that lie in `folder` are named there."""
    if not isinstance(config, dict):
        return config
    found = {}
    for key, value in config.items():
        several = value if isinstance(value, list) else [value]
        if key in PATHS and all(isinstance(one, str) and one for one in several):
            near = [str(folder / Path(one).name) if (folder / Path(one).name).is_file() else one for one in several]
            found[key] = near if isinstance(value, list) else near[0]
        else:
            found[key] = _here(value, folder)
    return found


def _languages(name: str, config: Mapping[str, Any], given: list[str], house: str) -> dict[str, str]:
    """Return what the model calls each language that it speaks, by its plain code; the first is the usual one.

    A model that does not say, or says it in three letters, is taken to speak the language of the house.
    """
    if len(given) > 1:
        codes: dict[str, str] = {}
        for one in given:
            codes.setdefault(_plain(one), one)
        return codes
    datasets = [one.get("language") for one in config.get("datasets") or () if isinstance(one, dict)]
    said = [*(config.get("languages") or ()), *datasets, config.get("phoneme_language")]
    if name.startswith(PREFIX):
        said.insert(0, name.split("/")[1])
    code = next((_plain(one) for one in said if isinstance(one, str) and one), "")
    return {code if len(code) == 2 else house: given[0] if given else ""}


def _speed(name: str, model: Any, config: Mapping[str, Any], speed: float) -> dict[str, float]:
    """Have the model speak at another speed; return what it is told each time.

    Raises:
        EngineError: it cannot.
    """
    if config.get("model") == "xtts":
        return {"speed": speed}
    if hasattr(model, "length_scale"):
        model.length_scale = model.length_scale / speed
    elif speed != 1:
        raise EngineError("tts", f"The model {name} has one speed alone: leave tts.speed at 1.")
    return {}


def _first_words(model: Any) -> str:
    """Return what any model can say: one that reads letters knows those of its language alone."""
    tokenizer: Any = getattr(model, "tokenizer", None)
    letters = [one for one in getattr(getattr(tokenizer, "characters", None), "vocab", ()) if one.isalpha()]
    if not letters or tokenizer.use_phonemes or set(READY) & set(letters):
        return READY
    return "".join([one for one in letters if len(one) == 1][:LETTERS]) + "."


def _plain(tag: str) -> str:
    return re.split("[-_]", tag)[0].lower()


def _reason(error: Exception) -> str:
    return " ".join(str(error).replace("`", "").split()).rstrip(".")[:300] or type(error).__name__
