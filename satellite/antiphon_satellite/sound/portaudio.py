"""PortAudio: which of its devices to use, in which formats, and what its refusals mean to a person."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Any

from antiphon_satellite.sound.holders import holders, named

SERVERS = ("pulse", "pipewire")
"""What Linux's sound servers call themselves in ALSA: they follow the user's choice of device by themselves."""
PREFERRED = (*SERVERS, "default")
"""`default` may be a server, or what else ALSA's configuration says."""
WHAT = {"input": "microphone", "output": "speaker"}

UNAVAILABLE, HOST_ERROR = -9985, -9999
NO_SUCH_FORMAT = (-9994, -9997, -9998)
"""PortAudio's codes: paDeviceUnavailable, paUnanticipatedHostError; paSampleFormatNotSupported, paInvalidSampleRate,
paInvalidChannelCount (portaudio.h)."""


class SoundError(Exception):
    """A sound device cannot be used; the message says which and what mends it."""


def portaudio() -> Any:
    """Return the `sounddevice` module.

    Raises:
        SoundError: PortAudio is not installed, or cannot begin.
    """
    try:
        import sounddevice
    except OSError:
        hint = "brew install portaudio" if sys.platform == "darwin" else "apt install libportaudio2"
        raise SoundError(f"PortAudio is not installed: {hint}") from None
    except Exception as error:  # noqa: BLE001 - its error's class is lost with the module, which initialises PortAudio
        raise unlisted(error) from None
    return sounddevice


def choose(listed: Sequence[dict[str, Any]], wanted: str, kind: str, default: int) -> dict[str, Any]:
    """Return the device to use: by number, by a part of its name, or the system's default.

    Args:
        listed: all devices, as PortAudio describes them.
        wanted: what the settings say; empty for the default.
        kind: input or output.
        default: PortAudio's default device, -1 for none.

    Raises:
        SoundError: there is none.
    """
    able = [device for device in listed if device[f"max_{kind}_channels"] > 0]
    what = WHAT[kind]
    if wanted:
        found = [device for device in able if wanted == str(device["index"])]
        found += [device for device in able if wanted.casefold() in device["name"].casefold()]
        if not found:
            names = ", ".join(device["name"] for device in able) or "none"
            says = f"there is no {what} {wanted!r}: satellite.sound.{kind} can be one of {names}"
            raise SoundError(says + _held(kind))
        return found[0]
    found = [device for name in PREFERRED for device in able if device["name"] == name]
    found += [device for device in able if device["index"] == default]
    found += able
    if not found:
        server = ", or start the sound server" if sys.platform == "linux" else ""
        raise SoundError(f"there is no {what}: connect one{server}{_held(kind)}")
    return found[0]


def choose_both(
    listed: Sequence[dict[str, Any]], wanted: tuple[str, str], defaults: Sequence[int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the microphone and the speaker to use (see `choose`).

    Raises:
        SoundError: one of them, or both, are missing; the message says which.
    """
    found: list[dict[str, Any]] = []
    missing: list[str] = []
    for kind, name, default in zip(WHAT, wanted, defaults, strict=True):
        try:
            found.append(choose(listed, name, kind, default))
        except SoundError as error:
            missing.append(str(error))
    if missing:
        raise SoundError("; ".join(missing))
    return found[0], found[1]


def formats(device: dict[str, Any], kind: str, rate: int) -> list[tuple[int, int]]:
    """Return the rates and channels to try, best first: ours, then the device's own."""
    own, most = int(device["default_samplerate"]), int(device[f"max_{kind}_channels"])
    tried = [(rate, 1), (own, 1), (own, min(2, most)), (own, min(most, 32))]
    return list(dict.fromkeys(tried))


def of_format(error: Exception) -> bool:
    """Return whether PortAudio refused the format, so that another may be tried."""
    return _code(error) in NO_SUCH_FORMAT


def refusal(error: Exception, device: dict[str, Any], kind: str) -> SoundError:
    """Return what PortAudio's refusal to open a device means, and what mends it.

    Args:
        error: its `PortAudioError`: message, code and, for an error of the system below it, (system, code, text).
    """
    the, setting = f"the {WHAT[kind]} {device['name']}", f"satellite.sound.{kind}"
    code, below, text = _code(error), *_below(error)
    if code in NO_SUCH_FORMAT:
        return SoundError(f"{the} has no format that can be used: choose another in {setting}")
    if code == UNAVAILABLE or below in (errno.EBUSY, -errno.EBUSY):
        who = named(holders(kind, device["name"]))
        return SoundError(f"{the} is in use by {who}: close it" if who else f"{the} is in use: close what uses it")
    if below in (errno.EACCES, -errno.EACCES, -errno.EPERM):
        return SoundError(f"{the} may not be used by this user: sudo usermod -aG audio $USER, then log in again")
    if device["name"] in SERVERS:
        return SoundError(f"the sound server has no {WHAT[kind]} that works: connect one, or restart the sound server")
    return SoundError(f"{the} cannot be opened ({text}): connect it again, or choose another in {setting}")


def unlisted(error: Exception) -> SoundError:
    """Return what it means that PortAudio cannot even tell which devices there are, and what mends it."""
    mend = "restart the sound server"
    if sys.platform == "linux":
        mend += ", or mend ALSA's configuration (~/.asoundrc, /etc/asound.conf)"
    return SoundError(f"the sound devices cannot be listed ({error.args[0]}): {mend}")


def _code(error: Exception) -> int:
    return error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0


def _below(error: Exception) -> tuple[int, str]:
    """Return the code and the words of the system below PortAudio, as far as they are told."""
    if _code(error) == HOST_ERROR and len(error.args) > 2:
        return int(error.args[2][1]), str(error.args[2][2])
    return 0, str(error.args[0]) if error.args else type(error).__name__


def _held(kind: str) -> str:
    """Return a clause that names who holds a device: PortAudio does not list on Linux what another program holds."""
    who = named(holders(kind))
    return f" ({who} holds a {WHAT[kind]}: close it to free that)" if who else ""
