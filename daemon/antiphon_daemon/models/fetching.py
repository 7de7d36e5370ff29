"""One file from a hub: streamed, hashed as it comes, resumed after a broken connection.

What has arrived lies in `FILE.part`, with `FILE.part.json` beside it, which holds what the server calls this version
of the file (its ETag). A later request asks for the rest of that version alone (`If-Range`): where the file has
changed, the server sends the new one from its start.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from antiphon_daemon.engines.llm.remote import shown, wrong_proxy
from antiphon_daemon.engines.models import File
from antiphon_daemon.models.kinds import HEAD, WrongKind, check_start, check_whole

TRIES = 4
"""So many broken connections in a row, without `GAIN` between them, end a pull."""
GAIN = 1 << 20
PAUSE_S = 1.0
"""The pause before the second try; it doubles."""
SPARE = 1 << 20
"""What must stay free on the disk."""
CHUNK = 1 << 18
TOKEN_HOST = "huggingface.co"
"""Who may see the token of `HF_TOKEN`."""

Progress = Callable[[int, int | None], None]
"""Is given how many bytes of the file are here, and how many it has (None: not known)."""


class PullError(Exception):
    """A model cannot be brought here; the message says why in one sentence, and what to do."""


class Broken(Exception):
    """A connection or a server failed in a way that may pass."""


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is fetched."""

    file: File
    sha256: str | None
    """From the catalogue, or from the first pull."""


def client() -> httpx.Client:
    """Return a client that follows redirects and heeds HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

    Raises:
        PullError: one of them names a proxy that cannot be used.
    """
    if wrong := wrong_proxy():
        raise PullError(f"Nothing can be fetched: {wrong}")
    return httpx.Client(
        follow_redirects=True,
        timeout=httpx.Timeout(60.0, connect=15.0),
        headers={"User-Agent": "antiphon", "Accept-Encoding": "identity"},
    )


def fetch(http: httpx.Client, url: str, target: Path, expected: Expected, progress: Progress) -> str:
    """Bring `url` to `target` and return its sha256; what arrived is kept for another try when it fails.

    Raises:
        PullError: it cannot be had, or is not what was expected.
    """
    part = target.with_name(f"{target.name}.part")
    failed, pause_s = 0, PAUSE_S
    while True:
        had = _size(part)
        try:
            return _Try(http, url, part, expected, progress).run(target)
        except Broken as error:
            if _size(part) - had >= GAIN:
                failed, pause_s = 0, PAUSE_S
            failed += 1
            if failed >= TRIES:
                kept = f" {_mb(_size(part))} are kept: the same command goes on from there." if _size(part) else ""
                raise PullError(f"{shown(url)} cannot be fetched: {error}; try again later.{kept}") from None
            time.sleep(pause_s)
            pause_s *= 2
        except OSError as error:
            raise unwritable(part, error) from None


