"""What `antiphon doctor` asks of a satellite: its wake words, and its sound devices by a short tone."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

import numpy as np

from antiphon.audio.pcm import RATE, Samples, level_db, to_samples
from antiphon.audio.wake import WakeError, WakeWords
from antiphon.checks import Check
from antiphon.settings import Satellite, Settings
from antiphon.wire.link import LinkError, ask_info, here
from antiphon.wire.server import ListenError, listen
from antiphon_satellite.service import ALONE, US, WAITS
from antiphon_satellite.sound.calls import begin, within
from antiphon_satellite.sound.devices import Devices, Presence
from antiphon_satellite.sound.microphone import Microphone
from antiphon_satellite.sound.portaudio import SoundError, choose_both, portaudio
from antiphon_satellite.sound.speaker import Speaker

TONE_HZ = 880.0
TONE_S = 0.4
OPEN_S = 12.0
"""A sound server that sleeps takes some seconds to wake."""
HEARD_DB = 10.0
"""The tone has come back when its pitch is so much louder than before."""
DEAD_DB = -100.0
"""A microphone that hears less hears nothing: even a quiet room is above it."""
FAINT_DB = -70.0
"""A tone that comes back so weakly, though a speaker plays it loudly, stands for speech that is not understood."""
CLIPPED = 0.05
"""The tone alone fills half of what is recorded: this share of samples at the format's end is no accident."""

ANSWER_S = 2.0
ALLOW = "allow it in System Settings, Privacy & Security, Microphone; or choose another in satellite.sound.input"
"""macOS gives silence to a program that may not hear."""


async def run(settings: Settings) -> list[Check]:
    """Return what was found, in the order a satellite needs it."""
    running = await _running(settings)
    return [_wake(settings.satellite), running, *await _sound(settings.satellite, runs=running.ok is not None)]


def devices(settings: Settings) -> Check:
    """Return whether there are a microphone and a speaker, without opening them. Blocks for a moment."""
    try:
        return Check("sound devices", True, _look(settings.satellite))
    except SoundError as error:
        return Check("sound devices", None, str(error), "Then start again.")


def _wake(settings: Satellite) -> Check:
    if settings.start != "wake":
        return Check("wake words", None, f"not used: a turn starts by {settings.start}")
    try:
        words = WakeWords(settings.wake.words, settings.wake.engine).words
    except WakeError as error:
        return Check("wake words", False, str(error), "set satellite.wake.words")
    return Check("wake words", True, ", ".join(word.phrase for word in words))


async def _running(settings: Settings) -> Check:
    """Ask the satellite that runs here, if one does, whether it waits for sound: as a service it may see less."""
    port = settings.satellite.port
    try:
        info = await ask_info(f"tcp://{here(settings.network.host)}:{port}", within_s=ANSWER_S)
    except LinkError:
        if port and (taken := _taken(settings)):
            return Check("satellite", False, taken)
        return Check("satellite", None, f"none runs here on port {port}", "start one: antiphon satellite")
    if info.satellite is None or info.satellite.attribution.name != US.name:
        return Check("satellite", False, f"port {port} is used by something else", "stop that, or set satellite.port")
    _, waits, why = (info.satellite.description or "").partition(WAITS)
    if waits:
        return Check(
            "satellite", False, f"runs, and waits for sound: {why}", "it goes on by itself when that is mended"
        )
    if (info.satellite.description or "").endswith(ALONE):
        mend = (
            f"start a daemon; one that does not find it over mDNS needs its address, with :{port}, in "
            "satellites.known, and Home Assistant in its integration Wyoming Protocol"
        )
        return Check("satellite", False, f"runs on port {port}, and nobody drives it", mend)
    return Check("satellite", True, f"runs on port {port}")


def _taken(settings: Settings) -> str:
    """Return why the port cannot be listened on; empty: it can."""
    try:
        listen("satellite", settings.network.host, settings.satellite.port).close()
    except ListenError as error:
        return str(error)
    return ""


