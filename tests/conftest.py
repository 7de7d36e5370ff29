"""What all tests share: the marks, speech made by Piper, and a settings file that touches nothing of the user's."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ctranslate2
import pytest
from marks import MARKS
from speech import Say, speaker
from xdist.scheduler import LoadScopeScheduling

from antiphon.settings import Settings
from antiphon_daemon.engines.build import build_synthesizer
from antiphon_daemon.engines.contracts import Synthesizer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--home-assistant", action="store_true", help="run the tests against a real Home Assistant")
    parser.addoption("--torch", action="store_true", help="run the tests of the engines on PyTorch")
    parser.addoption("--node", action="store_true", help="run the tests with programs of npm")


def pytest_configure(config: pytest.Config) -> None:
    for name, reason in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {reason}")


MODELS = ("endpoints", "engines", "gateway", "house")
"""Folders of tests that work the models, which take all cores: no two of these run at once (`./test.sh` runs two)."""

APART = (
    *("test_across", "test_strangers"),
    *("test_bounds", "test_client_page", "test_client_page_waits", "test_dashboard", "test_dashboard_page"),
    *("test_pages_everywhere", "test_played", "test_realtime_events", "test_realtime_openai", "test_websocket"),
    *("test_ask", "test_bench_chaos", "test_conversation", "test_echo_in_the_room", "test_killed", "test_llm_servers"),
    *("test_state", "test_up"),
)
"""Files of theirs that wait most of the time, or do not mind to: they run beside the others."""


class Together(LoadScopeScheduling):
    """A file's tests stay together, and so do all that work the models. (Groups by mark do nothing in pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        return "models" if set(MODELS) & set(file.parts) and file.stem not in APART else str(file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("macos") and sys.platform != "darwin":
            item.add_marker(pytest.mark.skip(reason=MARKS["macos"]))
        if item.get_closest_marker("gpu") and not ctranslate2.get_cuda_device_count():
            item.add_marker(pytest.mark.skip(reason=MARKS["gpu"]))
        for name in ("home_assistant", "node", "torch"):
            if item.get_closest_marker(name) and not config.getoption(f"--{name.replace('_', '-')}"):
                item.add_marker(pytest.mark.skip(reason=MARKS[name]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a test that skips without one of the marks fails: a green run means that it was run."""
    report = yield
    marked = any(item.get_closest_marker(name) for name in MARKS)
    if report.skipped and os.environ.get("CI") and not marked and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI without a mark: {call.excinfo.value if call.excinfo else ''}"
    return report


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep identities and settings of the tests apart from the user's."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["ANTIPHON_STATE"] = str(folder)
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
    for variable in [name for name in os.environ if name.startswith("ANTIPHON__") or name == "ANTIPHON_CONFIG"]:
        del os.environ[variable]


@pytest.fixture(scope="module")
def voice(own_state: None) -> Iterator[Synthesizer]:
    """Return the embedded voice as an engine."""
    built = asyncio.run(build_synthesizer(Settings()))
    yield built
    asyncio.run(built.close())


@pytest.fixture(scope="session")
def say() -> Say:
    """Return a function that speaks a text with the embedded Piper voice: mono, 16 kHz."""
    return speaker()
