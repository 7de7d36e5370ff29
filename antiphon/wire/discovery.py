"""mDNS: what this host serves is announced, and what others serve is found.

Announcements carry the real addresses of every interface (Home Assistant throws `0.0.0.0` away), IPv4 and IPv6, under
a name that stays the same over restarts (else it is offered as new each time); they are made only for what is serving,
made anew when addresses change or the machine has slept, and withdrawn at exit. Who is there is asked again and again:
what others announced while the way to them was cut is not announced once more when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface
from pathlib import Path

import ifaddr
import structlog
from zeroconf import NonUniqueNameException, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from antiphon.elapsed import slept_s

WYOMING = "_wyoming._tcp.local."
LOOK_S = 5.0
"""How often the interfaces are looked at for changed addresses."""
ASK_S = 300.0
"""How often it is asked who is there: the library asks at its start, and then only after those of whom it knows."""
SLEPT_S = 30.0
"""Others may have forgotten us after so long: the address of a host is believed for two minutes."""
RESOLVE_MS = 3000
NAME_CHARACTERS, KIND_CHARACTERS = 63, 38
"""mDNS has no longer names."""
IDENTITY_MOST = 4096
"""Characters that are read of a file that holds some forty."""
BRIDGES = ("docker", "br-", "virbr", "veth", "cni", "podman", "lxc", "lxd")
"""What the names of interfaces begin with that lead to containers and virtual machines on this host alone."""

log = structlog.get_logger(__name__)
logging.getLogger("zeroconf").setLevel(logging.ERROR)  # it warns, with a traceback, of each address that has gone


@dataclass(frozen=True)
class Found:
    """A service that mDNS found."""

    instance: str
    """Its name, without the type."""
    uri: str
    """`tcp://host:port`, the first address that can be used."""


def identity(folder: Path, *, fresh: bool = False) -> str:
    """Return this installation's identity, 12 hex digits, drawn once (or again, if `fresh`) and kept in `folder`."""
    path = folder / "identity.json"
    if not fresh and (kept := _kept(path) or _passing.get(path)):
        return kept
    drawn = uuid.uuid4().hex[:12]
    try:
        return _keep(path, drawn, instead=fresh)
    except OSError as error:
        says = "identity cannot be kept: names change at each start until its folder is writable and has room"
        log.warning(says, path=str(path), why=error.strerror)
        _passing[path] = drawn
        return drawn


_passing: dict[Path, str] = {}
"""Identities that could not be kept, so that all of one process have the same."""


def _kept(path: Path) -> str | None:
    """Return the identity in a file; None where there is none, or what the file holds is none."""
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.read(IDENTITY_MOST))["identity"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and re.fullmatch(r"[0-9a-f]{12}", found) else None


def _keep(path: Path, drawn: str, *, instead: bool) -> str:
    """Write a file whole or not at all; return what it holds: of two programs that start at once, the first one's.

    Args:
        instead: whether an identity that is kept already is replaced.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump({"identity": drawn}, file)
            file.flush()
            os.fsync(file.fileno())
        if not instead:
            try:
                os.link(draft, path)
                return drawn
            except FileExistsError:
                if kept := _kept(path):
                    return kept
            except OSError:
                pass  # a file system without hard links
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return drawn


def addresses(host: str = "") -> list[str]:
    """Return the addresses under which this host can be reached: every interface's, or `host` alone.

    Link-local addresses, bridges to containers and loopback are left out, unless there is nothing else.
    """
    if host and host not in ("0.0.0.0", "::"):
        return [host]
    found = [interface.ip for interface in _interfaces()]
    real = [a for a in found if not (a.is_loopback or a.is_link_local or a.is_multicast or a.is_unspecified)]
    # Of link-local addresses those of IPv6 are not whole without an interface, whose name nobody else knows.
    chosen = real or _fours(a for a in found if a.is_link_local) or _fours(a for a in found if a.is_loopback)
    return sorted({str(a) for a in chosen}, key=lambda text: (":" in text, text))


def _fours(found: Iterable[IPv4Address | IPv6Address]) -> list[IPv4Address | IPv6Address]:
    return [address for address in found if address.version == 4]


def _interfaces() -> list[IPv4Interface | IPv6Interface]:
    """Return the addresses of this host's interfaces with their networks, without bridges to containers."""
    found: list[IPv4Interface | IPv6Interface] = []
    for adapter in ifaddr.get_adapters():
        if adapter.name.startswith(BRIDGES):
            continue
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            with contextlib.suppress(ValueError):
                found.append(ip_interface(f"{text.partition('%')[0]}/{entry.network_prefix}"))
    return found


def nearest(candidates: list[str]) -> str:
    """Return the address to dial: one on a network of ours before others, IPv4 before IPv6."""
    networks = [interface.network for interface in _interfaces()]

    def far(text: str) -> tuple[bool, bool, str]:
        address = ip_address(text)
        return not any(address in network for network in networks), address.version == 6, text

    return min(candidates, key=far)


def _host_name() -> str:
    """Return this host's name as mDNS can have it, without its domain."""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().partition(".")[0])[:24]


