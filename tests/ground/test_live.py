"""Settings that change under a running program: taken, late, refused or wrong; and never lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from antiphon.configuration import Source, load
from antiphon.life import Life
from antiphon.live import Live, Refused, Scope
from antiphon.notify import Notifier
from antiphon.settings import Settings, keys
from antiphon.watch import watch

SCOPE = Scope(live=("turn", "network.allow", "tts.speed"), fixed=("network", "tts", "stt"))


class Told:
    """A follower that remembers."""

    def __init__(self) -> None:
        self.changes: list[frozenset[str]] = []
        self.settings: Settings | None = None
        self._came = asyncio.Event()

    async def __call__(self, now: Settings, changed: frozenset[str]) -> None:
        self.settings = now
        self.changes.append(changed)
        self._came.set()

    async def once_more(self) -> Settings:
        async with asyncio.timeout(20):
            await self._came.wait()
        self._came.clear()
        assert self.settings is not None
        return self.settings


def settings(**sections: object) -> Settings:
    return Settings(**sections)  # type: ignore[arg-type]


async def test_what_can_change_does_and_what_cannot_says_so() -> None:
    live, told = Live(settings(), SCOPE), Told()
    live.follow(told)
    with capture_logs() as logs:
        await live.change(settings(turn={"silence_ms": 900}, stt={"threads": 2}, network={"host": "127.0.0.1"}))
    assert told.changes == [frozenset({"turn.silence_ms"})]
    assert live.settings.turn.silence_ms == 900
    assert live.settings.stt.threads == 0  # what is in force is what runs
    assert [log["event"] for log in logs] == [
        "settings that need a restart have changed: network.host, stt.threads",
        "settings taken: turn.silence_ms",
    ]


async def test_a_late_setting_is_told_once_and_forgotten_when_it_is_put_back() -> None:
    live = Live(settings(), SCOPE)
    with capture_logs() as logs:
        await live.change(settings(stt={"threads": 2}))
        await live.change(settings(stt={"threads": 2}, turn={"silence_ms": 700}))
        await live.change(settings(turn={"silence_ms": 700}))
    assert [log["event"] for log in logs] == [
        "settings that need a restart have changed: stt.threads",
        "settings taken: turn.silence_ms",
    ]


async def test_what_is_refused_stays_and_the_rest_is_taken() -> None:
    async def refuse(now: Settings, changed: frozenset[str]) -> None:
        raise Refused("the voice is deaf to that", "tts")

    live, told = Live(settings(), SCOPE), Told()
    live.follow(refuse)
    live.follow(told)
    with capture_logs() as logs:
        await live.change(settings(tts={"speed": 2.0}, turn={"silence_ms": 700}))
    assert told.changes == [frozenset({"turn.silence_ms"})]
    assert live.settings.tts.speed == 1.0
    assert live.settings.turn.silence_ms == 700
    assert "a change of the settings is not taken: the voice is deaf to that" in [log["event"] for log in logs]


async def test_what_a_section_that_changes_has_read_at_the_start_alone_says_so() -> None:
    """`turn` changes while the daemon runs; what judges a turn is loaded at its start, and so are wake words."""
    from antiphon_daemon.app import SCOPE as DAEMON

    live, told = Live(settings(), DAEMON), Told()
    live.follow(told)
    with capture_logs() as logs:
        turn = {"model": "silence", "silence_ms": 900}
        await live.change(settings(turn=turn, satellite={"wake": {"words": ["alexa"]}}))
    assert told.changes == [frozenset({"turn.silence_ms"})]
    assert live.settings.turn.model == "smart_turn"
    assert [log["event"] for log in logs] == [
        "settings that need a restart have changed: satellite.wake.words, turn.model",
        "settings taken: turn.silence_ms",
    ]


def test_every_setting_concerns_a_program() -> None:
    from antiphon_daemon.app import SCOPE as DAEMON
    from antiphon_satellite.app import SCOPE as SATELLITE

    known = {".".join(path) for path, _ in keys()}
    unheard = {key for key in known if not any(s.is_live(key) or s.is_fixed(key) for s in (DAEMON, SATELLITE))}
    assert unheard == set()
    for scope in (DAEMON, SATELLITE):
        for name in (*scope.live, *scope.fixed):
            assert any(key == name or key.startswith(f"{name}.") for key in known), f"{name} is no setting"


@contextlib.asynccontextmanager
async def watched(config: str | None) -> AsyncIterator[tuple[Live, Told]]:
    """Watch a file as a program does."""
    source = Source.at(config)
    live, told, life = Live(load(config), SCOPE), Told(), Life()
    live.follow(told)
    task = asyncio.create_task(watch(source, live, life, Notifier({}), status="Serving"))
    try:
        yield live, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def logged(logs: list[dict[str, object]], words: str) -> str:
    """Wait until something with these words is logged."""
    async with asyncio.timeout(20):
        while True:
            for log in logs:
                if words in str(log["event"]):
                    return str(log["event"])
            await asyncio.sleep(0.05)


async def test_a_changed_file_is_read_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("turn: {silence_ms: 700}\n")
    async with watched(str(path)) as (live, told):
        with capture_logs() as logs:
            path.write_text("turn: {silence_ms: 800}\n")
            assert (await told.once_more()).turn.silence_ms == 800
            path.write_text("turn: {silence_ms: many}\n")
            sentence = await logged(logs, "stay as they were")
            assert f"{path}:1: turn.silence_ms: expected" in sentence
            path.unlink()
            await logged(logs, "cannot be read")
            assert live.settings.turn.silence_ms == 800
            draft = tmp_path / "new"
            draft.write_text("turn: {silence_ms: 900}\n")
            draft.replace(path)  # as editors do
            assert (await told.once_more()).turn.silence_ms == 900


async def test_a_file_that_goes_before_the_one_in_use_is_taken_when_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with watched(None) as (live, told):
        assert live.settings.turn.silence_ms == 890
        own = tmp_path / "antiphon" / "config.yaml"
        own.parent.mkdir()
        own.write_text("turn: {silence_ms: 750}\n")
        assert (await told.once_more()).turn.silence_ms == 750
        own.unlink()
        assert (await told.once_more()).turn.silence_ms == 890


async def test_a_hang_up_without_a_lost_terminal_reads_the_settings_at_once(tmp_path: Path) -> None:
    """The file looks the same (a secret that it names has changed, say): only the signal tells."""
    secret, path = tmp_path / "speed", tmp_path / "config.yaml"
    path.write_text("{}\n")
    os.environ["ANTIPHON__TURN__SILENCE_MS_FILE"] = str(secret)
    secret.write_text("700")
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    try:
        async with watched(str(path)) as (live, told):
            assert live.settings.turn.silence_ms == 700
            secret.write_text("800")
            os.kill(os.getpid(), signal.SIGHUP)
            assert (await told.once_more()).turn.silence_ms == 800
    finally:
        signal.signal(signal.SIGHUP, before)
        del os.environ["ANTIPHON__TURN__SILENCE_MS_FILE"]
