"""A machine of the test's own: systemd as process 1 of fresh namespaces, with its own /etc, /run, /var/lib and network.

Nothing of the host is changed: folders are laid over the host's, in memory, and the units are the few that stand here.
It ends with its process 1. Needs Linux, root and the right to make namespaces; `available` tries it.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

READY_S = 20.0
INIT = "/lib/systemd/systemd"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/root"}
TARGETS = ("sysinit", "basic", "shutdown", "network", "network-online", "sound", "default", "multi-user")

BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {folder}/layers
for place in etc var/lib var/cache root; do
    layer={folder}/layers/$place
    mkdir -p $layer/up $layer/work
    mount -t overlay overlay -o lowerdir=/$place,upperdir=$layer/up,workdir=$layer/work /$place
done
rm -rf /etc/systemd/system /etc/antiphon /var/lib/antiphon /var/lib/private/antiphon
mkdir -p /etc/systemd/system /var/lib/private /var/cache/private
chmod 700 /var/lib/private /var/cache/private
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i PATH="$PATH" container=test SYSTEMD_UNIT_PATH={folder}/units:/etc/systemd/system \\
    {init} --system --unit=multi-user.target --log-target=null --show-status=no
"""


class Machine:
    """Boots with `with Machine() as machine:`; commands are run inside with `run`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="antiphon-machine-"))
        self._group = _control_groups() / self._folder.name
        self._outside: subprocess.Popen[bytes] | None = None
        self._init = 0
        """Process 1, by its number outside."""

    def run(self, *command: str, within_s: float = 60.0, **how: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine, as root; `how` is added to its environment."""
        return subprocess.run(
            [*self._enter, *command],
            env={**ENVIRONMENT, **how},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )

    def must(self, *command: str) -> str:
        """Run a command; returns what it says, and fails when it does."""
        ran = self.run(*command, within_s=120)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command that goes on; its output is to be read."""
        return subprocess.Popen([*self._enter, *command], env=ENVIRONMENT, cwd="/", stdout=subprocess.PIPE, text=True)

    def systemctl(self, *arguments: str, within_s: float = 60.0) -> str:
        """Run systemctl; returns what it says, and fails when it does."""
        ran = self.run("systemctl", *arguments, within_s=within_s)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def known(self, unit: str, name: str) -> str:
        """Return what systemd says of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit)

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._init}", "--mount", "--pid", "--net", "--uts", "--cgroup", "--ipc"]

    def __enter__(self) -> Machine:
        try:
            self._boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._outside is not None:
            self._outside.kill()  # unshare takes process 1 along, and that takes all others
            self._outside.wait(10)
        for group in sorted(self._group.glob("**/"), reverse=True):
            _remove_group(group)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _boot(self) -> None:
        for name in ("units", "layers"):
            (self._folder / name).mkdir()
        for target in TARGETS:
            (self._folder / "units" / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
        self._group.mkdir()
        script = BOOT.format(folder=shlex.quote(str(self._folder)), init=INIT)
        spaces = ["--fork", "--pid", "--mount", "--mount-proc", "--uts", "--ipc", "--cgroup", "--net", "--kill-child"]
        entered = f'echo $$ >{self._group}/cgroup.procs && exec unshare {" ".join(spaces)} bash -c "$1"'
        with (self._folder / "log").open("wb") as log:
            self._outside = subprocess.Popen(
                ["bash", "-c", entered, "boot", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + READY_S
        while not self._serves():
            if self._outside.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"systemd does not run: {(self._folder / 'log').read_text()}")
            time.sleep(0.1)

    def _serves(self) -> bool:
        assert self._outside is not None
        if not self._init:
            children = Path(f"/proc/{self._outside.pid}/task/{self._outside.pid}/children").read_text().split()
            if not children or Path(f"/proc/{children[0]}/exe").resolve() != Path(INIT).resolve():
                return False
            self._init = int(children[0])
        return self.run("systemctl", "is-active", "multi-user.target").returncode == 0


def _control_groups() -> Path:
    """Return where version 2 of the control groups is mounted."""
    both = Path("/sys/fs/cgroup/unified")
    return both if both.is_dir() else Path("/sys/fs/cgroup")


def _remove_group(group: Path) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # what ran in it is not quite gone
            time.sleep(0.05)
        else:
            return


@functools.cache
def available() -> str:
    """Return why there can be no such machine here; empty: there can."""
    if not Path(INIT).exists() or shutil.which("nsenter") is None:
        return "systemd is not installed"
    try:
        with Machine():
            return ""
    except (OSError, RuntimeError) as error:
        return str(error)
