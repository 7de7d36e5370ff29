"""What makes it work with Home Assistant at the first try, line by line: which test proves it, and those missing there.

The lines are those of the checklist at the end of the facts about Home Assistant, with their numbers.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import stand_in
from alone import ALONE
from proofs import absent, names
from scripted import Ears, Script, quick
from speech import Say, silence
from structlog.testing import capture_logs
from wyoming.event import Event
from wyoming.info import Info

from antiphon.audio.pcm import RATE, to_bytes
from antiphon.settings import Deadlines, Network, Settings, Turn
from antiphon.wire.discovery import Mdns
from antiphon.wire.link import Link, LinkError, open_link
from antiphon.wire.server import Connection, Server
from antiphon_daemon.app import serving
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.engines.contracts import Engines, Synthesizer
from antiphon_satellite.states import Limits

HERE = "house/test_checklist.py::"
SERVICES, WIRE, FOUND = "endpoints/test_services.py::", "ground/test_wire.py::", "ground/test_discovery.py::"
SATELLITE, STATES, TRAPS = "satellite/test_service.py::", "satellite/test_states.py::", "satellite/test_traps.py::"
EARS, BARGE_IN = "satellite/test_ears.py::", "satellite/test_bargein.py::"

# fmt: off
LINES: Mapping[str, Sequence[str]] = {
    "1 describe is answered at once at any load": (
        f"{SERVICES}test_describe_is_answered_while_every_engine_is_inside_its_work",
        f"{WIRE}test_describe_and_ping_are_answered_while_a_handler_is_busy",
        "endpoints/test_loop.py::test_nothing_in_a_conversation_blocks_the_loop",
    ),
    "1 info is whole, installed comes first, languages are few": (
        f"{HERE}test_info_is_whole_and_its_first_program_is_installed",
        f"{SERVICES}test_each_service_describes_itself_as_home_assistant_wants_it",
    ),
    "2 asr ends the turn itself and says so": (
        f"{SERVICES}test_the_turn_is_ended_here_without_audio_stop",
        f"{SERVICES}test_each_service_describes_itself_as_home_assistant_wants_it",
    ),
    "2 asr: a failure is an error with a code": (
        f"{HERE}test_hearing_that_fails_is_an_error_with_a_code",
        f"{SERVICES}test_a_language_that_the_model_does_not_know_is_refused",
    ),
    "2 asr: one transcript, late chunks are dropped": (
        f"{HERE}test_sound_after_the_transcript_is_dropped",
    ),
    "3 tts streams, and a repeated text is not spoken twice": (
        f"{SERVICES}test_streamed_text_is_spoken_before_it_is_whole",
        f"{HERE}test_speech_is_one_stream_in_one_format",
    ),
    "3 tts takes a text alone": (
        f"{SERVICES}test_text_becomes_speech_that_says_it",
    ),
    "3 tts: one start, one format, one stop, and stopped": (
        f"{HERE}test_speech_is_one_stream_in_one_format",
    ),
    "3 tts: a peer that leaves takes its work along": (
        "endpoints/test_bad_input.py::test_a_home_assistant_that_is_restarted_in_mid_reply_leaves_no_work_behind",
        f"{WIRE}test_work_is_cancelled_when_the_peer_leaves",
    ),
    "4 handle streams its answer and says it whole": (
        f"{SERVICES}test_a_question_is_answered_and_the_next_may_refer_to_it",
    ),
    "4 handle bears a peer that closes at handled": (
        f"{HERE}test_a_peer_that_closes_at_handled_is_no_fault",
    ),
    "4 handle has a deadline of its own": (
        f"{HERE}test_a_model_that_stalls_is_not_handled_and_no_hang",
    ),
    "4 handle keeps the conversation by its id, for five minutes": (
        f"{SERVICES}test_a_question_is_answered_and_the_next_may_refer_to_it",
        f"{SERVICES}test_no_room_hears_of_another",
        "conversation/test_text.py::test_a_conversation_is_remembered_until_five_silent_minutes",
    ),
    "5 vad tells when speech starts and stops": (
        f"{SERVICES}test_voices_come_and_go",
    ),
    "5 vad is not announced": (
        "endpoints/test_traps.py::test_trap_13_services_are_announced_when_they_answer_with_all_that_they_are",
        "network/test_advertised.py::"
        "test_the_daemon_is_told_by_its_real_addresses_over_either_protocol_and_says_goodbye",
    ),
    "6 a name of its own for each endpoint, kept over restarts": (
        f"{HERE}test_each_endpoint_has_its_own_name_that_stays",
        f"{FOUND}test_the_name_stays_over_restarts",
        f"{FOUND}test_a_copied_identity_is_noticed_and_replaced",
    ),
    "6 all addresses that can be reached, no others": (
        "network/test_advertised.py::"
        "test_the_daemon_is_told_by_its_real_addresses_over_either_protocol_and_says_goodbye",
        f"{FOUND}test_addresses_are_those_that_others_can_reach",
    ),
    "6 announced when it serves": (
        "endpoints/test_traps.py::test_trap_13_services_are_announced_when_they_answer_with_all_that_they_are",
        f"{TRAPS}test_trap_13_it_is_announced_when_it_answers_and_always_under_one_name",
    ),
    "6 announced anew when addresses change": (
        "network/test_advertised.py::test_the_satellite_follows_its_addresses_and_says_goodbye",
        f"{FOUND}test_announced_anew_when_addresses_change",
    ),
    "6 withdrawn at the end": (
        f"{FOUND}test_announced_found_and_withdrawn",
        "network/test_advertised.py::test_the_satellite_follows_its_addresses_and_says_goodbye",
    ),
    "7 the satellite describes itself to anybody": (
        f"{SATELLITE}test_it_describes_itself_to_anybody_while_a_controller_drives_it",
        f"{TRAPS}test_trap_11_polls_are_answered_beside_the_connection_that_drives_it",
    ),
    "7 of several controllers one drives": (
        f"{SATELLITE}test_two_controllers_one_drives_the_other_waits_and_takes_over",
        f"{SATELLITE}test_the_same_controller_replaces_its_half_open_connection",
        f"{TRAPS}test_two_home_assistants_one_drives_and_the_other_takes_over",
    ),
    "7 pings are answered while sound comes, reading never waits": (
        f"{SATELLITE}test_a_long_reply_is_read_as_fast_as_it_comes_and_pings_are_answered_meanwhile",
        f"{TRAPS}test_trap_5_sound_comes_as_fast_as_tcp_takes_it_and_pongs_come_all_the_same",
        f"{TRAPS}test_trap_6_nothing_waits_for_hooks",
    ),
    "7 events of several tasks go out whole": (
        f"{HERE}test_what_several_tasks_send_to_one_peer_comes_whole",
    ),
    "8 every state has a deadline and a way out": (
        f"{STATES}test_every_state_but_those_of_rest_has_a_deadline_and_it_leads_out",
        f"{HERE}test_deadlines_are_those_of_the_checklist",
        f"{TRAPS}test_trap_2_a_reply_that_is_empty_ends_by_the_satellites_own_deadline",
    ),
    "8 error, pause and lost peer lead to rest from anywhere": (
        f"{STATES}test_every_fault_of_a_turn_leads_to_rest_with_a_notice",
        f"{SATELLITE}test_an_error_ends_the_turn_with_a_cue_and_the_next_turn_works",
        f"{SATELLITE}test_losing_the_controller_in_a_turn_sounds_and_ends_it",
        f"{SATELLITE}test_pausing_mutes_until_the_same_controller_is_back",
    ),
    "9 a wake word: detection, run, and what is said at once": (
        f"{EARS}test_the_wake_word_starts_a_turn_that_begins_with_what_is_said_right_after",
        f"{EARS}test_others_hear_silence_before_what_follows_the_wake_word",
        f"{TRAPS}test_trap_8_the_wake_word_is_told_before_the_run_and_only_then",
    ),
    "9 a transcript, an error or the end of the voice stops the stream": (
        f"{TRAPS}test_trap_10_the_transcript_alone_ends_the_speech",
        f"{SATELLITE}test_an_error_ends_the_turn_with_a_cue_and_the_next_turn_works",
        f"{STATES}test_the_machine_does_what_the_table_says",
    ),
    "9 played is told when the device has played it": (
        f"{SATELLITE}test_played_is_told_after_the_device_has_played_it",
    ),
    "10 barge-in, with the traps 1 to 5": (
        f"{TRAPS}test_trap_1_no_run_is_asked_for_while_one_lives",
        f"{TRAPS}test_trap_2_a_reply_that_is_empty_ends_by_the_satellites_own_deadline",
        f"{TRAPS}test_traps_3_and_4_what_is_left_of_an_interrupted_reply_is_dropped",
        f"{TRAPS}test_trap_5_sound_comes_as_fast_as_tcp_takes_it_and_pongs_come_all_the_same",
        f"{BARGE_IN}test_speech_over_a_reply_stops_it_and_is_heard_from_before_its_beginning",
    ),
}
# fmt: on


def test_each_line_has_its_test() -> None:
    assert absent(itertools.chain.from_iterable(LINES.values())) == []


def test_each_trap_has_its_test() -> None:
    """There are fifteen; the name of a test tells which it is about."""
    told = names("satellite/test_traps.py") | names("endpoints/test_traps.py")
    numbers = {int(number) for name in told if "_trap" in name for number in re.findall(r"_(\d+)(?=_)", name)}
    assert numbers == set(range(1, 16))


@asynccontextmanager
async def house(
    voice: Synthesizer, model: Script | None = None, ears: Ears | None = None, **settings: object
) -> AsyncIterator[dict[str, str]]:
    """Serve with scripted ears and thoughts, and a real voice; yields the services' addresses."""
    given = Settings(**{**ALONE, "turn": Turn(unknown_ms=400), **settings})  # type: ignore[arg-type]
    async with serving(given, Engines(ears or Ears(), model or Script(quick), voice)) as servers:
        yield {name: f"tcp://127.0.0.1:{server.port}" for name, server in servers.items()}


