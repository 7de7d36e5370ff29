"""Calls that may never return, and what can be seen of the sound devices without PortAudio."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from pathlib import Path

import pytest

from antiphon_satellite.sound import surroundings
from antiphon_satellite.sound.calls import begin, within
from antiphon_satellite.sound.portaudio import SoundError
from antiphon_satellite.sound.surroundings import look


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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PIPEWIRE_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/own.sock")
    monkeypatch.setattr(surroundings, "CARDS", tmp_path / "cards")
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="these are Linux's files")
def test_cards_configuration_and_sound_servers_are_seen_to_come_and_go(home: Path) -> None:
    before = look()
    assert look() == before
    for change in ("own.sock", "native", "pipewire-0"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(home / change))
            assert look() != before
        (home / change).unlink()
        assert look() == before
    (home / "cards").write_text(" 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n")
    (home / ".asoundrc").write_text("pcm.!default { type hw card 1 }\n")
    assert look() != before
    assert look().source != before.source
    assert look().sink != before.sink


@pytest.mark.macos
def test_core_audio_tells_the_devices_and_which_are_the_defaults() -> None:
    seen = look()
    assert look() == seen
    assert isinstance(seen.devices, tuple)
    assert not seen.sink or seen.sink in seen.devices


@pytest.mark.skipif(sys.platform != "linux", reason="it is ALSA's configuration that is wrong")
async def test_portaudio_that_cannot_begin_is_waited_for(home: Path) -> None:
    (home / ".asoundrc").write_text("pcm.!default { type hw card \n")
    program = (
        "import asyncio\n"
        "from pathlib import Path\n"
        "from antiphon.settings import Sound\n"
        "from antiphon_satellite.sound.devices import Devices\n"
        "from antiphon_satellite.sound.microphone import Microphone\n"
        "from antiphon_satellite.sound.speaker import Speaker\n"
        "async def main():\n"
        "    told = lambda presence, why: print(presence.value, why, flush=True)\n"
        "    devices = Devices(Sound(), Microphone(lambda pcm, at: None), Speaker(lambda: None), told)\n"
        "    running = asyncio.create_task(devices.run())\n"
        "    await asyncio.wait([running], timeout=1)\n"
        f"    Path('{home}/.asoundrc').unlink()\n"
        "    await asyncio.wait([running], timeout=2)\n"
        "    assert not running.done(), running\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    told = (await process.communicate())[0].decode()
    assert process.returncode == 0
    assert "missing the sound devices cannot be listed" in told
    assert "there is no microphone" in told, "mended, it goes on"
