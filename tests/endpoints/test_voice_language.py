"""Numbers are spoken in the language of the voice that says them."""

from __future__ import annotations

from scripted import Tones
from wyoming.tts import Synthesize, SynthesizeVoice

from antiphon.wire.link import open_link
from antiphon.wire.server import Server
from antiphon_daemon.conversation.across import Across
from antiphon_daemon.endpoints import info
from antiphon_daemon.endpoints.tts import TtsHandler
from antiphon_daemon.engines.contracts import Voice
from antiphon_daemon.insight.turns import Turns

from .conftest import quiet_settings


async def test_a_voice_of_another_language_is_given_no_english_numbers() -> None:
    """Home Assistant names the voice of a pipeline, never a language."""
    voice = Tones()
    voice.voices = (Voice("amy", ("en",)), Voice("siwis", ("fr",)))
    settings = quiet_settings()
    server = Server(
        "tts",
        0,
        info=lambda: info.tts_info(voice),
        handler=lambda peer: TtsHandler(peer, voice, settings, Across(), Turns().of("tts", peer.host)),
        network=settings.network,
    )
    await server.start()
    async with await open_link(f"tcp://127.0.0.1:{server.port}") as link:
        await link.send(Synthesize(text="Il est 15 h 30.", voice=SynthesizeVoice(name="siwis")))
        while (await link.receive(5)).type != "audio-stop":
            pass
    await server.stop()
    assert voice.texts == ["Il est 15 h 30."], voice.texts
