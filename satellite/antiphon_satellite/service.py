"""The satellite on the wire: a Wyoming server for any number of peers, one of which drives it.

    controller → satellite: run-satellite{controller?} · pause-satellite · a run's events · audio · timers · user-event
    satellite → controller: info, pong · detection, run-pipeline, audio-chunk…, audio-stop, played · user-event

Reading never waits: what comes is handed to the driver, which queues or drops it.
"""

from __future__ import annotations

import asyncio
import re
import socket
from functools import partial
from typing import Protocol

import structlog
from wyoming.event import Event, Eventable
from wyoming.info import Attribution, Info, Satellite, WakeModel, WakeProgram
from wyoming.ping import Ping

from antiphon import __version__
from antiphon.audio.wake import Word
from antiphon.settings import Satellite as SatelliteSettings
from antiphon.settings import Settings
from antiphon.wire.server import Connection, Refusal, Server
from antiphon_satellite.election import Candidate, Election, Pair
from antiphon_satellite.streams import Stream, Streams

OURS = "antiphon/"
"""What the ids of our daemons begin with."""
ID_CHARACTERS = 128
QUIET_S, DEAD_S = 15.0, 25.0
"""A controller that has said nothing for so long is asked, and then given up: both kinds ping every 2 s."""
LOOK_S = 2.5
LIVES_S = 3.0
"""Who pings, as both kinds do every 2 s, and was heard within this, is there."""
PINGS_GO_ON = 2
"""Of a controller that mutes, one ping may yet come that was on its way. After the next one it has read an event of
ours (the pong), and would have fallen silent: it does not mute any more."""
US = Attribution(name="Antiphon", url="")
DESCRIPTION, WAITS = "Antiphon satellite", "waits for sound: "
"""A satellite without sound says so where it describes itself: `DESCRIPTION, waits for sound: why`."""
ALONE = "nobody drives it"
"""So does one without a controller: `DESCRIPTION, nobody drives it`."""

log = structlog.get_logger(__name__)


class Peer:
    """One connection; a controller from its `run-satellite` on."""

    def __init__(self, connection: Connection, service: Service, endpoint: int) -> None:
        self.connection = connection
        self.endpoint = endpoint
        """The wake word whose port this is; 0 where one port serves all."""
        self.candidate: Candidate[Peer] | None = None
        self.streams = Streams()
        self.refused: set[Stream] = set()
        """Streams that are not played because something else is going on."""
        self.owes_until = 0.0
        """Before this, its next stream is the reply of a run that was interrupted."""
        self.run_until = 0.0
        """Before this, the run in which another was called must be taken for alive."""
        self._service = service

    @property
    def ours(self) -> bool:
        """It is one of our daemons."""
        return self.candidate is not None and (self.candidate.pair.id or "").startswith(OURS)

    @property
    def name(self) -> str:
        """What the log calls it."""
        pair = self.candidate.pair if self.candidate else None
        return f"{pair.host} ({pair.id or 'Home Assistant'})" if pair else self.connection.name

    def send(self, event: Event | Eventable) -> None:
        """Queue a small event."""
        self.connection.send_nowait(event)

    async def handle(self, event: Event) -> None:
        """Act on one event."""
        if event.type == "run-satellite":
            self._service.run_satellite(self, _controller_id(event))
        elif self.candidate is None:
            log.debug("an event of no controller", peer=self.connection.name, event_type=event.type)
        elif event.type == "pause-satellite":
            self._service.pause(self)
        else:
            self._service.driver.receive(self, event)

    async def gone(self) -> None:
        """The peer left."""
        self._service.gone(self)


class Driver(Protocol):
    """What the service drives (`satellite.py`)."""

    @property
    def resting(self) -> bool:
        """Another controller may take over now."""
        ...

    def receive(self, peer: Peer, event: Event) -> None:
        """A controller says something."""
        ...

    def joined(self, peer: Peer) -> None:
        """`peer` drives the satellite from now on."""
        ...

    def left(self, peer: Peer) -> None:
        """`peer`, which drove it, does not any more."""
        ...

    def paused(self) -> None:
        """The controller mutes the satellite."""
        ...

    def resumed(self) -> None:
        """The controller that muted it is back."""
        ...


