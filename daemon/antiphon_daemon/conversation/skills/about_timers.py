"""Timers: what is said and done about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from antiphon_daemon.conversation.skills.sentences import languages
from antiphon_daemon.conversation.skills.talk import Act, Answer, Talk, Undo
from antiphon_daemon.conversation.skills.timers import AT_MOST, LONGEST_S, Status, Timer, Timers

_THINGS = re.compile(
    "(?:[피감과모의상남여환]자|쓰레기|[탁소조습]기|고기|경기|이야기|감기|아기|전기|택시|접시|낚시|요리|정리|머리|휴가|요가|"
    "찌개|조개|베개|번개|무지개|장르|만두|자두|호두|맥주|소주|안주|연주|김치|잔치|참치|카드|파스타|기타|쿠키|스키)$"
)
"""Korean nouns that end as what is to be done does."""
_ARTICLES = ("the ", "my ", "an ", "a ", "some ")


def start(talk: Talk) -> Answer:
    """Set a timer."""
    seconds, name, timers = talk.number("seconds") or 0, _name(talk), talk.place.timers
    if timers is None:
        return talk.say("no_bell")
    if seconds < 1:
        return talk.say("timer_too_short")
    if seconds > LONGEST_S:
        return talk.say("timer_too_long")
    if len(timers.set) >= AT_MOST:
        return talk.say("timers_full", count=AT_MOST)

    def act() -> Undo | None:
        timer = timers.start(seconds, name)
        return (lambda: timers.cancel(timer)) if timer else None

    length = talk.says.module.length(seconds)
    key = "reminder_set" if talk.slots.get("reminder") else "named_timer_set" if name else "timer_set"
    return talk.say(key, act, duration=length, name=name)


def ask_duration(talk: Talk) -> Answer:
    """Ask for how long."""
    return replace(talk.say("no_bell" if talk.place.timers is None else "ask_duration"), asks=True)


def bare_duration(talk: Talk) -> Answer | None:
    """Set the timer whose length was asked for."""
    questions = {language.answers["ask_duration"] for language in languages().values()}
    return start(talk) if talk.scene.last_reply in questions else None


def cancel(talk: Talk) -> Answer | None:
    """Cancel one timer, or stop it ringing: what rings is meant, unless another one is named."""
    timers = talk.place.timers
    if timers is not None and timers.ringing and (not timers.set or _meant(talk, timers.ringing)):
        return talk.silence(lambda: calm(talk))
    return _with(talk, lambda timers, timer: _of(talk, "timer_cancelled", timer, _cancelling(timers, [timer])))


def cancel_all(talk: Talk) -> Answer | None:
    """Cancel every timer."""
    timers = talk.place.timers
    waiting = timers.set if timers else []
    if timers is None or not waiting or len(waiting) + len(timers.ringing) < 2:
        return cancel(talk)
    cancelling = _cancelling(timers, waiting)

    def act() -> Undo | None:
        calm(talk)
        return cancelling()

    if len(waiting) == 1:
        return _of(talk, "timer_cancelled", waiting[0], act)
    return talk.say("all_cancelled", act, count=len(waiting))


def _cancelling(timers: Timers, those: Sequence[Timer]) -> Act:
    def act() -> Undo:
        for timer in those:
            timers.cancel(timer)
        return lambda: timers.restore(those)

    return act


def longer(talk: Talk) -> Answer | None:
    """Give a timer more time."""
    return _change(talk, lambda left: talk.number("seconds") or 0)


def shorter(talk: Talk) -> Answer | None:
    """Take time from a timer."""
    return _change(talk, lambda left: -(talk.number("seconds") or 0))


def change_to(talk: Talk) -> Answer | None:
    """Let a timer have so much left from now on."""
    return _change(talk, lambda left: (talk.number("seconds") or 0) - left)


def _change(talk: Talk, by: Callable[[int], int]) -> Answer | None:
    if talk.implied and (talk.number("seconds") or 0) >= LONGEST_S:  # "take a day off" means no timer
        return None

    def change(timers: Timers, timer: Timer) -> Answer:
        left = timers.left_s(timer)
        more = by(left)
        if left + more < 1:
            return talk.say("not_so_much", left=_length(talk, left))
        if left + more > LONGEST_S:
            return talk.say("timer_too_long")
        then = _length(talk, left + more)
        return _of(
            talk,
            "timer_now",
            timer,
            _done(partial(timers.change, timer, more), partial(timers.change, timer, -more)),
            left=then,
        )

    return _with(talk, change)


def pause(talk: Talk) -> Answer | None:
    """Pause a timer."""

    def answer(timers: Timers, timer: Timer) -> Answer:
        left = _length(talk, timers.left_s(timer))
        if timer.status is Status.PAUSED:
            return talk.say("already_paused", left=left)
        act = _done(partial(timers.pause, timer), partial(timers.resume, timer))
        return _of(talk, "timer_paused", timer, act, left=left)

    return _with(talk, answer, Status.RUNNING)


def resume(talk: Talk) -> Answer | None:
    """Let a paused timer go on."""

    def answer(timers: Timers, timer: Timer) -> Answer | None:
        left = _length(talk, timers.left_s(timer))
        if timer.status is Status.RUNNING:  # "continue" may mean anything then
            return None if talk.implied else talk.say("not_paused", left=left)
        act = _done(partial(timers.resume, timer), partial(timers.pause, timer))
        return _of(talk, "timer_resumed", timer, act, left=left)

    return _with(talk, answer, Status.PAUSED)


def status(talk: Talk) -> Answer | None:
    """Say how much is left, of one timer or of each."""
    timers = talk.place.timers
    one = _name(talk) or talk.slots.get("start_seconds")
    if timers is not None and not one and len(timers.set) > 1:
        parts = [_left(talk, timers, timer).rstrip(".") for timer in timers.set]
        return talk.says_so(f"{talk.says.answers['and'].join(parts)}.")
    if timers is not None and timers.ringing:
        named = bool(one) and not _meant(talk, timers.set) and bool(_meant(talk, timers.ringing))
        if named or not timers.set:
            return talk.say("timer_over")
    return _with(talk, lambda timers, timer: talk.says_so(_left(talk, timers, timer)))


def _done(act: Callable[[], None], undo: Undo) -> Act:
    def both() -> Undo:
        act()
        return undo

    return both


def calm(talk: Talk) -> None:
    """Stop what rings."""
    timers, hands = talk.place.timers, talk.place.hands
    if timers is not None and timers.ringing:
        timers.calm()
        if hands is not None:
            hands.calm()


def _left(talk: Talk, timers: Timers, timer: Timer) -> str:
    """Return what is said of a timer's time, as a part of a sentence."""
    key = "timer_paused_left" if timer.status is Status.PAUSED else "timer_left"
    key, which = _key(talk, key, timer)
    return talk.says.answers[key].format(which=which, left=_length(talk, timers.left_s(timer)))


