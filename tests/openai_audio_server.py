"""A server with OpenAI's audio endpoints, as they are on the wire: what hears and speaks behind it are real engines.

Told to (`script`), it does what real ones do not do when asked: hang, refuse, break off, answer something else.
"""

from __future__ import annotations

import asyncio
import io
import json
import struct
import wave
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

from http_servers import wait_unless_gone

from antiphon.audio.pcm import to_samples
from antiphon_daemon.engines.contracts import Synthesizer, Transcriber
from antiphon_daemon.engines.work import Token

Script: TypeAlias = Sequence[bytes | asyncio.Event | None]
"""Bytes are sent as one chunk, an Event is waited for, None breaks the connection."""


def wav_header(rate: int) -> bytes:
    """Return the beginning of a WAV of unknown length, as servers stream it."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVE" + form + b"data\xff\xff\xff\xff"


class OpenAiAudioServer:
    """Listens on a port of its own.

    Args:
        hears: answers transcriptions.
        speaks: answers speech.
    """

    def __init__(self, hears: Transcriber | None = None, speaks: Synthesizer | None = None) -> None:
        self._hears, self._speaks = hears, speaks
        self.models = ["whisper-tiny.en", "piper-joe"]
        self.scores = True
        """Whether `verbose_json` is known, as it is not for OpenAI's newer models."""
        self.status = "200 OK"
        self.error: bytes = b'{"error": {"message": "something is wrong", "type": "x", "code": null}}'
        self.kind = ""
        """The content type, where it is not what it should be."""
        self.script: Script | None = None
        """What is answered instead of what the engines make of it."""
        self.asked: list[dict[str, Any]] = []
        """The fields of each request; of the file its bytes."""
        self.headers: dict[str, str] = {}
        self.hung_up = asyncio.Event()
        """A client left before it had its answer."""
        self.port = 0
        self._connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> OpenAiAudioServer:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while await self._answer(reader, writer):
                pass
        except ConnectionError:
            self.hung_up.set()
        except asyncio.IncompleteReadError:
            pass
        finally:
            del self._connections[task]
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = head[0].split()[1]
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in head[1:] if one)}
        self.headers = headers
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if path == "/v1/models":
            listed = [{"id": name, "object": "model", "created": 1, "owned_by": "me"} for name in self.models]
            return await self._whole(writer, "200 OK", json.dumps({"object": "list", "data": listed}).encode())
        asked = json.loads(body) if path == "/v1/audio/speech" else _form(headers, body)
        self.asked.append(asked)
        if self.status != "200 OK":
            return await self._whole(writer, self.status, self.error)
        if asked.get("model") not in self.models:
            says = {"error": {"message": f"The model `{asked.get('model')}` does not exist", "code": "model_not_found"}}
            return await self._whole(writer, "404 Not Found", json.dumps(says).encode())
        if self.script is not None:
            return await self._scripted(reader, writer)
        if path == "/v1/audio/transcriptions":
            return await self._transcribe(writer, asked)
        return await self._stream(reader, writer, self._speech(asked))

    async def _transcribe(self, writer: asyncio.StreamWriter, asked: dict[str, Any]) -> bool:
        if asked["response_format"] == "verbose_json" and not self.scores:
            says = {"error": {"message": "response_format 'verbose_json' is not compatible with model", "code": "x"}}
            return await self._whole(writer, "400 Bad Request", json.dumps(says).encode())
        with wave.open(io.BytesIO(asked["file"])) as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (16_000, 2, 1)
            audio = to_samples(file.readframes(file.getnframes()))
        assert self._hears is not None
        heard = await self._hears.transcribe(audio, Token(), language=asked.get("language"))
        answer: dict[str, Any] = {"text": heard.text}
        if self.scores:
            part = {
                "id": 0,
                "text": heard.text,
                "tokens": list(range(heard.tokens or 0)),
                "avg_logprob": heard.avg_logprob,
                "no_speech_prob": heard.no_speech_prob,
                "compression_ratio": heard.compression_ratio,
            }
            answer |= {"language": "english", "duration": heard.duration_s, "segments": [part]}
        return await self._whole(writer, "200 OK", json.dumps(answer).encode())

    async def _speech(self, asked: dict[str, Any]) -> AsyncIterator[bytes]:
        assert asked["response_format"] == "wav"
        assert self._speaks is not None
        yield wav_header(self._speaks.rate)
        async for pcm in self._speaks.speak(asked["input"], Token(), voice=None, language=None):
            yield pcm

    async def _whole(self, writer: asyncio.StreamWriter, status: str, body: bytes) -> bool:
        kind = self.kind or ("application/json" if body[:1] in b"{[" else "text/html")
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, blocks: AsyncIterator[bytes]
    ) -> bool:
        self._begin(writer)
        gone = asyncio.create_task(reader.read(1))
        try:
            async for block in blocks:
                if gone.done():
                    raise ConnectionError
                await _chunk(writer, block)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        await _chunk(writer, b"")
        return True

    async def _scripted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self._begin(writer)
        for item in self.script or ():
            if item is None:
                return False
            if isinstance(item, bytes):
                await _chunk(writer, item)
            else:
                await wait_unless_gone(item, reader)
        await _chunk(writer, b"")
        return True

    def _begin(self, writer: asyncio.StreamWriter) -> None:
        kind = self.kind or "audio/wav"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())


def _form(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return the fields of a `multipart/form-data`."""
    mark = b"--" + headers["content-type"].partition("boundary=")[2].strip('"').encode()
    fields: dict[str, Any] = {}
    for part in body.split(mark)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        name = head.split(b'name="')[1].split(b'"')[0].decode()
        fields[name] = content if b"filename=" in head else content.decode()
    return fields


async def _chunk(writer: asyncio.StreamWriter, block: bytes) -> None:
    writer.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
    await writer.drain()
