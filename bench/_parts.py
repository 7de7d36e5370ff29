"""The parts of a house under Home Assistant that a benchmark kills and starts again, and what the satellite logs.

Daemon, satellite, sound server and language model are processes and die by SIGKILL; of the stand-in for Home Assistant
all connections are torn at once, as when it crashes, and it dials again when Home Assistant would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml
from _processes import END_S, READY_S, Program, Unmeasured, clean_environment, end, free_ports
from wyoming.event import Event

from antiphon.configuration import ROOT
from antiphon.wire.link import LinkError

sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "house"))

import stand_in
from model_servers import NAME, ModelServer
from virtual_sound import VirtualSound

LOOK_S = 0.02
KILLED = "killed"
"""The journal's own entry when the satellite is killed."""
REPLY_TOKENS = 40
"""So many take the language model 4 s, and the voice 10 s."""
OPEN = "sound devices open"


class Line(NamedTuple):
    """One line of a log, and when it was seen (monotonic)."""

    at: float
    said: Mapping[str, Any]


class Journal:
    """The satellite's log, read as it is written."""

    def __init__(self, path: Path) -> None:
        self.lines: list[Line] = []
        self.state = "disconnected"
        """Where the satellite is."""
        self._path, self._read, self._rest = path, 0, b""

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Read what is new."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        for text in whole:
            try:
                said = json.loads(text)
            except ValueError:
                said = {"event": text.decode(errors="replace")}
            self.note(said)

    def note(self, said: Mapping[str, Any]) -> None:
        """Add a line."""
        self.lines.append(Line(time.monotonic(), said))
        if said.get("event") == "state":
            self.state = str(said["now"])
        elif said.get("event") == KILLED:
            self.state = "disconnected"

    def says(self, event: str, since: int) -> bool:
        """Whether a line of this event stands after the first `since`."""
        return any(line.said.get("event") == event for line in self.lines[since:])


class Home(stand_in.SatelliteEntity):
    """The stand-in, whose connections can be torn."""

    @property
    def busy(self) -> bool:
        """Whether a run is alive."""
        return self._alive

    def tear(self) -> None:
        """Tear the satellite's connection; the run's own end with it."""
        if self._link is not None:
            self._link.abort()

    async def _speak(self, turn: stand_in.Turn) -> None:
        """Send the reply's sound as it comes. When that fails, nothing more is sent: no error, and no `audio-stop`."""
        link, sent_ms = self._link, 0
        form: dict[str, Any] = {"width": 2, "channels": 1}
        with contextlib.suppress(stand_in.AssistError, LinkError):
            if link is None:
                return
            async for rate, pcm in stand_in.speak(self.pipeline.tts, turn.reply, self.pipeline.voice):
                if pcm and not turn.first_byte_at:
                    turn.first_byte_at, turn.rate = time.perf_counter(), rate
                    await link.send(Event("audio-start", {**form, "rate": rate, "timestamp": 0}))
                for at in range(0, len(pcm), stand_in.TTS_CHUNK):
                    block = pcm[at : at + stand_in.TTS_CHUNK]
                    await link.send(Event("audio-chunk", {**form, "rate": rate, "timestamp": sent_ms}, block))
                    sent_ms += int(len(block) / 2 / rate * 1000)
                    turn.pcm += block
            await link.send(Event("audio-stop", {"timestamp": sent_ms}))
            turn.done_at = time.perf_counter()


class Part(Protocol):
    """What can be killed."""

    name: str

    async def kill(self) -> None:
        """End it as a crash would."""
        ...

    async def start(self) -> None:
        """Start it again."""
        ...

    async def back(self, since: int) -> bool:
        """Wait until the house can use it again; false: not within `READY_S`.

        Args:
            since: how many lines the journal had when it was killed.
        """
        ...


@dataclass
class House:
    """A daemon, a satellite on a virtual sound card, a language model's server, and a Home Assistant over all."""

    folder: Path
    sound: VirtualSound
    journal: Journal
    home: Home
    satellite: Running
    parts: Sequence[Part]