def _with(talk: Talk, answer: Callable[[Timers, Timer], Answer | None], wanted: Status | None = None) -> Answer | None:
    """Answer for the timer that is meant; say what keeps it from being one; None when none can be meant.

    Args:
        wanted: of several, those that stand so are meant.
    """
    timers, name, seconds = talk.place.timers, _name(talk), talk.number("start_seconds")
    waiting = timers.set if timers else []
    fit = _meant(talk, waiting)
    if timers is None or not fit:
        if talk.implied:
            return None
        which = name or (str(talk.says.module.which(seconds)) if seconds is not None else None)
        return talk.say("no_such_timer", which=which) if which and waiting else talk.say("no_timer")
    if len(fit) > 1 and wanted is not None:
        fit = [timer for timer in fit if timer.status is wanted] or fit
    if len(fit) > 1:
        return talk.say("several", timers=", ".join(_which(talk, timer) for timer in fit))
    return answer(timers, fit[0])


def _meant(talk: Talk, those: Sequence[Timer]) -> list[Timer]:
    """Return which of those can be meant: by name, by length, or all where the sentence tells neither."""
    name, seconds = _name(talk), talk.number("start_seconds")
    if name:
        return [timer for timer in those if timer.name and _same(timer.name, name)]
    return [timer for timer in those if seconds is None or timer.total_s == seconds]


def _of(talk: Talk, key: str, timer: Timer, act: Act | None = None, **values: object) -> Answer:
    """Say something of a timer, which is told apart where there are others."""
    key, which = _key(talk, key, timer)
    return talk.say(key, act, which=which, **values)


def _key(talk: Talk, key: str, timer: Timer) -> tuple[str, str]:
    alone = talk.place.timers is None or len(talk.place.timers.set) < 2
    return key if alone and not timer.name else f"this_{key}", _which(talk, timer)


def _which(talk: Talk, timer: Timer) -> str:
    return timer.name or str(talk.says.module.which(timer.total_s))


def _length(talk: Talk, seconds: int) -> str:
    """Return a length that is left; from an hour on without seconds, which nobody wants to hear."""
    return str(talk.says.module.length(round(seconds / 60) * 60 if seconds >= 3600 else seconds))


def _name(talk: Talk) -> str | None:
    name, ending = str(talk.slots.get("name") or "").strip(), str(talk.slots.get("ending") or "")
    if ending == "라":  # after a thing that ends in a consonant it would be 이라고
        ending = "기" if _ends_in_l(name) else ""
    thing = f"{name}{ending[:-1]}"  # 피자라고, 쓰레기라고: a thing, not something to do
    name = (thing if len(ending) > 1 and _THINGS.search(thing) else f"{name}{ending}").strip()
    for article in _ARTICLES:
        name = name.removeprefix(article)
    return name or None


def _ends_in_l(word: str) -> bool:
    """Return whether a Korean word ends in the consonant ㄹ."""
    last = ord(word[-1]) - 0xAC00 if word else -1
    return 0 <= last < 11_172 and last % 28 == 8


def _same(one: str, other: str) -> bool:
    """Return whether two names are the same, spacing and case aside: transcripts differ in them."""
    return "".join(one.lower().split()) == "".join(other.lower().split())
