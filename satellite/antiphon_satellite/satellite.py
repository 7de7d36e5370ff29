"""The satellite: sound, ears, service and hooks, joined by the state machine.

Everything that happens becomes an event of `states.py`, stamped with the loop's time; what the machine answers is done
here. Events that arise while one is handled wait for their turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from wyoming.event import Event as WireEvent
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.wake import Detection

from antiphon.audio.pcm import RATE
from antiphon.log import spoken
from antiphon.settings import Settings
from antiphon_satellite import states
from antiphon_satellite.ears import Attention, Ears
from antiphon_satellite.hooks import Hooks
from antiphon_satellite.interruption import Heard
from antiphon_satellite.reception import Reception
from antiphon_satellite.service import Peer, Service
from antiphon_satellite.sound.cues import Cue, load
from antiphon_satellite.sound.devices import Presence
from antiphon_satellite.sound.echo import Echo
from antiphon_satellite.sound.microphone import Microphone
from antiphon_satellite.sound.speaker import Speaker
from antiphon_satellite.states import Do, Event, Limits, Situation, State
from antiphon_satellite.uplink import QUIET_MS, Uplink

BUTTON_BACK = RATE // 4
"""A button is pressed this much after the first word, by those who are quick."""
THINKING_S = 1.2
"""Silence after which a cue tells that the reply is being made."""
RING_EVERY_S = 1.4
GRACE_S = 5.0
TIMERS, TIMER_CHARACTERS = 256, 128
"""So many timers that have finished are told apart, by so much of their ids; more ring, too."""
OWED_S = 30.0
"""An interrupted run's reply that has not begun by then will not come."""

ATTENTION = {
    State.IDLE: Attention.START,
    State.DISCONNECTED: Attention.WAKE,
    State.WAITING: Attention.WAKE,
    State.THINKING: Attention.WAKE,
    State.SPEAKING: Attention.INTERRUPTION,
    State.ANNOUNCING: Attention.INTERRUPTION,
    State.RINGING: Attention.INTERRUPTION,
    State.LISTENING: Attention.ANSWER,
}
"""What the ears listen for in each state; nothing in those that are missing."""
BARGE_IN = {
    "voice": {},
    "wake": dict.fromkeys((State.SPEAKING, State.ANNOUNCING, State.RINGING), Attention.WAKE),
    "off": {
        State.SPEAKING: Attention.NOTHING,
        State.ANNOUNCING: Attention.NOTHING,
        State.RINGING: Attention.WAKE,
    },
}
"""What is different where a voice may not interrupt (`satellite.barge_in`)."""

HOOKS = {
    State.IDLE: "idle",
    State.STREAMING: "streaming",
    State.WAITING: "waiting",
    State.THINKING: "waiting",
    State.SPEAKING: "speaking",
}

log = structlog.get_logger(__name__)