class Running:
    """An `antiphon` program that can be killed and started again."""

    def __init__(self, name: str, config: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "antiphon", "--config", str(config), name]
        self._environment = environment
        self.log = config.parent / f"{name}.log"
        self.log.touch()
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> Program:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )
        return Program(self.name, self.process, self.log)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; SIGKILL waits for its end."""
        if self.process is not None:
            self.process.send_signal(number)
            if number is signal.SIGKILL:
                self.process.wait(END_S)

    def end(self) -> None:
        """End it."""
        if self.process is not None:
            end(self.process)


@dataclass
class Daemon:
    """The daemon: hearing, thinking and speaking are gone at once."""

    running: Running
    uris: Sequence[str]
    name: str = "daemon"
    program: Program | None = field(default=None, init=False)

    async def kill(self) -> None:
        """See `Part`."""
        self.running.send(signal.SIGKILL)

    async def start(self) -> None:
        """See `Part`."""
        self.program = self.running.begin()

    async def back(self, since: int) -> bool:
        """It has described all of its services."""
        assert self.program is not None
        try:
            await self.program.described(self.uris)
        except Unmeasured:
            return False
        return True


@dataclass
class Satellite:
    """The satellite: the turn that it owned is lost with it."""

    running: Running
    home: Home
    journal: Journal
    name: str = "satellite"

    async def kill(self) -> None:
        """See `Part`."""
        self.running.send(signal.SIGKILL)
        self.journal.look()
        self.journal.note({"event": KILLED})

    async def start(self) -> None:
        """See `Part`."""
        self.running.begin()

    async def back(self, since: int) -> bool:
        """It has its sound, and Home Assistant drives it."""
        return await until(lambda: self._ready(since), READY_S)

    def _ready(self, since: int) -> bool:
        return self.home.connected and self.journal.state == "idle" and self.journal.says(OPEN, since)


@dataclass
class Controller:
    """Home Assistant's connections, as when it crashes."""

    home: Home
    journal: Journal
    name: str = "controller"

    async def kill(self) -> None:
        """See `Part`."""
        self.home.tear()

    async def start(self) -> None:
        """Home Assistant dials by itself."""

    async def back(self, since: int) -> bool:
        """It drives the satellite again."""
        return await until(lambda: self.home.connected and self._joined(since), READY_S)

    def _joined(self, since: int) -> bool:
        return any(line.said.get("by") == "joined" for line in self.journal.lines[since:])


@dataclass
class Sound:
    """The sound server."""

    sound: VirtualSound
    journal: Journal
    name: str = "sound server"

    async def kill(self) -> None:
        """See `Part`."""
        self.sound.kill()

    async def start(self) -> None:
        """See `Part`."""
        await asyncio.to_thread(self.sound.start)

    async def back(self, since: int) -> bool:
        """The satellite has its devices again."""
        return await until(lambda: self.journal.says(OPEN, since), READY_S)


@dataclass
class LanguageModel:
    """The server of the language model."""

    server: ModelServer
    name: str = "language model"

    async def kill(self) -> None:
        """See `Part`."""
        self.server.kill()

    async def start(self) -> None:
        """Start it; it answers when this returns."""
        await asyncio.to_thread(self.server.start)

    async def back(self, since: int) -> bool:
        """See `Part`."""
        return True


async def until(true: Callable[[], bool], within_s: float) -> bool:
    """Wait until something is true; false when it is not, in time."""
    over = time.monotonic() + within_s
    while not true():
        if time.monotonic() > over:
            return False
        await asyncio.sleep(LOOK_S)
    return True


@contextlib.asynccontextmanager
async def house(folder: Path, progress: Callable[[str], None]) -> AsyncIterator[House]:
    """Run a whole house while the context lasts.

    Raises:
        Unmeasured: there is no PulseAudio, or a part does not start.
    """
    if not VirtualSound.available():
        raise Unmeasured("PulseAudio is not installed, which makes the virtual sound card")
    names = ("asr", "tts", "handle", "vad", "wake", "satellite", "llm")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    async with AsyncExitStack() as leaving:
        sound = leaving.enter_context(VirtualSound())
        config = _config(folder, ports)
        environment = clean_environment(folder, sound.environment)
        progress("starting the language model, the daemon and the satellite")
        server = ModelServer("ollama", ports["llm"])
        leaving.callback(server.kill)
        await asyncio.to_thread(server.start)
        uris = [f"tcp://127.0.0.1:{ports[name]}" for name in ("asr", "handle", "tts")]
        daemon = Daemon(Running("daemon", config, environment), uris)
        leaving.callback(daemon.running.end)
        await daemon.start()
        own = Running("satellite", config, environment)
        leaving.callback(own.end)
        own.begin()
        if not await daemon.back(0):
            raise Unmeasured("the daemon does not start")
        pipeline = stand_in.Pipeline(*[await stand_in.add(uri) for uri in uris])
        home, journal = Home(f"tcp://127.0.0.1:{ports['satellite']}", pipeline), Journal(own.log)
        satellite = Satellite(own, home, journal)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(journal.run()), group.create_task(home.serve())]
            try:
                if not await satellite.back(0):
                    raise Unmeasured("the satellite does not start")
                parts = (
                    daemon,
                    satellite,
                    Controller(home, journal),
                    Sound(sound, journal),
                    LanguageModel(server),
                )
                yield House(folder, sound, journal, home, own, parts)
            finally:
                home.set_muted(True)  # it leaves as Home Assistant does
                await until(lambda: journal.state == "muted", 1.0)
                for task in tasks:
                    task.cancel()


def _config(folder: Path, ports: Mapping[str, int]) -> Path:
    path = folder / "config.yaml"
    settings = {
        "log": {"format": "json"},
        "network": {"host": "127.0.0.1", "zeroconf": False},
        "endpoints": {name: {"port": ports[name]} for name in ("asr", "tts", "handle", "vad", "wake")},
        "llm": {
            "engine": "ollama",
            "model": NAME,
            "url": f"http://127.0.0.1:{ports['llm']}",
            "temperature": 0,
            "reply_tokens": REPLY_TOKENS,
        },
        "satellites": {"discover": False},
        "satellite": {"port": ports["satellite"], "name": "chaos", "start": "button", "follow_up": False},
    }
    path.write_text(yaml.safe_dump(settings))
    return path
