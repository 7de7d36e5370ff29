"""What run.sh brings: the locked packages, and beside them the extras that somebody has asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from antiphon.configuration import ROOT

UV = """#!/bin/bash
printf '%s\\n' "$*" >>"$LOG"
if [ "$1" = venv ]; then
    mkdir -p "${@: -1}/bin"
    printf '#!/bin/sh\n' | tee "${@: -1}/bin/"{python,antiphon} >/dev/null
    chmod +x "${@: -1}/bin/"*
fi
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a checkout with blanks in its name, and a uv that notes what it is asked for."""
    root = tmp_path / "my house"
    (root / "daemon").mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "bin" / "uv").write_text(UV)
    (root / "bin" / "uv").chmod(0o755)
    (root / "requirements.lock").write_text("one\n")
    (root / "pyproject.toml").write_text("")
    (root / "daemon" / "pyproject.toml").write_text('vosk = ["vosk"]\n')
    return root


def typed(root: Path, what: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{root}/bin:{os.environ['PATH']}", "LOG": str(root / "log")}
    script = f'set -euo pipefail; . "$0"; root=$1; {what}'
    given = ["bash", "-c", script, str(ROOT / "scripts" / "environment.sh"), str(root)]
    return subprocess.run(given, env=env, capture_output=True, text=True, check=False)


def asked(root: Path) -> list[str]:
    return (root / "log").read_text().splitlines()


SYNC = 'sync "$root/.venv" requirements.lock daemon'


def test_an_extra_outlives_an_update(place: Path) -> None:
    assert typed(place, f'{SYNC}; add_extra "$root/.venv" vosk; add_extra "$root/.venv" vosk').returncode == 0
    before = len(asked(place))
    assert typed(place, SYNC).returncode == 0
    assert len(asked(place)) == before, "nothing has changed"
    (place / "requirements.lock").write_text("two\n")
    assert typed(place, SYNC).returncode == 0
    assert sum("antiphon-daemon[vosk]" in line for line in asked(place)[before:]) == 1


def test_an_environment_that_has_lost_its_python_is_made_anew_with_its_extras(place: Path) -> None:
    typed(place, f'{SYNC}; add_extra "$root/.venv" vosk')
    (place / ".venv" / "bin" / "python").unlink()
    before = len(asked(place))
    assert typed(place, SYNC).returncode == 0
    fresh = asked(place)[before:]
    assert fresh[0].startswith("venv ")
    assert "antiphon-daemon[vosk]" in fresh[-1]


def test_an_extra_that_there_is_not_is_said(place: Path) -> None:
    failed = typed(place, f'{SYNC}; add_extra "$root/.venv" voks')
    assert failed.returncode == 1
    assert "there is no extra voks" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "lock"),
    [
        (["--config", "house", "satellite"], "requirements-satellite.lock"),
        (["--config=house", "satellite"], "requirements-satellite.lock"),
        (["--config", "satellite", "models", "list"], "requirements.lock"),
    ],
)
def test_the_file_with_the_settings_is_not_taken_for_the_command(place: Path, arguments: list[str], lock: str) -> None:
    (place / "scripts").mkdir()
    (place / "bin" / "apt-get").symlink_to("/bin/true")
    for name in ("run.sh", "scripts/environment.sh"):
        (place / name).write_text((ROOT / name).read_text())
    (place / "requirements-satellite.lock").write_text("one\n")
    env = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}", "LOG": str(place / "log")}
    ran = subprocess.run(["bash", place / "run.sh", *arguments], env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    brought = [word.rpartition("/")[2] for line in asked(place) for word in line.split() if word.endswith(".lock")]
    assert set(brought) == {lock}
