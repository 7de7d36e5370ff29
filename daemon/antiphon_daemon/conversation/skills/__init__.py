"""The sentences that need no language model: time, timers, volume, silence, and the like.

A skill only says what it would do; the conversation does it when the turn is committed, never in a draft.

| file             | what                                                                    |
| ---------------- | ----------------------------------------------------------------------- |
| `sentences/*`    | what can be said and what is answered, one file per language             |
| `sentences.py`   | finds the request in a sentence                                         |
| `english.py`, …  | a language's numbers and lengths of time, in and out                     |
| `about_*.py`     | the answer to each request                                              |
| `talk.py`        | what an answer is                                                       |
| `place.py`       | where it is done                                                        |
| `timers.py`      | the timers of a place                                                   |
| `tools.py`       | the same for language models that can call tools                        |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from antiphon_daemon.conversation.skills import about_sound, about_talk, about_time, about_timers
from antiphon_daemon.conversation.skills.place import NOWHERE, Hands, Place
from antiphon_daemon.conversation.skills.sentences import languages, requests
from antiphon_daemon.conversation.skills.talk import Answer, Scene, Talk, Undo
from antiphon_daemon.conversation.skills.timers import Bell, Status, Timer, Timers
from antiphon_daemon.conversation.skills.tools import tools

__all__ = [
    "ANSWERS",
    "NOWHERE",
    "Answer",
    "Bell",
    "Hands",
    "Place",
    "Scene",
    "Status",
    "Timer",
    "Timers",
    "Undo",
    "load",
    "match",
    "tools",
]

ANSWERS: Mapping[str, Callable[[Talk], Answer | None]] = {
    "HassGetCurrentTime": about_time.time,
    "HassGetCurrentDate": about_time.date,
    "HassStartTimer": about_timers.start,
    "AskDuration": about_timers.ask_duration,
    "BareDuration": about_timers.bare_duration,
    "HassCancelTimer": about_timers.cancel,
    "HassCancelAllTimers": about_timers.cancel_all,
    "HassIncreaseTimer": about_timers.longer,
    "HassDecreaseTimer": about_timers.shorter,
    "ChangeTimer": about_timers.change_to,
    "HassPauseTimer": about_timers.pause,
    "HassUnpauseTimer": about_timers.resume,
    "HassTimerStatus": about_timers.status,
    "HassSetVolume": about_sound.set_volume,
    "HassSetVolumeRelative": about_sound.change_volume,
    "AskVolume": about_sound.ask_volume,
    "Mute": about_sound.mute,
    "Unmute": about_sound.unmute,
    "MuteMicrophone": about_sound.mute_microphone,
    "Stop": about_talk.stop,
    "HassNevermind": about_talk.never_mind,
    "Repeat": about_talk.repeat,
    "StartOver": about_talk.start_over,
    "Help": about_talk.what_can_be_said,
}
"""Every request that the sentence files know; named as home-assistant-intents does where it has them."""


def load() -> None:
    """Read the sentences, which takes some tenths of a second: call it in a thread, before the first `match`."""
    languages()


def match(
    text: str,
    language: str | None,
    place: Place = NOWHERE,
    last_reply: str | None = None,
    *,
    answer_in: Callable[[str], str] = lambda asked: asked,
) -> Answer | None:
    """Return the answer to `text` if a skill knows it; every language's sentences are known in every conversation.

    Args:
        language: the conversation's; its sentences are looked at first.
        place: where the conversation is held.
        last_reply: what was said last, for `repeat` and for answers to questions.
        answer_in: gives the language of the answer for that of the sentence, in case no voice speaks it.
    """
    known = languages()
    scene = Scene(place, language or "en", last_reply)
    for request in requests(text, language):
        says = known.get(answer_in(request.language), known["en"])
        talk = Talk(request, scene, says)
        if talk.slots.get("reply") and talk.asked:  # it answers the language model's question
            continue
        if (answer := ANSWERS[request.intent](talk)) is not None:
            return answer
    return None
