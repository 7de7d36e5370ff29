"""Home Assistant's conversation agents: its own, which knows the house, or a language model that was set up there.

What is said to it may be done at once, so it is asked only when the turn is over (`acts`, `Unsettled`), and only once:
where it is not known whether it was done, nobody is asked again.

    POST /api/conversation/process {text, language?, conversation_id, agent_id?}
    → {response: {response_type, speech: {plain: {speech}}, data: {code?}}, conversation_id}
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Any

from antiphon.settings import HomeAssistant, Llm
from antiphon_daemon.engines.contracts import EngineError, Fault, Message, TextDelta, Tool, ToolCall, Unsettled, Work
from antiphon_daemon.engines.home_assistant import Api, Banned, Refusal
from antiphon_daemon.engines.worker import revocable

PROCESS = "/api/conversation/process"
CONVERSATIONS = 256
"""Conversations whose name at Home Assistant is kept; it forgets them itself after five minutes."""
AT_ONCE = 3
"""So often the same words are asked for at the same time only by an agent that asks this daemon again."""
REFUSED_S = 600.0
"""Each wrong token is shown to the people of the house: one that was refused is not tried again for so long."""

DONE = {"en": "Okay.", "ko": "네."}
"""Said when something was done without a word."""
NO_COMMAND = {"no_intent_match", "no_valid_targets"}
"""Nothing was done. The second is also what becomes of a question: there is no device called "capital of France"."""


class HomeAssistantAgent:
    """A `Responder` on a Home Assistant. It writes its whole reply at once.

    Args:
        settings: `model` is the agent's id, such as `conversation.chatgpt`; empty: Home Assistant's own agent.
        home: its address and token.
        others: another language model answers what is no command, or names nothing that Home Assistant knows.
        connect_s: how long connecting, or a check, may take. Waiting for the answer has no limit here.

    Raises:
        EngineError: no address or token is set, or they are set where they are not looked for.
    """

    acts = True

    def __init__(self, settings: Llm, home: HomeAssistant, *, others: bool = False, connect_s: float = 5.0) -> None:
        if settings.url or settings.api_key:
            says = (
                "With the engine homeassistant, leave llm.url and llm.api_key empty: set home_assistant.url and token."
            )
            raise EngineError("llm", says)
        self._agent, self._others, self._connect_s = settings.model, others, connect_s
        self._api = Api(home, connect_s=connect_s)
        self._theirs: OrderedDict[str, str] = OrderedDict()
        """Our names of conversations, and theirs."""
        self._asking: Counter[str] = Counter()
        self._refused: tuple[float, EngineError] | None = None

    @property
    def name(self) -> str:
        """What `info` and logs call it."""
        return f"Home Assistant {self._agent}".strip()

    async def check(self) -> None:
        """See that Home Assistant answers, takes the token and has the agent. Nothing is said to it.

        Raises:
            EngineError: it does not.
        """
        self._spare()
        try:
            async with asyncio.timeout(self._connect_s):
                await self._check()
        except TimeoutError:
            says = f"Home Assistant at {self._api.url} has not answered within {self._connect_s:g} s: see its log."
            raise EngineError("llm", says) from None
        except EngineError as error:
            self._remember(error)
            raise
        self._refused = None

    async def warm(self) -> None:
        """Nothing is loaded beforehand: any sentence may do something."""

    async def respond(
        self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()
    ) -> AsyncIterator[TextDelta | ToolCall]:
        """Yield what Home Assistant answers to the last message."""
        if not work.settled():
            raise Unsettled
        self._spare()
        text = next((one.text for one in reversed(messages) if one.role == "user"), "")
        if self._asking[text] >= AT_ONCE:
            says = f"Home Assistant's agent {self._agent} asks this daemon again: choose another one as llm.model."
            raise EngineError("llm", says, Fault.REFUSED)
        self._asking[text] += 1
        try:
            async with revocable(work):
                answer = await self._process(text, work)
        except EngineError as error:
            self._remember(error)
            raise
        finally:
            self._asking[text] -= 1
            self._asking += Counter()  # forgets what is zero
        yield TextDelta(self._speech(answer, work))

    async def prefill(self, messages: Sequence[Message], work: Work, *, tools: Sequence[Tool] = ()) -> None:
        """Nothing is read beforehand: Home Assistant keeps the conversation."""

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    def _spare(self) -> None:
        """See that a token is not tried that was refused a while ago.

        Raises:
            EngineError: it was.
        """
        if self._refused is not None and asyncio.get_running_loop().time() < self._refused[0]:
            raise self._refused[1]

    def _remember(self, error: EngineError) -> None:
        until = asyncio.get_running_loop().time() + REFUSED_S
        refused = error.fault is Fault.KEY and not isinstance(error, Banned)  # that ends at any moment
        self._refused = (until, error) if refused else None

    async def _check(self) -> None:
        found = await self._api.get("/api/")
        if not isinstance(found, dict) or "message" not in found:
            raise self._api.stranger("/api/ tells nothing")
        if self._agent.startswith("conversation."):
            try:
                await self._api.get(f"/api/states/{self._agent}")
            except Refusal as refusal:
                raise self._no_agent() if refusal.status == HTTPStatus.NOT_FOUND else refusal from None

    def _no_agent(self) -> EngineError:
        says = f"Home Assistant at {self._api.url} has no agent {self._agent}: correct llm.model, or leave it empty."
        return EngineError("llm", says)

    async def _process(self, text: str, work: Work) -> dict[str, Any]:
        ours = work.conversation
        asked = {
            "text": text,
            "language": work.language,
            "conversation_id": self._theirs.get(ours, ours) if ours else None,
            "agent_id": self._agent or None,
        }
        try:
            answer = await self._api.post(PROCESS, {key: value for key, value in asked.items() if value})
        except Refusal as refusal:
            unknown = refusal.status == HTTPStatus.BAD_REQUEST and self._agent and "agent" in refusal.why
            raise self._no_agent() if unknown else refusal from None
        if not isinstance(answer, dict) or not isinstance(answer.get("response"), dict):
            raise self._api.stranger(f"{PROCESS} tells no response")
        theirs = answer.get("conversation_id")
        if ours and isinstance(theirs, str):
            self._theirs[ours] = theirs
            self._theirs.move_to_end(ours)
            while len(self._theirs) > CONVERSATIONS:
                self._theirs.popitem(last=False)
        response: dict[str, Any] = answer["response"]
        return response

    def _speech(self, response: dict[str, Any], work: Work) -> str:
        """Return what is to be said.

        Raises:
            EngineError: it was no command, and another model answers those.
        """
        data = response.get("data")
        code = data.get("code") if response.get("response_type") == "error" and isinstance(data, dict) else None
        if code in NO_COMMAND and self._others:
            raise EngineError("llm", "Home Assistant found no command for it: the next model answers.", Fault.PASSED)
        if said := _said(response.get("speech")):
            return unicodedata.normalize("NFC", said)
        if response.get("response_type") == "error":
            says = f"{self.name} failed and says nothing of it: see Home Assistant's log."
            raise EngineError("llm", says, Fault.DOUBT)
        return DONE.get((work.language or "en").split("-")[0], DONE["en"])


def _said(speech: object) -> str:
    """Return the words of `{plain: {speech}}`, or of `ssml` where that is all; empty when there are none."""
    kinds = speech.values() if isinstance(speech, dict) else ()
    words = (kind.get("speech") for kind in kinds if isinstance(kind, dict))
    return next((one for one in words if isinstance(one, str) and one.strip()), "")
