"""No call blocks an event loop: a probe watches the daemon's loop while a whole conversation runs on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import numpy as np
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from speech import Say, silence

from antiphon.audio import vad
from antiphon.audio.pcm import RATE
from antiphon.settings import Llm
from antiphon.wire.link import ask_info
from antiphon_daemon.app import build_engines, serving
from antiphon_daemon.ask import Asker
from antiphon_daemon.conversation.conversation import Conversation
from antiphon_daemon.conversation.memory import new_memory

from .conftest import quiet_settings
from .test_services import events_until


@pytest.fixture
def probe() -> Iterator[BlockBuster]:
    """Make every call that blocks a running loop an error: sleeps, files, sockets, locks, processes."""
    with blockbuster_ctx() as watching:
        yield watching


async def test_the_probe_sees_a_blocking_call(probe: BlockBuster) -> None:
    with pytest.raises(Exception, match="time.sleep"):
        time.sleep(0.01)  # noqa: ASYNC251 - the call that the probe must see


async def test_nothing_in_a_conversation_blocks_the_loop(say: Say, probe: BlockBuster, own_state: None) -> None:
    from wyoming.asr import Transcribe, Transcript
    from wyoming.audio import AudioStart, AudioStop
    from wyoming.tts import Synthesize

    from antiphon.wire.link import open_link

    from .test_services import send_all, send_sound

    sound = np.concatenate((silence(0.2), say("What is the capital of France?"), silence(0.2)))
    settings = quiet_settings(llm=Llm(temperature=0))
    engines = await build_engines(settings)
    try:
        async with serving(settings, engines) as servers:
            uris = {name: f"tcp://127.0.0.1:{server.port}" for name, server in servers.items()}
            for uri in uris.values():
                await ask_info(uri)
            async with await open_link(uris["asr"]) as asr:
                await send_all(asr, Transcribe(language="en"), AudioStart(rate=RATE, width=2, channels=1))
                await send_sound(asr, sound)
                await send_all(asr, AudioStop())
                assert (await events_until(asr, "transcript", "error"))[-1].type == "transcript"
            async with await open_link(uris["tts"]) as tts:
                await send_all(tts, Synthesize(text="Hello. How are you?"))
                assert (await events_until(tts, "audio-stop", "error"))[-1].type == "audio-stop"
            async with await open_link(uris["handle"]) as handle:
                await send_all(handle, Transcript(text="What is the capital of France?", language="en"))
                assert (await events_until(handle, "handled", "error", "not-handled"))[-1].type == "handled"
        asker = Asker()
        conversation = Conversation(engines, settings, asker, vad.load(), new_memory(settings, "en"))
        turn = asker.begin()
        conversation.open()
        for at in range(0, len(sound), RATE // 50):
            conversation.hear(sound[at : at + RATE // 50])
            await asyncio.sleep(0)
        conversation.end()
        async with asyncio.timeout(30):
            await asker.done.wait()
        assert turn.failure is None
        assert turn.reply
        await conversation.close()
    finally:
        await engines.close()
