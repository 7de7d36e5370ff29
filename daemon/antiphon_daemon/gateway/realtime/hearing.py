"""The input audio buffer: turns that are detected, and those that the client commits.

Where turns are detected, the conversation hears what comes: it says when speech begins, and when a turn is over. Speech
over a reply is told once it is sure that it is meant (0.3 s), for clients fall silent at `speech_started`; the event
says where it began. Where they are not, the newest of what comes is kept until it is committed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon.audio.pcm import RATE, Samples
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.turn_types import Phase
from antiphon_daemon.engines.contracts import EngineError
from antiphon_daemon.gateway.realtime.audio import HalfASample, Kept, decoder
from antiphon_daemon.gateway.realtime.config import PADDING_MS, ServerVad
from antiphon_daemon.gateway.realtime.items import Item
from antiphon_daemon.gateway.realtime.talk import Talk
from antiphon_daemon.gateway.realtime.wire import Refusal, new_id
from antiphon_daemon.insight.trace import Trace

if TYPE_CHECKING:
    from antiphon_daemon.gateway.realtime.replying import Replies

BLOCK = RATE // 10
"""Sound that is heard at a time: a message may hold much more."""
SHORTEST = RATE // 10
"""Less than this cannot be committed."""
PENDING_MOST = 8
"""Sounds that wait to be put into words."""


@dataclass
class Speech:
    """Speech that the client was told of. Times are those of the sound that it has sent."""

    began_ms: int
    paused_ms: int | None = None
    item_id: str = field(default_factory=lambda: new_id("item"))


class Hearing:
    """What comes from the microphone of one session."""

    replies: Replies

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._decoder = decoder(talk.config.input_kind)
        self._sent = 0
        """Samples that have come, all in all."""
        self._kept = Kept()
        self._speech: Speech | None = None
        self._over_ms: int | None = None
        """Where speech over a reply began, of which the client was not told yet."""
        self._last: tuple[Item, Speech] | None = None
        """The turn whose reply was not heard yet."""
        self._quiet_from: int | None = None
        """Since then, in samples that have come, nothing happens and it is the user's turn."""
        self._pending: set[asyncio.Task[None]] = set()

    # What the client does.

    async def append(self, sound: bytes) -> None:
        """Hear more.

        Raises:
            Refusal: it ends in half a sample.
        """
        try:
            samples = self._decoder.feed(sound)
        except HalfASample:
            why = f"{len(sound)} bytes hold half a sample: 16 bit, mono, 24 kHz is expected"
            raise Refusal("invalid_audio", why, "audio") from None
        if self._talk.config.detection is None:
            self._sent += len(samples)
            self._kept.put(samples, round(self._talk.settings.turn.longest_s * RATE))
            return
        for start in range(0, len(samples), BLOCK):
            block = samples[start : start + BLOCK]
            self._sent += len(block)
            self.listen()
            self._talk.conversation.hear(block)
            self.look()
            self._look_idle()
            await asyncio.sleep(0)

    def commit(self) -> None:
        """The client says that the turn is over.

        Raises:
            Refusal: there is nothing to commit.
        """
        if self._talk.config.detection is not None:
            if self._speech is None:
                raise Refusal("input_audio_buffer_commit_empty", "nothing was said that could be committed")
            self._talk.conversation.end()
            self.look()
            return
        samples = np.concatenate((self._kept.whole(), self._decoder.end()))
        if len(samples) < SHORTEST:
            held_ms = len(samples) * 1000 // RATE
            why = f"the buffer holds {held_ms} ms of sound: 100 ms are needed"
            raise Refusal("input_audio_buffer_commit_empty", why)
        self.check_room()
        self._kept.clear()
        item = Item(part="input_audio", text=None)
        self._commit(item)
        self.transcribe(item, samples)

    def clear(self) -> None:
        """Forget what has come and is no turn yet."""
        self._kept.clear()
        conversation = self._talk.conversation
        if conversation.phase in (Phase.LISTENING, Phase.HEARING, Phase.PAUSED):
            conversation.stop()
        self._speech = None
        self._talk.say("input_audio_buffer.cleared")
        self._let_pass()

    def configure(self, *, format_changed: bool, mode_changed: bool) -> None:
        """Follow other fields: at once while nobody speaks, else from the next turn on."""
        if format_changed:
            self._decoder = decoder(self._talk.config.input_kind)
        if mode_changed:
            self._kept.clear()
        conversation = self._talk.conversation
        silent = conversation.phase is Phase.LISTENING
        if silent or (mode_changed and conversation.phase in (Phase.HEARING, Phase.PAUSED)):
            conversation.stop()
            self.look()

    @property
    def hears(self) -> bool:
        """Whether somebody is being heard, or something waits to be put into words."""
        return self._speech is not None or bool(self._pending)

    def _look_idle(self) -> None:
        """See whether the user has said nothing for so long that they are to be asked."""
        vad = self._talk.config.detection
        timeout_ms = vad.idle_timeout_ms if isinstance(vad, ServerVad) else None
        theirs = self._talk.conversation.phase is Phase.LISTENING and self.replies.heard_out
        if timeout_ms is None or not theirs or self._talk.config.listens_only:
            self._quiet_from = None
            return
        began = self._quiet_from = self._sent if self._quiet_from is None else self._quiet_from
        if (self._sent - began) * 1000 < timeout_ms * RATE:
            return
        self._quiet_from = None
        item = Item(part="input_audio", text=None, instead=message("silence", self._talk.language))
        self._talk.say(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=began * 1000 // RATE,
            audio_end_ms=self._sent_ms,
            item_id=item.id,
        )
        self._commit(item)
        self.replies.create({})

    def listen(self) -> None:
        """Have the conversation listen, where turns are detected and it does not: to speech over a reply, too."""
        conversation, vad = self._talk.conversation, self._talk.config.detection
        over = conversation.phase is Phase.SPEAKING and not conversation.listens
        if vad is not None and (conversation.phase is Phase.IDLE or (over and vad.interrupt_response)):
            conversation.open(self._talk.language)

    # What the conversation tells (see `Peer`).

    def speech_began(self, at_ms: int) -> None:
        """Somebody speaks."""
        phase = self._talk.conversation.phase
        if phase is Phase.OVERLAP:
            self._over_ms = self._sound_ms(at_ms)
        elif phase is Phase.HEARING and self._speech is None:
            last, self._last = self._last, None
            if last is not None and self.replies.active is not None:  # they go on with the turn that seemed over
                self._announce(last[1].began_ms)
                self.replies.withdrawn()
                if self._talk.items.remove(last[0]):
                    self._talk.say("conversation.item.deleted", item_id=last[0].id)
                if agreed := self._talk.conversation.agreed.text:
                    self.heard_so_far(agreed)
            else:
                self._announce(self._sound_ms(at_ms))
                self.replies.withdrawn()

    def speech_paused(self, at_ms: int) -> None:
        """They fell silent."""
        if self._speech is not None:
            self._speech.paused_ms = self._sound_ms(at_ms)
        if self._talk.conversation.phase is Phase.SPEAKING:  # it was no turn: the reply goes on
            self._over_ms = None
            self._let_pass()

    def stop_speaking(self) -> None:
        """The reply is stopped; by speech over it, if there is any."""
        self._last = None
        self.look()
        self.replies.stopped()

    def heard_so_far(self, text: str) -> None:
        """Tell what is certain of the turn while speech goes on."""
        if self._speech is not None:
            self._transcribed("delta", self._speech.item_id, delta=text)

    def turn_over(self, text: str) -> None:
        """The turn is over: `text` was said, empty when hearing failed."""
        speech = self._stop_speech() or Speech(self._sent_ms)
        item = Item(part="input_audio", text=text or None, id=speech.item_id)
        self._commit(item)
        if text:
            self._tell_words(item, text, speech, self._talk.conversation.agreed.rest(text))
        else:
            self._tell_failure(item, "what was said could not be heard")
        draft = self._talk.conversation.draft
        if draft is not None and draft.reply is not None:  # it is answered, as the fields had it when it began
            self._last = (item, speech)
            self.replies.answer_turn()
        else:
            self._let_pass()

    def nothing_heard(self) -> None:
        """There were no words."""
        self._stop_speech()
        self._let_pass()

    def failed(self, error: EngineError) -> None:
        """The turn could not be heard, and nobody says so aloud."""
        speech = self._stop_speech() or Speech(self._sent_ms)
        item = Item(part="input_audio", text=None, id=speech.item_id, instead=self._unheard)
        self._commit(item)
        self._tell_failure(item, str(error))
        self._let_pass()

    def answered(self) -> None:
        """What was said last is answered: it is not taken back any more."""
        self._last = None

    def look(self) -> None:
        """See whether what the client was told is still so."""
        phase = self._talk.conversation.phase
        over_ms, self._over_ms = self._over_ms, None
        if phase is Phase.OVERLAP:
            self._over_ms = over_ms
        elif phase is Phase.HEARING and over_ms is not None:
            self._announce(over_ms)
        elif phase in (Phase.LISTENING, Phase.IDLE) and self._speech is not None:
            self.nothing_heard()

    def _let_pass(self) -> None:
        """Nothing answers what was said: a response that waits for its end may begin, once all this is done."""
        asyncio.get_running_loop().call_soon(self.replies.turn_passed)

    # What the client is told.

    def _announce(self, began_ms: int) -> None:
        self._speech = Speech(began_ms)
        vad = self._talk.config.detection
        padding_ms = vad.prefix_padding_ms if isinstance(vad, ServerVad) else PADDING_MS
        start_ms = max(0, began_ms - padding_ms)
        self._talk.say("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=self._speech.item_id)

    def _stop_speech(self) -> Speech | None:
        speech, self._speech = self._speech, None
        if speech is not None:
            end_ms = self._sent_ms if speech.paused_ms is None else speech.paused_ms
            self._talk.say("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=speech.item_id)
        return speech

    def _commit(self, item: Item) -> None:
        last = self._talk.items.last_id
        self._talk.say("input_audio_buffer.committed", item_id=item.id, previous_item_id=last)
        self._talk.added(item)
        self._talk.done(item)

    def _tell_words(self, item: Item, text: str, speech: Speech, rest: str) -> None:
        end_ms = self._sent_ms if speech.paused_ms is None else speech.paused_ms
        if rest:
            self._transcribed("delta", item.id, delta=rest)
        usage = {"type": "duration", "seconds": max(0, end_ms - speech.began_ms) / 1000}
        self._transcribed("completed", item.id, transcript=text, usage=usage)

    def _tell_failure(self, item: Item, why: str) -> None:
        error = {"type": "server_error", "code": "transcription_failed", "message": why, "param": None}
        self._transcribed("failed", item.id, error=error)

    def _transcribed(self, kind: str, item_id: str, **fields: Any) -> None:
        if self._talk.config.transcribes:
            name = f"conversation.item.input_audio_transcription.{kind}"
            self._talk.say(name, item_id=item_id, content_index=0, **fields)

    # Sound that comes whole.

    def check_room(self) -> None:
        """See that one more sound may wait for its words.

        Raises:
            Refusal: it may not.
        """
        if len(self._pending) >= PENDING_MOST:
            raise Refusal("too_many_items", f"{PENDING_MOST} sounds wait to be heard: wait for them")

    def transcribe(self, item: Item, samples: Samples) -> None:
        """Put the sound of an item into words, in time."""
        task = asyncio.create_task(self._transcribe(item, samples))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def hear(self, item: Item, sound: bytes) -> None:
        """Put the sound of an item, in the session's format, into words.

        Raises:
            Refusal: it ends in half a sample.
        """
        await self._transcribe(item, self.samples_of(sound))

    def samples_of(self, sound: bytes) -> Samples:
        """Return a whole sound in the session's format.

        Raises:
            Refusal: it ends in half a sample, or is too long.
        """
        whole = decoder(self._talk.config.input_kind)
        try:
            samples = np.concatenate((whole.feed(sound), whole.end()))
        except HalfASample:
            raise Refusal("invalid_audio", f"{len(sound)} bytes hold half a sample", "item.content.audio") from None
        longest_s = self._talk.settings.turn.longest_s
        if len(samples) > longest_s * RATE:
            raise Refusal("invalid_audio", f"a sound lasts {longest_s:g} s at most", "item.content.audio")
        return samples

    async def _transcribe(self, item: Item, samples: Samples) -> None:
        draft = Draft(0, Trace())
        settings = self._talk.settings
        try:
            heard = await self._talk.drafts.hear(draft, samples, self._talk.language, settings.stt.hints)
        except asyncio.CancelledError:
            draft.token.revoke()
            raise
        if heard is None or not heard.text:
            item.instead = self._unheard
        if heard is None:
            self._tell_failure(item, str(draft.error or "hearing was given up"))
            return
        item.text = heard.text
        self._talk.conversation.renew()
        self._tell_words(item, heard.text, Speech(0, len(samples) * 1000 // RATE), heard.text)

    @property
    def _unheard(self) -> str:
        """What the model is told in place of words that were not heard: else it would answer its own last reply."""
        return message("unheard", self._talk.language)

    async def all_heard(self) -> None:
        """Wait until every sound is known in words."""
        while self._pending:
            await asyncio.wait(tuple(self._pending))

    async def close(self) -> None:
        """Give up what is not heard yet."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    # Time.

    @property
    def _sent_ms(self) -> int:
        return self._sent * 1000 // RATE

    def _sound_ms(self, at_ms: int) -> int:
        """Return where in the sound that was sent something happened, by the session's time."""
        return max(0, self._sent_ms - (self._talk.conversation.now_ms - at_ms))
