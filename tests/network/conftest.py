"""Whether there can be machines of the test's own on a network of the test's own."""

from __future__ import annotations

from spaces import why_not

collect_ignore = ["test_advertised.py", "test_ports.py"] if why_not() else []


def pytest_report_header() -> str:
    return f"machines with two interfaces: {why_not() or 'in network namespaces'}"
