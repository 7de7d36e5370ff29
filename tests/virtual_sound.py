"""A sound server of a test's own: PulseAudio with two null sinks, in its own folder, that PortAudio sees as `pulse`.

The sink `room` is what the microphone hears (its monitor is the default source); the sink `speaker` is what programs
play to. Start programs with `environment` and they use this server and no other. What was learned:

- a null sink that has idled renders two seconds ahead: a stream that is opened then does not move for up to 2 s;
- PortAudio's ALSA host shows `pulse` only if the server answers while PortAudio is initialised;
- killed with SIGKILL, the server takes PortAudio's streams with it: they become inactive and their finished callback
  is called; closing them returns at once;
- frozen (`freeze`), it makes every call into PortAudio hang until it goes on: closing a stream, opening one, exiting;
- a monitor that is not fed delivers exact zeros.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY_S = 10.0


class VirtualSound:
    """The server; start it with `with VirtualSound() as sound:`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="antiphon-sound-"))
        self._socket = self.folder / "pulse.sock"
        self._server: subprocess.Popen[bytes] | None = None

    @staticmethod
    def available() -> bool:
        """PulseAudio and its tools are installed."""
        return all(shutil.which(tool) for tool in ("pulseaudio", "pactl", "paplay", "parec"))

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that is to use this server."""
        own = {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "PULSE_RUNTIME_PATH": str(self.folder)}
        return {**os.environ, **own, "PULSE_SERVER": f"unix:{self._socket}"}

    def start(self) -> None:
        """Start the server, again after `kill` too."""
        self._socket.unlink(missing_ok=True)
        arguments = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit=1", "--realtime=0"]
        modules = [
            f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
            "module-null-sink sink_name=speaker",
            "module-null-sink sink_name=room",
        ]
        for module in modules:
            arguments += ["-L", module]
        self._server = subprocess.Popen(["pulseaudio", *arguments], env=self.environment, stderr=subprocess.DEVNULL)
        end = time.monotonic() + READY_S
        while subprocess.run(["pactl", "info"], env=self.environment, capture_output=True, check=False).returncode:
            if time.monotonic() > end:
                raise RuntimeError(f"PulseAudio is not ready within {READY_S:.0f} s")
            time.sleep(0.05)
        self.choose("speaker", "room.monitor")

    def kill(self) -> None:
        """Kill the server as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the server without ending it: calls into it never return."""
        if self._server is not None:
            self._server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._server is not None:
            self._server.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def say(self, wav: Path, sink: str = "room") -> None:
        """Play a WAV file into the microphone; returns when it has been played."""
        subprocess.run(["paplay", f"--device={sink}", str(wav)], env=self.environment, check=True, timeout=60)

    def begin_to_say(self, wav: Path) -> subprocess.Popen[bytes]:
        """Begin to play a WAV file into the microphone; who does waits for its end, which the server's end is too."""
        return subprocess.Popen(["paplay", "--device=room", str(wav)], env=self.environment, stderr=subprocess.DEVNULL)

    def echo(self, volume: str = "-6dB") -> str:
        """Let the microphone hear the speaker, as a card does that has one clock; returns what `unload` takes.

        What is played to the default sink from here on sounds in the room: call this before a program opens it. Two
        sinks with a loopback between them have a clock each, and the echo jumps whenever one of them is late.
        """
        module = self._pactl("load-module", "module-remap-sink", "sink_name=aloud", "master=room")
        self._pactl("set-sink-volume", "aloud", volume)
        self.choose("aloud", "room.monitor")
        return module

    def unload(self, module: str) -> None:
        """End an echo."""
        self._pactl("unload-module", module)

    def record(self, raw: Path, rate: int = 24_000, source: str = "speaker.monitor") -> subprocess.Popen[bytes]:
        """Record the speaker, or another source, into a file of s16le mono until the process is terminated."""
        form = ["--format=s16le", f"--rate={rate}", "--channels=1", "--latency-msec=20"]
        with raw.open("wb") as file:
            return subprocess.Popen(["parec", f"--device={source}", *form], env=self.environment, stdout=file)

    @contextmanager
    def recording(self, raw: Path, source: str, rate: int = 24_000) -> Iterator[None]:
        """Record a source into a file of s16le mono while the context lasts."""
        recorder = self.record(raw, rate, source)
        try:
            yield
        finally:
            recorder.terminate()
            recorder.wait(10)

    def add_sink(self, sink: str) -> None:
        """Plug in a device: a sink, whose monitor is a source."""
        self._pactl("load-module", "module-null-sink", f"sink_name={sink}")

    def remove_sink(self, sink: str) -> None:
        """Unplug a device."""
        listed = (line.split("\t") for line in self._pactl("list", "short", "modules").splitlines())
        for module in [line[0] for line in listed if f"sink_name={sink}" in line[2].split()]:
            self.unload(module)

    def choose(self, sink: str, source: str) -> None:
        """Make others the default devices, as a person does in the desktop's settings."""
        self._pactl("set-default-sink", sink)
        self._pactl("set-default-source", source)

    def suspend(self, sink: str, *, on: bool) -> None:
        """Let a sink sleep, or wake it: meanwhile it takes no sound."""
        self._pactl("suspend-sink", sink, str(int(on)))

    def __enter__(self) -> VirtualSound:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _pactl(self, *arguments: str) -> str:
        ran = subprocess.run(
            ["pactl", *arguments], env=self.environment, capture_output=True, text=True, check=True, timeout=10
        )
        return ran.stdout.strip()

    def _end(self, how: signal.Signals) -> None:
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(10)
            self._server = None
