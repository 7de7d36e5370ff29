"""`engine: auto` on simulated machines, in each language of the catalogue: what it takes, and how it says why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tone_voices import kokoro, supertonic

from antiphon.live import Refused
from antiphon.settings import Llm, Settings, Stt, Tts
from antiphon_daemon import app, checks
from antiphon_daemon.engines import auto, available, by_speed, measured, models
from antiphon_daemon.engines.auto import Here, Machine, hear, speak, think
from antiphon_daemon.engines.build import build_synthesizer
from antiphon_daemon.engines.contracts import EngineMissing, Engines, Stage
from antiphon_daemon.engines.measured import Speed
from antiphon_daemon.gateway.web import describe

MACHINES = {
    "mlx": Machine("Darwin", "arm64", 8),
    "apple": Machine("Darwin", "arm64", 8),
    "cuda": Machine("Linux", "x86_64", 16, cuda=True),
    "small": Machine("Linux", "aarch64", 4),
}
EVERY: Mapping[Stage, frozenset[str]] = {stage: frozenset(engines) for stage, engines in available.ENGINES.items()}
BARE: Mapping[Stage, frozenset[str]] = {**EVERY, "stt": EVERY["stt"] - {"vosk"}, "tts": EVERY["tts"] - {"espeak"}}
LIGHT: Mapping[Stage, frozenset[str]] = {**BARE, "stt": BARE["stt"] - {"mlx_whisper"}}
SPOKEN = frozenset(code for one in models.catalogue().values() for code in one.languages if code != "*")
ESPEAK = SPOKEN | {"fa"}
REFUSED = (
    r"^Nothing here hears '{}', and the embedded model tiny\.en knows English only: antiphon models pull \S+small$"
)
WHISPERS = frozenset(name for name in models.catalogue() if name.startswith("whisper-"))

HEARD = {
    # machine, what was pulled, language → model; None: refused
    ("mlx", "", "en"): "embedded",
    ("apple", "", "en"): "embedded",
    ("cuda", "", "en"): "embedded",
    ("small", "", "en"): "embedded",
    ("mlx", "", "ko"): None,
    ("apple", "", "ko"): None,
    ("cuda", "", "ko"): None,
    ("small", "", "ko"): None,
    ("small", "whisper-small.en", "en"): "whisper-small.en",
    ("small", "whisper-small.en", "ko"): None,
    ("small", "whisper-tiny", "ko"): "whisper-tiny",
    ("small", "whisper-large-v3", "ko"): "whisper-large-v3",
    ("mlx", "whisper-small.en", "ko"): None,
    ("mlx", "whisper-small.en", "en"): "whisper-small.en",
    ("mlx", "whisper-large-v3", "ko"): "whisper-large-v3",
    ("mlx", "whisper-large-v3 whisper-tiny", "ko"): "whisper-large-v3",
    ("mlx", "whisper-large-v3 whisper-small", "ko"): "whisper-small",
    ("mlx", "*", "ko"): "whisper-large-v3-turbo",
    ("mlx", "*", "en"): "whisper-large-v3-turbo",
    ("apple", "*", "ko"): "whisper-medium",
    ("cuda", "*", "ko"): "whisper-large-v3-turbo",
    ("small", "*", "ko"): "whisper-small",
    ("apple", "*", "en"): "whisper-medium",
    ("cuda", "*", "en"): "whisper-large-v3-turbo",
    ("small", "*", "en"): "whisper-small.en",
}


def pulled(names: str) -> frozenset[str]:
    return WHISPERS if names == "*" else frozenset(names.split())


@pytest.mark.parametrize(("machine", "names", "language"), HEARD)
def test_what_hears(machine: str, names: str, language: str) -> None:
    expected = HEARD[machine, names, language]
    here = Here(LIGHT if machine == "apple" else BARE, pulled(names))
    if expected is None:
        with pytest.raises(EngineMissing, match=REFUSED.format("ko")):
            hear(MACHINES[machine], here, language)
        return
    chosen = hear(MACHINES[machine], here, language)
    what = "the embedded tiny.en" if expected == "embedded" else expected
    if machine == "mlx":
        assert (chosen.engine, chosen.settings) == ("mlx_whisper", {"model": expected, "compute_type": "float16"})
        assert chosen.why == f"mlx_whisper with {what} (float16) hears {language!r} on the GPU of Apple silicon"
        return
    form = ("cuda", "float16") if machine == "cuda" else ("cpu", "int8")
    assert (chosen.engine, chosen.settings) == (
        "faster_whisper",
        {"model": expected, "device": form[0], "compute_type": form[1]},
    )
    on = {"apple": "Apple silicon with 8 cores", "cuda": "a GPU with CUDA", "small": "a CPU with 4 cores"}[machine]
    assert chosen.why == f"faster_whisper with {what} ({form[1]}) hears {language!r} on {on}"


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("language", sorted(SPOKEN))
@pytest.mark.parametrize("names", ["", "whisper-small.en", "whisper-base", "*"])
def test_a_model_that_does_not_know_the_language_is_never_taken(machine: str, language: str, names: str) -> None:
    here = Here(EVERY, pulled(names), vosk=frozenset({"ko"}), espeak=ESPEAK)
    if language not in ("en", "ko") and names in ("", "whisper-small.en"):
        with pytest.raises(EngineMissing, match=REFUSED.format(language)):
            hear(MACHINES[machine], here, language)
        return
    chosen = hear(MACHINES[machine], here, language)
    model = models.catalogue().get(chosen.settings["model"])
    if chosen.engine == "vosk":
        assert language == "ko"
        assert names in ("", "whisper-small.en")
    elif model is None:
        assert (language, chosen.settings["model"]) == ("en", "embedded")
    else:
        assert model.knows(language)


@pytest.mark.parametrize("language", sorted(SPOKEN))
def test_what_speaks(language: str) -> None:
    voices = {
        name: one.engine for name, one in models.catalogue().items() if one.stage == "tts" and one.knows(language)
    }
    machine = MACHINES["small"]
    offered = f"antiphon models pull {next(iter(voices))}" if voices else auto.NO_MODEL
    bare = Here(BARE)
    if language == "en":
        assert speak(machine, bare, "en").settings == {"voice": "embedded"}
    else:
        with pytest.raises(EngineMissing, match=f"^Nothing here speaks '{language}'.*install espeak-ng$") as raised:
            speak(machine, bare, language)
        assert offered in str(raised.value)
        chosen = speak(machine, Here(EVERY, espeak=ESPEAK), language)
        assert (chosen.engine, chosen.settings) == ("espeak", {"voice": "embedded"})
        better = f"; what sounds better: {offered}" if voices else ""
        assert chosen.why == f"espeak speaks {language!r}{better}"
    for voice, engine in voices.items():
        chosen = speak(machine, Here(EVERY, frozenset({voice}), espeak=ESPEAK), language)
        assert (chosen.engine, chosen.settings["voice"]) == (engine, voice)


VOICES = {
    # what was pulled, language → engine, voice
    ("kokoro-82m supertonic-3 de_DE-thorsten-medium", "de"): ("piper", "de_DE-thorsten-medium"),
    ("kokoro-82m supertonic-3", "en"): ("supertonic", "supertonic-3"),
    ("kokoro-82m", "en"): ("kokoro", "kokoro-82m"),
    ("kokoro-82m", "ko"): ("espeak", "embedded"),
    ("supertonic-3", "ko"): ("supertonic", "supertonic-3"),
}


@pytest.mark.parametrize(("names", "language"), VOICES)
def test_what_speaks_where_nothing_was_measured(names: str, language: str) -> None:
    chosen = speak(MACHINES["small"], Here(EVERY, frozenset(names.split()), espeak=ESPEAK), language)
    assert (chosen.engine, chosen.settings["voice"]) == VOICES[names, language]


def test_a_voice_whose_engine_is_not_installed_is_offered_with_it() -> None:
    installed: Mapping[Stage, frozenset[str]] = {**EVERY, "tts": frozenset({"piper", "espeak"})}
    chosen = speak(MACHINES["small"], Here(installed, frozenset({"supertonic-3"}), espeak=ESPEAK), "ko")
    assert chosen.engine == "espeak"
    assert chosen.why.endswith("./run.sh extra supertonic && antiphon models pull supertonic-3")


def times(*rows: str) -> tuple[Speed, ...]:
    """Return measurements out of lines: stage engine model language ms [rtf]."""
    found = []
    for row in rows:
        stage, engine, model, language, ms, *rtf = row.split()
        told = {"stage": stage, "engine": engine, "model": model, "language": language, "ms": ms}
        found.append(Speed.model_validate(told | ({"rtf": rtf[0]} if rtf else {})))
    return tuple(found)


W = "stt faster_whisper whisper-"
BY_SPEED = {
    # what it is about: what was measured, stage, language → engine, model, what is said of it
    "the best that is quick enough": (
        (f"{W}tiny ko 90", f"{W}small ko 280", f"{W}medium ko 700"),
        "stt", "ko", "faster_whisper", "whisper-small", ": measured 280 ms on this machine",
    ),
    "a large one, where it is quick": (
        (f"{W}small ko 50", f"{W}large-v3 ko 250", f"{W}large-v3-turbo ko 120"),
        "stt", "ko", "faster_whisper", "whisper-large-v3", ": measured 250 ms on this machine",
    ),
    "the quickest, where none is": (
        (f"{W}small ko 900", f"{W}base ko 450"),
        "stt", "ko", "faster_whisper", "whisper-base", "the best that there is; 300 ms would be quick enough",
    ),
    "an English-only one before its sibling": (
        (f"{W}small en 200", f"{W}small.en en 210"),
        "stt", "en", "faster_whisper", "whisper-small.en", ": measured 210 ms",
    ),
    "another language's times say nothing": (
        (f"{W}tiny en 90",), "stt", "ko", "faster_whisper", "whisper-small", "(int8) hears 'ko' on a CPU with 4 cores",
    ),
    "what does not know the language is never taken": (
        (f"{W}small.en ko 10", f"{W}base ko 200", "stt faster_whisper embedded ko 5"),
        "stt", "ko", "faster_whisper", "whisper-base", ": measured 200 ms",
    ),
    "what is elsewhere is taken only by its address": (
        ("stt wyoming embedded en 10", "stt faster_whisper embedded en 100"),
        "stt", "en", "faster_whisper", "embedded", "with what is embedded hears 'en': measured 100 ms",
    ),
    "what is not here any more": (
        (f"{W}large-v3-gone ko 10", f"{W}tiny ko 200"),
        "stt", "ko", "faster_whisper", "whisper-tiny", ": measured 200 ms",
    ),
    "vosk, where the Whispers are slow": (
        ("stt vosk embedded ko 60", f"{W}tiny ko 800"),
        "stt", "ko", "vosk", "embedded", ": measured 60 ms",
    ),
    "the best voice that is quick enough": (
        ("tts kokoro kokoro-82m en 150 0.5", "tts piper embedded en 40 0.1", "tts espeak embedded en 10 0.01"),
        "tts", "en", "kokoro", "kokoro-82m", "kokoro with kokoro-82m speaks 'en': measured 150 ms on this machine",
    ),
    "a voice whose first sound comes late": (
        ("tts kokoro kokoro-82m en 450 0.5", "tts piper embedded en 40 0.1"),
        "tts", "en", "piper", "embedded", ": measured 40 ms",
    ),
    "a voice that does not keep up": (
        ("tts kokoro kokoro-82m en 150 0.9", "tts piper embedded en 40 0.1"),
        "tts", "en", "piper", "embedded", ": measured 40 ms",
    ),
    "a late voice that keeps up before an early one that does not": (
        ("tts kokoro kokoro-82m en 250 1.2", "tts supertonic supertonic-3 en 300 0.5"),
        "tts", "en", "supertonic", "supertonic-3", "the best that there is; 200 ms and 0.7 s of work",
    ),
    "a Korean voice": (
        ("tts supertonic supertonic-3 ko 180 0.4", "tts espeak embedded ko 10 0.01"),
        "tts", "ko", "supertonic", "supertonic-3", ": measured 180 ms",
    ),
}  # fmt: skip


@pytest.mark.parametrize("about", BY_SPEED)
def test_what_was_measured_decides(about: str) -> None:
    rows, stage, language, engine, model, says = BY_SPEED[about]
    pulled_names = frozenset(models.catalogue())
    here = Here(EVERY, pulled_names, frozenset({"ko"}), ESPEAK, times(*rows))
    chosen = (hear if stage == "stt" else speak)(MACHINES["small"], here, language)
    assert (chosen.engine, chosen.settings["model" if stage == "stt" else "voice"]) == (engine, model)
    assert says in chosen.why


def test_what_is_here_and_was_not_measured_is_told() -> None:
    here = Here(EVERY, frozenset({"whisper-tiny", "whisper-small"}), measured=times(f"{W}tiny ko 90"))
    chosen = hear(MACHINES["cuda"], here, "ko")
    assert chosen.why.endswith("on this machine; not measured: whisper-small (antiphon models bench)")
    assert chosen.settings == {"model": "whisper-tiny", "device": "cuda", "compute_type": "float16"}


async def test_measurements_that_cannot_be_used_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_STATE", str(tmp_path))
    measured.add(times("tts espeak embedded en 10 0.01", "tts piper embedded en 40 0.1"))
    settings = Settings(language="en", tts=Tts(engine="auto"))
    _, (chosen,) = auto.resolve(settings)
    assert chosen.engine == "espeak", "piper's was measured with no version of its package"
    assert "measured 10 ms on this machine" in chosen.why
    assert chosen.why.endswith("with another version of piper is ignored: antiphon models bench measures anew")
    measured.file().write_text("{")
    _, (chosen,) = auto.resolve(settings)
    assert chosen.engine == "piper"
    assert chosen.why.endswith("measured.json is no measurement and is ignored: antiphon models bench makes it anew")


def test_without_piper_espeak_speaks_english_too() -> None:
    here = Here({**EVERY, "tts": frozenset({"espeak"})}, espeak=ESPEAK)
    assert speak(MACHINES["small"], here, "en").engine == "espeak"


def test_without_any_package_its_command_is_named() -> None:
    with pytest.raises(EngineMissing, match="Nothing here hears 'en'"):
        hear(MACHINES["small"], Here({}), "en")


@pytest.mark.parametrize("machine", MACHINES)
def test_mlx_is_for_apple_silicon_alone(machine: str) -> None:
    here = Here({"stt": frozenset({"mlx_whisper"})}, WHISPERS)
    if MACHINES[machine].apple_silicon:
        assert hear(MACHINES[machine], here, "ko").engine == "mlx_whisper"
        with pytest.raises(EngineMissing, match=REFUSED.format("ko")):
            hear(MACHINES[machine], Here(here.installed), "ko")
        return
    with pytest.raises(EngineMissing, match=r"no Whisper is installed: .*run\.sh extra faster-whisper"):
        hear(MACHINES[machine], here, "ko")


@pytest.mark.parametrize(("machine", "engine"), [("mlx", "mlx_whisper"), ("small", "faster_whisper")])
def test_a_pulled_whisper_that_is_named_is_heard_with_on_the_gpu_of_a_mac(
    monkeypatch: pytest.MonkeyPatch, machine: str, engine: str
) -> None:
    monkeypatch.setattr(auto, "this_machine", lambda: MACHINES[machine])
    monkeypatch.setattr(auto, "on_this_machine", lambda: Here(EVERY, WHISPERS))
    for named, taken in (("whisper-small", engine), ("medium", "faster_whisper"), ("/my/folder", "faster_whisper")):
        settings, _ = auto.resolve(Settings(stt=Stt(engine="auto", model=named)))
        assert (settings.stt.engine, settings.stt.model) == (taken, named)
    settings, _ = auto.resolve(Settings(stt=Stt(engine="auto", model="whisper-small", compute_type="int8")))
    assert settings.stt.engine == "faster_whisper", "MLX does not know int8"


def test_a_language_that_nobody_knows_is_refused_plainly() -> None:
    here = Here(EVERY, espeak=ESPEAK)
    with pytest.raises(EngineMissing, match=r"Nothing here speaks 'xx'.*the catalogue has no model for it"):
        speak(MACHINES["small"], here, "xx")
    with pytest.raises(EngineMissing, match=r"Nothing here hears 'xx'.*the catalogue has no model for it"):
        hear(MACHINES["small"], Here(EVERY, WHISPERS), "xx")


def test_which_language_models_answer() -> None:
    ask = Llm(engine="auto", temperature=0.7)
    english = think(Here(EVERY), "en", ask)
    assert [(one.engine, one.model) for one in Llm(**english.settings).chain] == [("ollama", ""), ("embedded", "")]
    assert english.why == "ollama where it runs, else embedded with the bundled SmolLM2, answers in 'en'"
    korean = think(Here(EVERY), "ko", ask)
    assert [one.engine for one in Llm(**korean.settings).chain] == ["ollama"]
    assert "SmolLM2 knows English only, not 'ko': antiphon models pull qwen3-1.7b" in korean.why
    better = Llm(**think(Here(EVERY, frozenset({"qwen3-0.6b"})), "ko", ask).settings).chain
    assert [(one.engine, one.model, one.temperature) for one in better] == [
        ("ollama", "", 0.7),
        ("embedded", "qwen3-0.6b", 0.7),
    ]
    named = Llm(**think(Here(EVERY), "ko", Llm(engine="auto", model="/my.gguf")).settings).chain
    assert [(one.engine, one.model) for one in named] == [("ollama", ""), ("embedded", "/my.gguf")]
    with pytest.raises(EngineMissing, match="Nothing here thinks in 'ko'"):
        think(Here({**EVERY, "llm": frozenset({"embedded"})}), "ko", ask)


@pytest.mark.parametrize(
    ("section", "engine"),
    [
        (Stt(engine="auto", model="whisper-small"), "faster_whisper"),
        (Stt(engine="auto", model="medium"), "faster_whisper"),
        (Stt(engine="auto", model="/my/small.pt"), "openai_whisper"),
        (Stt(engine="auto", url="tcp://box:10300"), "wyoming"),
        (Stt(engine="auto", url="http://box:8000"), "openai_api"),
        (Tts(engine="auto", voice="de_DE-thorsten-medium"), "piper"),
        (Tts(engine="auto", voice="kokoro-82m"), "kokoro"),
        (Tts(engine="auto", voice="supertonic-3"), "supertonic"),
        (Tts(engine="auto", voice="/my/voice.onnx"), "piper"),
        (Tts(engine="auto", voice="tts_models/en/vctk/vits"), "coqui"),
        (Tts(engine="auto", voice="/my/model.pth"), "coqui"),
        (Tts(engine="auto", voice="ko+f2"), "espeak"),
        (Tts(engine="auto", url="tcp://box:10200"), "wyoming"),
        (Tts(engine="auto", url="http://box:8000"), "openai_api"),
    ],
)
def test_what_the_settings_name_decides(section: Stt | Tts, engine: str) -> None:
    stage = "stt" if isinstance(section, Stt) else "tts"
    settings, chosen = auto.resolve(Settings(**{stage: section}))
    resolved = getattr(settings, stage)
    assert resolved.engine == engine
    assert resolved.model_copy(update={"engine": "auto"}) == section
    assert chosen[0].why.startswith(f"{engine} ")
    assert "the settings name" in chosen[0].why


def test_a_folder_tells_its_engine(tmp_path: Path) -> None:
    (tmp_path / "vosk" / "am").mkdir(parents=True)
    (tmp_path / "sherpa").mkdir()
    (tmp_path / "sherpa" / "tokens.txt").write_text("a 1")
    (tmp_path / "mlx").mkdir()
    for name in ("config.json", "weights.safetensors"):
        (tmp_path / "mlx" / name).write_text("{}")
    for name, engine in (("vosk", "vosk"), ("sherpa", "sherpa_onnx"), ("mlx", "mlx_whisper")):
        settings, _ = auto.resolve(Settings(stt=Stt(engine="auto", model=str(tmp_path / name))))
        assert settings.stt.engine == engine
    kokoro(tmp_path / "kokoro", {"af_heart": 200})
    supertonic(tmp_path / "supertonic", {"F1": 200})
    for name in ("kokoro", "supertonic"):
        settings, _ = auto.resolve(Settings(tts=Tts(engine="auto", voice=str(tmp_path / name))))
        assert settings.tts.engine == name


async def test_the_choice_is_told_in_the_log_in_the_description_and_by_the_doctor() -> None:
    settings = Settings(
        language="en",
        stt=Stt(engine="auto"),
        tts=Tts(engine="auto"),
        llm=Llm(engine="auto", url="http://127.0.0.1:9", context=512),
        turn={"model": "silence"},  # type: ignore[arg-type]
    )
    with capture_logs() as logs:
        engines = await app.build_engines(settings)
    told = {one["stage"]: one["why"] for one in logs if one["event"] == "engine chosen"}
    described = describe(engines, settings)["engines"]
    await engines.close()
    assert set(told) == {"stt", "llm", "tts"}
    assert told["tts"] == "piper with the embedded en_US-joe speaks 'en'"
    assert described["stt"]["engine"] == "auto"
    assert described["stt"]["chosen"] == "faster_whisper"
    assert {stage: described[stage]["why"] for stage in told} == told
    seen = {one.name: one.says for one in checks._chosen(settings)}
    assert seen == {f"{stage}.engine: auto": why for stage, why in told.items()}


async def test_a_voice_of_another_engine_takes_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured, or pulled, while a daemon runs may change the choice."""
    monkeypatch.setenv("ANTIPHON_STATE", str(tmp_path))
    settings = Settings(language="en", tts=Tts(engine="auto", speed=1.5))
    resolved, (chosen,) = auto.resolve(settings, ("tts",))
    voice = await build_synthesizer(resolved)
    built = Engines(None, None, voice, chosen={"tts": chosen})  # type: ignore[arg-type]
    await app._tune(built, settings, frozenset({"tts.speed"}))
    measured.add(times("tts espeak embedded en 10 0.01"))
    with pytest.raises(Refused, match="^espeak would speak now, and piper does: it takes a restart$"):
        await app._tune(built, settings, frozenset({"tts.speed"}))
    await voice.close()


