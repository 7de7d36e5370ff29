"""The time, the date, the weekday, the month and the year: this machine's, in its time zone."""

from __future__ import annotations

from datetime import timedelta

from antiphon_daemon.conversation.skills.talk import Answer, Talk


def time(talk: Talk) -> Answer:
    """Say the time of day."""
    return talk.say("time", time=talk.says.module.clock(talk.scene.now()))


def date(talk: Talk) -> Answer:
    """Say the date of today or a day near it, or the month, or the year."""
    days = talk.number("day") or 0
    on = talk.scene.now().date() + timedelta(days=days)
    match talk.slots.get("part"):
        case "month":
            return talk.say("month", month=talk.says.module.month(on))
        case "year":
            return talk.say("year", year=talk.says.module.year(on))
    key = {0: "date", 1: "date_tomorrow", -1: "date_yesterday"}.get(days, "date_after")
    return talk.say(key, date=talk.says.module.day(on))
