"""Model servers as processes of their own, over the real embedded model: `python model_servers.py ollama|llama PORT`.

`llama` is llama.cpp's own HTTP server. `ollama` speaks Ollama's streaming API and writes ten tokens a second, as a slow
machine does, so that a reply has a middle in which the server can die.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

from antiphon.settings import Llm
from antiphon_daemon.engines import catalogue
from antiphon_daemon.engines.contracts import Message, TextDelta
from antiphon_daemon.engines.llm.embedded import Embedded
from antiphon_daemon.engines.work import Token

NAME = "smollm2:135m"
TOKEN_S = 0.1
READY_S = 60.0


class ModelServer:
    """A server that can be killed and started again on its port."""

    def __init__(self, kind: str, port: int) -> None:
        self._kind, self._port = kind, port
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when its model is loaded."""
        command = [sys.executable, __file__, self._kind, str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        page = "/api/tags" if self._kind == "ollama" else "/health"
        end = time.monotonic() + READY_S
        while True:
            try:
                urllib.request.urlopen(f"{self.url}{page}", timeout=5).close()
                return
            except OSError:
                assert self._process.poll() is None, "the server has ended by itself"
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.1)

    def writes(self) -> bool:
        """Whether llama.cpp is writing a reply now."""
        with urllib.request.urlopen(f"{self.url}/slots", timeout=5) as page:
            return any(slot["is_processing"] for slot in json.load(page))

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


def llama(port: int) -> None:
    """Serve by llama.cpp's own HTTP server."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(catalogue.gguf())
    parameters.hostnames, parameters.port = ["127.0.0.1"], port
    parameters.n_ctx, parameters.n_parallel, parameters.fit_params = 4096, 1, False
    parameters.cpuparams.n_threads, parameters.verbosity = 1, -1
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    threading.Event().wait()


class Ollama:
    """Ollama's API, as far as a conversation needs it."""

    def __init__(self) -> None:
        self._model = Embedded(Llm(temperature=0))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(one.lower().split(": ", 1) for one in head[1:] if one)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                await self._answer(head[0].split()[1], json.loads(body or b"{}"), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if path in ("/api/tags", "/api/ps"):
            await _page(writer, "200 OK", {"models": [{"model": NAME}]})
        elif asked.get("model") != NAME:
            await _page(writer, "404 Not Found", {"error": f"model '{asked.get('model')}' not found"})
        elif path == "/api/show":
            await _page(writer, "200 OK", {"model_info": {}, "capabilities": ["completion"]})
        elif not asked.get("stream", True):
            text = "".join([piece async for piece in self._written(asked)])
            await _page(writer, "200 OK", _part(text, done=True))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
            async for piece in self._written(asked):
                await _chunk(writer, _part(piece))
                await asyncio.sleep(TOKEN_S)
            await _chunk(writer, _part("", done=True))
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    async def _written(self, asked: dict[str, Any]) -> AsyncIterator[str]:
        left = asked["options"]["num_predict"] if asked["messages"] else 0
        messages = [Message(one["role"], one.get("content", "")) for one in asked["messages"]]  # empty: left out
        work = Token()
        try:
            if left:
                async for piece in self._model.respond(messages, work):
                    assert isinstance(piece, TextDelta)
                    yield piece.text
                    left -= 1
                    if not left:
                        return
        finally:
            work.revoke()


def _part(text: str, *, done: bool = False) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"model": NAME, "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done}


async def _page(writer: asyncio.StreamWriter, status: str, page: object) -> None:
    body = json.dumps(page).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def _chunk(writer: asyncio.StreamWriter, part: object) -> None:
    line = json.dumps(part).encode() + b"\n"
    writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
    await writer.drain()


async def ollama(port: int) -> None:
    """Serve as Ollama does."""
    own = await asyncio.to_thread(Ollama)
    async with await asyncio.start_server(own.serve, "127.0.0.1", port) as listening:
        await listening.serve_forever()


if __name__ == "__main__":
    which, where = sys.argv[1], int(sys.argv[2])
    if which == "ollama":
        asyncio.run(ollama(where))
    else:
        llama(where)
