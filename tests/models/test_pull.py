"""Pulling models from a hub that fails in every way that hubs do: one clear sentence, and nothing half-installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from antiphon_daemon.engines import models
from antiphon_daemon.models import fetching
from antiphon_daemon.models.fetching import PullError
from antiphon_daemon.models.keeping import Keeper
from models.conftest import NOTES, NOTES_AT, SHA256, WEIGHTS, WEIGHTS_AT, tiny_model
from models.hub import Fault, Hub


def nothing(done: int, total: int | None) -> None:
    pass


def installed(folder: Path) -> bool:
    return (folder / "tiny-test").exists()


def part(folder: Path) -> Path:
    return folder / ".incoming" / "tiny-test" / "w.gguf.part"


def test_a_model_is_fetched_with_progress_and_its_hashes_written_down(hub: Hub, keeper: Keeper, folder: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    place = keeper.pull(tiny_model(), hub.url, lambda done, total: seen.append((done, total)))
    assert place == folder / "tiny-test"
    assert (place / "w.gguf").read_bytes() == WEIGHTS
    assert sorted(path.name for path in place.iterdir()) == ["antiphon.json", "n.json", "w.gguf"]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 3
    assert seen[-1][0] == len(WEIGHTS) + len(NOTES)
    written = json.loads((place / "antiphon.json").read_text())
    assert written["files"]["w.gguf"] == {"size": len(WEIGHTS), "sha256": SHA256}
    assert models.path("llm", "tiny-test") == place / "w.gguf"
    asked = len(hub.asked)
    keeper.pull(tiny_model(), hub.url, nothing)
    assert len(hub.asked) == asked, "a model that is here is not fetched again"


def test_a_broken_connection_is_resumed_where_it_broke(hub: Hub, keeper: Keeper) -> None:
    hub.faults[WEIGHTS_AT] = Fault(cut=[1_000_000, 500_000])
    place = keeper.pull(tiny_model(sha256=SHA256), hub.url, nothing)
    assert (place / "w.gguf").read_bytes() == WEIGHTS
    ranges = [asked for path, asked, _ in hub.asked if path == WEIGHTS_AT]
    assert ranges[0] is None
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in ranges[1:] if asked]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1] <= 1_500_000
    assert all(if_range for path, _, if_range in hub.asked[1:3])


def test_what_has_arrived_is_kept_for_the_next_pull(hub: Hub, keeper: Keeper, folder: Path) -> None:
    hub.faults[WEIGHTS_AT] = Fault(cut=[900_000, 0, 0, 0, 0])
    with pytest.raises(PullError, match=r"try again later\. 0\.\d MB are kept: the same command goes on from there"):
        keeper.pull(tiny_model(), hub.url, nothing)
    assert not installed(folder)
    had = part(folder).stat().st_size
    assert had > 100_000
    hub.faults.clear()
    hub.asked.clear()
    keeper.pull(tiny_model(), hub.url, nothing)
    assert hub.asked[0][1] == f"bytes={had}-"
    assert (folder / "tiny-test" / "w.gguf").read_bytes() == WEIGHTS


def test_a_pull_that_ended_before_the_check_only_checks(hub: Hub, keeper: Keeper, folder: Path) -> None:
    hub.faults[WEIGHTS_AT] = Fault(cut=[900_000, 0, 0, 0, 0])
    with pytest.raises(PullError):
        keeper.pull(tiny_model(), hub.url, nothing)
    part(folder).write_bytes(WEIGHTS)
    hub.faults.clear()
    place = keeper.pull(tiny_model(sha256=SHA256), hub.url, nothing)
    assert [asked for path, asked, _ in hub.asked if path == WEIGHTS_AT][-1] == f"bytes={len(WEIGHTS)}-"
    assert (place / "w.gguf").read_bytes() == WEIGHTS


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(hub: Hub, keeper: Keeper, folder: Path) -> None:
    hub.faults[WEIGHTS_AT] = Fault(cut=[900_000, 0, 0, 0, 0])
    with pytest.raises(PullError):
        keeper.pull(tiny_model(), hub.url, nothing)
    hub.faults.clear()
    hub.files[WEIGHTS_AT] = WEIGHTS[:24] + WEIGHTS[24:][::-1]
    keeper.pull(tiny_model(), hub.url, nothing)
    assert (folder / "tiny-test" / "w.gguf").read_bytes() == hub.files[WEIGHTS_AT]


def test_a_server_without_ranges_sends_all_again(hub: Hub, keeper: Keeper, folder: Path) -> None:
    hub.faults[WEIGHTS_AT] = Fault(cut=[900_000], no_ranges=True)
    keeper.pull(tiny_model(), hub.url, nothing)
    assert (folder / "tiny-test" / "w.gguf").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=403), r"refuses .*w\.gguf \(403\): .*accept terms.*HF_TOKEN"),
        (Fault(status=401), r"refuses .* \(401\)"),
        (Fault(status=404), r"has no .*w\.gguf \(404\): it was moved"),
        (Fault(status=500), r"the hub answers 500; try again later"),
        (Fault(status=418), r"answers 418"),
        (Fault(page=True), r"a web page instead of a model, such as a login page"),
        (Fault(claim=4_000_000), r"has 4000000 bytes and the catalogue says 3000024"),
        (
            Fault(announced="0" * 64),
            r"sha256 of w\.gguf is \w{12}… and not 000000000000…, the one that the hub announces",
        ),
    ],
)
def test_a_hub_that_fails_is_told_in_a_sentence(
    hub: Hub, keeper: Keeper, folder: Path, fault: Fault, says: str
) -> None:
    hub.faults[WEIGHTS_AT] = fault
    with pytest.raises(PullError, match=says) as raised:
        keeper.pull(tiny_model(size=len(WEIGHTS)), hub.url, nothing)
    assert "\n" not in str(raised.value)
    assert not installed(folder)
    assert models.place("tiny-test") is None


def test_an_error_that_passes_is_waited_for(hub: Hub, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.faults[WEIGHTS_AT] = Fault(status=503)
    monkeypatch.setattr(fetching.time, "sleep", lambda _: hub.faults.clear())
    assert keeper.pull(tiny_model(), hub.url, nothing).is_dir()


def test_a_body_shorter_than_its_length_is_no_model(hub: Hub, keeper: Keeper, folder: Path) -> None:
    hub.faults[WEIGHTS_AT] = Fault(claim=len(WEIGHTS) + 500)
    with pytest.raises(PullError, match="the connection failed"):
        keeper.pull(tiny_model(), hub.url, nothing)
    assert not installed(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\n <!doctype html><p>Log in" + b" " * 500, "a web page, not a GGUF model"),
        (b"version https://git-lfs.github.com/spec/v1\n" + b"x" * 100, "not a GGUF model"),
        (b"GGUF" + b"\x63\0\0\0" + b"x" * 100, "a GGUF model of version 99"),
        (b"GG", "not a GGUF model"),
    ],
)
def test_a_file_of_another_kind_is_refused(hub: Hub, keeper: Keeper, folder: Path, content: bytes, says: str) -> None:
    hub.files[WEIGHTS_AT] = content
    with pytest.raises(PullError, match=says):
        keeper.pull(tiny_model(), hub.url, nothing)
    assert not installed(folder)
    assert not part(folder).exists(), "what is no model is not kept for later"


def test_a_wrong_hash_is_refused_and_not_resumed(hub: Hub, keeper: Keeper, folder: Path) -> None:
    with pytest.raises(PullError, match=r"sha256 of w\.gguf is .* nothing was installed"):
        keeper.pull(tiny_model(sha256="ab" * 32), hub.url, nothing)
    assert not installed(folder)
    assert not part(folder).exists()
    with pytest.raises(PullError, match="MD5"):
        keeper.pull(tiny_model(md5="ab" * 16), hub.url, nothing)
    assert not installed(folder)


def test_the_first_pull_is_trusted_and_the_next_must_be_the_same(hub: Hub, keeper: Keeper, folder: Path) -> None:
    keeper.pull(tiny_model(), hub.url, nothing)
    keeper.remove("tiny-test")
    hub.files[WEIGHTS_AT] = WEIGHTS + b"!"
    with pytest.raises(PullError, match=r"differs from the first pull of tiny-test; --trust-new"):
        keeper.pull(tiny_model(), hub.url, nothing)
    assert not installed(folder)
    keeper.pull(tiny_model(), hub.url, nothing, trust_new=True)
    assert keeper.verify("tiny-test") == []


def test_proxies_of_the_environment_are_used(hub: Hub, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    keeper.pull(tiny_model(), "http://hub.invalid", nothing)
    assert hub.proxied[0] == f"http://hub.invalid{WEIGHTS_AT}"


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "socks://127.0.0.1:1080/"])
def test_a_proxy_that_cannot_be_used_is_told(
    hub: Hub, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(PullError, match="only http:// and https:// proxies can be used: correct ALL_PROXY"):
        keeper.pull(tiny_model(), hub.url, nothing)


def test_a_hub_that_is_not_there(keeper: Keeper, hub: Hub) -> None:
    hub.close()
    with pytest.raises(PullError, match=r"the connection failed \(.+\); try again later"):
        keeper.pull(tiny_model(), hub.url, nothing)
    with pytest.raises(PullError, match="is no address to fetch from"):
        keeper.pull(tiny_model(), "gopher://x", nothing)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB, where this may be made; else the folder is told to be on one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and sys.platform == "linux" and _mount(disk)
    yield disk
    if mounted:
        subprocess.run(["umount", str(disk)], check=False)


def _mount(disk: Path) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    return done.returncode == 0


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    hub: Hub, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.path.ismount(small_disk):
        real = shutil.disk_usage
        monkeypatch.setattr(
            shutil, "disk_usage", lambda path: SimpleNamespace(**{**real(path)._asdict(), "free": 2_000_000})
        )
    with pytest.raises(PullError, match=r"no space: .* has \d\.\d MB free, \d\.\d MB are needed"):
        Keeper(small_disk, print).pull(tiny_model(), hub.url, nothing)
    assert hub.asked == []
    assert not installed(small_disk)


def test_a_disk_that_fills_up_meanwhile_keeps_what_has_arrived(
    hub: Hub, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else fills the disk after the space was looked at."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 40))
    if not os.path.ismount(small_disk):
        monkeypatch.setattr(fetching.Path, "open", _full_after(1_000_000, fetching.Path.open))
    with pytest.raises(PullError, match=r"no space left in .*; make room: the same command goes on from there"):
        Keeper(small_disk, print).pull(tiny_model(), hub.url, nothing)
    assert not installed(small_disk)
    assert part(small_disk).stat().st_size > 100_000


def _full_after(limit: int, real: Callable[..., object]) -> Callable[..., object]:
    """Return an `open` whose `.part` files hold no more than `limit` bytes."""

    def opened(path: Path, mode: str = "r", *args: object, **more: object) -> object:
        file = real(path, mode, *args, **more)
        if not path.name.endswith(".part"):
            return file
        write, written = file.write, 0  # type: ignore[attr-defined]

        class Full:
            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()  # type: ignore[attr-defined]

            def __getattr__(self, name: str) -> object:
                return getattr(file, name)

            def write(self, data: bytes) -> int:
                nonlocal written
                written += len(data)
                if written > limit:
                    raise OSError(28, "No space left on device")
                return int(write(data))

        return Full()

    return opened


PULL = """
import json, sys, pathlib
from antiphon_daemon.engines.models import Model
from antiphon_daemon.models.keeping import Keeper
model, folder, hub = Model(**json.loads(sys.argv[1])), pathlib.Path(sys.argv[2]), sys.argv[3]
print(Keeper(folder, lambda text: print(text, flush=True)).pull(model, hub, lambda *_: None))
"""


def pulling(folder: Path, hub: Hub) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", PULL, tiny_model().model_dump_json(), str(folder), hub.url]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_two_pulls_of_one_model_fetch_it_once(hub: Hub, folder: Path) -> None:
    import threading

    gate = threading.Event()
    hub.faults[WEIGHTS_AT] = Fault(gate=gate)
    with pulling(folder, hub) as first:
        assert hub.half.wait(20)
        with pulling(folder, hub) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "Another process is at work on tiny-test: waiting for it.\n"
            gate.set()
            assert first.wait(20) == second.wait(20) == 0
    assert [path for path, _, _ in hub.asked] == [WEIGHTS_AT, NOTES_AT]
    assert (folder / "tiny-test" / "w.gguf").read_bytes() == WEIGHTS


def test_a_pull_that_is_killed_leaves_no_lock_and_no_half_model(hub: Hub, folder: Path, keeper: Keeper) -> None:
    import threading

    gate = threading.Event()
    hub.faults[WEIGHTS_AT] = Fault(gate=gate)
    with pulling(folder, hub) as first:
        assert hub.half.wait(20)
        deadline = time.monotonic() + 10
        while not (part(folder).exists() and part(folder).stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        first.kill()
    gate.set()
    assert not installed(folder)
    hub.faults.clear()
    keeper.pull(tiny_model(sha256=SHA256), hub.url, nothing)
    assert hub.asked[1][1] is not None, "it went on from where the other was killed"


def test_a_model_is_taken_from_a_folder_without_a_network(keeper: Keeper, folder: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "w.gguf").write_bytes(WEIGHTS)
    with pytest.raises(PullError, match=r"stick lacks n\.json of tiny-test: nothing was installed"):
        keeper.bring(tiny_model(), stick, nothing)
    (stick / "n.json").write_bytes(NOTES)
    with pytest.raises(PullError, match=r"sha256 of w\.gguf"):
        keeper.bring(tiny_model(sha256="ab" * 32), stick, nothing)
    assert not installed(folder)
    for source in (stick, stick / "w.gguf"):
        place = keeper.bring(tiny_model(sha256=SHA256), source, nothing)
        assert (place / "w.gguf").read_bytes() == WEIGHTS
        assert keeper.verify("tiny-test") == []
    assert (stick / "w.gguf").exists()
    with pytest.raises(PullError, match="There is no .*nowhere to take tiny-test from"):
        keeper.bring(tiny_model(), tmp_path / "nowhere", nothing)
    (stick / "n.json").write_bytes(NOTES[:-4])
    with pytest.raises(PullError, match="cut short, or not JSON"):
        keeper.bring(tiny_model(), stick, nothing)


def test_a_file_under_another_name_is_taken_for_the_only_one(keeper: Keeper, tmp_path: Path) -> None:
    one = tiny_model().model_copy(update={"files": tiny_model().files[:1]})
    (tmp_path / "download(1).bin").write_bytes(WEIGHTS)
    assert (keeper.bring(one, tmp_path / "download(1).bin", nothing) / "w.gguf").read_bytes() == WEIGHTS


def test_verify_finds_one_changed_bit_and_a_missing_file(hub: Hub, keeper: Keeper, folder: Path) -> None:
    keeper.pull(tiny_model(), hub.url, nothing)
    assert keeper.verify("tiny-test") == []
    weights = folder / "tiny-test" / "w.gguf"
    changed = bytearray(WEIGHTS)
    changed[2_000_000] ^= 1
    weights.write_bytes(changed)
    assert keeper.verify("tiny-test") == [f"{weights} is not what was pulled."]
    weights.unlink()
    assert keeper.verify("tiny-test") == [f"{weights} cannot be read: No such file or directory."]
    keeper.pull(tiny_model(), hub.url, nothing)
    assert keeper.verify("tiny-test") == [], "a model that lacks a file is pulled again"


def test_remove_takes_what_has_arrived_too(hub: Hub, keeper: Keeper, folder: Path) -> None:
    hub.faults[WEIGHTS_AT] = Fault(cut=[900_000, 0, 0, 0, 0])
    with pytest.raises(PullError):
        keeper.pull(tiny_model(), hub.url, nothing)
    assert keeper.remove("tiny-test") > 100_000
    assert not part(folder).exists()
    with pytest.raises(PullError, match="There is no model tiny-test"):
        keeper.remove("tiny-test")


def test_a_model_that_was_moved_and_linked_is_removed_and_pulled_again(
    hub: Hub, keeper: Keeper, folder: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "large"
    keeper.pull(tiny_model(), hub.url, nothing).rename(moved)
    (folder / "tiny-test").symlink_to(moved)
    assert keeper.verify("tiny-test") == []
    assert keeper.remove("tiny-test") >= len(WEIGHTS)
    assert not moved.exists()
    (folder / "tiny-test").symlink_to(moved)  # a disk that is not there
    keeper.pull(tiny_model(), hub.url, nothing)
    assert keeper.verify("tiny-test") == []


def test_a_folder_that_cannot_be_written_is_named(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PullError, match=r"file.* cannot be used: Not a directory"):
        Keeper(tmp_path / "file" / "models", print).pull(tiny_model(), hub.url, nothing)


def test_a_password_in_the_address_of_a_mirror_is_shown_to_nobody(
    hub: Hub, keeper: Keeper, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "PAUSE_S", 0.0)
    mirror = hub.url.replace("://", "://me:hunter2@")
    keeper.pull(tiny_model(), mirror, nothing)
    assert not [file for file in folder.rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()]
    keeper.remove("tiny-test")
    hub.close()
    with pytest.raises(PullError) as error:
        keeper.pull(tiny_model(), mirror, nothing)
    assert "hunter2" not in str(error.value)
    assert hub.url.removeprefix("http://") in str(error.value)
