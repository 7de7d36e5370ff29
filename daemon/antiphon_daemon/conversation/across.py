"""What one service prepares for the request that the same peer will make of the next one.

Home Assistant asks for the transcript, the reply and its sound over three connections, one after another. For a peer
that is seen to do so, the reply to what `asr` has heard grows while the silence lasts, and `handle` finds it; while
`handle` writes a reply its sound is made, and `tts` finds that. A reply is found by the peer, the words, the language
and all the messages it was written to, so that no room gets another's; until it is asked for it does nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from antiphon.settings import Settings
from antiphon_daemon.conversation.drafts import Draft
from antiphon_daemon.conversation.memory import Memory
from antiphon_daemon.engines.contracts import Message

WITHIN_S = 5.0
"""What is prepared is asked for so soon, or not at all."""
MATCHES = 2
"""So many requests in a row that follow as expected make it worth the work; one that does not, not any more."""
PEERS = 64
"""Peers that are known at most."""
KEPT = 4
"""Replies that wait for one peer at most: it may have several rooms."""


class Habit:
    """Whether a peer does one thing after another, with the same words."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._matches = 0
        self._given: dict[str, float] = {}
        self._excused_until = 0.0

    @property
    def formed(self) -> bool:
        """Whether it can be relied on."""
        self._lapse()
        return self._matches >= MATCHES

    def gave(self, text: str) -> None:
        """The peer was given this text."""
        self._lapse()
        self._given[plain(text)] = self._clock() + WITHIN_S

    def asked(self, text: str) -> None:
        """The peer asks with this text."""
        self._lapse()
        if self._clock() < self._excused_until:
            self._excused_until = 0.0
            return
        self._matches = self._matches + 1 if self._given.pop(plain(text), None) is not None else 0

    def excuse(self) -> None:
        """What the peer asks with next is no word of ours, and says nothing of its habit."""
        self._excused_until = self._clock() + WITHIN_S

    def _lapse(self) -> None:
        """See what was given and never asked with."""
        now = self._clock()
        lapsed = [text for text, until in self._given.items() if until < now]
        for text in lapsed:
            del self._given[text]
        if lapsed:
            self._matches = 0


@dataclass(frozen=True)
class Key:
    """What a reply is the reply to: anything else is another's."""

    text: str
    language: str
    before: tuple[tuple[str, str], ...]
    """Role and text of every message before it."""

    @classmethod
    def of(cls, text: str, language: str, messages: Sequence[Message]) -> Key:
        """Return the key of the reply to `text`, which is the last of `messages`."""
        return cls(plain(text), language, tuple((message.role, message.text) for message in messages[:-1]))


class Waiting:
    """Replies that wait to be asked for. What is not asked for in time is given up."""

    def __init__(self) -> None:
        self._kept: list[tuple[object, Draft, asyncio.TimerHandle]] = []

    def put(self, key: object, draft: Draft) -> None:
        """Keep a reply."""
        handle = asyncio.get_running_loop().call_later(WITHIN_S, self._drop, draft)
        self._kept.append((key, draft, handle))
        while len(self._kept) > KEPT:
            self._drop(self._kept[0][1])

    def take(self, key: object) -> Draft | None:
        """Return the reply of this key, whose owner the caller becomes."""
        for one in self._kept:
            found, draft, handle = one
            if found == key:
                handle.cancel()
                self._kept.remove(one)
                return draft if draft.token.wanted() else None
        return None

    def clear(self) -> list[Draft]:
        """Give all up, and return it."""
        waiting = [draft for _, draft, _ in self._kept]
        for draft in waiting:
            self._drop(draft)
        return waiting

    def _drop(self, draft: Draft) -> None:
        for one in self._kept:
            if one[1] is draft:
                one[2].cancel()
                self._kept.remove(one)
                draft.token.revoke()
                return


class Peer:
    """What is known of one peer, by its address."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.replies = Habit(clock)
        """It asks for a reply to what it was given as transcript."""
        self.sounds = Habit(clock)
        """It asks for the sound of what it was given as reply."""
        self.drafts, self.spoken = Waiting(), Waiting()
        self.voice: str | None = None
        """The voice that it asked for last."""
        self._memory: Memory | None = None
        self._stays = True
        """Its last request went on with the conversation before, as far as is known."""

    def limited(self, settings: Settings) -> Settings:
        """Return settings by which no more is prepared for this peer than it asks for."""
        turn = settings.turn
        if turn.speculate != "speech" or self.sounds.formed:
            return settings
        return settings.model_copy(update={"turn": turn.model_copy(update={"speculate": "reply"})})

    def prepares(self, settings: Settings) -> bool:
        """Whether replies are drafted to what this peer is given as transcript."""
        return self.replies.formed and settings.turn.speculate in ("reply", "speech")

    def leave(self, text: str, draft: Draft) -> None:
        """Keep a reply whose sound the peer is expected to ask for."""
        self.spoken.put((plain(text), self.voice), draft)

    def sound(self, text: str, voice: str | None) -> Draft | None:
        """The peer asks for the sound of `text`: return the reply that holds it."""
        self.sounds.asked(text)
        found = self.spoken.take((plain(text), voice)) if voice == self.voice else None
        self.voice = voice
        return found

    def forget(self) -> list[Draft]:
        """Give up what waits, and return it."""
        return [*self.drafts.clear(), *self.spoken.clear()]

    def talks(self, memory: Memory) -> None:
        """This conversation had its last reply."""
        if self._memory is not None and self._memory.goes_on:
            self._stays = memory is self._memory
        self._memory = memory

    def memory(self, otherwise: Memory) -> Memory:
        """Return the conversation that it probably goes on with, or else a new one."""
        known = self._memory if self._stays else None
        return known if known is not None and known.goes_on else otherwise


class Across:
    """All peers, by their address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._peers: OrderedDict[str, Peer] = OrderedDict()

    def of(self, host: str) -> Peer:
        """Return what is known of the peer at this address."""
        peer = self._peers.pop(host, None) or Peer(self._clock)
        self._peers[host] = peer
        while len(self._peers) > PEERS:
            _, forgotten = self._peers.popitem(last=False)
            forgotten.forget()
        return peer

    async def close(self) -> None:
        """Give all up that waits."""
        dropped = [draft.drop() for peer in self._peers.values() for draft in peer.forget()]
        await asyncio.gather(*dropped, return_exceptions=True)


def plain(text: str) -> str:
    """Return a text in which only the words count."""
    return " ".join(text.split())