class Service:
    """Serves the satellite's port.

    Args:
        words: the wake words that are listened for.
    """

    def __init__(self, settings: Settings, words: list[Word], driver: Driver) -> None:
        self.driver = driver
        own = settings.satellite
        self._shares = shares(own, words)
        self._infos = [describe(own, share, named=len(self._shares) > 1) for share in self._shares]
        self._waits_for = ""
        self._election: Election[Peer] = Election(settings.satellite.controller)
        self._driving: Peer | None = None
        """Whom the driver takes for the active controller."""
        self._paused_by: dict[tuple[Pair, int], int] = {}
        """Who mutes the satellite, and how many pings had come from them when they began to."""
        self.servers = [
            Server(
                "satellite",
                own.port + endpoint if own.port else 0,
                info=partial(self._infos.__getitem__, endpoint),
                handler=partial(self._peer, endpoint),
                network=settings.network,
            )
            for endpoint in range(len(self._shares))
        ]
        self.server = self.servers[0]
        self._describe()

    @property
    def active(self) -> Peer | None:
        """The controller that drives the satellite."""
        return self._election.active.peer if self._election.active else None

    def adopt(self, settings: Settings) -> None:
        """Follow other settings: who may connect and drive, and what the satellite says of itself."""
        for endpoint, (server, share) in enumerate(zip(self.servers, self._shares, strict=True)):
            server.admit(settings.network)
            self._infos[endpoint] = describe(settings.satellite, share, named=len(self._shares) > 1)
        self.tell_sound(waits_for=self._waits_for)
        self._election.prefer(settings.satellite.controller)
        self._elect()

    def tell_sound(self, *, waits_for: str) -> None:
        """Describe the satellite as one that waits for sound, and why; empty: that has its sound."""
        self._waits_for = waits_for
        self._describe()

    def _describe(self) -> None:
        """Say what the satellite lacks, sound before a controller, where it describes itself."""
        alone = "" if self._election.candidates else ALONE
        lacks = f"{WAITS}{self._waits_for}" if self._waits_for else alone
        says = f"{DESCRIPTION}, {lacks}" if lacks else DESCRIPTION
        for info in self._infos:
            if info.satellite is not None:
                info.satellite.description = says

    async def start(self) -> None:
        """Listen on the port, or on each word's.

        Raises:
            ListenError: one of them is taken.
        """
        for server in self.servers:
            await server.start()

    async def stop(self) -> None:
        """Close them and their connections."""
        await asyncio.gather(*(server.stop() for server in self.servers))

    def announced(self) -> dict[str, int]:
        """Return the port of each kind that mDNS is told of (`Mdns.announce`)."""
        kinds = {"satellite": self.server.port}
        for number, (server, share) in enumerate(zip(self.servers[1:], self._shares[1:], strict=True), 2):
            word = re.sub("[^a-z0-9]+", "-", share[0].name.lower())[:28]
            kind = f"satellite-{word}"
            kinds[kind if word.strip("-") and kind not in kinds else f"satellite-{number}"] = server.port
        return kinds

    def calls_another(self, word: str) -> bool:
        """Return whether a wake word calls another assistant than the one that drives the satellite now."""
        wanted = self._election.best(self._endpoint(word))
        return wanted is not None and wanted is not self._election.active

    def call(self, word: str) -> None:
        """A wake word was heard at rest: who drives its endpoint takes over."""
        self._election.call(self._endpoint(word))
        self._elect()

    def settle(self) -> None:
        """The satellite is at rest: let who should drive it take over."""
        self._elect()

    async def watch(self) -> None:
        """Give up a controller that has gone without a word; runs until cancelled.

        Home Assistant leaves a connection open and silent while it mutes the satellite: that is no fault. Unmuted again
        within two seconds it has not noticed, and goes on as if nothing had been: that it still pings tells.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            for candidate in list(self._election.candidates):
                quiet_s = loop.time() - candidate.peer.connection.heard_at
                pings = self._paused_by.get((candidate.pair, candidate.endpoint))
                if pings is not None and candidate.peer.connection.pings >= pings + PINGS_GO_ON:
                    self._resume(candidate.pair, candidate.endpoint)
                if pings is not None or quiet_s < QUIET_S:
                    continue
                if quiet_s > DEAD_S:
                    log.warning("a controller has gone without a word", controller=candidate.peer.name)
                    candidate.peer.connection.abort()
                else:
                    candidate.peer.send(Ping())

    def run_satellite(self, peer: Peer, controller: str | None) -> None:
        """A peer wants to drive the satellite."""
        pair = Pair(peer.connection.host, controller)
        if peer.candidate is not None and peer.candidate.pair != pair:
            raise Refusal("this connection already gave another controller id", "other-controller")
        if peer.candidate is None:
            peer.candidate = Candidate(pair, peer, peer.endpoint)
            replaced = self._election.join(peer.candidate, lives=_lives)
            if replaced is not None:
                log.info("a controller is back: its old connection is dropped", controller=peer.name)
                replaced.peer.connection.abort()
            self._describe()
            self._elect()
        self._lift_mutes(peer, pair)
        self._tell_active(peer)

    def _lift_mutes(self, peer: Peer, pair: Pair) -> None:
        """Lift what this controller has muted: under its pair or, if that is gone, from another address."""
        here = {(one.pair, one.endpoint) for one in self._election.candidates if one.peer is not peer}
        for muting, endpoint in list(self._paused_by):
            gone = muting.id == pair.id and (muting, endpoint) not in here
            if endpoint == peer.endpoint and (muting == pair or gone):
                self._resume(muting, endpoint)

    def pause(self, peer: Peer) -> None:
        """A controller mutes the satellite; only who drives it, or one of its words, can. It stays so until it is back.

        There is one microphone: muted for one assistant, it is muted for all.
        """
        if peer.candidate is not None and peer.candidate is self._election.best(peer.endpoint):
            self._paused_by[peer.candidate.pair, peer.endpoint] = peer.connection.pings
            self.driver.paused()

    def _resume(self, pair: Pair, endpoint: int) -> None:
        """Who muted the satellite, if they did, does not any more."""
        if self._paused_by.pop((pair, endpoint), None) is not None and not self._paused_by:
            self.driver.resumed()

    def gone(self, peer: Peer) -> None:
        """A connection has ended."""
        if peer.candidate is not None:
            self._election.leave(peer.candidate)
            self._describe()
            self._elect()

    def _peer(self, endpoint: int, connection: Connection) -> Peer:
        return Peer(connection, self, endpoint)

    def _endpoint(self, word: str) -> int:
        if len(self._shares) == 1:
            return 0
        return next((number for number, share in enumerate(self._shares) if share[0].name == word), 0)

    def _elect(self) -> None:
        """Elect, and tell everybody whom it concerns."""
        if self._driving is not None and self.active is not self._driving:
            self._dismiss()
        after = self._election.elect(at_rest=self.driver.resting)
        if (after.peer if after else None) is self._driving:
            return
        self._dismiss()
        if after is not None:
            self._driving = after.peer
            self.driver.joined(after.peer)
        log.info("controller", active=after.peer.name if after else "none")
        for candidate in self._election.candidates:
            self._tell_active(candidate.peer)

    def _dismiss(self) -> None:
        left, self._driving = self._driving, None
        if left is not None:
            self.driver.left(left)

    def _tell_active(self, peer: Peer) -> None:
        if peer.ours:
            data = {"name": "antiphon.active", "data": {"active": peer is self.active}}
            peer.send(Event("user-event", data))


def _lives(candidate: Candidate[Peer]) -> bool:
    """Return whether a connection is certainly not half-open: nothing else tells two programs on one host apart."""
    connection = candidate.peer.connection
    return connection.pings > 0 and asyncio.get_running_loop().time() - connection.heard_at < LIVES_S


def shares(settings: SatelliteSettings, words: list[Word]) -> list[list[Word]]:
    """Return the wake words of each endpoint."""
    return [[word] for word in words] if settings.wake.assistants == "each" and words else [words]


def describe(settings: SatelliteSettings, words: list[Word], *, named: bool = False) -> Info:
    """Return what the satellite says of itself. Its wake words let Home Assistant see when two satellites wake.

    Args:
        named: its name tells the wake word, as one of several on this device.
    """
    name = settings.name or socket.gethostname().partition(".")[0]
    if named:
        name = f"{name} ({words[0].phrase})"
    models = [
        WakeModel(
            name=word.name,
            attribution=US,
            installed=True,
            description=word.phrase,
            version=None,
            languages=list(word.languages),
            phrase=word.phrase,
        )
        for word in words
    ]
    program = WakeProgram(
        name=settings.wake.engine,
        attribution=US,
        installed=True,
        description="Wake words",
        version=__version__,
        models=models,
    )
    satellite = Satellite(
        name=name,
        attribution=US,
        installed=True,
        description=DESCRIPTION,
        version=__version__,
        area=settings.area or None,
        has_vad=False,  # the end of speech is the controller's to find
        active_wake_words=[word.name for word in words],
        max_active_wake_words=len(words),
        supports_trigger=True,
    )
    return Info(wake=[program] if models else [], satellite=satellite)


def _controller_id(event: Event) -> str | None:
    given = (event.data or {}).get("controller")
    if given is None:
        return None
    if not isinstance(given, str) or not 0 < len(given) <= ID_CHARACTERS:
        raise Refusal(f"controller must be text of at most {ID_CHARACTERS} characters", "bad-controller")
    return given
