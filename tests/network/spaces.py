"""Machines made of network namespaces: each has interfaces of its own, and cables between them. Linux, root, `ip`."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HOLD = "ip link set lo up && echo ready && exec sleep infinity"


class Space:
    """A machine without any interface but its loopback, until it is given some."""

    def __init__(self, holder: subprocess.Popen[str]) -> None:
        self.pid = holder.pid

    @property
    def enter(self) -> list[str]:
        """What a command begins with that runs there."""
        return ["nsenter", f"--target={self.pid}", "--net"]

    def ip(self, *arguments: str) -> None:
        """Run `ip` there.

        Raises:
            RuntimeError: it fails; the message is what it said.
        """
        _must([*self.enter, "ip", *" ".join(arguments).split()])

    def addresses(self, device: str, *addresses: str) -> None:
        """Give an interface addresses with their prefix, usable at once, and bring it up."""
        for address in addresses:
            self.ip("addr", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
        self.ip("link", "set", device, "up")


@contextmanager
def space() -> Iterator[Space]:
    """Make a machine that lasts as long as the context."""
    command = ["unshare", "--net", "sh", "-c", HOLD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            if holder.stdout.readline() != "ready\n":
                raise RuntimeError(holder.stderr.read().strip() or "namespaces cannot be made")
            yield Space(holder)
        finally:
            holder.kill()


def cable(one: Space, other: Space, device: str) -> None:
    """Join two machines by an interface that has the same name on both."""
    one.ip(f"link add {device} type veth peer name {device} netns {other.pid}")


def _must(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)}: {ran.stderr.strip()}")


@functools.cache
def why_not() -> str:
    """Return why there can be no such machines here; empty: there can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if missing := [name for name in ("ip", "nsenter", "unshare") if shutil.which(name) is None]:
        return f"{missing[0]} is not installed"
    if not Path("/proc/net/if_inet6").exists():
        return "this machine has no IPv6"
    try:
        with ExitStack() as both:
            one, other = both.enter_context(space()), both.enter_context(space())
            cable(one, other, "lan")
            one.ip("link add docker0 type bridge")
            one.addresses("lan", "10.77.1.2/24", "fd77:1::2/64")
    except (OSError, RuntimeError) as error:
        return str(error)
    return ""
