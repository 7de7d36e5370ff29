"""A page of the gateway: its files are read once, and every address of a file names what the files hold.

`/client` is the page, which browsers ask for anew each time. `/client/DIGEST/NAME` are the files it needs: they never
change under that address, so that browsers keep them, and another version of Antiphon has other addresses.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

NAMES = ("client", "dashboard")
"""The pages there are."""
ADDRESS = re.compile(rf"/(?:{'|'.join(NAMES)})(?:/(?:[0-9a-f]{{12}}/[\w.-]+)?)?")
"""Of a page (with a slash behind it, too, which leads there), or of a file that it needs: nothing of the house."""
COMMON = "common"
"""The folder of the files that every page has."""
PAGE = "index.html"
PLACE = b"DIGEST"
"""Stands in the page for the digest of its files."""
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), screen-wake-lock=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing but the gateway's own files runs in a page, and it talks to nobody but the gateway."""
KEPT = "public, max-age=31536000, immutable"


class Pages:
    """The files of one page, in memory.

    Args:
        name: one of `NAMES`: its folder in `pages`, and the page's address.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        found = [file for folder in (COMMON, name) for file in _folder(folder).iterdir()]
        self._files = {file.name: file.read_bytes() for file in sorted(found, key=lambda file: file.name)}
        digest = hashlib.sha256()
        for file, content in self._files.items():
            digest.update(f"{file}\0{len(content)}\0".encode() + content)
        self.digest = digest.hexdigest()[:12]
        self._page = self._files.pop(PAGE).replace(PLACE, self.digest.encode())

    def add_to(self, app: Starlette) -> None:
        """Serve them."""
        app.add_route(f"/{self.name}", self._give_page)
        app.add_route(f"/{self.name}/{self.digest}/{{file}}", self._give_file)

    async def _give_page(self, request: Request) -> Response:
        tag = f'"{self.digest}"'
        headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self._page, headers=headers, media_type=TYPES[".html"])

    async def _give_file(self, request: Request) -> Response:
        name = request.path_params["file"]
        content = self._files.get(name)
        if content is None:
            return Response("there is no such file", 404, HEADERS, "text/plain")
        return Response(content, headers={**HEADERS, "Cache-Control": KEPT}, media_type=_type(name))


def _folder(name: str) -> Traversable:
    return files("antiphon_daemon.gateway") / "pages" / name


def _type(name: str) -> str:
    suffix = name[name.rfind(".") :]
    return TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
