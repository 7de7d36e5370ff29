"""Each event of a client, and each order of events of the server, against the wire. The voice is real; ears and model
follow a script, for what real ones do not do when asked."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
from scripted import Ears, Script, Tones, quick
from speech import Say, silence

from antiphon.audio.pcm import RATE
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.turn_types import Phase
from antiphon_daemon.engines.contracts import (
    EngineError,
    Engines,
    Message,
    Revoked,
    Synthesizer,
    TextDelta,
    Tool,
    ToolCall,
    Work,
)
from antiphon_daemon.engines.worker import revocable
from antiphon_daemon.gateway.realtime.hearing import PENDING_MOST
from antiphon_daemon.gateway.realtime.replying import BESIDE_MOST

from .realtime_client import Client, client, opened, pcm24

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SPOKEN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]
"""The events of a spoken response in the documented order, without its deltas."""
MANUAL = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}


def engines(voice: Synthesizer, model: Any = None, ears: Ears | None = None) -> Engines:
    return Engines(ears or Ears(), model or Script(quick), voice)


class Held:
    """A reply whose second sentence waits for `go_on`."""

    def __init__(self, first: str = "This is the first sentence of a long reply. ", then: str = "The end.") -> None:
        self.go_on = asyncio.Event()
        self._first, self._then = first, then

    async def say(self) -> AsyncIterator[str]:
        yield self._first
        await self.go_on.wait()
        yield self._then


class Caller:
    """A language model with tools: it answers each request with the next of `rounds`."""

    name = "caller"

    def __init__(self, *rounds: Sequence[TextDelta | ToolCall]) -> None:
        self.rounds = list(rounds)
        self.told: list[list[Message]] = []
        self.offered: list[list[str]] = []

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.told.append(list(messages))
        self.offered.append([tool.name for tool in tools])
        for piece in self.rounds.pop(0):
            yield piece

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None: ...

    async def close(self) -> None: ...


class Stuck(Script):
    """A model whose replies only end when they are given up, until `free`; `given_up` counts those."""

    def __init__(self) -> None:
        super().__init__(quick)
        self.free = False
        self.given_up = 0

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.asked.append([message.text for message in messages])
        try:
            async with revocable(work):
                while not self.free:
                    await asyncio.sleep(0.01)
        except Revoked:
            self.given_up += 1
            raise
        yield TextDelta("It is sunny.")


class Hoarse(Tones):
    """A voice that fails at first."""

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        if not self.texts:
            self.texts.append(text)
            raise EngineError("tts", "the voice is gone")
        async for pcm in super().speak(text, work, voice=voice, language=language):
            yield pcm


async def numbers() -> AsyncIterator[str]:
    """A reply that `Tones` speaks for half a minute."""
    yield "This is what there is to be said of every number: " + ", ".join(map(str, range(400))) + "."


def plain(events: Sequence[dict[str, Any]], *, without: Sequence[str] = ("delta",)) -> list[str]:
    return [event["type"] for event in events if event["type"].rpartition(".")[2] not in without]


async def done(one: Client, status: str = "completed") -> dict[str, Any]:
    """Return the next response that is over."""
    response: dict[str, Any] = (await one.until("response.done"))["response"]
    assert response["status"] == status, response["status_details"]
    return response


async def test_a_written_turn_is_answered_aloud_in_the_documented_order(
    gateways: list[Any], voice: Synthesizer
) -> None:
    async with opened(gateways, engines(voice)) as gateway, client(gateway.port, "?model=gpt-realtime") as one:
        assert one.events[0]["session"]["model"] == "gpt-realtime"
        item = await one.write("How are you?")
        assert item["content"] == [{"type": "input_text", "text": "How are you?"}]
        start = len(one.events)
        await one.send("response.create", event_id="mine")
        response = await done(one)
        events = one.events[start:]
        assert plain(events) == SPOKEN
        assert len({event["event_id"] for event in one.events}) == len(one.events)
        assert next(e for e in events if e["type"] == "conversation.item.added")["previous_item_id"] == item["id"]
        (message,) = response["output"]
        assert (message["role"], message["status"]) == ("assistant", "completed")
        assert message["content"] == [{"type": "output_audio", "transcript": "It is fine."}]
        deltas = one.of("response.output_audio_transcript.delta")
        assert "".join(event["delta"] for event in deltas) == "It is fine."
        for event in one.of("response.output_audio.delta") + deltas:
            assert (event["response_id"], event["item_id"]) == (response["id"], message["id"])
            assert (event["output_index"], event["content_index"]) == (0, 0)
        assert RATE // 2 < len(one.sound()) < 3 * RATE
        assert np.max(np.abs(one.sound())) > 0.05


async def test_a_reply_in_text_alone_has_no_sound(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, engines(voice)) as gateway, client(gateway.port) as one:
        await one.write("How are you?")
        start = len(one.events)
        await one.send("response.create", response={"output_modalities": ["text"]})
        response = await done(one)
        assert response["output_modalities"] == ["text"]
        assert response["output"][0]["content"] == [{"type": "output_text", "text": "It is fine."}]
        assert plain(one.events[start:]) == [
            kind.replace("output_audio_transcript", "output_text")
            for kind in SPOKEN
            if kind != "response.output_audio.done"
        ]
        assert not one.of("response.output_audio.delta")


async def test_all_of_a_reply_is_sent_to_its_last_sample(gateways: list[Any]) -> None:
    """Sound goes out in pieces of a tenth of a second; what is left at the end is less."""
    voice = Tones()
    async with opened(gateways, engines(voice)) as gateway, client(gateway.port) as one:
        await one.write("How are you?")
        await one.send("response.create")
        response = await done(one)
        (spoken,) = voice.texts
        whole = len(voice.sound(spoken)) // 2
        assert whole % (RATE // 10) > RATE // 100
        assert abs(len(one.sound(response["id"])) - whole) < RATE // 200


async def test_one_response_at_a_time_and_cancelling_ends_it(gateways: list[Any], voice: Synthesizer) -> None:
    held = Held()
    model = Script(held.say)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.send("response.cancel", event_id="early")
        error = await one.error()
        assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "early")
        await one.write("Tell me something long.")
        await one.send("response.create")
        await one.until("response.output_audio.delta")
        await one.send("response.create", event_id="second")
        error = await one.error()
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
        await one.send("response.cancel")
        response = await done(one, "cancelled")
        assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        (message,) = response["output"]
        assert message["status"] == "incomplete"
        assert message["content"][0]["transcript"].startswith("This is the first")
        got = len(one.of("response.output_audio.delta"))
        await one.alive()
        assert len(one.of("response.output_audio.delta")) == got
        held.go_on.set()
        await one.send("response.create")
        await done(one)
        assert len(model.asked) == 2


async def test_what_is_asked_for_while_a_reply_is_played_follows_it(gateways: list[Any], voice: Synthesizer) -> None:
    async with opened(gateways, engines(voice)) as gateway, client(gateway.port) as one:
        await one.write("How are you?")
        for _ in range(3):  # each is over for the server long before it was played
            await one.send("response.create")
            await done(one)


async def test_a_spoken_item_is_truncated_to_what_was_heard_and_the_model_is_told_no_more(
    gateways: list[Any], voice: Synthesizer
) -> None:
    async def counts() -> AsyncIterator[str]:
        yield "One two three four five six seven eight nine ten."

    model = Script(counts)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        user = await one.write("Count!")
        await one.send("response.create")
        item = (await done(one))["output"][0]["id"]
        whole_ms = len(one.sound()) * 1000 // RATE
        truncate = {"item_id": item, "content_index": 0}
        await one.send("conversation.item.truncate", **truncate, audio_end_ms=10 * whole_ms)
        beyond = await one.until("conversation.item.truncated")
        assert abs(beyond["audio_end_ms"] - whole_ms) < 60, "beyond the end is the end"
        await one.send("conversation.item.truncate", **truncate, audio_end_ms=whole_ms // 2)
        cut = await one.until("conversation.item.truncated")
        assert (cut["item_id"], cut["content_index"], cut["audio_end_ms"]) == (item, 0, whole_ms // 2)
        await one.send("conversation.item.retrieve", item_id=item)
        text = (await one.until("conversation.item.retrieved"))["item"]["content"][0]["transcript"]
        assert text in "One two three four five six seven eight nine ten."
        assert 3 <= len(text.split()) <= 7
        await one.send("response.create")
        await done(one)
        assert model.asked[-1][-2:] == ["Count!", text]
        for bad, param in (
            ({**truncate, "audio_end_ms": -1}, "audio_end_ms"),
            ({"item_id": item, "content_index": 0}, "audio_end_ms"),
            ({**truncate, "content_index": 1, "audio_end_ms": 1}, "content_index"),
            ({"item_id": user["id"], "content_index": 0, "audio_end_ms": 1}, "item_id"),
            ({"item_id": "nobody", "content_index": 0, "audio_end_ms": 1}, "item_id"),
        ):
            await one.send("conversation.item.truncate", **bad)
            assert (await one.error())["param"] == param


async def test_a_reply_is_truncated_while_it_is_being_made(gateways: list[Any], voice: Synthesizer) -> None:
    """Who stops it by hand truncates first, and cancels then, or lets the rest come unheard."""
    held = Held(then="And it goes on for a while, until it comes to its end.")
    model = Script(held.say)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.write("Tell me something long.")
        await one.send("response.create")
        item = (await one.until("response.output_audio.delta"))["item_id"]
        while len(one.sound()) < RATE * 7 // 10:
            await one.next()
        await one.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=500)
        assert (await one.until("conversation.item.truncated"))["audio_end_ms"] == 500
        held.go_on.set()
        (message,) = (await done(one))["output"]
        assert 1 <= len(message["content"][0]["transcript"].split()) <= 4
        await one.send("response.create", response={"output_modalities": ["text"]})
        await done(one)
        assert model.asked[-1][1:] == ["Tell me something long.", message["content"][0]["transcript"]]


async def test_a_reply_is_truncated_before_its_first_sound(gateways: list[Any], voice: Synthesizer) -> None:
    held = Held(first="What you want to know is ", then="this.")
    model = Script(held.say)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.write("How are you?")
        await one.send("response.create")
        item = (await one.until("response.output_audio_transcript.delta"))["item_id"]
        await one.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=500)
        assert (await one.until("conversation.item.truncated"))["audio_end_ms"] == 0
        held.go_on.set()
        await done(one)
        await one.send("response.create", response={"output_modalities": ["text"]})
        await done(one)
        assert model.asked[-1][1:] == ["How are you?"]


async def test_items_are_put_read_and_taken_out(gateways: list[Any], voice: Synthesizer) -> None:
    model = Script(quick)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.update(instructions="Be brief.", output_modalities=["text"])
        first = await one.write("One.", id="my_first")
        assert first["id"] == "my_first"
        await one.write("Three.")
        content = [{"type": "output_text", "text": "Two."}]
        item = {"type": "message", "role": "assistant", "content": content}
        await one.send("conversation.item.create", item=item, previous_item_id="my_first")
        two = await one.until("conversation.item.added")
        assert two["previous_item_id"] == "my_first"
        system = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Zero."}]}
        await one.send("conversation.item.create", item=system, previous_item_id="root")
        assert (await one.until("conversation.item.done"))["item"]["id"] == two["item"]["id"]
        assert (await one.until("conversation.item.added"))["previous_item_id"] is None
        await one.send("response.create")
        await done(one)
        assert model.asked[-1] == ["Be brief.", "Zero.", "One.", "Two.", "Three."]
        await one.send("conversation.item.delete", item_id="my_first")
        assert (await one.until("conversation.item.deleted"))["item_id"] == "my_first"
        await one.send("conversation.item.retrieve", item_id="my_first")
        assert (await one.error())["code"] == "item_retrieve_invalid_item_id"
        await one.send("response.create")
        await done(one)
        assert model.asked[-1][:4] == ["Be brief.", "Zero.", "Two.", "Three."]


async def test_out_of_band_responses_leave_the_conversation_alone(gateways: list[Any], voice: Synthesizer) -> None:
    held = Held()
    model = Script(held.say)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        item = await one.write("Hello, Antiphon.")
        await one.send("response.create")
        await one.until("response.output_audio.delta")
        beside = {
            "conversation": "none",
            "instructions": "What is it about?",
            "input": [{"type": "item_reference", "id": item["id"]}],
            "output_modalities": ["text"],
            "metadata": {"purpose": "topic"},
        }
        await one.send("response.create", response=beside)
        there = await one.until("response.created")
        assert there["response"]["conversation_id"] is None
        assert there["response"]["metadata"] == {"purpose": "topic"}
        await one.until("response.output_text.delta")
        assert model.asked[-1] == ["What is it about?", "Hello, Antiphon."]
        held.go_on.set()
        ends = [await done(one), await done(one)]
        mine = next(end for end in ends if end["metadata"])
        assert mine["output"][0]["content"][0]["text"].endswith("The end.")
        await one.send("conversation.item.retrieve", item_id=mine["output"][0]["id"])
        assert (await one.error())["code"] == "item_retrieve_invalid_item_id"
        text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
        await one.send("conversation.item.create", item=text, previous_item_id="nobody")
        error = await one.error()
        assert (error["code"], error["param"]) == ("item_not_found", "previous_item_id")
        await one.send("response.create", response={**beside, "input": [{"type": "item_reference", "id": "nobody"}]})
        wrong = (await done(one, "failed"))["status_details"]["error"]
        assert "nobody" in wrong["message"]
        assert (wrong["type"], wrong["code"]) == ("invalid_request_error", "item_not_found"), "it is no fault of ours"
        half = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]}
        for bad, says in (({"type": "item_reference"}, "id is missing"), (half, "half a sample")):
            await one.send("response.create", response={**beside, "input": [text, bad]})
            wrong = (await done(one, "failed"))["status_details"]["error"]
            assert wrong["message"].startswith("response.input.1: ")
            assert says in wrong["message"]
        held.go_on.clear()
        await one.send("response.create", response={**beside, "input": []})
        created = (await one.until("response.created"))["response"]["id"]
        await one.until("response.output_text.delta")
        await one.send("response.cancel", response_id=created)
        assert (await done(one, "cancelled"))["id"] == created


async def test_a_response_that_was_cancelled_while_its_input_is_heard_is_over_once(
    gateways: list[Any], say: Say
) -> None:
    # What is wrong with the input is only found when its sound was heard: the response was cancelled by then.
    sound = {"type": "input_audio", "audio": base64.b64encode(pcm24(say("Hello."))).decode()}
    given = [{"type": "message", "role": "user", "content": [sound]}, {"type": "item_reference", "id": "nobody"}]
    async with (
        opened(gateways, engines(Tones(), ears=Ears(takes_s=0.3))) as gateway,
        client(gateway.port) as one,
    ):
        await one.send("response.create", response={"conversation": "none", "input": given})
        created = (await one.until("response.created"))["response"]["id"]
        await one.send("response.cancel", response_id=created)
        assert (await done(one, "cancelled"))["id"] == created
        await asyncio.sleep(0.6)
        await one.alive()
        assert len(one.of("response.done")) == 1


async def test_so_many_responses_out_of_band_at_once_and_one_that_is_given_up_makes_room(gateways: list[Any]) -> None:
    model = Stuck()
    beside = {"conversation": "none", "input": [], "output_modalities": ["text"]}
    async with opened(gateways, engines(Tones(), model)) as gateway, client(gateway.port) as one:
        for _ in range(BESIDE_MOST):
            await one.send("response.create", response=beside)
            first = (await one.until("response.created"))["response"]["id"]
        await one.send("response.create", response=beside)
        assert (await one.error())["code"] == "too_many_responses"
        await one.send("response.cancel", response_id=first)
        assert (await done(one, "cancelled"))["id"] == first
        there = one.events[-1]
        async with asyncio.timeout(10):  # as soon as nothing works at it any more
            while there["type"] != "response.created":
                await one.send("response.create", response=beside)
                there = await one.until("response.created", "error")
        model.free = True
        for _ in range(BESIDE_MOST):
            await done(one)
        assert model.given_up == 1


async def test_cancelling_a_response_that_is_none_leaves_the_one_that_is(gateways: list[Any]) -> None:
    model = Stuck()
    async with opened(gateways, engines(Tones(), model)) as gateway, client(gateway.port) as one:
        await one.write("Hello.")
        await one.send("response.create")
        await one.until("response.created")
        await one.send("response.cancel", response_id="resp_nobody")
        assert (await one.error())["code"] == "response_cancel_not_active"
        model.free = True
        await done(one)
        assert model.given_up == 0


async def test_so_many_sounds_wait_for_their_words_and_one_more_is_kept(gateways: list[Any]) -> None:
    ears = Ears(takes_s=1.0)
    async with opened(gateways, engines(Tones(), None, ears)) as gateway, client(gateway.port) as one:
        await one.update(audio=MANUAL)
        for _ in range(PENDING_MOST):
            await one.append(bytes(9_600))
            await one.send("input_audio_buffer.commit")
            await one.until("input_audio_buffer.committed")
        await one.append(bytes(9_600))
        await one.send("input_audio_buffer.commit")
        assert (await one.error())["code"] == "too_many_items"
        for _ in range(PENDING_MOST):
            await one.until("conversation.item.input_audio_transcription.completed")
        await one.send("input_audio_buffer.commit")
        await one.until("input_audio_buffer.committed")


async def test_half_a_character_in_a_call_ends_no_session(gateways: list[Any], voice: Synthesizer) -> None:
    model = Caller([ToolCall("call_1", "note", {"text": "milk \ud83d"})])
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.update(tools=[WEATHER], output_modalities=["text"])
        await one.write("Note that we need milk.")
        await one.send("response.create")
        (function,) = (await done(one))["output"]
        assert json.loads(function["arguments"]) == {"text": "milk \ufffd"}
        await one.alive()


async def test_functions_are_called_by_the_client(gateways: list[Any], voice: Synthesizer) -> None:
    call = ToolCall("call_1", "weather", {"city": "Paris"})
    model = Caller([TextDelta("Let me look."), call], [TextDelta("It is sunny.")], [call])
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.update(tools=[WEATHER], output_modalities=["text"])
        await one.write("What is the weather in Paris?")
        start = len(one.events)
        await one.send("response.create")
        response = await done(one)
        message, function = response["output"]
        assert message["content"][0]["text"] == "Let me look."
        assert (function["type"], function["name"], function["call_id"]) == ("function_call", "weather", "call_1")
        assert function["arguments"] == '{"city": "Paris"}'
        assert model.offered == [["weather"]]
        assert plain(one.events[start:])[-6:] == [
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        told = one.of("response.function_call_arguments.done")[0]
        assert (told["call_id"], told["name"], told["output_index"]) == ("call_1", "weather", 1)
        output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny, 21 degrees"}
        await one.send("conversation.item.create", item=output)
        await one.until("conversation.item.done")
        await one.send("response.create")
        assert (await done(one))["output"][0]["content"][0]["text"] == "It is sunny."
        *_, asked, answered = model.told[-1]
        assert asked.tool_calls == (call,)
        assert (answered.role, answered.text, answered.tool_call_id) == ("tool", "sunny, 21 degrees", "call_1")
        await one.send("response.create", response={"output_modalities": ["audio"]})
        (alone,) = (await done(one))["output"]
        assert alone["type"] == "function_call", "a call needs no words"
        await one.send("response.create", response={"tool_choice": "required"})
        failed = (await done(one, "failed"))["status_details"]["error"]["message"]
        assert "cannot be made to call" in failed


async def test_who_speaks_while_functions_run_breaks_no_history(gateways: list[Any], voice: Synthesizer) -> None:
    """Servers of models refuse calls that what came of them does not follow at once."""
    calls = [ToolCall("call_1", "weather", {"city": "Paris"}), ToolCall("call_2", "weather", {"city": "Seoul"})]
    model = Caller(calls, [TextDelta("Yes, I am.")], [TextDelta("It is sunny.")])
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.update(tools=[WEATHER], output_modalities=["text"])
        await one.write("What is the weather in Paris and in Seoul?")
        await one.send("response.create")
        assert [item["call_id"] for item in (await done(one))["output"]] == ["call_1", "call_2"]
        await one.write("Are you there?")
        await one.send("response.create")
        await done(one)
        for made in calls:
            item = {"type": "function_call_output", "call_id": made.id, "output": "sunny"}
            await one.send("conversation.item.create", item=item)
        await one.send("response.create")
        await done(one)
        assert model.told[-1][:-3] == [*model.told[-2], Message("assistant", "Yes, I am.")]
        *_, asked, first, second = model.told[-1]
        assert asked.tool_calls == tuple(calls)
        assert [(told.role, told.tool_call_id) for told in (first, second)] == [("tool", "call_1"), ("tool", "call_2")]


async def test_a_reply_is_cut_at_the_longest_that_is_wanted(gateways: list[Any], voice: Synthesizer) -> None:
    async def counts() -> AsyncIterator[str]:
        for number in range(50):
            yield f"{number} "

    async with opened(gateways, engines(voice, Script(counts))) as gateway, client(gateway.port) as one:
        await one.write("Count!")
        await one.send("response.create", response={"max_output_tokens": 5, "output_modalities": ["text"]})
        response = await done(one, "incomplete")
        assert response["status_details"]["reason"] == "max_output_tokens"
        assert response["output"][0]["content"][0]["text"] == "0 1 2 3 4"


async def test_what_fails_is_said_aloud_told_as_failed_and_not_remembered(
    gateways: list[Any], voice: Synthesizer
) -> None:
    async def fails() -> AsyncIterator[str]:
        raise EngineError("llm", "the model is away")
        yield ""

    model = Script(fails)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.write("How are you?")
        await one.send("response.create")
        response = await done(one, "failed")
        assert "the model is away" in response["status_details"]["error"]["message"]
        assert "can't reach" in response["output"][0]["content"][0]["transcript"]
        assert len(one.sound()) > RATE // 2
        await one.send("response.create")
        await done(one, "failed")
        assert model.asked[-1][1:] == ["How are you?"]


async def test_skills_answer_only_who_gives_no_instructions(gateways: list[Any], voice: Synthesizer) -> None:
    model = Script(quick)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.update(output_modalities=["text"])
        await one.write("What time is it?")
        await one.send("response.create")
        assert (await done(one))["output"][0]["content"][0]["text"].startswith("It's ")
        assert not model.asked
        await one.send("response.create", response={"instructions": "You are a poet."})
        await done(one)
        await one.update(instructions="You are a poet.")
        await one.write("What time is it?")
        await one.send("response.create")
        await done(one)
        assert [asked[0] for asked in model.asked] == ["You are a poet."] * 2


async def test_a_reply_that_never_began_takes_nothing_from_the_one_before(
    gateways: list[Any], voice: Synthesizer
) -> None:
    """Who cancels before the first word has heard nothing of that reply, but all of the last one."""
    held = Held(first="", then="It is fine.")
    model = Script(held.say)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.write("How are you?")
        held.go_on.set()
        await one.send("response.create")
        await done(one)
        held.go_on.clear()
        await one.send("response.create")
        await one.until("response.created")
        await one.send("response.cancel")
        assert not (await done(one, "cancelled"))["output"]
        held.go_on.set()
        await one.send("response.create", response={"output_modalities": ["text"]})
        await done(one)
        assert model.asked[-1][-2:] == ["How are you?", "It is fine."]


async def test_what_nobody_heard_of_a_reply_the_model_is_not_told(gateways: list[Any], voice: Synthesizer) -> None:
    """Words are told as they are written, some time before they are heard."""
    held = Held(first="What you want to know is ", then="this.")
    model = Script(held.say)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.write("How are you?")
        await one.send("response.create")
        await one.until("response.output_audio_transcript.delta")
        await one.send("response.cancel")
        (item,) = (await done(one, "cancelled"))["output"]
        assert (item["status"], item["content"][0]["transcript"]) == ("incomplete", "What you want to know is")
        assert not len(one.sound())
        await one.send("response.create", response={"output_modalities": ["text"]})
        await one.until("response.output_text.delta")
        await one.send("response.cancel")
        await done(one, "cancelled")
        assert model.asked[-1][1:] == ["How are you?"]
        held.go_on.set()
        await one.send("response.create", response={"output_modalities": ["text"]})
        await done(one)
        assert model.asked[-1][1:] == ["How are you?", "What you want to know is"], "what was read was read"


async def test_a_model_that_writes_nothing_has_failed(gateways: list[Any], voice: Synthesizer) -> None:
    async def nothing() -> AsyncIterator[str]:
        for _ in range(0):
            yield ""

    async with opened(gateways, engines(voice, Script(nothing))) as gateway, client(gateway.port) as one:
        for conversation in ("auto", "none"):
            asked = {"conversation": conversation, "output_modalities": ["text"]}
            await one.send("response.create", response=asked)
            error = (await done(one, "failed"))["status_details"]["error"]
            assert error["message"] == "the language model answered nothing"


async def test_turns_that_the_client_commits(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    model, ears = Script(quick), Ears("what is your name", takes_s=0.2)
    async with opened(gateways, engines(voice, model, ears)) as gateway, client(gateway.port) as one:
        session = await one.update(audio=MANUAL)
        assert session["audio"]["input"]["turn_detection"] is None
        await one.send("input_audio_buffer.commit")
        assert (await one.error())["code"] == "input_audio_buffer_commit_empty"
        await one.speak(say("Something else."), paced=False)
        await one.alive()  # which clears it
        await one.send("input_audio_buffer.commit")
        assert (await one.error())["code"] == "input_audio_buffer_commit_empty"
        sound, start = say("What is your name?"), len(one.events)
        await one.speak(sound, paced=False)
        await one.send("input_audio_buffer.commit")
        await one.send("response.create")  # at once: it waits for the words
        await done(one)
        kinds = plain(one.events[start:])
        assert kinds[:3] == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
        committed = one.of("input_audio_buffer.committed")[0]
        heard = one.of("conversation.item.input_audio_transcription.completed")[0]
        assert (heard["item_id"], heard["transcript"]) == (committed["item_id"], "what is your name")
        assert abs(heard["usage"]["seconds"] - len(sound) / RATE) < 0.1
        assert model.asked[-1][-1] == "what is your name"
        assert abs(ears.heard[-1] - len(sound)) < RATE // 20
        assert not one.of("input_audio_buffer.speech_started")
        ears.fails = 1
        await one.speak(sound, paced=False)
        await one.send("input_audio_buffer.commit")
        assert (await one.until("conversation.item.input_audio_transcription.failed"))["error"]["message"]


async def test_who_is_not_heard_is_asked_to_say_it_again(gateways: list[Any], say: Say) -> None:
    model, ears = Script(quick), Ears("")
    asked = message("unheard", "en")
    async with opened(gateways, engines(Tones(), model, ears)) as gateway, client(gateway.port) as one:
        await one.update(audio=MANUAL, output_modalities=["text"])
        await one.write("How are you?")
        for fails in (0, 1):
            ears.fails = fails
            await one.append(bytes(48_000))
            await one.send("input_audio_buffer.commit")
            await one.send("response.create")
            await done(one)
            assert model.asked[-1][-1] == asked
        assert model.asked[-1][1:] == ["How are you?", asked, "It is fine.", asked]
        ears.fails = 2  # in the draft, and once more at the turn's end
        await one.update(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
        await one.speak(np.concatenate((say("How are you today?"), silence(1.5))))
        await one.until("conversation.item.input_audio_transcription.failed")
        await one.send("response.create")
        await done(one)
        assert model.asked[-1][-1] == asked


async def test_a_turn_that_was_not_heard_is_told_as_that_beside_the_apology(gateways: list[Any], say: Say) -> None:
    async with opened(gateways, engines(Tones(), ears=Ears(fails=2))) as gateway, client(gateway.port) as one:
        await one.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        await one.speak(say("How are you today?"), paced=False)
        await one.until("input_audio_buffer.speech_started")
        await one.send("input_audio_buffer.commit")
        item = (await one.until("input_audio_buffer.committed"))["item_id"]
        await done(one, "failed")
        (failed,) = one.of("conversation.item.input_audio_transcription.failed")
        assert failed["item_id"] == item
        assert not one.of("conversation.item.input_audio_transcription.completed")


async def test_a_microphone_that_is_always_on_is_heard_after_the_longest_turn(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    ears = Ears("what is your name")
    async with opened(gateways, engines(voice, ears=ears)) as gateway, client(gateway.port) as one:
        await one.update(audio=MANUAL)
        for _ in range(7):
            await one.append(bytes(48_000 * 10))
        await one.speak(say("What is your name?"), paced=False)
        await one.send("input_audio_buffer.commit")
        await one.until("conversation.item.input_audio_transcription.completed", transcript="what is your name")
        assert abs(ears.heard[-1] - 60 * RATE) < RATE // 20
        assert not one.of("error")


async def test_speech_that_is_an_item_is_heard(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    model = Script(quick)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        audio = base64.b64encode(pcm24(say("Hello there."))).decode()
        item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
        await one.send("conversation.item.create", item=item)
        await one.send("response.create", response={"output_modalities": ["text"]})
        await done(one)
        assert model.asked[-1][-1] == "hello there"


async def test_a_spoken_turn_is_found_and_answered(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    async with opened(gateways, engines(voice)) as gateway, client(gateway.port) as one:
        await one.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        start, sound = len(one.events), say("How are you today?")
        asking = asyncio.create_task(one.speak(np.concatenate((silence(0.5), sound, silence(1.5)))))
        await done(one)
        await asking
        kinds = [kind for kind in plain(one.events[start:]) if "transcription" not in kind]
        turn = ["speech_started", "speech_stopped", "committed"]
        assert kinds[:3] == [f"input_audio_buffer.{kind}" for kind in turn]
        assert kinds[3:5] == ["conversation.item.added", "conversation.item.done"]
        assert kinds[5:] == SPOKEN
        began, stopped = (one.of(f"input_audio_buffer.{kind}")[0] for kind in turn[:2])
        assert abs(began["audio_start_ms"] - 200) < 150, "300 ms before speech"
        assert abs(stopped["audio_end_ms"] - 500 - len(sound) * 1000 // RATE) < 300
        item = one.of("conversation.item.done")[0]["item"]
        assert item["id"] == began["item_id"] == stopped["item_id"]
        assert item["content"] == [{"type": "input_audio", "transcript": "hello there"}]
        assert one.of("conversation.item.input_audio_transcription.completed")[0]["item_id"] == item["id"]


async def test_speech_over_a_reply_ends_it_and_is_the_next_turn(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    held = Held(then="And it goes on for a while, until it comes to its end.")
    model = Script(held.say)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.write("Tell me something long.")
        await one.send("response.create")
        await one.until("response.output_audio.delta")
        start = len(one.events)
        asking = asyncio.create_task(one.speak(np.concatenate((say("Wait, stop it now, please."), silence(1.2)))))
        held_id = (await done(one, "cancelled"))["output"][0]["id"]
        events = one.events[start:]
        assert events[-1]["response"]["status_details"]["reason"] == "turn_detected"
        order = [kind for kind in plain(events) if not kind.startswith("response.o")]
        assert order.index("input_audio_buffer.speech_started") < order.index("response.done")
        await one.send("conversation.item.truncate", item_id=held_id, content_index=0, audio_end_ms=300)
        assert (await one.until("conversation.item.truncated"))["audio_end_ms"] == 300
        held.go_on.set()
        await one.until("input_audio_buffer.committed")
        await done(one)
        await asking
        _, question, cut, said = model.asked[-1]
        assert (question, said) == ("Tell me something long.", "hello there")
        assert cut in "This is the first"


async def test_speech_ends_the_reply_to_a_turn_that_the_client_has_ended(gateways: list[Any], say: Say) -> None:
    async with opened(gateways, engines(Tones(), Script(numbers))) as gateway, client(gateway.port) as one:
        asking = asyncio.create_task(one.speak(np.concatenate((say("How are you today? And what is"), silence(1)))))
        await one.until("input_audio_buffer.speech_started")
        await asyncio.sleep(0.5)
        asking.cancel()
        await one.send("input_audio_buffer.commit")
        await done(one)
        asking = asyncio.create_task(one.speak(np.concatenate((say("Wait, stop it now, please."), silence(1.2)))))
        async with asyncio.timeout(10):  # long before all of the reply was played
            await one.until("input_audio_buffer.speech_started")
        await one.until("input_audio_buffer.committed")
        await asking


async def test_where_speech_does_not_interrupt_the_reply_goes_on(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    held = Held()
    async with opened(gateways, engines(voice, Script(held.say))) as gateway, client(gateway.port) as one:
        await one.update(audio={"input": {"turn_detection": {"interrupt_response": False}}})
        await one.write("Tell me something long.")
        await one.send("response.create")
        await one.until("response.output_audio.delta")
        await one.speak(say("Wait, stop it now, please."), paced=False)
        held.go_on.set()
        await done(one)
        assert not one.of("input_audio_buffer.speech_started")


async def test_where_turns_are_not_answered_the_client_asks(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    model = Script(quick)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await one.update(audio={"input": {"turn_detection": {"create_response": False}}})
        asking = asyncio.create_task(one.speak(np.concatenate((say("How are you today?"), silence(1.5)))))
        await one.until("input_audio_buffer.speech_started")
        await one.send("response.create")  # while they speak: it waits for their end
        await one.until("input_audio_buffer.committed")
        assert not one.of("response.created")
        await done(one)
        await asking
        await one.speak(np.concatenate((say("How are you today?"), silence(1.5))))
        await one.until("input_audio_buffer.committed")
        await one.alive()
        assert len(one.of("response.created")) == 1
        assert [asked[-1] for asked in model.asked] == ["hello there"]


async def test_what_changes_while_a_turn_seems_over_holds_for_its_reply(gateways: list[Any], say: Say) -> None:
    """The reply is drafted as soon as they pause, long before the turn is over."""
    model = Stuck()
    async with opened(gateways, engines(Tones(), model)) as gateway, client(gateway.port) as one:
        await one.update(audio={"input": {"turn_detection": {"silence_duration_ms": 3000}}})
        first = await one.write("Hello.")
        asking = asyncio.create_task(one.speak(np.concatenate((say("How are you today?"), silence(5)))))

        async def drafted(count: int) -> None:
            async with asyncio.timeout(10):
                while len(model.asked) < count:
                    await asyncio.sleep(0.01)
            assert not one.of("input_audio_buffer.committed")

        await drafted(1)
        await one.update(instructions="Speak of the weather.")
        await drafted(2)
        await one.update(output_modalities=["text"])
        await drafted(3)
        await one.write("The sun shines.", role="system")
        await drafted(4)
        await one.send("conversation.item.delete", item_id=first["id"])
        await drafted(5)
        await one.update(output_modalities=["text"])  # which is nothing new
        model.free = True
        response = await done(one)
        assert response["output"][0]["content"] == [{"type": "output_text", "text": "It is sunny."}]
        assert model.asked[-1] == ["Speak of the weather.", "The sun shines.", "hello there"]
        assert (len(model.asked), model.given_up) == (5, 4)
        assert len(one.of("response.created")) == 1
        asking.cancel()


async def test_what_changes_while_somebody_goes_on_holds_for_the_reply_to_the_same_words(
    gateways: list[Any], say: Say
) -> None:
    """Who only clears their throat is answered with the reply that was drafted before."""
    model = Script(quick)
    async with opened(gateways, engines(Tones(), model)) as gateway, client(gateway.port) as one:
        await one.update(audio={"input": {"turn_detection": {"silence_duration_ms": 1000}}})
        (session,) = gateway.sessions
        sound = (say("How are you today?"), silence(0.5), say("Well?")[: RATE // 4], silence(2))
        asking = asyncio.create_task(one.speak(np.concatenate(sound)))
        async with asyncio.timeout(10):
            while not model.asked or session.phase is not Phase.HEARING:
                await asyncio.sleep(0.005)
        await one.update(instructions="Speak of the weather.")
        await done(one)
        assert model.asked[-1] == ["Speak of the weather.", "hello there"]
        asking.cancel()


async def test_what_comes_of_a_function_while_a_turn_seems_over_is_known_to_its_reply(
    gateways: list[Any], say: Say
) -> None:
    weather = ToolCall("call_1", "weather", {"city": "Paris"})
    model = Caller([weather], [TextDelta("One moment please."), weather], [TextDelta("It is sunny.")])
    async with opened(gateways, engines(Tones(), model)) as gateway, client(gateway.port) as one:
        await one.update(tools=[WEATHER], audio={"input": {"turn_detection": {"silence_duration_ms": 1500}}})
        await one.write("What is the weather in Paris?")
        await one.send("response.create")
        await done(one)
        asking = asyncio.create_task(one.speak(np.concatenate((say("Are you still there?"), silence(3)))))
        async with asyncio.timeout(10):
            while len(model.told) < 2:
                await asyncio.sleep(0.01)
        output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
        await one.send("conversation.item.create", item=output)
        await one.send("response.create")
        (message,) = (await done(one))["output"]
        assert message["content"][0]["transcript"] == "It is sunny."
        assert [told.role for told in model.told[-1]] == ["system", "user", "assistant", "tool", "user"]
        asking.cancel()


async def ask_in_mid_speech(one: Client, say: Say) -> None:
    """Ask for a response while somebody speaks, who then falls silent: it waits for the end of their turn."""
    await one.write("How are you?")
    asking = asyncio.create_task(one.speak(say("What is your name?")))
    await one.until("input_audio_buffer.speech_started")
    asking.cancel()
    await one.send("response.create")


async def test_a_response_that_waits_for_a_turn_begins_when_the_turn_is_cleared(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    async with opened(gateways, engines(voice)) as gateway, client(gateway.port) as one:
        await ask_in_mid_speech(one, say)
        await one.alive()  # which clears it
        await done(one)
        assert not one.of("input_audio_buffer.committed")


async def test_a_response_that_waits_for_a_turn_can_be_cancelled(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    model = Script(quick)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        await ask_in_mid_speech(one, say)
        await one.send("response.cancel")
        await one.alive()  # which clears what was said
        await one.alive()
        assert not one.of("response.created")
        assert not one.of("error")
        await one.speak(silence(0.2), paced=False)
        await one.alive()
        assert not one.of("input_audio_buffer.speech_stopped"), "what was cleared does not end"
        await one.send("response.create")
        await done(one)


async def test_cancelling_another_response_leaves_the_one_that_waits_for_a_turn(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    # A program cancels by its id what speech has ended already, after it has asked for the next response.
    async with opened(gateways, engines(voice)) as gateway, client(gateway.port) as one:
        await ask_in_mid_speech(one, say)
        await one.send("response.cancel", response_id="resp_before")
        assert (await one.error())["code"] == "response_cancel_not_active"
        await one.alive()  # which clears what was said
        await done(one)


async def test_a_response_that_is_asked_for_during_a_cough_follows_it(gateways: list[Any], say: Say) -> None:
    """The reply before was whole long ago, but is still being played: what begins over it may be a turn, or none."""

    async with opened(gateways, engines(Tones(), Script(numbers))) as gateway, client(gateway.port) as one:
        await one.write("Tell me something long.")
        await one.send("response.create")
        await done(one)
        (session,) = gateway.sessions
        cough = np.concatenate((silence(0.2), say("How are you?")[: RATE // 5]))
        await one.speak(cough, paced=False)
        async with asyncio.timeout(10):
            while session.phase is not Phase.OVERLAP:
                await asyncio.sleep(0.005)
        await one.send("response.create", response={"output_modalities": ["text"]})
        await one.speak(silence(1.0), paced=False)
        await done(one)
        assert not one.of("input_audio_buffer.speech_started")


async def test_who_goes_on_before_the_reply_takes_the_turn_back(
    gateways: list[Any], voice: Synthesizer, say: Say
) -> None:
    """A reply that is slow to begin must not answer half of what is said."""
    held = Held(first="What you have said so far is ", then="fine.")
    model = Script(held.say)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        first = np.concatenate((say("How are you today?"), silence(1.5), say("What is your name?"), silence(1.5)))
        asking = asyncio.create_task(one.speak(first))
        await one.until("response.created")
        taken_back = one.of("input_audio_buffer.committed")[0]["item_id"]
        assert (await done(one, "cancelled"))["status_details"]["reason"] == "turn_detected"
        assert (await one.until("conversation.item.deleted"))["item_id"] == taken_back
        held.go_on.set()
        again = await one.until("input_audio_buffer.committed")
        assert again["item_id"] != taken_back
        await done(one)
        await asking
        assert model.asked[-1][1:] == ["hello there"], "neither half of it nor what was to be said to that"


async def test_a_turn_whose_reply_could_not_be_spoken_is_not_taken_back(gateways: list[Any], say: Say) -> None:
    held = Held(first="", then="All right.")
    held.go_on.set()
    async with opened(gateways, engines(Hoarse(), Script(held.say))) as gateway, client(gateway.port) as one:
        turn = np.concatenate((say("How are you today?"), silence(1.5)))
        await one.speak(turn)
        await done(one, "failed")
        held.go_on.clear()
        await one.send("response.create")
        await one.until("response.created")
        asking = asyncio.create_task(one.speak(turn))
        await done(one, "cancelled")
        held.go_on.set()
        await done(one)
        await asking
        assert len(one.of("input_audio_buffer.committed")) == 2
        assert not one.of("conversation.item.deleted")


async def test_telephones_are_understood(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    ears = Ears()
    async with opened(gateways, engines(voice, ears=ears)) as gateway, client(gateway.port) as one:
        law = {"type": "audio/pcmu"}
        session = await one.update(audio={"input": {"format": law, "turn_detection": None}, "output": {"format": law}})
        assert session["audio"]["output"]["format"] == law
        await one.append(b"\xff" * 8000)
        await one.send("input_audio_buffer.commit")
        await one.send("response.create")
        await done(one)
        assert abs(ears.heard[-1] - RATE) < RATE // 50
        sound = b"".join(base64.b64decode(event["delta"]) for event in one.of("response.output_audio.delta"))
        assert 4000 < len(sound) < 24_000


async def test_fields_change_while_somebody_listens(gateways: list[Any], voice: Synthesizer) -> None:
    changes: list[Callable[[dict[str, Any]], bool]] = [
        lambda session: session["audio"]["input"]["turn_detection"]["eagerness"] == "high",
        lambda session: session["audio"]["input"]["turn_detection"] is None,
    ]
    async with opened(gateways, engines(voice)) as gateway, client(gateway.port) as one:
        await one.speak(silence(0.5), paced=False)
        semantic = {"type": "semantic_vad", "eagerness": "high"}
        assert changes[0](await one.update(audio={"input": {"turn_detection": semantic}}))
        await one.speak(silence(0.5), paced=False)
        assert changes[1](await one.update(audio={"input": {"turn_detection": None}}))
        await one.send("session.update", session={"type": "realtime", "colour": "red"}, event_id="red")
        error = await one.error()
        assert (error["type"], error["code"], error["param"], error["event_id"]) == (
            "invalid_request_error",
            "unknown_parameter",
            "session.colour",
            "red",
        )


async def test_sound_that_was_kept_before_turns_were_detected_is_none_of_what_is_committed_later(
    gateways: list[Any],
) -> None:
    async with opened(gateways, engines(Tones())) as gateway, client(gateway.port) as one:
        await one.update(audio=MANUAL)
        await one.append(bytes(48_000))
        await one.update(audio={"input": {"turn_detection": {"type": "server_vad"}}})
        await one.update(audio=MANUAL)
        await one.send("input_audio_buffer.commit")
        assert (await one.error())["code"] == "input_audio_buffer_commit_empty"


async def test_who_says_nothing_for_long_is_asked(gateways: list[Any], voice: Synthesizer) -> None:
    model = Script(quick)
    async with opened(gateways, engines(voice, model)) as gateway, client(gateway.port) as one:
        asked = {"turn_detection": {"idle_timeout_ms": 5000}, "transcription": {"model": "whisper-1"}}
        session = await one.update(audio={"input": asked})
        assert session["audio"]["input"]["turn_detection"]["idle_timeout_ms"] == 5000
        await one.speak(silence(7), paced=False)
        await one.alive()
        assert not one.of("input_audio_buffer.timeout_triggered"), "nothing was answered yet"
        await one.write("How are you?")
        await one.send("response.create")
        await done(one)
        played = len(one.sound()) / RATE
        await one.speak(silence(played + 1))  # while it is played, and a moment after
        sent = 7 + played + 1
        await one.alive()
        assert not one.of("input_audio_buffer.timeout_triggered")
        start = len(one.events)
        await one.speak(silence(5), paced=False)
        triggered = await one.until("input_audio_buffer.timeout_triggered")
        assert abs(triggered["audio_end_ms"] - triggered["audio_start_ms"] - 5000) <= 100
        assert abs(triggered["audio_start_ms"] / 1000 - sent) < 1
        await done(one)
        kinds = plain(one.events[start:])
        turn = ["timeout_triggered", "committed"]
        assert kinds == [f"input_audio_buffer.{kind}" for kind in turn] + SPOKEN[2:3] + SPOKEN[8:9] + SPOKEN
        committed = one.of("input_audio_buffer.committed")[0]
        assert committed["item_id"] == triggered["item_id"]
        assert "nothing" in model.asked[-1][-1]
        await one.send("conversation.item.retrieve", item_id=triggered["item_id"])
        item = (await one.until("conversation.item.retrieved"))["item"]
        assert item["content"] == [{"type": "input_audio", "transcript": None}]


async def test_speech_that_is_faster_is_heard_and_truncated_at_its_own_pace(
    gateways: list[Any], voice: Synthesizer
) -> None:
    async def counts() -> AsyncIterator[str]:
        yield "One two three four five six seven eight nine ten."

    lengths, kept = [], []
    model = Script(counts)
    async with opened(gateways, engines(voice, model)) as gateway:
        for speed in (1.0, 1.5, 0.5):
            async with client(gateway.port) as one:
                session = await one.update(audio={"output": {"speed": speed}})
                assert session["audio"]["output"]["speed"] == speed
                await one.write("Count!")
                await one.send("response.create")
                item = (await done(one))["output"][0]["id"]
                lengths.append(len(one.sound()) / RATE * speed)
                half_ms = len(one.sound()) * 500 // RATE
                await one.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=half_ms)
                assert (await one.until("conversation.item.truncated"))["audio_end_ms"] == half_ms
                await one.send("conversation.item.retrieve", item_id=item)
                text = (await one.until("conversation.item.retrieved"))["item"]["content"][0]["transcript"]
                kept.append(len(text.split()))
    assert max(lengths) < 1.25 * min(lengths), "so many times as fast"
    assert max(kept) - min(kept) <= 1, "half of the sound is half of the words at every pace"


async def test_a_transcription_session_only_listens(gateways: list[Any], voice: Synthesizer, say: Say) -> None:
    model = Script(quick)
    async with opened(gateways, engines(voice, model)) as gateway:
        async with client(gateway.port, "?intent=transcription") as one:
            session = one.events[0]["session"]
            assert (session["type"], session["object"]) == ("transcription", "realtime.transcription_session")
            assert set(session) == {"type", "object", "id", "expires_at", "audio", "include"}
            assert set(session["audio"]) == {"input"}
            vad = {"type": "server_vad", "silence_duration_ms": 400}
            await one.send(
                "session.update", session={"type": "transcription", "audio": {"input": {"turn_detection": vad}}}
            )
            shown = (await one.until("session.updated"))["session"]["audio"]["input"]["turn_detection"]
            assert shown == {**vad, "threshold": 0.5, "prefix_padding_ms": 300}
            start = len(one.events)
            await one.speak(np.concatenate((silence(0.5), say("How are you today?"), silence(1.5))))
            heard = await one.until("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"] == "hello there"
            await one.alive()
            kinds = one.events[start:]
            assert not [event for event in kinds if event["type"].startswith("response")]
            assert [
                event["type"] for event in kinds if event["type"].endswith(("_started", "_stopped", "committed"))
            ] == [f"input_audio_buffer.{kind}" for kind in ("speech_started", "speech_stopped", "committed")]
            await one.send("response.create")
            assert (await one.error())["code"] == "unsupported"
            for change, param in (
                ({"instructions": "Answer!"}, "session.instructions"),
                ({"audio": {"output": {"speed": 1.5}}}, "session.audio.output"),
                ({"type": "realtime"}, "session.type"),
            ):
                await one.send("session.update", session={"type": "transcription", **change})
                assert (await one.error())["param"] == param
            no_vad = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
            await one.send("session.update", session=no_vad)
            await one.until("session.updated")
            await one.speak(say("How are you today?"), paced=False)
            await one.send("input_audio_buffer.commit")
            await one.until("conversation.item.input_audio_transcription.completed")
        async with client(gateway.port, "?model=whisper-1") as one:  # as those do that choose by their first update
            await one.send("session.update", session={"type": "transcription"})
            assert (await one.until("session.updated"))["session"]["type"] == "transcription"
    assert not model.asked
    assert not model.read


async def test_sound_that_is_put_in_while_a_turn_seems_over_is_known_to_its_reply(
    gateways: list[Any], say: Say
) -> None:
    model = Script(quick)
    async with opened(gateways, engines(Tones(), model)) as gateway, client(gateway.port) as one:
        await one.update(audio={"input": {"turn_detection": {"silence_duration_ms": 3000}}})
        asking = asyncio.create_task(one.speak(np.concatenate((say("How are you today?"), silence(5)))))
        async with asyncio.timeout(10):
            while not model.asked:
                await asyncio.sleep(0.01)
        assert not one.of("input_audio_buffer.committed")
        sound = base64.b64encode(bytes(48_000)).decode()
        part = {"type": "input_audio", "audio": sound}
        await one.send("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        await done(one)
        assert model.asked[-1][-2:] == ["hello there", "hello there"], model.asked
        asking.cancel()
