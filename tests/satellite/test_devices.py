"""Which device is chosen, and what is said when there is none."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from antiphon_satellite.sound.calls import begin, within
from antiphon_satellite.sound.portaudio import SoundError, choose, formats


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


def test_our_format_is_tried_first_then_the_devices_own() -> None:
    assert formats(device(0, "x", 8), "input", 16_000) == [(16_000, 1), (48_000, 1), (48_000, 2), (48_000, 8)]
    assert formats(device(0, "x", 1), "input", 48_000) == [(48_000, 1)]


async def test_a_call_that_never_returns_costs_its_deadline_and_no_more() -> None:
    release = threading.Event()
    call = begin(release.wait)
    with pytest.raises(TimeoutError):
        await within(call, 0.05)
    release.set()
    assert await within(call) is True


async def test_what_a_call_raises_is_raised() -> None:
    def refuse() -> None:
        raise SoundError("no")

    with pytest.raises(SoundError):
        await within(begin(refuse))
    await asyncio.sleep(0)
