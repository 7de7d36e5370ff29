"""What the command line prints, where it cannot be printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

COMMAND = [sys.executable, "-m", "antiphon", "--help"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is always full")
def test_what_a_full_disk_does_not_take_is_told_in_a_sentence() -> None:
    """`antiphon doctor --json > report` on a full disk ended in a traceback."""
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(COMMAND, stdout=full, stderr=PIPE, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    says = "Error: What this prints cannot be written: No space left on device; make room there.\n"
    assert ran.stderr == says


def test_a_reader_that_has_gone_is_not_told_of() -> None:
    process = subprocess.Popen(COMMAND, stdout=PIPE, stderr=PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    assert (process.wait(60), said) == (1, "")
    process.stderr.close()
