"""The language model inside the daemon's process."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xllamacpp

from antiphon.settings import Llm, Settings
from antiphon_daemon.engines import catalogue, worker
from antiphon_daemon.engines.build import build_responder
from antiphon_daemon.engines.contracts import (
    EngineError,
    Engines,
    Message,
    Responder,
    Revoked,
    TextDelta,
    Tool,
    Urgency,
    WordJudge,
)
from antiphon_daemon.engines.llm import embedded
from antiphon_daemon.engines.llm.embedded import _parameters
from antiphon_daemon.engines.work import Token

Meanwhile = Callable[[Awaitable[str]], Awaitable[str]]

SYSTEM = Message("system", "You are a voice assistant. Answer in one short sentence.")
STORY = [SYSTEM, Message("user", "Tell me a very long story about the sea.")]


async def reply(responder: Responder, messages: list[Message], token: Token, most: int | None = None) -> str:
    """Return a reply, or its first `most` pieces."""
    text, count = "", 0
    stream = responder.respond(messages, token)
    async for piece in stream:
        assert isinstance(piece, TextDelta)
        assert piece.text
        text, count = text + piece.text, count + 1
        if count == most:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    return text


@pytest.fixture(scope="module")
def short() -> Iterator[Responder]:
    """A model with the smallest context and short replies."""
    responder = asyncio.run(build_responder(Settings(llm=Llm(context=512, reply_tokens=24, temperature=0))))
    yield responder
    asyncio.run(responder.close())


async def test_a_reply_is_streamed_while_the_loop_goes_on(short: Responder, ticks_meanwhile: Meanwhile) -> None:
    text = await ticks_meanwhile(reply(short, [SYSTEM, Message("user", "What is the capital of France?")], Token()))
    assert len(text.split()) > 3


async def test_the_longest_reply_is_kept_to(short: Responder) -> None:
    stream = short.respond(STORY, Token())
    assert len([piece async for piece in stream]) <= 24


async def test_closing_the_iterator_stops_the_model(engines: Engines) -> None:
    assert await reply(engines.responder, STORY, Token(), most=3)
    assert await reply(engines.responder, STORY, Token(), most=3)
    assert await reply(engines.responder, STORY, Token(), most=3)


async def test_revoked_between_words(engines: Engines) -> None:
    token = Token()
    stream = engines.responder.respond(STORY, token)
    assert all([await anext(stream) for _ in range(3)])
    token.revoke()
    with pytest.raises(Revoked):
        await anext(stream)


async def test_revoked_while_a_long_prompt_is_read(engines: Engines) -> None:
    """Race: nothing has been said yet, so no word is there to stop after."""
    token = Token()
    task = asyncio.create_task(reply(engines.responder, [Message("user", "word " * 3000)], token))
    await asyncio.sleep(0.2)
    token.revoke()
    with pytest.raises(Revoked):
        await task
    assert await reply(engines.responder, STORY, Token(), most=2)


async def test_a_judgement_that_is_given_up_leaves_the_model_to_the_reply(engines: Engines) -> None:
    """It may have to read a whole conversation, which takes far longer than it is waited for."""
    responder = engines.responder
    assert isinstance(responder, WordJudge)
    async with asyncio.timeout(60):
        while responder._worker._jobs:  # type: ignore[attr-defined]  # no opinion waits for what still ends here
            await asyncio.sleep(0.05)
    token = Token()
    judging = asyncio.create_task(responder.ended([Message("user", "word " * 3000)], token))
    await asyncio.sleep(0.3)
    token.revoke()
    with pytest.raises(Revoked):
        await judging
    revoked = time.monotonic()
    await reply(responder, [Message("user", "Hello.")], Token(), most=1)
    async with asyncio.timeout(60):
        while responder._worker._jobs:  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)
    freed_s, again = time.monotonic() - revoked, time.monotonic()
    await responder.ended([Message("user", "thing " * 1000)], Token())
    assert freed_s < time.monotonic() - again, "a third of that prompt takes longer than to give it up"


async def test_an_opinion_gives_way_to_a_turn_that_is_over(engines: Engines) -> None:
    responder = engines.responder
    assert isinstance(responder, WordJudge)
    long = [Message("user", "other " * 3000)]
    judging = asyncio.create_task(responder.ended(long, Token(urgency=Urgency.DRAFT)))
    await asyncio.sleep(0.3)
    assert await reply(responder, [SYSTEM, Message("user", "Hello there.")], Token(), most=1)
    assert judging.done()
    assert await judging is None


async def tokens_read(responder: Responder, messages: list[Message]) -> int:
    """Return how many tokens of the prompt were not in the cache, as llama.cpp counts them."""
    counted: list[int] = []
    server = responder._server  # type: ignore[attr-defined]
    original = server.handle_chat_completions

    class Counting:
        def handle_chat_completions(self, request: Any, heard: Any) -> None:
            def count(chunk: Any) -> bool:
                if progress := chunk.get("prompt_progress"):
                    counted.append(progress["total"] - progress["cache"])
                return bool(heard(chunk))

            original(request, count)

    responder._server = Counting()  # type: ignore[attr-defined]
    try:
        await reply(responder, messages, Token(), most=1)
    finally:
        responder._server = server  # type: ignore[attr-defined]
    return counted[0]


async def test_what_was_read_before_the_question_is_not_read_again(
    short: Responder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The races: the reply comes while the prefill still reads, or just after it was given up."""
    batches: list[str] = []
    generate = short._generate  # type: ignore[attr-defined]

    def watched(messages: list[Message], tokens: int, emit: Callable[[str], bool], *more: object) -> None:
        generate(messages, tokens, lambda piece: (batches.append(piece), emit(piece))[1], *more)

    monkeypatch.setattr(short, "_generate", watched)
    for name in ("Ann", "Ben", "Cem"):
        history = [SYSTEM, Message("user", f"I am {name}. " + "one two three " * 80), Message("assistant", "I see.")]
        question = [*history, Message("user", "Who am I?")]
        token = Token()
        reading = asyncio.create_task(short.prefill(history, token))
        if name == "Ann":
            await reading
        batches.clear()
        while name != "Ann" and len(batches) < 2 and not reading.done():
            await asyncio.sleep(0.005)
        if name == "Ben":
            token.revoke()
        read = await tokens_read(short, question)
        await reading
        assert read < (40 if name == "Ann" else 300), name


