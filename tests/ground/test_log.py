"""What a log holds, and what it must not: nobody's words, no noise of libraries; and that it ends nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOGGING = """
import asyncio, logging, os, sys, structlog
from antiphon import log
from antiphon.settings import Log
log.configure(Log(format=sys.argv[1], level=sys.argv[2], transcripts=sys.argv[3] == "asked"))
ours = structlog.get_logger("ours")

def hear(secret):
    try:
        int(secret)
    except ValueError as error:
        raise RuntimeError(f"cannot hear {secret}") from error

def fail():
    hear("order a pizza")
"""

FAULTS = """
ours.info("heard", text=log.spoken("order a pizza"))
try:
    fail()
except RuntimeError as error:
    ours.exception("handler failed")
    logging.getLogger("other").error("it failed", exc_info=error)
try:
    raise ExceptionGroup("a pizza", [ValueError("pizza")])
except ExceptionGroup as error:
    ours.error("several failed", exc_info=error)
async def leave():
    task = asyncio.ensure_future(later())
    await asyncio.sleep(0)
async def later():
    fail()
asyncio.run(leave())
"""

DIVERTED = """
log.divert_libraries()
os.write(2, b"ALSA lib pcm.c:8570: Unknown PCM\\n")
ours.warning("ours")
for thread in __import__("threading").enumerate():
    if thread.name == "stderr":
        os.close(2)
        thread.join(5)
"""


def logged(script: str, form: str = "json", level: str = "info", asked: str = "no") -> str:
    """Return what a program that logs has written on standard error."""
    command = [sys.executable, "-c", LOGGING + script, form, level, asked]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return ran.stderr


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_exception_carries_words_into_the_log_unless_they_are_asked_for(form: str) -> None:
    said = logged(FAULTS, form)
    assert "pizza" not in said
    assert "in hear" in said, "where it happened is told"
    assert said.count("ValueError: <") >= 3
    assert "RuntimeError: <25 characters>" in said
    assert "cannot hear order a pizza" in logged(FAULTS, form, asked="asked")


def test_every_line_is_an_object_those_of_other_libraries_too() -> None:
    lines = [json.loads(line) for line in logged(FAULTS).splitlines()]
    assert [line["event"] for line in lines] == [
        "heard",
        "handler failed",
        "it failed",
        "several failed",
        "Task exception was never retrieved",
    ]
    assert [line.get("logger") for line in lines] == [None, None, "other", None, "asyncio"]


def test_what_libraries_print_is_told_at_debug_alone() -> None:
    assert [json.loads(line)["event"] for line in logged(DIVERTED).splitlines()] == ["ours"]
    lines = [json.loads(line) for line in logged(DIVERTED, level="debug").splitlines()]
    assert {"a library says", "ours"} == {line["event"] for line in lines}
    assert "ALSA lib pcm.c:8570: Unknown PCM" in {line.get("text") for line in lines}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is always full")
def test_a_log_on_a_full_disk_ends_nothing() -> None:
    command = [sys.executable, "-c", f"{LOGGING}\n{FAULTS}\nprint('done')", "json", "debug", "no"]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.returncode) == ("done\n", 0)


def test_what_a_library_logs_badly_is_logged_and_harms_it_not() -> None:
    script = 'logging.getLogger("other").warning("%d sheep", "no"); logging.getLogger("other").log(35, "a bit more")'
    lines = [json.loads(line) for line in logged(script).splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("%d sheep", "warning"), ("a bit more", "warning")]


NAMED = """
name = "evil\\x1b]0;title\\x07\\x1b[2J\\x9b31m\\u202e"
ours.info("satellite connected", satellite=name)
logging.getLogger("other").error("no answer from " + name)
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_peer_calls_itself_commands_no_terminal(form: str) -> None:
    said = logged(NAMED, form)
    assert said.count("evil") == 2
    assert not set(said) & set("\x1b\x07\x9b\u202e")


FULL = """
import resource, socket
async def serve():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    place = server.sockets[0].getsockname()
    callers = [socket.socket() for _ in range(3)]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (callers[-1].fileno() + 1, most))
    for caller in callers:
        caller.connect(place)
    await asyncio.sleep(1.5)
asyncio.run(serve())
"""


def test_a_program_without_descriptors_left_says_so_once_and_what_mends_it() -> None:
    (line,) = [json.loads(line) for line in logged(FULL).splitlines()]
    assert "allow more open files (LimitNOFILE= of the service, or ulimit -n)" in line["event"]
    assert (line["level"], line["why"]) == ("error", "Too many open files")
    assert "exception" not in line