async def until(link: Link, *kinds: str) -> list[Event]:
    found: list[Event] = []
    while not found or found[-1].type not in kinds:
        found.append(await link.receive(20))
    return found


async def test_info_is_whole_and_its_first_program_is_installed(voice: Synthesizer) -> None:
    """As it goes over the wire: what is required there is what other readers fail on."""
    parts = {"asr": "models", "tts": "voices", "handle": "models", "wake": "models"}
    async with house(voice) as uris:
        for kind, inner in parts.items():
            async with await open_link(uris[kind]) as link:
                await link.send(Event("describe"))
                (event,) = await until(link, "info")
            filled = {name for name, programs in event.data.items() if programs}
            assert filled == {kind}, "one port, one service, and never a satellite"
            program = event.data[kind][0]
            for one in (program, *program[inner]):
                assert one["installed"] is True
                assert set(one["attribution"]) == {"name", "url"}
                assert one["name"]
            assert program[inner]
            most = 8 if kind == "wake" else 4
            assert all(1 <= len(one["languages"]) <= most for one in program[inner])


async def test_hearing_that_fails_is_an_error_with_a_code(voice: Synthesizer, say: Say) -> None:
    async with house(voice, ears=Ears(fails=9)) as uris:
        asr = await stand_in.add(uris["asr"])
        with pytest.raises(stand_in.AssistError) as told:
            await stand_in.hear(asr, stand_in.microphone(say("What is this about?")), "en")
        assert told.value.code == "stt-stream-failed"
        assert told.value.text
        async with await open_link(uris["asr"]) as link:
            await _speak(link, say("What is this about?"))
            assert (await until(link, "error", "transcript"))[-1].data["code"] == "stt-failed"