async def _sound(settings: Satellite, *, runs: bool) -> list[Check]:
    """Look for the devices and try them; what a satellite that `runs` may hold is no fault."""
    try:
        found = await within(begin(lambda: _look(settings)), OPEN_S)
    except (SoundError, TimeoutError) as error:
        says = str(error) or "the sound devices do not answer"
        return [Check("sound devices", None, says)]
    tone = await _tone(settings)
    if runs and tone.ok is False:
        tone = replace(tone, ok=None, mend="the satellite that runs here may hold them: stop it, and look again")
    return [Check("sound devices", True, found), tone]


def _look(settings: Satellite) -> str:
    sd = portaudio()
    wanted = (settings.sound.input, settings.sound.output)
    source, sink = choose_both(sd.query_devices(), wanted, sd.default.device)
    return f"microphone {source['name']}, speaker {sink['name']}"


async def _tone(settings: Satellite) -> Check:
    """Play a tone and listen: what comes back."""
    heard: list[bytes] = []
    opened, settled = asyncio.Event(), asyncio.Event()
    told: list[str] = []

    def changed(presence: Presence, detail: str) -> None:
        told.append(detail)
        if presence is Presence.OPEN:
            opened.set()

    def hear(pcm: bytes, position: int) -> None:
        heard.append(pcm)
        if position >= RATE // 2:
            settled.set()

    microphone = Microphone(hear)
    speaker = Speaker(lambda: None, volume=settings.sound.volume)
    devices = asyncio.create_task(Devices(settings.sound, microphone, speaker, changed).run())
    try:
        async with asyncio.timeout(OPEN_S):
            await opened.wait()
            await settled.wait()
        before = len(heard)
        t = np.arange(int(TONE_S * speaker.rate)) / speaker.rate
        speaker.cue((0.3 * np.sin(2 * np.pi * TONE_HZ * t)).astype(np.float32), speaker.rate)
        await asyncio.sleep(TONE_S + 0.5 + speaker.latency_s)
    except TimeoutError:
        why = told[-1] if told else "no sound moves"
        return Check("sound", False, why)
    finally:
        devices.cancel()
        await asyncio.gather(devices, return_exceptions=True)
    return _judge(to_samples(b"".join(heard[:before])), to_samples(b"".join(heard[before:])))


def _judge(quiet: Samples, played: Samples) -> Check:
    level = level_db(played)
    if level < DEAD_DB:
        return Check(
            "sound",
            None,
            "the microphone hears nothing at all",
            ALLOW if sys.platform == "darwin" else "unmute it, or choose another in satellite.sound.input",
        )
    if np.mean(np.abs(played) > 0.99) > CLIPPED:
        mend = "turn it down in the system's mixer, or the speaker, if that is very near"
        return Check("sound", None, "the microphone is overdriven: what it hears is cut off", mend)
    pitch = _pitch_db(played)
    rise = pitch - _pitch_db(quiet)
    if rise < HEARD_DB:
        mend = "turn the speaker up, or choose another in satellite.sound.output; a headset is no fault"
        return Check("sound", None, f"the microphone works ({level:.0f} dB) but did not hear the speaker's tone", mend)
    if pitch < FAINT_DB:
        mend = "turn it up in the system's mixer, and the speaker, too; a headset is no fault"
        return Check("sound", None, f"the microphone heard the speaker's tone very faintly ({pitch:.0f} dB)", mend)
    return Check("sound", True, f"the microphone heard the speaker's tone, {rise:.0f} dB above the room")


def _pitch_db(samples: Samples) -> float:
    """Return the loudest level of the tone's pitch in any 100 ms, in dB."""
    size = RATE // 10
    wave = np.exp(-2j * np.pi * TONE_HZ * np.arange(size) / RATE)
    parts = [abs(np.dot(samples[at : at + size], wave)) / size for at in range(0, len(samples) - size + 1, size // 2)]
    return float(20 * np.log10(max(1e-7, *parts))) if len(parts) > 1 else -140.0
