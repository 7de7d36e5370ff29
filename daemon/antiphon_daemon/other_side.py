"""`antiphon doctor --home-assistant URL`: what Home Assistant sees of us, and what it makes of it.

Home Assistant tells nobody the address that it keeps of a service. Whether it is one of ours is told by what works: it
asks each service every 30 s, and shows the entities of one that does not answer as unavailable.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from antiphon.checks import Check
from antiphon.settings import Settings
from antiphon.wire.discovery import addresses
from antiphon.wire.link import LinkError, ask_info
from antiphon.wire.server import allowed
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import EngineError, Fault

if TYPE_CHECKING:
    from antiphon_daemon.engines.home_assistant import Socket

WITHIN_S = 20.0
ANSWER_S = 2.0
"""A service of ours answers within this, or does not run."""
KINDS = {"asr": "stt", "tts": "tts", "handle": "conversation", "wake": "wake_word", "satellite": "assist_satellite"}
"""Our endpoints, and the entity that Home Assistant makes of each."""
WORK = {"stt": "hears", "conversation": "thinks", "tts": "speaks", "wake_word": "listens for the wake word"}
FIELDS = {
    "stt": "stt_engine",
    "conversation": "conversation_engine",
    "tts": "tts_engine",
    "wake_word": "wake_word_entity",
}
START = ("antiphon daemon", "antiphon satellite")
ADD = "Settings → Devices & services"
GONE = "unavailable"


@dataclass
class Entry:
    """One service as Home Assistant keeps it."""

    id: str
    title: str
    state: str
    reason: str
    disabled: bool
    info: dict[str, Any] | None = None
    """What it described; None while Home Assistant does not reach it."""
    entities: dict[str, str] = field(default_factory=dict)
    """States by entity."""

    @property
    def kind(self) -> str | None:
        """Which of `KINDS` it is; None where nothing tells."""
        domains = {entity.partition(".")[0] for entity in self.entities}
        found = [kind for kind in ("satellite", *KINDS) if KINDS[kind] in domains or (self.info or {}).get(kind)]
        return found[0] if found else None

    @property
    def main(self) -> str:
        """Its entity; empty when there is none."""
        domain = KINDS.get(self.kind or "", "")
        return next((name for name in self.entities if name.startswith(f"{domain}.")), "")

    @property
    def reached(self) -> bool:
        """Whether Home Assistant reaches it."""
        return self.state == "loaded" and self.entities.get(self.main) != GONE


async def run(settings: Settings) -> list[Check]:
    """Check it from the other side."""
    try:
        catalogue.require("llm", "httpx2", "home-assistant")
        catalogue.require("llm", "websockets", "home-assistant")
        async with asyncio.timeout(WITHIN_S):
            return await _look(settings)
    except EngineError as error:
        return [Check("Home Assistant", False, str(error), _mend(error))]
    except TimeoutError:
        says = f"{settings.home_assistant.url} has not answered within {WITHIN_S:.0f} s"
        return [Check("Home Assistant", False, says, "See its log, and whether home_assistant.url is right.")]


async def _look(settings: Settings) -> list[Check]:
    from antiphon_daemon.engines.home_assistant import Api

    api = await asyncio.to_thread(Api, settings.home_assistant, connect_s=settings.deadlines.connect_s)
    try:
        async with api.socket() as asked:
            checks = [Check("Home Assistant", True, f"{asked.version} answers at {api.url} and takes the token")]
            checks += await asyncio.to_thread(_ways, settings, api.url)
            entries, described = await _entries(asked), await _described(settings)
            own = addresses(settings.network.host)
            if not entries:
                says = f"Add integration → Wyoming Protocol, with {' or '.join(own)} and the ports of endpoints."
                checks.append(Check("Home Assistant: services", False, "it has none of ours", f"{ADD}: {says}"))
            for kind, port in _ports(settings).items():
                checks += _service(kind, port, entries, described[kind], own)
            checks += _strays(entries)
            checks += await _waiting(asked)
            checks += await _pipelines(asked, entries)
            return checks
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise api.stranger(f"{type(error).__name__} in what it tells") from None
    finally:
        await api.close()


async def _entries(asked: Socket) -> list[Entry]:
    known = await asked.ask("config_entries/get", domain="wyoming")
    infos = await asked.ask("wyoming/info") if known else {}
    registry = await asked.ask("config/entity_registry/list")
    ours = {one["entity_id"]: one["config_entry_id"] for one in registry if one.get("platform") == "wyoming"}
    states = {one["entity_id"]: one["state"] for one in await asked.ask("get_states") if one["entity_id"] in ours}
    entries = []
    for one in known:
        entities = {name: states.get(name, GONE) for name, entry in ours.items() if entry == one["entry_id"]}
        info = infos.get("info", {}).get(one["entry_id"])
        disabled = bool(one.get("disabled_by"))
        entry = Entry(one["entry_id"], one["title"], one["state"], one.get("reason") or "", disabled, info, entities)
        entries.append(entry)
    return entries


async def _described(settings: Settings) -> Mapping[str, dict[str, Any] | None]:
    """Return what each service of this machine says of itself; None where it does not run."""
    host = settings.network.host
    host = "127.0.0.1" if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host

    async def ask(port: int) -> dict[str, Any] | None:
        try:
            return (await ask_info(f"tcp://{host}:{port}", within_s=ANSWER_S)).to_dict()
        except LinkError:
            return None

    ports = _ports(settings)
    return dict(zip(ports, await asyncio.gather(*(ask(port) for port in ports.values())), strict=True))


def _ports(settings: Settings) -> Mapping[str, int]:
    """Return the port of each service that this machine may run."""
    ends = {kind: getattr(settings.endpoints, kind) for kind in KINDS if kind != "satellite"}
    return {**{kind: end.port for kind, end in ends.items() if end.enabled}, "satellite": settings.satellite.port}


def _ways(settings: Settings, url: str) -> list[Check]:
    """Look whether Home Assistant's machine could reach the services of this one. Asks the resolver, so it blocks."""
    title, name = "Home Assistant: the way here", urlsplit(url).hostname or ""
    try:
        hosts = {str(one[4][0]) for one in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return []
    own = set(addresses(settings.network.host)) | set(addresses())
    if all(ip_address(host.partition("%")[0]).is_loopback or host in own for host in hosts):
        return []
    with contextlib.suppress(ValueError):
        if ip_address(settings.network.host).is_loopback:
            mend = "Set network.host to an address of this machine that Home Assistant reaches, or leave it empty."
            return [Check(title, False, f"the services listen on {settings.network.host} alone", mend)]
    admitted = [ip_network(text) for text in settings.network.allow]
    if refused := sorted(host for host in hosts if not allowed(host, admitted)):
        says = f"{name} ({', '.join(refused)}) is on no private network, and is refused"
        return [Check(title, False, says, "Put its address into network.allow.")]
    return []


def _service(
    kind: str, port: int, entries: Sequence[Entry], described: dict[str, Any] | None, own: Sequence[str]
) -> list[Check]:
    """Check one service of this machine: is it there, and reached."""
    title = f"Home Assistant: {kind}"
    candidates = [entry for entry in entries if entry.kind == kind and _may_be_ours(entry, kind, described)]
    here = " or ".join(own)
    if not candidates:
        if kind == "satellite" and described is None:
            return []
        mend = f"To use it: {ADD} → Add integration → Wyoming Protocol, with {here} and port {port}."
        return [Check(title, None, "is not among its services", mend)]
    found = []
    for entry in candidates:
        state = entry.entities.get(entry.main, GONE)
        if entry.disabled:
            mend = f"Enable the entry {entry.title} again: {ADD} → Wyoming Protocol."
            found.append(Check(title, None, f"{entry.main or entry.title} is disabled there", mend))
        elif entry.reached and described is None:
            says = f"{entry.main} is reached, but not at this machine's port {port}: nothing answers there"
            mend = (
                f"Nothing, if that service runs on another machine; else start it here: {START[kind == 'satellite']}."
            )
            found.append(Check(title, None, says, mend))
        elif entry.reached:
            same = (
                "as it is here" if entry.info == described else "but not known as it is here now (models or languages)"
            )
            mend = "Reload the entry, unless that service runs on another machine."
            ok = True if entry.info == described or kind == "satellite" else None
            shown = f" ({state})" if kind == "satellite" else ""
            found.append(Check(title, ok, f"{entry.main}{shown}, reached, {same}", mend))
        elif described is None:
            says = f"{entry.main or entry.title} is not reached ({entry.reason or entry.state}), and does not run here"
            found.append(Check(title, False, says, f"Start it here: {START[kind == 'satellite']}."))
        else:
            says = f"{entry.main or entry.title} is not reached ({entry.reason or entry.state}) although it runs here"
            mend = f"It keeps another address than {here}, or a firewall is between: delete the entry, add it again."
            found.append(Check(title, False, says, mend))
    return found


def _may_be_ours(entry: Entry, kind: str, described: dict[str, Any] | None) -> bool:
    """Return whether an entry can be this machine's: by what it is called, there and here."""
    if kind == "satellite":
        name = ((described or {}).get("satellite") or {}).get("name")
        return name is not None and name in (entry.title, ((entry.info or {}).get("satellite") or {}).get("name"))
    programs = (entry.info or {}).get(kind) or [{"name": entry.title}]
    return any(str(one.get("name", "")).lower().startswith("antiphon") for one in programs)


def _strays(entries: Sequence[Entry]) -> list[Check]:
    """Tell how other satellites are, and entries that have never worked."""
    checks = []
    for entry in entries:
        title = f"Home Assistant: {entry.title}"
        if entry.kind == "satellite":
            state = entry.entities.get(entry.main, GONE)
            mend = "See that it runs and that its address is still the same; delete the entry and add it again if not."
            checks.append(Check(title, True if entry.reached else None, f"{entry.main} is {state}", mend))
        elif entry.kind is None and not entry.disabled:
            mend = "Delete the entry, then add the service again once it runs."
            checks.append(Check(title, None, f"an entry without entities ({entry.reason or entry.state})", mend))
    return checks


async def _waiting(asked: Socket) -> list[Check]:
    """Tell what was discovered and waits to be confirmed."""
    flows = await asked.ask("config_entries/flow/progress")
    names = [
        str((one["context"].get("title_placeholders") or {}).get("name") or one["context"].get("unique_id"))
        for one in flows
        if one["handler"] == "wyoming"
    ]
    mend = f"Confirm what you want to use: {ADD}, Discovered."
    return [Check("Home Assistant: discovered", None, ", ".join(names), mend)] if names else []


async def _pipelines(asked: Socket, entries: Sequence[Entry]) -> list[Check]:
    """Tell which assistants use us, and for what."""
    reached = {entry.main: entry.reached for entry in entries if entry.main}
    found = await asked.ask("assist_pipeline/pipeline/list")
    checks = []
    for pipeline in found["pipelines"]:
        used = {part: pipeline.get(field) for part, field in FIELDS.items() if pipeline.get(field) in reached}
        if not used:
            continue
        preferred = ", the preferred one" if pipeline["id"] == found.get("preferred_pipeline") else ""
        title = f"Home Assistant: assistant {pipeline['name']!r}{preferred}"
        dead = [engine for engine in used.values() if not reached[engine]]
        says = ", ".join(f"{engine} {WORK[part]}" for part, engine in used.items())
        if dead:
            mend = "See the services above: what asks this assistant gets no answer."
            checks.append(Check(title, False, f"{says}; not reached: {', '.join(dead)}", mend))
        else:
            checks.append(Check(title, True, says))
    if not checks:
        mend = "Settings → Voice assistants: add one, or choose the services in yours."
        checks.append(Check("Home Assistant: assistants", None, "none uses a Wyoming service", mend))
    return checks


def _mend(error: EngineError) -> str:
    """Return what to do, where the sentence itself does not say it all."""
    return "Then run this again." if error.fault is Fault.KEY else "Mend that, then run this again."