async def _speak(link: Link, sound: object) -> None:
    form = {"rate": RATE, "width": 2, "channels": 1}
    await link.send(Event("transcribe", {"language": "en"}))
    await link.send(Event("audio-start", form))
    await link.send(Event("audio-chunk", form, to_bytes(sound)))  # type: ignore[arg-type]
    await link.send(Event("audio-stop"))


async def test_sound_after_the_transcript_is_dropped(voice: Synthesizer, say: Say) -> None:
    form = {"rate": RATE, "width": 2, "channels": 1}
    async with house(voice) as uris, await open_link(uris["asr"]) as link:
        await _speak(link, say("What is this about?"))
        kinds = [event.type for event in await until(link, "transcript-stop")]
        assert kinds.count("transcript") == 1
        for block in (say("And this is late."), silence(2)):
            for start in range(0, len(block), RATE // 100):
                await link.send(Event("audio-chunk", form, to_bytes(block[start : start + RATE // 100])))
        await link.send(Event("audio-stop"))
        await link.send(Event("ping", {"text": "still here"}))
        assert (await link.receive(5)).type == "pong"
        with pytest.raises(LinkError):
            await link.receive(1.0)


@pytest.mark.parametrize("streamed", [False, True])
async def test_speech_is_one_stream_in_one_format(voice: Synthesizer, streamed: bool) -> None:
    parts = ("One. ", "And here is the second sentence, ", "which is longer. ", "Three!")
    async with house(voice) as uris, await open_link(uris["tts"]) as link:
        if streamed:
            await link.send(Event("synthesize-start"))
            for part in parts:
                await link.send(Event("synthesize-chunk", {"text": part}))
        await link.send(Event("synthesize", {"text": "".join(parts)}))
        if streamed:
            await link.send(Event("synthesize-stop"))
        events = await until(link, "synthesize-stopped" if streamed else "audio-stop")
    kinds = [event.type for event in events]
    assert kinds.count("audio-start") == kinds.count("audio-stop") == 1
    assert kinds[0] == "audio-start"
    assert set(kinds[1 : kinds.index("audio-stop")]) == {"audio-chunk"}
    forms = {(e.data["rate"], e.data["width"], e.data["channels"]) for e in events if "rate" in (e.data or {})}
    assert forms == {(22_050, 2, 1)}
    seconds = sum(len(event.payload or b"") for event in events) / 2 / 22_050
    assert 2 < seconds < 7, "once, not twice"


async def test_a_peer_that_closes_at_handled_is_no_fault(voice: Synthesizer) -> None:
    with capture_logs() as logs:
        async with house(voice) as uris:
            handle = await stand_in.add(uris["handle"])
            for number in range(20):
                reply, _ = await stand_in.answer(handle, f"question {number}", "en", {"conversation_id": "one"})
                assert reply == "It is fine."
    assert not [line for line in logs if line["log_level"] in ("warning", "error")]


async def test_a_model_that_stalls_is_not_handled_and_no_hang(voice: Synthesizer) -> None:
    async def stall() -> AsyncIterator[str]:
        await asyncio.sleep(60)
        yield "too late"

    model = Script(stall)
    async with house(voice, model, deadlines=Deadlines(llm_first_s=0.5)) as uris:
        handle = await stand_in.add(uris["handle"])
        with pytest.raises(stand_in.AssistError) as told:
            async with asyncio.timeout(5):
                await stand_in.answer(handle, "hello", "en", {"conversation_id": "one"})
        assert (told.value.code, told.value.text) == ("intent-failed", message("llm", "en"))
        assert model.closed == 1


def test_each_endpoint_has_its_own_name_that_stays(tmp_path: Path) -> None:
    kinds = ("asr", "tts", "handle", "wake", "satellite")
    names = [Mdns(tmp_path).instance(kind) for kind in kinds]
    assert len(set(names)) == len(kinds)
    assert names == [Mdns(tmp_path).instance(kind) for kind in kinds]
    (tmp_path / "other").mkdir()
    assert not set(names) & {Mdns(tmp_path / "other").instance(kind) for kind in kinds}


async def test_what_several_tasks_send_to_one_peer_comes_whole() -> None:
    class Chatter:
        """Sends from many tasks at once, large and small."""

        def __init__(self, peer: Connection) -> None:
            self._peer = peer

        async def handle(self, event: Event) -> None:
            async def send(number: int) -> None:
                for turn in range(20):
                    payload = bytes([number]) * (1 + 7000 * (turn % 3))
                    await self._peer.send(Event("audio-chunk", {"number": number, "turn": turn}, payload))
                    self._peer.send_nowait(Event("pong", {"text": str(number)}))

            await asyncio.gather(*(send(number) for number in range(30)))

        async def gone(self) -> None: ...

    served = Server("chatter", 0, info=Info, handler=Chatter, network=Network(host="127.0.0.1"))
    await served.start()
    came: dict[int, list[int]] = {}
    async with await open_link(f"tcp://127.0.0.1:{served.port}") as link:
        await link.send(Event("go"))
        for _ in range(30 * 20 * 2):
            event = await link.receive(10)
            if event.type == "audio-chunk":
                assert set(event.payload or b"") == {event.data["number"]}
                came.setdefault(event.data["number"], []).append(event.data["turn"])
    await served.stop()
    assert came == {number: list(range(20)) for number in range(30)}


def test_deadlines_are_those_of_the_checklist() -> None:
    limits = Limits()
    assert 15 <= limits.stream_s <= 20
    assert limits.transcript_s == 30
    assert limits.reply_s == 60
