"""What the `handle` endpoint answers is counted, for whoever watches the daemon."""

from __future__ import annotations

import asyncio
import copy

from alone import ALONE
from scripted import Ears, Script, quick
from wyoming.asr import Transcript

from antiphon.settings import Settings
from antiphon.wire.link import open_link
from antiphon_daemon.app import serving
from antiphon_daemon.engines.contracts import EngineError, Engines, Synthesizer
from antiphon_daemon.insight.metrics import COUNTS


async def test_requests_are_counted_by_what_became_of_them(voice: Synthesizer) -> None:
    async def broken():  # type: ignore[no-untyped-def]
        if asked[-1] == "Break.":
            raise EngineError("llm", "The model is broken.")
        async for text in quick():
            yield text

    asked: list[str] = []
    before = copy.deepcopy(COUNTS)
    settings = Settings(**ALONE)
    async with serving(settings, Engines(Ears(), Script(broken), voice)) as servers:
        for text in ("How are you?", "And you?", "Break.", "", "Turn on the light in the kitchen."):
            asked.append(text)
            async with await open_link(f"tcp://127.0.0.1:{servers['handle'].port}") as link:
                await link.send(Transcript(text=text, language="en", context={"conversation_id": "one"}))
                async with asyncio.timeout(30):
                    while (await link.receive(30)).type not in ("handled", "not-handled", "intent"):
                        pass
    gained = {outcome: count - before.handled[outcome] for outcome, count in COUNTS.handled.items()}
    assert gained == {"reply": 2, "house": 1, "failed": 1, "empty": 1}
    assert sum(COUNTS.handled_first.counts) - sum(before.handled_first.counts) == 3, "an apology has first words too"
    assert COUNTS.handled_first.total_s > before.handled_first.total_s