def _only_here(host: str) -> bool:
    """Return whether `host`, an address to listen on, can be reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _join() -> AsyncZeroconf:
    """Join mDNS on every interface, over IPv6 too where there is any: others may have nothing else.

    Raises:
        OSError: it is not allowed here, or another program has its port for itself.
        RuntimeError: there is no interface.
    """
    adapters = ifaddr.get_adapters()
    fours: list[str | int] = [str(entry.ip) for adapter in adapters for entry in adapter.ips if entry.is_IPv4]
    sixes: list[str | int] = [adapter.index for adapter in adapters if adapter.index is not None and _has_ipv6(adapter)]
    if sixes:
        with contextlib.suppress(OSError):
            return AsyncZeroconf(interfaces=[*fours, *sixes])
    return AsyncZeroconf()


def _has_ipv6(adapter: ifaddr.Adapter) -> bool:
    """Return whether an interface has an IPv6 address; not the loopback, which carries no multicast of it."""
    return any(entry.is_IPv6 and not ip_address(entry.ip[0].partition("%")[0]).is_loopback for entry in adapter.ips)


class Mdns:
    """This host's place in mDNS: announces, browses, and starts anew when the host's addresses change, or it has slept.

    A host without a network, or where mDNS is not allowed, gets a warning and goes on without it until it can be had.
    """

    def __init__(self, folder: Path, host: str = "") -> None:
        self._folder, self._host = folder, host
        self._identity = identity(folder)
        self._services: dict[str, int] = {}
        self._listener: Callable[[str, Found | None], None] | None = None
        self._known: list[str] = []
        self._slept_s = slept_s()
        self._told: str | None = None
        """Why there is no mDNS, as it was told last."""
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._resolving: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None

    def instance(self, kind: str) -> str:
        """Return the name under which `kind` (asr, tts, satellite, …) is announced."""
        rest = f"-antiphon-{kind[:KIND_CHARACTERS]}-{self._identity[:6]}"
        return _host_name()[: NAME_CHARACTERS - len(rest)] + rest

    async def start(self) -> None:
        """Begin; nothing is announced yet."""
        await self._open()
        self._watch = asyncio.create_task(self._follow_addresses())

    async def stop(self) -> None:
        """Withdraw what was announced and stop browsing."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        async with self._changing:
            await self._shut()

    async def announce(self, kind: str, port: int) -> None:
        """Announce a service that is already serving on `port`."""
        async with self._changing:
            self._services[kind] = port
            await self._register(kind, port)

    def browse(self, listener: Callable[[str, Found | None], None]) -> None:
        """Call `listener(instance, found)` for each service of others that appears, changes or (None) goes."""
        self._listener = listener
        self._start_browser()

    async def _follow_addresses(self) -> None:
        """Start anew whenever something has changed, and ask now and then who is there; runs until cancelled."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if self._has_changed():
                    await self._begin_anew()
                    asked_at = loop.time()
                elif loop.time() - asked_at >= ASK_S:
                    await self._ask_again()
                    asked_at = loop.time()
            except Exception as error:  # the edge: what fails once must not leave this host unseen for ever
                if (why := type(error).__name__) != self._told:
                    log.exception("mDNS could not be begun anew: it is tried again")
                self._known, self._told = [], why

    def _has_changed(self) -> bool:
        """Return whether what others know of this host may not be true any more, or mDNS could not be had before."""
        found = addresses(self._host)
        if found != self._known:
            log.info("addresses changed: announcing anew", addresses=found)
            return True
        return self._zeroconf is None or slept_s() - self._slept_s > SLEPT_S

    async def _begin_anew(self) -> None:
        async with self._changing:
            await self._shut()
            await self._open()

    async def _ask_again(self) -> None:
        """Ask who is there; those who are known are told once more."""
        async with self._changing:
            browser, self._browser = self._browser, None
            if browser is not None:
                await browser.async_cancel()
                self._start_browser()

    async def _open(self) -> None:
        self._known, self._slept_s = addresses(self._host), slept_s()
        try:
            self._zeroconf = _join()
        except (OSError, RuntimeError) as error:  # the latter: there is no interface at all
            why = getattr(error, "strerror", None) or str(error)
            if why != self._told:
                log.warning("mDNS does not work here: nothing is announced or found", why=why)
            self._zeroconf, self._told = None, why
            return
        for kind, port in self._services.items():
            await self._register(kind, port)
        if self._listener is not None:
            self._start_browser()
        self._told = None

    async def _shut(self) -> None:
        for task in list(self._resolving):
            task.cancel()
        await asyncio.gather(*self._resolving, return_exceptions=True)
        zeroconf, self._zeroconf = self._zeroconf, None
        browser, self._browser = self._browser, None
        if browser is not None:
            await browser.async_cancel()
        if zeroconf is not None:
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()

    async def _register(self, kind: str, port: int) -> None:
        if self._zeroconf is None or not self._known or _only_here(self._host):
            return
        try:
            await self._zeroconf.async_register_service(self._service(kind, port))
        except NonUniqueNameException:
            # Another host has our identity: a copied system image. This one draws a new name and keeps that.
            self._identity = identity(self._folder, fresh=True)
            log.warning("another host has our mDNS name: a new one is drawn", instance=self.instance(kind))
            await self._zeroconf.async_register_service(self._service(kind, port), allow_name_change=True)

    def _service(self, kind: str, port: int) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            WYOMING,
            f"{self.instance(kind)}.{WYOMING}",
            port=port,
            # With the host's name: of a copied system image whose host was renamed, the addresses would be mixed up.
            server=f"{_host_name()}-antiphon-{self._identity}.local.",
            parsed_addresses=self._known,
        )

    def _start_browser(self) -> None:
        if self._zeroconf is not None and self._browser is None:
            self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, WYOMING, handlers=[self._changed])

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:  # zeroconf calls it with these keywords
        instance = name.removesuffix(f".{service_type}")
        if instance.endswith(f"-{self._identity[:6]}") and "-antiphon-satellite-" not in instance:
            return
        if state_change is ServiceStateChange.Removed:
            self._tell(instance, None)
            return
        task = asyncio.get_running_loop().create_task(self._resolve(zeroconf, service_type, name, instance))
        self._resolving.add(task)
        task.add_done_callback(self._resolving.discard)

    async def _resolve(self, zeroconf: Zeroconf, service_type: str, name: str, instance: str) -> None:
        info = AsyncServiceInfo(service_type, name)
        if not await info.async_request(zeroconf, RESOLVE_MS) or not info.port:
            return
        usable = [a for a in info.parsed_addresses() if not ip_address(a).is_unspecified]
        if usable:
            host = nearest(usable)
            self._tell(
                instance, Found(instance, f"tcp://[{host}]:{info.port}" if ":" in host else f"tcp://{host}:{info.port}")
            )

    def _tell(self, instance: str, found: Found | None) -> None:
        if self._listener is not None:
            self._listener(instance, found)
