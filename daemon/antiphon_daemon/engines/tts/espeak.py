"""Speech made by the program espeak-ng: every language, no model; it sounds like a machine and is there at once.

One process for each sentence: what is not wanted any more is killed in the middle of a word, a text on which the
program crashes takes nothing else with it, and its licence (GPL-3) stays its own. Starting one takes ten milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import unicodedata
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping

from antiphon.settings import Tts
from antiphon_daemon.engines.contracts import EngineError, Revoked, Voice, Work
from antiphon_daemon.engines.tts.pieces import letters_apart
from antiphon_daemon.engines.tts.scripts import readable
from antiphon_daemon.engines.tts.wav import WavError, WavReader
from antiphon_daemon.engines.worker import revocable

PROGRAM = "espeak-ng"
RATE = 22_050
"""What its own voices are made at."""

WORDS_PER_MINUTE = 175
"""Its speed when nobody says otherwise."""
SLOWEST = 80
"""It does not speak slower."""

BLOCK_BYTES = 4096
"""A tenth of a second."""
OTHERS = 10
"""An accent that does not say how well it stands for its language stands behind those that do."""
MOST = 16
"""Sentences at the same time; a reply that waits longer helps nobody."""
WITHIN_S = 10.0
"""So long listing the voices may take."""

_LANGUAGE = re.compile(r"\(([^ ()]+) (\d+)\)")


class Espeak:
    """A `Synthesizer` on espeak-ng. Making one lists its voices, which blocks for some ten milliseconds.

    A voice is called as espeak-ng calls its language (`ko`, `en-us`, `en-gb-scotland`), and may be varied as there,
    with a plus (`ko+f2`). Where a text is in another language than the voice of the settings, that language's own
    voice speaks, varied in the same way.

    Args:
        settings: `voice` (`embedded`: the one of the house's language), `speaker` (the variant), `speed`.
        language: the language of the house.

    Raises:
        EngineError: the program does not work, or has no such voice or variant.
    """

    def __init__(self, settings: Tts, language: str) -> None:
        self._voices = _list_voices()
        self._variants = _list_variants()
        self._house = language
        self._running: set[Process] = set()
        self._closed = False
        self.rate = RATE
        self._take(settings)

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"{PROGRAM} {self._voice}"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """A voice for each language and accent, the one of the settings first."""
        own = self._voice.partition("+")[0]
        first = sorted(self._voices, key=lambda name: name != own)
        return tuple(Voice(name, tuple(self._voices[name])) for name in first)

    async def speak(self, text: str, work: Work, *, voice: str | None, language: str | None) -> AsyncIterator[bytes]:
        """Yield PCM as it is made; nothing where there is nothing to say."""
        chosen, speed = self._chosen(voice, language), self._speed
        said = speakable(readable(text, _plain(chosen.partition("+")[0])))
        if not said:
            return
        if len(self._running) >= MOST:
            raise EngineError("tts", "There is more to say here than this machine can keep up with: ask again.")
        if self._closed or not work.wanted():
            raise Revoked
        process = await self._start(chosen, speed)
        loop = asyncio.get_running_loop()

        def kill() -> None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

        def revoked() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile, and with it the process
                loop.call_soon_threadsafe(kill)

        self._running.add(process)
        forget = work.on_revoked(revoked)
        try:
            async for pcm in self._sound(process, said, work):
                yield pcm
        finally:
            forget()
            kill()
            await process.communicate()  # it is not over before its pipes are empty
            self._running.discard(process)

    async def tune(self, settings: Tts) -> None:
        """Speak with other settings from the next sentence on; what is being said ends as it began."""
        self._take(settings)

    async def close(self) -> None:
        """End what is being said."""
        self._closed = True
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def _take(self, settings: Tts) -> None:
        variant = f"+{settings.speaker}" if settings.speaker else ""
        self._voice = self._known(
            self._for_language(self._house, variant) if settings.voice == "embedded" else f"{settings.voice}{variant}"
        )
        self._speed = max(SLOWEST, round(WORDS_PER_MINUTE * settings.speed))

    def _known(self, voice: str) -> str:
        """Return `voice` if there is one of that name, and such a variant.

        Raises:
            EngineError: there is not.
        """
        name, plus, variant = voice.partition("+")
        if name not in self._voices:
            raise EngineError("tts", f"{PROGRAM} has no voice {name}: take one that espeak-ng --voices lists.")
        if plus and variant not in self._variants:
            says = f"{PROGRAM} has no variant {variant}: take one that espeak-ng --voices=variant lists."
            raise EngineError("tts", says)
        return voice

    def _chosen(self, voice: str | None, language: str | None) -> str:
        """Return the voice that speaks.

        Raises:
            EngineError: there is no such voice, or it does not speak `language`.
        """
        chosen = self._known(voice) if voice else self._voice
        name, plus, variant = chosen.partition("+")
        code = _plain(language) if language else ""
        if not code or code in self._voices[name]:
            return chosen
        if voice:
            raise EngineError("tts", f"The voice {voice} speaks {', '.join(self._voices[name])}, not {language}.")
        return self._for_language(code, plus + variant)

    def _for_language(self, language: str, variant: str) -> str:
        """Return the voice that is meant for `language`.

        Raises:
            EngineError: there is none.
        """
        ranks = {name: spoken[language] for name, spoken in self._voices.items() if language in spoken}
        if not ranks:
            raise EngineError("tts", f"{PROGRAM} does not speak {language}: name a voice as tts.voice in config.yaml.")
        return min(ranks, key=lambda name: ranks[name]) + variant

    async def _start(self, voice: str, speed: int) -> Process:
        command = [PROGRAM, "-b", "1", "-v", voice, "-s", str(speed), "--stdin", "--stdout"]
        try:
            return await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=BLOCK_BYTES
            )
        except OSError as error:
            raise _unusable(error.strerror or str(error)) from error

    async def _sound(self, process: Process, text: str, work: Work) -> AsyncIterator[bytes]:
        """Yield PCM at `RATE`.

        Raises:
            EngineError: the program failed.
            Revoked: `work` was revoked, or the engine closed.
        """
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(text.encode())  # it reads all of it before it speaks, and nobody else writes
        process.stdin.close()
        wav, given, block = WavReader(RATE), 0, b"-"
        while block:
            async with revocable(work):
                block = await process.stdout.read(BLOCK_BYTES)
            try:
                pcm = wav.feed(block) if block else wav.end()
            except WavError as error:
                raise _unusable(f"it writes {error}") from error
            if pcm:
                given += len(pcm)
                yield pcm
        await self._ended(process, work, given)

    async def _ended(self, process: Process, work: Work, given: int) -> None:
        """See whether the program was content.

        Raises:
            EngineError: it was not.
            Revoked: it was killed.
        """
        async with revocable(work):
            code = await process.wait()
        if self._closed or not work.wanted():
            raise Revoked
        if code < 0:
            raise EngineError(
                "tts", f"{PROGRAM} crashed on this text ({signal.strsignal(-code)}): say it in other words."
            )
        if code or not given:
            assert process.stderr is not None
            raise _unusable((await process.stderr.read(BLOCK_BYTES)).decode(errors="replace") or f"exit code {code}")


def languages() -> frozenset[str]:
    """Return the languages that are spoken; blocks for some milliseconds.

    Raises:
        EngineError: the program does not work.
    """
    return frozenset(language for spoken in _list_voices().values() for language in spoken)


def speakable(text: str) -> str:
    """Return `text` as the program may have it: no control characters, no brackets that begin phonemes, and no more
    abbreviations than it bears."""
    plain = "".join(" " if unicodedata.category(one) == "Cc" else one for one in text)
    plain = plain.encode(errors="ignore").decode().replace("[[", "[ [").strip()
    return "\n\n".join(letters_apart(plain)) if any(one.isalnum() for one in plain) else ""


def _plain(tag: str) -> str:
    return re.split("[-_]", tag)[0].lower()


def _unusable(why: str) -> EngineError:
    reason = " ".join(why.split())[:200].rstrip(".")
    return EngineError("tts", f"{PROGRAM} does not work ({reason}): install it anew, or name another tts.engine.")


def _list_voices() -> Mapping[str, Mapping[str, int]]:
    """Return for each voice the plain languages that it speaks, each with its rank among their voices (1: the best)."""
    voices: dict[str, dict[str, int]] = {}
    for priority, tag, rest in _listed("--voices"):
        code = _plain(tag)
        spoken = {code: priority if tag == code else priority + OTHERS}
        for other, rank in _LANGUAGE.findall(rest):
            spoken[_plain(other)] = min(int(rank), spoken.get(_plain(other), int(rank)))
        voices.setdefault(tag, spoken)
    return voices


def _list_variants() -> frozenset[str]:
    return frozenset(rest.split("!v/")[1].split("(")[0].strip() for _, _, rest in _listed("--voices=variant"))


def _listed(option: str) -> Iterator[tuple[int, str, str]]:
    """Yield priority, language and the rest of each line of a list of voices.

    Raises:
        EngineError: the program does not work.
    """
    try:
        ran = subprocess.run([PROGRAM, option], capture_output=True, timeout=WITHIN_S, check=True)
    except subprocess.CalledProcessError as error:
        raise _unusable(error.stderr.decode(errors="replace") or f"exit code {error.returncode}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unusable(str(error)) from error
    for line in ran.stdout.decode(errors="replace").splitlines()[1:]:
        priority, tag, rest = line.split(maxsplit=2)
        yield int(priority), tag, rest
