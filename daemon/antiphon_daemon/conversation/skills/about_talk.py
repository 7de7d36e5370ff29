"""The conversation itself: silence, saying it again, starting over, what can be said."""

from __future__ import annotations

from antiphon_daemon.conversation.messages import message
from antiphon_daemon.conversation.skills import about_timers
from antiphon_daemon.conversation.skills.talk import Answer, Talk


def stop(talk: Talk) -> Answer:
    """Say nothing; what rings is silent."""
    return talk.silence(lambda: about_timers.calm(talk))


def never_mind(talk: Talk) -> Answer:
    """Say nothing."""
    return talk.silence()


def repeat(talk: Talk) -> Answer:
    """Say the last reply again, in its words."""
    last = talk.scene.last_reply
    return Answer(last, talk.scene.language, remembered=False) if last else talk.say("nothing_said")


def start_over(talk: Talk) -> Answer:
    """Forget the conversation."""
    code = talk.says.code
    return Answer(message("started_over", code), code, starts_over=True, remembered=False)


def what_can_be_said(talk: Talk) -> Answer:
    """Say what can be said."""
    return talk.say("help")