class _Try:
    """One request, from what is here on."""

    def __init__(self, http: httpx.Client, url: str, part: Path, expected: Expected, progress: Progress) -> None:
        self._http, self._part, self._expected, self._progress = http, part, expected, progress
        self._at, self._url = url, shown(url)
        self._about = part.with_name(f"{part.name}.json")
        self._announced: str | None = None

    def run(self, target: Path) -> str:
        have, headers = _size(self._part), {}
        version = self._version() if have else ""
        if version:
            headers = {"Range": f"bytes={have}-", "If-Range": version}
        token = os.environ.get("HF_TOKEN", "").strip()
        if token and self._at.startswith(f"https://{TOKEN_HOST}/"):
            headers["Authorization"] = f"Bearer {token}"
        try:
            with self._http.stream("GET", self._at, headers=headers) as response:
                self._receive(response, have if version else 0)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise PullError(f"{self._url} is no address to fetch from: {_plain(error)}.") from None
        except httpx.HTTPError as error:
            raise Broken(f"the connection failed ({_plain(error)})") from None
        return self._finish(target)

    def _receive(self, response: httpx.Response, have: int) -> None:
        if response.status_code == 416 and have:
            if response.headers.get("content-range", "").strip() == f"bytes */{have}":
                return  # all of it is here: the last pull ended before it was checked
            self._forget()
            raise Broken("the server has another version of the file")
        _refuse(response, self._url)
        start, total = 0, _length(response)
        if response.status_code == 206:
            start, total = _range(response)
            if start != have:
                self._forget()
                raise Broken("the server sent another part of the file than was asked for")
        if "text/html" in response.headers.get("content-type", "").lower():
            raise PullError(_page(self._url))
        for one in (*response.history, response):
            announced = one.headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
            if re.fullmatch("[0-9a-f]{64}", announced):
                self._announced = announced
        size = self._expected.file.size
        if size is not None and total is not None and total != size:
            raise PullError(f"{self._url} has {total} bytes and the catalogue says {size}: it is not that file.")
        total = total if total is not None else size
        need = (total or 0) - start
        free = shutil.disk_usage(self._part.parent).free + (_size(self._part) if start == 0 else 0)
        if need + SPARE > free:
            raise no_space(self._part.parent, need + SPARE, free)
        self._about.write_text(json.dumps({"url": self._url, "version": _version(response)}), encoding="utf-8")
        self._write(response, start, total)

    def _write(self, response: httpx.Response, start: int, total: int | None) -> None:
        done, head = start, b""
        with self._part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            for chunk in response.iter_raw(CHUNK):
                if start == 0 and len(head) < HEAD:
                    head += chunk
                    if len(head) >= HEAD:
                        self._check_start(head)
                file.write(chunk)
                done += len(chunk)
                if total is not None and done > total:
                    raise PullError(f"{self._url} is longer than the {total} bytes that it should have.")
                self._progress(done, total)
        if total is not None and done < total:
            raise Broken(f"the connection ended after {_mb(done)} of {_mb(total)}")

    def _check_start(self, head: bytes) -> None:
        try:
            check_start(self._expected.file.kind, head[:HEAD])
        except WrongKind as error:
            self._forget()
            raise PullError(f"What {self._url} sends is {error}: nothing was installed.") from None

    def _finish(self, target: Path) -> str:
        """Check the whole file, and give it its name."""
        try:
            check_whole(self._expected.file.kind, self._part)
        except WrongKind as error:
            self._forget()
            raise PullError(f"What {self._url} sends is {error}: nothing was installed.") from None
        try:
            found = compare(self._part, self._expected, self._announced)
        except PullError:
            self._forget()
            raise
        self._part.replace(target)
        self._about.unlink(missing_ok=True)
        return found

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def _version(self) -> str:
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
            return str(about["version"]) if about["url"] == self._url else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""


def compare(path: Path, expected: Expected, announced: str | None = None) -> str:
    """Return the sha256 of a file.

    Raises:
        PullError: it is another than the one expected, or than the hub announced.
    """
    file, sha256, md5 = expected.file, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            sha256.update(chunk)
            if file.md5:
                md5.update(chunk)
    found, size = sha256.hexdigest(), path.stat().st_size
    if file.size is not None and size != file.size:
        raise PullError(f"{file.name} has {size} bytes and should have {file.size}: nothing was installed.")
    for wanted, whose in ((expected.sha256, "the one known here"), (announced, "the one that the hub announces")):
        if wanted is not None and found != wanted:
            raise PullError(
                f"The sha256 of {file.name} is {found[:12]}… and not {wanted[:12]}…, {whose}: nothing was installed."
            )
    if file.md5 is not None and md5.hexdigest() != file.md5:
        raise PullError(f"The MD5 of {file.name} is not the one that its makers publish: nothing was installed.")
    return found


def no_space(folder: Path, need: int, free: int) -> PullError:
    """Return the error for a disk that is too full."""
    return PullError(f"There is no space: {folder} has {_mb(free)} free, {_mb(need)} are needed; make room.")


def unwritable(path: Path, error: OSError) -> PullError:
    """Return the error for a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PullError(f"There is no space left in {path.parent}; make room: the same command goes on from there.")
    return PullError(f"{error.filename or path} cannot be used: {error.strerror or error}.")


def _refuse(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status in (401, 403):
        raise PullError(
            f"The hub refuses {url} ({status}): its makers may want you to log in and accept terms there; then set "
            "HF_TOKEN, or fetch the files with a browser and use --from."
        )
    if status in (404, 410):
        raise PullError(f"The hub has no {url} ({status}): it was moved or taken away; see --mirror and --from.")
    if status in (408, 425, 429) or status >= 500:
        raise Broken(f"the hub answers {status}")
    raise PullError(f"The hub answers {status} to {url}, which is no model.")


def _page(url: str) -> str:
    return (
        f"{url} answers with a web page instead of a model, such as a login page of this network: open it there first."
    )


def _range(response: httpx.Response) -> tuple[int, int | None]:
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("content-range", "").strip())
    if found is None:
        return -1, None
    return int(found[1]), int(found[2]) if found[2] != "*" else None


def _length(response: httpx.Response) -> int | None:
    length = response.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def _version(response: httpx.Response) -> str:
    """Return what names this version for certain: a weak ETag does not."""
    etag = str(response.headers.get("etag", ""))
    return etag if etag.startswith('"') else ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 100_000_000 else f"{size / 1e6:,.0f} MB"


def _plain(error: Any) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
