"""A hub as it is on the wire, and as it fails: HTTP with ranges, ETags and redirects over real sockets."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Fault:
    """What goes wrong with one path."""

    status: int = 200
    page: bool = False
    """Answer with a login page instead, as the networks of hotels do."""
    cut: list[int] = field(default_factory=list)
    """Hang up after so many bytes, once each."""
    claim: int | None = None
    """The Content-Length that is said, whatever there is."""
    no_ranges: bool = False
    announced: str | None = None
    """The sha256 that the hub announces."""
    gate: threading.Event | None = None
    """The second half of the file waits for it."""


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""


class Hub:
    """Serves `files` by path. `asked` holds each request: path, Range, If-Range."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.half = threading.Event()
        """Somebody waits at a gate."""
        self.proxied: list[str] = []
        """What was asked of it as a proxy."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Be gone."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer as a hub: a file's address leads to a store, which knows ranges."""
        path = request.path
        if path.startswith("http://"):
            self.proxied.append(path)
            path = "/" + path.split("/", 3)[3]
        fault = self.faults.get(path.removeprefix("/store"), Fault())
        if not path.startswith("/store"):
            self.asked.append((path, request.headers.get("Range"), request.headers.get("If-Range")))
        if fault.status != 200:
            return _send(request, fault.status, b"no", {"Content-Type": "text/plain"})
        if fault.page:
            page = b"<!DOCTYPE html><html><body>Log in</body></html>" + b" " * 4000
            return _send(request, 200, page, {"Content-Type": "text/html; charset=utf-8"})
        if path.removeprefix("/store") not in self.files:
            return _send(request, 404, b"Entry not found", {"Content-Type": "text/plain"})
        if not path.startswith("/store"):
            announced = {"X-Linked-ETag": f'"{fault.announced}"'} if fault.announced else {}
            return _send(request, 302, b"", {"Location": f"{self.url}/store{path}", **announced})
        return self._file(request, self.files[path.removeprefix("/store")], fault)

    def _file(self, request: BaseHTTPRequestHandler, content: bytes, fault: Fault) -> None:
        etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        headers, status, start = {"ETag": etag, "Content-Type": "application/octet-stream"}, 200, 0
        asked = request.headers.get("Range")
        if asked and request.headers.get("If-Range") == etag and not fault.no_ranges:
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(content):
                return _send(request, 416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        headers["Content-Length"] = str(fault.claim if fault.claim is not None else len(body))
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if fault.gate is not None:
            request.wfile.write(body[: len(body) // 2])
            self.half.set()
            fault.gate.wait(20)
            body = body[len(body) // 2 :]
        request.wfile.write(body[: fault.cut[0]] if fault.cut else body)
        if fault.cut or fault.claim is not None:
            if fault.cut:
                fault.cut.pop(0)
            request.close_connection = True
        return None


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)
