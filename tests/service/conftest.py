"""Whether there can be a machine with systemd of the test's own; without one, the supervisor's tests stand alone."""

from __future__ import annotations

import sys

from machine import available

WHY_NOT = "systemd is Linux's" if sys.platform != "linux" else available()

collect_ignore = ["test_machine.py"] if WHY_NOT else []


def pytest_report_header() -> str:
    return f"systemd as process 1: {WHY_NOT or 'in namespaces of its own'}"
