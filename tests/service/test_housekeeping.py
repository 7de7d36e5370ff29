"""The daemon's memory: what was freed goes back to the system."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading

import pytest

from antiphon_daemon import housekeeping
from antiphon_daemon.engines.rush import Rush
from antiphon_daemon.engines.work import Token

FREED = """
from antiphon_daemon.housekeeping import give_back
from antiphon_daemon.insight.process import usage

blocks = [bytes([1]) * 60_000 for _ in range(3000)]
kept = blocks[::100]
del blocks
before = usage()["rss_bytes"]
give_back()
print((before - usage()["rss_bytes"]) / 1e6, len(kept))
"""
"""Frees 180 MB in blocks that the C library keeps, with some between them that are still in use."""

HEAPS = """
import ctypes, sys, tempfile, threading
from antiphon_daemon.housekeeping import share_heap

if len(sys.argv) > 1:
    share_heap()
barrier = threading.Barrier(8)

def allocate():
    kept = [bytes([1]) * 60_000 for _ in range(10)]
    barrier.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
c = ctypes.CDLL(None)
c.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as told:
    file = ctypes.c_void_p(c.fopen(told.name.encode(), b"w"))
    c.malloc_info(0, file)
    c.fclose(file)
    print(told.read().decode().count("<heap nr="))
"""
"""Prints how many heaps eight threads have allocated from."""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' C libraries share one heap")
def test_all_threads_share_one_heap() -> None:
    def heaps(*asked: str) -> int:
        ran = subprocess.run([sys.executable, "-c", HEAPS, *asked], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    assert heaps() > 1
    assert heaps("shared") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' C libraries keep less")
def test_what_was_freed_goes_back_to_the_system() -> None:
    ran = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert float(ran.stdout.split()[0]) > 100


def test_what_is_loaded_is_not_looked_through_for_garbage() -> None:
    try:
        housekeeping.settle()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()


async def test_memory_is_given_back_while_no_engine_works(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bool] = []
    rush = Rush()
    monkeypatch.setattr(housekeeping, "give_back", lambda: given.append(rush.busy))
    task = asyncio.create_task(housekeeping.keep(0.01, rush))
    try:
        with rush.working(Token()):
            await asyncio.sleep(0.1)
            assert not given
        async with asyncio.timeout(5):
            while len(given) < 2:
                await asyncio.sleep(0.01)
        assert not any(given)
    finally:
        task.cancel()


async def test_an_engine_that_goes_on_with_what_was_given_up_is_noticed() -> None:
    rush, given_up, wanted, end = Rush(), Token(), Token(), threading.Event()

    def work(job: Token) -> None:
        with rush.working(job):
            end.wait(30)

    threads = [threading.Thread(target=work, args=(job,), name=name) for name, job in (("a", given_up), ("b", wanted))]
    for thread in threads:
        thread.start()
    try:
        noticed = asyncio.create_task(housekeeping.hung(rush, after_s=0.1, look_s=0.01))
        await asyncio.sleep(0.3)
        assert not noticed.done(), "what is wanted may take as long as it takes"
        given_up.revoke()
        async with asyncio.timeout(5):
            assert await noticed == "a"
    finally:
        end.set()
        for thread in threads:
            thread.join()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(housekeeping.hung(rush, after_s=0.1, look_s=0.01), 0.5)