async def test_a_prefill_that_fails_says_nothing(short: Responder) -> None:
    await short.prefill([Message("user", "word " * 10_000)], Token())
    revoked = Token()
    revoked.revoke()
    await short.prefill([SYSTEM], revoked)
    assert await reply(short, STORY, Token(), most=2)


async def test_two_conversations_are_answered_at_the_same_time(engines: Engines) -> None:
    order: list[str] = []

    async def answer(name: str) -> None:
        stream = engines.responder.respond([SYSTEM, Message("user", f"Tell {name} a long story.")], Token())
        async for _ in stream:
            order.append(name)
            if order.count(name) == 20:
                break
        await stream.aclose()  # type: ignore[attr-defined]

    async with asyncio.TaskGroup() as group:
        group.create_task(answer("Ann"))
        group.create_task(answer("Ben"))
    assert order.index("Ben") < 20, "the second waited for the whole of the first"


@pytest.mark.parametrize(("cores", "asked", "reading"), [(1, 0, 1), (2, 0, 2), (4, 0, 3), (16, 0, 4), (2, 2, 2)])
def test_a_core_is_left_to_the_voice_and_the_ears(
    monkeypatch: pytest.MonkeyPatch, cores: int, asked: int, reading: int
) -> None:
    monkeypatch.setattr(embedded, "cores", lambda: cores)
    monkeypatch.setattr(worker, "cores", lambda: cores)
    made = _parameters(Path("model.gguf"), Llm(threads=asked), "key", xllamacpp.ggml_type.GGML_TYPE_F16)
    assert made.cpuparams_batch.n_threads == reading, "these write, too, where several conversations do at once"
    assert made.cpuparams.n_threads == (asked or max(1, min(cores, 4) // 2))


async def test_a_conversation_too_long_says_what_to_do(short: Responder) -> None:
    with pytest.raises(EngineError, match=r"too long .* raise llm\.context"):
        await reply(short, [Message("user", "word " * 10_000)], Token())
    assert await reply(short, STORY, Token())


async def test_two_long_conversations_do_not_take_each_others_room(short: Responder) -> None:
    """Race: with one cache for both, the two together overflow it and both fail."""
    long = [[Message("user", f"{name}: " + "one two three " * 60 + "Now tell me a story.")] for name in ("Ann", "Ben")]
    assert all(await asyncio.gather(*(reply(short, messages, Token()) for messages in long)))


async def test_nothing_said_and_odd_roles_are_answered(short: Responder) -> None:
    tool = Tool("light", "Switches the light.", {"type": "object"}, run=lambda: asyncio.sleep(0, ""))
    stream = short.respond([Message("user", ""), Message("tool", "on", tool_call_id="1")], Token(), tools=[tool])
    pieces = [piece async for piece in stream]
    assert pieces
    assert all(isinstance(piece, TextDelta) for piece in pieces)


async def test_nobody_else_can_use_the_model(short: Responder) -> None:
    """llama.cpp listens on this machine: without its key it must do nothing for anyone."""
    address = short._server.listening_address  # type: ignore[attr-defined]
    request = urllib.request.Request(f"{address}/v1/chat/completions", b'{"messages": []}')
    with pytest.raises(urllib.error.HTTPError, match="401"):
        await asyncio.to_thread(urllib.request.urlopen, request)


@pytest.mark.parametrize("size", [0, 4, 1000, 5_000_000, 98_000_000])
async def test_a_file_cut_short_is_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model.gguf"
    with catalogue.gguf().open("rb") as whole:
        path.write_bytes(whole.read(size))
    with pytest.raises(EngineError, match="fetch it again") as raised:
        await build_responder(Settings(llm=Llm(model=str(path))))
    assert str(path) in str(raised.value)


async def test_closing_while_a_reply_is_written() -> None:
    responder = await build_responder(Settings(llm=Llm(context=512)))
    task = asyncio.create_task(reply(responder, STORY, Token()))
    await asyncio.sleep(0.3)
    await responder.close()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(Revoked):
        await reply(responder, STORY, Token())
