"""What is to be kept running: the programs that are installed here, and where they lie."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

import platformdirs

from antiphon.configuration import ROOT, SettingsError, load
from antiphon.places import at_home
from antiphon.service import PROGRAMS
from antiphon.service.written import ServiceError

PASSED_ON = (
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "ANTIPHON_STATE",
    "HF_HOME",
    "TTS_HOME",
)
"""What says where a user's files are, and is not the same in a service as in the user's shell."""
COMPILE_S = 300.0
"""The first time takes a quarter of a minute on two cores, later ones less than a second."""


def installed() -> list[str]:
    """Return the programs that are installed in this environment."""
    return [point.name for point in entry_points(group="antiphon.commands") if point.name in PROGRAMS]


def command(config: Path | None) -> list[str]:
    """Return how `antiphon` is called from anywhere, without the program's name."""
    script = Path(sys.executable).parent / "antiphon"
    named = ["--config", str(config)] if config else []
    return [str(script), *named] if script.is_file() else [sys.executable, "-m", "antiphon", *named]


def needed_folders(config: Path | None) -> list[Path]:
    """Return the folders that a program reads: its environment, its Python, this checkout, that of its settings."""
    base = Path(sys.base_prefix)
    folders = [Path(sys.prefix), base, base.resolve(), ROOT, *([config.parent] if config else [])]
    return sorted(set(folders))


def compile_all() -> None:
    """Compile what a service runs that may not write beside it, as whose that is: else each start compiles it anew.

    What cannot be compiled, or not be written there, is left as it is.
    """
    folders = [Path(sysconfig.get_path("purelib")), *(ROOT / part for part in ("antiphon", "daemon", "satellite"))]
    here = [folder for folder in folders if folder.is_dir()]
    owner, root = here[-1].stat(), os.geteuid() == 0
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [sys.executable, "-I", "-m", "compileall", "-qq", "-j", "0", *map(str, here)],
            check=False,
            timeout=COMPILE_S,
            user=owner.st_uid if root else None,
            group=owner.st_gid if root else None,
            extra_groups=[] if root else None,
        )


def passed_on() -> dict[str, str]:
    """Return the variables of this shell that a user's service is to have too."""
    return {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}


def template(folder: str, name: str) -> str:
    """Return a template: from the checkout, or from beside this package where it was installed without one.

    Raises:
        ServiceError: there is none.
    """
    for place in (ROOT / folder / name, Path(__file__).parent / folder / name):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise ServiceError(f"The template {folder}/{name} is not here: install Antiphon again, with its {folder} folder.")


def settings_file(*, user: bool) -> Path:
    """Return where the settings of a service are kept."""
    return Path(platformdirs.user_config_dir("antiphon") if user else "/etc/antiphon") / "config.yaml"


def changed_settings() -> Path | None:
    """Return the shipped settings file if somebody has changed it in place, as `antiphon models use` may do."""
    path = ROOT / "config.yaml"
    if not path.is_file():
        return None
    try:
        return path if load(str(path)) != load(os.devnull) else None
    except SettingsError:
        return path


def unread_settings() -> Path | None:
    """Return the settings of whoever typed sudo, which a service of the system does not read; None: there are none."""
    name = os.environ.get("SUDO_USER")
    if not name or name == "root" or sys.platform == "darwin":
        return None
    path = at_home(f"~{name}/.config/antiphon/config.yaml")
    return path if path.is_file() else None


def shipped_settings() -> str | None:
    """Return the shipped settings with every line commented out: a start for one's own. None: they are not here."""
    try:
        lines = (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return "".join(f"{line}\n" if not line or line.startswith("#") else f"# {line}\n" for line in lines)
