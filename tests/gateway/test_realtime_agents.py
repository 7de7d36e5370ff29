"""The official `@openai/agents` of npm talks to `/v1/realtime` over WebSocket (`./test.sh --node`)."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_servers import END, OpenAiServer, event
from speech import Say, silence

from antiphon.settings import Llm
from antiphon_daemon.engines.contracts import Engines
from antiphon_daemon.engines.llm.openai_api import OpenAiApi

from .realtime_client import opened, pcm24

PROGRAM = Path(__file__).parent / "agents" / "talk.mjs"
CALL = {"index": 0, "id": "call_7", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
STORY = (
    "Once there was a ship that sailed on the sea, ",
    "and it sailed for a very long time until it came home. ",
    "Then ",
)
GREETING = "Good morning to you, and to all who live in your house."


class Model(OpenAiServer):
    """A model that greets, asks for the weather where it is asked for it, and tells a story without an end."""

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        last = self.asked[-1]["messages"][-1]
        if last["role"] == "tool":
            self.script = [event("It is "), event(f"{last['content']}."), event(finish="stop"), END]
        elif "weather" in str(last["content"]).lower():
            self.script = [event(tool_calls=[CALL]), event(finish="tool_calls"), END]
        elif "story" in str(last["content"]).lower():
            self.script = [*(event(part) for part in STORY), asyncio.Event()]
        else:
            self.script = [event(GREETING), event(finish="stop"), END]
        return await super()._stream(reader, writer)


async def run(port: int, folder: Path) -> Any:
    """Return what the program saw."""
    node = shutil.which("node")
    assert node, "node is not installed"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(node, PROGRAM, str(port), folder, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(150):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


@pytest.mark.node
@pytest.mark.timeout(240)
async def test_the_official_agents_talk_call_functions_and_interrupt(
    running: tuple[int, Engines, Any], gateways: list[Any], say: Say, tmp_path: Path
) -> None:
    question = np.concatenate((say("What is the weather in Paris?"), silence(1.5)))
    (tmp_path / "weather.pcm").write_bytes(pcm24(question))
    real = running[1]
    async with Model() as server:
        model = OpenAiApi(Llm(engine="openai_api", url=f"{server.url}/v1"))
        async with opened(gateways, Engines(real.transcriber, model, real.synthesizer, real.turn, None)) as gateway:
            seen = await run(gateway.port, tmp_path)
        await model.close()
    assert seen["errors"] == []
    assert "error" not in seen["types"]
    assert seen["called"] == ["Paris"]
    assert 0 < seen["written"] < seen["spoken"] < seen["audio"]
    assert seen["types"]["conversation.item.truncated"] == seen["interrupted"] == 2, "by voice and by hand"
    messages = [(one["role"], one["status"]) for one in seen["history"] if one["type"] == "message"]
    assert messages == [
        ("user", "completed"),
        ("assistant", "completed"),
        ("user", "completed"),
        ("assistant", "completed"),
        ("user", "completed"),
        ("assistant", "incomplete"),
    ]
    assert [one["output"] for one in seen["history"] if one["type"] == "function_call"] == ["sunny in Paris"]
    texts = [one["text"] for one in seen["history"] if one["type"] == "message"]
    assert texts[0] == "Hello there!"
    assert "weather in Paris" in texts[2]
    assert texts[3] == "It is sunny in Paris."
    assert GREETING.startswith(texts[1]), "spoken over, when its sound was perhaps over"
    whole = "".join(STORY)
    assert whole.startswith(texts[5])
    assert 0 < len(texts[5]) < len(whole)