class Satellite:
    """One satellite. `run` runs it; `microphone` and `speaker` must be fed by a sound device, or by a test.

    Raises:
        antiphon.audio.wake.WakeError: a wake word cannot be listened for.
    """

    def __init__(self, settings: Settings, limits: Limits | None = None) -> None:
        own = settings.satellite
        self._settings = own
        self._limits = limits or limits_of(settings)
        self._loop = asyncio.get_running_loop()
        self.echo = Echo(own.sound)
        self.ears = Ears(own, self, lambda: self.echo.residue_db)
        self.microphone = Microphone(self.ears.hear, self.echo.clean)
        self.speaker = Speaker(self._drained, volume=own.sound.volume, reference=self.echo)
        self._attention = ATTENTION | BARGE_IN[own.barge_in]
        self.service = Service(settings, self.ears.words, self)
        self.hooks = Hooks(own.hooks)
        self._uplink = Uplink()
        self._reception = Reception(self.speaker, self.receive_reply)
        self._now = Situation(muted=own.muted)
        self._now = Situation(state=states.rest(self._now), muted=own.muted)
        self._events: deque[tuple[Event, Any]] = deque()
        self._handling = False
        self._deadline: asyncio.TimerHandle | None = None
        self._thinking: asyncio.TimerHandle | None = None
        self._ringing: asyncio.TimerHandle | None = None
        self._timers_due: set[str] = set()
        """Timers that have finished and wait to ring."""
        self._timers_rung: set[str] = set()
        """Timers that have finished since it was at rest."""
        self._actions = self._what_to_do()

    async def run(self) -> None:
        """Do everything but listen on the port, until cancelled."""
        self._attend()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._uplink.run())
                group.create_task(self.hooks.run())
                group.create_task(self.service.watch())
        finally:
            self.ears.stop()
            for timer in (self._deadline, self._thinking, self._ringing):
                if timer is not None:
                    timer.cancel()

    async def adopt(self, settings: Settings, changed: frozenset[str]) -> None:
        """Follow other settings, as far as they can change while it runs (`app.SCOPE`)."""
        self._settings = settings.satellite
        self._limits = limits_of(settings)
        if "satellite.sound.volume" in changed:  # else it stays where a controller may have put it
            self.speaker.volume = settings.satellite.sound.volume
        self.hooks.adopt(settings.satellite.hooks)
        self.service.adopt(settings)

    @property
    def state(self) -> State:
        """Where it is."""
        return self._now.state

    # What happens here.

    def press(self) -> None:
        """The button was pressed. While muted, it unmutes."""
        if self._now.muted and self.state is State.MUTED:
            self.mute(on=False)
        else:
            self._apply(states.Pressed(self._time(), max(0, self.microphone.position - BUTTON_BACK)))

    def mute(self, *, on: bool) -> None:
        """Stop hearing, or hear again."""
        if on != self._now.muted:
            self._apply(states.Muted(self._time()) if on else states.Unmuted(self._time()))
            self.hooks.fire("muted" if on else "unmuted")

    def sound_changed(self, presence: Presence, detail: str) -> None:
        """The sound devices move, or are missing."""
        if presence is Presence.OPEN:
            self.service.tell_sound(waits_for="")
            self.hooks.fire("sound", {"state": "open", "devices": detail})
            return
        self.service.tell_sound(waits_for=detail)
        self._apply(states.Lost(self._time()))
        self.hooks.fire("sound", {"state": "missing", "why": detail})
        self.hooks.fire("error", {"code": "no-sound", "text": detail})

    def woke(self, name: str, since: int) -> None:
        """A wake word was heard (see `ears.Listener`)."""
        log.info("wake word", name=name)
        self.hooks.fire("wake", {"name": name})
        if self.state is not State.RINGING and self.service.calls_another(name):
            self._turn_to(name)
        self._apply(states.Woke(self._time(), name, since))

    def _turn_to(self, word: str) -> None:
        """Another assistant is called: what the one before does or says ends, and the other drives."""
        if not self.resting:
            self._cut()
            self._apply(states.Flushed(self._time()))
        self.service.call(word)

    def spoke(self, since: int) -> None:
        """Somebody began to speak (see `ears.Listener`)."""
        self._apply(states.Spoke(self._time(), since))

    def spoke_over(self, heard: Heard, since: int) -> None:
        """A voice over our own sound (see `ears.Listener`)."""
        self.echo.doubt(somebody=heard is Heard.BEGAN)
        match heard:
            case Heard.BEGAN:
                self._apply(states.SpeechBegan(self._time()))
            case Heard.FADED:
                self._apply(states.SpeechFaded(self._time()))
            case Heard.LASTED:
                self._apply(states.SpeechLasted(self._time(), since))
            case Heard.HUSHED:
                self._apply(states.Hushed(self._time()))

    def _drained(self) -> None:
        self._apply(states.Drained(self._time()))

    # What the service tells (see `service.Driver`).

    @property
    def resting(self) -> bool:
        """Another controller may take over now."""
        return self.state in (State.IDLE, State.MUTED, State.DISCONNECTED)

    def joined(self, peer: Peer) -> None:
        """`peer` drives the satellite from now on."""
        if peer.ours:
            volume = {"name": "antiphon.volume", "data": {"percent": self.speaker.volume}}
            peer.send(WireEvent("user-event", volume))
        self._apply(states.Joined(self._time(), peer.run_until))
        self.hooks.fire("connected", {"controller": peer.name})

    def left(self, peer: Peer) -> None:
        """`peer` does not drive it any more."""
        peer.run_until = self._now.run_until
        self._apply(states.Left(self._time()))
        self.hooks.fire("disconnected", {"controller": peer.name})

    def paused(self) -> None:
        """The controller mutes the satellite."""
        self.mute(on=True)

    def resumed(self) -> None:
        """The controller that muted it is back."""
        self.mute(on=False)

    def receive(self, peer: Peer, event: WireEvent) -> None:
        """A controller says something: sound, timers, and (the active one alone) what its run does."""
        data = event.data or {}
        match event.type:
            case "audio-start" | "audio-chunk" | "audio-stop":
                active = peer is self.service.active
                self._reception.receive(peer, event, welcome=active or self.resting, at=self._time(), of_run=active)
            case "timer-started" | "timer-updated" | "timer-cancelled" | "timer-finished":
                self.hooks.fire("timer", {"type": event.type, **data} | {"type": event.type})
                timer = str(data.get("id"))[:TIMER_CHARACTERS]
                if event.type == "timer-finished":
                    if len(self._timers_rung) < TIMERS:
                        self._timers_rung.add(timer)
                    self._apply(states.Rang(self._time()), timer)
                elif event.type == "timer-cancelled":
                    self._timer_cancelled(timer)
            case _ if peer is self.service.active:
                self._receive_run(event.type, data)
            case "error":  # the run that another assistant's word ended has no reply
                peer.owes_until = peer.run_until = 0.0
            case "synthesize":
                peer.run_until = 0.0

    def _timer_cancelled(self, timer: str) -> None:
        """One that rings, or waits to, is silent."""
        self._timers_due.discard(timer)
        if timer in self._timers_rung and self.state is State.RINGING:
            self._apply(states.Flushed(self._time()))

    def _receive_run(self, kind: str, data: dict[str, Any]) -> None:
        at = self._time()
        match kind:
            case "voice-stopped":
                self._apply(states.VoiceStopped(at))
            case "transcript":
                text = str(data.get("text") or "")
                log.info("heard", text=spoken(text))
                self.hooks.fire("transcript", {"text": text})
                self._apply(states.Transcribed(at))
            case "synthesize":
                self._apply(states.Synthesized(at, self._asks(str(data.get("text") or ""))))
            case "error":
                code, text = str(data.get("code") or ""), str(data.get("text") or "")
                log.warning("the controller reports an error", code=code, text=spoken(text))
                self.hooks.fire("error", {"code": code, "text": text})
                self._apply(states.Failed(at, code))
            case "run-pipeline":  # it wants us to listen, as if the button were pressed
                self._apply(states.Pressed(at, self.microphone.position))
            case "user-event":
                self._receive_extra(str(data.get("name")), data.get("data"))

    def _receive_extra(self, name: str, data: Any) -> None:
        """One of our extras (docs/wire.md); what is wrong with it makes it ignored."""
        given = data if isinstance(data, dict) else {}
        match name:
            case "antiphon.volume":
                percent = given.get("percent")
                if isinstance(percent, int) and not isinstance(percent, bool):
                    self.speaker.volume = max(0, min(100, percent))
            case "antiphon.mute":
                if isinstance(given.get("on"), bool):
                    self.mute(on=given["on"])
            case "antiphon.flush":
                self._apply(states.Flushed(self._time()))

    def _asks(self, text: str) -> bool:
        from antiphon_satellite.questions import asks

        wanted = self._limits.follow_up_s > 0 and asks(text)
        if wanted:
            self.ears.warm(self.microphone)
        return wanted

    def receive_reply(self, event: Event, stream: Any = None) -> None:
        """A stream of sound begins, grows or ends (see `reception.Reception`)."""
        self._apply(event, stream)

    # The machine.

    def _time(self) -> float:
        return self._loop.time()

    def _apply(self, event: Event, detail: Any = None) -> None:
        self._events.append((event, detail))
        if self._handling:
            return
        self._handling = True
        try:
            while self._events:
                self._handle(*self._events.popleft())
        finally:
            self._handling = False
        if self.resting:
            self._rest()

    def _handle(self, event: Event, detail: Any) -> None:
        before = self._now
        self._now, actions = states.step(before, event, self._limits)
        for action in actions:
            self._actions[action](event, detail)
        if self._now.deadline != before.deadline:
            self._set_deadline()
        if self._now.state is not before.state:
            self._entered(before.state, event)
        elif self._now.muted is not before.muted:
            self._attend()

    def _entered(self, before: State, event: Event) -> None:
        log.info("state", now=self.state.value, was=before.value, by=type(event).__name__.lower())
        if self._thinking is not None and self.state is not State.THINKING:
            self._thinking.cancel()
            self._thinking = None
        if self.state in HOOKS:
            self.hooks.fire(HOOKS[self.state])
        if self._now.kept is None:
            self._reception.forget()
        if self.state is State.STREAMING:
            self._warm()
        self._attend()

    def _rest(self) -> None:
        """What has waited for the satellite to be at rest: another controller, a timer."""
        self.service.settle()
        if self._timers_due and self.resting:
            self._timers_due.clear()
            self._apply(states.Rang(self._time()))
        elif self.resting:
            self._timers_rung.clear()

    def _attend(self) -> None:
        attention = Attention.NOTHING if self._now.muted else self._attention.get(self.state, Attention.NOTHING)
        if self.state is State.STREAMING and self._now.kept is not None:
            attention = Attention.HUSH
        self.ears.attend(attention, self.microphone)
        self.echo.doubt(somebody=False)
        self.echo.wanted = self.state not in (State.IDLE, State.MUTED, State.DISCONNECTED)

    def _warm(self) -> None:
        """Load what the reply will need."""
        if self._settings.barge_in == "voice":
            self.ears.warm(self.microphone)
            self.echo.warm()

    def _set_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        due = self._now.deadline
        self._deadline = None if due is None else self._loop.call_at(due, self._late)

    def _late(self) -> None:
        self._apply(states.Late(self._time()))

    # What the machine says is to be done.

    def _what_to_do(self) -> dict[Do, Callable[[Any, Any], None]]:
        return {
            Do.MARK: lambda event, _: self._uplink.keep(self.microphone.take(event.since)),
            Do.DETECTION: lambda event, _: self._send(Detection(name=event.name, timestamp=None).event()),
            Do.RUN: self._run,
            Do.END_SPEECH: self._end_speech,
            Do.FORGET: lambda *_: self._forget(),
            Do.ABANDON: lambda *_: self._forget(),
            Do.CUT: self._cut,
            Do.PLAY: lambda _, stream: self._reception.play(stream),
            Do.FINISH: lambda *_: self.speaker.finish(),
            Do.DUCK: lambda *_: self.speaker.duck(),
            Do.SWELL: lambda *_: self.speaker.swell(),
            Do.SHELVE: lambda *_: self._shelve(),
            Do.RESUME: lambda event, _: self._reception.resume(event.at),
            Do.FLUSH: lambda *_: self.speaker.flush(),
            Do.DROP_REPLY: lambda event, _: self._reception.drop_reply(self.service.active, event.at + OWED_S),
            Do.FORGIVE: lambda *_: self._forgive(),
            Do.PLAYED: lambda *_: self._reception.tell_played(),
            Do.RING: lambda *_: self._ring(),
            Do.CALM: lambda *_: self._hush(),
            Do.LATER: self._ring_later,
            Do.DROP_PEER: self._drop_peer,
            Do.CUE_HEARD: lambda *_: self._cue(Cue.HEARD),
            Do.CUE_THINKING: self._cue_thinking,
            Do.CUE_FAILED: self._cue_failed,
            Do.CUE_MUTED: lambda *_: self._cue(Cue.MUTED),
        }

    def _send(self, event: WireEvent) -> None:
        if self.service.active is not None:
            self.service.active.send(event)

    def _run(self, event: Event, _: Any) -> None:
        active = self.service.active
        if active is None:
            return
        word = event.name if isinstance(event, states.Woke) else None
        run = RunPipeline(
            start_stage=PipelineStage.ASR, end_stage=PipelineStage.TTS, restart_on_end=False, wake_word_name=word
        )
        asked = run.event()
        if active.ours and self._now.kept is not None:  # it may turn out that nobody meant to stop the reply
            asked.data["by_voice"] = True
        active.send(asked)
        self._reception.new_run()
        self._uplink.send_to(active, QUIET_MS if word and not active.ours else 0)

    def _end_speech(self, *_: Any) -> None:
        self._forget()
        self._send(WireEvent("audio-stop", {"timestamp": None}))

    def _forget(self) -> None:
        self.microphone.release()
        self._uplink.forget()

    def _forgive(self) -> None:
        if self.service.active is not None:
            self.service.active.owes_until = 0.0

    def _cut(self, *_: Any) -> None:
        if self.service.active is not None and self.service.active.ours:
            self._send(WireEvent("user-event", {"name": "antiphon.cut", "data": {}}))

    def _drop_peer(self, *_: Any) -> None:
        if self.service.active is not None:
            log.warning("the controller is stuck: its connection is dropped", controller=self.service.active.name)
            self.service.active.connection.abort()

    def _shelve(self) -> None:
        self._calm()
        self._reception.shelve()

    def _ring(self) -> None:
        self._calm()
        self._cue(Cue.TIMER)
        self._ringing = self._loop.call_later(RING_EVERY_S, self._ring)

    def _calm(self) -> None:
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None

    def _hush(self) -> None:
        self._calm()
        self.speaker.swell()

    def _ring_later(self, _: Any, timer: Any) -> None:
        if len(self._timers_due) < TIMERS:
            self._timers_due.add(str(timer))

    def _cue(self, cue: Cue) -> None:
        if self._settings.sound.cues:
            self.speaker.cue(*load(cue))

    def _cue_thinking(self, *_: Any) -> None:
        self._thinking = self._loop.call_later(THINKING_S, self._cue, Cue.THINKING)

    def _cue_failed(self, event: Event, _: Any) -> None:
        self._cue(Cue.FAILED)
        if not isinstance(event, states.Failed | states.Lost):  # those have told more themselves
            why = type(event).__name__.lower()
            log.warning("a turn failed", why=why)
            self.hooks.fire("error", {"code": why, "text": ""})


def limits_of(settings: Settings) -> Limits:
    """Return the machine's limits from the settings."""
    own = settings.satellite
    return Limits(
        # Whoever drives us ends the speech; this only ends it when nobody does, and cuts nobody off before.
        stream_s=settings.turn.longest_s + GRACE_S,
        follow_up_s=own.follow_up_s if own.follow_up else 0.0,
    )
