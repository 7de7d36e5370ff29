"""What PortAudio's devices and refusals come to: which is chosen, who holds one, and what a person is told to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import sounddevice

from antiphon_satellite.sound import portaudio
from antiphon_satellite.sound.holders import Holder, holders, named
from antiphon_satellite.sound.portaudio import SoundError, choose, choose_both, formats, of_format, refusal


def device(index: int, name: str, inputs: int = 0, outputs: int = 0) -> dict[str, Any]:
    return {
        "index": index,
        "name": name,
        "max_input_channels": inputs,
        "max_output_channels": outputs,
        "default_samplerate": 48_000.0,
    }


HARDWARE = [device(0, "HDA Intel: ALC257", 2, 2), device(1, "USB PnP Sound Device", 1), device(2, "HDMI", 0, 8)]
SERVED = [*HARDWARE, device(3, "default", 32, 32), device(4, "pulse", 32, 32)]
USB = device(1, "USB PnP Sound Device: Audio (hw:1,0)", 1, 2)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc as Linux shows it: process 812 holds a card's microphone by its thread 815, and its speaker is free."""
    card = tmp_path / "asound" / "card1"
    for stream, status in (("pcm0c", "state: RUNNING\nowner_pid   : 815\ntrigger_time: 1.2\n"), ("pcm0p", "closed\n")):
        (card / stream / "sub0").mkdir(parents=True)
        (card / stream / "sub0" / "status").write_text(status)
    for task in (812, 815):
        (tmp_path / str(task)).mkdir()
        (tmp_path / str(task) / "status").write_text(f"Name:\tcallback\nTgid:\t812\nPid:\t{task}\n")
    (tmp_path / "812" / "comm").write_text("obs\n")
    (tmp_path / "815" / "comm").write_text("obs-audio\n")
    return tmp_path


def refused(code: int, below: tuple[int, int, str] | None = None) -> sounddevice.PortAudioError:
    """PortAudio's error as `sounddevice` raises it: no device of this machine can be made to."""
    return sounddevice.PortAudioError("Error opening RawInputStream: it refused", code, *([below] if below else []))


def test_the_sound_server_is_the_default_where_there_is_one() -> None:
    assert choose(SERVED, "", "input", 3)["name"] == "pulse"
    assert choose(HARDWARE, "", "input", 1)["name"] == "USB PnP Sound Device"
    assert choose(HARDWARE, "", "output", -1)["name"] == "HDA Intel: ALC257"


def test_a_device_is_chosen_by_a_part_of_its_name_or_its_number() -> None:
    assert choose(SERVED, "usb", "input", 0)["index"] == 1
    assert choose(SERVED, "2", "output", 0)["name"] == "HDMI"


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(SoundError, match="no microphone 'HDMI'.*USB PnP Sound Device"):
        choose(HARDWARE, "HDMI", "input", 0)
    with pytest.raises(SoundError, match="there is no speaker: connect one"):
        choose([], "", "output", -1)


def test_the_side_that_is_missing_is_told_and_both_when_both_are() -> None:
    with pytest.raises(SoundError, match=r"^there is no speaker: connect one[^;]*$"):
        choose_both([device(0, "mic", 1)], ("", ""), (0, -1))
    with pytest.raises(SoundError, match="no microphone 'Jabra'.*; there is no speaker 'Jabra'"):
        choose_both(HARDWARE, ("Jabra", "Jabra"), (0, 0))


def test_our_format_is_tried_first_then_the_devices_own() -> None:
    assert formats(device(0, "x", 8), "input", 16_000) == [(16_000, 1), (48_000, 1), (48_000, 2), (48_000, 8)]
    assert formats(device(0, "x", 1), "input", 48_000) == [(48_000, 1)]


def test_who_holds_a_device_is_named_by_its_program_not_its_thread(proc: Path) -> None:
    assert holders("input", proc=proc) == [Holder("obs", 812)]
    assert named(holders("input", USB["name"], proc)) == "obs (process 812)"
    assert holders("output", proc=proc) == []
    assert holders("input", "HDA Intel: ALC257 (hw:0,0)", proc) == []


def test_this_program_is_no_holder_and_a_program_that_has_ended_is_none(proc: Path) -> None:
    own = proc / str(os.getpid())
    own.mkdir()
    (own / "status").write_text(f"Tgid:\t{os.getpid()}\n")
    (own / "comm").write_text("antiphon\n")
    status = proc / "asound" / "card1" / "pcm0c" / "sub0" / "status"
    for owner in (os.getpid(), 4_000_000):
        status.write_text(f"state: RUNNING\nowner_pid   : {owner}\n")
        assert holders("input", proc=proc) == []


@pytest.mark.parametrize(
    "error",
    [
        refused(portaudio.UNAVAILABLE),
        refused(portaudio.HOST_ERROR, (8, -errno.EBUSY, "Device or resource busy")),
    ],
)
def test_a_device_that_another_program_holds_is_said_to_be_and_by_whom(
    error: Exception, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is in use: close what uses it" in str(refusal(error, USB, "output"))
    monkeypatch.setattr(portaudio, "holders", lambda kind, name="": holders(kind, name, proc))
    says = str(refusal(error, USB, "input"))
    assert says == f"the microphone {USB['name']} is in use by obs (process 812): close it"


def test_a_device_that_is_held_is_not_listed_and_its_holder_is_named(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio, "holders", lambda kind, name="": holders(kind, name, proc))
    with pytest.raises(SoundError, match=r"no microphone 'USB'.*obs \(process 812\) holds a microphone: close it"):
        choose([HARDWARE[2]], "USB", "input", -1)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refused(-9997), "has no format that can be used: choose another in satellite.sound.input"),
        (refused(-9999, (8, -errno.EACCES, "Permission denied")), "may not be used by this user: sudo usermod"),
        (
            refused(-9999, (8, -errno.ENODEV, "No such device")),
            r"cannot be opened \(No such device\): connect it again",
        ),
        (refused(-9996), "cannot be opened .*: connect it again, or choose another in satellite.sound.input"),
    ],
)
def test_each_refusal_is_a_sentence_that_says_what_to_do(error: Exception, says: str) -> None:
    with pytest.raises(SoundError, match=says):
        raise refusal(error, USB, "input")


def test_only_a_format_that_does_not_suit_is_no_reason_to_tell() -> None:
    assert of_format(refused(-9997))
    assert not of_format(refused(portaudio.UNAVAILABLE))
