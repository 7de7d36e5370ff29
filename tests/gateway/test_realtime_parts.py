"""The parts of `/v1/realtime` that need no session: fields, items, sound, secrets, and a model made to call a tool."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, MutableMapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
from scripted import Ears, Script, quick

from antiphon.audio.pcm import RATE, Samples, to_bytes
from antiphon.audio.vad import SPEECH
from antiphon.settings import Deadlines, Settings
from antiphon_daemon.conversation.heard import Clause
from antiphon_daemon.conversation.spoken import spoken
from antiphon_daemon.conversation.tool_calls import written
from antiphon_daemon.engines.contracts import EngineError, Engines, Message, TextDelta, Tool, ToolCall, Voice, Work
from antiphon_daemon.engines.llm import forcing
from antiphon_daemon.engines.llm.chain import Chain
from antiphon_daemon.engines.work import Token
from antiphon_daemon.gateway.outbox import Outbox
from antiphon_daemon.gateway.realtime import config as fields
from antiphon_daemon.gateway.realtime.audio import Decoder, Encoder, HalfASample, Kept, Kind, decoder
from antiphon_daemon.gateway.realtime.creating import created
from antiphon_daemon.gateway.realtime.detection import EAGERNESS, Threshold, settings_for
from antiphon_daemon.gateway.realtime.items import ITEMS_MOST, Item, Items, Sound, told
from antiphon_daemon.gateway.realtime.response import Response
from antiphon_daemon.gateway.realtime.secrets import MOST, Full, Secrets
from antiphon_daemon.gateway.realtime.talk import Talk
from antiphon_daemon.gateway.realtime.wire import Refusal, parsed


class Voices:
    """What a synthesizer says of itself."""

    name, rate = "voices", 22_050
    voices = (Voice("joe", ("en",)), Voice("kim", ("ko",)))


ENGINES = Engines(Ears(), Script(quick), cast(Any, Voices()))
CONFIG = fields.default("joe", "Be brief.")
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def changed(change: dict[str, Any], config: fields.SessionConfig = CONFIG) -> dict[str, Any]:
    return fields.updated(config, change, ENGINES).shown()


def test_the_fields_of_a_session_that_says_nothing() -> None:
    shown = CONFIG.shown()
    assert shown["type"] == "realtime"
    assert shown["output_modalities"] == ["audio"]
    assert shown["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "noise_reduction": None,
        "transcription": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
            "idle_timeout_ms": None,
            "create_response": True,
            "interrupt_response": True,
        },
    }
    assert shown["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "joe", "speed": 1.0}
    assert (shown["tools"], shown["tool_choice"], shown["max_output_tokens"]) == ([], "auto", "inf")


def test_a_partial_update_leaves_the_rest_as_it_is() -> None:
    first = fields.updated(CONFIG, {"audio": {"input": {"turn_detection": {"silence_duration_ms": 700}}}}, ENGINES)
    both = changed({"audio": {"input": {"turn_detection": {"create_response": False}}}, "tools": [WEATHER]}, first)
    detection = both["audio"]["input"]["turn_detection"]
    assert (detection["silence_duration_ms"], detection["create_response"]) == (700, False)
    assert both["instructions"] == "Be brief."
    assert [tool["name"] for tool in both["tools"]] == ["weather"]
    other = changed({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}, first)
    assert other["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }


def test_what_cannot_be_is_brought_to_the_nearest_that_can_and_shown() -> None:
    vad = {"threshold": 0, "silence_duration_ms": 60_000, "prefix_padding_ms": 9000, "idle_timeout_ms": 6000}
    shown = changed(
        {
            "audio": {"input": {"turn_detection": vad}, "output": {"speed": 1.5, "voice": "marin"}},
            "output_modalities": ["text", "audio"],
            "truncation": "disabled",
            "id": "sess_1",
            "expires_at": 5,
        }
    )
    found = shown["audio"]["input"]["turn_detection"]
    assert (found["threshold"], found["silence_duration_ms"], found["prefix_padding_ms"]) == (0.1, 5000, 500)
    assert found["idle_timeout_ms"] == 6000
    assert (shown["audio"]["output"]["speed"], shown["audio"]["output"]["voice"]) == (1.5, "joe")
    assert (shown["output_modalities"], shown["truncation"]) == (["audio"], "auto")


INPUT, OUTPUT, VAD = "audio.input.", "audio.output.", "audio.input.turn_detection"


@pytest.mark.parametrize(
    ("at", "value", "code", "more"),
    [
        ("colour", "red", "unknown_parameter", ""),
        ("type", "telepathy", "invalid_value", ""),
        (VAD, {"idle_timeout_ms": 400}, "invalid_value", ".idle_timeout_ms"),
        ("output_modalities", ["video"], "invalid_value", ".0"),
        ("output_modalities", [], "invalid_value", ""),
        ("audio", 5, "invalid_value", ""),
        (INPUT + "format", {"type": "audio/pcm", "rate": 16000}, "invalid_value", ".rate"),
        (INPUT + "format", {"type": "audio/opus"}, "invalid_value", ""),
        (INPUT + "transcription", {"language": "tlh"}, "invalid_value", ".language"),
        (VAD, {"threshold": 2}, "invalid_value", ".threshold"),
        (VAD, {"type": "psychic"}, "invalid_value", ""),
        (OUTPUT + "voice", "nobody", "invalid_value", ""),
        (OUTPUT + "speed", 3, "invalid_value", ""),
        ("tools", [{"type": "function"}], "missing_required_parameter", ".0.name"),
        ("tools", [{"type": "mcp"}], "unsupported", ""),
        ("tool_choice", {"type": "function", "name": "weather"}, "invalid_value", ""),
        ("max_output_tokens", 0, "invalid_value", ""),
        ("tool_choice", {"type": "function"}, "missing_required_parameter", ".name"),
        ("tool_choice", {"type": "tool", "name": "weather"}, "invalid_value", ".type"),
        ("tool_choice", "sometimes", "invalid_value", ""),
        ("tools", [{"type": "web_search"}], "invalid_value", ".0.type"),
        (INPUT + "format", {"type": "audio/pcm", "rate": 8000, "channels": 1}, "invalid_value", ".rate"),
        (OUTPUT + "voice", 5, "invalid_value", ""),
        (OUTPUT + "voice", {"name": "joe"}, "missing_required_parameter", ".id"),
        (OUTPUT + "voice", {"id": 5}, "invalid_value", ".id"),
        ("instructions", "a" * 40_000, "invalid_value", ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_had_names_the_field(at: str, value: Any, code: str, more: str) -> None:
    for name in reversed(at.split(".")):
        value = {name: value}
    with pytest.raises(Refusal) as caught:
        fields.updated(CONFIG, value, ENGINES)
    assert (caught.value.code, caught.value.param) == (code, f"session.{at}{more}")
    assert at in str(caught.value)


def test_a_field_of_the_beta_is_told_by_its_name_of_now() -> None:
    with pytest.raises(Refusal, match=r"^session\.modalities: .* it is output_modalities now$"):
        fields.updated(CONFIG, {"modalities": ["text", "audio"]}, ENGINES)


def test_too_many_tokens_are_told_how_many_there_may_be() -> None:
    with pytest.raises(Refusal, match="4096") as caught:
        fields.updated(CONFIG, {"max_output_tokens": 5000}, ENGINES)
    assert caught.value.param == "session.max_output_tokens"


def test_of_transcription_only_what_was_set_is_shown_beyond_what_every_program_knows() -> None:
    def shown(transcription: dict[str, Any], kind: str = "realtime") -> Any:
        session = changed({"type": kind, "audio": {"input": {"transcription": transcription}}})
        return session["audio"]["input"]["transcription"]

    plain = {"model": "whisper-1", "language": None, "prompt": None}
    assert shown({"model": "whisper-1"}) == shown({"model": "whisper-1"}, "transcription") == plain
    assert shown({"model": "whisper-1", "keywords": ["Antiphon"]}) == {**plain, "keywords": ["Antiphon"]}


def test_functions_of_a_response_leave_no_choice_that_was_made_among_others() -> None:
    choice = {"type": "function", "name": "weather"}
    session = fields.updated(CONFIG, {"tools": [WEATHER], "tool_choice": choice}, ENGINES)
    _, none = fields.wished(session, {"tools": []}, ENGINES, "Be brief.")
    assert (none.manner().tools, none.manner().forced) == ([], False)
    _, others = fields.wished(session, {"tools": [{**WEATHER, "name": "time"}]}, ENGINES, "Be brief.")
    assert ([tool.name for tool in others.manner().tools], others.manner().forced) == (["time"], False)
    _, same = fields.wished(session, {"tools": [WEATHER]}, ENGINES, "Be brief.")
    assert same.manner().forced
    with pytest.raises(Refusal):
        fields.wished(session, {"tools": [], "tool_choice": choice}, ENGINES, "Be brief.")


def test_functions_that_take_the_place_of_others_leave_no_choice_that_was_made_among_those() -> None:
    choice = {"type": "function", "name": "weather"}
    session = fields.updated(CONFIG, {"tools": [WEATHER], "tool_choice": choice}, ENGINES)
    others = changed({"tools": [{**WEATHER, "name": "time"}], "instructions": "Be late."}, session)
    assert ([tool["name"] for tool in others["tools"]], others["tool_choice"]) == (["time"], "auto")
    assert others["instructions"] == "Be late."
    assert changed({"tools": []}, session)["tool_choice"] == "auto"
    assert changed({"tools": [WEATHER, {**WEATHER, "name": "time"}]}, session)["tool_choice"] == choice
    with pytest.raises(Refusal, match="there is no function 'weather'"):
        changed({"tools": [], "tool_choice": choice}, session)


def test_a_response_may_wish_for_itself_what_the_session_has_otherwise() -> None:
    wish, shape = fields.wished(
        CONFIG,
        {
            "conversation": "none",
            "instructions": "Say yes.",
            "output_modalities": ["text"],
            "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "kim"}},
            "tools": [WEATHER],
            "tool_choice": {"type": "function", "name": "weather"},
            "max_output_tokens": 7,
            "metadata": {"of": "me"},
        },
        ENGINES,
        "Be brief.",
    )
    assert (wish.conversation, shape.aloud, shape.kind, shape.voice) == ("none", False, "audio/pcmu", "kim")
    manner = shape.manner()
    assert (manner.forced, manner.tokens, manner.skills, manner.aloud) == (True, 7, False, False)
    assert [tool.name for tool in manner.tools] == ["weather"]
    _, plain = fields.wished(CONFIG, {}, ENGINES, "Be brief.")
    assert plain.manner().skills, "who says nothing talks with the assistant of the house"
    _, none = fields.wished(CONFIG, {"tools": [WEATHER], "tool_choice": "none"}, ENGINES, "Be brief.")
    assert not none.manner().tools
    with pytest.raises(Refusal) as caught:
        fields.wished(CONFIG, {"conversation": "mine"}, ENGINES, "")
    assert caught.value.param == "response.conversation"


def test_turn_detection_is_the_policy_of_the_conversation() -> None:
    house = Settings()
    silent = fields.updated(CONFIG, {"audio": {"input": {"turn_detection": {"silence_duration_ms": 300}}}}, ENGINES)
    turn = settings_for(silent, house).turn
    assert (turn.likely_ms, turn.unknown_ms, turn.silence_ms) == (300, 300, 300)
    waits = []
    for eagerness in ("high", "medium", "low", "auto"):
        asked = {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness}}}}
        turn = settings_for(fields.updated(CONFIG, asked, ENGINES), house).turn
        waits.append((turn.likely_ms, turn.silence_ms, turn.likely))
    assert waits[:3] == sorted(waits[:3]), "the less eager waits longer, and wants to be surer"
    assert [silence for _, silence, _ in waits] == [2000, 4000, 8000, 4000]
    assert waits[3][0] == EAGERNESS["medium"].likely_ms
    words = {"audio": {"input": {"transcription": {"language": "en", "keywords": ["Antiphon"]}}}}
    told = settings_for(fields.updated(CONFIG, words, ENGINES), house)
    assert "Antiphon" in told.stt.hints
    assert not house.stt.hints


def test_a_threshold_is_where_speech_begins() -> None:
    class Sure:
        said = 0.0

        def probability(self, frame: Samples) -> float:
            return self.said

        def reset(self) -> None: ...

    sure = Sure()
    judge = Threshold(sure)
    for at, below, above in ((0.5, 0.49, 0.5), (0.9, 0.85, 0.9), (0.1, 0.09, 0.11)):
        judge.at = at
        sure.said = below
        assert judge.probability(np.zeros(512, dtype=np.float32)) < SPEECH
        sure.said = above
        assert judge.probability(np.zeros(512, dtype=np.float32)) >= SPEECH - 1e-9
        for said in (0.0, 1.0):
            sure.said = said
            assert judge.probability(np.zeros(512, dtype=np.float32)) == pytest.approx(said)


def tone(rate: int, seconds: float = 1.0) -> Samples:
    return (0.25 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize(("kind", "size"), [("audio/pcm", 48_000), ("audio/pcmu", 8_000), ("audio/pcma", 8_000)])
def test_sound_survives_its_format_in_pieces_of_any_length(kind: Kind, size: int) -> None:
    encoder, pcm = Encoder(kind, 22_050), to_bytes(tone(22_050))
    wire = b"".join(encoder.feed(pcm[at : at + 1234]) for at in range(0, len(pcm), 1234)) + encoder.end()
    assert abs(len(wire) - size) < size // 100
    ears: Decoder = decoder(kind)
    step = 602
    heard = np.concatenate([*(ears.feed(wire[at : at + step]) for at in range(0, len(wire), step)), ears.end()])
    assert abs(len(heard) - RATE) < RATE // 100
    spectrum = np.abs(np.fft.rfft(heard))
    assert abs(np.argmax(spectrum) * RATE / len(heard) - 440) < 3
    assert np.max(np.abs(heard)) == pytest.approx(0.25, abs=0.02)


def test_half_a_sample_is_none_and_spoils_nothing() -> None:
    ears = decoder("audio/pcm")
    with pytest.raises(HalfASample):
        ears.feed(b"\x01\x02\x03")
    assert not len(ears.feed(b""))


@pytest.mark.parametrize("size", [0, 1, 333, 1600, 7001, 40_000])
def test_of_sound_that_is_kept_the_oldest_goes(size: int) -> None:
    kept, most = Kept(), RATE
    sound = np.arange(2 * RATE, dtype=np.float32)
    for at in range(0, len(sound), size or len(sound)):
        kept.put(sound[at : at + size], most)
    assert np.array_equal(kept.whole(), sound[-most:] if size else sound[:0])
    assert len(kept._pieces) <= 12, "however small it comes"
    kept.clear()
    kept.put(sound[:5], most)
    assert np.array_equal(kept.whole(), sound[:5])


def clauses(*texts: str) -> list[Clause]:
    """Return clauses of a second each, with 200 ms of silence between them, at 1000 Hz."""
    return [Clause(spoken(text, "en"), 1000, 200) for text in texts]


def said(*texts: str) -> Item:
    item = Item(role="assistant", part="output_audio", text="".join(texts))
    item.sound = Sound(clauses(*texts), 1000)
    return item


@pytest.mark.parametrize(
    ("ms", "kept", "text"),
    [
        (0, 0, ""),
        (500, 500, "One two"),
        (1100, 1100, "One two three four."),
        (1700, 1700, "One two three four. Five six"),
        (99_999, 2400, "One two three four. Five six seven eight."),
    ],
)
def test_a_spoken_item_is_cut_to_the_words_that_were_heard(ms: int, kept: int, text: str) -> None:
    item = said("One two three four.", " Five six seven eight.")
    assert item.truncate(ms) == kept
    assert item.text == text
    assert [message.text for message in item.messages()] == ([text] if text else [])


def test_what_was_cut_does_not_come_back_with_a_later_truncation() -> None:
    item = said("One two three four.", " Five six seven eight.")
    assert [item.truncate(ms) for ms in (1100, 1700, 99_999, 500)] == [1100, 1100, 1100, 500]
    assert item.text == "One two"


def test_a_reply_that_is_truncated_before_its_first_sound_was_not_heard_and_is_not_told() -> None:
    item = Item(role="assistant", part="output_audio", text="One two three four.")
    assert (item.truncate(500), item.text, item.messages()) == (0, "", [])


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"city": "Paris"}', {"city": "Paris"}),
        ("", {}),
        ("{Paris", {"arguments": "{Paris"}),
        ("5", {"arguments": "5"}),
    ],
)
def test_a_call_that_a_client_has_written_wrong_is_told_as_it_is(arguments: str, given: dict[str, Any]) -> None:
    item = Item("function_call", name="weather", call_id="1", arguments=arguments)
    assert item.call() == ToolCall("1", "weather", given)


def test_what_is_told_in_place_of_words_gives_way_to_them_and_an_apology_is_not_told() -> None:
    item = Item(part="input_audio", text=None, instead="(unheard)")
    assert [message.text for message in item.messages()] == ["(unheard)"]
    item.text = "Hello."
    assert [message.text for message in item.messages()] == ["Hello."]
    assert not Item(role="assistant", text="I cannot reach the language model.", told=False).messages()


@pytest.mark.parametrize("item", [Item(), Item(role="assistant", part="output_text"), Item("function_call")])
def test_only_what_was_spoken_can_be_truncated(item: Item) -> None:
    with pytest.raises(Refusal):
        item.truncate(100)


def test_what_was_not_heard_of_a_reply_the_model_is_not_told_unless_the_client_has_said_better() -> None:
    items = Items("Be brief.", 1000)
    items.add(Item(text="Count!"))
    items.speaking = item = said("One two three four.")
    items.add(item)
    items.remember("Count!", "One two", interrupted=True)
    assert [message.text for message in items.messages("And?")] == ["Be brief.", "Count!", "One two", "And?"]
    assert [message.interrupted for message in items.messages("And?")] == [False, False, True, False]
    item.truncate(250)
    items.remember("Count!", "One two three", interrupted=True)
    assert [message.text for message in items.history()] == ["Be brief.", "Count!", "One"]
    assert items.history("Otherwise.")[0].text == "Otherwise."


def test_a_reply_that_was_heard_out_is_told_whole_and_not_as_interrupted() -> None:
    items = Items("", 1000)
    items.speaking = item = said("One two three four.")
    items.add(item)
    assert not items.remember("Count!", item.text or "", whole=item.text)
    (told_of,) = items.history()
    assert (told_of.text, told_of.interrupted) == ("One two three four.", False)
    item.truncate(250)
    items.remember("Count!", "One two three", interrupted=True)
    assert [message.text for message in items.history()] == ["One"], "the client knows better"


def test_what_was_forgotten_is_not_told_and_what_comes_then_is() -> None:
    items = Items("Be brief.", 1000)
    items.add(Item(text="My name is Kim."))
    items.forget()
    items.add(Item(text="Hello.", id="hello"), "root")
    items.add(Item(text="Who am I?"))
    assert [message.text for message in items.history()] == ["Be brief.", "Who am I?"]
    assert len(items) == 3, "the client's items stay"
    items.remove(items.find("hello"))
    assert [message.text for message in items.history()] == ["Be brief.", "Who am I?"]


def test_the_oldest_items_are_not_told_beyond_the_budget_and_calls_only_with_what_came_of_them() -> None:
    items = Items("", 60)
    for number in range(12):
        items.add(Item(text=f"This is number {number}."))
    texts = [message.text for message in items.history()]
    assert 1 < len(texts) < 12
    assert texts[-1] == "This is number 11."
    items = Items("", 1000)
    items.add(Item("function_call", call_id="c1", name="weather", arguments='{"city": "Paris"}'))
    assert not items.history(), "a call that nothing has come of yet confuses models"
    items.add(Item("function_call_output", call_id="c1", text="sunny"))
    call, output = items.history()
    assert (call.tool_calls[0].arguments, output.text, output.tool_call_id) == ({"city": "Paris"}, "sunny", "c1")


def call(call_id: str) -> Item:
    return Item("function_call", call_id=call_id, name="weather", arguments="{}")


def output(call_id: str, text: str = "sunny") -> Item:
    return Item("function_call_output", call_id=call_id, text=text)


def outline(messages: Sequence[Message]) -> list[str]:
    """Return messages in short: what was said, (calls), =what came of one."""
    return [
        f"={message.tool_call_id}" if message.role == "tool" else message.text or f"({_ids(message)})"
        for message in messages
    ]


def _ids(message: Message) -> str:
    return " ".join(called.id for called in message.tool_calls)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([call("a"), call("b"), output("a"), output("b")], ["(a b)", "=a", "=b"]),
        ([call("a"), call("b"), output("b"), output("a")], ["(b a)", "=b", "=a"]),
        ([call("a"), output("a"), call("b"), output("b")], ["(a)", "=a", "(b)", "=b"]),
        ([call("a"), Item(text="Hello?"), output("a")], ["Hello?", "(a)", "=a"]),
        ([call("a"), call("b"), output("a"), Item(text="And?"), output("b")], ["(a)", "=a", "And?", "(b)", "=b"]),
        ([Item(role="assistant", text="Let me look."), call("a"), output("a")], ["Let me look.", "(a)", "=a"]),
        ([call("a"), call("b"), output("b")], ["(b)", "=b"]),
        ([call("a"), output("a"), output("a")], ["(a)", "=a"]),
        ([call("a"), output("a"), Item(text="Again!"), call("a"), output("a")], ["(a)", "=a", "Again!", "(a)", "=a"]),
        ([output("a"), Item(text="Hello?")], ["Hello?"]),
        ([output("a"), call("a")], []),
    ],
    ids=lambda value: " ".join(str(one) for one in value if isinstance(one, str)),
)
def test_a_call_is_told_with_what_came_of_it_and_where_that_came(items: list[Item], expected: list[str]) -> None:
    assert outline(told(items)) == expected


def test_the_oldest_items_go_without_parting_a_call_from_what_came_of_it() -> None:
    items = Items("", 40)
    items.add(Item(text="How is the weather in Paris? " * 4))
    items.add(call("a"))
    items.add(Item(text="Are you there? " * 4))
    items.add(output("a", "It is sunny, and rather warm for the season. " * 3))
    assert outline(items.history()) == ["(a)", "=a"]


def test_items_have_an_order_and_a_bound() -> None:
    items = Items("", 1000)
    for name in ("a", "b", "c"):
        items.add(Item(id=name))
    assert items.add(Item(id="first"), "root")[0] is None
    assert items.add(Item(id="after"), "a")[0] == "a"
    with pytest.raises(Refusal):
        items.add(Item(id="b"))
    with pytest.raises(Refusal):
        items.add(Item(id="d"), "nobody")
    gone = None
    for _ in range(ITEMS_MOST):
        gone = items.add(Item())[1] or gone
    assert gone is not None
    assert len(items) == ITEMS_MOST


def message(content: Any, role: str = "user", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content, **fields}


TEXT = {"type": "input_text", "text": "x"}


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({}, "type"),
        ({"type": "song"}, "type"),
        (message([TEXT], role="robot"), "role"),
        (message([]), "content"),
        (message("hi"), "content"),
        (message([5]), "content.0"),
        (message([{"type": "input_image", "image_url": "x"}]), "content.0.type"),
        (message([TEXT], role="assistant"), "content.0.type"),
        (message([{"type": "input_text"}]), "content.0.text"),
        (message([{"type": "input_text", "text": "a" * 40_000}]), "content"),
        (message([{"type": "input_audio", "audio": "%%%"}]), "content.0.audio"),
        (message([TEXT, {"type": "input_audio", "audio": "AAAA"}]), "content"),
        (message([TEXT], id="x" * 65), "id"),
        ({"type": "function_call_output", "call_id": "c"}, "output"),
        ({"type": "function_call_output", "output": "c"}, "call_id"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_item_that_is_none_names_the_field(item: dict[str, Any], param: str) -> None:
    with pytest.raises(Refusal) as caught:
        created(item)
    assert caught.value.param == f"item.{param}"


def test_a_spoken_reply_is_put_back_as_it_was_shown() -> None:
    item, sound = created({**said("One two three four.").shown(), "id": "again"})
    assert (item.role, item.text, sound) == ("assistant", "One two three four.", b"")
    assert [one.text for one in item.messages()] == ["One two three four."]
    with pytest.raises(Refusal) as caught:
        created(message([{"type": "output_audio", "audio": "AAAA"}], role="assistant"))
    assert caught.value.param == "item.content.0.transcript"


async def test_who_speaks_over_a_reply_does_not_silence_what_is_made_beside_it() -> None:
    outbox = Outbox()
    talk = Talk(ENGINES, Settings(), outbox)
    _, shape = talk.wished({"conversation": "none", "input": []})
    beside = Response(talk, shape, beside=True)
    beside.start()
    beside.began(RATE)
    beside.sound(bytes(2 * RATE))
    outbox.drop_sound()
    beside.ended("It is fine.")
    outbox.end()
    sent: list[Any] = []

    async def send(sending: MutableMapping[str, Any]) -> None:
        sent.append(json.loads(sending["text"]))

    await outbox.send_all(send)
    deltas = [base64.b64decode(event["delta"]) for event in sent if event["type"] == "response.output_audio.delta"]
    assert len(b"".join(deltas)) == 2 * 24_000
    assert sent[-1]["response"]["status"] == "completed"


@pytest.mark.parametrize("text", ["", "no", "[1]", "5", '{"a": 1}', '{"type": 5}', "[" * 100_000])
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        parsed(text)


def test_secrets_are_short_lived_and_not_too_many() -> None:
    now = [0.0]
    secrets = Secrets(lambda: now[0])
    secret = secrets.make({"instructions": "x"}, 60)
    assert secrets.find(secret.value) == secret
    assert secrets.find("ek_other") is None
    for _ in range(MOST - 1):
        secrets.make({})
    with pytest.raises(Full):
        secrets.make({})
    now[0] = 61.0
    assert secrets.find(secret.value) is None
    assert secrets.find(secrets.make({}).value) is not None


async def never(**_: Any) -> str:
    raise AssertionError("the peer's tools are run by the peer")


TOOL = Tool("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}}, never)


class Calls:
    """A language model that says something and then calls; `call` is what it does when it must."""

    name = "calls"

    def __init__(self) -> None:
        self.offered: list[list[str]] = []

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        self.offered.append([tool.name for tool in tools])
        yield TextDelta("Let me see.")
        yield ToolCall("c1", "weather", {"city": "Paris"})

    async def call(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool]) -> AsyncIterator[ToolCall]:
        yield ToolCall("c2", tools[0].name, {})

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None: ...

    async def check(self) -> None: ...

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


class Talks(Calls):
    """One that cannot be made to call."""

    name = "talks"
    call = None  # type: ignore[assignment]


async def test_of_several_models_the_first_that_can_be_made_to_calls() -> None:
    both = Chain([Talks(), Calls()], first_s=1)
    assert [call.id async for call in both.call([], Token(), tools=[TOOL])] == ["c2"]
    with pytest.raises(EngineError, match="cannot be made to call"):
        await anext(Chain([Talks()], first_s=1).call([], Token(), tools=[TOOL]))


async def test_a_call_of_the_peers_own_tools_ends_the_reply_and_runs_nothing() -> None:
    model, calls = Calls(), list[ToolCall]()
    told = written(model, [Message("user", "Weather?")], Token(), Deadlines(), tools=[TOOL], handed=calls)
    assert [text async for text in told] == ["Let me see."]
    assert [call.id for call in calls] == ["c1"]
    assert model.offered == [["weather"]]
    forced = written(model, [Message("user", "Hi")], Token(), Deadlines(), tools=[TOOL], handed=calls, forced=True)
    assert [text async for text in forced] == []
    assert [call.id for call in calls] == ["c1", "c2"]


async def test_a_model_that_cannot_be_made_to_call_says_so() -> None:
    told = written(Script(quick), [Message("user", "Hi")], Token(), Deadlines(), tools=[TOOL], handed=[], forced=True)
    with pytest.raises(EngineError, match="cannot be made to call"):
        await asyncio.wait_for(anext(told), 5)


def test_a_grammar_lets_a_model_write_nothing_but_a_call() -> None:
    shape = forcing.schema([TOOL])
    assert shape["properties"]["name"] == {"const": "weather"}
    assert shape["properties"]["arguments"]["properties"]["city"]["maxLength"] > 0
    assert len(forcing.schema([TOOL, TOOL])["anyOf"]) == 2
    call = forcing.call(json.dumps({"name": "weather", "arguments": {"city": "Paris"}}))
    assert (call.name, call.arguments) == ("weather", {"city": "Paris"})
    with pytest.raises(EngineError, match="did not finish"):
        forcing.call('{"name": "weather", "argu')
    told = forcing.plain(
        [
            Message("user", "Weather?"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "sunny", tool_call_id=call.id),
        ]
    )
    assert told[1] == {"role": "user", "content": "(weather answered: sunny)"}
    assert len(told) == 2
