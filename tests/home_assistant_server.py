"""Home Assistant's own API as it is on the wire, and as it fails: HTTP and WebSocket on one port, by a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from http_servers import ScriptServer, wait_unless_gone
from websockets.frames import Opcode
from websockets.server import ServerProtocol

TOKEN = "sesame-opens"
VERSION = "2026.11.0"


def spoken(text: str, *, kind: str = "action_done", code: str | None = None, id: str | None = None) -> dict[str, Any]:
    """Return what `/api/conversation/process` answers."""
    speech = {"plain": {"speech": text, "extra_data": None}} if text else {}
    data = {"code": code} if code else {"targets": [], "success": [], "failed": []}
    response = {"speech": speech, "card": {}, "language": "en", "response_type": kind, "data": data}
    return {"response": response, "conversation_id": id, "continue_conversation": False}


class HomeAssistantServer(ScriptServer):
    """A Home Assistant of one administrator, whose token is `TOKEN`."""

    chat = "/api/conversation/process"

    def __init__(self) -> None:
        super().__init__()
        self.answer: dict[str, Any] = spoken("Turned on the light.")
        self.waits: asyncio.Event | None = None
        """An answer waits for this."""
        self.raw: bytes | None = None
        """What a conversation is answered with, head and all; the connection is closed after it."""
        self.states = ["conversation.home_assistant"]
        self.results: dict[str, Any] = {}
        """What a command of the WebSocket results in; those that are not here are unknown."""
        self.events: dict[str, Any] = {}
        """The first event of a subscription."""
        self.refuses: dict[str, str] = {}
        """Commands that are refused, and with which code."""
        self.first_words: bytes | None = None
        """What a WebSocket begins with in place of the question for the token; the connection is closed after it."""
        self.refused = 0
        """Wrong tokens."""
        self.commands: list[dict[str, Any]] = []
        self.before: Callable[[str], None] = lambda command: None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.decode().split("\r\n")[0].split()
        self.headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
        if self.status != "200 OK":
            return await self._page(writer, self.status, self.error)
        if self.headers.get("upgrade") == "websocket":
            await self._talk(head, reader, writer)
            return False
        body = json.loads(await reader.readexactly(int(self.headers.get("content-length", 0))) or b"null")
        if self.headers.get("authorization") != f"bearer {TOKEN}":
            self.refused += 1
            return await self._page(writer, "401 Unauthorized", b"401: Unauthorized")
        if path == self.chat and method == "POST":
            return await self._converse(body, reader, writer)
        known = {"/api/": {"message": "API running."}} | {f"/api/states/{one}": {"state": "x"} for one in self.states}
        if path in known:
            return await self._page(writer, "200 OK", json.dumps(known[path]).encode())
        return await self._page(writer, "404 Not Found", b"404: Not Found")

    async def _converse(self, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.asked.append(body)
        if self.waits is not None:
            await wait_unless_gone(self.waits, reader)
        if self.raw is not None:
            writer.write(self.raw)
            await writer.drain()
            return False
        if body.get("agent_id", "conversation.home_assistant") not in self.states:
            says = "Message format incorrect: invalid agent ID for dictionary value @ data['agent_id']. Got 'x'"
            return await self._page(writer, "400 Bad Request", json.dumps({"message": says}).encode())
        answer = {**self.answer, "conversation_id": self.answer["conversation_id"] or body.get("conversation_id")}
        return await self._page(writer, "200 OK", json.dumps(answer).encode())

    async def _talk(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = ServerProtocol()
        protocol.receive_data(head)
        protocol.send_response(protocol.accept(protocol.events_received()[0]))  # type: ignore[arg-type]
        protocol.send_text(self.first_words or json.dumps({"type": "auth_required", "ha_version": VERSION}).encode())
        writer.writelines(protocol.data_to_send())
        if self.first_words is not None:
            return
        logged_in = False
        while data := await reader.read(65_536):
            protocol.receive_data(data)
            for frame in protocol.events_received():
                if getattr(frame, "opcode", None) is Opcode.TEXT:
                    asked = json.loads(frame.data)  # type: ignore[union-attr]
                    for answer in self._command(asked) if logged_in else [self._login(asked)]:
                        protocol.send_text(json.dumps(answer).encode())
                        logged_in = logged_in or answer["type"] == "auth_ok"
            writer.writelines(protocol.data_to_send())
            await writer.drain()

    def _login(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("access_token") == TOKEN:
            return {"type": "auth_ok", "ha_version": VERSION}
        self.refused += 1
        return {"type": "auth_invalid", "message": "Invalid access token or password"}

    def _command(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        kind, number = asked["type"], asked["id"]
        self.before(kind)
        self.commands.append(asked)
        code = self.refuses.get(kind) or (None if kind in {**self.results, **self.events} else "unknown_command")
        if code is not None:
            return [{"id": number, "type": "result", "success": False, "error": {"code": code, "message": "No."}}]
        done = {"id": number, "type": "result", "success": True, "result": self.results.get(kind)}
        happened = {"id": number, "type": "event", "event": self.events.get(kind)}
        return [done, happened] if kind in self.events else [done]
