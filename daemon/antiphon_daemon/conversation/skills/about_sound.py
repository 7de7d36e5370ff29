"""How loud it is, whether there is sound at all, and whether the microphone hears."""

from __future__ import annotations

from antiphon_daemon.conversation.skills.talk import Answer, Talk, Undo

STEP, LEAST = 10, 10
"""Percent that a change of volume makes, and below which `quieter` does not go: that would be mute."""
DEFAULT_VOLUME = 50


def set_volume(talk: Talk) -> Answer:
    """Make it so loud."""
    percent = talk.number("percent")
    percent = talk.number("volume_level") if percent is None else percent
    return _volume(talk, min(100, DEFAULT_VOLUME if percent is None else percent))


def change_volume(talk: Talk) -> Answer:
    """Make it louder or quieter."""
    now = talk.place.volume
    if talk.place.hands is None:
        return talk.say("no_volume")
    if now is None:
        return talk.say("volume_unknown")
    by = _step(talk)
    percent = min(100, now + by) if by > 0 else max(min(LEAST, now), now + by)
    if percent == now:
        return talk.say("volume_highest" if by > 0 else "volume_lowest")
    return _volume(talk, percent)


def _step(talk: Talk) -> int:
    """Return the change that is meant, negative for quieter. The borrowed sentences tell it in `volume_step`."""
    borrowed = talk.slots.get("volume_step")
    if isinstance(borrowed, int | float):
        return int(borrowed)
    direction = -1 if borrowed == "down" else talk.number("direction") or 1
    return direction * (talk.number("step") or talk.number("amount") or STEP)


def _volume(talk: Talk, percent: int) -> Answer:
    if talk.place.hands is None:
        return talk.say("no_volume")
    return talk.say("volume", lambda: talk.place.set_volume(percent), percent=percent)


def ask_volume(talk: Talk) -> Answer:
    """Say how loud it is."""
    if talk.place.hands is None or talk.place.volume is None:
        return talk.say("volume_unknown")
    return talk.say("volume_is", percent=talk.place.volume)


def mute(talk: Talk) -> Answer:
    """Switch the sound off, which says itself."""
    place = talk.place
    if place.hands is None:
        return talk.say("no_volume")

    def act() -> Undo | None:
        place.loud = place.volume or place.loud
        return place.set_volume(0)

    return talk.silence(act)


def unmute(talk: Talk) -> Answer:
    """Switch the sound on again, as loud as it was."""
    place = talk.place
    if place.hands is None:
        return talk.say("no_volume")
    percent = place.volume or place.loud or DEFAULT_VOLUME
    return talk.say("unmuted", lambda: place.set_volume(percent), percent=percent)


def mute_microphone(talk: Talk) -> Answer:
    """Stop listening."""
    hands = talk.place.hands
    return talk.say("no_microphone") if hands is None else talk.say("microphone_off", hands.stop_listening)
