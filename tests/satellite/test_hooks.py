"""The user's commands: their data, their bounds, and that nothing waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from satellite_rig import eventually

from antiphon.settings import Hooks as Commands
from antiphon_satellite.hooks import AT_ONCE, QUEUED, Hooks


@contextlib.asynccontextmanager
async def running(longest_s: float = 5.0, **commands: str) -> AsyncIterator[Hooks]:
    hooks = Hooks(Commands(**commands), longest_s=longest_s)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(hooks.run())
        try:
            yield hooks
        finally:
            task.cancel()


def count(folder: Path) -> int:
    return len(list(folder.iterdir()))


async def test_a_hook_gets_the_event_as_json_on_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with running(transcript=f"cat > {out}.part; mv {out}.part {out}") as hooks:
        hooks.fire("transcript", {"text": "불 켜 줘"})
        await eventually(out.exists)
    assert json.loads(out.read_text()) == {"event": "transcript", "text": "불 켜 줘"}


async def test_a_peer_does_not_say_what_happened_in_our_name(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with running(timer=f"cat > {out}.part; mv {out}.part {out}") as hooks:
        hooks.fire("timer", {"event": "wake", "type": "timer-started", "id": "1"})
        await eventually(out.exists)
    assert json.loads(out.read_text()) == {"event": "timer", "type": "timer-started", "id": "1"}


async def test_an_event_without_a_hook_is_nothing() -> None:
    async with running() as hooks:
        hooks.fire("idle")


async def test_nothing_waits_for_a_slow_hook_and_few_run_at_once(tmp_path: Path) -> None:
    async with running(idle=f"touch $(mktemp -p {tmp_path}); exec sleep 30") as hooks:
        started = time.monotonic()
        for _ in range(QUEUED + 20):
            hooks.fire("idle")
        assert time.monotonic() - started < 0.5
        await eventually(lambda: count(tmp_path) == AT_ONCE)
        await asyncio.sleep(0.2)
        assert count(tmp_path) == AT_ONCE


async def test_a_hook_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    async with running(0.5, idle=f"sleep 60 & echo $! > {out}; wait") as hooks:
        hooks.fire("idle")
        await eventually(lambda: out.exists() and out.read_text().strip() != "")
        child = Path(f"/proc/{out.read_text().strip()}/cmdline")
        await eventually(lambda: not child.exists() or not child.read_bytes(), 5)


async def test_a_hook_that_fails_or_reads_nothing_is_only_logged(capfd: pytest.CaptureFixture[str]) -> None:
    async with running(idle="echo no such lamp >&2; exit 3", transcript="cat >&2; exit 4") as hooks:
        hooks.fire("idle", {"text": "x" * 200_000})
        await asyncio.sleep(0.3)
        hooks.fire("idle")
        hooks.fire("transcript", {"text": "order a pizza"})
        await asyncio.sleep(0.3)
    captured = capfd.readouterr()
    logged = captured.out + captured.err
    assert "no such lamp" in logged
    assert "code=4" in logged, "it failed"
    assert "pizza" not in logged, "and had the words that it was given to complain of"


async def test_commands_that_cannot_be_ended_keep_no_other_from_running(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with running(0.3, idle="setsid sleep 4 & wait", wake=f"touch {out}") as hooks:
        for _ in range(AT_ONCE):
            hooks.fire("idle")
        hooks.fire("wake")
        await eventually(out.exists, 3)


async def test_who_leaves_a_command_behind_ends_without_a_complaint() -> None:
    program = (
        "import asyncio\n"
        "from antiphon.settings import Hooks as Commands\n"
        "from antiphon_satellite.hooks import Hooks\n"
        "async def main():\n"
        "    hooks = Hooks(Commands(idle='setsid sleep 4 & wait'))\n"
        "    running = asyncio.create_task(hooks.run())\n"
        "    hooks.fire('idle')\n"
        "    await asyncio.sleep(0.5)\n"
        "    running.cancel()\n"
        "    await asyncio.wait([running])\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    assert (await process.stderr.read()).decode() == ""


async def test_of_what_a_hook_complains_the_end_is_told_and_no_more_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    tracemalloc.start()
    try:
        async with running(
            20, idle="head -c 30000000 /dev/zero | tr '\\0' x >&2; echo that is all >&2; exit 3"
        ) as hooks:
            hooks.fire("idle")
            told = ""

            def failed() -> bool:
                nonlocal told
                told += "".join(capfd.readouterr())
                return "a hook failed" in told

            await eventually(failed)
        assert "that is all" in told
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
