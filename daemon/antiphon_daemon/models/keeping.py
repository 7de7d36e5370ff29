"""A folder of pulled models: what is brought there appears whole or not at all, one process at a time.

```
models/whisper-small/           the files, and antiphon.json: where they came from, their sizes and hashes
models/.incoming/whisper-small/ what has arrived so far; `.part` files are resumed
models/.incoming/whisper-small.lock
models/.known/whisper-small.json    the hashes of the first pull: kept when the model is removed
```
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from antiphon.places import at_home
from antiphon_daemon.engines.llm.remote import shown
from antiphon_daemon.engines.models import MANIFEST, File, Model, manifest
from antiphon_daemon.models.fetching import (
    SPARE,
    Expected,
    Progress,
    PullError,
    client,
    compare,
    fetch,
    no_space,
    unwritable,
)
from antiphon_daemon.models.kinds import WrongKind, check_whole

Tell = Callable[[str], None]
"""Is given a sentence for the user."""


class Keeper:
    """Brings models into `folder`, looks after them, takes them away.

    Args:
        folder: where the models are kept; made if need be.
        tell: is given what the user should know meanwhile.
    """

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._folder, self._tell = folder, tell

    def pull(self, model: Model, hub: str, progress: Progress, *, trust_new: bool = False) -> Path:
        """Fetch `model` from a hub, unless it is here; return its folder.

        Args:
            hub: its address, or a mirror's.
            trust_new: take what the hub has now, even if it is not what it had at the first pull.

        Raises:
            PullError: it cannot be had, or is not what was expected. Nothing is installed; what arrived is kept.
        """
        with self._guarded(), self._locked(model.name):
            if self._is_whole(model):
                return self._folder / model.name
            incoming = self._incoming(model.name)
            known = {} if trust_new else self._known(model)
            self._make_room(incoming, sum(file.size or 0 for file in model.files) or model.size_mb * 1_000_000)
            hashes: dict[str, str] = {}
            with client() as http:
                for file in model.files:
                    target = incoming / file.name
                    expected = Expected(file, file.sha256 or known.get(file.name))
                    found = _arrived(target, expected)
                    counted = _from_here(progress, sum((incoming / name).stat().st_size for name in hashes))
                    try:
                        hashes[file.name] = found or fetch(http, model.url(hub, file), target, expected, counted)
                    except PullError as error:
                        raise _explained(error, expected, file, model) from None
            return self._install(model, incoming, hashes, shown(hub))

    def bring(self, model: Model, source: Path, progress: Progress, *, trust_new: bool = False) -> Path:
        """Take `model` from a folder that holds its files, or from one of them with the others beside it.

        Raises:
            PullError: a file is missing, or is not what was expected. Nothing is installed.
        """
        source = at_home(source)
        if not source.exists():
            raise PullError(f"There is no {source} to take {model.name} from.")
        beside = source if source.is_dir() else source.parent
        files = {file.name: beside / file.name for file in model.files}
        if source.is_file() and source.name not in files:
            if len(files) > 1:
                raise PullError(f"{model.name} has no file {source.name}: it is made of {', '.join(files)}.")
            files = dict.fromkeys(files, source)
        missing = [name for name, path in files.items() if not path.is_file()]
        if missing:
            raise PullError(f"{beside} lacks {', '.join(missing)} of {model.name}: nothing was installed.")
        with self._guarded(), self._locked(model.name):
            incoming = self._incoming(model.name)
            self._make_room(incoming, sum(path.stat().st_size for path in files.values()))
            known = {} if trust_new else self._known(model)
            hashes: dict[str, str] = {}
            for file in model.files:
                expected = Expected(file, file.sha256 or known.get(file.name))
                try:
                    check_whole(file.kind, files[file.name])
                except WrongKind as error:
                    raise PullError(f"{files[file.name]} is {error}: nothing was installed.") from None
                before = sum((incoming / name).stat().st_size for name in hashes)
                _copy(files[file.name], incoming / file.name, _from_here(progress, before))
                try:
                    hashes[file.name] = compare(incoming / file.name, expected)
                except PullError as error:
                    (incoming / file.name).unlink()
                    raise _explained(error, expected, file, model) from None
            return self._install(model, incoming, hashes, str(source))

    def verify(self, name: str) -> list[str]:
        """Return what is wrong with a pulled model, a sentence each; empty: every file has its hash."""
        folder = self._folder / name
        written = manifest(folder)
        if written is None:
            return [f"{folder} has no {MANIFEST}: it was not pulled."]
        wrong = []
        for file, about in written["files"].items():
            try:
                compare(folder / file, Expected(File(path=file, kind="text", size=about["size"]), about["sha256"]))
            except PullError:
                wrong.append(f"{folder / file} is not what was pulled.")
            except OSError as error:
                wrong.append(f"{folder / file} cannot be read: {error.strerror}.")
        return wrong

    def remove(self, name: str) -> int:
        """Delete a model, and what has arrived of one; return how many bytes that was.

        Raises:
            PullError: it is not here, or cannot be deleted.
        """
        with self._guarded(), self._locked(name):
            both = (self._folder / name, self._folder / ".incoming" / name)
            there = [path for path in both if path.is_dir() or path.is_symlink()]
            if not there:
                raise PullError(f"There is no model {name} in {self._folder}: antiphon models list shows what is here.")
            size = sum(file.stat().st_size for path in there for file in path.rglob("*") if file.is_file())
            for path in there:
                (path / MANIFEST).unlink(missing_ok=True)  # from now on it is no model, whatever happens
                if path.is_dir():
                    shutil.rmtree(path.resolve())
                if path.is_symlink():
                    path.unlink()
            return size

    def _is_whole(self, model: Model) -> bool:
        folder = self._folder / model.name
        written = manifest(folder)
        if written is None:
            return False
        sizes = {name: about["size"] for name, about in written["files"].items()}
        return {f.name for f in model.files} <= set(sizes) and all(
            (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()
        )

    def _incoming(self, name: str) -> Path:
        path = self._folder / ".incoming" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _make_room(self, incoming: Path, need: int) -> None:
        have = sum(file.stat().st_size for file in incoming.iterdir() if file.is_file())
        free = shutil.disk_usage(incoming).free
        if max(0, need - have) + SPARE > free:
            raise no_space(incoming, need - have + SPARE, free)

    def _known(self, model: Model) -> dict[str, str]:
        """Return the hashes of the first pull from the same source."""
        try:
            known = json.loads((self._folder / ".known" / f"{model.name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if known.get("source") != model.source or known.get("revision") != model.revision:
            return {}
        return dict(known["sha256"])

    def _install(self, model: Model, incoming: Path, hashes: dict[str, str], origin: str) -> Path:
        """Put what has arrived in its place, at once."""
        files = {n: {"size": (incoming / n).stat().st_size, "sha256": sha256} for n, sha256 in hashes.items()}
        about = {"name": model.name, "source": model.source, "revision": model.revision, "from": origin, "files": files}
        for stray in incoming.iterdir():
            if stray.name not in hashes:
                stray.unlink()
        (incoming / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        for path in incoming.iterdir():
            path.chmod(0o644)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        incoming.chmod(0o755)
        known = self._folder / ".known" / f"{model.name}.json"
        known.parent.mkdir(exist_ok=True)
        draft = known.with_suffix(".part")
        draft.write_text(json.dumps({**{k: about[k] for k in ("source", "revision")}, "sha256": hashes}), "utf-8")
        draft.replace(known)
        place, old = self._folder / model.name, self._folder / ".incoming" / f"{model.name}.old"
        shutil.rmtree(old, ignore_errors=True)
        if place.is_symlink():
            place.unlink()
        elif place.exists():
            place.rename(old)
        incoming.rename(place)
        shutil.rmtree(old, ignore_errors=True)
        return place

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold a model alone; wait, and say so, while another process holds it."""
        (self._folder / ".incoming").mkdir(parents=True, exist_ok=True)
        with (self._folder / ".incoming" / f"{name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._tell(f"Another process is at work on {name}: waiting for it.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self._folder, error) from None


def _arrived(target: Path, expected: Expected) -> str | None:
    """Return the hash of a file that an earlier pull brought, None where it has to be fetched."""
    if not target.is_file():
        return None
    try:
        check_whole(expected.file.kind, target)
        return compare(target, expected)
    except (PullError, WrongKind):
        target.unlink()
        return None


def _from_here(progress: Progress, before: int) -> Progress:
    return lambda done, total: progress(before + done, None if total is None else before + total)


def _copy(source: Path, target: Path, progress: Progress) -> None:
    part, total, done = target.with_name(f"{target.name}.part"), source.stat().st_size, 0
    with source.open("rb") as reading, part.open("wb") as writing:
        while chunk := reading.read(1 << 20):
            writing.write(chunk)
            done += len(chunk)
            progress(done, total)
    part.replace(target)


def _explained(error: PullError, expected: Expected, file: File, model: Model) -> PullError:
    """Say of a hash that differs from the first pull's what can be done."""
    if file.sha256 is None and expected.sha256 is not None and f"not {expected.sha256[:12]}" in str(error):
        return PullError(f"{error} It differs from the first pull of {model.name}; --trust-new takes the new one.")
    return error
