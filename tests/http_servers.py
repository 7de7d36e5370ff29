"""Servers of language models as they are on the wire, and as they fail: small, slow where told to be, and honest.

They speak HTTP/1.1 as the real ones do (a chunk per JSON line, a chunk per server-sent event) and follow a script, for
what real ones do not do when asked.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from typing import Any, TypeAlias

Script: TypeAlias = Sequence[bytes | asyncio.Event | None]
"""What a streamed answer consists of: bytes are sent as one chunk, an Event is waited for, None hangs up."""


class ScriptServer:
    """Answers every chat with `script`, or with `status` and `error`; everything else from `pages`."""

    chat = ""
    kind = ""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.script: Script = []
        self.status = "200 OK"
        self.error: bytes = b""
        self.pages: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []
        """What each chat asked for."""
        self.headers: dict[str, str] = {}
        self.hung_up = asyncio.Event()
        self.port = 0
        self._tls = tls
        self._connections: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Any:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    async def start(self) -> None:
        """Listen; on the same port as before, after `stop`."""
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._listening.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Be gone, connections too."""
        self._listening.close()
        for writer in self._connections:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        _, path, _ = head[0].split()
        self.headers = dict(one.lower().split(": ", 1) for one in head[1:] if one)
        body = json.loads(await reader.readexactly(int(self.headers.get("content-length", 0))) or b"null")
        if path == self.chat:
            self.asked.append(body)
        if path != self.chat and self.status == "200 OK":
            page = self.page(path, body)
            return await self._page(writer, *(("404 Not Found", b"404 page not found") if page is None else page))
        if self.status != "200 OK":
            return await self._page(writer, self.status, self.error)
        if not body.get("stream", True):
            for item in self.script:
                if isinstance(item, asyncio.Event):
                    await wait_unless_gone(item, reader)
            return await self._page(writer, "200 OK", json.dumps(self.whole()).encode())
        return await self._stream(reader, writer)

    def page(self, path: str, asked: Any) -> tuple[str, bytes] | None:
        """Return status and body of anything but a chat, None for what is not there."""
        found = self.pages.get(path)
        return None if found is None else ("200 OK", json.dumps(found).encode())

    def whole(self) -> Any:
        """Return an answer that is not streamed."""
        raise NotImplementedError

    async def _page(self, writer: asyncio.StreamWriter, status: str, body: bytes) -> bool:
        kind = "application/json" if body[:1] in b"{[" else "text/plain"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {self.kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for item in self.script:
            if item is None:
                return False
            if isinstance(item, asyncio.Event):
                await wait_unless_gone(item, reader)
            else:
                writer.write(f"{len(item):x}\r\n".encode() + item + b"\r\n")
                await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def wait_unless_gone(event: asyncio.Event, reader: asyncio.StreamReader) -> None:
    """Wait for an event.

    Raises:
        ConnectionError: the client has left.
    """
    gone = asyncio.create_task(reader.read(1))
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise ConnectionError
    finally:
        gone.cancel()
        waiting.cancel()


def line(text: str = "", *, done: bool = False, **message: Any) -> bytes:
    """Return a line of Ollama's answer."""
    part = {
        "model": "qwen3:4b",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text, **message},
        "done": done,
    }
    return json.dumps(part).encode() + b"\n"


class OllamaServer(ScriptServer):
    """An Ollama with the models of `abilities`, the one pulled last first."""

    chat = "/api/chat"
    kind = "application/x-ndjson"

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.script = [line("It is "), line("noon."), line(done=True)]
        self.error = b'{"error": "something about the model"}'
        self.abilities: dict[str, list[str]] = {"qwen3:4b": ["completion", "tools", "thinking"]}
        self.loaded: list[str] = []

    def page(self, path: str, asked: Any) -> tuple[str, bytes] | None:
        if path == "/api/show":
            if asked["model"] not in self.abilities:
                return "404 Not Found", json.dumps({"error": f"model '{asked['model']}' not found"}).encode()
            self.pages[path] = {"model_info": {}, "capabilities": self.abilities[asked["model"]]}
        self.pages["/api/tags"] = {"models": [{"model": name} for name in self.abilities]}
        self.pages["/api/ps"] = {"models": [{"model": name} for name in self.loaded]}
        return super().page(path, asked)

    def whole(self) -> Any:
        return json.loads(line("It", done=True))


def event(text: str | None = None, *, finish: str | None = None, **delta: Any) -> bytes:
    """Return a server-sent event of a chat completion."""
    choice = {"index": 0, "delta": {**({} if text is None else {"content": text}), **delta}, "finish_reason": finish}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


END = b"data: [DONE]\n\n"


class OpenAiServer(ScriptServer):
    """A server of chat completions with the models of `models`."""

    chat = "/v1/chat/completions"
    kind = "text/event-stream"

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.script = [event("It is "), event("noon."), event(finish="stop"), END]
        self.error = b'{"error": {"message": "something is wrong", "type": "x", "code": null}}'
        self.models = ["m"]

    def page(self, path: str, asked: Any) -> tuple[str, bytes] | None:
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": "me"} for name in self.models]
        self.pages["/v1/models"] = {"object": "list", "data": listed}
        return super().page(path, asked)

    def whole(self) -> Any:
        message = {"role": "assistant", "content": "It"}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