async def test_a_house_without_a_voice_for_its_language_speaks_all_the_same() -> None:
    built = await build_synthesizer(Settings(language="ko", tts=Tts(engine="auto")))
    assert built.name == "espeak-ng ko"
    await built.close()


def test_settings_that_name_engines_are_left_as_they_are() -> None:
    settings = Settings()
    assert auto.resolve(settings) == (settings, ())


def test_the_ranking_names_models_of_the_catalogue() -> None:
    assert set(auto.FOR_A_GPU) == set(auto.FOR_FEW_CORES) == set(auto.FOR_MANY_CORES) == set(auto.FOR_APPLE_SILICON)
    assert set(auto.FOR_A_GPU) == set(by_speed.EARS) <= set(models.catalogue())
    assert set(by_speed.VOICES) == set(auto.UNMEASURED_VOICES) | {"espeak"} <= set(available.ENGINES["tts"])


@pytest.mark.parametrize(
    ("told", "form"),
    [
        ({"device": "cpu"}, ("cpu", "int8")),
        ({"compute_type": "int8_float16"}, ("cuda", "int8_float16")),
        ({}, ("cuda", "float16")),
    ],
)
def test_a_device_that_the_settings_name_is_kept(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], form: tuple[str, str]
) -> None:
    monkeypatch.setattr(auto, "this_machine", lambda: MACHINES["cuda"])
    monkeypatch.setattr(auto, "on_this_machine", lambda: Here(BARE))
    settings, _ = auto.resolve(Settings.model_validate({"stt": {"engine": "auto", **told}}), ("stt",))
    assert (settings.stt.device, settings.stt.compute_type) == form


def test_what_was_measured_on_the_gpu_chooses_nothing_for_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "this_machine", lambda: MACHINES["cuda"])
    monkeypatch.setattr(auto, "on_this_machine", lambda: Here(BARE, WHISPERS))
    monkeypatch.setattr(measured, "read", lambda: (times(f"{W}large-v3 ko 180"), ""))
    asked = Settings.model_validate({"language": "ko", "stt": {"engine": "auto", "device": "cpu"}})
    settings, (chosen,) = auto.resolve(asked, ("stt",))
    assert (settings.stt.model, settings.stt.device) == (auto.FOR_MANY_CORES[0], "cpu")
    assert "measured" not in chosen.why
